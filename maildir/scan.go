package maildir

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

// scanAttempts bounds how often a scan is repeated because events were lost
// or a reading was not whole while it ran.
const scanAttempts = 20

// readFiles gives the names present for each base (rules 7, 9 and 10).
func (f *Folder) readFiles(ctx context.Context) (*listing, error) {
	if f.watched.Load() {
		return f.readWatched(ctx)
	}
	files, _, err := f.readUnwatched(ctx)
	return files, err
}

// readQuiet reads directories that nobody changes meanwhile: their stamps are old enough that any
// change would give them others, and stand still. nil without an error where that is not so.
func (f *Folder) readQuiet() (*listing, error) {
	lock, err := f.home.stat(uidlistName + lockSuffix) // just made: it has the file system's time
	if err != nil {
		return nil, nil
	}
	before, err := f.stamps()
	if now := stampOf(lock).ctime; err != nil || !settled(before[inNew], now) || !settled(before[inCur], now) {
		return nil, err
	}
	files := newListing(f.octets())
	if err := f.readInto(files, false, inNew, inCur); err != nil {
		return nil, err
	}
	after, err := f.stamps()
	if err != nil || after != before {
		return nil, err
	}
	f.scanned, f.proved = before, true
	return files, nil
}

// readWatched is rule 7: what events touched meanwhile is theirs to tell.
func (f *Folder) readWatched(ctx context.Context) (*listing, error) {
	for try := range scanAttempts {
		if err := sleep(ctx, time.Duration(try)*time.Millisecond); err != nil {
			return nil, err
		}
		f.queue.take(nil) // what happened before the reading, the reading sees
		files := newListing(f.octets())
		if err := f.readInto(files, false, inNew, inCur); err != nil {
			return nil, err
		}
		if err := f.barrier(ctx); err != nil {
			return nil, err
		}
		events, overflow := f.queue.take(nil)
		if overflow {
			continue
		}
		for _, e := range events {
			files.set(place{e.dir, e.name}, e.created)
		}
		if sure, err := f.settleListing(ctx, files); sure || err != nil {
			return files, err
		}
	}
	return nil, fmt.Errorf("%s: events were lost in %d scans: %w", f.name, scanAttempts, ErrBusy)
}

// settleListing makes sure that what has no name by now is gone, and not half renamed (rule 6); false where
// that cannot be had.
func (f *Folder) settleListing(ctx context.Context, files *listing) (sure bool, err error) {
	for range scanAttempts {
		before := files.inDoubt()
		if len(before) == 0 {
			return true, nil
		}
		if err := f.barrier(ctx); err != nil {
			return false, err
		}
		events, overflow := f.queue.take(nil)
		if overflow {
			return false, nil
		}
		for _, e := range events {
			files.set(place{e.dir, e.name}, e.created)
		}
		sure = true
		for base, d := range files.inDoubt() {
			was, ok := before[base]
			sure = sure && ok && was == d
		}
		if sure {
			return true, nil
		}
	}
	return false, nil
}

// readUnwatched is rules 9 and 10. absenceCounts tells whether a message that
// was not found is gone.
func (f *Folder) readUnwatched(ctx context.Context) (files *listing, absenceCounts bool, err error) {
	for try := range scanAttempts {
		if err := sleep(ctx, time.Duration(try)*time.Millisecond); err != nil {
			return nil, false, err
		}
		before, err := f.stamps()
		if err != nil {
			return nil, false, err
		}
		files = newListing(f.octets())
		whole := true
		for _, s := range []subdir{inNew, inCur, inNew} {
			w, err := f.readOne(files, s, true)
			if err != nil {
				return nil, false, err
			}
			whole = whole && w
		}
		after, err := f.stamps()
		if err != nil {
			return nil, false, err
		}
		still := before == after
		f.scanned, f.proved = before, false
		if still || whole && f.atomicReads() {
			return files, true, nil
		}
	}
	return files, false, nil
}

// octets is how large the directories are.
func (f *Folder) octets() int64 {
	return f.new.octets() + f.cur.octets()
}

