package imapd

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Ways round the rules that were tried, and such as were found.
func TestACLRound(t *testing.T) { runPoints(t, aclRound) }

var aclRound = []aclPoint{
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
