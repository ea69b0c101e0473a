package maildir

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"
)

// MOVE renames each file from one folder into the other, holding both folders' mutexes and
// locks, the folder whose directory has the lower inode first: all processes agree on
// that, as both are on one file system, so that two that move in opposite
// directions do not wait for each other.
//
// The steps are: the keywords that the messages have are named in the destination; all
// files are renamed; the destination's directory is synced, then the
// source's; the UIDs are appended to the destination's list and synced; the state of
// both folders follows, the destination's first, so that nobody sees a message nowhere.
//
// A rename is one step, so at every moment, and after a crash at any, a message
// is in exactly one of the folders. UIDs are recorded after the renames, as for
// every other message: a record whose file is not there yet would be taken for that of an
// expunged message by those who read the list without its lock, and the file would get a
// second UID when it came. A crash before that leaves messages in the destination
// that have no UID yet, as if they were delivered there.
//
// When anything fails before the UIDs are recorded, every file gets its old name
// back; one that cannot is the destination's, which both folders are told.

// moveTries bounds how often a move is begun anew because others change the messages meanwhile.
const moveTries = 3

// errElsewhere: others have renamed a message so that it is not what was to be moved any more.
var errElsewhere = errors.New("renamed by others")

// MoveTo moves messages, UIDs ascending, to dest: all that are there, or none. Where files are
// not to be shared, between file systems, and within one folder, they are copied and then expunged.
func (f *Folder) MoveTo(ctx context.Context, uids []uint32, dest *Folder, opt CopyOptions) (Copied, error) {
	if err := dest.acceptsMail(); err != nil {
		return Copied{}, err
	}
	if !opt.Octets && f.home.id != dest.home.id && f.cur.id.dev == dest.cur.id.dev {
		var res Copied
		err := f.bulk(len(uids), func() error {
			return dest.bulk(len(uids), func() (err error) {
				res, err = f.moveRenaming(ctx, uids, dest, opt)
				return err
			})
		})
		// One file system does not make a rename possible: it may be mounted twice, or hold projects with quotas of their own.
		if !errors.Is(err, unix.EXDEV) && !errors.Is(err, errElsewhere) {
			return res, err
		}
	}
	res, err := f.CopyTo(ctx, uids, dest, opt)
	if err == nil {
		_, err = f.Expunge(ctx, res.From, false)
	}
	return res, err
}

// moveRenaming is MoveTo by renaming; errElsewhere or unix.EXDEV tell that it cannot be.
func (f *Folder) moveRenaming(ctx context.Context, uids []uint32, dest *Folder, opt CopyOptions) (Copied, error) {
	m := &move{from: f, to: dest, opt: opt}
	err := m.run(ctx, uids)
	if err == nil {
		return m.result, nil
	}
	if m.undone {
		// What was refused should not be found done after a power loss. Where this fails, the next command syncs.
		err = errors.Join(err, f.syncTouched(), dest.syncTouched())
	}
	return Copied{}, err
}

// move is a MOVE of messages from one folder to another. Both folders' mutexes and locks guard it.
type move struct {
	from, to   *Folder
	opt        CopyOptions
	result     Copied
	departures []departure
	used       [2]bool // directories of the source that files were taken from
	undone     bool    // files got their old names back
}

// departure is a message that is moved.
type departure struct {
	uid   uint32
	flags Flags // that it is to arrive with, as the source has them
	at    place // that its file had in the source
	left  bool  // its file is the destination's
}

// run moves the messages, and tells both folders.
func (m *move) run(ctx context.Context, uids []uint32) error {
	first, second := m.from, m.to
	if second.home.id.ino < first.home.id.ino {
		first, second = second, first
	}
	endFirst, err := first.beginChange(ctx)
	if err != nil {
		return err
	}
	defer endFirst()
	endSecond, err := second.beginChange(ctx)
	if err != nil {
		return err
	}
	defer endSecond()
	for range moveTries {
		if err = m.renameAllLocked(ctx, uids); !errors.Is(err, errElsewhere) {
			break
		}
		m.leaveLocked()
	}
	m.to.tellLocked(true)
	m.leaveLocked()
	m.from.tellLocked(true)
	return err
}

