package webmail

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postroom/imapd"
	"postroom/internal/account"
)

// aclFile is what a folder's ACL file holds; "" if there is none.
func (s *site) aclFile(user, dir string) string {
	s.t.Helper()
	data, err := os.ReadFile(filepath.Join(s.root(user), dir, "dovecot-acl"))
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	return string(data)
}

func (s *site) writeACL(user, dir, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.root(user), dir, "dovecot-acl"), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// What is done in the dialogue leaves octet by octet the file that SETACL leaves.
func TestSharingWritesAsSetACL(t *testing.T) {
	s := newSite(t)
	b := s.login("alice")
	for i, c := range []struct {
		name, before  string
		route         string
		form          []string
		user, letters string // of SETACL; letters "DELETE" for DELETEACL
	}{
		{"read only", "", "add", []string{"kind", "user", "who", "bob", "act", "read"}, "bob", "lrs"},
		{"write", "# c\nuser=carol lr\n", "add", []string{"kind", "user", "who", "bob", "act", "write"}, "bob", "lrswipte"},
		{"a name that is written otherwise", "", "add", []string{"kind", "user", "who", " bob ", "act", "full"}, "bob", "lrswipkxtea"},
		{"a right not shown is kept", "user=bob lrp\n", "change", []string{"id", "bob", "was", "lrp", "act", "write"}, "bob", "lrswipte"},
		{"ticks", "user=bob lrpt\n", "change", []string{"id", "bob", "was", "lrpt", "act", "words", "right", "l", "right", "w"}, "bob", "lwpt"},
		{"one right of two, then both", "user=bob lrt\n", "change", []string{"id", "bob", "was", "lrt", "act", "words", "right", "l", "right", "r", "right", "te"}, "bob", "lrte"},
		{"letters", "user=bob lr\n", "change", []string{"id", "bob", "was", "lr", "act", "letters", "letters", "+sd"}, "bob", "+sd"},
		{"rights that are taken", "user=bob lr\n-user=bob r\n", "change", []string{"id", "-bob", "was", "r", "act", "letters", "letters", "w"}, "-bob", "w"},
		{"a raw name", "", "add", []string{"kind", "raw", "who", "$staff", "act", "read"}, "$staff", "lrs"},
		{"the owner", "", "change", []string{"id", "alice", "was", "lrswipkxtea", "act", "letters", "letters", "lra"}, "alice", "lra"},
		{"removed", "user=bob lr\nuser=carol lr\n", "remove", []string{"id", "bob"}, "bob", "DELETE"},
	} {
		web, imap := fmt.Sprintf("Web%d", i), fmt.Sprintf("Imap%d", i)
		for _, box := range []string{web, imap} {
			s.folder("alice", box)
			if c.before != "" {
				s.writeACL("alice", "."+box, c.before)
			}
		}
		b.post("/sharing/"+c.route, append([]string{"box", web}, c.form...)...).redirects(t, "/sharing?box="+web)
		id, negative, err := account.ParseIdentifier(c.user)
		if err != nil {
			t.Fatal(err)
		}
		if c.letters == "DELETE" {
			err = s.open("alice").DeleteACL(t.Context(), imap, id, negative)
		} else {
			mode, rights, perr := account.ParseModRights(c.letters)
			if perr != nil {
				t.Fatal(perr)
			}
			_, err = s.open("alice").SetACL(t.Context(), imap, id, negative, mode, rights)
		}
		if err != nil {
			t.Fatal(c.name, err)
		}
		if got, want := s.aclFile("alice", "."+web), s.aclFile("alice", "."+imap); got != want || got == c.before {
			t.Errorf("%s: the file holds\n%s\nand by SETACL\n%s", c.name, got, want)
		}
	}
}

