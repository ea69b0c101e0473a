package maildir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// slice is how many files one hold of the locks changes: long enough to make
// locks and publications cheap, short enough for others to get their turn.
const slice = 500

// locateTries bounds how often a file is looked for that others keep renaming.
const locateTries = 10

// StoreOp says what STORE does with the flags it names.
type StoreOp int

// The forms of STORE: FLAGS, +FLAGS, -FLAGS.
const (
	StoreReplace StoreOp = iota
	StoreAdd
	StoreRemove
)

// Change is what one STORE asks for.
type Change struct {
	Op             StoreOp
	Flags          Flags // system flags
	Keywords       []string
	UnchangedSince *uint64 // nil: unconditional (RFC 7162 section 3.1.3)

	// What stays as it is whatever the rest says, also in a replacement: somebody may have the right to change
	// some flags only (RFC 4314 section 4). The zero value lets everything be changed.
	Keep         Flags // system flags
	KeepKeywords bool  // all keywords; none of Keywords is made known to the folder
}

// StoreResult tells what became of the UIDs that were not simply changed.
type StoreResult struct {
	Snapshot *Snapshot // holds the change
	Modified []uint32  // their MODSEQ is above UnchangedSince
	Missing  []uint32  // expunged meanwhile
}

// Store changes flags of messages, UIDs ascending. What has been done when an
// error comes stays done and is in the folder's snapshot.
func (f *Folder) Store(ctx context.Context, uids []uint32, ch Change) (StoreResult, error) {
	var res StoreResult
	if ch.KeepKeywords {
		ch.Keywords = nil
	}
	err := f.inSlices(ctx, uids, f.changedBy(uids, ch), func(part []uint32) error {
		mode := wordsAll
		if ch.Op == StoreRemove {
			mode = wordsKnown
		}
		w, err := f.wordsLocked(ctx, ch.Keywords, mode)
		if err != nil {
			return err
		}
		return f.storeSliceLocked(ctx, part, ch, w, &res)
	})
	if err == nil {
		err = f.syncTouched()
	}
	res.Snapshot = f.Snapshot()
	return res, err
}

// inSlices calls do for parts of uids, holding the folder's mutex and the
// list's lock, and publishes after each. files is how many of them it changes, about.
func (f *Folder) inSlices(ctx context.Context, uids []uint32, files int, do func(part []uint32) error) error {
	return f.bulk(files, func() error {
		for part := range slices.Chunk(uids, slice) {
			if err := f.changeLocked(ctx, func() error { return do(part) }); err != nil {
				return err
			}
		}
		return nil
	})
}

// changedBy counts the files that a change is going to rename, about.
func (f *Folder) changedBy(uids []uint32, ch Change) int {
	if len(ch.Keywords) > 0 || len(uids) < bulkLeast {
		return len(uids)
	}
	n := 0
	snap := f.Snapshot()
	for _, uid := range uids {
		if i, ok := snap.Find(uid); ok {
			now := snap.Flags(i)
			if ch.apply(now, 0) != now {
				n++
			}
		}
	}
	return n
}

// changeLocked takes the folder's mutex and the list's lock, calls do, and
// publishes what it did.
func (f *Folder) changeLocked(ctx context.Context, do func() error) error {
	end, err := f.beginChange(ctx)
	if err != nil {
		return err
	}
	defer end()
	err = do()
	f.tellLocked(true) // what was done is done, also when the rest failed
	return err
}

// beginChange takes the folder's mutex and the list's lock, which end gives back, and learns what others did.
func (f *Folder) beginChange(ctx context.Context) (end func(), err error) {
	f.mu.Lock()
	lock, err := f.lockForChangeLocked(ctx)
	if err != nil {
		f.mu.Unlock()
		return nil, err
	}
	return func() {
		lock.unlock()
		f.mu.Unlock()
	}, nil
}

