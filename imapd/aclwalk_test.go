package imapd

import (
	"fmt"
	"strings"
	"testing"
)

// walked is a command on a mailbox %M, which lies below %T, and the rights on %M that it cannot do without.
// Bob has all of them but one, and all on %T.
type walked struct {
	command string
	wants   string // refused without any of these; "" is never refused
	in      bool   // %M is selected, else bob's INBOX
}

var everyCommand = []walked{
	{`CAPABILITY`, "", true}, {`NOOP`, "", true}, {`LOGOUT`, "", true}, {`ID NIL`, "", true}, {`UNAUTHENTICATE`, "", true}, {`ENABLE CONDSTORE`, "", true},
	{`SELECT "%M"`, "r", false}, {`EXAMINE "%M"`, "r", false}, {`STATUS "%M" (MESSAGES)`, "r", false}, {`NAMESPACE`, "", false},
	{`CREATE "%M/Below"`, "k", false}, {`DELETE "%M"`, "x", false}, {`DELETE "%M"`, "x", true}, {`RENAME "%M" "%T/New"`, "x", false}, {`RENAME "%T/Other" "%M/Other"`, "k", false},
	{`SUBSCRIBE "%M"`, "l", false}, {`UNSUBSCRIBE "%M"`, "", false}, {`LIST "" "%M"`, "", false}, {`LSUB "" "%M"`, "", false},
	{"APPEND \"%M\" {1+}\r\ny", "i", false}, {"APPEND \"%M\" (\\Seen \\Deleted \\Flagged key) {1+}\r\ny", "i", false}, {"APPEND \"%M\" {1+}\r\ny", "i", true},
	{`GETACL "%M"`, "a", false}, {`SETACL "%M" carol lr`, "a", false}, {`DELETEACL "%M" carol`, "a", false}, {`LISTRIGHTS "%M" carol`, "a", false}, {`MYRIGHTS "%M"`, "", false},
	{"IDLE\r\nDONE", "", true}, {`CHECK`, "", true}, {`CLOSE`, "", true}, {`UNSELECT`, "", true},
	{`EXPUNGE`, "e", true}, {`UID EXPUNGE 1:*`, "e", true}, {`SEARCH ALL`, "", true}, {`UID SEARCH TEXT x`, "", true},
	{`FETCH 1 (FLAGS BODY.PEEK[])`, "", true}, {`UID FETCH 1 BODY[]`, "", true},
	{`STORE 1 +FLAGS (\Seen)`, "s", true}, {`STORE 1 -FLAGS.SILENT (\Deleted)`, "t", true}, {`STORE 1 +FLAGS (\Flagged)`, "w", true}, {`UID STORE 1 +FLAGS (key)`, "w", true},
	{`STORE 1 +FLAGS (\Seen \Deleted \Answered key)`, "", true}, {`STORE 1 FLAGS (\Draft)`, "w", true}, {`STORE 1 FLAGS ()`, "", true},
	{`COPY 1 "%M"`, "i", false}, {`UID COPY 1 "%M"`, "i", true}, {`COPY 1 INBOX`, "", true},
	{`MOVE 1 "%M"`, "i", false}, {`MOVE 1 Mine`, "te", true}, {`UID MOVE 1 "%M"`, "ite", true},
}

// beforeLogin are the commands that nobody can give who has rights.
var beforeLogin = map[string]bool{"STARTTLS": true, "AUTHENTICATE": true, "LOGIN": true}

// TestMissingRights walks all commands with each single right missing, ACL-25 and section 4 of RFC 4314: what wants
// it is refused and has changed nothing, all else works. What one may not select one cannot have selected.
func TestMissingRights(t *testing.T) {
	for _, row := range commands {
		in := false
		for _, step := range everyCommand {
			words := strings.Fields(strings.TrimPrefix(step.command, "UID "))
			in = in || words[0] == row.name
		}
		if in == beforeLogin[row.name] {
			t.Errorf("%s: walked %v", row.name, in)
		}
	}
	for _, missing := range "lrswipkxtea" {
		t.Run(string(missing), func(t *testing.T) {
			t.Parallel()
			w := newSharing(t)
			w.as("alice").do("CREATE Top")
			w.as("alice").do("SETACL Top bob lrswipkxtea")
			w.as("bob").do("CREATE Mine")
			for i, step := range everyCommand {
				if step.in && missing == 'r' {
					continue
				}
				w.step(fmt.Sprintf("Top/M%d", i), step, string(missing))
			}
		})
	}
}

func (w *sharing) step(mailbox string, step walked, missing string) {
	w.t.Helper()
	alice := w.as("alice")
	alice.do("CREATE " + mailbox)
	alice.do("APPEND " + mailbox + " (\\Deleted) {1+}\r\ny")
	alice.try("CREATE Top/Other") // which may still be there
	alice.do("SETACL " + mailbox + " bob " + strings.ReplaceAll("lrswipkxtea", missing, ""))
	bob := w.login(w.t, "bob")
	defer bob.conn.Close()
	bob.do("APPEND INBOX {1+}\r\ny")
	const top = "Other Users/alice/Top"
	name := "Other Users/alice/" + mailbox
	bob.do(fmt.Sprintf("SELECT %q", map[bool]string{true: name, false: "INBOX"}[step.in]))
	state := func() string {
		return strings.Join([]string{
			fmt.Sprint(alice.do(`LIST "" Top/*`)), fmt.Sprint(alice.do("STATUS " + mailbox + " (MESSAGES UIDNEXT DELETED UNSEEN)")), fmt.Sprint(alice.do("GETACL " + mailbox)),
			fmt.Sprint(alice.do(`LIST (SUBSCRIBED) "" *`)), fmt.Sprint(w.as("bob").do("STATUS INBOX (MESSAGES)")),
		}, "\n")
	}
	refused := strings.Contains(step.wants, missing)
	want, before := "x OK ", ""
	if refused {
		want, before = "x "+noRight, state()
		if missing == "l" {
			want = "x " + noMailboxThere
		}
	}
	command := strings.NewReplacer("%M", name, "%T", top).Replace(step.command)
	if _, end := bob.try(command); !strings.HasPrefix(end, want) {
		w.t.Errorf("%s without %s: %s, want %s", command, missing, end, want)
	}
	if refused {
		if after := state(); after != before {
			w.t.Errorf("%s, which was refused, changed\n%s\nto\n%s", command, before, after)
		}
	}
	alice.try("DELETE Top/New")
	alice.try("DELETE " + mailbox + "/Below")
	alice.try("DELETE " + mailbox + "/Other")
	alice.try("DELETE " + mailbox)
}
