package interop

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"
)

// post is a submission server that keeps what it is given.
type post struct {
	mu    sync.Mutex
	taken []string // "FROM to TO,TO" and the text, guarded by mu
}

// openPost starts it at that address, until the test ends.
func openPost(t *testing.T, addr string) *post {
	t.Helper()
	p := &post{}
	srv := smtp.NewServer(p)
	srv.Domain = "localhost"
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return p
}

func (p *post) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string{}, p.taken...)
}

func (p *post) NewSession(*smtp.Conn) (smtp.Session, error) { return &posting{p: p}, nil }

// posting is one connection to a post.
type posting struct {
	p    *post
	from string
	to   []string
}

func (s *posting) Mail(from string, _ *smtp.MailOptions) error {
	s.from, s.to = from, nil
	return nil
}

func (s *posting) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = append(s.to, to)
	return nil
}

func (s *posting) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.p.taken = append(s.p.taken, fmt.Sprintf("%s to %s\n%s", s.from, strings.Join(s.to, ","), text))
	return err
}

func (s *posting) Reset()        {}
func (s *posting) Logout() error { return nil }

func submission(addr string) string {
	return fmt.Sprintf("[submission]\nserver = %q\ntls = \"none\"\ndomain = \"example.org\"\n", addr)
}

// A message is written with an attachment that is dropped, saved while it is
// written, and sent; it stands in Sent, and the draft is gone. It was an answer,
// and what it answers is marked.
func TestWebWrite(t *testing.T) {
	beginWeb(t)
	s := newSite(t)
	inbox := s.maildir("alice")
	makeMaildir(t, inbox)
	makeMaildir(t, filepath.Join(inbox, ".Sent"))
	write(t, inbox, "cur/1700000001.M1P1.host:2,S", letter("Ben <ben@example.org>", "Lunch", plainText+"At noon?\n"))
	addr := freeAddr(t)
	mails := openPost(t, addr)
	v := s.webMail(t, submission(addr))
	p := signIn(t, v, "alice")

	p.opens("Lunch")
	p.press("r")
	p.sees("#compose", "")
	if got, err := find[string](p, "input", "To", "(l) => l[0].value"); err != nil || !strings.Contains(got, "ben@example.org") {
		t.Errorf("the answer goes to %q (%v)", got, err)
	}
	p.click("#text", "")
	p.press("Ctrl+Home")
	p.typed("Gladly, at one.\n\n")
	p.sees("#saved", "Saved")
	contains(t, "Drafts", askIn(t, v, "alice", "Drafts", "UID FETCH 1:* (FLAGS)"), `\Draft`)
	p.drop("#compose", "", write(t, t.TempDir(), "menu.txt", "soup\n"))
	p.sees("#files li", "menu.txt")
	p.view("compose")
	p.press("Ctrl+Enter")
	p.sees("[role=status]", "on its way")
	eventually(t, "the submission server to be given the message", func() bool { return len(mails.all()) == 1 })
	contains(t, "what was sent", mails.all()[0], "alice@example.org to ben@example.org", "Subject: Re: Lunch",
		"In-Reply-To: <Lunch@example.org>", "Gladly, at one.", "> At noon?", `menu.txt`)
	eventually(t, "the copy in Sent", func() bool {
		return strings.Contains(ask(t, v, "alice", "STATUS Sent (MESSAGES)"), "MESSAGES 1")
	})
	contains(t, "STATUS", ask(t, v, "alice", "STATUS Drafts (MESSAGES)"), "MESSAGES 0")
	contains(t, "what was answered", askIn(t, v, "alice", "INBOX", "UID FETCH 1 (FLAGS)"), `\Answered`)
	same(t, "the number of messages sent", fmt.Sprint(len(mails.all())), "1")
}

