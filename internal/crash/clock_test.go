package crash

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// TestClockSetBack sets the clock back by a day, between two servers and while one serves. No UID and no
// UIDVALIDITY is given twice, no MODSEQ goes back, new mail gets its UIDs at once, and a dead server's
// lock, which then is of tomorrow, is in nobody's way.
func TestClockSetBack(t *testing.T) {
	w := newWorn(t)
	back := func() time.Time { return time.Now().Add(-24 * time.Hour).Round(0) } // Round: a wall clock and no more
	for i, clock := range []func() time.Time{back, time.Now, back} {
		if err := os.WriteFile(filepath.Join(w.tree, "dovecot-uidlist.lock"), fmt.Appendf(nil, "%d:%s", deadProcess(t), hostname(t)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := ageLocks(w.tree); err != nil {
			t.Fatal(err)
		}
		w.serveAt(t, clock, func() error { return w.dayOfWork(fmt.Sprint("c", i)) })
	}
	var jumps atomic.Int32
	w.serveAt(t, func() time.Time {
		if jumps.Load() > 0 {
			return back()
		}
		return time.Now().Round(0)
	}, func() error {
		if err := w.dayOfWork("d"); err != nil {
			return err
		}
		jumps.Add(1)
		return w.dayOfWork("e")
	})
	for _, wrong := range w.recheck(w.s.ledger) {
		t.Error(wrong)
	}
}

// dayOfWork takes in mail, deletes some, and makes a mailbox anew whose list was lost; with only a name to tell the days apart.
func (w *worn) dayOfWork(name string) error {
	lost := func() error {
		delete(w.s.boxes, name)
		w.s.boxes[name] = newBox(true)
		return os.Remove(filepath.Join(w.tree, "."+name, "dovecot-uidlist"))
	}
	for _, step := range []func() error{
		func() error { return w.s.place(w.tree, "INBOX", "new/1700000099.M1P1."+name, "") },
		func() error { return w.s.look("INBOX") },
		func() error {
			return w.s.append("INBOX", part{name + "1", `\Seen`, "", 5}, part{name + "2", "", someDate, 5})
		},
		func() error { return w.s.store(w.s.uids(name+"1"), "+", "Word"+name) },
		func() error { return w.s.expunge(w.s.uids(name + "2")) },
		func() error { return w.s.create(name, "") },
		func() error { return w.s.look(name) },
		func() error { return w.s.look("INBOX") },
		func() error { return w.s.remove(name) },
		func() error { return w.s.create(name, "") },
		lost,
		func() error { return w.s.look(name) },
		func() error { return w.s.append(name, part{name + "3", "", "", 5}) },
		func() error { return w.s.look("INBOX") },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// deadProcess gives the number of a process that is no more.
func deadProcess(t *testing.T) int {
	t.Helper()
	p, err := os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	return p.Pid
}

func hostname(t *testing.T) string {
	t.Helper()
	h, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return h
}
