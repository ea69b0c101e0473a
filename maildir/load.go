package maildir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// modSeqStep is how far the mark in the uid list is set ahead of the highest
// MODSEQ, so that it is rarely written.
const modSeqStep = 1 << 20

// loadOnce reads the folder for the first time and starts its pump.
func (f *Folder) loadOnce(ctx context.Context) {
	f.once.Do(func() {
		f.mu.Lock()
		f.loadErr = f.loadLocked(ctx)
		f.mu.Unlock()
		if f.loadErr != nil {
			f.store.mu.Lock()
			if f.tree.folders[f.dirName] == f {
				delete(f.tree.folders, f.dirName) // the next Open tries again
			}
			f.store.mu.Unlock()
		} else {
			var pctx context.Context
			pctx, f.stop = context.WithCancel(f.store.ctx)
			f.done = make(chan struct{})
			go f.pump(pctx)
		}
		close(f.loaded)
	})
}

func (f *Folder) loadLocked(ctx context.Context) error {
	if err := f.openDirs(); err != nil {
		return err
	}
	f.watched = f.watch()
	f.savedAt = f.store.opt.Clock() // nothing to save for a while
	kw, seen, err := readKeywords(f.home)
	if err != nil {
		return err
	}
	f.kw, f.kwSeen = kw, seen
	past := f.readIndex()
	if past != nil {
		if f.warmLocked(past) {
			return nil
		}
		defer past.file.close()
	}
	// Locked before the scan: whoever records a UID has its file in place before, so every
	// record that the list then has is of a file that the scan sees, or of one that is gone.
	f.writable, f.sticky = true, true
	lock, err := f.lockList(ctx)
	switch {
	case errors.Is(err, ErrReadOnly):
		f.writable = false
	case err != nil:
		return err
	default:
		defer lock.unlock()
	}
	files, err := f.readFiles(ctx)
	if err != nil {
		return err
	}
	return f.adoptLocked(ctx, files, past)
}

func (f *Folder) lockList(ctx context.Context) (*dotlock, error) {
	return f.store.lock.lock(ctx, f.home, uidlistName)
}

// openDirs opens the folder's directories; missing ones are made.
func (f *Folder) openDirs() (err error) {
	top := f.tree.top
	if f.dirName == inboxDir {
		f.home, err = top.openDir(".")
	} else {
		f.home, err = top.openDir(f.dirName)
	}
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%q: %w", f.name, ErrNoFolder)
		}
		return wrapSys("open", f.name, err)
	}
	for _, sub := range []struct {
		name string
		dir  **dir
	}{{"tmp", &f.tmp}, {"new", &f.new}, {"cur", &f.cur}} {
		*sub.dir, err = f.home.openDir(sub.name)
		if errors.Is(err, fs.ErrNotExist) {
			if err = f.home.mkdir(sub.name); err == nil || errors.Is(err, fs.ErrExist) {
				*sub.dir, err = f.home.openDir(sub.name)
			}
		}
		if err != nil {
			return wrapSys("open", f.tree.fullPath(f.dirName)+"/"+sub.name, err)
		}
	}
	return nil
}

// watch asks for events; without them the folder is polled.
func (f *Folder) watch() bool {
	w := f.store.watch
	if w == nil || w.add(f.new, f.queue, inNew) != nil {
		return false
	}
	if w.add(f.cur, f.queue, inCur) != nil {
		w.drop(f.new, f.queue)
		return false
	}
	return true
}

// adoptLocked builds the first state from the files found and the uid list.
// past is what the index knows, nil without one. Unless the tree is read-only the
// caller holds the list's lock.
func (f *Folder) adoptLocked(ctx context.Context, files map[string]*presence, past *prior) error {
	known := make(map[string]uidRecord, len(files))
	list, err := f.readList(func(r uidRecord) {
		if _, ok := files[r.base]; ok {
			if _, twice := known[r.base]; twice {
				f.list.untidy = true // the later line counts
			}
			known[r.base] = r
		}
	})
	if err != nil && !errors.Is(err, ErrDamaged) {
		return err
	}
	if err != nil {
		// No UID in the file can be trusted: a new UIDVALIDITY says so to all clients.
		f.log.Error("the uid list is damaged: new UIDs are given", "error", err)
		clear(known)
		list = uidList{}
	}
	list.untidy = list.untidy || f.list.untidy
	f.list = list
	if err := f.validityLocked(len(known) < len(files)); err != nil {
		return err
	}
	recs := make([]uidRecord, 0, len(files))
	for base := range files {
		if r, ok := known[base]; ok {
			recs = append(recs, r)
		}
	}
	slices.SortFunc(recs, byUID)
	recs = slices.CompactFunc(recs, func(a, b uidRecord) bool {
		if a.uid != b.uid {
			return false
		}
		delete(known, b.base) // two names, one UID: the second gets its own
		f.list.untidy = true
		return true
	})
	letters := f.restoreLocked(recs, files, past)
	for base, p := range files {
		if _, ok := known[base]; !ok {
			f.fresh[base] = p
		}
	}
	f.kw = f.kw.withUnknown(letters)
	if err := f.assignLocked(ctx, true); errors.Is(err, ErrNoSpace) {
		f.fail("giving UIDs to new messages", err) // what has a UID is served all the same
	} else if err != nil {
		return err
	}
	if f.writable && (f.list.untidy || !f.list.persisted) {
		if err := f.rewriteListLocked(nil); err != nil && !errors.Is(err, ErrNoSpace) {
			return err
		}
	}
	f.publishLocked()
	return nil
}

