package imapd

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// What may be done with the messages of a mailbox: sections 4 and 5.2 of RFC 4314.
func TestACLMessages(t *testing.T) { runPoints(t, aclMessages) }

var aclMessages = []aclPoint{
	{"34,47", func(t *testing.T, w *sharing) {
		bob := w.shared("lswipkxtea").as("bob")
		for _, command := range []string{"SELECT %s", "EXAMINE %s", "STATUS %s (MESSAGES)"} {
			bob.expect(fmt.Sprintf(command, theirs), noRight)
		}
		w.grant("r")
		bob.expect("STATUS "+theirs+" (MESSAGES)", "* STATUS "+theirs+" (MESSAGES 3)", "OK STATUS completed")
		bob.do("EXAMINE " + theirs)
		bob.do("SELECT " + theirs)
		bob.expect("FETCH 1 (UID RFC822.SIZE)", "* 1 FETCH (UID 1 RFC822.SIZE 12)", "OK FETCH completed")
		bob.expect("SEARCH ALL", "* SEARCH 1 2 3", "OK SEARCH completed")
		bob.expect("CHECK", "OK CHECK completed")
	}},
	{"35,36", func(t *testing.T, w *sharing) {
		bob := w.shared("").as("bob")
		const others = `\Answered \Flagged`
		for rights, want := range map[string][2]string{
			"lr": {"", "READ-ONLY"}, "lrs": {`\Seen`, "READ-ONLY"}, "lrkxap": {"", "READ-ONLY"}, "lri": {"", "READ-WRITE"}, "lre": {"", "READ-WRITE"},
			"lrt": {`\Deleted`, "READ-WRITE"}, "lrw": {others + ` \Draft \*`, "READ-WRITE"}, "lrit": {`\Deleted`, "READ-WRITE"},
			"lrset": {`\Deleted \Seen`, "READ-WRITE"}, "lrswte": {others + ` \Deleted \Seen \Draft \*`, "READ-WRITE"},
		} {
			w.grant(rights)
			permanent, code := bob.selects(theirs)
			if permanent != want[0] || code != want[1] {
				t.Errorf("%s: PERMANENTFLAGS (%s), %s", rights, permanent, code)
			}
		}
		lines := bob.do("EXAMINE " + theirs)
		if text := strings.Join(lines, "\n"); !strings.Contains(text, "PERMANENTFLAGS ()") || !strings.Contains(text, `* FLAGS (\Answered \Flagged \Deleted \Seen \Draft)`) {
			t.Error(text)
		}
	}},
	{"37", func(t *testing.T, w *sharing) {
		bob := w.shared("lrwi").as("bob")
		bob.do("SELECT " + theirs)
		bob.expect("FETCH 1 BODY[TEXT]", `* 1 FETCH (BODY[TEXT] {0}`, ")", "OK FETCH completed")
		bob.expect("FETCH 1 (FLAGS RFC822)", "* 1 FETCH (FLAGS (\\Recent) RFC822 {12}", "Subject: x", ")", "OK FETCH completed")
		bob.expect("FETCH 1 FLAGS", "* 1 FETCH (FLAGS (\\Recent))", "OK FETCH completed")
		w.grant("lrs")
		bob.do("NOOP")
		bob.expect("FETCH 1 BODY[TEXT]", `* 1 FETCH (BODY[TEXT] {0}`, " FLAGS (\\Seen \\Recent))", "OK FETCH completed")
	}},
	{"38,39", func(t *testing.T, w *sharing) {
		alice := w.shared("lrw").as("alice")
		alice.do("SELECT Shared")
		alice.do(`STORE 1 FLAGS (\Seen \Deleted \Answered old)`)
		alice.do("UNSELECT")
		bob := w.as("bob")
		bob.do("SELECT " + theirs)
		for _, command := range []string{`STORE 2 +FLAGS (\Seen)`, `STORE 2 +FLAGS (\Deleted \Seen)`, `STORE 1 -FLAGS (\Deleted)`, `UID STORE 2 +FLAGS.SILENT (\Deleted)`} {
			bob.expect(command, noRight)
		}
		// Alice's \Seen is hers, and stays; to bob the message is new.
		bob.expect(`STORE 1 FLAGS (\Flagged new)`, "* FLAGS ...", `* OK [PERMANENTFLAGS (\Answered \Flagged \Draft ...`, `* 1 FETCH (FLAGS (\Flagged \Deleted new))`, "OK STORE completed")
		bob.expect(`STORE 1 +FLAGS (\Draft \Deleted)`, `* 1 FETCH (FLAGS (\Draft \Flagged \Deleted new))`, "OK STORE completed")
		bob.expect(`STORE 1 -FLAGS.SILENT (\Draft \Deleted)`, `* 1 FETCH (FLAGS (\Flagged \Deleted new))`, "OK STORE completed")
		w.grant("lrt")
		bob.do("NOOP")
		bob.expect(`STORE 1 FLAGS (\Answered)`, noRight)
		bob.expect(`STORE 1 +FLAGS (new \Draft)`, noRight)
		bob.expect(`STORE 1 FLAGS ()`, `* 1 FETCH (FLAGS (\Flagged new))`, "OK STORE completed")
		w.grant("lrs")
		bob.do("NOOP")
		bob.expect(`STORE 1 FLAGS (\Answered)`, noRight)
		bob.expect(`STORE 2 FLAGS (\Seen \Answered)`, `* 2 FETCH (FLAGS (\Seen))`, "OK STORE completed")
		w.grant("lr")
		bob.do("NOOP")
		for _, command := range []string{`STORE 1 FLAGS ()`, `STORE 1 FLAGS (\Seen)`, `STORE 1 +FLAGS (x)`, `STORE 1 -FLAGS.SILENT (\Seen)`} {
			bob.expect(command, noRight)
		}
		alice.do("SELECT Shared")
		alice.expect("FETCH 1 FLAGS", `* 1 FETCH (FLAGS (\Flagged \Seen new))`, "OK FETCH completed")
	}},
	{"40,41", func(t *testing.T, w *sharing) {
		alice, bob := w.shared("lr").as("alice"), w.as("bob")
		bob.do(`APPEND INBOX (\Seen \Deleted \Flagged own) {1+}` + "\r\nx")
		bob.do("SELECT INBOX")
		bob.expect("COPY 1 "+theirs, noRight)
		bob.expect("APPEND "+theirs+" {1+}\r\nx", noRight)
		alice.do("SELECT Shared")
		n := 3
		for _, step := range []struct{ rights, flags string }{
			{"i", ""}, {"lri", ""}, {"lrit", `\Deleted`}, {"lris", ""}, {"lriw", `\Flagged own`}, {"lriswt", `\Flagged \Deleted own`},
		} {
			w.grant(step.rights)
			for _, command := range []string{"COPY 1 " + theirs, "APPEND " + theirs + ` (\Seen \Deleted \Flagged own) {1+}` + "\r\nx"} {
				bob.do(command)
				n++
				alice.do("NOOP")
				lines := alice.do(fmt.Sprintf("FETCH %d FLAGS", n))
				flags := strings.ReplaceAll(strings.ReplaceAll(lines[len(lines)-1], ` \Recent`, ""), `\Recent`, "")
				if want := fmt.Sprintf("* %d FETCH (FLAGS (%s))", n, step.flags); flags != want {
					t.Errorf("%s with %s: %s, want %s", command, step.rights, flags, want)
				}
			}
		}
		bob.do("SELECT " + theirs) // \Seen of what he may mark as seen is his own
		bob.expect("SEARCH SEEN", "* SEARCH 10 11 14 15", "OK SEARCH completed")
	}},
	{"42,43,45", func(t *testing.T, w *sharing) {
		bob := w.shared("lrstwi").as("bob")
		bob.do("SELECT " + theirs)
		bob.do(`STORE 2 +FLAGS (\Deleted)`)
		bob.expect("EXPUNGE", noRight)
		bob.expect("UID EXPUNGE 1:*", noRight)
		bob.expect("CLOSE", "OK Closed")
		w.grant("lre")
		if _, code := bob.selects(theirs); code != "READ-WRITE" {
			t.Error(code)
		}
		bob.expect("UID EXPUNGE 1", "OK EXPUNGE completed")
		bob.expect("EXPUNGE", "* 2 EXPUNGE", "OK EXPUNGE completed")
		bob.do("EXAMINE " + theirs)
		bob.expect("EXPUNGE", "NO [READ-ONLY] Mailbox is selected read-only")
	}},
	{"44", func(t *testing.T, w *sharing) {
		bob := w.shared("lrte").as("bob")
		bob.do("CREATE Mine")
		for _, rights := range []string{"lrswipkxea", "lrswipkxta"} {
			w.grant(rights)
			bob.do("SELECT " + theirs)
			bob.expect("MOVE 1 Mine", noRight)
			bob.expect("UID MOVE 1 "+theirs, noRight)
			bob.expect("STATUS Mine (MESSAGES)", "* STATUS Mine (MESSAGES 0)", "OK STATUS completed")
		}
		w.grant("lrte")
		bob.do("SELECT " + theirs)
		bob.expect("MOVE 1 Mine", "* OK [COPYUID ...", "* 1 EXPUNGE", "OK MOVE completed")
		bob.expect("STATUS "+theirs+" (MESSAGES)", "* STATUS "+theirs+" (MESSAGES 2)", "OK STATUS completed")
		bob.do("SELECT Mine")
		bob.expect("MOVE 1 "+theirs, noRight)
		bob.expect("STATUS Mine (MESSAGES)", "* STATUS Mine (MESSAGES 1)", "OK STATUS completed")
		w.grant("li")
		bob.expect("MOVE 1 "+theirs, "* 1 EXPUNGE", "OK MOVE completed")
	}},
	{"60", func(t *testing.T, w *sharing) {
		alice, bob := w.shared("lrs").as("alice"), w.as("bob")
		alice.do("SETACL Shared carol lr")
		carol := w.as("carol")
		for _, c := range []*client{alice, bob, carol} {
			name := theirs
			if c == alice {
				name = hers
			}
			c.do("SELECT " + name)
		}
		bob.expect(`STORE 1:2 +FLAGS.SILENT (\Seen)`, "OK STORE completed")
		alice.expect(`STORE 3 +FLAGS.SILENT (\Seen \Flagged)`, "OK STORE completed")
		carol.expect(`STORE 1 +FLAGS (\Seen)`, `* 3 FETCH (FLAGS (\Flagged))`, noRight)
		bob.expect("UNSELECT", "OK Unselected")
		bob.expect("STATUS "+theirs+" (UNSEEN)", "* STATUS "+theirs+" (UNSEEN 1)", "OK STATUS completed")
		carol.expect("STATUS "+theirs+" (UNSEEN)", "* STATUS "+theirs+" (UNSEEN 3)", "OK STATUS completed")
		alice.expect("STATUS Shared (UNSEEN)", "* STATUS Shared (UNSEEN 2)", "OK STATUS completed")
		bob.do("SELECT " + theirs)
		bob.expect("SEARCH UNSEEN", "* SEARCH 3", "OK SEARCH completed")
		alice.expect("SEARCH UNSEEN", "* SEARCH 1 2", "OK SEARCH completed")
	}},
	{"46", func(t *testing.T, w *sharing) {
		bob := w.shared("li").as("bob")
		bob.do("APPEND INBOX {1+}\r\nx")
		bob.do("SELECT INBOX")
		bob.expect("APPEND "+theirs+" {1+}\r\nx", "OK APPEND completed")
		bob.expect("COPY 1 "+theirs, "OK COPY completed")
		w.grant("r")
		bob.expect("STATUS "+theirs+" (MESSAGES UIDNEXT)", "* STATUS "+theirs+" (MESSAGES 5 UIDNEXT 6)", "OK STATUS completed")
		w.grant("ri")
		bob.expect("APPEND "+theirs+" {1+}\r\nx", "OK [APPENDUID ...")
		bob.expect("COPY 1 "+theirs, "OK [COPYUID ...")
	}},
}

