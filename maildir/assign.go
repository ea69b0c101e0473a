package maildir

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// assignLocked gives UIDs to the messages that have none. locked means that
// the caller holds the list's lock (or that nothing can be written).
func (f *Folder) assignLocked(ctx context.Context, locked bool) error {
	f.dropVanishedFresh()
	if len(f.fresh) == 0 {
		return nil
	}
	if !locked && f.writable {
		f.announceLocked()
	}
	f.readMoreLocked(true) // what they are to have; a failure was told when the folder was read
	if !f.writable {
		return f.assignReadOnlyLocked(ctx)
	}
	if now := f.store.opt.Clock(); !locked && now.Before(f.retryAt) {
		return nil
	}
	err := f.assignWritableLocked(ctx, locked)
	f.arriving = 0 // they are counted in the state now, and who got no UID is not announced any more
	if err != nil && !locked {
		f.fail("giving UIDs to new messages", err)
		f.retryAt = f.store.opt.Clock().Add(assignRetry)
	} else if err == nil {
		f.retryAt = time.Time{}
	}
	return err
}

// dropVanishedFresh forgets new names that are not there any more. Of a file that
// another program has given a UID, no name must be forgotten because it has just
// been renamed: it would get a second UID.
func (f *Folder) dropVanishedFresh() {
	for base, p := range f.fresh {
		if _, ok := f.adopted[base]; ok {
			continue
		}
		for len(p.places) > 0 && !f.isMessage(p.places[len(p.places)-1]) {
			p.places = p.places[:len(p.places)-1]
		}
		if len(p.places) == 0 {
			delete(f.fresh, base)
		}
	}
}

func (f *Folder) assignWritableLocked(ctx context.Context, locked bool) error {
	if !locked {
		lock, err := f.lockList(ctx)
		if err != nil {
			return err
		}
		defer lock.unlock()
		if err := f.readTailLocked(ctx); err != nil {
			return err
		}
	}
	before := f.list.next()
	recs := f.arrivals()
	if len(recs) == 0 {
		return nil
	}
	own := recs
	for len(own) > 0 && own[0].uid < before {
		own = own[1:] // given by another program already
	}
	if len(own) > 0 && uint64(before)+uint64(len(own)) > maxUID {
		return fmt.Errorf("UIDs are used up: %w", ErrTooMany)
	}
	if err := f.recordLocked(own); err != nil {
		return err
	}
	var letters Flags
	for _, r := range recs {
		letters |= f.addKnown(r)
	}
	f.nameLettersLocked(letters)
	if !locked {
		f.sayArrived(recs)
		f.claimArrivedLocked(ctx, recs)
	}
	return nil
}

// addKnown makes a new message that has its record in the list part of the state, and gives its letters.
func (f *Folder) addKnown(r uidRecord) Flags {
	m := f.known(r, f.fresh[r.base])
	f.addLocked(m)
	delete(f.fresh, r.base)
	if f.adopted[r.base].uid == r.uid {
		delete(f.adopted, r.base)
	} else {
		f.forgetRecordLocked(r.base) // it came too late: higher UIDs had been given
	}
	return m.flags & allLetters
}

// recordLocked makes new records durable, by an append if that will do.
func (f *Folder) recordLocked(recs []uidRecord) error {
	if len(recs) == 0 {
		return nil
	}
	if appends, err := f.beforeRecordsLocked(f.state.n + len(recs)); err != nil {
		return err
	} else if !appends {
		return f.rewriteListLocked(recs)
	}
	return f.list.appendRecords(f.home, recs)
}

// recordFromLocked makes durable the records of the messages of the state from a UID on.
func (f *Folder) recordFromLocked(from uint32) error {
	if appends, err := f.beforeRecordsLocked(f.state.n); err != nil {
		return err
	} else if !appends {
		return f.rewriteListLocked(nil)
	}
	var recs []uidRecord
	f.state.eachFrom(from, func(r *records, i int) {
		name := fullBase(r.name(i))
		recs = append(recs, uidRecord{uid: r.recs[i].uid, base: baseOf(name), name: name})
	})
	return f.list.appendRecords(f.home, recs)
}

