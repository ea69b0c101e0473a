package imapd

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Which names there are, for whom, and what may be made of them: section 4 of RFC 4314.
func TestACLNames(t *testing.T) { runPoints(t, aclNames) }

// list is the names that LIST or LSUB tells, with their attributes.
func (c *client) list(command string) []string {
	c.t.Helper()
	var out []string
	for _, l := range c.do(command) {
		if m := regexp.MustCompile(`^\* (?:LIST|LSUB) (\(.*?\)) "/" (.*)$`).FindStringSubmatch(l); m != nil {
			out = append(out, m[2]+" "+m[1])
		}
	}
	return out
}

var aclNames = []aclPoint{
	{"22,23", func(t *testing.T, w *sharing) {
		alice, bob := w.shared("r").as("alice"), w.as("bob")
		alice.do("CREATE Top/Middle/Low")
		alice.do("CREATE Top")
		alice.do("SETACL Top bob r")
		alice.do("SETACL Top/Middle/Low bob l")
		for command, want := range map[string][]string{
			`LIST "" *`: {`INBOX (\HasNoChildren)`, `"Other Users" (\Noselect \HasChildren)`, `"Other Users/alice" (\Noselect \HasChildren)`,
				`"Other Users/alice/Top" (\Noselect \HasChildren)`, `"Other Users/alice/Top/Middle" (\Noselect \HasChildren)`, `"Other Users/alice/Top/Middle/Low" (\HasNoChildren)`},
			`LIST "" %`:                      {`INBOX (\HasNoChildren)`, `"Other Users" (\Noselect \HasChildren)`},
			`LIST "Other Users/" %`:          {`"Other Users/alice" (\Noselect \HasChildren)`},
			`LIST () "Other Users/alice/" %`: {`"Other Users/alice/Top" (\NonExistent \HasChildren)`},
			`LIST "" ` + theirs:              nil,
			`LIST "" "Other Users/carol/*"`:  nil,
			`LIST "" "Other Users/nobody/%"`: nil,
			`LIST "" "Public/*"`:             nil,
			`LIST "Other Users/alice/" ""`:   {`"Other Users/" (\Noselect)`},
			`LIST "" ""`:                     {`"" (\Noselect)`},
			`LIST "" (*/Low %)`:              {`INBOX (\HasNoChildren)`, `"Other Users" (\NonExistent \HasChildren)`, `"Other Users/alice/Top/Middle/Low" (\HasNoChildren)`},
			`LIST "" * RETURN (STATUS (UIDNEXT))`: {`INBOX (\HasNoChildren)`, `"Other Users" (\NonExistent \HasChildren)`, `"Other Users/alice" (\NonExistent \HasChildren)`,
				`"Other Users/alice/Top" (\NonExistent \HasChildren)`, `"Other Users/alice/Top/Middle" (\NonExistent \HasChildren)`, `"Other Users/alice/Top/Middle/Low" (\HasNoChildren)`},
		} {
			if got := bob.list(command); !slices.Equal(got, want) {
				t.Errorf("%s\ngot  %q\nwant %q", command, got, want)
			}
		}
		bob.expect("NAMESPACE", `* NAMESPACE (("" "/")) (("Other Users/" "/")) (("Public/" "/"))`, "OK NAMESPACE completed")
	}},
	{"24", hiddenAsMissing},
	{"25", func(t *testing.T, w *sharing) {
		bob := w.shared("l").as("bob")
		bob.do("APPEND INBOX {1+}\r\nx")
		bob.do("SELECT INBOX")
		for _, command := range []string{
			"SELECT %s", "EXAMINE %s", "STATUS %s (MESSAGES)", "DELETE %s", "RENAME %s \"Other Users/alice/New\"", "CREATE \"Other Users/alice/Shared/New\"",
			"APPEND %s {1+}\r\nx", "COPY 1 %s", "GETACL %s", "SETACL %s bob r", "DELETEACL %s bob", "LISTRIGHTS %s bob",
		} {
			if strings.Contains(command, "%s") {
				command = fmt.Sprintf(command, theirs)
			}
			if strings.HasPrefix(command, "SELECT") || strings.HasPrefix(command, "EXAMINE") {
				bob.expect(command, "* OK [CLOSED] ...", noRight)
				bob.do("SELECT INBOX")
				continue
			}
			bob.expect(command, noRight)
		}
		bob.expect("MOVE 1 "+theirs, noRight)
		bob.expect("FETCH 1 (UID)", "* 1 FETCH (UID 1)", "OK FETCH completed")
	}},
	{"26,27", func(t *testing.T, w *sharing) {
		bob := w.shared("ri").as("bob")
		bob.expect("SUBSCRIBE "+theirs, noMailboxThere)
		w.grant("l")
		bob.do("SUBSCRIBE " + theirs)
		for command, want := range map[string]string{`LSUB "" *`: `"Other Users/alice/Shared" ()`, `LSUB "" %`: `"Other Users" (\Noselect)`, `LSUB "Other Users/%/" *`: `"Other Users/alice/Shared" ()`} {
			if got := bob.list(command); !slices.Equal(got, []string{want}) {
				t.Errorf("%s: %q", command, got)
			}
		}
		w.grant("ri")
		if got := bob.list(`LSUB "" *`); !slices.Equal(got, []string{`"Other Users/alice/Shared" ()`}) {
			t.Errorf("hidden: %q", got)
		}
		if got := bob.list(`LIST (SUBSCRIBED) "" *`); !slices.Equal(got, []string{`"Other Users/alice/Shared" (\NonExistent \HasNoChildren \Subscribed)`}) {
			t.Errorf("hidden: %q", got)
		}
		bob.do("UNSUBSCRIBE " + theirs)
		if got := bob.list(`LSUB "" *`); got != nil {
			t.Errorf("after UNSUBSCRIBE: %q", got)
		}
		bob.do(`UNSUBSCRIBE "Other Users/alice/Nothing"`)
	}},
	{"28,29", func(t *testing.T, w *sharing) {
		alice, bob := w.shared("lr").as("alice"), w.as("bob")
		bob.expect(`CREATE "Other Users/alice/Shared/New"`, noRight)
		bob.expect(`CREATE "Other Users/alice/Shared/No/Such"`, noRight)
		bob.expect(`CREATE "Other Users/alice/New"`, noMailboxThere)
		bob.expect(`CREATE "Other Users/nobody/New"`, noMailboxThere)
		bob.expect(`CREATE "Other Users/New"`, noMailboxThere)
		bob.expect(`CREATE "Public/New"`, noMailboxThere)
		w.grant("lrk")
		alice.do("SETACL Shared -$staff t")
		bob.do(`CREATE "Other Users/alice/Shared/New"`)
		bob.do(`CREATE "Other Users/alice/Shared/No/Such"`)
		w.grant("lrw")
		for _, child := range []string{"Shared/New", "Shared/No/Such"} {
			alice.expect("GETACL "+child, "* ACL "+child+" alice lrswipkxteacd -$staff td bob lrkc", "OK GETACL completed")
		}
		bob.expect(`CREATE "Other Users/alice/Shared/No"`, noRight)
	}},
	{"28, listed at once", func(t *testing.T, w *sharing) {
		alice, bob := w.shared("").as("alice"), w.as("bob")
		for i := range 20 {
			alice.do("SETACL Shared bob lkx")
			if got := bob.list(`LIST "" ` + theirs); len(got) != 1 {
				t.Fatalf("after SETACL: %q", got)
			}
			bob.do(fmt.Sprintf(`CREATE "Other Users/alice/Shared/New%d"`, i))
			bob.do(fmt.Sprintf(`RENAME "Other Users/alice/Shared/New%d" "Other Users/alice/Shared/Old%d"`, i, i))
			if got := bob.list(`LIST "Other Users/alice/Shared/" %`); len(got) != i+1 {
				t.Fatalf("after CREATE and RENAME: %q", got)
			}
			alice.do("DELETEACL Shared bob")
		}
	}},
	{"30", func(t *testing.T, w *sharing) {
		alice, bob := w.shared("lrte").as("alice"), w.as("bob")
		bob.expect("DELETE "+theirs, noRight)
		w.grant("lx")
		bob.do("DELETE " + theirs)
		alice.do("CREATE Shared")
		alice.expect("GETACL Shared", aliceHasAll, "OK GETACL completed")
		bob.expect("MYRIGHTS "+theirs, noMailboxThere)
	}},
	{"31,32", func(t *testing.T, w *sharing) {
		alice, bob := w.shared("lrkx").as("alice"), w.as("bob")
		const low, there = `"Other Users/alice/Shared/Low"`, `"Other Users/alice/Target/Low"`
		bob.do("CREATE " + low)
		alice.do("CREATE Target")
		alice.do("SETACL Target bob lr")
		bob.expect("RENAME "+low+" "+there, noRight)
		bob.expect("RENAME "+low+` "Other Users/alice/Low"`, noMailboxThere)
		bob.expect("RENAME "+low+` Low`, "NO [CANNOT] That cannot be done with this mailbox")
		alice.do("SETACL Target bob +k")
		alice.do("SETACL Shared/Low bob lrk")
		bob.expect("RENAME "+low+" "+there, noRight)
		alice.do("SETACL Shared/Low bob lrx")
		bob.do("RENAME " + low + " " + there)
		alice.expect("GETACL Target/Low", "* ACL Target/Low alice lrswipkxteacd bob lrxc", "OK GETACL completed")
		alice.do("RENAME Target Elsewhere")
		alice.expect("GETACL Elsewhere/Low", "* ACL Elsewhere/Low alice lrswipkxteacd bob lrxc", "OK GETACL completed")
		alice.expect("GETACL Elsewhere", "* ACL Elsewhere alice lrswipkxteacd bob lrkc", "OK GETACL completed")
	}},
	{"33", func(t *testing.T, w *sharing) {
		alice := w.shared("").as("alice")
		alice.do("APPEND INBOX {1+}\r\nx")
		alice.do("SETACL INBOX bob lr")
		alice.do("RENAME INBOX Old")
		alice.expect("GETACL INBOX", "* ACL INBOX alice lrswipkxteacd bob lr", "OK GETACL completed")
		alice.expect("STATUS Old (MESSAGES)", "* STATUS Old (MESSAGES 1)", "OK STATUS completed")
		w.as("bob").expect(`STATUS "Other Users/alice/INBOX" (MESSAGES)`, `* STATUS "Other Users/alice/INBOX" (MESSAGES 0)`, "OK STATUS completed")
		w.as("bob").expect(`MYRIGHTS "Other Users/alice/Old"`, noMailboxThere)
	}},
	{"49", func(t *testing.T, w *sharing) {
		alice, bob := w.shared("lrs").as("alice"), w.as("bob")
		alice.do("CREATE Top/Low")
		alice.do("SETACL Top/Low bob l")
		bob.do("SUBSCRIBE " + theirs)
		bob.expect(`LIST "" * RETURN (MYRIGHTS SUBSCRIBED)`,
			`* LIST (\HasNoChildren) "/" INBOX`, "* MYRIGHTS INBOX lrswipkxteacd",
			`* LIST (\NonExistent \HasChildren) "/" "Other Users"`, `* LIST (\NonExistent \HasChildren) "/" "Other Users/alice"`,
			`* LIST (\HasNoChildren \Subscribed) "/" "Other Users/alice/Shared"`, `* MYRIGHTS "Other Users/alice/Shared" lrs`,
			`* LIST (\NonExistent \HasChildren) "/" "Other Users/alice/Top"`,
			`* LIST (\HasNoChildren) "/" "Other Users/alice/Top/Low"`, `* MYRIGHTS "Other Users/alice/Top/Low" l`,
			"OK LIST completed")
		w.grant("rs")
		bob.expect(`LIST (SUBSCRIBED) "" * RETURN (MYRIGHTS STATUS (MESSAGES))`, `* LIST (\NonExistent \HasNoChildren \Subscribed) "/" `+theirs, "OK LIST completed")
		alice.do(`SETACL Shared alice r`)
		alice.expect(`LIST "" Shared RETURN (STATUS (MESSAGES) MYRIGHTS)`, `* LIST (\HasNoChildren) "/" Shared`, "* MYRIGHTS Shared lra", "* STATUS Shared (MESSAGES 3)", "OK LIST completed")
	}},
}

