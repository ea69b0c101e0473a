package maildir

import (
	"os"
	"testing"
)

// A rename's two events come one after the other. Between them a message has no
// name, and in the next rename again.

// TestHalfRenames: who was in doubt before the barrier and is again after it, with a name in between, is not gone.
func TestHalfRenames(t *testing.T) {
	dir := t.TempDir() + "/Maildir"
	s := testStore(t, Options{})
	tree := testTree(t, s, dir)
	put(t, dir+"/cur/1.a:2,", "a\n")
	f := open(t, tree, Inbox)
	defer f.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	must(t, os.Rename(dir+"/cur/1.a:2,", dir+"/cur/1.a:2,S"))
	must(t, f.barrier(t.Context()))
	f.queue.take(nil) // they are told by hand:
	f.setPresentLocked(place{inCur, "1.a:2,"}, false)
	doubts := f.doubtLocked()
	if len(doubts) != 1 {
		t.Fatalf("%d messages in doubt, want 1", len(doubts))
	}
	f.setPresentLocked(place{inCur, "1.a:2,F"}, true)
	f.setPresentLocked(place{inCur, "1.a:2,F"}, false)
	if f.expungeDoubtfulLocked(doubts); f.state.n != 1 {
		t.Error("a message was expunged in the midst of its second rename")
	}
	f.setPresentLocked(place{inCur, "1.a:2,S"}, true)
	if f.followRenamesLocked(); f.state.chunks[0].get().name(0) != "1.a:2,S" {
		t.Error("the rename was not followed")
	}
	must(t, os.Remove(dir+"/cur/1.a:2,S"))
	f.setPresentLocked(place{inCur, "1.a:2,S"}, false)
	if f.expungeDoubtfulLocked(f.doubtLocked()); f.state.n != 0 {
		t.Error("a removed message is still there")
	}
}

// TestHalfRenamesOfRecorded: a file that another program has given a UID keeps that, however it is renamed just then.
func TestHalfRenamesOfRecorded(t *testing.T) {
	dir := t.TempDir() + "/Maildir"
	s := testStore(t, Options{})
	tree := testTree(t, s, dir)
	put(t, dir+"/cur/1.a:2,", "a\n")
	f := open(t, tree, Inbox)
	defer f.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.adopted["2.b"] = uidRecord{uid: 40, base: "2.b", name: "2.b"}
	f.setPresentLocked(place{inNew, "2.b"}, true) // which it is no more
	f.dropVanishedFresh()
	if f.fresh["2.b"] == nil {
		t.Fatal("a recorded message was forgotten because it had been renamed")
	}
	f.setPresentLocked(place{inNew, "2.b"}, false)
	waiting := f.awaitedLocked()
	f.setPresentLocked(place{inCur, "2.b:2,"}, true)
	f.setPresentLocked(place{inCur, "2.b:2,"}, false)
	f.forgetAwaitedLocked(waiting)
	if recs := f.arrivals(); len(recs) != 0 {
		t.Errorf("%v was given to a message without a name", recs)
	}
	f.setPresentLocked(place{inCur, "2.b:2,S"}, true)
	if recs := f.arrivals(); len(recs) != 1 || recs[0].uid != 40 {
		t.Errorf("the message has %v, want the recorded UID 40", recs)
	}
	f.setPresentLocked(place{inCur, "2.b:2,S"}, false)
	f.forgetAwaitedLocked(f.awaitedLocked())
	if len(f.adopted) != 0 {
		t.Error("the record of a message that is gone is kept")
	}
}

// TestReassignedInDoubt: another program gave a message that is being renamed another UID.
func TestReassignedInDoubt(t *testing.T) {
	dir := t.TempDir() + "/Maildir"
	s := testStore(t, Options{Logger: discard})
	tree := testTree(t, s, dir)
	put(t, dir+"/cur/1.a:2,", "a\n")
	f := open(t, tree, Inbox)
	defer f.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.setPresentLocked(place{inCur, "1.a:2,"}, false)
	f.reassignedLocked(map[string]uidRecord{"1.a": {uid: 9, base: "1.a", name: "1.a"}})
	if recs := f.arrivals(); len(recs) != 0 || f.state.n != 0 {
		t.Errorf("%v was given to a message without a name", recs)
	}
}

// TestListingInDoubt: a scan that ran into a rename may have read neither name.
func TestListingInDoubt(t *testing.T) {
	l := newListing(0)
	l.add(inCur, []byte("1.a:2,"), 7)
	l.set(place{inCur, "1.a:2,"}, false)
	l.set(place{inCur, "2.b:2,"}, false)
	if d := l.inDoubt(); len(d) != 2 || l.find("1.a") != nil || l.find("2.b") != nil {
		t.Fatalf("%d in doubt, want both", len(d))
	}
	l.set(place{inCur, "1.a:2,S"}, true)
	l.set(place{inNew, "2.b"}, true)
	if d := l.inDoubt(); len(d) != 0 || l.find("1.a") == nil || l.find("2.b") == nil {
		t.Errorf("%d in doubt, want none", len(d))
	}
}