// beforeRecordsLocked is what comes before new records; live is how many messages there are with them. appends tells
// whether the list can be added to: it must be written anew otherwise.
func (f *Folder) beforeRecordsLocked(live int) (appends bool, err error) {
	if err := f.listWritable(); err != nil {
		return false, err
	}
	if err := f.home.settle(); err != nil {
		return false, wrapSys("sync", f.name, err)
	}
	const tidyFrom = 100 // lines; below, stale ones are not worth a rewrite
	return f.list.persisted && !f.list.untidy && (f.list.lines < tidyFrom || live*4 > f.list.lines*3), nil
}

// arrivals gives the records for all new messages, ascending: first those for
// which another program has recorded a UID above all ours, then the rest in
// the order of their arrival.
func (f *Folder) arrivals() []uidRecord {
	var recs []uidRecord
	var rest []string
	last := f.lastUID()
	for base, p := range f.fresh {
		if len(p.places) == 0 {
			continue
		}
		if r, ok := f.adopted[base]; ok && r.uid > last {
			recs = append(recs, r)
		} else {
			rest = append(rest, base)
		}
	}
	slices.SortFunc(recs, byUID)
	slices.SortFunc(rest, compareArrivals)
	next := f.list.next()
	for _, base := range rest {
		recs = append(recs, uidRecord{uid: next, base: base, name: f.fresh[base].listName()})
		next++
	}
	return recs
}

// lastUID is the highest UID in the state.
func (f *Folder) lastUID() uint32 {
	if n := len(f.state.chunks); n > 0 {
		return f.state.chunks[n-1].last()
	}
	return 0
}

// sayArrived logs deliveries, one line each unless they are many.
func (f *Folder) sayArrived(recs []uidRecord) {
	const each = 10
	if len(recs) > each {
		f.log.Info("messages arrived", "count", len(recs), "last_uid", recs[len(recs)-1].uid)
		return
	}
	for _, r := range recs {
		f.log.Info("message arrived", "uid", r.uid)
	}
}

// assignReadOnlyLocked: in a tree that cannot be written, UIDs that hold only
// for now are given freely; where lasting ones are served, a new message waits for
// another program to give it one.
func (f *Folder) assignReadOnlyLocked(ctx context.Context) error {
	if f.sticky {
		if err := f.rereadListLocked(ctx); err != nil {
			return err
		}
	}
	var letters Flags
	for _, r := range f.arrivals() {
		if f.sticky {
			if a, ok := f.adopted[r.base]; !ok || a.uid != r.uid {
				continue
			}
		} else {
			f.list.lastUID = r.uid
		}
		letters |= f.addKnown(r)
	}
	f.nameLettersLocked(letters)
	return nil
}

// readTailLocked reads what other programs recorded since we last looked. The
// caller holds the list's lock. When such a record names a file that no event
// has told of yet, its event is under way: a barrier brings it.
func (f *Folder) readTailLocked(ctx context.Context) error {
	tail, from := make(map[string]uidRecord), f.list.next()
	if f.list.persisted && !f.listPinned() {
		return f.followListLocked(ctx, from)
	}
	replaced, err := f.list.readTail(f.home, func(r uidRecord) { tail[r.base] = r })
	if err != nil {
		return err
	}
	if replaced {
		return f.followListLocked(ctx, from)
	}
	return f.adoptRecordsLocked(ctx, tail, from)
}

