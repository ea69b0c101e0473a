package maildir

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"
)

// This file keeps a folder's state exact while others rename its files. The
// rules, which the storm test holds it to:
//
//  1. new/ and cur/ are watched before they are first read.
//  2. An event sets or clears exactly its name; the event of an own change is
//     expected and passed over.
//  3. A flag change learnt from an event is told only if the name is there now.
//  4. A base name with no name present is in doubt, not expunged.
//  5. A barrier (watch.go) proves that all earlier events have been seen.
//  6. In doubt before a barrier, without any name since, and not on disk: expunged.
//     (A name that came and went meanwhile may be half of the next rename.)
//  7. A scan's answer holds for the names that no event touched from before the
//     reading began until a barrier after it ended.
//  8. Lost events make the folder dirty: no expunge until a whole scan.
//  9. Without events each directory is read in one system call, in the order new,
//     cur, new: absent from all means expunged.
//  10. Where even that is not to be had, absence counts only if the directories'
//     times stood still meanwhile.

// assignRetry is how long a failed attempt to give UIDs rests.
const assignRetry = 2 * time.Second

// watchAfter is how long a folder that was opened with little work waits for events to be asked
// for: what happens meanwhile is told then.
const watchAfter = 50 * time.Millisecond

// completeAfter is when a folder that was opened from its index reads the rest of it: later than a
// session that only counts is over.
const completeAfter = 250 * time.Millisecond

// pump keeps the state up to date until ctx ends.
func (f *Folder) pump(ctx context.Context) {
	defer close(f.done)
	var watch, complete <-chan time.Time
	if !f.watched.Load() && f.store.watch != nil {
		watch = time.After(watchAfter)
	}
	if f.index != nil {
		complete = time.After(completeAfter)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-watch:
			watch = nil
			f.mu.Lock()
			f.startWatchingLocked()
			f.settleLocked(ctx)
			f.mu.Unlock()
			continue
		case <-complete:
			complete = nil
			f.completeIndex(f.index)
			continue
		case <-f.queue.wake:
		}
		look := f.queue.takeLook()
		if look {
			f.sweep()
		}
		f.mu.Lock()
		if f.gone {
			f.mu.Unlock()
			continue
		}
		if look && !f.stillThere() {
			f.vanishLocked()
			f.mu.Unlock()
			continue
		}
		if f.damaged.Swap(false) {
			f.dirty = true
			f.more.doubt()
		}
		if look {
			f.checkMoreLocked(ctx)
		}
		if look && (!f.watched.Load() || f.dirty) {
			f.refreshLocked(ctx)
		} else {
			f.settleLocked(ctx)
		}
		if look && f.hasTwins() && f.writable {
			f.tidyTwinsLocked(ctx)
		}
		if look && f.store.opt.Clock().Sub(f.savedAt) >= saveInterval {
			f.saveIndexLocked(ctx)
		}
		f.mu.Unlock()
	}
}

// tidyTwinsLocked separates files that share a base name.
func (f *Folder) tidyTwinsLocked(ctx context.Context) {
	lock, err := f.lockList(ctx)
	if err != nil {
		return // the next look tries again
	}
	did := f.separateTwinsLocked()
	lock.unlock()
	if did {
		f.settleLocked(ctx)
	}
}

