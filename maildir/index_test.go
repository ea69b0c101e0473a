package maildir

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// reopen serves dir with a store of its own for as long as do runs.
func reopen(t *testing.T, dir string, opt Options, do func(f *Folder)) {
	t.Helper()
	if opt.Logger == nil {
		opt.Logger = testLogger(t)
	}
	s := NewStore(opt)
	defer s.Close()
	tree, err := s.OpenTree(dir, TreeOptions{Create: true})
	must(t, err)
	defer tree.Close()
	f, err := tree.Open(t.Context(), Inbox)
	must(t, err)
	defer f.Close()
	do(f)
}

// settle waits until stamps taken now are told from those of any later change.
func settle() { time.Sleep(150 * time.Millisecond) }

// history tells all that clients know a folder by.
func historyOf(s *Snapshot) string {
	out := fmt.Sprintf("%d %d %d\n", s.UIDValidity(), s.UIDNext(), s.HighestModSeq())
	for i := range s.Len() {
		out += fmt.Sprintf("%d %d (%s) %s\n", s.UID(i), s.ModSeq(i), flagsText(s, i), s.BaseName(i))
	}
	return out
}

// seedIndexed makes a folder of n messages with a history and an index.
func seedIndexed(t *testing.T, dir string, opt Options, n int) (want string, expungedAfter uint64) {
	reopen(t, dir, opt, func(f *Folder) {
		for i := range n {
			put(t, fmt.Sprintf("%s/cur/%d.m.host:2,S", dir, 1000+i), "Subject: x\n\ny\n")
		}
		_, err := f.Sync(t.Context())
		must(t, err)
		must(t, f.TellModSeqs(t.Context()))
		for uid := uint32(2); uid < 20; uid += 3 {
			_, err = f.Store(t.Context(), []uint32{uid}, Change{Op: StoreAdd, Flags: Flagged, Keywords: []string{"Kw"}})
			must(t, err)
		}
		expungedAfter = f.Snapshot().HighestModSeq()
		snap, err := f.Expunge(t.Context(), []uint32{4, 7}, false)
		must(t, err)
		want = historyOf(snap)
		settle()
	})
	return want, expungedAfter
}

func TestIndexKeepsHistory(t *testing.T) {
	bothWays(t, func(t *testing.T, opt Options) {
		dir := filepath.Join(t.TempDir(), "Maildir")
		want, since := seedIndexed(t, dir, opt, 1200)
		check := func(f *Folder, want string) {
			t.Helper()
			snap, err := f.Sync(t.Context())
			must(t, err)
			if got := historyOf(snap); got != want {
				t.Errorf("got\n%.300s\nwant\n%.300s", got, want)
			}
			if gone, ok := f.ExpungedSince(since); !ok || fmt.Sprint(gone) != "[4 7]" {
				t.Errorf("expunged: %v %v", gone, ok)
			}
		}
		reopen(t, dir, opt, func(f *Folder) {
			if f.index == nil {
				t.Error("the folder was not opened from its index")
			}
			check(f, want)
		})
		// A change while nobody served the folder.
		must(t, os.Rename(dir+"/cur/1000.m.host:2,S", dir+"/cur/1000.m.host:2,"))
		must(t, os.Remove(dir+"/cur/1002.m.host:2,S"))
		reopen(t, dir, opt, func(f *Folder) {
			snap := f.Snapshot()
			high := snap.HighestModSeq()
			if i, _ := snap.Find(1); snap.ModSeq(i) != high || flagsText(snap, i) != "" {
				t.Errorf("UID 1: MODSEQ %d of %d, flags %q", snap.ModSeq(i), high, flagsText(snap, i))
			}
			if i, _ := snap.Find(5); snap.ModSeq(i) >= since {
				t.Errorf("UID 5 was not changed, but has MODSEQ %d", snap.ModSeq(i))
			}
			if gone, ok := f.ExpungedSince(since); !ok || fmt.Sprint(gone) != "[3 4 7]" {
				t.Errorf("expunged: %v %v", gone, ok)
			}
		})
	})
}

