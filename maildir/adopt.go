package maildir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
)

// found is a message of the uid list whose file is there.
type found struct {
	uid     uint32
	virtual int64 // octets with CRLF line ends, as the list has it; -1 unknown
	file    *listed
}

// adoptLocked builds the first state from the files found and the uid list.
// past is what the index knows, nil without one. Unless the tree is read-only the
// caller holds the list's lock.
func (f *Folder) adoptLocked(ctx context.Context, files *listing, past *prior) error {
	recs, err := f.matchLocked(files)
	if err != nil {
		return err
	}
	recs = f.mendListLocked(recs, files, past)
	if past != nil && (past.file.sum.uidValidity != f.list.uidValidity || past.file.sum.guid != f.list.guid) {
		past = nil
	}
	recs = f.withoutReturned(recs, past)
	unlisted := make([]*listed, 0, len(files.files)-len(recs))
	files.each(func(file *listed) {
		if file.uid == 0 {
			unlisted = append(unlisted, file)
		}
	})
	if err := f.validityLocked(len(unlisted) > 0); err != nil {
		return err
	}
	f.loadMoreLocked(past)
	letters := f.restoreLocked(recs, files, past)
	f.kw = f.kw.withUnknown(letters)
	if err := f.admitLocked(ctx, files, unlisted); errors.Is(err, ErrNoSpace) {
		f.fail("giving UIDs to new messages", err) // what has a UID is served all the same
	} else if err != nil {
		return err
	}
	if f.writable && (f.list.untidy || !f.list.persisted) {
		if err := f.rewriteListLocked(nil); err != nil && !errors.Is(err, ErrNoSpace) {
			return err
		}
	}
	f.giveNumbersLocked(f.allotLocked(f.untold.count()))
	f.publishLocked()
	return nil
}

// matchLocked reads the uid list and gives its records that have a file, ascending.
func (f *Folder) matchLocked(files *listing) ([]found, error) {
	var recs []found
	untidy := false
	list, err := f.readList(func(r uidRecord) {
		file := files.find(r.base)
		if file == nil {
			return
		}
		untidy = untidy || file.uid != 0 || fullBase(view(files.nameOf(file))) != r.name // of two lines the later counts
		file.uid = r.uid
		m := found{uid: r.uid, virtual: -1, file: file}
		if w, ok := r.field('W'); ok {
			m.virtual = parseSize(w)
		}
		if recs == nil { // not before: at first sight there is no list
			recs = make([]found, 0, len(files.files))
		}
		recs = append(recs, m)
	})
	if err != nil && !errors.Is(err, ErrDamaged) {
		return nil, err
	}
	if err != nil {
		// No UID in the file can be trusted: a new UIDVALIDITY says so to all clients.
		f.log.Error("the uid list is damaged: new UIDs are given", "error", err)
		for _, r := range recs {
			r.file.uid = 0
		}
		f.list = uidList{}
		return nil, nil
	}
	f.list = list
	f.list.untidy = list.untidy || untidy
	recs = slices.DeleteFunc(recs, func(r found) bool { return r.file.uid != r.uid })
	byUID := func(a, b found) int { return cmp.Compare(a.uid, b.uid) }
	if !slices.IsSortedFunc(recs, byUID) {
		slices.SortStableFunc(recs, byUID)
	}
	kept := recs[:0]
	for _, r := range recs {
		switch last := len(kept) - 1; {
		case last < 0 || kept[last].uid != r.uid:
			kept = append(kept, r)
		case kept[last].file != r.file:
			r.file.uid = 0 // two names, one UID: the second gets its own
			f.list.untidy = true
		}
	}
	return kept, nil
}

// withoutReturned leaves out messages that clients were told are expunged, and that somebody has put
// back: they get new UIDs, since no client looks for an old one any more.
func (f *Folder) withoutReturned(recs []found, past *prior) []found {
	if past == nil {
		return recs
	}
	walk := prior{file: past.file, chunks: past.chunks}
	return slices.DeleteFunc(recs, func(r found) bool {
		if r.uid >= past.file.sum.uidNext {
			return false
		}
		if old, _ := walk.find(r.uid); old != nil {
			return false
		}
		r.file.uid = 0
		f.list.untidy = true
		return true
	})
}