// Sync returns a snapshot that holds everything others did before the call.
// ErrGone when the folder's path no longer leads here.
func (f *Folder) Sync(ctx context.Context) (*Snapshot, error) {
	if f.Snapshot().gone {
		return f.Snapshot(), ErrGone
	}
	if !f.stillThere() {
		f.vanish()
		return f.Snapshot(), ErrGone
	}
	given := f.givenByOthers()
	if f.watched.Load() {
		if err := f.barrier(ctx); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.refreshLocked(ctx); err != nil {
		return nil, err
	}
	if given > f.modSeq {
		// Another process told it, and all it was told for is seen now.
		f.modSeq, f.untold.any = given, true
		f.tellLocked(false)
	}
	if f.gone {
		return f.Snapshot(), ErrGone
	}
	return f.Snapshot(), nil
}

// noSuchName cannot be a message's: programs hide their files with a dot.
const noSuchName = ".postroom-barrier"

// barrier is rule 5. The removals take the directories' locks, so a rename that
// is half done in the kernel has queued its events when they return.
func (f *Folder) barrier(ctx context.Context) error {
	f.new.remove(noSuchName)
	f.cur.remove(noSuchName)
	return f.store.watch.barrier(ctx)
}

// refreshLocked brings the state up to date; a watched folder's caller has passed a barrier.
func (f *Folder) refreshLocked(ctx context.Context) error {
	if f.gone {
		return ErrGone
	}
	if !f.watched.Load() {
		if err := f.pollLocked(ctx); err != nil {
			return err
		}
	}
	if err := f.checkListLocked(ctx); err != nil {
		f.fail("reading the uid list", err)
	}
	f.checkMoreLocked(ctx)
	return f.settleLocked(ctx)
}

// settleLocked applies what events said, and publishes what came of it.
func (f *Folder) settleLocked(ctx context.Context) error {
	for {
		f.drainLocked()
		if f.dirty {
			if err := f.rescanLocked(ctx); err != nil {
				f.fail("reading the folder", err)
				return err
			}
			continue
		}
		if err := f.followLocked(ctx); err != nil {
			return err
		}
		if f.dirty {
			continue
		}
		err := f.assignLocked(ctx, false)
		if f.untold.any || f.Snapshot().arriving > 0 {
			f.tellLocked(false)
		}
		if errors.Is(err, ErrNoSpace) || errors.Is(err, ErrBusy) {
			return nil // logged; what has a UID is served all the same, and it is tried again
		}
		return err
	}
}

// followLocked follows the renames that were drained, and expunges what is gone, for which it passes a barrier (rules 4 to 6).
func (f *Folder) followLocked(ctx context.Context) error {
	f.followRenamesLocked()
	doubts := f.doubtLocked()
	if len(doubts) == 0 || !f.watched.Load() {
		return nil
	}
	if err := f.barrier(ctx); err != nil {
		return err
	}
	f.drainLocked()
	if f.dirty {
		return nil
	}
	f.followRenamesLocked()
	f.expungeDoubtfulLocked(doubts)
	return nil
}

// drainLocked applies the waiting events to the sets of present names.
func (f *Folder) drainLocked() {
	for {
		events, overflow := f.queue.take(f.spare)
		f.spare = events
		if overflow {
			f.dirty = true
			clear(f.expected)
			return
		}
		if len(events) == 0 {
			return
		}
		for _, e := range events {
			if n := f.expected[e]; n > 0 {
				if n == 1 {
					delete(f.expected, e)
				} else {
					f.expected[e] = n - 1
				}
				continue
			}
			f.setPresentLocked(place{e.dir, e.name}, e.created)
		}
	}
}

// expectLocked announces the event of an own change that has been made.
func (f *Folder) expectLocked(s subdir, name string, created bool) {
	if f.watched.Load() {
		f.expected[event{s, created, name}]++
	}
}

// setPresentLocked notes that a name is there, or is not.
func (f *Folder) setPresentLocked(at place, present bool) {
	base := baseOf(at.name)
	uid, ci, ri, known := f.lookupBase(base)
	if !known {
		p := f.fresh[base]
		if p == nil {
			if !present {
				return
			}
			p = &presence{delivered: at.dir == inNew}
			f.fresh[base] = p
		}
		p.set(at, present) // without a name it may be on its way to another: see dropVanishedFresh
		return
	}
	p, now := f.odd[base], f.currentPlace(ci, ri)
	if present && now == at {
		// Perhaps another file was put in its place.
		f.state.chunks[ci].get().facts[ri].doubt()
	}
	if p == nil {
		if (now == at) == present {
			return
		}
		p = &presence{places: []place{now}}
		f.odd[base] = p
	}
	p.set(at, present)
	p.other = p.other || flagsOf(at.name) != flagsOf(now.name)
	if len(p.places) == 1 && p.places[0] == now {
		delete(f.odd, base)
		if p.other { // another process may have told its clients
			f.touchLocked([]uint32{uid})
		}
	}
}

// followRenamesLocked gives records the names their files have now (rule 3).
func (f *Folder) followRenamesLocked() {
	var flagged []uint32 // UIDs whose flags changed
	for base, p := range f.odd {
		uid, ci, ri, ok := f.lookupBase(base)
		if !ok {
			delete(f.odd, base)
			continue
		}
		if len(p.places) == 0 || p.has(f.currentPlace(ci, ri)) {
			continue
		}
		at := p.places[len(p.places)-1]
		if !f.isMessage(at) {
			continue // a later event tells where it went
		}
		f.untold.any = true
		if f.renameRecordLocked(ci, ri, at) || p.other {
			flagged = append(flagged, uid)
			p.other = false
		}
		if len(p.places) == 1 {
			delete(f.odd, base)
		}
	}
	f.touchLocked(flagged)
}

// isMessage tells whether there is a regular file at a place.
func (f *Folder) isMessage(at place) bool {
	fi, err := f.dirOf(at.dir).stat(at.name)
	return err == nil && fi.Mode().IsRegular()
}

// renameRecordLocked notes a message's new name and tells whether flags
// changed with it.
func (f *Folder) renameRecordLocked(ci, ri int, at place) bool {
	c := f.state.own(ci)
	if fullBase(c.name(ri)) != fullBase(at.name) {
		f.list.untidy = true // the list must be told the new name
	}
	c.setName(ri, at.name)
	r := &c.recs[ri]
	flags := flagsOf(at.name)
	f.nameLettersLocked(flags)
	old := r.flags &^ flagNew
	r.flags = flags
	if at.dir == inNew {
		r.flags |= flagNew
	}
	return old != flags
}

// nameLettersLocked sees to it that every letter in use has a keyword.
func (f *Folder) nameLettersLocked(flags Flags) {
	if f.kw.missing(flags) == 0 {
		return
	}
	if kw, seen, err := readKeywords(f.home); err == nil && seen != f.kwSeen {
		f.kw, f.kwSeen = kw.withMore(f.kw.more), seen // another program has named it
	}
	f.kw = f.kw.withUnknown(flags)
}

// doubtLocked gives the messages with no name present, by base.
func (f *Folder) doubtLocked() map[string]doubt {
	var doubts map[string]doubt
	for base, p := range f.odd {
		if d, ok := p.doubt(); ok {
			if doubts == nil {
				doubts = make(map[string]doubt)
			}
			doubts[base] = d
		}
	}
	return doubts
}

// expungeDoubtfulLocked is rule 6, for what was in doubt before the barrier that has been passed. Looking on disk as well costs one call for
// each expunged message and guards against an event that was not this folder's.
func (f *Folder) expungeDoubtfulLocked(doubts map[string]doubt) {
	var gone []uint32
	for base, d := range doubts {
		p := f.odd[base]
		uid, ci, ri, ok := f.lookupBase(base)
		if p == nil || !d.settled(p) || !ok {
			continue
		}
		if at := f.currentPlace(ci, ri); f.isMessage(at) {
			delete(f.odd, base)
			continue
		}
		gone = append(gone, uid)
	}
	f.dropLocked(gone)
}

// dropLocked takes messages whose files are gone out of the state.
func (f *Folder) dropLocked(uids []uint32) {
	if f.moving != nil {
		uids = slices.DeleteFunc(uids, f.moving.leaving)
	}
	if len(uids) == 0 {
		return
	}
	slices.Sort(uids)
	for _, uid := range uids {
		if ci, ri, ok := f.state.locate(uid); ok {
			base := f.state.chunks[ci].get().base(ri)
			f.more.release(base, f.state.chunks[ci].get().extra[uid])
			f.bases.remove(base, uid)
			delete(f.odd, base)
		}
	}
	f.state.remove(uids)
	f.goneLocked(uids...)
}

// pollLocked looks for changes where there are no events. Directories that
// stood still since before the last scan need no reading.
func (f *Folder) pollLocked(ctx context.Context) error {
	sn, err1 := f.new.stamp()
	sc, err2 := f.cur.stamp()
	if err := errors.Join(err1, err2); err != nil {
		return wrapSys("stat", f.name, err)
	}
	now := f.store.opt.Clock()
	if f.scanned == [2]stamp{sn, sc} && (f.proved || sn.old(now) && sc.old(now)) {
		return nil
	}
	return f.rescanLocked(ctx)
}

// checkListLocked sees whether another program gave UIDs, and follows.
func (f *Folder) checkListLocked(ctx context.Context) error {
	if !f.list.persisted || !f.sticky {
		return nil
	}
	fi, err := f.home.stat(uidlistName)
	if err == nil && stampOf(fi) == f.list.stamp {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return wrapSys("stat", uidlistName, err)
	}
	if !f.writable {
		return f.rereadListLocked(ctx)
	}
	lock, err := f.lockList(ctx)
	if err != nil {
		return err
	}
	defer lock.unlock()
	return f.readTailLocked(ctx)
}
