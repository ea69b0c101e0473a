//go:build linux && amd64

package crash

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// TestError lets each call that writes fail once: what is then answered is true, what was refused never
// appears, and the server goes on. A write may also do only half of its work.
func TestError(t *testing.T) {
	mustTrace(t)
	all, err := callsOfScript()
	if err != nil {
		t.Fatal(err)
	}
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EIO, syscall.EDQUOT} {
		t.Run(errnoName(errno), func(t *testing.T) {
			var n count
			inParallel(stepFor(all, *sampleFlag), func(k int) bool {
				return failAt(t, k, &n, func(c call) (fate, syscall.Errno) {
					if c.n == k {
						return refuse, errno
					}
					return letGo, 0
				})
			})
			n.say(t, "one call failed, nothing wrong was told, it served on")
		})
	}
	t.Run("half", func(t *testing.T) {
		var n count
		inParallel(stepFor(all, *sampleFlag), func(k int) bool {
			return failAt(t, k, &n, func(c call) (fate, syscall.Errno) {
				switch {
				case c.n == k && c.size > 1:
					return halve, 0
				case c.n == k+1 && c.name == "write":
					return refuse, syscall.ENOSPC // the other half
				}
				return letGo, 0
			})
		})
		n.say(t, "half of a write was made, the rest failed")
	})
}

// TestFullDisk: from the k-th call on, nothing can be made or written. What was there is safe, and
// when there is room again, all goes on.
func TestFullDisk(t *testing.T) {
	mustTrace(t)
	all, err := callsOfScript()
	if err != nil {
		t.Fatal(err)
	}
	var n count
	inParallel(stepFor(all, *sampleFlag), func(k int) bool {
		return failAt(t, k, &n, func(c call) (fate, syscall.Errno) {
			if c.n >= k && needsRoom[c.name] {
				return refuse, syscall.ENOSPC
			}
			return letGo, 0
		})
	})
	n.say(t, "the disk was full from some call on")
}

// TestBadDisk: from the k-th call on, every sync fails.
func TestBadDisk(t *testing.T) {
	mustTrace(t)
	all, err := callsOfScript()
	if err != nil {
		t.Fatal(err)
	}
	var n count
	inParallel(stepFor(all, *sampleFlag), func(k int) bool {
		return failAt(t, k, &n, func(c call) (fate, syscall.Errno) {
			if c.n >= k && strings.HasSuffix(c.name, "sync") {
				return refuse, syscall.EIO
			}
			return letGo, 0
		})
	})
	n.say(t, "every sync failed from some call on")
}

// needsRoom are the calls that a full disk refuses.
var needsRoom = map[string]bool{
	"openat": true, "write": true, "pwrite64": true, "writev": true, "pwritev": true, "copy_file_range": true, "sendfile": true,
	"linkat": true, "link": true, "symlinkat": true, "mkdirat": true, "mkdir": true, "fallocate": true,
}

func errnoName(e syscall.Errno) string {
	return map[syscall.Errno]string{syscall.ENOSPC: "ENOSPC", syscall.EIO: "EIO", syscall.EDQUOT: "EDQUOT"}[e]
}

// failAt runs the case in which calls fail as f says, from the k-th on. When the script is through,
// nothing fails any more.
func failAt(t *testing.T, k int, n *count, f fates) (more bool) {
	passed := false // guarded by the tracer: asked and set while the server stands still or is idle
	var c *trial
	c, err := newTrialIn("", fates(func(x call) (fate, syscall.Errno) {
		c.tracer.mu.Lock()
		over := passed
		c.tracer.mu.Unlock()
		if over {
			return letGo, 0
		}
		return f(x)
	}))
	if err != nil {
		t.Error(err)
		return false
	}
	defer c.remove()
	c.s.waiting = true
	err = c.run()
	c.tracer.mu.Lock()
	passed = true
	calls, hit := c.tracer.calls, c.tracer.last.n > 0
	c.tracer.mu.Unlock()
	if err != nil {
		err = fmt.Errorf("the script ended: %w", err)
	} else if err = c.s.epilogue(); err != nil {
		err = fmt.Errorf("epilogue: %w", err)
	}
	c.s.hangUp()
	c.s.waiting = false
	var wrong []string
	if err == nil {
		for _, w := range c.s.ledger.check(c.s.imap(), user) {
			wrong = append(wrong, "serving on: "+w)
		}
	}
	if err := errors.Join(err, c.end()); err != nil {
		t.Errorf("k=%d, %s: %v; refused %q", k, c.where(), err, c.s.refused)
		return calls >= k
	}
	if !hit {
		return calls >= k
	}
	n.cases.Add(1)
	wrong = append(append(c.s.strange, wrong...), c.recheck(c.s.ledger)...)
	for _, w := range wrong {
		t.Errorf("k=%d, %s: %s; refused %q", k, c.where(), w, c.s.refused)
	}
	return true
}
