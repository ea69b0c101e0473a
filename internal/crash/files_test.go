package crash

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// What lies beside the messages can be damaged in any way: cut off, overwritten, deleted while it is in use.
// Then all answers are right all the same. What is derived, postroom.*, may cost time to lose, nothing else.
// The uid list is the authority for UIDs: with a damaged one messages may get new UIDs, but only under a new
// UIDVALIDITY, or UIDs that never were told.

// worn is a site whose tree has been used: every file that the server keeps is there.
type worn struct {
	*site
	s *session
}

func newWorn(t *testing.T) *worn {
	t.Helper()
	return newWornIn(t, scratch(t))
}

func newWornIn(t *testing.T, dir string) *worn {
	t.Helper()
	st, err := newSite(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.log.Close() })
	w := &worn{st, newSession(newLedger(user))}
	if err := w.s.seed(st.tree); err != nil {
		t.Fatal(err)
	}
	w.serve(t, func() error {
		for _, step := range []func() error{
			func() error { return w.s.look("INBOX") },
			func() error {
				return w.s.append("INBOX", part{"a1", `\Seen NewWord`, someDate, 5}, part{"a2", "", "", 300}, part{"a3", "Other", "", 5})
			},
			func() error { return w.s.store(w.s.uids("o1", "a2"), "+", `\Flagged`) },
			func() error { return w.s.look("INBOX") },
			func() error { return w.s.expunge(w.s.uids("o2")) },
			func() error { return w.s.create("Work", "") },
			func() error { return w.s.look("INBOX") },
			func() error { return w.s.copy("COPY", w.s.uids("a1", "o3"), "Work") },
			func() error { return w.s.look("Work") },
			func() error { return w.s.look("INBOX") },
		} {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	})
	return w
}

// serve runs a server while do works with it.
func (w *worn) serve(t *testing.T, do func() error) {
	t.Helper()
	w.serveAt(t, nil, do)
}

// serveAt is serve by another clock.
func (w *worn) serveAt(t *testing.T, clock func() time.Time, do func() error) {
	t.Helper()
	p, err := w.open(clock)
	if err != nil {
		t.Fatal(err)
	}
	w.s.imap = func() string { return p.addr }
	w.s.mu.Lock()
	err = do()
	w.s.mu.Unlock()
	w.s.hangUp()
	p.close()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range slices.Concat(w.s.strange, w.s.refused) {
		t.Error(s)
	}
}

// answers has a fresh server tell all of it, without changing anything but what it repairs.
func (w *worn) answers(l *ledger) []string {
	p, err := w.open(nil)
	if err != nil {
		return []string{err.Error()}
	}
	defer p.close()
	return l.check(p.addr)
}

// kept lists the files of a folder whose names match, with what they hold.
func (w *worn) kept(t *testing.T, folder string, patterns ...string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, p := range patterns {
		names, err := filepath.Glob(filepath.Join(w.tree, folder, p))
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			if out[n], err = os.ReadFile(n); err != nil {
				t.Fatal(err)
			}
		}
	}
	return out
}

