//go:build linux && amd64

package crash

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// badSync lets one sync fail. As on Linux, the octets that a failed sync of a file was to write are lost, though
// they can still be read: no later sync brings them back, and reports nothing.
type badSync struct {
	at func(call) bool
	d  *durable
}

func (b *badSync) before(c call) (fate, syscall.Errno) {
	if !b.at(c) {
		return letGo, 0
	}
	if fi, err := os.Lstat(c.path); err == nil && fi.Mode().IsRegular() {
		b.d.lose(inodeOf(fi))
	}
	return refuse, syscall.EIO
}

func (b *badSync) after(c call) {
	if c.errno == 0 && isSync(c) {
		b.d.synced(c.path) // an error: removed meanwhile
	}
}

func (b *badSync) wantAfter() bool { return true }

// TestBadSync lets each sync fail once. The client tries again what was refused. In the end
// the power is cut: what was answered OK is there, so no failed sync was retried into an OK.
func TestBadSync(t *testing.T) { eachStory(t, testBadSync) }

func testBadSync(t *testing.T, st *story) {
	var n count
	inParallel(stepsOver(t, st, isSync), func(k int) bool { return badSyncAt(t, st, k, &n) })
	n.say(t, "one sync failed, then the power was cut; nothing lost")
}

// TestBadSyncNewUser is TestBadSync for a user whose tree is made on the way.
func TestBadSyncNewUser(t *testing.T) {
	mustTrace(t)
	var n count
	inParallel(1, func(k int) bool { return badSyncAt(t, newcomer, k, &n) })
	n.say(t, "one sync failed, then the power was cut; nothing lost")
}

func badSyncAt(t *testing.T, st *story, k int, n *count) (more bool) {
	b := &badSync{at: nth(k, isSync)}
	c, err := newTrialIn(st, b)
	if err != nil {
		t.Error(err)
		return false
	}
	defer c.remove(t)
	root, err := os.Stat(c.mail)
	if err == nil {
		b.d, err = newDurable(c.mail)
	}
	if err != nil {
		t.Error(err)
		return false
	}
	c.s.again = true
	c.s.each(func(l *ledger) { l.waiting = true })
	c.s.placed = func(path string, fi fs.FileInfo, data []byte) {
		if err := b.d.arrived(path, fi, data); err != nil {
			t.Error(err)
		}
	}
	if err := errors.Join(c.run(), c.end()); err != nil {
		t.Errorf("%s: %v; refused %q", c.where(), err, c.s.refused)
		return false
	}
	if c.tracer.last.n == 0 {
		return false
	}
	n.cases.Add(1)
	c.s.each(func(l *ledger) { l.waiting = false })
	after := filepath.Join(c.dir, "after")
	s, err := newSite(after)
	if err != nil {
		t.Error(err)
		return false
	}
	defer s.log.Close()
	if err := b.d.now().write(inodeOf(root), s.mail); err != nil {
		t.Error(err)
		return false
	}
	for _, w := range append(c.s.strange, s.recheck(c.s.ledger.forgetful())...) {
		t.Errorf("%s: %s; refused %q", c.where(), w, c.s.refused)
	}
	return true
}