// TestIndexWarm holds that an unchanged folder is opened without its directories or
// chunks being read.
func TestIndexWarm(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Maildir")
	seedIndexed(t, dir, Options{}, 1200)
	reopen(t, dir, Options{}, func(f *Folder) {
		snap := f.Snapshot()
		if snap.Len() != 1198 || snap.Unseen() != 0 || snap.FirstUnseen() != -1 || snap.UIDNext() != 1201 {
			t.Error(snap.Len(), snap.Unseen(), snap.FirstUnseen(), snap.UIDNext())
		}
		for i, c := range snap.chunks {
			if c.loaded.Load() != nil {
				t.Errorf("chunk %d was read", i)
			}
		}
		if f.bases.built() {
			t.Error("the table of base names was built")
		}
	})
}

// TestPutBack: a message that was expunged and is put back under its old name is a new message, also
// when that is done while nobody serves the folder.
func TestPutBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Maildir")
	seedIndexed(t, dir, Options{}, 10) // UIDs 4 and 7 are expunged
	put(t, dir+"/cur/1003.m.host:2,S", "Subject: x\n\ny\n")
	reopen(t, dir, Options{}, func(f *Folder) {
		snap := f.Snapshot()
		if i, ok := snap.Find(11); snap.Len() != 9 || !ok || snap.BaseName(i) != "1003.m.host" {
			t.Errorf("stopped: %s", dump(snap))
		}
		_, err := f.Expunge(t.Context(), []uint32{11}, false)
		must(t, err)
		put(t, dir+"/cur/1003.m.host:2,S", "Subject: x\n\ny\n")
		snap, err = f.Sync(t.Context())
		must(t, err)
		if i, ok := snap.Find(12); snap.Len() != 9 || !ok || snap.BaseName(i) != "1003.m.host" {
			t.Errorf("served: %s", dump(snap))
		}
	})
	reopen(t, dir, Options{}, func(f *Folder) {
		if snap := f.Snapshot(); snap.Len() != 9 || snap.UID(8) != 12 {
			t.Errorf("again: %s", dump(snap))
		}
	})
}

// TestIndexOfCrash: what came and went after the last save counts as expunged.
func TestIndexOfCrash(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Maildir")
	seedIndexed(t, dir, Options{}, 10)
	saved, err := os.ReadFile(dir + "/" + indexName)
	must(t, err)
	var told uint64
	var validity uint32
	reopen(t, dir, Options{}, func(f *Folder) {
		must(t, f.TellModSeqs(t.Context()))
		put(t, dir+"/new/2000.late.host", "x\n")
		snap, err := f.Sync(t.Context())
		must(t, err)
		if _, ok := snap.Find(11); !ok {
			t.Fatal("UID 11 is missing")
		}
		told, validity = snap.HighestModSeq(), snap.UIDValidity()
		_, err = f.Expunge(t.Context(), []uint32{11}, false)
		must(t, err)
	})
	put(t, dir+"/"+indexName, string(saved)) // as if it had never been saved again
	reopen(t, dir, Options{}, func(f *Folder) {
		snap := f.Snapshot()
		if gone, ok := f.ExpungedSince(told); !ok || fmt.Sprint(gone) != "[11]" || snap.UIDValidity() != validity {
			t.Errorf("expunged: %v %v", gone, ok)
		}
		if snap.HighestModSeq() <= told {
			t.Errorf("HIGHESTMODSEQ %d, %d was told", snap.HighestModSeq(), told)
		}
	})
}

// TestIndexDamaged: whatever becomes of derived files, every answer about a message stays right, and no MODSEQ is lower
// than one told.
func TestIndexDamaged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Maildir")
	seedIndexed(t, dir, Options{}, 700)
	var want string
	var high uint64
	reopen(t, dir, Options{}, func(f *Folder) {
		want, high = dump(f.Snapshot()), f.Snapshot().HighestModSeq()
	})
	index, err := os.ReadFile(dir + "/" + indexName)
	must(t, err)
	counter, err := os.ReadFile(dir + "/" + counterName)
	must(t, err)
	quiet := Options{Logger: discard}
	try := func(name string, index, counter []byte) {
		t.Helper()
		must(t, os.WriteFile(dir+"/"+indexName, index, 0o600))
		must(t, os.WriteFile(dir+"/"+counterName, counter, 0o600))
		reopen(t, dir, quiet, func(f *Folder) {
			if got := dump(f.Snapshot()); got != want {
				t.Errorf("%s: got\n%.300s\nwant\n%.300s", name, got, want)
			}
			snap, err := f.Sync(t.Context())
			must(t, err)
			if got := dump(snap); got != want || snap.HighestModSeq() < high {
				t.Errorf("%s, after a sync: MODSEQ %d of %d, got\n%.300s\nwant\n%.300s", name, snap.HighestModSeq(), high, got, want)
			}
		})
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	step := len(index)/60 + 1
	for n := 0; n < len(index); n += 1 + rnd.IntN(step) {
		try(fmt.Sprintf("cut at %d", n), index[:n], counter)
	}
	for range 60 {
		noise := bytes.Clone(index)
		at := rnd.IntN(len(noise))
		for i := at; i < min(at+1+rnd.IntN(200), len(noise)); i++ {
			noise[i] = byte(rnd.Uint32())
		}
		try(fmt.Sprintf("noise at %d", at), noise, counter)
	}
	for n := range counter {
		try(fmt.Sprintf("counter cut at %d", n), index, counter[:n])
	}
	try("no counter, no index", nil, nil)
}

