package order

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"postroom/internal/account"
)

// box is a mailbox of a user's with the given messages, in the order of their UIDs.
type box struct {
	t    testing.TB
	dir  string
	user *account.User
	mbox *account.Mailbox
	n    int
}

func newBox(t testing.TB, mails ...string) *box {
	t.Helper()
	root := t.TempDir()
	svc, err := account.New(account.Config{Root: filepath.Join(root, "{user}")})
	must(t, err)
	t.Cleanup(svc.Close)
	b := &box{t: t, dir: filepath.Join(root, "alice")}
	b.user, err = svc.Open(t.Context(), "alice")
	must(t, err)
	t.Cleanup(b.user.Close)
	for _, m := range mails {
		b.deliver(m)
	}
	b.mbox, err = b.user.Select(t.Context(), "INBOX", false)
	must(t, err)
	t.Cleanup(b.mbox.Close)
	b.sync()
	return b
}

// deliver puts a message into new/ with an arrival of its own, a minute after the last one's.
func (b *box) deliver(mail string) {
	b.t.Helper()
	b.n++
	at := time.Date(2026, 1, 1, 0, b.n, 0, 0, time.UTC)
	path := filepath.Join(b.dir, "new", fmt.Sprintf("%d.M%06d.test", at.Unix(), b.n))
	must(b.t, os.WriteFile(path, []byte(mail), 0o600))
	must(b.t, os.Chtimes(path, at, at))
}

func (b *box) sync() *account.Snapshot {
	b.t.Helper()
	s, err := b.mbox.Sync(b.t.Context())
	must(b.t, err)
	return s
}

func (b *box) remove(uids ...uint32) {
	b.t.Helper()
	must(b.t, b.mbox.Remove(b.t.Context(), uids))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
