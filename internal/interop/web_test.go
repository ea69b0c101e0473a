package interop

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// webMail starts the server for tests of the web mail; more goes to the end of
// its configuration.
func (s *site) webMail(t *testing.T, more string) *server {
	t.Helper()
	v := s.newServer(t, "postroom")
	v.start(t, v.mailCommand(t, binary, "serve", "--config", v.config(t, more)))
	return v
}

// beginWeb is begin for a test of the web mail.
func beginWeb(t *testing.T) {
	t.Helper()
	begin(t, "chromium", "npm:axe-core", "curl")
	if *serverFlag != "postroom" {
		t.Skip("it is about postroom alone")
	}
}

// signIn opens a page and signs in by hand.
func signIn(t *testing.T, v *server, user string) *webPage {
	t.Helper()
	p := openPage(t, v.web)
	p.open("/")
	p.fill("User name", user)
	p.fill("Password", password)
	p.press("Enter")
	p.sees("#list h1", "Inbox")
	return p
}

// letter is a message with what the tests of reading look for: a sender, a
// subject and a body of one type, given with its headers.
func letter(from, subject, body string) string {
	return "From: " + from + "\nTo: Alice <alice@example.org>\nSubject: " + subject +
		"\nDate: Mon, 23 Nov 2026 09:30:00 +0000\nMessage-ID: <" + strings.ReplaceAll(subject, " ", ".") + "@example.org>\nMIME-Version: 1.0\n" + body
}

const plainText = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"

// askIn selects a mailbox and sends a command there.
func askIn(t *testing.T, v *server, user, mailbox, command string) string {
	t.Helper()
	return client{dir: v.site.dir}.run(t, "curl", "-sSv", "-m", "60", "-u", user+":"+password, "imap://"+v.imap+"/"+mailbox, "-X", command)
}

// save clicks what saves a file, and gives the path of the file, whose name is
// of that pattern. Now and then a click here begins no download, for a reason
// that is not known; then it is clicked again.
func (p *webPage) save(css, text, pattern string) string {
	p.t.Helper()
	for range 5 {
		p.click(css, text)
		for began := time.Now(); time.Since(began) < 4*time.Second; time.Sleep(20 * time.Millisecond) {
			names, err := filepath.Glob(filepath.Join(p.downloads, pattern))
			if err != nil {
				p.t.Fatal(err)
			}
			if len(names) > 0 {
				return names[0]
			}
		}
	}
	p.t.Fatalf("no file %s after five clicks on %s", pattern, named(css, text))
	return ""
}

// Signing in and out, and the list of sessions of which each can be ended.
func TestWebSessions(t *testing.T) {
	beginWeb(t)
	s := newSite(t)
	fill(t, s.maildir("alice"), "session", 3, "S")
	v := s.webMail(t, "")

	p := openPage(t, v.web)
	p.expect("403")
	p.open("/settings") // leads to the login, and back there after it
	p.view("login")
	p.fill("User name", "alice")
	p.fill("Password", "wrong")
	p.click("button", "Sign in")
	p.sees("[role=alert]", "not right")
	p.fill("Password", password)
	p.click("button", "Sign in")
	p.sees("h1", "Settings")
	if got := p.path(); got != "/settings" {
		t.Errorf("after the login the address is %s, want /settings", got)
	}
	cookies, err := evaluate[string](p, "document.cookie")
	if err != nil || cookies != "" {
		t.Errorf("scripts see the cookie %q (%v)", cookies, err)
	}

	other := signIn(t, v, "alice")
	p.open("/sessions")
	p.counts(2, "main tbody tr", "")
	p.view("sessions")
	p.click("button", "End all others")
	p.counts(1, "main tbody tr", "")
	other.open("/")
	other.sees("button", "Sign in")

	p.click("summary[aria-label=Account]", "")
	p.click("button", "Sign out")
	p.sees("button", "Sign in")
	p.open("/")
	p.sees("button", "Sign in")
}

// Folders are made, renamed, subscribed and deleted; IMAP sees each at once.
func TestWebFolders(t *testing.T) {
	beginWeb(t)
	s := newSite(t)
	fill(t, s.maildir("alice"), "folders", 3, "S")
	makeMaildir(t, filepath.Join(s.maildir("alice"), ".Sent"))
	fill(t, filepath.Join(s.maildir("bob"), ".Plans"), "plans", 2, "")
	write(t, filepath.Join(s.maildir("bob"), ".Plans"), "dovecot-acl", "user=alice lr\n")
	v := s.webMail(t, "")
	p := signIn(t, v, "alice")

	p.click("nav a", "Manage folders")
	p.fill("New folder", "Übersicht")
	p.click("button", "Create")
	p.sees("#folders a", "Übersicht")
	contains(t, "LIST", ask(t, v, "alice", `LIST "" "*"`), `"/" &ANw-bersicht`)
	p.view("folders")

	// What one may not do is not offered.
	if n, err := find[int](p, "main li", "Plans", `(l) => l[0].querySelectorAll('a[href*=delete], a[href*=rename]').length`); err != nil || n != 0 {
		t.Errorf("%d ways to change what one may only read (%v)", n, err)
	}
	p.click("main li a[href*=rename][href*=bersicht]", "")
	p.fill("Name", "Overview")
	p.click("button", "Save")
	p.sees("#folders a", "Overview")
	contains(t, "LIST", ask(t, v, "alice", `LIST "" "*"`), "Overview")

	p.click("main li a[href*=delete][href*=Overview]", "")
	p.click("button", "Delete for ever")
	p.lacks("#folders a", "Overview")
	if out := ask(t, v, "alice", `LIST "" "*"`); strings.Contains(out, "Overview") {
		t.Errorf("LIST has a folder that was deleted:\n%s", out)
	}

	// Another's folder is read, and not marked as read: that takes a right.
	p.click("#folders a", "Plans")
	p.sees("#list h1", "Plans")
	p.click(".row-link", "plans")
	p.sees(".message", "This is message")
	contains(t, "STATUS", ask(t, v, "bob", "STATUS Plans (UNSEEN)"), "UNSEEN 2")
}
