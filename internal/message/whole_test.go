package message

import (
	"bytes"
	"strings"
	"testing"

	"postroom/internal/message/mailtest"
)

// TestAppendWire: a message in memory goes out as a Reader yields it, whatever pieces it comes in.
func TestAppendWire(t *testing.T) {
	texts := [][]byte{nil, []byte("\n"), []byte("\r"), []byte("\r\n"), []byte("\n\n\r\n\r\r\n"), []byte("a\x00\nb\x00"), []byte("a\r\x00\n")}
	for i := range uint64(500) {
		b := mailtest.Message(11, i)
		texts = append(texts, b, mailtest.Damaged(i, b))
	}
	for _, b := range texts {
		m, err := Parse(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		all, _ := m.Section(nil, Whole)
		want := readSection(t, m, b, all)
		if n := WireSize(b); n != int64(len(want)) {
			t.Fatalf("%d octets, not %d: %q", n, len(want), b)
		}
		for _, size := range []int{len(b) + 1, 1, 7} {
			got, last := []byte{}, byte(0)
			for off := 0; off < len(b); off += size {
				piece := b[off:min(off+size, len(b))]
				got = AppendWire(got, piece, last)
				last = piece[len(piece)-1]
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("in pieces of %d: %q, not %q", size, got, want)
			}
		}
	}
}

func BenchmarkAppendWire(b *testing.B) {
	for _, eol := range []string{"\n", "\r\n"} {
		text := []byte(strings.Repeat("The quick brown fox jumps over the lazy dog, and so on and on."+eol, 130))
		dst := make([]byte, 0, 2*len(text))
		b.Run(strings.Trim(strings.ReplaceAll(strings.ReplaceAll(eol, "\r", "CR"), "\n", "LF"), " "), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if WireSize(text) < int64(len(text)) {
					b.Fatal("too short")
				}
				dst = AppendWire(dst[:0], text, 0)
			}
		})
	}
}
