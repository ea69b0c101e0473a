package maildir

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// courierTree makes INBOX with three messages, as Courier leaves it.
func courierTree(t *testing.T) string {
	dir := makeDirs(t, filepath.Join(t.TempDir(), "Maildir"))
	must(t, os.Mkdir(dir+"/"+courierKeywordsDir, 0o700))
	for _, b := range []string{"1.a", "2.b", "3.c"} {
		put(t, dir+"/cur/"+b+":2,S", "x\n\n")
	}
	put(t, dir+"/courierimapuiddb", "1 77 11\n4 1.a\n7 2.b\n9 3.c\n")
	put(t, dir+"/courierimapkeywords/:list", "$Label1\nJunk\nbad(one\nWork\n\n1.a:0 3\n2.b:1 2 99 x\n3.c:1\n4.gone:1\n")
	put(t, dir+"/courierimapkeywords/2.b", "Pending\nWORK\n")
	put(t, dir+"/courierimapkeywords/3.c", "")
	put(t, dir+"/courierimapkeywords/.5666666.1.a", "Superseded\n")
	put(t, dir+"/courierimapkeywords/.tmp.1.2.host", "Half\n")
	put(t, dir+"/courierimapsubscribed", "INBOX\nINBOX.Sent\nINBOX.Lists.Go\n#shared.x.y\ninbox.&AOQ-\n\nINBOX..x\n")
	return dir
}

func TestCourierKeywords(t *testing.T) {
	dir := courierTree(t)
	for _, again := range []bool{false, true} {
		s := testStore(t, Options{})
		f := open(t, testTree(t, s, dir), Inbox)
		snap := f.Snapshot()
		wantKeywords(t, fmt.Sprint("again ", again), snap, 4, "$Label1", "Work")
		wantKeywords(t, "pending", snap, 7, "Pending", "Work")
		wantKeywords(t, "cleared", snap, 9)
		f.Close()
		s.Close()
		// Courier's notes count no more.
		put(t, dir+"/courierimapkeywords/3.c", "Late\n")
		os.Remove(dir + "/" + indexName)
	}
	s := testStore(t, Options{})
	f := open(t, testTree(t, s, dir), Inbox)
	defer f.Close()
	wantKeywords(t, "stored", store(t, f, []uint32{4}, StoreReplace, "work", "New"), 4, "Work", "New")
}

func TestCourierKeywordsLeftAlone(t *testing.T) {
	dir := courierTree(t)
	put(t, dir+"/"+keywordsName, "0 Own\n")
	f := open(t, testTree(t, testStore(t, Options{}), dir), Inbox)
	defer f.Close()
	wantKeywords(t, "with Dovecot's", f.Snapshot(), 4)
}

func TestCourierSubscriptions(t *testing.T) {
	dir := courierTree(t)
	tree := testTree(t, testStore(t, Options{}), dir)
	check := func(want string) {
		t.Helper()
		got, err := tree.Subscriptions()
		must(t, err)
		if fmt.Sprint(got) != want {
			t.Errorf("%q, not %s", got, want)
		}
	}
	check("[INBOX Lists/Go Sent ä]")
	must(t, tree.Subscribe(t.Context(), "Sent", false))
	check("[INBOX Lists/Go ä]")
	put(t, dir+"/courierimapsubscribed", "INBOX.Other\n")
	check("[INBOX Lists/Go ä]")
}
