package main

import (
	"bytes"
	netmail "net/mail"
	"testing"
)

// TestLetters: the corpus is fixed by its seed, well formed, and 8 KiB on average.
func TestLetters(t *testing.T) {
	const n = 2000
	total := 0
	rare := 0
	for i := range n {
		l := newLetter(1, i, n)
		if again := newLetter(1, i, n); !bytes.Equal(l.b.Bytes(), again.b.Bytes()) {
			t.Fatalf("message %d differs when made again", i)
		}
		m, err := netmail.ReadMessage(bytes.NewReader(l.b.Bytes()))
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		if d, err := m.Header.Date(); err != nil || !d.Equal(l.date) {
			t.Fatalf("message %d: date %v, %v", i, d, err)
		}
		if bytes.Contains(l.b.Bytes(), []byte(rareBody)) {
			rare++
		}
		total += l.b.Len()
	}
	if mean := total / n; mean < 7800 || mean > 8600 {
		t.Errorf("mean size %d", mean)
	}
	if rare == 0 || rare > n/20 {
		t.Errorf("%d of %d have the rare word", rare, n)
	}
}
