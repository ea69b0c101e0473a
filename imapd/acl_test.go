package imapd

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"postroom/internal/account"
)

// people are the users that a test's server knows, with their groups.
type people struct {
	mu         sync.Mutex
	groups     map[string][]string // guarded by mu
	generation uint64              // guarded by mu
}

func newPeople() *people {
	return &people{groups: map[string][]string{"alice": nil, "bob": {"staff"}, "carol": {"staff", "chiefs"}, "anyone": nil}}
}

func (p *people) Names() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var names []string
	for name := range p.groups {
		names = append(names, name)
	}
	return names
}

func (p *people) Has(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.groups[name]
	return ok
}

func (p *people) Groups(name string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.groups[name]
}

func (p *people) Generation() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.generation
}

// set puts a user into groups and out of all others.
func (p *people) set(name string, groups ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.groups[name] = groups
	p.generation++
}

// share makes a configuration one with other users' and public mailboxes.
func share(cfg *account.Config) {
	cfg.Users = newPeople()
	cfg.OtherUsers = "Other Users"
	cfg.Public = filepath.Join(filepath.Dir(filepath.Dir(cfg.Root)), "public")
	cfg.PublicPrefix = "Public"
}

// sharing is a server whose users share mailboxes, and a session of each who was called.
type sharing struct {
	*server
	t       *testing.T
	people  *people
	clients map[string]*client
}

func newSharing(t *testing.T, change ...func(*account.Config)) *sharing {
	t.Helper()
	w := &sharing{t: t, clients: make(map[string]*client)}
	w.server = startServerFor(t, t.TempDir(), func(cfg *account.Config) {
		share(cfg)
		for _, c := range change {
			c(cfg)
		}
		w.people = cfg.Users.(*people)
	}, nil)
	return w
}

func (w *sharing) as(user string) *client {
	w.t.Helper()
	if w.clients[user] == nil {
		w.clients[user] = w.login(w.t, user)
	}
	return w.clients[user]
}

// Alice's mailbox as she knows it, and as others do.
const (
	hers   = "Shared"
	theirs = `"Other Users/alice/Shared"`
)

// shared makes alice's mailbox, with three messages, and gives bob rights.
func (w *sharing) shared(rights string) *sharing {
	w.t.Helper()
	alice := w.as("alice")
	alice.do("CREATE " + hers)
	for range 3 {
		alice.do("APPEND " + hers + " {12+}\r\nSubject: x\r\n")
	}
	w.grant(rights)
	return w
}

// grant gives bob rights in place of those he had.
func (w *sharing) grant(rights string) {
	w.t.Helper()
	w.as("alice").do(fmt.Sprintf("SETACL %s bob %q", hers, rights))
}

