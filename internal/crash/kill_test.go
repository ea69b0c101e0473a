//go:build linux && amd64

package crash

import (
	"errors"
	"os"
	"syscall"
	"testing"
)

// newTrialIn is newTrial in a fresh directory, which remove takes away.
func newTrialIn(st *story, j judge) (*trial, error) {
	dir, err := os.MkdirTemp(memory(), "postroom-crash-")
	if err != nil {
		return nil, err
	}
	return newTrial(dir, st, j)
}

// remove takes the case's directory away, unless something was wrong and -keep says to keep it.
func (c *trial) remove(t *testing.T) {
	if t != nil && t.Failed() && *keepFlag {
		t.Logf("kept: %s for %s", c.dir, c.where())
		return
	}
	os.RemoveAll(c.dir)
}

// TestKill kills the server at each call that writes, before it is made and in the middle of a write.
func TestKill(t *testing.T) { eachStory(t, testKill) }

func testKill(t *testing.T, st *story) {
	for _, how := range []struct {
		name string
		fate fate
		some func(call) bool
	}{{"before", kill, anyCall}, {"torn", tear, canTear}} {
		t.Run(how.name, func(t *testing.T) {
			var n count
			inParallel(stepsOver(t, st, how.some), func(k int) bool { return killAt(t, st, how.fate, nth(k, how.some), &n) })
			n.say(t, "killed, restarted, nothing lost")
		})
	}
}

// killAt runs the case for one call; more is false when the script has no such call.
func killAt(t *testing.T, st *story, how fate, at func(call) bool, n *count) (more bool) {
	c, err := newTrialIn(st, fates(func(c call) (fate, syscall.Errno) {
		if at(c) {
			return how, 0
		}
		return letGo, 0
	}))
	if err != nil {
		t.Error(err)
		return false
	}
	defer c.remove(t)
	if err := errors.Join(c.run(), c.end()); err != nil {
		t.Errorf("%s: %v", c.where(), err)
		return false
	}
	if !c.tracer.killed {
		return false
	}
	n.cases.Add(1)
	for _, w := range append(c.s.strange, c.recheck(c.s.ledger)...) {
		t.Errorf("%s: %s", c.where(), w)
	}
	return true
}
