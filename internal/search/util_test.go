package search

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postroom/internal/account"
)

// letter is a message with what the mailbox notes of it.
type letter struct {
	name     string // for the tests
	flags    account.Flags
	keywords []string
	arrived  time.Time
	text     string
}

// box is INBOX of a user's with letters, in the order of their UIDs.
type box struct {
	t       testing.TB
	root    string
	letters []letter
	user    *account.User
	mbox    *account.Mailbox
}

func newBox(t testing.TB, letters ...letter) *box {
	t.Helper()
	b := &box{t: t, root: t.TempDir(), letters: slices.Clone(letters)}
	b.open()
	b.put(letters)
	return b
}

// append puts one more into it.
func (b *box) append(l letter) {
	b.t.Helper()
	b.letters = append(b.letters, l)
	b.put(b.letters[len(b.letters)-1:])
}

func (b *box) put(letters []letter) {
	b.t.Helper()
	var as []*account.Appender
	for _, l := range letters {
		a, err := b.user.Append(b.t.Context(), "INBOX", account.AppendOptions{Flags: l.flags, Keywords: l.keywords, Date: l.arrived})
		must(b.t, err)
		_, err = a.Write([]byte(l.text))
		must(b.t, err)
		as = append(as, a)
	}
	_, uids, err := account.Commit(b.t.Context(), as...)
	must(b.t, err)
	if n := len(uids); n != len(letters) || int(uids[n-1]) != len(b.letters) {
		b.t.Fatal("UIDs ", uids)
	}
	b.sync()
}

// open is what another process does that knows nothing yet but what is in files.
func (b *box) open() {
	b.t.Helper()
	svc, err := account.New(account.Config{Root: filepath.Join(b.root, "{user}")})
	must(b.t, err)
	b.t.Cleanup(svc.Close)
	b.user, err = svc.Open(b.t.Context(), "alice")
	must(b.t, err)
	b.t.Cleanup(b.user.Close)
	b.mbox, err = b.user.Select(b.t.Context(), "INBOX", false)
	must(b.t, err)
	b.t.Cleanup(b.mbox.Close)
	b.sync()
}

// uncached opens it where no cache can be, so that files are read again and again.
func (b *box) uncached() {
	b.t.Helper()
	path := filepath.Join(b.root, "alice", "postroom.cache")
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		must(b.t, err)
	}
	must(b.t, os.Mkdir(path, 0o700))
	b.open()
}

func (b *box) sync() *account.Snapshot {
	b.t.Helper()
	s, err := b.mbox.Sync(b.t.Context())
	must(b.t, err)
	return s
}

func (b *box) store(uid uint32, op account.StoreOp, flags account.Flags) {
	b.t.Helper()
	_, err := b.mbox.Store(b.t.Context(), []uint32{uid}, account.Change{Op: op, Flags: flags})
	must(b.t, err)
}

// find gives the names of what matches. Every message can be read.
func (b *box) find(told *account.Snapshot, key Key) string {
	b.t.Helper()
	return b.walk(told, told.Walk(b.mbox.Current()), key)
}

func (b *box) walk(told *account.Snapshot, walk *account.Walk, key Key) string {
	b.t.Helper()
	var names []string
	must(b.t, Run(b.t.Context(), b.mbox, told, walk, key, func(m *Candidate) bool {
		names = append(names, b.letters[m.UID()-1].name)
		return true
	}, func(uid uint32, err error) { b.t.Errorf("UID %d: %v", uid, err) }))
	return strings.Join(names, " ")
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
