package maildir

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestBulk: a command that changes a whole folder goes without events, and what others do
// meanwhile and afterwards is seen all the same. The folder had them, or was still to get them.
func TestBulk(t *testing.T) {
	t.Run("watched", func(t *testing.T) { testBulk(t, false) })
	t.Run("not watched yet", func(t *testing.T) { testBulk(t, true) })
}

func testBulk(t *testing.T, late bool) {
	dir := filepath.Join(t.TempDir(), "Maildir")
	tree := testTree(t, testStore(t, Options{}), dir)
	for i := range 2000 {
		put(t, fmt.Sprintf("%s/cur/%d.m.host:2,", dir, 1000+i), "x\n")
	}
	f := open(t, tree, Inbox)
	defer f.Close()
	if late {
		f.mu.Lock()
		f.unwatchLocked()
		f.lateWatch = true
		f.mu.Unlock()
	}
	all := make([]uint32, 2000)
	for i := range all {
		all[i] = uint32(i + 1)
	}
	// Another program takes part in the middle of it.
	slices := 0
	err := f.inSlices(t.Context(), all, len(all), func(part []uint32) error {
		if f.watched.Load() {
			t.Error("watched")
		}
		if slices++; slices == 2 {
			put(t, dir+"/new/9000.new.host", "y\n")
			must(t, os.Rename(dir+"/cur/2990.m.host:2,", dir+"/cur/2990.m.host:2,F"))
			must(t, os.Remove(dir+"/cur/2991.m.host:2,"))
		}
		var res StoreResult
		return f.storeSliceLocked(t.Context(), part, Change{Op: StoreAdd, Flags: Seen}, words{}, &res)
	})
	must(t, err)
	if !f.watched.Load() {
		t.Error("not watched any more")
	}
	check := func(n, seen, uidNext int) {
		t.Helper()
		snap := f.Snapshot()
		if snap.Len() != n || snap.Len()-snap.Unseen() != seen || int(snap.UIDNext()) != uidNext {
			t.Errorf("%d messages, %d seen, UIDNEXT %d; want %d, %d, %d", snap.Len(), snap.Len()-snap.Unseen(), snap.UIDNext(), n, seen, uidNext)
		}
	}
	check(2000, 1999, 2002)
	snap := f.Snapshot()
	if i, ok := snap.Find(1991); !ok || flagsText(snap, i) != `\Flagged \Seen` {
		t.Error("UID 1991 is not as both left it")
	}
	_, err = f.Expunge(t.Context(), all, false)
	must(t, err)
	check(1, 0, 2002)
	put(t, dir+"/new/9001.new.host", "y\n")
	_, err = f.Sync(t.Context())
	must(t, err)
	check(2, 0, 2003)
}