// write puts lines into the ACL file of one of alice's mailboxes, as an editor does.
func (w *sharing) write(mailbox string, lines ...string) {
	w.t.Helper()
	dir := filepath.Join(w.root, "alice", "Maildir", "."+strings.ReplaceAll(mailbox, "/", "."))
	if mailbox == "INBOX" {
		dir = filepath.Dir(dir)
	}
	temp := filepath.Join(dir, "edited")
	if err := os.WriteFile(temp, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(temp, filepath.Join(dir, "dovecot-acl")); err != nil {
		w.t.Fatal(err)
	}
}

// expect runs a command whose answer must be these lines, without the tag of
// the last. A line that ends in "..." may go on.
func (c *client) expect(command string, want ...string) {
	c.t.Helper()
	lines, end := c.try(command)
	got := append(lines, strings.TrimPrefix(end, "x "))
	if !slices.EqualFunc(got, want, likeLine) {
		c.t.Errorf("%.200s\ngot:  %s\nwant: %s", command, strings.Join(got, "\n      "), strings.Join(want, "\n      "))
	}
}

func likeLine(got, want string) bool {
	if head, open := strings.CutSuffix(want, "..."); open {
		return strings.HasPrefix(got, head)
	}
	return got == want
}

// selects opens a mailbox and gives its PERMANENTFLAGS and READ-ONLY or READ-WRITE.
func (c *client) selects(name string) (permanent, code string) {
	c.t.Helper()
	lines, end := c.try("SELECT " + name)
	for _, l := range lines {
		if list, ok := strings.CutPrefix(l, "* OK [PERMANENTFLAGS ("); ok {
			permanent, _, _ = strings.Cut(list, ")]")
		}
	}
	_, code, _ = strings.Cut(end, "[")
	code, _, _ = strings.Cut(code, "]")
	return permanent, code
}

// Answers that many points have.
const (
	noMailboxThere = "NO [NONEXISTENT] Mailbox does not exist"
	noRight        = "NO [NOPERM] Permission denied"
	aliceHasAll    = "* ACL Shared alice lrswipkxteacd"
)

// aclPoint is one or more numbered points of what RFC 4314 demands, see ARCHITECTURE.md.
type aclPoint struct {
	numbers string
	run     func(t *testing.T, w *sharing)
}

func runPoints(t *testing.T, points []aclPoint) {
	for _, p := range points {
		t.Run("ACL-"+p.numbers, func(t *testing.T) {
			t.Parallel()
			p.run(t, newSharing(t))
		})
	}
}

// Rights as they are written, sections 2 and 3 of RFC 4314.
func TestACLCommands(t *testing.T) { runPoints(t, aclCommands) }

var aclCommands = []aclPoint{
	{"1", func(t *testing.T, w *sharing) {
		rights := 0
		for _, word := range strings.Fields(w.as("alice").do("CAPABILITY")[0]) {
			if letters, ok := strings.CutPrefix(word, "RIGHTS="); ok {
				rights++
				if sorted(letters) != "ektx" {
					t.Error(word)
				}
			}
		}
		if rights != 1 {
			t.Errorf("%d RIGHTS=", rights)
		}
	}},
	{"2,3", func(t *testing.T, w *sharing) {
		alice := w.shared("lr").as("alice")
		for _, letters := range []string{"L", "lrR", "lrq", "lr1", "l r", "++l", "+-l", "-l+", "n", `l\\`, "*"} {
			alice.expect(fmt.Sprintf(`SETACL %s bob "%s"`, hers, letters), "BAD Syntax error: unknown right")
		}
		alice.expect("SETACL Shared bob {2+}\r\n\xc3\xa9", "BAD Syntax error: unknown right")
		alice.expect("GETACL Shared", aliceHasAll+" bob lr", "OK GETACL completed")
	}},
	{"3, grammar", func(t *testing.T, w *sharing) {
		alice := w.as("alice")
		for _, command := range []string{
			"GETACL", "GETACL a b", "GETACL ", "SETACL", "SETACL INBOX", "SETACL INBOX bob", "SETACL INBOX bob ", "SETACL INBOX bob l r", "SETACL INBOX (bob l)", "DELETEACL INBOX",
			"DELETEACL INBOX bob x", "LISTRIGHTS INBOX", "LISTRIGHTS INBOX bob x", "MYRIGHTS", "MYRIGHTS a b", "UID GETACL INBOX", `LIST "" * RETURN (MYRIGHTS x)`,
		} {
			if _, end := alice.try(command); !strings.HasPrefix(end, "x BAD ") {
				t.Errorf("%s: %s", command, end)
			}
		}
		c := w.connect(t)
		c.expect("MYRIGHTS INBOX", "BAD Log in first")
	}},
	{"4", func(t *testing.T, w *sharing) {
		alice, bob := w.shared("lr").as("alice"), w.as("bob")
		alice.do("SETACL Shared $staff lrs")
		for _, step := range []struct{ letters, want string }{
			{"+si", "lrsi"}, {"-r", "lsi"}, {"+", "lsi"}, {"-", "lsi"}, {"-x", "lsi"}, {"lrp", "lrp"},
		} {
			alice.do("SETACL Shared bob " + step.letters)
			bob.expect("MYRIGHTS "+theirs, "* MYRIGHTS "+theirs+" "+step.want, "OK MYRIGHTS completed")
		}
		alice.do(`SETACL Shared bob ""`)
		alice.expect("GETACL Shared", aliceHasAll+` $staff lrs bob ""`, "OK GETACL completed")
		bob.expect("MYRIGHTS "+theirs, noMailboxThere)
		alice.do("DELETEACL Shared bob")
		bob.expect("MYRIGHTS "+theirs, "* MYRIGHTS "+theirs+" lrs", "OK MYRIGHTS completed")
	}},
	{"5,8", func(t *testing.T, w *sharing) {
		alice, bob := w.shared("lrsi").as("alice"), w.as("bob")
		alice.do("SETACL Shared -bob +s")
		alice.expect("GETACL Shared", aliceHasAll+" bob lrsi -bob s", "OK GETACL completed")
		bob.expect("MYRIGHTS "+theirs, "* MYRIGHTS "+theirs+" lri", "OK MYRIGHTS completed")
		alice.do("SETACL Shared bob -i")
		alice.expect("GETACL Shared", aliceHasAll+" bob lrs -bob s", "OK GETACL completed")
		alice.do("DELETEACL Shared bob")
		alice.expect("GETACL Shared", aliceHasAll+" -bob s", "OK GETACL completed")
		alice.do("DELETEACL Shared -bob")
		alice.do("DELETEACL Shared -bob") // that is not there is no error
		alice.expect("GETACL Shared", aliceHasAll, "OK GETACL completed")
	}},
	{"6", func(t *testing.T, w *sharing) {
		w.shared("")
		w.write(hers, "anyone lr", "user=anyone lrs")
		w.as("alice").expect("GETACL Shared", "* ACL Shared alice lrswipkxteacd anyone lr user=anyone lrs", "OK GETACL completed")
		for user, want := range map[string]string{"bob": "lr", "carol": "lr", "anyone": "lrs"} {
			w.as(user).expect("MYRIGHTS "+theirs, "* MYRIGHTS "+theirs+" "+want, "OK MYRIGHTS completed")
		}
		w.as("alice").do("SETACL Shared user=anyone l")
		w.as("anyone").expect("MYRIGHTS "+theirs, "* MYRIGHTS "+theirs+" l", "OK MYRIGHTS completed")
	}},
	{"7", func(t *testing.T, w *sharing) {
		alice := w.shared("lr").as("alice")
		for name, why := range map[string]string{
			`""`: "no name after", `"-"`: "no name after", "$": "no name after", "user=": "no name after", `"!$"`: "no name after", "--bob": "more than one minus sign",
			"#team": "there are no global entries", "{3+}\r\nb\x07b": "a character that RFC 4013 forbids", "{4+}\r\nb\xff\xfeb": "a character that RFC 4013 forbids",
			"{2+}\r\n\xc2\xad": "no name after", "{3+}\r\n-\xc2\xad": "no name after", strings.Repeat("b", 2000): "an identifier is longer than",
		} {
			for _, command := range []string{"SETACL Shared %s lr", "DELETEACL Shared %s", "LISTRIGHTS Shared %s"} {
				alice.expect(fmt.Sprintf(command, name), "BAD Syntax error: no identifier: "+why+"...")
			}
			alice.do("NOOP") // for too many BAD in a row the session ends
		}
		alice.do("SETACL Shared {5+}\r\nb\xc2\xadob lri")
		alice.expect("GETACL Shared", aliceHasAll+" bob lri", "OK GETACL completed")
		alice.do("SETACL Shared {4+}\r\nb\xc3\xb6b l")
		alice.expect("GETACL Shared", aliceHasAll+" bob lri {4}", "b\xc3\xb6b l", "OK GETACL completed")
	}},
	{"9", func(t *testing.T, w *sharing) {
		alice := w.shared("ktl").as("alice")
		alice.expect("GETACL INBOX", "* ACL INBOX alice lrswipkxteacd", "OK GETACL completed")
		alice.do("SETACL Shared $staff lr")
		alice.do("SETACL Shared !$chiefs r")
		alice.do(`SETACL Shared "Carol Smith" l`)
		alice.expect("GETACL shared", noMailboxThere)
		alice.expect("GETACL Shared", aliceHasAll+` $staff lr "Carol Smith" l bob lktcd !$chiefs r`, "OK GETACL completed")
	}},
	{"10,11,12,13,15", func(t *testing.T, w *sharing) {
		bob := w.shared("").as("bob")
		for _, step := range []struct{ letters, want string }{
			{"lc", "lkxc"}, {"ld", "lted"}, {"cxl", "lkxc"}, {"detl", "lted"}, {"lk", "lkc"}, {"lx", "lxc"}, {"le", "led"}, {"lt", "ltd"},
			{"lcd", "lkxtecd"}, {"-d", "lkxc"}, {"+t", "lkxtcd"}, {"-c", "ltd"}, {"+cd", "lkxtecd"}, {"-kt", "lxecd"},
		} {
			w.grant(step.letters)
			bob.expect("MYRIGHTS "+theirs, "* MYRIGHTS "+theirs+" "+step.want, "OK MYRIGHTS completed")
			w.as("alice").expect("GETACL Shared", aliceHasAll+" bob "+step.want, "OK GETACL completed")
		}
	}},
	{"14,17,18", func(t *testing.T, w *sharing) {
		alice := w.shared("").as("alice")
		for _, who := range []string{"bob", "-bob", "$staff", "nosuchuser", `"a b"`, "anyone", "-alice", "user=bob"} {
			alice.expect("LISTRIGHTS Shared "+who, "* LISTRIGHTS Shared "+who+` "" l r s w i p k x t e a c d`, "OK LISTRIGHTS completed")
		}
		for _, who := range []string{"alice", "owner", "user=alice"} {
			alice.expect("LISTRIGHTS Shared "+who, "* LISTRIGHTS Shared "+who+` la r s w i p k x t e c d`, "OK LISTRIGHTS completed")
		}
		alice.expect("LISTRIGHTS Shared {2+}\r\n\xc3\xb6", "* LISTRIGHTS Shared {2}", "\xc3\xb6 \"\" l r s w i p k x t e a c d", "OK LISTRIGHTS completed")
	}},
	{"16,19,63", func(t *testing.T, w *sharing) {
		bob := w.shared("lrswipkxte").as("bob")
		commands := []string{"GETACL %s", "SETACL %s bob +a", "SETACL %s anyone lr", "DELETEACL %s alice", "LISTRIGHTS %s bob"}
		for _, c := range commands {
			bob.expect(fmt.Sprintf(c, theirs), noRight)
		}
		w.grant("r")
		for _, c := range commands {
			bob.expect(fmt.Sprintf(c, theirs), noMailboxThere)
		}
		w.grant("la")
		bob.expect("GETACL "+theirs, "* ACL "+theirs+" alice lrswipkxteacd bob la", "OK GETACL completed")
		bob.expect("LISTRIGHTS "+theirs+" carol", "* LISTRIGHTS "+theirs+` carol "" l r s w i p k x t e a c d`, "OK LISTRIGHTS completed")
		bob.expect("SETACL "+theirs+" carol lr", "OK SETACL completed")
		bob.expect("DELETEACL "+theirs+" bob", "OK DELETEACL completed")
		bob.expect("GETACL "+theirs, noMailboxThere)
		w.as("alice").expect("GETACL Shared", aliceHasAll+" carol lr", "OK GETACL completed")
	}},
	{"20", func(t *testing.T, w *sharing) {
		bob := w.shared("").as("bob")
		for _, letter := range "lrikxa" {
			w.grant(string(letter))
			if lines := bob.do("MYRIGHTS " + theirs); len(lines) != 1 {
				t.Error(lines)
			}
		}
		for _, letter := range "swtep" {
			w.grant(string(letter))
			bob.expect("MYRIGHTS "+theirs, noMailboxThere)
		}
	}},
	{"53", func(t *testing.T, w *sharing) {
		alice := w.shared("lr").as("alice")
		alice.send("1 SETACL Shared alice lrs\r\n2 MYRIGHTS Shared\r\n3 SETACL Shared alice +w\r\n4 MYRIGHTS Shared\r\n5 DELETEACL Shared alice\r\n6 MYRIGHTS Shared\r\n")
		for _, want := range []string{
			"1 OK SETACL completed", "* MYRIGHTS Shared lrsa", "2 OK MYRIGHTS completed", "3 OK SETACL completed", "* MYRIGHTS Shared lrswa", "4 OK MYRIGHTS completed",
			"5 OK DELETEACL completed", "* MYRIGHTS Shared lrswipkxteacd", "6 OK MYRIGHTS completed",
		} {
			if line := alice.line(); line != want {
				t.Errorf("%q, want %q", line, want)
			}
		}
	}},
	{"64", func(t *testing.T, w *sharing) {
		alice := w.as("alice")
		alice.do("CREATE Entw&APw-rfe")
		alice.do("SETACL Entw&APw-rfe bob lr")
		w.as("bob").expect(`MYRIGHTS "Other Users/alice/Entw&APw-rfe"`, `* MYRIGHTS "Other Users/alice/Entw&APw-rfe" lr`, "OK MYRIGHTS completed")
		carol := w.as("carol")
		carol.do("ENABLE UTF8=ACCEPT")
		alice.do("SETACL Entw&APw-rfe carol lr")
		carol.expect(`MYRIGHTS "Other Users/alice/Entwürfe"`, `* MYRIGHTS "Other Users/alice/Entwürfe" lr`, "OK MYRIGHTS completed")
		for _, command := range []string{"GETACL *", "MYRIGHTS %", "GETACL Entw*"} {
			if _, end := alice.try(command); !strings.HasPrefix(end, "x BAD") && !strings.HasPrefix(end, "x NO") {
				t.Errorf("%s: %s", command, end)
			}
		}
		alice.expect("GETACL &bad", "NO [CANNOT] ...")
	}},
}

func sorted(s string) string {
	b := []byte(s)
	slices.Sort(b)
	return string(b)
}

// Owners, and everybody.
func TestACLOwners(t *testing.T) { runPoints(t, aclOwners) }

var aclOwners = []aclPoint{
	{"21,55,56,57", func(t *testing.T, w *sharing) {
		alice := w.shared("").as("alice")
		alice.do("DELETEACL Shared bob")
		alice.expect("MYRIGHTS Shared", "* MYRIGHTS Shared lrswipkxteacd", "OK MYRIGHTS completed")
		alice.do("SETACL Shared alice r")
		alice.expect("MYRIGHTS Shared", "* MYRIGHTS Shared lra", "OK MYRIGHTS completed")
		alice.expect("GETACL Shared", "* ACL Shared alice lra", "OK GETACL completed")
		alice.expect("APPEND Shared {1+}\r\nx", noRight)
		alice.expect("DELETE Shared", noRight)
		if _, code := alice.selects("Shared"); code != "READ-ONLY" {
			t.Error(code)
		}
		alice.expect(`SETACL Shared alice ""`, "* BYE Mailbox may not be read any more", "OK SETACL completed")
		alice = w.login(t, "alice")
		alice.expect("SELECT Shared", noRight)
		alice.expect("GETACL Shared", "* ACL Shared alice la", "OK GETACL completed")
		alice.do("SETACL Shared alice +w")
		alice.do("SETACL Shared owner +t")
		alice.expect("GETACL Shared", "* ACL Shared alice lwtad", "OK GETACL completed")
		alice.do("SETACL Shared alice -lrwa")
		alice.expect("MYRIGHTS Shared", "* MYRIGHTS Shared ltad", "OK MYRIGHTS completed")
		alice.do("DELETEACL Shared alice")
		alice.expect("MYRIGHTS Shared", "* MYRIGHTS Shared lrswipkxteacd", "OK MYRIGHTS completed")
		alice.expect("GETACL Shared", aliceHasAll, "OK GETACL completed")
	}},
	{"56 by name", func(t *testing.T, w *sharing) {
		alice := w.shared("").as("alice")
		w.write(hers, "owner lrw", "user=alice r")
		alice.expect("GETACL Shared", "* ACL Shared owner lrwa alice lra", "OK GETACL completed")
		alice.expect("MYRIGHTS Shared", "* MYRIGHTS Shared lra", "OK MYRIGHTS completed")
		alice.do("SETACL Shared alice rs")
		alice.expect("MYRIGHTS Shared", "* MYRIGHTS Shared lrsa", "OK MYRIGHTS completed")
		alice.expect("GETACL Shared", "* ACL Shared owner lrwa alice lrsa", "OK GETACL completed")
		alice.do("DELETEACL Shared alice")
		alice.expect("GETACL Shared", "* ACL Shared alice lrwa", "OK GETACL completed")
	}},
	{"58", func(t *testing.T, w *sharing) {
		alice := w.shared("").as("alice")
		alice.do("DELETEACL Shared bob")
		alice.do("SETACL Shared -owner alr")
		alice.do("SETACL Shared -anyone alr")
		alice.expect("MYRIGHTS Shared", "* MYRIGHTS Shared lswipkxteacd", "OK MYRIGHTS completed")
		alice.expect("GETACL Shared", aliceHasAll+" -anyone lra -alice lra", "OK GETACL completed")
		alice.do("DELETEACL Shared -alice")
		alice.expect("MYRIGHTS Shared", "* MYRIGHTS Shared lrswipkxteacd", "OK MYRIGHTS completed")
	}},
	{"59", func(t *testing.T, w *sharing) {
		alice := w.shared("lra").as("alice")
		for _, who := range []string{"anyone", "authenticated"} {
			const denied = "NO [NOPERM] Only an administrator may give rights to everybody"
			alice.expect("SETACL Shared "+who+" l", denied)
			w.as("bob").expect("SETACL "+theirs+" "+who+" +l", denied)
			alice.expect("SETACL Shared "+who+" -l", "OK SETACL completed")
			alice.expect("SETACL Shared -"+who+" l", "OK SETACL completed")
			alice.expect("DELETEACL Shared -"+who, "OK DELETEACL completed")
		}
		alice.expect("GETACL Shared", aliceHasAll+" bob lra", "OK GETACL completed")
	}},
	{"52,62", func(t *testing.T, _ *sharing) {
		w := newSharing(t, func(cfg *account.Config) { cfg.AnyoneAllowed = true })
		alice := w.shared("lr").as("alice")
		const alert = "* OK [ALERT] Everybody may change this mailbox now"
		alice.expect("SETACL Shared anyone lrp", "OK SETACL completed")
		alice.expect("SETACL Shared anyone +i", alert, "OK SETACL completed")
		alice.expect("SETACL Shared anyone -i", "OK SETACL completed")
		alice.expect("SETACL Shared authenticated a", alert, "OK SETACL completed")
		alice.expect("SETACL Shared -authenticated a", "OK SETACL completed")
		alice.expect("GETACL Shared", "* ACL Shared alice lrswipkxteacd anyone lrp authenticated a -authenticated a bob lr", "OK GETACL completed")
	}},
	{"61", func(t *testing.T, w *sharing) {
		alice := w.shared("").as("alice")
		w.write(hers, "# by hand", "user=bob lr :private", "owner lrswipkxtea")
		alice.do("SETACL Shared bob +s")
		alice.do("SETACL Shared carol l")
		text, err := os.ReadFile(filepath.Join(w.root, "alice", "Maildir", ".Shared", "dovecot-acl"))
		if err != nil {
			t.Fatal(err)
		}
		if want := "# by hand\nuser=bob lrs :private\nuser=carol l\nowner lrswipkxtea\n"; string(text) != want && !strings.Contains(string(text), "user=bob lrs :private\n") {
			t.Errorf("%q", text)
		}
	}},
	{"bad file", func(t *testing.T, w *sharing) {
		alice := w.shared("lr").as("alice")
		w.write(hers, "user=bob lr", "user=carol lrq")
		w.as("bob").expect("MYRIGHTS "+theirs, noMailboxThere)
		alice.expect("GETACL Shared", "* NO [CORRUPTION] The ACL file cannot be understood: it gives nobody rights until it is mended",
			aliceHasAll, "OK GETACL completed")
		for _, command := range []string{"SETACL Shared bob l", "DELETEACL Shared bob"} {
			alice.expect(command, "NO [CORRUPTION] The mailbox's ACL file cannot be understood, and must be mended before it can be changed")
		}
		alice.expect("MYRIGHTS Shared", "* MYRIGHTS Shared lrswipkxteacd", "OK MYRIGHTS completed")
		w.write(hers, "user=bob lr")
		w.as("bob").expect("MYRIGHTS "+theirs, "* MYRIGHTS "+theirs+" lr", "OK MYRIGHTS completed")
	}},
}
