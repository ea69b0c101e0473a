package imapd

import (
	"slices"
	"strings"
	"testing"
)

// malformed are commands against the grammar.
var malformed = []string{
	"", "X", "UID", "UID NOOP", "NOOP x", "NOOP ", " NOOP", "FETCH", "FETCH 1", "FETCH 1 ", "FETCH 1 (", "FETCH 1 ()", "FETCH 1 (FLAGS", "FETCH 1 FLAGS)", "FETCH a FLAGS",
	"FETCH 0 FLAGS", "FETCH 1, FLAGS", "FETCH ,1 FLAGS", "FETCH 1: FLAGS", "FETCH :1 FLAGS", "FETCH 1:2:3 FLAGS", "FETCH -1 FLAGS", "FETCH 4294967296 FLAGS", "FETCH 99 FLAGS",
	"FETCH 1 BODY[", "FETCH 1 BODY[]<", "FETCH 1 BODY[]<1", "FETCH 1 BODY[]<1.2", "FETCH 1 BODY[]<a.2>", "FETCH 1 BODY[X]", "FETCH 1 BODY[HEADER.FIELDS]",
	"FETCH 1 BODY[HEADER.FIELDS ()]", "FETCH 1 BODY[HEADER.FIELDS (a]", "FETCH 1 NOTHING", "FETCH 1 (FLAGS NOTHING)", "FETCH 1 (FAST)", "FETCH 1 BINARY[HEADER]", "FETCH 1 (FLAGS) (X 1)",
	"FETCH 1 (FLAGS) (CHANGEDSINCE)", "FETCH 1 (FLAGS) (CHANGEDSINCE x)", "FETCH 1 BODY.PEEK", "FETCH 1 BODY[1.X]", "FETCH 1 BODY[MIME]", "FETCH 1 BODY[1..2]", "FETCH 1 BODY[.1]",
	"STORE 1 FLAGS", "STORE 1 +FLAGS", "STORE 1 FLAG (\\Seen)", "STORE 1 +FLAGS (\\Seen", "STORE 1 +FLAGS \\Seen)", "STORE 1 +FLAGS (\\Nonsense)", "STORE 1 FLAGS.LOUD (\\Seen)",
	"STORE 1 (UNCHANGEDSINCE) FLAGS ()", "STORE 1 (X 1) FLAGS ()", "STORE x FLAGS ()", "SEARCH", "SEARCH X", "SEARCH NOT", "SEARCH OR ALL", "SEARCH (ALL", "SEARCH ALL)", "SEARCH BEFORE",
	"SEARCH BEFORE x", "SEARCH BEFORE 40-Jan-2020", "SEARCH LARGER", "SEARCH LARGER x", "SEARCH HEADER Subject", "SEARCH RETURN ALL", "SEARCH RETURN (X) ALL", "SEARCH RETURN (ALL)",
	"SEARCH KEYWORD", "SEARCH UID", "SEARCH UID x", "SEARCH CHARSET UTF-8", "COPY 1", "COPY x Work", "COPY 1 Work x", "MOVE 1", "SELECT", "SELECT Work x", "SELECT Work (X)", "SELECT \"Work",
	"SELECT Work (QRESYNC 1)", "SELECT Work (QRESYNC (0 1))", "EXAMINE", "STATUS INBOX", "STATUS INBOX ()", "STATUS INBOX MESSAGES", "STATUS INBOX (X)", "LIST", "LIST \"\"", "LIST \"\" ()",
	"LIST (X) \"\" *", "LIST \"\" * RETURN", "LIST \"\" * RETURN (X)", "LIST \"\" * x", "LSUB \"\"", "CREATE", "CREATE a b", "DELETE", "RENAME Work", "SUBSCRIBE", "APPEND", "APPEND Work",
	"APPEND Work x", "APPEND Work (\\Seen {1+}\r\nx", "APPEND Work \"yesterday\" {1+}\r\nx", "EXPUNGE 1", "UID EXPUNGE", "UID EXPUNGE x", "ENABLE", "CLOSE x", "CHECK x", "ID", "ID (", "ID (\"a\")", "ID x",
	"LOGIN alice secret", "AUTHENTICATE PLAIN", "NAMESPACE x", "CAPABILITY x", "UNSELECT x",
}

// lenient are those of malformed that Dovecot takes, and we do not: RFC 9051
// section 2.2.1 would have BAD for all.
var lenient = []string{
	"NOOP x", "NOOP ", "FETCH 1, FLAGS", "FETCH 1 BINARY[HEADER]", "STORE 1 FLAGS", "STORE 1 +FLAGS", "SEARCH BEFORE 40-Jan-2020", "COPY 1 Work x", "SELECT Work x",
	`LIST "" ()`, "CREATE a b", "EXPUNGE 1", "ENABLE", "CLOSE x", "CHECK x", "ID", `ID ("a")`, "ID x", "NAMESPACE x", "CAPABILITY x", "UNSELECT x",
}

// TestDifferentialMalformed compares what is refused. After each command both
// have to be where they were.
func TestDifferentialMalformed(t *testing.T) {
	haveDovecot(t)
	p := startPair(t, makeTree)
	p.run("SELECT INBOX")
	check := func(command string) {
		ours, theirs := p.us.run(t, command), p.it.run(t, command)
		a, b := kindOf(ours), kindOf(theirs)
		if a == "OK" || a != b && !slices.Contains(lenient, command) {
			t.Errorf("%q: Postroom %q, Dovecot %q", command, ours[len(ours)-1], theirs[len(theirs)-1])
		}
		if b == "OK" { // it may have closed the mailbox or changed a flag
			p.it.run(t, "SELECT INBOX")
			p.us.run(t, "SELECT INBOX")
		}
		for _, s := range []*side{p.us, p.it} {
			if end := s.run(t, "NOOP"); kindOf(end) != "OK" {
				t.Fatalf("%s after %q: %q", s.name, command, end)
			}
		}
	}
	for _, command := range malformed {
		check(command)
	}
}

func kindOf(lines []string) string {
	_, rest, _ := strings.Cut(lines[len(lines)-1], " ")
	kind, _, _ := strings.Cut(rest, " ")
	return kind
}