// restoreLocked adds the messages of the uid list to the state, with the MODSEQs that the
// index has for those that are unchanged; the others, or all without one, get a new
// one, above all that were told.
func (f *Folder) restoreLocked(recs []uidRecord, files map[string]*presence, past *prior) (letters Flags) {
	if past != nil && (past.file.sum.uidValidity != f.list.uidValidity || past.file.sum.guid != f.list.guid) {
		past = nil
	}
	var drawn uint64
	fresh := func() uint64 {
		if drawn == 0 {
			drawn = f.allotLocked(1) + 1
		}
		return drawn
	}
	if past == nil {
		f.firstModSeqLocked(0)
		f.history.floor = fresh()
	} else {
		f.firstModSeqLocked(past.file.sum.modSeq)
	}
	for _, r := range recs {
		p := files[r.base]
		m := f.known(r, p)
		if old, i := past.find(r.uid); old == nil {
			m.modSeq = fresh()
		} else if m.recall(old, i, p.ino); old.recs[i].flags&^flagNew != m.flags&^flagNew {
			m.modSeq = fresh()
		}
		letters |= m.flags & allLetters
		f.state.append(m)
	}
	if past != nil {
		f.rememberLocked(past, recs, f.list.next(), fresh)
	}
	return letters
}

// readList reads Dovecot's list, or adopts Courier's.
func (f *Folder) readList(each func(uidRecord)) (uidList, error) {
	l, err := readUIDList(f.home, uidlistName, each)
	if err != nil || l.persisted {
		return l, err
	}
	if l, err = readUIDList(f.home, courierUIDDB, each); err != nil || !l.persisted {
		return uidList{}, nil // unreadable or none: the folder is new to us
	}
	l.persisted, l.untidy = false, true
	return l, nil
}

// validityLocked sees to it that there is a UIDVALIDITY.
func (f *Folder) validityLocked(unlisted bool) error {
	now := f.store.opt.Clock()
	if !f.writable && (unlisted || f.list.uidValidity == 0) {
		// Nothing can be written: these UIDs hold for as long as the folder is open, and clients are told so.
		f.list = uidList{uidHeader: uidHeader{uidValidity: uint32(now.Unix()), uidNext: max(f.list.next(), 1), guid: newGUID()}}
		f.sticky = false
		return nil
	}
	if f.list.uidValidity != 0 {
		return nil
	}
	v, err := nextUIDValidity(f.tree.top, now)
	if err != nil {
		return err
	}
	f.list.uidHeader = uidHeader{uidValidity: v, uidNext: 1, guid: newGUID()}
	return nil
}

// known makes a message of a record of the uid list and its file.
func (f *Folder) known(r uidRecord, p *presence) newMessage {
	at := p.places[0]
	m := newMessage{uid: r.uid, name: at.name, flags: flagsOf(at.name), size: -1, ino: p.ino}
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

// recall takes over what was known of the message. Another inode is another
// file: a restored one has the same content, if it has the same size, but perhaps not the date.
func (m *newMessage) recall(old *records, i int, ino uint64) {
	m.modSeq = old.recs[i].modSeq
	k := &old.facts[i]
	if n := k.size.Load(); n != 0 {
		m.size = n - 1
	}
	m.disk = k.disk.Load()
	if k.ino.Load() == ino {
		m.date = k.date.Load()
	}
	m.extra = old.extra[m.uid]
}

func parseSize(s string) int64 {
	digits, rest := leadingDigits(s)
	if digits == "" || rest != "" || len(digits) > 18 {
		return -1
	}
	n := int64(0)
	for _, c := range digits {
		n = n*10 + int64(c-'0')
	}
	return n
}

// addLocked appends a message to the state; its UID is above all others.
func (f *Folder) addLocked(m newMessage) {
	f.state.append(m)
	f.bases.add(baseOf(m.name), m.uid)
}

// rewriteListLocked writes the whole list: the records of all messages, with
// what other programs noted about them, and more. The caller holds the lock.
func (f *Folder) rewriteListLocked(more []uidRecord) error {
	ext := make(map[string]uidRecord)
	if f.list.persisted {
		// An error here loses notes of other programs, not UIDs: those are in the state.
		readUIDList(f.home, uidlistName, func(r uidRecord) {
			if r.ext != "" {
				ext[r.base] = r
			}
		})
	}
	recs := make([]uidRecord, 0, f.state.n+len(more))
	for _, c := range f.state.chunks {
		msgs := c.get()
		for i := range msgs.recs {
			r := uidRecord{uid: msgs.recs[i].uid, base: msgs.base(i), name: fullBase(msgs.name(i))}
			if noted, ok := ext[r.base]; ok && noted.uid == r.uid {
				r.ext = noted.ext
			}
			recs = append(recs, r)
		}
	}
	listed := make(map[string]bool, len(more))
	for _, r := range more {
		listed[r.base] = true
	}
	for _, r := range f.adopted {
		if !listed[r.base] {
			recs = append(recs, r)
		}
	}
	recs = append(recs, more...)
	slices.SortFunc(recs, byUID)
	if n := len(recs); n > 0 {
		f.list.lastUID = max(f.list.lastUID, recs[n-1].uid)
	}
	return f.list.rewrite(f.home, recs)
}

// unixNano is a time in nanoseconds since 1970.
func unixNano(n int64) time.Time { return time.Unix(0, n) }
