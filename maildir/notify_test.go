package maildir

import (
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// One new message, claimed by many sessions at once, is one session's to show as
// recent, and makes no more snapshots than it has states.
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
	defer f.OnChange(func() { told.Add(1) })()
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
	if claimed.Load() != 1 || told.Load() != 1 {
		t.Errorf("claimed %d times, told %d times", claimed.Load(), told.Load())
	}
	// What changes nothing is not told.
	_, err = f.Store(t.Context(), []uint32{1}, Change{Op: StoreRemove, Flags: Flagged})
	must(t, err)
	if told.Load() != 1 {
		t.Errorf("told %d times after nothing was changed", told.Load())
	}
}