// TestIndexDamagedLate: the index is found damaged only when a chunk is asked for.
func TestIndexDamagedLate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Maildir")
	seedIndexed(t, dir, Options{}, 1200)
	var want string
	reopen(t, dir, Options{}, func(f *Folder) { want = dump(f.Snapshot()); settle() })
	index, err := os.ReadFile(dir + "/" + indexName)
	must(t, err)
	for i := extentsStart; i < extentsStart+100; i++ {
		index[i] ^= 0x55 // in the first chunk, or one that replaced it
	}
	for i := len(index) / 2; i < len(index)/2+100; i++ {
		index[i] ^= 0x55
	}
	must(t, os.WriteFile(dir+"/"+indexName, index, 0o600))
	reopen(t, dir, Options{Logger: discard}, func(f *Folder) {
		if f.index == nil {
			t.Fatal("the damage was seen at once: it is not where this test wants it")
		}
		if got := dump(f.Snapshot()); got != want {
			t.Errorf("got\n%.300s\nwant\n%.300s", got, want)
		}
		snap, err := f.Sync(t.Context())
		must(t, err)
		if got := dump(snap); got != want {
			t.Errorf("after a sync: got\n%.300s\nwant\n%.300s", got, want)
		}
	})
}

// TestTwoStores: two processes draw MODSEQs from one sequence, and neither claims to know
// what it has not seen.
func TestTwoStores(t *testing.T) {
	bothWays(t, func(t *testing.T, opt Options) {
		dir := filepath.Join(t.TempDir(), "Maildir")
		for i := range 50 {
			_ = os.MkdirAll(dir+"/cur", 0o700)
			put(t, fmt.Sprintf("%s/cur/%d.m.host:2,", dir, 1000+i), "x\n")
		}
		a := open(t, testTree(t, testStore(t, opt), dir), Inbox)
		defer a.Close()
		b := open(t, testTree(t, testStore(t, opt), dir), Inbox)
		defer b.Close()
		must(t, a.TellModSeqs(t.Context()))
		must(t, b.TellModSeqs(t.Context()))
		drawn := make(map[uint64]uint32)
		high := uint64(0)
		for round := range 60 {
			f, other := a, b
			if round%2 == 1 {
				f, other = b, a
			}
			uid := uint32(1 + round%50)
			res, err := f.Store(t.Context(), []uint32{uid}, Change{Op: []StoreOp{StoreAdd, StoreRemove}[round/50], Flags: Seen})
			must(t, err)
			i, _ := res.Snapshot.Find(uid)
			m := res.Snapshot.ModSeq(i)
			if drawn[m] != 0 || m <= high {
				t.Errorf("round %d: MODSEQ %d for UID %d; %d had it; the highest told is %d", round, m, uid, drawn[m], high)
			}
			drawn[m], high = uid, res.Snapshot.HighestModSeq()
			snap, err := other.Sync(t.Context())
			must(t, err)
			if snap.HighestModSeq() < high {
				t.Errorf("round %d: the other says %d after %d was told", round, snap.HighestModSeq(), high)
			}
			if j, _ := snap.Find(uid); flagsText(snap, j) != flagsText(res.Snapshot, i) {
				t.Errorf("round %d: the other has flags %q", round, flagsText(snap, j))
			}
			high = snap.HighestModSeq()
		}
	})
}