// restoreLocked adds the messages of the uid list to the state, with the MODSEQs that the
// index has for those that are unchanged; the others, or all without one, get a new
// one, above all that were told.
func (f *Folder) restoreLocked(recs []found, files *listing, past *prior) (letters Flags) {
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
		m := f.messageOf(files, r.file)
		m.uid, m.size, m.extra = r.uid, r.virtual, f.more.claim(view(files.baseOf(r.file)))
		if old, i := past.find(r.uid); old == nil {
			m.modSeq = fresh()
		} else if m.recall(old, i, r.file.ino); old.recs[i].flags&^flagNew != m.flags&^flagNew || !sameWords(old.extra[r.uid], m.extra) {
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

// firstName is a name of a file, as a view into the listing.
func (l *listing) firstName(f *listed) string {
	if f.odd {
		return l.several[view(l.baseOf(f))].first().name
	}
	return view(l.nameOf(f))
}

// messageOf makes a message of a file that was found. Its name is a view into the listing.
func (f *Folder) messageOf(files *listing, file *listed) newMessage {
	m := newMessage{name: view(files.nameOf(file)), size: -1, ino: file.ino}
	dir := file.dir
	if file.odd {
		p := files.presenceOf(file)
		m.name, dir = p.first().name, p.first().dir
		if len(p.places) > 1 {
			f.odd[string(files.baseOf(file))] = p
		}
	}
	m.flags = flagsOf(m.name)
	if dir == inNew {
		m.flags |= flagNew
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
}

// admitLocked gives UIDs to the files that the list does not name, in the order of their arrival.
func (f *Folder) admitLocked(ctx context.Context, files *listing, unlisted []*listed) error {
	const few = 64 // that many may take the way of single deliveries
	if !f.writable || len(unlisted) < few {
		for _, file := range unlisted {
			f.fresh[string(files.baseOf(file))] = files.presenceOf(file)
		}
		return f.assignLocked(ctx, true)
	}
	if uint64(f.list.next())+uint64(len(unlisted)) > maxUID {
		return fmt.Errorf("UIDs are used up: %w", ErrTooMany)
	}
	sortByArrival(files, unlisted)
	from := f.list.next()
	var letters Flags
	for i, file := range unlisted {
		m := f.messageOf(files, file)
		m.uid, m.modSeq = from+uint32(i), unnumbered
		letters |= m.flags & allLetters
		f.state.append(m)
	}
	if err := f.recordFromLocked(from); err != nil {
		f.state.cutFrom(from)
		for _, file := range unlisted {
			base := string(files.baseOf(file))
			f.fresh[base] = files.presenceOf(file)
			delete(f.odd, base)
		}
		return err
	}
	number := f.allotLocked(1) + 1 // one for all: they came at once, as far as anybody knows
	f.state.eachFrom(from, func(r *records, i int) {
		m := &r.recs[i]
		m.modSeq = number
		r.setExtra(m.uid, f.more.claim(view(r.names[m.nameOff:m.nameOff+uint32(m.baseLen)])))
	})
	f.nameLettersLocked(letters)
	return nil
}

// sortByArrival orders files as their names say that they came.
func sortByArrival(files *listing, unlisted []*listed) {
	type arrived struct {
		key uint64 // orders as the arrival does, but for what is too large for it
		at  uint32 // in unlisted; no pointer, so that sorting moves plain numbers
	}
	base := func(a arrived) string { return view(files.baseOf(unlisted[a.at])) }
	order := make([]arrived, len(unlisted))
	for i, file := range unlisted {
		order[i] = arrived{arrivalOf(view(files.baseOf(file))).key(), uint32(i)}
	}
	slices.SortFunc(order, func(a, b arrived) int {
		switch {
		case a.key < b.key:
			return -1
		case a.key > b.key:
			return 1
		}
		return compareArrivals(base(a), base(b))
	})
	sorted := make([]*listed, len(unlisted))
	for i := range order {
		sorted[i] = unlisted[order[i].at]
	}
	copy(unlisted, sorted)
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
