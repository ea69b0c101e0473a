package maildir

import (
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// One new message, claimed by many sessions at once, is one session's to show as
// recent, and nobody is woken by that: it is nothing to tell of.
func TestManyClaim(t *testing.T) {
	s := testStore(t, Options{NoWatch: true})
	dir := filepath.Join(t.TempDir(), "Maildir")
	tree := testTree(t, s, dir)
	f := open(t, tree, Inbox)
	defer f.Close()
	put(t, dir+"/new/1000.a", "x\n")
	snap, err := f.Sync(t.Context())
	must(t, err)
	var told, claimed atomic.Int64
	defer f.Subscribe(Interest{Tell: func() { told.Add(1) }}).Cancel()
	var sessions sync.WaitGroup
	for range 50 {
		sessions.Go(func() {
			uids, err := f.ClaimNew(t.Context(), snap.UIDNext())
			if err != nil {
				t.Error(err)
			}
			claimed.Add(int64(len(uids)))
		})
	}
	sessions.Wait()
	if claimed.Load() != 1 || told.Load() != 0 {
		t.Errorf("claimed %d times, told %d times", claimed.Load(), told.Load())
	}
	// What changes something is told, what changes nothing is not.
	for _, op := range []StoreOp{StoreAdd, StoreAdd} {
		_, err = f.Store(t.Context(), []uint32{1}, Change{Op: op, Flags: Flagged})
		must(t, err)
	}
	if told.Load() != 1 {
		t.Errorf("told %d times of one change", told.Load())
	}
}

// TestWhoIsTold: a delivery is told once to each, at once to those who can do without its UID, and another
// time to the one for whom it was claimed.
func TestWhoIsTold(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Maildir")
	s := testStore(t, Options{})
	tree := testTree(t, s, dir)
	f := open(t, tree, Inbox)
	defer f.Close()
	put(t, dir+"/cur/1000.a:2,", "x\n")
	f.mu.Lock()
	f.startWatchingLocked()
	f.mu.Unlock()
	_, err := f.Sync(t.Context())
	must(t, err)
	var early, exact, claims atomic.Int64
	announced := make(chan struct{}, 9)
	defer f.Subscribe(Interest{Early: true, Tell: func() { early.Add(1); announced <- struct{}{} }}).Cancel()
	defer f.Subscribe(Interest{Tell: func() { exact.Add(1) }}).Cancel()
	claimer := f.Subscribe(Interest{Early: true, Claims: true, Tell: func() { claims.Add(1) }})

	other := &locker{host: "elsewhere", pid: 1, clock: time.Now, held: map[heldLock]bool{}}
	lock, err := other.lock(t.Context(), f.home, uidlistName, nil)
	must(t, err)
	put(t, dir+"/new/1001.b", "x\n")
	select {
	case <-announced:
	case <-time.After(5 * time.Second):
		t.Fatal("it is not announced")
	}
	if snap := f.Snapshot(); snap.Len() != 1 || snap.Arriving() != 1 || exact.Load() != 0 {
		t.Errorf("%d messages and %d to come; %d told of a message without a UID", snap.Len(), snap.Arriving(), exact.Load())
	}
	lock.unlock()
	snap := f.Settled()
	if snap.Len() != 2 || snap.Arriving() != 0 || snap.CountNew() != 0 {
		t.Errorf("%d messages, %d to come, %d in new/; want 2, none, none", snap.Len(), snap.Arriving(), snap.CountNew())
	}
	if early.Load() != 1 || exact.Load() != 1 || claims.Load() != 2 {
		t.Errorf("told %d, %d, %d times; want 1, 1, 2", early.Load(), exact.Load(), claims.Load())
	}
	if uids := claimer.Cancel(); len(uids) != 1 || uids[0] != 2 {
		t.Errorf("claimed %d; want 2", uids)
	}
}

// underMu gives an open INBOX whose mutex the test holds, and of which one message in new/ is known that has no UID yet.
func underMu(t *testing.T) *Folder {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "Maildir")
	f := open(t, testTree(t, testStore(t, Options{}), dir), Inbox)
	t.Cleanup(f.Close)
	f.mu.Lock()
	t.Cleanup(f.mu.Unlock)
	f.startWatchingLocked()
	must(t, f.settleLocked(t.Context()))
	put(t, dir+"/new/1001.b", "x\n")
	must(t, f.barrier(t.Context()))
	f.drainLocked()
	return f
}

// TestClaimedBeforeTold: who asks what was claimed for him before the message is in a snapshot, because he was woken when it
// was announced, is told of it when it is.
func TestClaimedBeforeTold(t *testing.T) {
	f := underMu(t)
	told := 0
	sub := f.Subscribe(Interest{Early: true, Claims: true, Tell: func() { told++ }})
	defer sub.Cancel()
	must(t, f.assignLocked(t.Context(), false))
	if uids := sub.Claimed(f.Snapshot()); told != 1 || len(uids) != 0 {
		t.Errorf("told %d times, claimed %d, while there is a message without a UID; want 1, none", told, uids)
	}
	f.tellLocked(false)
	if uids := sub.Claimed(f.Snapshot()); told != 2 || len(uids) != 1 {
		t.Errorf("told %d times, claimed %d, now that it has one; want 2, one", told, uids)
	}
	if uids := sub.Claimed(f.Snapshot()); len(uids) != 0 {
		t.Errorf("claimed %d once more", uids)
	}
}

// TestAnnouncedInVain: what is announced and gets no UID is not announced any more.
func TestAnnouncedInVain(t *testing.T) {
	f := underMu(t)
	defer f.Subscribe(Interest{Early: true, Tell: func() {}}).Cancel()
	must(t, f.home.remove(uidlistName))
	must(t, f.home.mkdir(uidlistName))
	if err := f.assignLocked(t.Context(), false); err == nil || f.Snapshot().Arriving() != 1 {
		t.Fatalf("%v; %d are announced", err, f.Snapshot().Arriving())
	}
	if f.tellLocked(false); f.Snapshot().Arriving() != 0 {
		t.Error("it is still announced")
	}
}

// tokens is the interest of somebody who waits for a channel; a token that it still has will do.
func tokens(ch chan struct{}) Interest {
	return Interest{Tell: func() {
		select {
		case ch <- struct{}{}:
		default:
		}
	}}
}
