package maildir

import (
	"path/filepath"
	"testing"
)

// BenchmarkFlags asks for what FETCH 1:* (FLAGS MODSEQ) tells of each message.
func BenchmarkFlags(b *testing.B) {
	f := benchFolder(b, 10_000)
	b.Run("shared", func(b *testing.B) { benchFlags(b, f.Snapshot()) })
	b.Run("private", func(b *testing.B) {
		v := new(SeenView)
		for uid := uint32(1); uid < 10_000; uid += 10 {
			v = v.with(v.seen.extend(uidRange{uid, uid + 4}), uint64(uid))
		}
		benchFlags(b, f.Snapshot().WithSeen(v))
	})
}

func benchFlags(b *testing.B, s *Snapshot) {
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		for i := range s.Len() {
			dst = s.AppendFlags(dst[:0], i)
			if s.ModSeq(i) > s.HighestModSeq() || s.Flags(i)&Deleted != 0 {
				b.Fatal("message", i)
			}
		}
	}
}

// BenchmarkSeenStore marks one message after another, as who reads them does.
func BenchmarkSeenStore(b *testing.B) {
	f := benchFolder(b, 10_000)
	must(b, f.TellModSeqs(b.Context()))
	tree, err := f.store.OpenTree(filepath.Join(b.TempDir(), "reader"), TreeOptions{Create: true})
	must(b, err)
	defer tree.Close()
	st := seenState(b, tree, f)
	defer st.Close()
	uid := uint32(0)
	b.ReportAllocs()
	for b.Loop() {
		if uid++; uid > 10_000 {
			b.Fatal("all messages are marked")
		}
		res, err := st.Store(b.Context(), f, []uint32{uid}, Change{Op: StoreAdd, Flags: Seen})
		must(b, err)
		if res.Snapshot.Unseen() != 10_000-int(uid) {
			b.Fatal(res.Snapshot.Unseen())
		}
	}
}