// adoptRecordsLocked keeps the records of messages that are here or on their way; the others'
// files are gone already. from is the least UID that was unknown before.
func (f *Folder) adoptRecordsLocked(ctx context.Context, records map[string]uidRecord, from uint32) error {
	f.reassignedLocked(records)
	for base, r := range records {
		if _, _, _, known := f.lookupBase(base); !known {
			if was, ok := f.adopted[base]; ok && was.uid != r.uid {
				f.goneLocked(was.uid)
			}
			f.adopted[base] = r
		}
	}
	f.neverHereLocked(from)
	if err := f.awaitFilesLocked(ctx); err != nil {
		return err
	}
	f.dropVanishedFresh()
	return nil
}

// awaitFilesLocked waits until it is known of each adopted record whether its file is
// here, and forgets the others: no higher UID may be given before.
func (f *Folder) awaitFilesLocked(ctx context.Context) error {
	for range scanAttempts {
		waiting := f.awaitedLocked()
		if len(waiting) == 0 {
			return nil
		}
		if f.watched.Load() {
			if err := f.barrier(ctx); err != nil {
				return err
			}
			if f.drainLocked(); !f.dirty {
				f.forgetAwaitedLocked(waiting)
				continue
			}
		}
		if err := f.rescanLocked(ctx); err != nil {
			return err
		}
		if f.watched.Load() {
			continue
		}
		if err := f.lookForAwaitedLocked(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s: files are renamed all the time: %w", f.name, ErrBusy)
}

// awaitedLocked gives the adopted records whose files have no name now.
func (f *Folder) awaitedLocked() map[string]doubt {
	waiting := make(map[string]doubt)
	for base := range f.adopted {
		p := f.fresh[base]
		if p == nil {
			p = &presence{}
			f.fresh[base] = p
		}
		if d, ok := p.doubt(); ok {
			waiting[base] = d
		}
	}
	return waiting
}

// forgetAwaitedLocked forgets the records whose files have had no name all the time (rule 6).
func (f *Folder) forgetAwaitedLocked(waiting map[string]doubt) {
	for base, d := range waiting {
		if p := f.fresh[base]; p != nil && d.settled(p) {
			delete(f.fresh, base)
			f.forgetRecordLocked(base)
		}
	}
}

// lookForAwaitedLocked is for folders without events: what two scans have not found is gone.
func (f *Folder) lookForAwaitedLocked(ctx context.Context) error {
	waiting := f.awaitedLocked()
	if len(waiting) == 0 {
		return nil
	}
	if err := f.rescanLocked(ctx); err != nil {
		return err
	}
	for base := range waiting {
		if f.fresh[base] == nil {
			f.forgetRecordLocked(base)
		}
	}
	return nil
}

// reassignedLocked follows another program that gave a known message another
// UID: to clients, the old one is expunged and a new one has come.
func (f *Folder) reassignedLocked(records map[string]uidRecord) {
	var gone []uint32
	moved := make(map[string]*presence)
	for base, r := range records {
		uid, ci, ri, ok := f.lookupBase(base)
		if !ok || uid == r.uid {
			continue
		}
		p := f.odd[base]
		if p == nil {
			p = &presence{places: []place{f.currentPlace(ci, ri)}}
		}
		gone = append(gone, uid)
		moved[base] = p // without a name, if it is being renamed just now
	}
	if len(gone) > 0 {
		f.dropLocked(gone)
		f.log.Warn("another program gave messages new UIDs", "count", len(gone))
		for base, p := range moved {
			f.fresh[base] = p
		}
	}
}

// followListLocked reads a list that was replaced as a whole. Messages that it
// no longer names were given up by another program: they get new UIDs. from is the least UID
// that was unknown before.
func (f *Folder) followListLocked(ctx context.Context, from uint32) error {
	records := make(map[string]uidRecord)
	list, err := readUIDList(f.home, uidlistName, func(r uidRecord) { records[r.base] = r })
	if err != nil && !errors.Is(err, ErrDamaged) {
		return err
	}
	if err != nil || !list.persisted {
		// Lost or damaged under us: what we know is the truth, so write it again.
		f.log.Warn("the uid list was lost; it is written anew", "error", err)
		f.list.persisted = false
		return f.rewriteListLocked(nil)
	}
	if list.uidValidity != f.list.uidValidity {
		f.log.Warn("another program changed UIDVALIDITY", "from", f.list.uidValidity, "to", list.uidValidity)
		f.vanishLocked()
		return ErrGone
	}
	if list.next() < f.list.next() || f.listPinned() && list.stamp.fileID == f.list.stamp.fileID && list.consumed < f.list.consumed {
		// It was cut off: programs that take away records put another file in its place, and none takes back UIDs.
		f.log.Warn("the uid list has lost its end; it is written anew", "from_uid", list.next(), "to_uid", f.list.next()-1)
		f.list.persisted = false
		f.list.modSeqMark = max(f.list.modSeqMark, list.modSeqMark)
		return f.rewriteListLocked(nil)
	}
	mark := f.list.modSeqMark
	f.list = list
	f.pinListLocked()
	unlisted := make(map[string]uidRecord)
	for _, c := range f.state.chunks {
		r := c.get()
		for i := range r.recs {
			if base := r.base(i); records[base].uid == 0 {
				unlisted[base] = uidRecord{uid: maxUID} // any other than its own
			}
		}
	}
	f.reassignedLocked(unlisted)
	if err := f.adoptRecordsLocked(ctx, records, from); err != nil || list.modSeqMark >= mark {
		return err
	}
	// What was told may be above the mark now, and it was promised not to be.
	f.list.modSeqMark = mark
	if err := f.rewriteListLocked(nil); err != nil {
		f.list.modSeqMark = list.modSeqMark // raiseMarkLocked sees to it
		if !errors.Is(err, ErrNoSpace) {
			return err
		}
	}
	return nil
}

// rereadListLocked follows the list where no lock can be taken.
func (f *Folder) rereadListLocked(ctx context.Context) error {
	tail, from := make(map[string]uidRecord), f.list.next()
	replaced, err := f.list.readTail(f.home, func(r uidRecord) { tail[r.base] = r })
	if err == nil && replaced {
		f.vanishLocked() // the next Open reads it all
	}
	if err != nil || replaced {
		return err
	}
	return f.adoptRecordsLocked(ctx, tail, from)
}

// raiseMarkLocked keeps the mark in the list above every MODSEQ that clients
// hear of. It takes the list's lock itself.
func (f *Folder) raiseMarkLocked(ctx context.Context) error {
	if !f.modSeqOut || !f.writable {
		return nil
	}
	if f.modSeq <= f.list.modSeqMark {
		return wrapSys("sync", f.name, f.home.settle()) // else the mark is not there yet
	}
	lock, err := f.lockList(ctx)
	if err != nil {
		return err
	}
	defer lock.unlock()
	return f.writeMarkLocked(ctx)
}

// writeMarkLocked is raiseMarkLocked for a caller who holds the list's lock.
func (f *Folder) writeMarkLocked(ctx context.Context) error {
	if !f.modSeqOut || f.modSeq <= f.list.modSeqMark || !f.writable {
		return nil
	}
	if err := f.readTailLocked(ctx); err != nil {
		return err
	}
	return f.rewriteListLocked(nil)
}

// known makes a message of a record of the uid list and its places.
func (f *Folder) known(r uidRecord, p *presence) newMessage {
	at := p.first()
	m := newMessage{uid: r.uid, name: at.name, flags: flagsOf(at.name), size: -1, ino: p.ino, extra: f.more.claim(r.base)}
	if w, ok := r.field('W'); ok {
		m.size = parseSize(w)
	}
	if at.dir == inNew {
		m.flags |= flagNew
	}
	if len(p.places) > 1 {
		f.odd[r.base] = p
	}
	if fullBase(at.name) != r.name {
		f.list.untidy = true
	}
	return m
}
