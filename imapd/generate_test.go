package imapd

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// commandGen makes commands for a session; the state it keeps is only what
// makes them likely to mean something.
type commandGen struct {
	*rand.Rand
	count, last int            // of the selected mailbox: messages, highest UID
	box         string         // its name, "" for none
	marks       map[string]int // MODSEQs noted so far, by mailbox
	readOnly    bool
	condstore   bool
	qresync     bool
	// copied: from here on \Recent is no matter to compare; see onPurpose.
	copied bool
}

func (g *commandGen) of(list ...string) string { return list[g.IntN(len(list))] }

func (g *commandGen) chance(n int) bool { return g.IntN(n) == 0 }

// some joins a few of list, each at most once.
func (g *commandGen) some(list ...string) string {
	var out []string
	for _, i := range g.Perm(len(list))[:1+g.IntN(min(4, len(list)))] {
		out = append(out, list[i])
	}
	return strings.Join(out, " ")
}

func (g *commandGen) mailbox() string {
	return g.of("INBOX", "inbox", "Work", "Work/Deep", "Empty", `"A B"`, "&AOQ-x", "Work", "Store", "Nowhere",
		"Work/Deep/er/yet", "{4+}\r\nWork", "Top/Sub")
}

func (g *commandGen) number(limit int) string {
	switch {
	case g.chance(8):
		return "*"
	case limit == 0:
		return "1"
	}
	return fmt.Sprint(1 + g.IntN(limit))
}

