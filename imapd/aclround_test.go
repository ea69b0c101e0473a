package imapd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func put(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// takesRead are the ways in which an ACL file ceases to give bob the right to read.
var takesRead = map[string]func(t *testing.T, file string){
	"in place, as long as before": func(t *testing.T, file string) { put(t, file, "user=bob kx\n") },
	"in place, appended to":       func(t *testing.T, file string) { put(t, file, "user=bob lr\n-user=bob lr\n") },
	"emptied":                     func(t *testing.T, file string) { put(t, file, "") },
	"binary":                      func(t *testing.T, file string) { put(t, file, "user=bob lr\n\x00\xff\n") },
	"huge":                        func(t *testing.T, file string) { put(t, file, "user=bob lr\n"+strings.Repeat("#", 3<<20)) },
	"removed":                     func(t *testing.T, file string) { must(t, os.Remove(file)) },
	"another with an old mtime put over it": func(t *testing.T, file string) {
		put(t, file+"~", "user=bob kx\n")
		old := time.Now().Add(-time.Hour)
		must(t, os.Chtimes(file+"~", old, old), os.Rename(file+"~", file))
	},
	"a FIFO in its place":      func(t *testing.T, file string) { must(t, os.Remove(file), syscall.Mkfifo(file, 0o600)) },
	"a directory in its place": func(t *testing.T, file string) { must(t, os.Remove(file), os.Mkdir(file, 0o700)) },
	"a link in its place": func(t *testing.T, file string) {
		must(t, os.Rename(file, file+"~"), os.Symlink(filepath.Base(file)+"~", file))
	},
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// Ways round the rules that were tried, and such as were found.
func TestACLRound(t *testing.T) { runPoints(t, aclRound) }

var aclRound = []aclPoint{
	{"54, a file changed by whatever means", func(t *testing.T, w *sharing) {
		w.shared("")
		file := filepath.Join(w.root, "alice", "Maildir", ".Shared", "dovecot-acl")
		for how, edit := range takesRead {
			if err := os.RemoveAll(file); err != nil {
				t.Fatal(err)
			}
			put(t, file, "user=bob lr\n")
			bob, other := w.login(t, "bob"), w.login(t, "bob")
			bob.do("SELECT " + theirs)
			bob.idles()
			edit(t, file)
			bob.sees("* BYE Mailbox may not be read any more")
			bob.over()
			if _, end := other.try("SELECT " + theirs); end != "x "+noMailboxThere {
				t.Errorf("%s: %s", how, end)
			}
			other.awaits(`LIST "" `+theirs, false)
			w.as("alice").expect("MYRIGHTS Shared", "* MYRIGHTS Shared lrswipkxteacd", "OK MYRIGHTS completed")
			_, end := w.as("alice").try("SETACL Shared carol l")
			if damaged := !strings.HasPrefix(end, "x OK "); damaged && !strings.HasPrefix(end, "x NO [CORRUPTION] The mailbox's ACL file ") {
				t.Errorf("%s: SETACL: %s", how, end)
			}
		}
	}},
	{"51, while a FETCH waits for its client", func(t *testing.T, w *sharing) {
		alice, bob := w.shared("lr").as("alice"), w.as("bob")
		const messages, octets = 20, 2_000_000 // more than the system takes of an answer that nobody reads
		text := strings.Repeat(strings.Repeat("x", 98)+"\r\n", octets/100)
		alice.do(fmt.Sprintf("APPEND Shared {%d+}\r\n%s", len(text), text))
		alice.do("SELECT Shared")
		for i := 4; i <= messages; i++ {
			alice.do("COPY 4 Shared")
		}
		bob.do("SELECT " + theirs)
		bob.send("x FETCH 4:* BODY.PEEK[]\r\n")
		bob.sees("* 4 FETCH (BODY[] ...")
		w.grant("l")
		fetched, end := 1, ""
		for end = bob.line(); !strings.HasPrefix(end, "* BYE ") && !strings.HasPrefix(end, "x "); end = bob.line() {
			if strings.HasPrefix(end, "* ") {
				fetched++
			}
		}
		if end != "* BYE Mailbox may not be read any more" {
			t.Errorf("%d messages were told, and then %q", fetched, end)
		}
		bob.over()
	}},
	{"24, RENAME onto what is hidden below", func(t *testing.T, w *sharing) {
		alice, bob := w.shared("lrkx").as("alice"), w.as("bob")
		for _, name := range []string{"A", "A/Low", "New/Low"} {
			alice.do("CREATE Shared/" + name)
		}
		const rename = `RENAME "Other Users/alice/Shared/A" "Other Users/alice/Shared/New"`
		alice.do("DELETEACL Shared/New/Low bob")
		bob.expect(rename, noRight)
		alice.do("SETACL Shared/New/Low bob l")
		bob.expect(rename, noRight)
		alice.expect("RENAME Shared/A Shared/New", "NO [ALREADYEXISTS] Mailbox already exists")
	}},
	{"INBOX in any case", func(t *testing.T, w *sharing) {
		alice, bob := w.as("alice"), w.as("bob")
		alice.do("SETACL INBOX bob lrswite")
		const inbox = `"Other Users/alice/INBOX"`
		bob.do(`SUBSCRIBE "Other Users/alice/inbox"`)
		if got := bob.list(`LIST (SUBSCRIBED) "" *`); !slices.Equal(got, []string{inbox + ` (\HasNoChildren \Subscribed)`}) {
			t.Errorf("subscribed: %q", got)
		}
		bob.do(`UNSUBSCRIBE "Other Users/alice/Inbox"`)
		if got := bob.list(`LSUB "" *`); got != nil {
			t.Errorf("after UNSUBSCRIBE: %q", got)
		}
		bob.do(`SELECT "Other Users/alice/iNbOx"`)
		bob.expect("APPEND "+inbox+" {1+}\r\nx", "* 1 EXISTS", "* 1 RECENT", "OK [APPENDUID ...")
		bob.expect(`STATUS "Other Users/alice/inbox" (RECENT)`, `* STATUS "Other Users/alice/inbox" (RECENT 1)`, "OK STATUS completed")
	}},
	{"23, below a name of one's own", func(t *testing.T, w *sharing) {
		bob := w.shared("lr").as("bob")
		bob.do("CREATE Work") // is listed between them
		if err := os.MkdirAll(filepath.Join(w.root, "bob", "Maildir", ".Other Users", "cur"), 0o700); err != nil {
			t.Fatal(err)
		}
		if got, want := bob.list(`LIST "" %`), []string{`INBOX (\HasNoChildren)`, `"Other Users" (\HasChildren)`, `Work (\HasNoChildren)`}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}},
}
