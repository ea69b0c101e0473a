//go:build linux && amd64

package crash

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
)

// newTrialIn is newTrial in a fresh directory below base, or in memory; remove takes it away.
func newTrialIn(base string, j judge) (*trial, error) {
	if base == "" {
		if _, err := os.Stat("/dev/shm"); err == nil {
			base = "/dev/shm"
		}
	}
	dir, err := os.MkdirTemp(base, "postroom-crash-")
	if err != nil {
		return nil, err
	}
	return newTrial(dir, j)
}

func (c *trial) remove() { os.RemoveAll(c.dir) }

// TestKill kills the server at each call that writes, before it is made and in the middle of a write.
func TestKill(t *testing.T) {
	mustTrace(t)
	all, err := callsOfScript()
	if err != nil {
		t.Fatal(err)
	}
	for _, how := range []struct {
		name string
		fate fate
	}{{"before", kill}, {"torn", tear}} {
		t.Run(how.name, func(t *testing.T) {
			var n count
			inParallel(stepFor(all, *sampleFlag), func(k int) bool { return killAt(t, how.fate, k, &n) })
			n.say(t, "killed, restarted, nothing lost")
		})
	}
}

// killAt runs the case for the k-th call; more is false when there are not so many.
func killAt(t *testing.T, how fate, k int, n *count) (more bool) {
	c, err := newTrialIn("", fates(func(c call) (fate, syscall.Errno) {
		// A lock's few octets are written in one piece whatever happens to the process.
		if c.n != k || how == tear && (c.size < 2 || strings.HasSuffix(c.path, ".lock")) {
			return letGo, 0
		}
		return how, 0
	}))
	if err != nil {
		t.Error(err)
		return false
	}
	defer c.remove()
	if err := errors.Join(c.run(), c.end()); err != nil {
		t.Errorf("k=%d: %v", k, err)
		return false
	}
	if c.tracer.calls < k {
		return false
	}
	if !c.tracer.killed {
		return true // not a write that can be torn
	}
	n.cases.Add(1)
	for _, w := range append(c.s.strange, c.recheck(c.s.ledger)...) {
		t.Errorf("k=%d, %s: %s", k, c.where(), w)
	}
	return true
}
