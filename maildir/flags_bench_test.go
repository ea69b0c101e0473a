package maildir

import "testing"

// BenchmarkFlags asks for what FETCH 1:* (FLAGS MODSEQ) tells of each message.
func BenchmarkFlags(b *testing.B) {
	s := benchFolder(b, 10_000).Snapshot()
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
