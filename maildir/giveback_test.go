package maildir

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// TestGiveBack: memory is given back when much was unloaded, much of what there is, and not all the time.
func TestGiveBack(t *testing.T) {
	calls := 0
	g := giveBack{free: func() { calls++ }}
	now := time.Unix(1_800_000_000, 0)
	for i, step := range []struct {
		unloaded int64
		loaded   int
		after    time.Duration
		want     int // calls in all
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
		g.unloaded.Add(step.unloaded)
		if g.look(now, step.loaded); calls != step.want {
			t.Fatalf("step %d: memory was given back %d times, not %d", i, calls, step.want)
		}
	}
	if n := g.unloaded.Load(); n != 0 {
		t.Errorf("%d messages are counted still", n)
	}
}

// TestUnloadedIsCounted: what a store unloads counts, and a folder that is still open or kept for a while does not.
func TestUnloadedIsCounted(t *testing.T) {
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
		if got := s.memory.unloaded.Load(); got != want {
			t.Errorf("%d messages are counted as unloaded, not %d", got, want)
		}
	}
	ahead.Store(int64(2 * defaultLinger))
	sweep(0) // open
	f.Close()
	sweep(0) // kept for a while
	ahead.Add(int64(2 * defaultLinger))
	sweep(n)
}
