package maildir

import (
	"sync/atomic"
	"time"
)

const (
	giveBackLeast = 10_000 // messages that are worth a collection
	giveBackShare = 4      // and at least one in so many of those that are still in memory
	giveBackEvery = time.Minute
)

// giveBack gives memory back to the system: that of folders that nobody uses any more, and what the loading of others
// took besides what stays. The runtime would do so much later or not at all: it collects when the heap has doubled, or
// after minutes, keeps a tenth, and a server that has closed its largest folder is just one that does not grow. A
// collection looks at all that is alive, hence the bounds.
type giveBack struct {
	free  func()
	moved atomic.Int64 // messages of folders that were loaded or unloaded since free was called
	last  time.Time    // when that was; only tidy has to do with it
}

// look calls free if that is worth while; loaded is how many messages are in memory. Only for tidy.
func (g *giveBack) look(now time.Time, loaded int) {
	n := g.moved.Load()
	if n < giveBackLeast || n < int64(loaded/giveBackShare) || now.Sub(g.last) < giveBackEvery && !now.Before(g.last) {
		return
	}
	g.moved.Add(-n)
	g.last = now
	g.free()
}
