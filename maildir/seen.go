package maildir

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
)

// SeenKey names a folder of any tree in a reader's postroom-seen. Hint says for people, and for
// PruneSeen's caller, where the folder was seen last; one of more than 1024 octets is not kept.
type SeenKey struct {
	GUID        string
	UIDValidity uint32
	Hint        string
}

// SeenState is what the owner of a tree has seen in one folder, of whatever tree, that does not share \Seen. All
// his sessions share it. It is safe for concurrent use; each Tree.Seen wants one Close, before that of the tree.
type SeenState struct {
	file *seenFile
	id   seenID
	refs int    // guarded by file.mu
	hint string // guarded by file.mu

	view   atomic.Pointer[SeenView]
	over   atomic.Pointer[Snapshot] // that Over gave last
	synced atomic.Uint64            // all changes up to this MODSEQ are in view, also those of other processes
	beyond atomic.Uint64            // a MODSEQ of the file that the folder never gave; 0 if there is none
	subs   subscribers
}

// Seen opens what the owner of this tree has seen of a folder. A file that is no good keeps nobody from reading
// mail: then all of it looks unread, and Store tells why it cannot be marked. The error is ErrCannot for a folder
// without a GUID.
func (t *Tree) Seen(key SeenKey) (*SeenState, error) {
	id, err := newSeenID(key.GUID, strconv.FormatUint(uint64(key.UIDValidity), 10))
	if err != nil {
		return nil, err
	}
	if len(key.Hint) > maxSeenHint {
		key.Hint = ""
	}
	if !t.hold() {
		return nil, ErrClosed
	}
	s := &t.seen
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.followLocked(); err != nil {
		s.fail(err)
	}
	st := s.states[id]
	if st == nil {
		st = &SeenState{file: s, id: id}
		view := new(SeenView)
		if b := s.entries[id]; b != nil {
			view.seen, view.floor, view.highest = b.seen, b.highest, b.highest
		}
		st.view.Store(view)
		if s.states == nil {
			s.states = make(map[seenID]*SeenState)
		}
		s.states[id] = st
	}
	st.refs++
	st.hint = key.Hint
	return st, nil
}

// hold keeps the tree open until Close; false when the store is closed.
func (t *Tree) hold() bool {
	t.store.mu.Lock()
	defer t.store.mu.Unlock()
	if t.store.closed {
		return false
	}
	t.refs++
	return true
}

// Close gives back one Tree.Seen.
func (st *SeenState) Close() {
	s := st.file
	s.mu.Lock()
	if st.refs--; st.refs == 0 {
		delete(s.states, st.id)
		if err := s.syncLocked(); err != nil {
			s.fail(err)
		}
	}
	s.mu.Unlock()
	s.tree.Close()
}

// View is what was seen, as this process knows it; it costs nothing.
func (st *SeenState) View() *SeenView { return st.view.Load() }

// OnChange calls tell after each change of the view. What Interest says of Tell holds here, too.
func (st *SeenState) OnChange(tell func()) (cancel func()) { return st.subs.add(tell) }

// Over gives the newest snapshot of f, the folder of the key, with what was seen when it was taken. All changes of the
// reader up to its HIGHESTMODSEQ are in it, and none above, also of those that another process of his made: a MODSEQ is
// drawn and used under the lock of the file. The same snapshot and view give the same pointer, and cost nothing.
func (st *SeenState) Over(f *Folder) *Snapshot {
	for range locateTries {
		s := f.Snapshot()
		if s.modSeq > st.synced.Load() {
			st.syncTo(s.modSeq)
		}
		view := st.view.Load()
		if view.highest <= max(s.modSeq, st.beyond.Load()) || s.gone {
			return st.overlay(s, view)
		}
		// Something was marked since. If it was by another process, the folder does not know of that MODSEQ yet.
		if s != f.Snapshot() {
			continue
		}
		s, err := f.Sync(f.store.ctx)
		if err != nil {
			break
		}
		if view.highest > s.modSeq {
			st.beyond.Store(view.highest) // somebody made it up
		}
	}
	return st.overlay(f.Snapshot(), st.view.Load())
}

func (st *SeenState) overlay(s *Snapshot, view *SeenView) *Snapshot {
	if last := st.over.Load(); last != nil && last.base() == s && last.view() == view {
		return last
	}
	with := s.WithSeen(view)
	st.over.Store(with)
	return with
}

// Sync looks whether another process, or somebody with an editor, has changed what was seen.
func (st *SeenState) Sync() { st.syncTo(0) }

// syncTo is Sync, and waits for changes that may have MODSEQs up to modSeq: whoever drew one has the lock until it is used.
func (st *SeenState) syncTo(modSeq uint64) {
	s := st.file
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.tree.top.exists(seenName + lockSuffix) {
		ctx, cancel := context.WithTimeout(s.tree.store.ctx, counterWait)
		defer cancel()
		var lock *dotlock
		if lock, err = s.lock(ctx); err == nil {
			lock.unlock()
		}
	} else {
		err = s.followLocked()
	}
	if err != nil {
		s.fail(err)
	}
	st.syncedTo(modSeq)
}

// syncedTo notes that nothing up to modSeq is missing. The caller holds file.mu.
func (st *SeenState) syncedTo(modSeq uint64) {
	if modSeq > st.synced.Load() {
		st.synced.Store(modSeq)
	}
}

