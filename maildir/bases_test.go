package maildir

import (
	"fmt"
	"testing"
)

// TestBaseIndex adds and removes names and looks for all of them again.
func TestBaseIndex(t *testing.T) {
	var b builder
	const first = 300
	for uid := uint32(1); uid <= first; uid++ {
		b.append(newMessage{uid: uid, name: fmt.Sprintf("m%d:2,S", uid), size: -1})
	}
	var x baseIndex
	x.add("m7", 7) // before build: build takes it from the state
	x.build(&b)
	for uid := uint32(first + 1); uid <= 5000; uid++ {
		x.add(fmt.Sprintf("m%d", uid), uid)
	}
	for uid := uint32(1); uid <= 5000; uid += 3 {
		x.remove(fmt.Sprintf("m%d", uid), uid)
		x.add(fmt.Sprintf("again%d", uid), uid+10000)
	}
	for uid := uint32(1); uid <= 5000; uid++ {
		var found []uint32
		x.candidates(fmt.Sprintf("m%d", uid), func(u uint32) bool {
			if u == uid {
				found = append(found, u)
			}
			return false
		})
		if want := (uid-1)%3 != 0; want != (len(found) == 1) {
			t.Fatalf("UID %d: found %v", uid, found)
		}
	}
	if len(x.slots) > 1<<14 {
		t.Errorf("%d slots for 5000 names", len(x.slots))
	}
}