func (g *commandGen) set(limit int) string {
	if g.chance(20) {
		return "$"
	}
	var parts []string
	for range 1 + g.IntN(3) {
		part := g.number(limit)
		if g.chance(2) {
			part += ":" + g.number(limit)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ",")
}

// numbered gives a command on messages: its name with or without UID, a set.
func (g *commandGen) numbered(name string) string {
	if g.chance(2) {
		return "UID " + name + " " + g.set(g.last+1)
	}
	if name == "FETCH" && g.chance(30) {
		return fmt.Sprintf("FETCH %d:%d", max(g.count, 1), g.count+1) // BAD; not told so by Dovecot where "*" is in the set
	}
	return name + " " + g.set(g.count)
}

func (g *commandGen) fetch() string {
	items := g.of("FLAGS", "UID", "ALL", "FAST", "FULL", "ENVELOPE", "BODY", "BODYSTRUCTURE", "INTERNALDATE", "RFC822.SIZE",
		"RFC822", "RFC822.HEADER", "RFC822.TEXT")
	if g.chance(2) {
		items = "(" + g.some("FLAGS", "UID", "ENVELOPE", "BODY", "BODYSTRUCTURE", "INTERNALDATE", "RFC822.SIZE",
			g.section(), g.section(), g.section(), g.binary()) + ")"
	} else if g.chance(2) {
		items = g.section()
	}
	command := g.numbered("FETCH") + " " + items
	if g.marks[g.box] > 0 && g.condstore && g.chance(4) {
		if !strings.HasSuffix(command, ")") { // Dovecot takes no modifiers after a bare BODY[...]
			command = strings.Replace(command, items, "("+items+")", 1)
		}
		command += " (CHANGEDSINCE " + g.mark(g.box)
		if g.qresync && strings.HasPrefix(command, "UID") && g.chance(2) && !strings.Contains(command, "$") { // Dovecot crashes
			command += " VANISHED"
		}
		command += ")"
	}
	return command
}

// mark stands for a MODSEQ that was once a mailbox's highest.
func (g *commandGen) mark(box string) string {
	return fmt.Sprintf("{%s%d}", box, g.IntN(g.marks[box]))
}

func (g *commandGen) part() string {
	return g.of("1", "2", "1.1", "1.2", "2.1", "2.2", "3", "1.1.1", "2.1.1")
}

func (g *commandGen) section() string {
	partial := g.partial()
	text := g.of("", "HEADER", "TEXT", g.part(), g.part(), g.part()+".MIME", g.part()+".HEADER", g.part()+".TEXT")
	if g.chance(4) {
		text = g.of("", g.part()+".") + g.of("HEADER.FIELDS", "HEADER.FIELDS.NOT") + " (" + g.some("Subject", "FROM", `"To"`, "X-None", "date") + ")"
		partial = "" // of which Dovecot gives a wrong octet now and then
	}
	return "BODY" + g.of("", ".PEEK") + "[" + text + "]" + partial
}

func (g *commandGen) partial() string {
	if g.chance(3) {
		return fmt.Sprintf("<%d.%d>", g.IntN(200), 1+g.IntN(300))
	}
	return ""
}

func (g *commandGen) binary() string {
	part := g.of("1", "2", "1.1", "3", "")
	switch {
	case part != "" && g.chance(3):
		return "BINARY.SIZE[" + g.of("2", "1.1", "3") + "]" // where no mail has a composite part; see onPurpose
	case part == "" || part == "1": // without a part of it: see onPurpose
		return g.of("BINARY", "BINARY.PEEK") + "[" + part + "]"
	}
	return g.of("BINARY", "BINARY.PEEK") + "[" + part + "]" + g.partial()
}

func (g *commandGen) flags() string {
	return g.of(`\Seen`, `(\Seen)`, `(\Deleted)`, `(\Deleted \Flagged)`, `()`, `($Work \Answered)`, `(\Draft)`, `($Forwarded)`,
		`\Flagged \Seen`, `(\answered \SEEN)`, `($Work other)`, `(\Deleted)`)
}

func (g *commandGen) store() string {
	command := g.numbered("STORE") + " "
	if g.marks[g.box] > 0 && g.condstore && g.chance(3) {
		command += "(UNCHANGEDSINCE " + g.of(g.mark(g.box), g.mark(g.box), "0") + ") "
	}
	return command + g.of("", "+", "-") + "FLAGS" + g.of("", ".SILENT") + " " + g.flags()
}

func (g *commandGen) searchKey(depth int) string {
	word := func() string {
		return g.of("one", `"two three"`, "BOB", "{5+}\r\nalice", `""`, "example", "text", "umlaut", `"no such thing"`, "\"b\u00fcro\"")
	}
	date := func() string { return g.of("14-Nov-2023", `"15-Nov-2023"`, "1-Jan-2020", "16-Nov-2023", "1-Jan-2037") }
	if depth > 0 {
		switch g.IntN(6) {
		case 0:
			return "NOT " + g.searchKey(depth-1)
		case 1:
			return "OR " + g.searchKey(depth-1) + " " + g.searchKey(depth-1)
		case 2:
			return "(" + g.searchKey(depth-1) + " " + g.searchKey(depth-1) + ")"
		}
	}
	n := g.IntN(8)
	if n == 5 && depth < 2 { // Dovecot takes NOT (LARGER 0 LARGER 250) for nothing
		n = 7
	}
	switch n {
	case 0:
		return g.set(g.count) // Dovecot does not see that "*:3" of two messages has the second
	case 1:
		return "UID " + g.set(g.last+2)
	case 2:
		return g.of("BODY", "TEXT", "SUBJECT", "FROM", "TO", "CC", "BCC") + " " + word()
	case 3:
		return "HEADER " + g.of("Subject", "X-Odd", "from", "Message-ID", "Content-Type") + " " + word()
	case 4:
		return g.of("BEFORE", "ON", "SINCE", "SENTBEFORE", "SENTON", "SENTSINCE") + " " + date()
	case 5:
		return g.of("LARGER", "SMALLER") + " " + g.of("0", "100", "250", "400", "1000")
	}
	if !g.copied && g.chance(5) {
		return g.of("RECENT", "OLD", "NEW")
	}
	return g.of("ALL", "ANSWERED", "DELETED", "DRAFT", "FLAGGED", "SEEN", "UNANSWERED", "UNDELETED", "UNDRAFT", "UNFLAGGED", "UNSEEN",
		"KEYWORD $Work", "UNKEYWORD $Work", "KEYWORD other")
}

func (g *commandGen) search() string {
	command := g.of("SEARCH", "UID SEARCH")
	if g.chance(2) {
		command += " RETURN (" + g.of("", "ALL", "MIN", "MAX", "COUNT", "MIN MAX", "MIN MAX COUNT ALL", "SAVE", "SAVE COUNT", "SAVE MIN", "SAVE ALL", "SAVE MIN MAX") + ")"
	}
	if g.chance(4) {
		command += " CHARSET " + g.of("UTF-8", "US-ASCII", "utf-8", "X-NONE", "UTF-8")
	}
	for range 1 + g.IntN(2) {
		command += " " + g.searchKey(2)
	}
	// Never within NOT and OR, where Dovecot loses it, and without an entry
	// name: Dovecot has a MODSEQ for each flag, we have one (RFC 7162 section 3.1.5).
	if g.marks[g.box] > 0 && g.condstore && g.chance(4) {
		command += " MODSEQ " + strings.Replace(g.mark(g.box), "}", "+}", 1)
	}
	return command
}

func (g *commandGen) appendMail() string {
	command := "APPEND " + g.mailbox()
	for range 1 + g.IntN(5)/3 {
		if g.chance(2) {
			command += " " + g.of("()", `(\Seen)`, `(\Draft $Work)`, `(\Deleted \Flagged)`)
			g.copied = true // or as good as
		}
		if g.chance(3) {
			command += " " + g.of(`"14-Nov-2023 10:00:00 +0100"`, `" 1-Jan-2020 23:59:59 -0800"`)
		}
		text := g.of("Subject: new\r\n", "From: eve@example.org\r\nSubject: one more\r\n", "no header\r\n", "\r\nbody\r\n")
		text = "Date: Wed, 15 Nov 2023 12:00:00 +0000\r\n" + text
		command += fmt.Sprintf(" {%d+}\r\n%s", len(text), text)
	}
	return command
}

func (g *commandGen) statusItems() string {
	items := []string{"MESSAGES", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "SIZE"}
	if !g.copied {
		items = append(items, "RECENT")
	}
	if g.condstore {
		items = append(items, "HIGHESTMODSEQ")
	}
	return "(" + g.some(items...) + ")"
}

func (g *commandGen) list() string {
	pattern := g.of("*", "%", "%/%", "INBOX", "inbox", "Work*", "Work%", "*r", "Work/%", `""`, "Nowhere", `"A B"`, "{1+}\r\n*", "W%/D*", "*/*", "Top", "&AOQ-*")
	reference := g.of(`""`, `""`, `""`, "Work/", "Work", "Top/")
	if g.chance(4) {
		return "LSUB " + reference + " " + pattern
	}
	command := "LIST "
	extended := false
	if g.chance(3) {
		extended = true
		command += "(" + g.of("SUBSCRIBED", "SUBSCRIBED RECURSIVEMATCH", "REMOTE", "", "SUBSCRIBED REMOTE", "SPECIAL-USE", "RECURSIVEMATCH") + ") "
	}
	if g.chance(5) {
		extended = true
		pattern = "(" + pattern + " " + g.of("INBOX", "%", "Work") + ")"
	}
	command += reference + " " + pattern
	if g.chance(3) || extended && g.chance(2) {
		command += " RETURN (" + g.of("SUBSCRIBED", "CHILDREN", "SUBSCRIBED CHILDREN", "SPECIAL-USE", "", "STATUS "+g.statusItems(), "CHILDREN STATUS "+g.statusItems()) + ")"
	}
	return command
}

func (g *commandGen) manage() string {
	name := g.of("Work", "Work/Deep", "Fresh", "Fresh/Sub", "Fresh/Sub/Sub", "Empty", `"A B"`, "&AOQ-x", "INBOX", "Top", "Top/Sub", "Top/Other", "Gone", "Fresh/", "INBOX/Sub")
	switch n := g.IntN(8); {
	case n > 2 && strings.HasPrefix(g.box, name): // Postroom's session ends then, Dovecot's goes on
		return "NOOP"
	case n <= 2:
		return "CREATE " + name
	case n <= 4:
		return "DELETE " + name
	case n == 5 && name != "INBOX": // which Dovecot refuses in a Maildir++ tree; RFC 9051 section 6.3.6 has it
		return "RENAME " + name + " " + g.of("Work", "Fresh", "Moved", "Moved/Sub", "Work/Deep/er", "Top/Other", "INBOX")
	case n == 6:
		return "SUBSCRIBE " + name
	}
	return "UNSUBSCRIBE " + name
}

func (g *commandGen) open() string {
	box := g.of("INBOX", "INBOX", "Work", "INBOX", g.mailbox())
	if strings.HasPrefix(box, "{") {
		box = "Work"
	}
	command := g.of("SELECT", "SELECT", "SELECT", "EXAMINE") + " " + box
	switch {
	case g.qresync && g.marks[box] > 0 && g.chance(2):
		known := g.of("", "", " 1:50", " 1:5", " 2,4:20", " 1:30 (1,3 1,5)", " 1:30 (1:3 1,3,5)")
		command += " (QRESYNC ({" + box + "V} " + g.mark(box) + known + "))"
	case g.condstore && g.chance(3):
		command += " (CONDSTORE)"
	}
	return command
}

// next gives a command for the selected state.
func (g *commandGen) next() string {
	switch n := g.IntN(100); {
	case n < 25:
		return g.fetch()
	case n < 42:
		return g.store()
	case n < 62:
		return g.search()
	case n < 67:
		return g.of("EXPUNGE", "EXPUNGE", "UID EXPUNGE "+g.set(g.last+1), "CLOSE", "UNSELECT")
	case n < 73:
		g.copied = true
		// No "*", of which Dovecot says EXPUNGEISSUED when a copy goes where it came from.
		if g.readOnly { // Dovecot moves out of a mailbox that was EXAMINEd; RFC 9051 section 6.3.3 forbids it
			return strings.ReplaceAll(g.numbered("COPY"), "*", "1") + " " + g.mailbox()
		}
		return strings.ReplaceAll(g.numbered(g.of("COPY", "COPY", "MOVE")), "*", "1") + " " + g.mailbox()
	case n < 77:
		return g.appendMail()
	case n < 83:
		return g.list()
	case n < 88:
		return "STATUS " + g.mailbox() + " " + g.statusItems()
	case n < 95:
		return g.manage()
	case n < 98:
		return g.open()
	}
	return g.of("NOOP", "CHECK", "NAMESPACE")
}
