package maildir

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"testing"
)

// twoProcesses opens one INBOX of three messages in two stores, as two processes would.
func twoProcesses(t *testing.T) (dir string, a, b *Folder) {
	dir = t.TempDir() + "/Maildir"
	a = open(t, testTree(t, testStore(t, Options{}), dir), Inbox)
	t.Cleanup(a.Close)
	for _, base := range []string{"1.x", "2.y", "3.z"} {
		put(t, dir+"/cur/"+base+":2,", "text\n")
	}
	must(t, a.TellModSeqs(t.Context()))
	synced(t, a)
	b = open(t, testTree(t, testStore(t, Options{}), dir), Inbox)
	t.Cleanup(b.Close)
	must(t, b.TellModSeqs(t.Context()))
	synced(t, b)
	b.mu.Lock()
	b.startWatchingLocked()
	b.mu.Unlock()
	synced(t, b)
	return dir, a, b
}

func synced(t *testing.T, f *Folder) *Snapshot {
	t.Helper()
	snap, err := f.Sync(t.Context())
	must(t, err)
	return snap
}

func modSeqOf(t *testing.T, s *Snapshot, uid uint32) uint64 {
	t.Helper()
	i, ok := s.Find(uid)
	if !ok {
		t.Fatalf("UID %d is not there", uid)
	}
	return s.ModSeq(i)
}

// TestFlagThereAndBack: a flag that one process told its clients, and that was taken back before the other
// looked, is news of the other for a client that comes from the first.
func TestFlagThereAndBack(t *testing.T) {
	for _, back := range []string{"1.x:2,", "1.x,U=1:2,"} { // also under another name that says the same
		dir, a, b := twoProcesses(t)
		b.mu.Lock()
		must(t, os.Rename(dir+"/cur/1.x:2,", dir+"/cur/1.x:2,F"))
		told := synced(t, a)
		must(t, os.Rename(dir+"/cur/1.x:2,F", dir+"/cur/"+back))
		b.mu.Unlock()
		snap := synced(t, b)
		if i, _ := snap.Find(1); flagsText(snap, i) != "" {
			t.Fatalf("%s: the other has flags %q", back, flagsText(snap, i))
		}
		if got := modSeqOf(t, snap, 1); got <= told.HighestModSeq() {
			t.Errorf("%s: without the flag the message has MODSEQ %d, after %d was told with it", back, got, told.HighestModSeq())
		}
	}
}

// TestKeywordThereAndBack is TestFlagThereAndBack for a keyword that has no letter.
func TestKeywordThereAndBack(t *testing.T) {
	_, a, b := twoProcesses(t)
	store(t, a, []uint32{2}, StoreAdd, numbered("letter", maxLetters)...)
	store(t, a, []uint32{3}, StoreAdd, "first") // b follows the file from here
	synced(t, b)
	b.mu.Lock()
	told := store(t, a, []uint32{1}, StoreAdd, "word")
	wantKeywords(t, "told", told, 1, "word")
	store(t, a, []uint32{1}, StoreRemove, "word")
	b.mu.Unlock()
	snap := synced(t, b)
	wantKeywords(t, "in the end", snap, 1)
	if got := modSeqOf(t, snap, 1); got <= told.HighestModSeq() {
		t.Errorf("without the keyword the message has MODSEQ %d, after %d was told with it", got, told.HighestModSeq())
	}
}

// TestCameAndWent: a UID that one process gave and told, and whose message was gone before the other looked,
// is one that vanished for the other as well.
func TestCameAndWent(t *testing.T) {
	for _, rewritten := range []bool{false, true} {
		dir, a, b := twoProcesses(t)
		b.mu.Lock()
		put(t, dir+"/cur/4.w:2,", "text\n")
		told := synced(t, a)
		uid := told.UID(told.Len() - 1)
		must(t, os.Remove(dir+"/cur/4.w:2,"))
		synced(t, a)
		if rewritten {
			must(t, a.changeLocked(t.Context(), func() error { return a.rewriteListLocked(nil) }))
		}
		b.mu.Unlock()
		snap := synced(t, b)
		if _, there := snap.Find(uid); there {
			t.Fatalf("UID %d is still there", uid)
		}
		gone, ok := b.ExpungedSince(told.HighestModSeq())
		if !ok || !slices.Contains(gone, uid) {
			t.Errorf("list rewritten: %v: since MODSEQ %d the other knows of %v, %v; want UID %d", rewritten, told.HighestModSeq(), gone, ok, uid)
		}
	}
}