func (f *Folder) stamps() (s [2]stamp, err error) {
	if s[inNew], err = f.new.stamp(); err == nil {
		s[inCur], err = f.cur.stamp()
	}
	return s, wrapSys("stat", f.name, err)
}

func (f *Folder) readInto(files *listing, atomic bool, dirs ...subdir) error {
	for _, s := range dirs {
		if _, err := f.readOne(files, s, atomic); err != nil {
			return err
		}
	}
	return nil
}

// readOne adds the names of one directory.
func (f *Folder) readOne(files *listing, s subdir, atomic bool) (whole bool, err error) {
	d := f.dirOf(s)
	whole, err = d.readNames(atomic, func(name []byte, typ direntType, ino uint64) {
		if !usable(name) {
			return
		}
		if typ != direntRegular {
			if typ != direntUnknown {
				return
			}
			if fi, err := d.stat(string(name)); err != nil || !fi.Mode().IsRegular() {
				return
			}
		}
		files.add(s, name, ino)
	})
	return whole, wrapSys("read", f.name+"/"+s.String(), err)
}

// atomicReads tells whether one getdents call on this file system sees a
// directory as it was at one moment: the local ones, which hold its lock.
func (f *Folder) atomicReads() bool {
	const ext4, xfs, tmpfs, btrfs = 0xef53, 0x58465342, 0x01021994, 0x9123683e
	var st syscall.Statfs_t
	if err := syscall.Fstatfs(f.cur.fd, &st); err != nil {
		return false
	}
	switch uint32(st.Type) {
	case ext4, xfs, tmpfs, btrfs:
		return true
	}
	return false
}

// rescanLocked reads the folder anew and makes the state agree.
func (f *Folder) rescanLocked(ctx context.Context) error {
	var files *listing
	var err error
	absenceCounts := true
	if f.watched.Load() {
		clear(f.expected)
		files, err = f.readWatched(ctx)
	} else {
		files, absenceCounts, err = f.readUnwatched(ctx)
	}
	if err != nil {
		return err
	}
	f.dirty = false
	var gone []uint32
	clear(f.fresh)
	for base, p := range f.odd {
		if uid, _, _, ok := f.lookupBase(base); ok && p.other {
			f.touchLocked([]uint32{uid}) // see setPresentLocked
		}
	}
	clear(f.odd)
	for _, c := range f.state.chunks {
		r := c.get()
		for i := range r.recs {
			m := &r.recs[i]
			file := files.find(view(r.names[m.nameOff : m.nameOff+uint32(m.baseLen)]))
			if file == nil {
				if absenceCounts {
					gone = append(gone, m.uid)
				}
				continue
			}
			file.uid = m.uid
			if ino := r.facts[i].ino.Load(); ino != 0 && ino != file.ino {
				r.facts[i].doubt()
			}
			same := !file.odd && file.dir == r.dirOf(i) && view(files.nameOf(file)) == view(r.names[m.nameOff:m.nameOff+uint32(m.nameLen)])
			if !same {
				f.odd[r.base(i)] = files.presenceOf(file)
			}
		}
	}
	files.each(func(file *listed) {
		if file.uid == 0 {
			f.fresh[string(files.baseOf(file))] = files.presenceOf(file)
		}
	})
	if len(gone) > 0 && !f.watched.Load() {
		// A file that went to new/ and came back between the readings was in none of them.
		if gone, err = f.stillGoneLocked(ctx, gone); err != nil {
			return err
		}
	}
	f.followRenamesLocked()
	f.dropLocked(gone)
	return nil
}

// stillGoneLocked looks once more for messages that a scan has not found.
func (f *Folder) stillGoneLocked(ctx context.Context, gone []uint32) ([]uint32, error) {
	files, absenceCounts, err := f.readUnwatched(ctx)
	if err != nil {
		return nil, err
	}
	still := gone[:0]
	for _, uid := range gone {
		ci, ri, ok := f.state.locate(uid)
		if !ok {
			continue
		}
		base := f.state.chunks[ci].get().base(ri)
		switch file := files.find(base); {
		case file != nil:
			f.odd[base] = files.presenceOf(file)
		case absenceCounts:
			still = append(still, uid)
		}
	}
	return still, nil
}

// sleep waits, or returns ctx's error.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
