package maildir

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// TestGiveBack: memory is given back when much was loaded or unloaded, much of what there is, and not all the time.
func TestGiveBack(t *testing.T) {
	calls := 0
	g := giveBack{free: func() { calls++ }}
	now := time.Unix(1_800_000_000, 0)
	for i, step := range []struct {
		moved  int64
		loaded int
		after  time.Duration
		want   int // calls in all
	}{
		{0, 0, 0, 0},
		{giveBackLeast - 1, 0, time.Second, 0},
		{1, 0, 0, 1},                               // many small folders
		{giveBackLeast, 0, giveBackEvery / 2, 1},   // too early
		{0, 0, giveBackEvery / 2, 2},               // it is not forgotten
		{0, 0, giveBackEvery, 2},                   // nothing to give
		{giveBackLeast, 1_000_000, time.Second, 2}, // little of what there is
		{240_000, 1_000_000, giveBackEvery, 3},
		{giveBackLeast, 0, -time.Hour, 4}, // the clock was set back
	} {
		now = now.Add(step.after)
		g.moved.Add(step.moved)
		if g.look(now, step.loaded); calls != step.want {
			t.Fatalf("step %d: memory was given back %d times, not %d", i, calls, step.want)
		}
	}
	if n := g.moved.Load(); n != 0 {
		t.Errorf("%d messages are counted still", n)
	}
}

// TestMovedIsCounted: what a store loads counts, and what it unloads, which a folder that is kept for a while is not.
func TestMovedIsCounted(t *testing.T) {
	const n = 30
	var ahead atomic.Int64
	start := time.Now()
	s := testStore(t, Options{NoWatch: true, PollInterval: time.Hour, Clock: func() time.Time { return start.Add(time.Duration(ahead.Load())) }})
	dir := filepath.Join(t.TempDir(), "Maildir")
	tree := testTree(t, s, dir)
	for i := range n {
		put(t, fmt.Sprintf("%s/cur/%d.M%d.host:2,", dir, 1_000_000_000+i, i), "x\n")
	}
	f := open(t, tree, Inbox)
	sweep := func(want int64) {
		t.Helper()
		s.sweep()
		if got := s.memory.moved.Load(); got != want {
			t.Errorf("%d messages are counted as moved, not %d", got, want)
		}
	}
	ahead.Store(int64(2 * defaultLinger))
	sweep(n) // open
	f.Close()
	sweep(n) // kept for a while
	ahead.Add(int64(2 * defaultLinger))
	sweep(2 * n)
}