// putBack writes a file's octets in place: its inode and the directory's times stay, so that all the server
// can go by is what it reads.
func putBack(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// derived are the files that may be lost without any loss.
var derived = []string{"postroom.*"}

// settle lets a server see that nothing happens any more and write down all it keeps.
func (w *worn) settle(t *testing.T) {
	t.Helper()
	for range 2 {
		for _, wrong := range w.answers(w.s.ledger) {
			t.Fatal(wrong)
		}
	}
}

// TestDerivedDamaged cuts each derived file at each octet and changes each octet of it.
func TestDerivedDamaged(t *testing.T) {
	w := newWorn(t)
	w.settle(t)
	var n count
	for _, folder := range []string{"", ".Work"} {
		for path, data := range w.kept(t, folder, derived...) {
			name := strings.TrimPrefix(path, w.tree)
			step := stepFor(2 * len(data))
			for off := 0; off < len(data); off += step {
				w.damage(t, &n, fmt.Sprintf("%s cut at %d", name, off), path, data, data[:off])
				noisy := bytes.Clone(data)
				noisy[off] ^= 1 << rand.IntN(8)
				w.damage(t, &n, fmt.Sprintf("%s changed at %d to %#x", name, off, noisy[off]), path, data, noisy)
			}
			sizes := []int{len(data)}
			if *wholeFlag {
				sizes = []int{1, len(data), 4 * len(data)}
			}
			for _, size := range sizes {
				noise := make([]byte, size)
				for i := range noise {
					noise[i] = byte(rand.Uint32())
				}
				w.damage(t, &n, fmt.Sprintf("%s is %d octets of noise", name, size), path, data, noise)
				w.damage(t, &n, fmt.Sprintf("%s has %d octets of noise at its end", name, size), path, data, slices.Concat(data, noise))
				w.damage(t, &n, fmt.Sprintf("%s is %d zeros", name, size), path, data, make([]byte, size))
			}
		}
	}
	n.say(t, "derived files damaged, every answer right")
}

// damage puts bad octets into a derived file and compares all answers; then it puts the good ones back.
func (w *worn) damage(t *testing.T, n *count, what, path string, good, bad []byte) {
	t.Helper()
	all := w.kept(t, "", derived...)
	for p, data := range w.kept(t, ".Work", derived...) {
		all[p] = data
	}
	if err := putBack(path, bad); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range w.answers(w.s.ledger.clone()) {
		t.Errorf("%s: %s", what, wrong)
	}
	n.cases.Add(1)
	for p, data := range all {
		if p == path {
			data = good
		}
		if err := putBack(p, data); err != nil {
			t.Fatal(err)
		}
	}
}

// TestListDamaged cuts the uid list at each octet: every message has the UID it had, or the UIDVALIDITY is another.
func TestListDamaged(t *testing.T) {
	w := newWorn(t)
	w.settle(t)
	var n count
	path := filepath.Join(w.tree, "dovecot-uidlist")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	index := w.kept(t, "", derived...)
	for _, with := range []string{"with", "without"} {
		step := stepFor(2 * len(data))
		for off := 0; off < len(data); off += step {
			for p, d := range index {
				err := putBack(p, d)
				if with == "without" {
					err = os.Remove(p)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := putBack(path, data[:off]); err != nil {
				t.Fatal(err)
			}
			l := w.s.ledger.clone()
			header := bytes.IndexByte(data, '\n')
			l.renewed = off <= header
			if with == "without" && off > header {
				l.renewed, l.reassigned = true, true
				// A list without its end looks like a whole one, and nothing is left that
				// knows better. The messages are all there; that is all there can be.
				l.named = map[uidKey]string{}
				for _, b := range l.boxes {
					b.renew()
				}
			}
			for _, when := range []string{"", " and opened again"} {
				for _, wrong := range w.answers(l) {
					t.Errorf("cut at %d, %s derived files%s: %s", off, with, when, wrong)
				}
			}
			n.cases.Add(1)
		}
	}
	n.say(t, "the uid list cut, no UID named another message")
}

// TestDeletedWhileServing deletes what the server keeps, or makes it noise, between any two commands.
func TestDeletedWhileServing(t *testing.T) {
	for _, how := range []struct {
		name     string
		patterns []string
		do       func(path string) error
	}{
		{"derived deleted", derived, os.Remove},
		{"derived emptied", derived, func(p string) error { return os.Truncate(p, 0) }},
		{"derived noise", derived, func(p string) error { return putBack(p, bytes.Repeat([]byte{0xa5, 0x5a, 3}, 700)) }},
		{"list deleted", []string{"dovecot-uidlist"}, os.Remove},
		{"list cut", []string{"dovecot-uidlist"}, func(p string) error {
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			return os.Truncate(p, int64(max(len(data)/2, bytes.IndexByte(data, '\n')+1)))
		}},
	} {
		t.Run(how.name, func(t *testing.T) {
			w := newWorn(t)
			w.s.renewed = how.name == "list deleted" // while nobody has the folder open
			spoil := func() error {
				for _, folder := range []string{"", ".Old", ".Work"} {
					for p := range w.kept(t, folder, how.patterns...) {
						if err := how.do(p); err != nil && !errors.Is(err, os.ErrNotExist) {
							return err
						}
					}
				}
				return nil
			}
			w.serve(t, func() error {
				steps := []func() error{
					func() error { return w.s.look("INBOX") },
					func() error { return w.s.append("INBOX", part{"d1", `\Seen`, "", 5}) },
					func() error { return w.s.store(w.s.uids("a1", "d1"), "+", "AnotherWord") },
					func() error { return w.s.copy("COPY", w.s.uids("a1", "d1"), "Work") },
					func() error { return w.s.expunge(w.s.uids("a2")) },
					func() error { return w.s.look("Work") },
					func() error { return w.s.copy("MOVE", w.s.uids("d1"), "Old") },
					func() error { return w.s.look("Old") },
					func() error { return w.s.look("INBOX") },
				}
				for _, step := range steps {
					if err := errors.Join(spoil(), step()); err != nil {
						return err
					}
				}
				return nil
			})
			for _, wrong := range w.recheck(w.s.ledger) {
				t.Error(wrong)
			}
		})
	}
}
