package maildir

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestWalk changes a folder's state at random, and walks each snapshot beside each later one: what a Walk and a
// Reading's way through snapshots show is what searching for each message finds.
func TestWalk(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	var b builder
	next, modSeq := uint32(1), uint64(0)
	words := newWords()
	var all []*Snapshot
	for range 14 {
		for range r.IntN(3 * chunkMax) {
			modSeq++
			b.append(newMessage{uid: next, name: fmt.Sprintf("%d.x:2,", next), flags: Flags(r.Uint32()) & (System | 1<<letterShift), modSeq: modSeq})
			next += 1 + uint32(r.IntN(3))
		}
		var gone []uint32
		for _, c := range b.chunks {
			run := r.IntN(4) == 0 // most of a chunk, so that what is left is joined
			for i := range c.get().recs {
				if n := r.IntN(64); n == 0 || run && n > 3 {
					gone = append(gone, c.get().recs[i].uid)
				}
			}
		}
		b.remove(gone)
		for ci := range b.chunks {
			if r.IntN(3) == 0 {
				modSeq++
				recs := b.own(ci).recs
				m := &recs[r.IntN(len(recs))]
				m.flags, m.modSeq = m.flags^Seen, modSeq
			}
		}
		s := b.freeze(nil)
		s.keywords = words
		all = append(all, s)
	}
	for i, told := range all {
		for _, newer := range all[i:] {
			checkWalk(t, told, newer)
		}
	}
}

// newWords is a table in which the first letter has a name.
func newWords() *keywordTable {
	words := new(keywordTable)
	words.names[0] = "word"
	return words
}

func checkWalk(t *testing.T, told, newer *Snapshot) {
	t.Helper()
	back := told.Backwards()
	for i := told.Len() - 1; i >= 0; i-- {
		if !back.Next() || back.Index() != i || back.UID() != told.UID(i) || back.Flags() != told.Flags(i) {
			t.Fatalf("backwards message %d is told as %d, UID %d", i, back.Index(), back.UID())
		}
	}
	if again := back.Next(); again || back.Next() {
		t.Fatal("backwards there is something before the first message")
	}
	w, n, gone, near := told.Walk(newer), 0, 0, [2]int{}
	for ; w.Next(); n++ {
		uid := told.UID(n)
		s, j := newer, 0
		var there bool
		if j, there = newer.Find(uid); !there {
			s, j = told, n
			gone++
		}
		if w.Index() != n || w.UID() != uid || w.Flags() != s.Flags(j) || w.ModSeq() != s.ModSeq(j) || w.HasKeyword("WORD") != s.HasKeyword(j, "word") {
			t.Fatalf("message %d is told as %d, UID %d of %d, %x %d, not %x %d", n, w.Index(), w.UID(), uid, w.Flags(), w.ModSeq(), s.Flags(j), s.ModSeq(j))
		}
		c, r := told.atNear(n, &near[0])
		if c.recs[r].uid != uid {
			t.Fatalf("message %d is UID %d, not %d", n, c.recs[r].uid, uid)
		}
		c, r, ok := newer.findNear(uid, &near[1], r)
		if ok != there || ok && c.recs[r].uid != uid {
			t.Fatalf("UID %d is found: %v, not %v", uid, ok, there)
		}
		if n%701 == 0 { // from anywhere to anywhere
			near = [2]int{n % (len(told.chunks) + 1), n % 7}
		}
	}
	if n != told.Len() || w.Next() || gone == 0 && newer != told {
		t.Fatalf("%d messages of %d, %d gone", n, told.Len(), gone)
	}
}
