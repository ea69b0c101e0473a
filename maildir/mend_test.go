package maildir

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// A uid list that has lost its last records looks like a whole one. The index knows better: no UID is given to
// another message, and those who had the UIDs keep them.
func TestListWithoutEnd(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Maildir")
	s := NewStore(Options{})
	tree, err := s.OpenTree(dir, TreeOptions{Create: true})
	must(t, err)
	put(t, dir+"/cur/1000.a:2,S", "one\n")
	put(t, dir+"/cur/1000.b:2,S", "two\n")
	f := open(t, tree, Inbox)
	put(t, dir+"/cur/0001.c:2,F", "three\n")
	put(t, dir+"/cur/0001.d:2,F", "four\n")
	snap, err := f.Sync(t.Context())
	must(t, err)
	want, validity := dump(snap), snap.UIDValidity()
	f.Close()
	tree.Close()
	s.Close()
	list := filepath.Join(dir, uidlistName)
	data, err := os.ReadFile(list)
	must(t, err)
	for cut := len(data) - 1; cut > bytes.IndexByte(data, '\n'); cut-- {
		must(t, os.WriteFile(list, data[:cut], 0o600))
		tree := testTree(t, testStore(t, Options{}), dir)
		f := open(t, tree, Inbox)
		if snap := f.Snapshot(); dump(snap) != want || snap.UIDValidity() != validity || snap.UIDNext() != 5 {
			t.Fatalf("cut at %d: UIDVALIDITY %d, want %d; UIDNEXT %d\n%s", cut, snap.UIDValidity(), validity, snap.UIDNext(), dump(snap))
		}
		f.Close()
	}
}