func (f *Folder) lockForChangeLocked(ctx context.Context) (_ *dotlock, err error) {
	if err := f.changeableLocked(); err != nil {
		return nil, err
	}
	lock, err := f.lockList(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			lock.unlock()
		}
	}()
	f.startWatchingLocked()
	f.drainLocked()
	if err := f.readTailLocked(ctx); err != nil {
		return nil, err
	}
	if err := f.followMoreLocked(false); err != nil {
		f.fail("following "+moreKeywordsName, err)
	}
	return lock, f.makeGoodLocked()
}

// makeGoodLocked does again what a failed sync may have lost, so that a change that was refused then and
// needs nothing more now is not taken for done. A file is written anew: another sync of it would prove nothing.
func (f *Folder) makeGoodLocked() error {
	if err := f.home.settle(); err != nil {
		return wrapSys("sync", f.name, err)
	}
	if !f.more.broken {
		return nil
	}
	if err := f.followMoreLocked(true); err != nil {
		return err
	}
	return f.rewriteMoreLocked()
}

func (f *Folder) changeableLocked() error {
	switch {
	case f.gone || !f.stillThere():
		f.vanishLocked()
		return ErrGone
	case !f.writable:
		return fmt.Errorf("%s: %w", f.name, ErrReadOnly)
	}
	return nil
}

func (f *Folder) storeSliceLocked(ctx context.Context, uids []uint32, ch Change, w words, res *StoreResult) (err error) {
	var changed []uint32
	var edits []moreEdit
	defer func() { // also of a slice that failed half-way
		done, werr := f.editMoreLocked(edits)
		if err == nil {
			err = werr
		}
		changed = append(changed, done...)
		f.touchLocked(changed)
	}()
	for _, uid := range uids {
		modified, tooMany := false, false
		var edit *moreEdit
		done, err := f.renameMessageLocked(ctx, uid, func(r *records, i int) (Flags, bool) {
			now := &r.recs[i]
			edit = nil
			if modified = ch.UnchangedSince != nil && now.modSeq > *ch.UnchangedSince; modified {
				return 0, false
			}
			if more, other := ch.applyMore(r.extra[uid], w.more); other {
				edit = &moreEdit{uid, more}
				if tooMany = len(more) > maxMoreOfMessage; tooMany {
					return 0, false
				}
			}
			next := ch.apply(now.flags, w.letters)
			return next, next != now.flags&^flagNew
		})
		switch {
		case errors.Is(err, ErrExpunged):
			res.Missing = append(res.Missing, uid)
			continue
		case err != nil:
			return err
		case tooMany:
			return fmt.Errorf("UID %d: more than %d keywords: %w", uid, maxMoreOfMessage, ErrTooMany)
		case modified:
			res.Modified = append(res.Modified, uid)
			continue
		}
		if edit != nil {
			edits = append(edits, *edit)
		}
		if done {
			changed = append(changed, uid)
		}
	}
	return nil
}

// apply gives the flags after the change.
func (ch *Change) apply(now, letters Flags) Flags {
	now &^= flagNew
	kept := ch.Keep & System
	if ch.KeepKeywords {
		kept |= allLetters
	}
	set := (ch.Flags&System | letters) &^ kept
	switch ch.Op {
	case StoreAdd:
		return now | set
	case StoreRemove:
		return now &^ set
	}
	return set | now&kept
}

// applyMore gives the keywords without a letter after the change, where they are others than now. One that
// has got a letter since goes from among them when it is named.
func (ch *Change) applyMore(now, more []string) (next []string, other bool) {
	if ch.KeepKeywords {
		return now, false
	}
	if len(now) == 0 {
		return more, len(more) > 0 && ch.Op != StoreRemove
	}
	if ch.Op != StoreReplace {
		for _, k := range now {
			if !hasWord(ch.Keywords, k) || ch.Op == StoreAdd && hasWord(more, k) {
				next = append(next, k)
			}
		}
	}
	if ch.Op != StoreRemove {
		for _, k := range more {
			if !hasWord(next, k) {
				next = append(next, k)
			}
		}
	}
	return next, !sameWords(now, next)
}

