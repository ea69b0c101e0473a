//go:build linux

package crash

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestNoRoom fills a real file system to its last octet and its last inode. Mail can still be read,
// marked, moved and deleted, by sessions that had the mailbox open and by a server that is started then; what wants
// room is refused; when there is room again all goes on.
func TestNoRoom(t *testing.T) {
	for _, kind := range []struct {
		name  string
		fill  func(dir string) error
		moves bool // a list's lock can be made, and its last page has room
	}{
		{"octets", fillOctets, true},
		{"inodes", fillInodes, false},
		{"both", func(dir string) error { return errors.Join(fillOctets(dir), fillInodes(dir)) }, false},
	} {
		t.Run(kind.name, func(t *testing.T) {
			dir := scratch(t)
			mail := filepath.Join(dir, "mail")
			if err := os.Mkdir(mail, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := unix.Mount("none", mail, "tmpfs", 0, "size=1m,nr_inodes=120"); err != nil {
				t.Skip("nothing can be mounted here: ", err)
			}
			t.Cleanup(func() { unix.Unmount(mail, unix.MNT_DETACH) })
			w := newWornIn(t, dir)
			w.settle(t)
			filler := filepath.Join(mail, "filler")
			if err := os.Mkdir(filler, 0o700); err != nil {
				t.Fatal(err)
			}
			w.serve(t, func() error {
				err := errors.Join(w.s.look("INBOX"), kind.fill(filler))
				if err != nil {
					return err
				}
				return errors.Join(w.moveWithoutRoom("o4", kind.moves), w.withoutRoom("a1", func() error { return kind.fill(filler) }))
			})
			w.serve(t, func() error {
				return errors.Join(w.withoutRoom("a2", func() error { return kind.fill(filler) }), w.moveWithoutRoom("o1", kind.moves))
			})
			if err := os.RemoveAll(filler); err != nil {
				t.Fatal(err)
			}
			for _, wrong := range w.recheck(w.s.ledger) {
				t.Error(wrong)
			}
		})
	}
}

// moveWithoutRoom moves a message to another mailbox, which needs no room but for its UID.
func (w *worn) moveWithoutRoom(id string, moves bool) error {
	if err := w.s.copy("MOVE", w.s.uids(id), "Work"); err != nil {
		return err
	}
	if refused := w.s.refused; (len(refused) == 0) != moves || len(refused) > 0 && !strings.Contains(refused[0], "OVERQUOTA") {
		return fmt.Errorf("MOVE on a full disk: %v", refused)
	}
	w.s.refused = nil
	return w.s.look("INBOX")
}

// withoutRoom deletes a message and tries to add one.
func (w *worn) withoutRoom(id string, refill func() error) error {
	for _, step := range []func() error{
		func() error { return w.s.look("INBOX") },
		func() error { return w.s.store(w.s.uids("a3"), "+", `\Flagged`) },
		func() error { return w.s.store(w.s.uids("a3"), "-", `\Flagged`) },
		func() error { return w.s.expunge(w.s.uids(id)) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	if len(w.s.refused) > 0 {
		return fmt.Errorf("refused: %v", w.s.refused)
	}
	if err := refill(); err != nil {
		return err
	}
	if err := w.s.append("INBOX", part{"n" + id, "", "", 20000}); err != nil {
		return err
	}
	if len(w.s.refused) == 0 || !strings.Contains(w.s.refused[0], "OVERQUOTA") {
		return fmt.Errorf("APPEND to a full disk: %v", w.s.refused)
	}
	w.s.refused = nil
	return w.s.look("INBOX")
}

func fillOctets(dir string) error {
	f, err := os.CreateTemp(dir, "octets")
	if errors.Is(err, syscall.ENOSPC) {
		return nil // no inode, which is as good
	}
	if err != nil {
		return err
	}
	defer f.Close()
	for b := make([]byte, 4096); ; {
		if _, err := f.Write(b); errors.Is(err, syscall.ENOSPC) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func fillInodes(dir string) error {
	for {
		f, err := os.CreateTemp(dir, "inode")
		if err == nil {
			f.Close()
		}
		if errors.Is(err, syscall.ENOSPC) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
