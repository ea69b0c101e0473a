package interop

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
)

// A folder is shared in plain words: the file and GETACL say the same, what an
// editor writes is in the dialogue, and an IMAP session that is open is told
// within two seconds.
func TestWebShare(t *testing.T) {
	beginWeb(t)
	s := newSite(t)
	makeMaildir(t, s.maildir("alice"))
	work := filepath.Join(s.maildir("alice"), ".Work")
	fill(t, work, "shared", 2, "S")
	makeMaildir(t, s.maildir("bob"))
	v := s.webMail(t, "")
	p := signIn(t, v, "alice")

	p.open("/folders")
	p.click("main li a[href*=sharing][href*=Work]", "")
	p.fill("Name", "bob")
	p.click("button", "Read only")
	p.sees(".acl-row", "bob")
	same(t, "the file", readFile(t, work, "dovecot-acl"), "user=bob lrs\n")
	contains(t, "GETACL", ask(t, v, "alice", "GETACL Work"), " bob lrs")
	contains(t, "bob's LIST", ask(t, v, "bob", `LIST "" "*"`), `"Other Users/alice/Work"`)

	// Bob has the folder open; he is let write, and then cut off.
	c := dialAs(t, v, "bob")
	if _, err := c.Select("Other Users/alice/Work", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	store := func() error {
		return c.Store(imap.SeqSetNum(1), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagFlagged}, Silent: true}, nil).Close()
	}
	if store() == nil {
		t.Error("bob flags what he may only read")
	}
	p.click(".acl-row summary", "bob")
	p.click(".acl-row label", "write flags and labels")
	p.view("sharing")
	p.click(".acl-row button", "Save")
	p.sees("[role=status]", "Saved")
	within(t, "bob to be able to flag", 2*time.Second, func() bool { return store() == nil })
	same(t, "the file", readFile(t, work, "dovecot-acl"), "user=bob lrws\n")

	write(t, work, "dovecot-acl", "# by hand\nuser=bob lrs\ngroup=staff lr\n")
	p.open("/sharing?box=Work")
	p.sees(".acl-row", "staff")
	p.fill("User", "bob")
	p.click("button", "Explain")
	p.sees("h1", "What bob may do")
	p.sees("main", "line 2")
	p.view("why")

	p.open("/sharing?box=Work")
	p.click(".acl-row summary", "bob")
	p.click("button", "Remove this entry")
	p.lacks(".acl-row", "bob")
	same(t, "the file", readFile(t, work, "dovecot-acl"), "# by hand\ngroup=staff lr\n")
	within(t, "bob to be cut off", 2*time.Second, func() bool { return c.Noop().Wait() != nil || store() != nil })
	if out := ask(t, v, "bob", `LIST "" "*"`); strings.Contains(out, "alice") {
		t.Errorf("bob still lists what he was let into:\n%s", out)
	}
}

// within is eventually with a limit that is a promise.
func within(t *testing.T, what string, limit time.Duration, ok func() bool) {
	t.Helper()
	start := time.Now()
	eventually(t, what, ok)
	if took := time.Since(start); took > limit {
		t.Errorf("%s took %v", what, took)
	}
}
