package account

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// seenHouse has a folder of alice's with three messages that bob may read and carol, too.
func seenHouse(t *testing.T) (h *house, alice, bob, carol *User) {
	h = newHouse(t)
	alice, bob, carol = h.open("alice"), h.open("bob"), h.open("carol")
	h.create(alice, "Work")
	for range 3 {
		a, err := alice.Append(t.Context(), "Work", AppendOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Write([]byte(mail)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Commit(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	h.write("alice", ".Work", "user=bob lrswit\nuser=carol lrs\n")
	return h, alice, bob, carol
}

const sharedWork = "Other Users/alice/Work"

func (h *house) unseen(u *User, box string) int {
	h.t.Helper()
	st, err := u.Status(h.t.Context(), box, StatusOptions{})
	if err != nil {
		h.t.Fatal(err)
	}
	return st.Unseen
}

// files lists the names of the messages in alice's Work.
func (h *house) files() []string {
	h.t.Helper()
	var names []string
	for _, sub := range []string{"new", "cur"} {
		list, err := os.ReadDir(filepath.Join(h.root, "alice", "Maildir", ".Work", sub))
		if err != nil {
			h.t.Fatal(err)
		}
		for _, e := range list {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestPrivateSeen(t *testing.T) {
	h, alice, bob, carol := seenHouse(t)
	before := h.files()
	m, err := bob.Select(t.Context(), sharedWork, false)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s, err := m.Sync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	other, err := bob.Select(t.Context(), sharedWork, false)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	woken := make(chan struct{}, 10)
	defer other.Notify(func() { woken <- struct{}{} }, false).Cancel()
	res, err := m.Store(t.Context(), []uint32{s.UID(0), s.UID(2)}, Change{Op: StoreAdd, Flags: Seen})
	if err != nil {
		t.Fatal(err)
	}
	<-woken
	now := res.Snapshot
	if now.Flags(0)&Seen == 0 || now.Flags(1)&Seen != 0 || now.ModSeq(0) <= s.ModSeq(0) || now.HighestModSeq() < now.ModSeq(0) {
		t.Errorf("%v %v %d %d", now.Flags(0), now.Flags(1), now.ModSeq(0), now.HighestModSeq())
	}
	if other.Current().Flags(2)&Seen == 0 {
		t.Error("bob's other session does not see it")
	}
	if !slices.Equal(before, h.files()) {
		t.Error("a private mark renamed a shared file: ", h.files())
	}
	if a, b, c := h.unseen(alice, "Work"), h.unseen(bob, sharedWork), h.unseen(carol, sharedWork); a != 3 || b != 1 || c != 3 {
		t.Error(a, b, c)
	}
	// A replacement sets shared flags for all and \Seen for bob.
	if _, err := m.Store(t.Context(), []uint32{s.UID(1)}, Change{Op: StoreReplace, Flags: Seen | Flagged}); err != nil {
		t.Fatal(err)
	}
	w, err := alice.Select(t.Context(), "Work", false)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ws, err := w.Sync(t.Context())
	if err != nil || ws.Flags(1) != Flagged {
		t.Error(ws.Flags(1), err)
	}
	if b := h.unseen(bob, sharedWork); b != 0 {
		t.Error(b)
	}
	// UNCHANGEDSINCE goes by what bob was told.
	since := s.ModSeq(0)
	res, err = m.Store(t.Context(), []uint32{s.UID(0)}, Change{Op: StoreRemove, Flags: Seen, UnchangedSince: &since})
	if err != nil || !slices.Equal(res.Modified, []uint32{s.UID(0)}) {
		t.Error(res.Modified, err)
	}
	// What bob puts there himself as seen is seen by him alone.
	if err := put(t, bob, sharedWork, mail); err != nil {
		t.Fatal(err)
	}
	if a, b := h.unseen(alice, "Work"), h.unseen(bob, sharedWork); a != 4 || b != 0 {
		t.Error(a, b)
	}
	// carol may mark, and change nothing else.
	cm, err := carol.Select(t.Context(), sharedWork, false)
	if err != nil {
		t.Fatal(err)
	}
	defer cm.Close()
	if flags, keywords, create := cm.PermanentFlags(); !cm.ReadOnly() || flags != Seen || keywords || create {
		t.Error(cm.ReadOnly(), flags, keywords, create)
	}
}

func TestSharedSeen(t *testing.T) {
	h, alice, bob, carol := seenHouse(t)
	if err := carol.SetSharedSeen(t.Context(), sharedWork, true); err == nil {
		t.Error("without the right to administer")
	}
	if err := alice.SetSharedSeen(t.Context(), "Work", true); err != nil {
		t.Fatal(err)
	}
	m, err := carol.Select(t.Context(), sharedWork, false)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if m.ReadOnly() {
		t.Error("who may set a shared flag has a mailbox that is not read-only")
	}
	if _, err := m.Store(t.Context(), []uint32{1}, Change{Op: StoreAdd, Flags: Seen}); err != nil {
		t.Fatal(err)
	}
	if a, b := h.unseen(alice, "Work"), h.unseen(bob, sharedWork); a != 2 || b != 2 {
		t.Error(a, b)
	}
}

// What was seen of a folder goes with the folder, not with its name.
func TestSeenIsForgottenWithItsFolder(t *testing.T) {
	h, alice, bob, _ := seenHouse(t)
	mark := func() {
		m, err := bob.Select(t.Context(), sharedWork, false)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if _, err := m.Store(t.Context(), []uint32{1}, Change{Op: StoreAdd, Flags: Seen}); err != nil {
			t.Fatal(err)
		}
	}
	mark()
	if err := alice.Rename(t.Context(), "Work", "Projects"); err != nil {
		t.Fatal(err)
	}
	const moved = "Other Users/alice/Projects"
	eventually(t, "the renamed folder is seen", func() bool { return slices.Contains(h.names(bob), moved) })
	bob.pruneSeen(t.Context())
	if got := h.unseen(bob, moved); got != 2 {
		t.Error("what was seen of a renamed folder is lost: ", got)
	}
	if err := alice.Delete(t.Context(), "Projects"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the folder is gone", func() bool { return !slices.Contains(h.names(bob), moved) })
	bob.pruneSeen(t.Context())
	data, err := os.ReadFile(filepath.Join(h.root, "bob", "Maildir", "postroom-seen"))
	if err != nil || strings.Count(string(data), "\n") != 1 {
		t.Errorf("%q %v", data, err)
	}
}

// What the user has seen goes along with copies, from his own marks to his own marks and to and from flags that are shared.
func TestSeenGoesAlong(t *testing.T) {
	h, alice, bob, _ := seenHouse(t)
	m, err := bob.Select(t.Context(), sharedWork, false)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := m.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Store(t.Context(), []uint32{1}, Change{Op: StoreAdd, Flags: Seen}); err != nil {
		t.Fatal(err)
	}
	h.create(bob, "Mine")
	if _, err := m.Copy(t.Context(), []uint32{1, 2}, "Mine"); err != nil {
		t.Fatal(err)
	}
	if got := h.unseen(bob, "Mine"); got != 1 {
		t.Error("from bob's marks to his file names: unseen ", got)
	}
	mine, err := bob.Select(t.Context(), "Mine", false)
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Close()
	s, err := mine.Sync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mine.Copy(t.Context(), []uint32{s.UID(0), s.UID(1)}, sharedWork); err != nil {
		t.Fatal(err)
	}
	if a, b := h.unseen(alice, "Work"), h.unseen(bob, sharedWork); a != 5 || b != 3 {
		t.Error("from bob's file names to his marks: unseen ", a, b)
	}
}
