package maildir

import (
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
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

// tokens is the interest of somebody who waits for a channel; a token that it still has will do.
func tokens(ch chan struct{}) Interest {
	return Interest{Tell: func() {
		select {
		case ch <- struct{}{}:
		default:
		}
	}}
}
