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

// TestNth: a small folder has each message once, in order, and spans the time of a large one.
func TestNth(t *testing.T) {
	c := &corpus{mails: make([]mail, 1000)}
	for _, n := range []int{1, 7, 500, 999, 1000, 2500} {
		last := -1
		for i := range n {
			k := c.nth(i, n)
			if want := i % 1000; n >= 1000 && k != want {
				t.Fatalf("message %d of %d is file %d, not %d", i, n, k, want)
			}
			if n < 1000 && (k <= last || k >= 1000) {
				t.Fatalf("message %d of %d is file %d, after %d", i, n, k, last)
			}
			last = k
		}
		if n < 1000 && last < 1000-1000/n-1 {
			t.Errorf("the last of %d is file %d", n, last)
		}
	}
}