func TestSharingPage(t *testing.T) {
	s := newSite(t)
	b := s.login("alice")
	s.folder("alice", "Work")
	s.folder("alice", "Work/Sub")
	b.get("/folders").want(t, http.StatusOK, `href="/sharing?box=Work"`)
	b.get("/?box=Work").want(t, http.StatusOK, `href="/sharing?box=Work"`)
	s.grant("alice", "Work", "bob", "lr")
	s.login("bob").get("/?box=Other+Users/alice/Work").want(t, http.StatusOK, "!/sharing?box=")
	s.writeACL("alice", ".Work", "user=bob lrs\ngroup=staff lrp\n-user=carol w\nanyone l\n")
	b.get("/sharing?box=Work").want(t, http.StatusOK, "Read only", "staff", "takes away", "open to everybody", "keep marks", "the owner", "Show what would change")
	b.get("/sharing?box=Work/Sub").want(t, http.StatusOK, "not those of the folder above", "!Show what would change")

	// What cannot be is refused, and what was changed meanwhile is not overwritten.
	before := s.aclFile("alice", ".Work")
	add := func(pairs ...string) answer {
		return b.post("/sharing/add", append([]string{"box", "Work"}, pairs...)...)
	}
	add("kind", "user", "who", "nobody<x>", "act", "read").want(t, http.StatusUnprocessableEntity, "no user of that name", "nobody&lt;x&gt;")
	add("kind", "group", "who", "bob", "act", "read").want(t, http.StatusUnprocessableEntity, "no group")
	add("kind", "raw", "who", "#x", "act", "read").want(t, http.StatusUnprocessableEntity, "names nobody")
	add("kind", "user", "who", "bob", "act", "letters", "letters", "lq").want(t, http.StatusUnprocessableEntity, "no right")
	add("kind", "user", "who", "bob", "act", "all of them").want(t, http.StatusBadRequest)
	add("kind", "anyone", "act", "read").want(t, http.StatusForbidden, "administrator")
	b.post("/sharing/change", "box", "Work", "id", "bob", "was", "lr", "act", "full").want(t, http.StatusConflict, "changed elsewhere")
	b.post("/sharing/change", "box", "Work", "id", "carol", "was", "", "act", "full").want(t, http.StatusConflict, "changed elsewhere")
	if got := s.aclFile("alice", ".Work"); got != before {
		t.Errorf("it changed:\n%s", got)
	}

	// Who gives up the right to administer is not sent to where he may not go.
	s.grant("alice", "Work", "bob", "lra")
	bob := s.login("bob")
	bob.post("/sharing/change", "box", "Other Users/alice/Work", "id", "bob", "was", "lra", "act", "read").redirects(t, "/folders")

	b.post("/sharing/seen", "box", "Work", "shared", "1").redirects(t, "/sharing?box=Work")
	b.get("/sharing?box=Work").want(t, http.StatusOK, `value="1" checked`)
	b.fragment("/sharing/people?who=bo").want(t, http.StatusOK, `<option value="bob">`, "!carol", "!<html")

	s.writeACL("alice", ".Work", "user=bob lrs\nnonsense ???\n")
	b.get("/sharing?box=Work").want(t, http.StatusOK, "cannot be understood", "!/sharing/add")
	b.post("/sharing/add", "box", "Work", "kind", "user", "who", "bob", "act", "read").want(t, http.StatusConflict, "has to mend it")
}

func TestWhy(t *testing.T) {
	s := newSite(t)
	b := s.login("alice")
	s.folder("alice", "Work")
	s.writeACL("alice", ".Work", "# rights\nuser=bob lrw\n-user=bob w\n")
	p := b.get("/sharing/why?box=Work&who=bob").want(t, http.StatusOK, "What bob may do", "user=bob lrw", "(line 2)", "-user=bob w", "(line 3)", "takes it away")
	if yes := strings.Count(p.body, "</svg>Yes"); yes != 2 {
		t.Errorf("%d rights are granted", yes)
	}
	b.get("/sharing/why?box=Work&who=alice").want(t, http.StatusOK, "the owner has all that nothing takes away")
	b.get("/sharing/why?box=Work&who=nobody").want(t, http.StatusOK, "no user of that name")
	b.get("/sharing/why?box=None&who=bob").want(t, http.StatusNotFound)
}