// renameMessageLocked gives a message's file the name for the flags that want
// says, in cur/; want may also say that nothing is to be done, and is asked again when others
// have renamed the file meanwhile. Its MODSEQ is the caller's to change. ErrExpunged if it is gone.
func (f *Folder) renameMessageLocked(ctx context.Context, uid uint32, want func(r *records, i int) (Flags, bool)) (done bool, err error) {
	for range locateTries {
		ci, ri, ok := f.state.locate(uid)
		if !ok {
			return false, ErrExpunged
		}
		at := f.currentPlace(ci, ri)
		flags, wanted := want(f.state.chunks[ci].get(), ri)
		if !wanted {
			return false, nil
		}
		to := place{inCur, withFlags(at.name, flags)}
		if len(to.name) > 255 {
			return false, fmt.Errorf("%s: no room for more flags: %w", at.name, ErrTooMany)
		}
		var err error
		if to != at {
			err = f.dirOf(at.dir).moveTo(at.name, f.cur, to.name)
		}
		if err == nil {
			if to != at {
				f.expectLocked(at.dir, at.name, false)
				f.expectLocked(to.dir, to.name, true)
			}
			c := f.state.own(ci)
			c.setName(ri, to.name)
			c.recs[ri].flags = flags &^ flagNew
			f.ownRenameLocked(at, to)
			f.unsynced[at.dir], f.unsynced[to.dir] = true, true
			return true, nil
		}
		switch {
		case errors.Is(err, fs.ErrExist):
			err = f.clearWayLocked(at, to)
		case errors.Is(err, fs.ErrNotExist):
			err = f.findAgainLocked(ctx)
		}
		if err != nil {
			return false, wrapSys("rename", at.name, err)
		}
	}
	return false, fmt.Errorf("UID %d: %w: it keeps being renamed", uid, ErrBusy)
}

// clearWayLocked: another file has the name that a message is to get. A second link to it goes,
// another message gets a name of its own.
func (f *Folder) clearWayLocked(at, to place) error {
	first, err := f.dirOf(at.dir).stat(at.name)
	if err != nil {
		return nil // gone or renamed: the next attempt sees
	}
	if !f.separateLocked(to, first) && f.dirOf(to.dir).exists(to.name) {
		return fmt.Errorf("%s: another file has that name: %w", to.name, ErrBusy)
	}
	return nil
}

// ownRenameLocked keeps the set of present names of a base right.
func (f *Folder) ownRenameLocked(from, to place) {
	if p := f.odd[baseOf(from.name)]; p != nil {
		p.set(from, false)
		p.set(to, true)
		if len(p.places) == 1 {
			delete(f.odd, baseOf(from.name))
		}
	}
}

// findAgainLocked learns the names of files that others renamed just now, and
// which are gone.
func (f *Folder) findAgainLocked(ctx context.Context) error {
	if !f.watched.Load() {
		return f.rescanLocked(ctx)
	}
	if err := f.barrier(ctx); err != nil {
		return err
	}
	f.drainLocked()
	if f.dirty {
		return f.rescanLocked(ctx)
	}
	if err := f.followLocked(ctx); err != nil || !f.dirty {
		return err
	}
	return f.rescanLocked(ctx)
}

// ClaimNew moves messages that lie in new/ to cur/, and gives the UIDs of those
// it moved: whoever asks first is the one to show them as \Recent.
func (f *Folder) ClaimNew(ctx context.Context, upTo uint32) ([]uint32, error) {
	if f.Snapshot().CountNew() == 0 {
		return nil, nil
	}
	// A new message wakes all sessions, and each comes here. The first does the
	// work, the others wait for it and find nothing left to do.
	f.claiming.Lock()
	defer f.claiming.Unlock()
	snap := f.Snapshot()
	if snap.CountNew() == 0 || !snap.writable {
		return nil, nil
	}
	var uids, claimed []uint32
	for _, uid := range snap.NewUIDs() {
		if uid < upTo {
			uids = append(uids, uid)
		}
	}
	err := f.inSlices(ctx, uids, len(uids), func(part []uint32) error {
		moved, err := f.claimLocked(ctx, part)
		claimed = append(claimed, moved...)
		return err
	})
	return claimed, err
}

