package maildir

import (
	"fmt"
	"testing"
)

// benchFolder opens INBOX of a tree with n messages.
func benchFolder(b *testing.B, n int) *Folder {
	s := NewStore(Options{Logger: discard})
	tree, err := s.OpenTree(benchTree(b, n), TreeOptions{})
	must(b, err)
	f, err := tree.Open(b.Context(), Inbox)
	must(b, err)
	b.Cleanup(func() {
		f.Close()
		tree.Close()
		s.Close()
	})
	if got := f.Snapshot().Len(); got != n {
		b.Fatalf("%d messages, not %d", got, n)
	}
	return f
}

// toggle changes the flags of one message in the middle.
func toggle(b *testing.B, f *Folder, on bool) *Snapshot {
	ch := Change{Op: StoreRemove, Flags: Flagged}
	if on {
		ch.Op = StoreAdd
	}
	s := f.Snapshot()
	res, err := f.Store(b.Context(), []uint32{s.UID(s.Len() / 2)}, ch)
	must(b, err)
	return res.Snapshot
}

// BenchmarkDiff compares two snapshots of which one message differs.
func BenchmarkDiff(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f := benchFolder(b, n)
			before := f.Snapshot()
			after := toggle(b, f, true)
			b.ReportAllocs()
			for b.Loop() {
				changed := 0
				before.Diff(after, nil, func(int) { changed++ })
				if changed != 1 {
					b.Fatal(changed)
				}
			}
		})
	}
}

// BenchmarkPublish changes one message's record and publishes, without the file system.
func BenchmarkPublish(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f := benchFolder(b, n)
			uid := f.Snapshot().UID(n / 2)
			f.mu.Lock()
			defer f.mu.Unlock()
			b.ReportAllocs()
			for b.Loop() {
				f.modSeq++
				ci, ri, _ := f.state.locate(uid)
				m := &f.state.own(ci).recs[ri]
				m.flags, m.modSeq = m.flags^Flagged, f.modSeq
				f.publishLocked()
			}
			if got := f.Snapshot().ModSeq(n / 2); got != f.modSeq {
				b.Fatal("not published:", got)
			}
		})
	}
}

// BenchmarkStoreOne is a STORE of one message: lock, rename, sync, publication.
func BenchmarkStoreOne(b *testing.B) {
	f := benchFolder(b, 100_000)
	b.ReportAllocs()
	on := false
	for b.Loop() {
		on = !on
		toggle(b, f, on)
	}
}

// BenchmarkReadNames reads the two directories into a listing.
func BenchmarkReadNames(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f := benchFolder(b, n)
			b.ReportAllocs()
			for b.Loop() {
				files := newListing(f.octets())
				must(b, f.readInto(files, false, inNew, inCur))
				if len(files.files) != n {
					b.Fatal(len(files.files))
				}
			}
		})
	}
}

// BenchmarkRescan is a whole scan of a folder in which nothing has changed.
func BenchmarkRescan(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f := benchFolder(b, n)
			before := f.Snapshot()
			f.mu.Lock()
			defer f.mu.Unlock()
			b.ReportAllocs()
			for b.Loop() {
				must(b, f.rescanLocked(b.Context()))
			}
			if f.Snapshot() != before {
				b.Fatal("a change was seen where there was none")
			}
		})
	}
}

// BenchmarkRescanPolled is the same where the kernel has no events: three readings.
func BenchmarkRescanPolled(b *testing.B) {
	dir := benchTree(b, 10_000)
	s := NewStore(Options{Logger: discard, NoWatch: true})
	defer s.Close()
	tree, err := s.OpenTree(dir, TreeOptions{})
	must(b, err)
	defer tree.Close()
	f, err := tree.Open(b.Context(), Inbox)
	must(b, err)
	defer f.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	b.ReportAllocs()
	for b.Loop() {
		must(b, f.rescanLocked(b.Context()))
	}
}
