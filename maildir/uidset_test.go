package maildir

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// setOf makes a set one UID at a time.
func setOf(uids map[uint32]bool) uidSet {
	var s uidSet
	for _, uid := range slices.Sorted(mapKeys(uids)) {
		s = s.extend(uidRange{uid, uid})
	}
	return s
}

// Sets against maps, with UIDs at both ends of what there can be.
func TestUIDSet(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		base := []uint32{1, maxUID - 40}[rng.IntN(2)]
		a, b := map[uint32]bool{}, map[uint32]bool{}
		for range rng.IntN(30) {
			a[base+rng.Uint32N(41)] = true
			b[base+rng.Uint32N(41)] = true
		}
		s, u := setOf(a), setOf(b)
		union, minus, differ := map[uint32]bool{}, map[uint32]bool{}, map[uint32]bool{}
		for uid := base; uid <= base+40; uid++ {
			if s.contains(uid) != a[uid] {
				t.Fatalf("%v contains %d: %v", s, uid, !a[uid])
			}
			for m, in := range map[*map[uint32]bool]bool{&union: a[uid] || b[uid], &minus: a[uid] && !b[uid], &differ: a[uid] != b[uid]} {
				if in {
					(*m)[uid] = true
				}
			}
		}
		for _, c := range []struct {
			got  uidSet
			want map[uint32]bool
		}{{s.union(u), union}, {s.minus(u), minus}, {s.differ(u), differ}} {
			if !slices.Equal(c.got, setOf(c.want)) {
				t.Fatalf("%v and %v: %v, want %v", s, u, c.got, setOf(c.want))
			}
		}
		if len(s) > 0 {
			if back, ok := parseUIDSet(string(s.append(nil))); !ok || !slices.Equal(back, s) {
				t.Fatalf("%s became %v", s.append(nil), back)
			}
		}
	}
}

func TestParseUIDSet(t *testing.T) {
	for text, want := range map[string]uidSet{
		"7": {{7, 7}}, "7,1:3": {{1, 3}, {7, 7}}, "1:3,2:9,10": {{1, 10}}, "4294967294": {{maxUID, maxUID}},
		"": nil, "0": nil, "1:": nil, "3:1": nil, "*": nil, "1:*": nil, "4294967295": nil, "1,": nil, "-1": nil, " 1": nil, "99999999999": nil,
	} {
		if got, ok := parseUIDSet(text); ok != (want != nil) || !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// As few runs as the messages allow, with nothing said of those there or to come that was not said before.
func TestUIDSetOver(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 1000 {
		var b builder
		there := map[uint32]bool{}
		for uid := uint32(1); uid <= 30; uid++ {
			if rng.IntN(3) > 0 {
				there[uid] = true
				b.append(newMessage{uid: uid, name: "x"})
			}
		}
		snap := b.freeze(nil)
		snap.uidNext = 31
		in := map[uint32]bool{}
		for range rng.IntN(40) {
			in[1+rng.Uint32N(36)] = true
		}
		s := setOf(in)
		got := s.over(snap)
		runs, last := 0, false
		for uid := uint32(1); uid <= 36; uid++ {
			if uid > 30 || there[uid] {
				if got.contains(uid) != in[uid] {
					t.Fatalf("%v became %v: %d", s, got, uid)
				}
				if in[uid] && !last {
					runs++
				}
				last = in[uid]
			}
		}
		if len(got) > runs+1 { // what is to come does not join what is there
			t.Fatalf("%v became %v: %d runs would do", s, got, runs)
		}
	}
}
