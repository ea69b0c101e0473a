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
func TestError(t *testing.T) { eachStory(t, testError) }

func testError(t *testing.T, st *story) {
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EIO, syscall.EDQUOT} {
		t.Run(errnoName(errno), func(t *testing.T) {
			var n count
			inParallel(stepsOver(t, st, anyCall), func(k int) bool {
				at := nth(k, anyCall)
				return fails(t, st, &n, false, false, func(c call) (fate, syscall.Errno) {
					if at(c) {
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
		inParallel(stepsOver(t, st, canTear), func(k int) bool {
			at, torn := nth(k, canTear), ""
			return fails(t, st, &n, false, false, func(c call) (fate, syscall.Errno) {
				switch {
				case at(c):
					torn = c.path
					return halve, 0
				case c.name == "write" && c.path == torn:
					torn = ""
					return refuse, syscall.ENOSPC // the other half
				}
				return letGo, 0
			})
		})
		n.say(t, "half of a write was made, the rest failed")
	})
}

// TestLastingError: from some call on, a kind of call always fails. What was there is safe, and when the
// disk is well again, all goes on.
func TestLastingError(t *testing.T) { eachStory(t, testLastingError) }

func testLastingError(t *testing.T, st *story) {
	for _, kind := range []struct {
		name  string
		some  func(call) bool
		errno syscall.Errno
		stuck bool
	}{
		{"full", takesRoom, syscall.ENOSPC, false},
		{"sync", isSync, syscall.EIO, false},
		{"all", anyCall, syscall.EIO, true},
	} {
		t.Run(kind.name, func(t *testing.T) {
			var n count
			inParallel(stepsOver(t, st, kind.some), func(k int) bool {
				at, began := nth(k, kind.some), false
				return fails(t, st, &n, kind.stuck, kind.name == "full", func(c call) (fate, syscall.Errno) {
					if began = began || at(c); began && kind.some(c) {
						return refuse, kind.errno
					}
					return letGo, 0
				})
			})
			n.say(t, "calls failed from some call on, nothing wrong was told, it served on")
		})
	}
}

// needsRoom are the calls that a full disk refuses.
var needsRoom = map[string]bool{
	"openat": true, "write": true, "pwrite64": true, "writev": true, "pwritev": true, "copy_file_range": true, "sendfile": true,
	"linkat": true, "link": true, "symlinkat": true, "mkdirat": true, "mkdir": true, "fallocate": true,
}

func errnoName(e syscall.Errno) string {
	return map[syscall.Errno]string{syscall.ENOSPC: "ENOSPC", syscall.EIO: "EIO", syscall.EDQUOT: "EDQUOT"}[e]
}

// deletes tells whether a refused command is one that deletes mail, or must come before that. A mailbox that never
// was opened has no UIDVALIDITY yet, and cannot get one.
func deletes(refused string) bool {
	return strings.Contains(refused, "UID EXPUNGE") || strings.Contains(refused, `+FLAGS (\\Deleted)`) ||
		strings.Contains(refused, "SELECT INBOX (QRESYNC") || strings.Contains(refused, "DELE ") || strings.HasPrefix(refused, "QUIT")
}

// fails runs the case in which calls fail as f says; more is false when none did. When the script is
// through, nothing fails any more. stuck tells that removing fails, too, so that nothing can be withdrawn; full,
// that it is room only that is missing.
func fails(t *testing.T, st *story, n *count, stuck, full bool, f fates) (more bool) {
	over := false // guarded by the tracer's mu
	var c *trial
	c, err := newTrialIn(st, fates(func(x call) (fate, syscall.Errno) {
		c.tracer.mu.Lock()
		now := over
		c.tracer.mu.Unlock()
		if now {
			return letGo, 0
		}
		return f(x)
	}))
	if err != nil {
		t.Error(err)
		return false
	}
	defer c.remove(t)
	c.s.each(func(l *ledger) { l.waiting, l.stuck = true, stuck })
	err = c.run()
	c.tracer.mu.Lock()
	over = true
	hit := c.tracer.last.n > 0
	c.tracer.mu.Unlock()
	if err != nil {
		err = fmt.Errorf("the script ended: %w", err)
	} else if err = c.s.epilogue(); err != nil {
		err = fmt.Errorf("epilogue: %w", err)
	}
	c.s.hangUp()
	c.s.each(func(l *ledger) { l.waiting = false })
	var wrong []string
	if err == nil {
		for _, w := range c.s.ledger.check(c.s.imap()) {
			wrong = append(wrong, "serving on: "+w)
		}
	}
	if err := errors.Join(err, c.end()); err != nil {
		t.Errorf("%s: %v; refused %q", c.where(), err, c.s.refused)
		return hit
	}
	if !hit {
		return false
	}
	n.cases.Add(1)
	for _, r := range c.s.refused {
		if full && deletes(r) {
			wrong = append(wrong, "a full disk kept mail from being deleted: "+r)
		}
	}
	wrong = append(append(c.s.strange, wrong...), c.recheck(c.s.ledger)...)
	for _, w := range wrong {
		t.Errorf("%s: %s; refused %q", c.where(), w, c.s.refused)
	}
	return true
}