// renameAllLocked makes the messages the destination's: all that are there, or those alone that cannot be given back.
func (m *move) renameAllLocked(ctx context.Context, uids []uint32) error {
	in := m.outgoingLocked(ctx, uids)
	if len(in) == 0 {
		return nil
	}
	var err error
	m.result.To, err = m.to.addAllLocked(ctx, in, m.syncSourceLocked)
	return err
}

// outgoingLocked makes a departure of each message that is there, and what the destination is to take in.
func (m *move) outgoingLocked(ctx context.Context, uids []uint32) []incoming {
	m.from.tellLocked(true) // then the snapshot is what the folder holds
	m.from.moving = m
	snap := m.from.Snapshot()
	m.result = Copied{UIDValidity: m.to.list.uidValidity}
	m.departures = make([]departure, 0, len(uids))
	in := make([]incoming, 0, len(uids))
	for _, uid := range uids {
		i, ok := snap.Find(uid)
		if !ok {
			m.result.Missing = append(m.result.Missing, uid)
			continue
		}
		c, r := snap.at(i)
		m.departures = append(m.departures, departure{uid: uid, flags: c.recs[r].flags &^ flagNew})
		d := &m.departures[len(m.departures)-1]
		msg := m.opt.copyOf(snap, i)
		msg.facts = &c.facts[r]
		msg.place = func(to place) error { return m.renameLocked(ctx, d, to) }
		msg.withdraw = func(now place) { m.bringBackLocked(d, now) }
		in = append(in, msg)
		m.result.From = append(m.result.From, uid)
	}
	return in
}

// renameLocked moves a message's file, unless the message has other flags by now.
func (m *move) renameLocked(ctx context.Context, d *departure, to place) error {
	f := m.from
	for range locateTries {
		ci, ri, ok := f.state.locate(d.uid)
		if !ok || f.state.chunks[ci].get().recs[ri].flags&^flagNew != d.flags {
			return errElsewhere
		}
		d.at = f.currentPlace(ci, ri)
		err := f.dirOf(d.at.dir).moveTo(d.at.name, m.to.dirOf(to.dir), to.name)
		if err == nil {
			f.expectLocked(d.at.dir, d.at.name, false)
			d.left, m.used[d.at.dir] = true, true
			return nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := f.findAgainLocked(ctx); err != nil {
			return err
		}
	}
	return errElsewhere
}

// syncSourceLocked makes durable that the files are not in the source any more.
func (m *move) syncSourceLocked() error { return m.from.syncUsed(m.used) }

// bringBackLocked gives a file its old name again.
func (m *move) bringBackLocked(d *departure, now place) {
	f, dest := m.from, m.to
	if err := dest.dirOf(now.dir).moveTo(now.name, f.dirOf(d.at.dir), d.at.name); err != nil {
		dest.fail("moving a message back", err)
		dest.setPresentLocked(now, true) // it gets a UID there as if it had been delivered
		return
	}
	dest.expectLocked(now.dir, now.name, false)
	f.expectLocked(d.at.dir, d.at.name, true)
	f.setPresentLocked(d.at, true) // a scan may have missed it meanwhile
	d.left, m.undone = false, true
	f.unsynced[d.at.dir], dest.unsynced[now.dir] = true, true
}

// leaving tells whether a message's file is on its way out of the source: that it is not there any more says
// nothing, as it may come back.
func (m *move) leaving(uid uint32) bool {
	i, ok := slices.BinarySearchFunc(m.departures, uid, func(d departure, uid uint32) int { return cmp.Compare(d.uid, uid) })
	return ok && m.departures[i].left
}

// leaveLocked takes the messages whose files are the destination's out of the source.
func (m *move) leaveLocked() {
	var gone []uint32
	for i := range m.departures {
		if d := &m.departures[i]; d.left {
			m.from.forgetPlaceLocked(d.at)
			gone = append(gone, d.uid)
		}
	}
	m.departures, m.from.moving = nil, nil
	m.from.dropLocked(gone)
}