// Rights that change while a mailbox is selected, section 5.1.1 of RFC 4314.
func TestACLLive(t *testing.T) { runPoints(t, aclLive) }

const allFlags = `* FLAGS (\Answered \Flagged \Deleted \Seen \Draft)`

// idles begins IDLE.
func (c *client) idles() {
	c.t.Helper()
	c.send("x IDLE\r\n")
	if line := c.line(); line != "+ idling" {
		c.t.Fatal(line)
	}
}

// sees reads lines that the server sends by itself.
func (c *client) sees(want ...string) {
	c.t.Helper()
	for _, w := range want {
		if line := c.line(); !likeLine(line, w) {
			c.t.Errorf("%q, want %q", line, w)
		}
	}
}

// over tells whether the server has closed the connection and sent nothing more.
func (c *client) over() {
	c.t.Helper()
	if line, err := c.in.ReadString('\n'); err == nil {
		c.t.Errorf("still open: %q", line)
	}
}

var aclLive = []aclPoint{
	{"51 in IDLE", func(t *testing.T, w *sharing) {
		bob := w.shared("lr").as("bob")
		bob.do("SELECT " + theirs)
		bob.idles()
		w.write(hers, "user=bob lrwt") // an editor's change, as of any program
		bob.sees(allFlags, `* OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Draft \*)] ...`, "* OK [READ-WRITE] Rights have changed")
		w.grant("lri")
		bob.sees(allFlags, "* OK [PERMANENTFLAGS ()] ...")
		w.grant("lr")
		bob.sees("* OK [READ-ONLY] Rights have changed")
		w.write(hers, "group=staff lrw")
		bob.sees(allFlags, `* OK [PERMANENTFLAGS (\Answered \Flagged \Draft \*)] ...`, "* OK [READ-WRITE] Rights have changed")
		w.people.set("bob") // out of the group
		bob.sees("* BYE Mailbox may not be read any more")
		bob.over()
	}},
	{"51 in IDLE, lost", func(t *testing.T, w *sharing) {
		alice, bob := w.shared("lrs").as("alice"), w.as("bob")
		bob.do("SELECT " + theirs)
		bob.idles()
		w.write(hers, "user=carol lr")
		bob.sees("* BYE Mailbox may not be read any more")
		alice.do("APPEND Shared {1+}\r\nx")
		bob.over()
	}},
	{"51 between commands", func(t *testing.T, w *sharing) {
		bob := w.shared("lrs").as("bob")
		bob.do("SELECT " + theirs)
		w.grant("lrsw")
		bob.expect("FETCH 1 (UID)", allFlags, `* OK [PERMANENTFLAGS (\Answered \Flagged \Seen \Draft \*)] ...`, "* OK [READ-WRITE] Rights have changed", "* 1 FETCH (UID 1)", "OK FETCH completed")
		bob.expect("FETCH 1 (UID)", "* 1 FETCH (UID 1)", "OK FETCH completed")
		w.grant("lr")
		bob.expect("NOOP", allFlags, "* OK [PERMANENTFLAGS ()] ...", "* OK [READ-ONLY] Rights have changed", "OK NOOP completed")
		bob.expect("NOOP", "OK NOOP completed")
	}},
	{"51 lost between commands", func(t *testing.T, w *sharing) {
		w.shared("lr")
		for _, command := range []string{"FETCH 1:* (UID FLAGS BODY[])", "UID SEARCH ALL", "STORE 1 +FLAGS (a)", "NOOP", "COPY 1:* INBOX", "EXPUNGE", "CHECK", "CLOSE", "APPEND INBOX {1+}\r\nx", `LIST "" *`} {
			w.grant("lrs")
			bob := w.login(t, "bob")
			bob.do("SELECT " + theirs)
			w.grant("l")
			bob.send("x " + command + "\r\n")
			for {
				line := bob.line()
				if strings.HasPrefix(line, "* BYE Mailbox may not be read any more") {
					break
				}
				if !strings.HasPrefix(line, "* LIST ") {
					t.Errorf("%s: %s", command, line)
				}
			}
			if rest, err := bob.in.ReadString('\n'); err == nil && !strings.HasPrefix(rest, "x OK ") {
				t.Errorf("%s: after BYE %q", command, rest)
			}
		}
		w.grant("lrs")
		bob := w.as("bob")
		bob.do("SELECT " + theirs)
		w.grant("l")
		bob.do("SELECT INBOX") // leaves it, so nothing of it is told
		bob.do("NOOP")
	}},
	{"53 in the mailbox", func(t *testing.T, w *sharing) {
		alice := w.shared("lr").as("alice")
		alice.do("SELECT Shared")
		alice.expect("SETACL Shared alice -wst", allFlags, "* OK [PERMANENTFLAGS ()] ...", "OK SETACL completed")
		alice.expect(`STORE 1 +FLAGS (\Seen)`, noRight)
		alice.expect("SETACL Shared alice -ei", "* OK [READ-ONLY] Rights have changed", "OK SETACL completed")
		alice.expect("DELETEACL Shared alice", allFlags, `* OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)] ...`, "* OK [READ-WRITE] Rights have changed", "OK DELETEACL completed")
	}},
	{"54", func(t *testing.T, w *sharing) { // LIST follows the files, without a session of the owner
		bob, carol := w.shared("").as("bob"), w.as("carol")
		w.write(hers, "group=chiefs lr")
		carol.awaits(`LIST "" `+theirs, true)
		bob.awaits(`LIST "" `+theirs, false)
		w.people.set("bob", "chiefs")
		bob.awaits(`LIST "" `+theirs, true)
		w.write(hers, "user=bob l")
		carol.awaits(`LIST "" `+theirs, false)
		w.write("INBOX", "user=carol lr")
		carol.awaits(`LIST "" "Other Users/alice/INBOX"`, true)
	}},
}

// awaits repeats a LIST until it tells a name, or tells none.
func (c *client) awaits(command string, there bool) {
	c.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for (len(c.do(command)) > 0) != there {
		if time.Now().After(deadline) {
			c.t.Fatalf("%s: a name %v, for 20 s", command, !there)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