func TestSharingBelow(t *testing.T) {
	s := newSite(t)
	b := s.login("alice")
	for _, name := range []string{"Top", "Top/A", "Top/B", "Top/C", "Topper"} {
		s.folder("alice", name)
	}
	s.writeACL("alice", ".Top", "user=bob lrs\n")
	s.writeACL("alice", ".Top.A", "user=bob lr\nuser=carol lr\n")
	s.writeACL("alice", ".Top.C", "user=bob lrs\n")
	p := b.get("/sharing/below?box=Top").want(t, http.StatusOK, "Top/A", "Top/B", "already the same", "! Topper\" checked", "carol")
	a, other := p.find(t, `value="([0-9a-f]+ Top/A)"`), p.find(t, `value="([0-9a-f]+ Top/B)"`)
	s.writeACL("alice", ".Top.B", "user=carol lr\n") // meanwhile
	b.post("/sharing/below", "box", "Top", "folder", a, "folder", other).redirects(t, "/sharing/below?box=Top")
	b.get("/sharing/below?box=Top").want(t, http.StatusOK, "rights of 1 folder", "1 folder was left out")
	if a, b := s.aclFile("alice", ".Top.A"), s.aclFile("alice", ".Top.B"); a != "user=bob lrs\n" || b != "user=carol lr\n" {
		t.Errorf("A has\n%s\nB has\n%s", a, b)
	}
	p = b.get("/sharing/below?box=Top")
	b.post("/sharing/below", "box", "Top", "folder", p.find(t, `value="([0-9a-f]+ Top/B)"`)).redirects(t, "/sharing?box=Top")
	if b := s.aclFile("alice", ".Top.B"); b != "user=bob lrs\n" {
		t.Errorf("B has\n%s", b)
	}
	b.get("/sharing/below?box=Top").want(t, http.StatusOK, "same rights already")
	b.get("/sharing/below?box=Top/A").want(t, http.StatusOK, "same rights already")
}

// imapClient is a connection to an IMAP server over the same mail.
type imapClient struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func (s *site) imap(t *testing.T, user string) *imapClient {
	t.Helper()
	srv := imapd.NewServer(imapd.Options{Accounts: s.accts, Auth: s.auth})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		if err := srv.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error("imapd:", err)
		}
		<-done
	})
	c := &imapClient{t, conn, bufio.NewReader(conn)}
	c.until("* OK")
	c.command("LOGIN " + user + " " + user)
	return c
}

// until reads lines up to one that begins so, and gives all of them.
func (c *imapClient) until(prefix string) string {
	c.t.Helper()
	c.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	var all strings.Builder
	for {
		line, err := c.in.ReadString('\n')
		all.WriteString(line)
		if err != nil {
			c.t.Fatalf("waiting for %q: %v\n%s", prefix, err, all.String())
		}
		if strings.HasPrefix(line, prefix) {
			return all.String()
		}
	}
}

func (c *imapClient) send(line string) {
	c.t.Helper()
	if _, err := c.conn.Write([]byte(line + "\r\n")); err != nil {
		c.t.Fatal(err)
	}
}

func (c *imapClient) command(line string) string {
	c.t.Helper()
	c.send("x " + line)
	return c.until("x ")
}

// TestSharingLive: what the dialogue changes is what GETACL tells, and counts in an IMAP session that has the folder open
// within 2 s.
func TestSharingLive(t *testing.T) {
	s := newSite(t)
	s.folder("alice", "Work")
	s.append("alice", "Work", 0, mail("carol@example.org", "Hello", "Hi"))
	web := s.login("alice")
	alice, bob := s.imap(t, "alice"), s.imap(t, "bob")
	const name = `"Other Users/alice/Work"`
	if got := bob.command("SELECT " + name); !strings.Contains(got, "x NO") {
		t.Fatal("before it is shared: " + got)
	}
	web.post("/sharing/add", "box", "Work", "kind", "user", "who", "bob", "act", "read").redirects(t, "/sharing?box=Work")
	if got := alice.command("GETACL Work"); !strings.Contains(got, "bob lrs") {
		t.Error("GETACL: " + got)
	}
	if got := bob.command("SELECT " + name); !strings.Contains(got, "x OK") {
		t.Fatal("shared: " + got)
	}
	if got := bob.command(`STORE 1 +FLAGS (\Flagged)`); !strings.Contains(got, "x NO") {
		t.Error("read only: " + got)
	}
	web.post("/sharing/change", "box", "Work", "id", "bob", "was", "lrs", "act", "write").redirects(t, "/sharing?box=Work")
	if got := bob.command(`STORE 1 +FLAGS (\Flagged)`); !strings.Contains(got, "x OK") {
		t.Error("write: " + got)
	}
	// The right is taken away while the session idles: it must be told without asking.
	bob.send("y IDLE")
	bob.until("+")
	begun := time.Now()
	web.post("/sharing/remove", "box", "Work", "id", "bob").redirects(t, "/sharing?box=Work")
	told := bob.until("*")
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("told after %v", took)
	}
	t.Logf("told after %v: %s", time.Since(begun), told)
	if got := alice.command("GETACL Work"); strings.Contains(got, "bob") {
		t.Error("GETACL: " + got)
	}
	// And what an editor or IMAP changes is on the page.
	alice.command("SETACL Work carol lr")
	web.get("/sharing?box=Work").want(t, http.StatusOK, "carol", "!bob</strong>")
}