// Two browsers on one draft: what each wrote is kept.
func TestWebTwoDrafts(t *testing.T) {
	beginWeb(t)
	s := newSite(t)
	makeMaildir(t, s.maildir("alice"))
	v := s.webMail(t, "")
	p := signIn(t, v, "alice")
	p.press("c")
	p.fill("Subject", "Plan")
	p.click("#text", "")
	p.typed("first words")
	p.sees("#saved", "Saved")
	q := signIn(t, v, "alice")
	q.open(p.path())
	q.click("#text", "")
	q.typed("from the phone ")
	before := q.path()
	q.click("button", "Save draft")
	q.wait("the draft to be another message", func() (bool, error) { return q.path() != before, nil })
	p.click("#text", "")
	p.typed("from the desk ")
	p.sees("#saved", "second draft")
	contains(t, "STATUS", ask(t, v, "alice", "STATUS Drafts (MESSAGES)"), "MESSAGES 2")
	drafts := filepath.Join(s.maildir("alice"), ".Drafts")
	out := client{dir: s.dir}.run(t, "grep", "-rhE", "from the (phone|desk)", drafts)
	contains(t, "the drafts", out, "from the phone", "from the desk")
}

// While the submission server is down a message waits in the Outbox, and IMAP
// sees it there; when it is back the message goes, once.
func TestWebOutbox(t *testing.T) {
	beginWeb(t)
	s := newSite(t)
	makeMaildir(t, s.maildir("alice"))
	addr := freeAddr(t)
	v := s.webMail(t, submission(addr))
	p := signIn(t, v, "alice")
	p.click("a", "Write")
	p.fill("To", "ben@example.org")
	p.fill("Subject", "Patience")
	p.click("#text", "")
	p.typed("It will come.")
	p.click("button", "Send")
	p.sees("[role=status]", "on its way")
	p.open("/outbox")
	p.wait("the Outbox to say what is wrong", func() (bool, error) {
		p.reload()
		return find[bool](p, "main", "It could not be sent yet.", "(l) => l.length > 0")
	})
	p.view("outbox")
	contains(t, "STATUS", ask(t, v, "alice", "STATUS Outbox (MESSAGES)"), "MESSAGES 1")
	mails := openPost(t, addr)
	p.click("button", "Send now")
	eventually(t, "the message to be sent", func() bool { return len(mails.all()) == 1 })
	eventually(t, "the Outbox to be empty", func() bool {
		return strings.Contains(ask(t, v, "alice", "STATUS Outbox (MESSAGES)"), "MESSAGES 0")
	})
	contains(t, "STATUS", ask(t, v, "alice", "STATUS Sent (MESSAGES)"), "MESSAGES 1")
	same(t, "the number of messages sent", fmt.Sprint(len(mails.all())), "1")
}

// A new message is signed, and addresses are completed from mail.
func TestWebIdentity(t *testing.T) {
	beginWeb(t)
	s := newSite(t)
	makeMaildir(t, s.maildir("alice"))
	write(t, s.maildir("alice"), "cur/1700000001.M1P1.host:2,S", letter("Ben Bolt <ben@example.org>", "Lunch", plainText+"At noon?\n"))
	p := signIn(t, s.webMail(t, submission(freeAddr(t))), "alice")
	p.open("/identities")
	p.fill("Name", "Alice Example")
	p.fill("Signature", "Alice of Example")
	p.click("button", "Save")
	p.sees(".notice", "saved")
	p.view("identities")
	p.press("c")
	p.sees("select", "Alice Example <alice@example.org>")
	if text, err := find[string](p, "#text", "", "(l) => l[0].value"); err != nil || !strings.Contains(text, "-- \nAlice of Example") {
		t.Errorf("a new message begins with %q (%v)", text, err)
	}
	p.click("#to", "")
	p.typed("bolt")
	p.sees(".completions [role=option]", "Ben Bolt <ben@example.org>")
	p.press("Tab")
	if to, err := find[string](p, "#to", "", "(l) => l[0].value"); err != nil || to != "Ben Bolt <ben@example.org>, " {
		t.Errorf("the address was completed to %q (%v)", to, err)
	}
	p.sees("#saved", "Saved at")
}
