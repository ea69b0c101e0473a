package maildir

import (
	"context"
	"errors"
	"slices"
)

// What happened in a folder gets its MODSEQs right before it is told, all at once. Clients hop between
// processes that serve one tree, each of which sees the changes at times of its own. So that a client may go on at any of them
// from the highest MODSEQ that it was told at another, two things must hold:
//
//   - Nothing is told together with a number above one that another process has drawn for a change that is
//     not told as well. Others' numbers are drawn after their changes were made on disk: a barrier that
//     is passed while nobody can draw brings all of those changes.
//   - What another process may have told its clients, and is not so any more, is a change even for
//     a process that saw nothing of it: flags that were there and were taken back, a UID whose message came and went.
//
// Where events are lost, or there are none, the first half of the second is not to be had: flags that were taken back between two
// scans look as if nothing had happened.

// unnumbered is the MODSEQ, for the time being, of a message that is to get its own before it is told:
// above any that UNCHANGEDSINCE names.
const unnumbered = maxModSeq

// untold is what happened since the last snapshot.
type untold struct {
	any      bool
	changed  []uint32 // UIDs of messages that are new or have other flags, some perhaps twice
	expunged []uint32 // UIDs that are gone
	unknown  bool     // so many UIDs are gone that clients must find out which
	draw     bool     // a number is wanted for something that is not kept in the folder
}

// touchLocked notes messages that were just changed.
func (f *Folder) touchLocked(uids []uint32) {
	for _, uid := range uids {
		if ci, ri, ok := f.state.locate(uid); ok {
			f.state.own(ci).recs[ri].modSeq = unnumbered
			f.untold.changed = append(f.untold.changed, uid)
			f.untold.any = true
		}
	}
}

// goneLocked notes UIDs that name no message any more, or never did here.
func (f *Folder) goneLocked(uids ...uint32) {
	f.untold.any = f.untold.any || len(uids) > 0
	f.untold.expunged = append(f.untold.expunged, uids...)
}

// neverHereLocked notes the UIDs from others' list, from up to the next, whose records it has no more: their messages
// came and went.
func (f *Folder) neverHereLocked(from uint32) {
	next := f.list.next()
	if next <= from {
		return
	}
	if next-from > maxHistory {
		f.untold.any, f.untold.unknown = true, true
		return
	}
	here := make(map[uint32]bool, len(f.adopted))
	for _, r := range f.adopted {
		here[r.uid] = true
	}
	for uid := from; uid < next; uid++ {
		if !here[uid] {
			f.goneLocked(uid)
		}
	}
}

// forgetRecordLocked: the file of a record of another program is no message under that UID.
func (f *Folder) forgetRecordLocked(base string) {
	if r, ok := f.adopted[base]; ok {
		delete(f.adopted, base)
		f.goneLocked(r.uid)
	}
}

// tellLocked numbers what happened and publishes it. locked means that the caller holds the list's lock.
// Where others' changes cannot be seen own ones are told all the same: they have been made.
func (f *Folder) tellLocked(locked bool) {
	for f.untold.any {
		if err := f.numberLocked(f.store.ctx, locked); err != nil {
			if f.store.ctx.Err() == nil {
				f.fail("seeing what other processes did", err)
			}
			f.giveNumbersLocked(f.allotLocked(f.untold.count()))
		}
		mark := f.raiseMarkLocked
		if locked {
			mark = f.writeMarkLocked
		}
		if err := mark(f.store.ctx); err != nil { // which reads the list, and may bring more
			f.fail("writing the MODSEQ mark", err)
		}
	}
	f.publishLocked()
}

// Why others' changes could not be seen under their counter's lock.
var (
	errListBehind = errors.New("others have written the uid list")
	errScanBehind = errors.New("events were lost")
)

// numberLocked gives MODSEQs to all that is untold.
func (f *Folder) numberLocked(ctx context.Context, locked bool) error {
	if f.untold.count() == 0 { // names alone
		f.untold.any = false
		return nil
	}
	for range scanAttempts {
		before, err := f.drawLocked(func() error { return f.seeOthersLocked(ctx, locked) }, f.untold.count)
		switch {
		case err == nil:
			f.giveNumbersLocked(before)
			return nil
		case errors.Is(err, context.DeadlineExceeded):
			err = ctx.Err()
		case errors.Is(err, errScanBehind):
			err = f.rescanLocked(ctx)
		case errors.Is(err, errListBehind): // the list's lock is taken before the counter's
			var lock *dotlock
			if lock, err = f.lockList(ctx); err != nil {
				return err
			}
			defer lock.unlock()
			locked = true
			if err = f.readTailLocked(ctx); err == nil {
				err = f.assignLocked(ctx, true)
			}
		}
		if err != nil && !errors.Is(err, ErrNoSpace) {
			return err
		}
	}
	return ErrBusy
}

// seeOthersLocked brings the state up to all that others have done so far. They wait for the counter meanwhile, but
// not for ever, so this is not to take longer.
func (f *Folder) seeOthersLocked(ctx context.Context, locked bool) error {
	ctx, cancel := context.WithTimeout(ctx, counterWait/2)
	defer cancel()
	if _, err := f.readMoreLocked(false); err != nil {
		f.fail("following "+moreKeywordsName, err)
	}
	if f.watched.Load() {
		if err := f.barrier(ctx); err != nil {
			return err
		}
		f.drainLocked()
		if !f.dirty {
			if err := f.followLocked(ctx); err != nil {
				return err
			}
		}
		if f.dirty {
			return errScanBehind
		}
	} else if err := f.pollLocked(ctx); err != nil {
		return err
	}
	if !locked && f.list.persisted && f.sticky && f.stampOf(uidlistName) != f.list.stamp {
		return errListBehind
	}
	return nil
}

// count puts what is untold in order and gives how many numbers it takes.
func (u *untold) count() int {
	slices.Sort(u.changed)
	u.changed = slices.Compact(u.changed)
	n := len(u.changed)
	if len(u.expunged) > 0 || u.unknown {
		n++
	}
	if u.draw {
		n++
	}
	return n
}

// giveNumbersLocked gives out the numbers after before: they were counted and drawn.
func (f *Folder) giveNumbersLocked(before uint64) {
	next := before + 1
	for _, uid := range f.untold.changed {
		if ci, ri, ok := f.state.locate(uid); ok {
			f.state.own(ci).recs[ri].modSeq = next
		}
		next++
	}
	switch gone := f.untold.expunged; {
	case f.untold.unknown:
		f.history = history{floor: next}
		next++
	case len(gone) > 0:
		slices.Sort(gone)
		f.history.add(next, slices.Compact(gone))
		next++
	}
	if f.untold.draw {
		f.drawn = next
	}
	f.untold = untold{}
}