// TestNothingToldUnseen: no snapshot has a HIGHESTMODSEQ above a number that another process has
// drawn for a change that the snapshot lacks.
func TestNothingToldUnseen(t *testing.T) {
	dir, a, b := twoProcesses(t)
	b.mu.Lock()
	must(t, os.Rename(dir+"/cur/1.x:2,", dir+"/cur/1.x:2,F"))
	must(t, os.Remove(dir+"/cur/2.y:2,"))
	must(t, b.barrier(t.Context()))
	b.drainLocked()
	must(t, os.Rename(dir+"/cur/3.z:2,", dir+"/cur/3.z:2,F"))
	drawn := modSeqOf(t, synced(t, a), 3)
	sub := b.Subscribe(Interest{Tell: func() {
		snap := b.Snapshot()
		if i, _ := snap.Find(3); snap.HighestModSeq() >= drawn && flagsText(snap, i) == "" {
			t.Errorf("HIGHESTMODSEQ %d was told without the change of MODSEQ %d", snap.HighestModSeq(), drawn)
		}
	}})
	defer sub.Cancel()
	must(t, b.followLocked(t.Context()))
	must(t, b.settleLocked(t.Context()))
	b.mu.Unlock()
	if snap := synced(t, b); snap.HighestModSeq() < drawn || snap.Len() != 2 {
		t.Errorf("HIGHESTMODSEQ %d, %d messages", snap.HighestModSeq(), snap.Len())
	}
}

// TestReadOnlyFollowsList: where nothing can be written, a message that took its UID from another program's record
// has not vanished when the next record comes.
func TestReadOnlyFollowsList(t *testing.T) {
	dir, a, b := twoProcesses(t)
	b.mu.Lock()
	b.writable = false
	b.mu.Unlock()
	for n, base := range []string{"4.w", "5.v", "6.u"} {
		put(t, dir+"/cur/"+base+":2,", "text\n")
		synced(t, a)
		snap := synced(t, b)
		if snap.Len() != n+4 {
			t.Fatalf("%d messages, want %d", snap.Len(), n+4)
		}
		if gone, _ := b.ExpungedSince(b.history.floor); len(gone) > 0 {
			t.Errorf("UIDs %v are told as vanished", gone)
		}
	}
}

// TestMarkTakenAway: who puts a list without the MODSEQ mark, or with an older one, in place of the other, does not bring clients
// MODSEQs above the mark.
func TestMarkTakenAway(t *testing.T) {
	bothWays(t, func(t *testing.T, opt Options) {
		dir := t.TempDir() + "/Maildir"
		tree := testTree(t, testStore(t, opt), dir)
		for i := range 3 {
			put(t, fmt.Sprintf("%s/cur/%d.m:2,", dir, 1_000_000_000+i), "")
		}
		f := open(t, tree, Inbox)
		defer f.Close()
		must(t, f.TellModSeqs(t.Context()))
		store(t, f, []uint32{1}, StoreAdd, "k")
		for _, with := range []string{"", " M2"} {
			list, err := os.ReadFile(dir + "/" + uidlistName)
			must(t, err)
			list = regexp.MustCompile(` M\d+`).ReplaceAll(list, []byte(with))
			put(t, dir+"/other", string(list))
			must(t, os.Rename(dir+"/other", dir+"/"+uidlistName))
			_, err = f.Sync(t.Context())
			must(t, err)
			for i, when := range []string{"followed", "changed"} {
				if i > 0 {
					store(t, f, []uint32{2}, StoreAdd, "k"+with[min(1, len(with)):])
				}
				h, err := readUIDListHeader(f.home)
				must(t, err)
				if told := f.Snapshot().HighestModSeq(); h.modSeqMark < told {
					t.Errorf("%q, %s: %d was told, the mark is %d", with, when, told, h.modSeqMark)
				}
			}
		}
		// It was cut off, and another process had raised the mark.
		put(t, dir+"/other", fmt.Sprintf("3 V%d N2 G%s M90000000\n1 :1000000000.m\n", f.Snapshot().UIDValidity(), f.Snapshot().GUID()))
		must(t, os.Rename(dir+"/other", dir+"/"+uidlistName))
		_, err := f.Sync(t.Context())
		must(t, err)
		if h, err := readUIDListHeader(f.home); err != nil || h.modSeqMark < 90000000 || h.uidNext != 4 {
			t.Errorf("the list was mended: mark %d, UIDNEXT %d, %v", h.modSeqMark, h.uidNext, err)
		}
	})
}