// nameless are the commands that name no mailbox, or none that need be there.
var nameless = []string{
	"CAPABILITY", "NOOP", "LOGOUT", "ID", "STARTTLS", "AUTHENTICATE", "LOGIN", "UNAUTHENTICATE", "ENABLE", "NAMESPACE", "IDLE", "CHECK", "CLOSE", "UNSELECT",
	"EXPUNGE", "SEARCH", "FETCH", "STORE",
}

// hiddenAsMissing walks all commands that name a mailbox: of one that the user may not
// look up they tell what they tell of one that is not there, octet by octet.
func hiddenAsMissing(t *testing.T, w *sharing) {
	walk := []string{
		`SELECT "%s"`, `SELECT "%s" (CONDSTORE)`, `EXAMINE "%s"`, `STATUS "%s" (MESSAGES)`, `STATUS "%s" (HIGHESTMODSEQ SIZE)`, `SUBSCRIBE "%s"`, `UNSUBSCRIBE "%s"`,
		`CREATE "%s"`, `CREATE "%s/Below"`, `CREATE "%s" (USE (\Sent))`, `DELETE "%s"`, `RENAME "%s" Mine`, `RENAME "%s" "%s2"`, `RENAME Mine "%s"`, `RENAME "Other Users/alice/Open" "%s"`,
		`LIST "" "%s"`, `LIST "%s" %`, `LIST "" ("%s") RETURN (MYRIGHTS STATUS (MESSAGES))`, `LIST (SUBSCRIBED) "" "%s"`, `LSUB "" "%s"`,
		`APPEND "%s" {1}`, "APPEND \"%s\" {1+}\r\nx", "APPEND \"%s\" (\\Seen) {1+}\r\nx", `COPY 1 "%s"`, `UID COPY 1 "%s"`, `MOVE 1 "%s"`, `UID MOVE 1 "%s"`,
		`GETACL "%s"`, `SETACL "%s" bob lr`, `SETACL "%s" anyone lr`, `SETACL "%s" alice a`, `DELETEACL "%s" bob`, `LISTRIGHTS "%s" bob`, `LISTRIGHTS "%s" alice`, `MYRIGHTS "%s"`,
	}
	for _, row := range commands {
		inWalk := slices.ContainsFunc(walk, func(c string) bool { return strings.HasPrefix(strings.TrimPrefix(c, "UID "), row.name+" ") })
		if inWalk == slices.Contains(nameless, row.name) {
			t.Errorf("%s: walked %v, and a command without a name %v", row.name, inWalk, !inWalk)
		}
	}
	alice, bob := w.shared("").as("alice"), w.as("bob")
	alice.do("CREATE Secret/Below")
	alice.do("CREATE Open")
	alice.do("SETACL Open bob lrxk")
	alice.do("SETACL Shared bob te") // rights that are of no use without others
	bob.do("CREATE Mine")
	bob.do("APPEND INBOX {1+}\r\nx")
	bob.do("ENABLE CONDSTORE")
	answers := func(command, name string) string {
		bob.do("SELECT INBOX")
		lines, end := bob.try(strings.ReplaceAll(command, "%s", name))
		return strings.ReplaceAll(strings.Join(append(lines, end), "\n"), name, "NAME")
	}
	for _, command := range walk {
		for _, names := range [][2]string{
			{"Other Users/alice/Shared", "Other Users/alice/Nothing"}, {"Other Users/alice/Secret", "Other Users/alice/Nothing"},
			{"Other Users/alice/INBOX", "Other Users/alice/Nothing"}, {"Other Users/alice/Secret/Below", "Other Users/alice/Nothing/Below"},
			{"Other Users/carol/INBOX", "Other Users/nobody/INBOX"}, {"Other Users/carol", "Other Users/nobody"},
		} {
			got, want := answers(command, names[0]), answers(command, names[1])
			if got != want {
				t.Errorf("%s of %s:\n%s\nof %s:\n%s", command, names[0], got, names[1], want)
			}
			if !regexp.MustCompile(`x (NO \[(NONEXISTENT|TRYCREATE|CANNOT)\] |OK (LIST|LSUB|UNSUBSCRIBE) completed)`).MatchString(got) {
				t.Errorf("%s: %s", command, got)
			}
		}
	}
	alice.expect("STATUS Secret/Below (MESSAGES)", "* STATUS Secret/Below (MESSAGES 0)", "OK STATUS completed")
}