// claimLocked moves messages from new/ to cur/ and gives the UIDs of those that it moved. The caller holds the list's lock.
func (f *Folder) claimLocked(ctx context.Context, uids []uint32) (claimed []uint32, err error) {
	for _, uid := range uids {
		moved, err := f.renameMessageLocked(ctx, uid, func(r *records, i int) (Flags, bool) {
			return r.recs[i].flags &^ flagNew, r.recs[i].flags&flagNew != 0
		})
		if err != nil && !errors.Is(err, ErrExpunged) {
			return claimed, err
		}
		if moved {
			claimed = append(claimed, uid)
		}
	}
	return claimed, nil
}

// Expunge removes messages, UIDs ascending; only those with \Deleted if
// onlyDeleted is set. The snapshot it returns lacks them.
func (f *Folder) Expunge(ctx context.Context, uids []uint32, onlyDeleted bool) (*Snapshot, error) {
	err := f.inSlices(ctx, uids, len(uids), func(part []uint32) error {
		return f.expungeSliceLocked(ctx, part, onlyDeleted)
	})
	if err == nil && len(uids) > 0 {
		err = f.syncTouched()
	}
	return f.Snapshot(), err
}

func (f *Folder) expungeSliceLocked(ctx context.Context, uids []uint32, onlyDeleted bool) (err error) {
	var gone []uint32
	defer func() {
		// What was removed must be told even when the rest failed.
		still := gone[:0]
		for _, u := range gone {
			if _, _, ok := f.state.locate(u); ok {
				still = append(still, u)
			}
		}
		f.dropLocked(still)
	}()
	for _, uid := range uids {
		for try := 0; ; try++ {
			ci, ri, ok := f.state.locate(uid)
			if !ok || onlyDeleted && f.state.chunks[ci].get().recs[ri].flags&Deleted == 0 {
				break
			}
			at := f.currentPlace(ci, ri)
			err := f.dirOf(at.dir).remove(at.name)
			if err == nil {
				f.expectLocked(at.dir, at.name, false)
				f.forgetPlaceLocked(at)
				f.unsynced[at.dir] = true
				gone = append(gone, uid)
				break
			}
			if !errors.Is(err, fs.ErrNotExist) {
				return wrapSys("remove", at.name, err)
			}
			if try == locateTries {
				return fmt.Errorf("UID %d: %w: it keeps being renamed", uid, ErrBusy)
			}
			if err := f.findAgainLocked(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// forgetPlaceLocked: a second file of the same base, if there is one, is a new message now.
func (f *Folder) forgetPlaceLocked(at place) {
	base := baseOf(at.name)
	p := f.odd[base]
	if p == nil {
		return
	}
	p.set(at, false)
	delete(f.odd, base)
	if len(p.places) > 0 {
		f.fresh[base] = p
	}
}

// ExpungedSince lists the UIDs expunged after modSeq, ascending. ok is false
// when the history does not reach back that far.
func (f *Folder) ExpungedSince(modSeq uint64) (uids []uint32, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if modSeq < f.history.floor {
		return nil, false
	}
	for _, e := range f.history.expunged {
		if e.modSeq > modSeq {
			uids = append(uids, e.uid)
		}
	}
	slices.Sort(uids)
	return slices.Compact(uids), true
}

// TellModSeqs announces that clients will be told MODSEQs: from now on every
// one told stays below the mark in the uid list, so that none is used again after a crash.
func (f *Folder) TellModSeqs(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.modSeqOut = true
	return f.raiseMarkLocked(ctx)
}