// adopt follows what the file says now, nil if nothing. The caller holds file.mu.
func (st *SeenState) adopt(b *seenEntry, whole bool) {
	if b == nil {
		b = new(seenEntry)
	}
	old := st.view.Load()
	next := old.with(b.seen, b.highest)
	if whole && b.highest > old.highest {
		// What was marked and unmarked meanwhile is not to be seen any more.
		next.changes, next.floor = nil, b.highest
	}
	if next.highest != old.highest || len(old.seen.differ(next.seen)) > 0 {
		st.view.Store(next)
		st.subs.notify()
	}
}

// Store does to \Seen what a STORE in f, the folder of the key, says, for this reader alone; other flags it leaves
// as they are, and ch.UnchangedSince is about what he sees. UIDs ascend. One MODSEQ is drawn for all messages that
// change. When it returns a change is in the file, but for a failure of the whole machine. The snapshot holds it.
func (st *SeenState) Store(ctx context.Context, f *Folder, uids []uint32, ch Change) (StoreResult, error) {
	var res StoreResult
	err := st.change(ctx, f, uids, ch, &res)
	res.Snapshot = st.Over(f)
	return res, err
}

func (st *SeenState) change(ctx context.Context, f *Folder, uids []uint32, ch Change, res *StoreResult) error {
	s := st.file
	s.mu.Lock()
	defer s.mu.Unlock()
	lock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.unlock()
	snap := f.Snapshot()
	if snap.gone || snap.guid != st.id.guid || snap.uidValidity != st.id.uidValidity {
		return fmt.Errorf("%s: %w", f.name, ErrGone)
	}
	marked, unmarked := st.affected(snap, uids, ch, res)
	if len(marked) == 0 && len(unmarked) == 0 {
		return nil
	}
	modSeq, err := f.DrawModSeq(ctx)
	if err != nil {
		return err
	}
	if err := st.writeLocked(snap, marked, unmarked, modSeq); err != nil {
		return err
	}
	st.syncedTo(modSeq)
	return nil
}

// affected finds the messages that change, with the UIDs beside each that are no message's.
func (st *SeenState) affected(snap *Snapshot, uids []uint32, ch Change, res *StoreResult) (marked, unmarked uidSet) {
	now := snap.WithSeen(st.view.Load())
	for _, uid := range uids {
		i, ok := now.Find(uid)
		if !ok {
			res.Missing = append(res.Missing, uid)
			continue
		}
		if ch.UnchangedSince != nil && now.ModSeq(i) > *ch.UnchangedSince {
			res.Modified = append(res.Modified, uid)
			continue
		}
		was := now.Flags(i)
		switch is := ch.apply(was, 0); {
		case (was^is)&Seen == 0:
		case is&Seen != 0:
			marked = marked.extend(now.reach(i))
		default:
			unmarked = unmarked.extend(now.reach(i))
		}
	}
	return marked, unmarked
}

// reach is the UID of message i with those around it that are no message's, and never will be.
func (s *Snapshot) reach(i int) uidRange {
	r := uidRange{1, s.UID(i)}
	if i > 0 {
		r.from = s.UID(i-1) + 1
	}
	if i+1 < s.n {
		r.to = s.UID(i+1) - 1
	}
	return r
}

// writeLocked writes a change and makes it known. The caller holds the dot lock.
func (st *SeenState) writeLocked(snap *Snapshot, marked, unmarked uidSet, modSeq uint64) error {
	s := st.file
	view := st.view.Load()
	set := view.seen.union(marked).minus(unmarked)
	old, hint := s.entries[st.id], ""
	if old == nil || old.hint != st.hint {
		hint = st.hint
	}
	line := appendSeenLine(nil, st.id, modSeq, marked, hint)
	anew := len(unmarked) > 0 || s.full(len(line))
	if anew || len(set) > maxSeenRuns {
		set = set.over(snap).bounded()
	}
	next := view.with(set, modSeq)
	s.entries[st.id] = &seenEntry{seen: set, highest: next.highest, hint: st.hint, age: s.age + 1}
	var err error
	if anew {
		err = s.rewriteLocked()
	} else {
		err = s.appendLocked(line)
	}
	if err != nil {
		return err
	}
	s.age++
	st.view.Store(next)
	st.subs.notify()
	return nil
}

// PruneSeen drops what was seen in folders that keep does not want and nobody has open.
func (t *Tree) PruneSeen(ctx context.Context, keep func(SeenKey) bool) error {
	s := &t.seen
	s.mu.Lock()
	err := s.followLocked()
	keys := make([]SeenKey, 0, len(s.entries))
	for id, b := range s.entries {
		keys = append(keys, SeenKey{GUID: id.guid, UIDValidity: id.uidValidity, Hint: b.hint})
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	var drop []seenID
	for _, k := range keys { // without a lock: it may take its time
		if !keep(k) {
			drop = append(drop, seenID{k.GUID, k.UIDValidity})
		}
	}
	if len(drop) == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	lock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.unlock()
	for _, id := range drop {
		if s.states[id] == nil {
			delete(s.entries, id)
		}
	}
	return s.rewriteLocked()
}
