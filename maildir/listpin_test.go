package maildir

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestListRewrittenByOthers: another program rewrites the list without what is expunged, in a file that may have the
// inode number of the one before. That is no list that was cut off, and nothing of ours may replace it.
func TestListRewrittenByOthers(t *testing.T) {
	dir := t.TempDir() + "/Maildir"
	s := testStore(t, Options{NoWatch: true, Logger: discard})
	tree := testTree(t, s, dir)
	for _, base := range []string{"1.a", "2.b", "3.c", "4.d", "5.e"} {
		put(t, dir+"/cur/"+base+":2,", "x\n")
	}
	f := open(t, tree, Inbox)
	defer f.Close()
	path := dir + "/" + uidlistName
	text, err := os.ReadFile(path)
	must(t, err)
	must(t, os.Remove(dir+"/cur/1.a:2,"))
	must(t, os.Remove(dir+"/cur/2.b:2,"))
	lines := strings.SplitAfter(string(text), "\n")
	put(t, dir+"/cur/6.f:2,", "x\n")
	want := lines[0] + strings.Join(lines[3:], "") + "9 :6.f\n"
	was, err := os.Stat(path)
	must(t, err)
	put(t, path+".new", want)
	must(t, os.Rename(path+".new", path))
	for i := range 3000 { // once more, in the file that takes the number which that has set free
		name := fmt.Sprintf("%s/tmp/%d", dir, i)
		put(t, name, want)
		if now, err := os.Stat(name); err == nil && os.SameFile(was, now) {
			must(t, os.Rename(name, path))
			break
		}
	}
	snap, err := f.Sync(context.Background())
	must(t, err)
	if now, err := os.ReadFile(path); err != nil || string(now) != want {
		t.Errorf("the list was replaced, %v:\n%s\nwant\n%s", err, now, want)
	}
	if snap.Len() != 4 || snap.UID(0) != 3 || snap.UID(3) != 9 {
		t.Errorf("%d messages, the last with UID %d; want 4 and 9", snap.Len(), snap.UID(snap.Len()-1))
	}
}

// TestUIDNextBelowRecorded: a UID that another program has recorded, of a message that is not told yet, is not
// below the UIDNEXT that is told before.
func TestUIDNextBelowRecorded(t *testing.T) {
	dir := t.TempDir() + "/Maildir"
	s := testStore(t, Options{})
	tree := testTree(t, s, dir)
	put(t, dir+"/cur/1.a:2,", "a\n")
	f := open(t, tree, Inbox)
	defer f.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list.lastUID = 7
	f.adopted["2.b"] = uidRecord{uid: 7, base: "2.b", name: "2.b"}
	f.publishLocked()
	if next := f.Snapshot().UIDNext(); next != 7 {
		t.Errorf("UIDNEXT is %d, want 7", next)
	}
	delete(f.adopted, "2.b")
}
