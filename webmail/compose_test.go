package webmail

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"mime/multipart"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"postroom/internal/account"
	"postroom/internal/outbox"
	"postroom/internal/submit"
)

// carrier is a Sender that remembers what it took; while it is down it takes nothing.
type carrier struct {
	mu   sync.Mutex
	down submit.Outcome // guarded by mu
	got  []string       // guarded by mu
}

func (c *carrier) Send(ctx context.Context, m submit.Message) submit.Result {
	r, err := m.Open()
	if err != nil {
		return submit.All(m, submit.Again, err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		return submit.All(m, submit.Again, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down != "" {
		return submit.All(m, c.down, errors.New("the server is <down>"))
	}
	c.got = append(c.got, m.From+" to "+strings.Join(m.To, ",")+"\n"+string(text))
	return submit.All(m, submit.Accepted, nil)
}

func (c *carrier) taken() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.got...)
}

func (c *carrier) set(o submit.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = o
}

// newWriters starts a site whose users can send from NAME@example.org, alice from a second address as well.
func newWriters(t *testing.T) (*site, *carrier) {
	t.Helper()
	c := new(carrier)
	var service *outbox.Service
	s := newSite(t, func(o *Options) {
		service = outbox.New(outbox.Options{Accounts: o.Accounts, Sender: c, Logger: o.Logger, Backoff: func(int) time.Duration { return time.Hour }})
		o.Outbox = service
		o.Addresses = func(user string) []string {
			if user == "alice" {
				return []string{"alice@example.org", "office@example.org"}
			}
			return []string{user + "@example.org"}
		}
	})
	t.Cleanup(func() { // before the site's accounts are closed
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := service.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return s, c
}

// upload is a file of a form.
type upload struct{ name, content string }

// form posts a multipart form, as the page of writing does.
func (b *browser) form(path string, files []upload, pairs ...string) answer {
	b.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for i := 0; i+1 < len(pairs); i += 2 {
		if err := w.WriteField(pairs[i], pairs[i+1]); err != nil {
			b.t.Fatal(err)
		}
	}
	if len(files) == 0 {
		files = []upload{{"", ""}} // as browsers do where no file was chosen
	}
	for _, f := range files {
		p, err := w.CreateFormFile("file", f.name)
		if err != nil {
			b.t.Fatal(err)
		}
		fmt.Fprint(p, f.content)
	}
	w.Close()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.base+path, &body)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", w.FormDataContentType())
	return b.do(r)
}

// fields gives what a page of writing would send: hidden fields, inputs, the text, kept attachments.
func (p answer) fields() (pairs []string) {
	attr := func(tag, name string) string {
		m := regexp.MustCompile(` ` + name + `="([^"]*)"`).FindStringSubmatch(tag)
		if m == nil {
			return ""
		}
		return html.UnescapeString(m[1])
	}
	for _, tag := range regexp.MustCompile(`<input [^>]*>`).FindAllString(p.body, -1) {
		if name := attr(tag, "name"); name != "" && name != "file" {
			pairs = append(pairs, name, attr(tag, "value"))
		}
	}
	if m := regexp.MustCompile(`(?s)<textarea[^>]*>\n(.*?)</textarea>`).FindStringSubmatch(p.body); m != nil {
		pairs = append(pairs, "text", html.UnescapeString(m[1]))
	}
	if m := regexp.MustCompile(`<option value="([^"]*)" selected`).FindStringSubmatch(p.body); m != nil {
		pairs = append(pairs, "from", html.UnescapeString(m[1]))
	}
	return pairs
}

// with changes fields.
func with(pairs []string, change ...string) []string {
	var out []string
	changed := make(map[string]string)
	for i := 0; i+1 < len(change); i += 2 {
		changed[change[i]] = change[i+1]
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if _, ok := changed[pairs[i]]; !ok {
			out = append(out, pairs[i], pairs[i+1])
		}
	}
	return append(out, change...)
}

// texts are the messages of a mailbox with LF, flags in front.
func (s *site) texts(user, box string) (out []string) {
	s.t.Helper()
	m, err := s.open(user).Select(s.t.Context(), box, true)
	if errors.Is(err, account.ErrNoFolder) {
		return nil
	}
	if err != nil {
		s.t.Fatal(err)
	}
	defer m.Close()
	snap, err := m.Sync(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	for i := range snap.Len() {
		msg, err := m.Message(s.t.Context(), snap, i)
		if err != nil {
			s.t.Fatal(err)
		}
		b := make([]byte, msg.Size())
		if _, err := msg.ReadAt(b, 0); err != nil && err != io.EOF {
			s.t.Fatal(err)
		}
		msg.Close()
		out = append(out, string(snap.AppendFlags(nil, i))+"\n"+strings.ReplaceAll(string(b), "\r\n", "\n"))
	}
	return out
}

func (s *site) eventually(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatal(what + ": never")
		}
	}
}

// TestReply answers a message by forms alone: it is sent, stands in Sent, the original is marked, the draft is gone.
func TestReply(t *testing.T) {
	s, c := newWriters(t)
	v, uids := s.append("alice", inbox, 0, "From: Bob <bob@example.org>\r\nTo: office@example.org, carol@example.org\r\nSubject: Plans\r\nMessage-ID: <1@x>\r\n\r\nShall we?\r\n")
	b := s.login("alice")
	page := b.get(boxLink("/message", inbox, v, "uid", uidText(uids[0])))
	link := html.UnescapeString(page.find(t, `href="(/compose[^"]*do=replyall[^"]*)"`))
	page = b.get(link).want(t, 200, "Bob &lt;bob@example.org&gt;", "carol@example.org", "&gt; Shall we?", `value="office@example.org" selected`)
	p := b.form("/compose/save", nil, with(page.fields(), "text", "Yes!\n")...)
	page = b.get(p.to()).want(t, 200, "Yes!", "The draft was saved")
	if d := s.texts("alice", "Drafts"); len(d) != 1 || !strings.Contains(d[0], `\Draft`) || !strings.Contains(d[0], "In-Reply-To: <1@x>") {
		t.Fatalf("Drafts: %q", d)
	}
	b.form("/compose/send", nil, with(page.fields(), "bcc", "secret@example.org")...).redirects(t, "/")
	s.eventually("sent", func() bool { return len(s.texts("alice", "Sent")) == 1 && len(s.texts("alice", "Outbox")) == 0 })
	got := c.taken()
	if len(got) != 1 || !strings.HasPrefix(got[0], "office@example.org to bob@example.org,carol@example.org,secret@example.org\n") ||
		strings.Contains(got[0], "Bcc") || strings.Contains(got[0], "X-Postroom") || !strings.Contains(got[0], "References: <1@x>") || !strings.Contains(got[0], "\r\nYes!\r\n") {
		t.Errorf("sent %q", got)
	}
	if len(s.texts("alice", "Drafts")) != 0 || !strings.Contains(s.texts("alice", "Sent")[0], "Bcc: <secret@example.org>") {
		t.Errorf("Drafts %q, Sent %q", s.texts("alice", "Drafts"), s.texts("alice", "Sent"))
	}
	s.eventually("marked", func() bool { return strings.Contains(s.texts("alice", inbox)[0], `\Answered`) })
	// Whom one has written to is completed, and before that whom one has in the address book.
	contacts := s.open("alice").OwnFiles(account.OwnContacts)
	card := "BEGIN:VCARD\r\nVERSION:4.0\r\nUID:1\r\nFN:Carlo Card\r\nEMAIL:card@example.org\r\nEND:VCARD\r\n"
	if err := contacts.Edit(t.Context(), "1.vcf", func([]byte) ([]byte, error) { return []byte(card), nil }); err != nil {
		t.Fatal(err)
	}
	b.get("/complete?q=car").want(t, 200, `["Carlo Card \u003ccard@example.org\u003e","carol@example.org"]`)
	var found []string
	if err := json.Unmarshal([]byte(b.get("/complete?q=caro").want(t, 200).body), &found); err != nil || len(found) != 1 || found[0] != "carol@example.org" {
		t.Errorf("completed %q, %v", found, err)
	}
}

// TestAttachments uploads files, saves again and again, drops one, and sends; what is kept is kept octet by octet.
func TestAttachments(t *testing.T) {
	s, c := newWriters(t)
	b := s.login("alice")
	big := strings.Repeat("0123456789\x00\xff\n", 50_000)
	page := b.get("/compose").want(t, 200)
	p := b.form("/compose/save", []upload{{"größe.bin", big}, {"b.txt", "second"}}, with(page.fields(), "to", "bob@example.org, car", "subject", "Files", "text", "see")...)
	page = b.get(p.to()).want(t, 200, "größe.bin", "b.txt", "bob@example.org, car")
	// One is dropped, one comes.
	var fields []string
	for i := 0; i < len(page.fields()); i += 2 {
		if f := page.fields(); f[i] != "part" || !strings.Contains(f[i+1], "b.txt") {
			fields = append(fields, f[i], f[i+1])
		}
	}
	p = b.form("/compose/send", []upload{{"c.txt", "third"}}, fields...)
	page = b.get(p.to()).want(t, 200, "“car” is not an address", "größe.bin", "c.txt", "!b.txt")
	b.form("/compose/send", nil, with(page.fields(), "to", "bob@example.org")...).redirects(t, "/")
	s.eventually("sent", func() bool { return len(c.taken()) == 1 && len(s.texts("alice", "Sent")) == 1 })
	if n := len(s.texts("alice", "Drafts")); n != 0 {
		t.Errorf("%d drafts", n)
	}
	m, err := s.open("alice").Select(t.Context(), "Sent", true)
	if err != nil {
		t.Fatal(err)
	}
	v, uid := m.Current().UIDValidity(), m.Current().UID(0)
	m.Close()
	if got := b.get(boxLink("/part", "Sent", v, "uid", uidText(uid), "part", "2")); got.body != big {
		t.Errorf("the file came out as %d octets", len(got.body))
	}
}

// TestTwoBrowsers saves one draft from two browsers: both stay.
func TestTwoBrowsers(t *testing.T) {
	s, _ := newWriters(t)
	one, two := s.login("alice"), s.login("alice")
	p := one.form("/compose/save", []upload{{"a.txt", "attached"}}, with(one.get("/compose").fields(), "subject", "Draft", "text", "first")...)
	a, b := one.get(p.to()), two.get(p.to())
	p = one.form("/compose/save", nil, with(a.fields(), "text", "from one")...)
	one.get(p.to()).want(t, 200, "from one", "a.txt")
	p = two.form("/compose/save", nil, with(b.fields(), "text", "from two")...)
	two.get(p.to()).want(t, 200, "from two", "a.txt", "second draft")
	d := s.texts("alice", "Drafts")
	id := regexp.MustCompile(`(?m)^Message-Id: (.*)$`)
	if len(d) != 2 || !strings.Contains(d[0], "from one") || !strings.Contains(d[1], "from two") || id.FindString(d[0]) == id.FindString(d[1]) || id.FindString(d[0]) == "" {
		t.Errorf("Drafts: %q", d)
	}
	// A script is told the same.
	r := two.head
	r.Set("Accept", "application/json")
	var answer struct {
		UID      uint32         `json:"uid"`
		Conflict bool           `json:"conflict"`
		Files    []attachedFile `json:"files"`
	}
	got := two.form("/compose/save", nil, with(b.fields(), "text", "once more")...).want(t, 200)
	if err := json.Unmarshal([]byte(got.body), &answer); err != nil || !answer.Conflict || answer.UID == 0 || len(answer.Files) != 1 || answer.Files[0].Name != "a.txt" {
		t.Errorf("%s: %+v, %v", got.body, answer, err)
	}
	r.Del("Accept")
	page := one.get(boxLink("/compose", "Drafts", 0)).want(t, 200)
	one.form("/compose/discard", nil, page.fields()...).redirects(t, "/")
	if n := len(s.texts("alice", "Drafts")); n != 3 {
		t.Errorf("%d drafts after a draft that never was stored was discarded", n)
	}
	one.form("/compose/discard", nil, with(one.get(p.to()).fields())...).redirects(t, "/")
	if n := len(s.texts("alice", "Drafts")); n != 2 {
		t.Errorf("%d drafts after one was discarded", n)
	}
}

// TestForward takes attachments along, or the whole message.
func TestForward(t *testing.T) {
	s, _ := newWriters(t)
	v, uids := s.append("alice", inbox, 0, richMail)
	b := s.login("alice")
	for how, want := range map[string][]string{
		"forward":  {"plain text", "Jürgen", "pünkt.gif", "inner.eml"},
		"attached": {"Grüße.eml", "!plain text"},
	} {
		page := b.get(boxLink("/compose", inbox, v, "uid", uidText(uids[0]), "do", how)).want(t, 200, append(want, "Fwd: Grüße")...)
		p := b.form("/compose/save", nil, page.fields()...)
		b.get(p.to()).want(t, 200, want...)
	}
	b.get(boxLink("/compose", inbox, v, "uid", uidText(uids[0]), "do", "replylist")).want(t, http.StatusUnprocessableEntity)
	b.get(boxLink("/compose", inbox, v+1, "uid", uidText(uids[0]), "do", "reply")).want(t, http.StatusNotFound)
	b.get(boxLink("/compose", inbox, v, "uid", "4711", "do", "reply")).want(t, http.StatusNotFound)
}

// TestOutboxPage shows what waits, sends it and takes it back.
func TestOutboxPage(t *testing.T) {
	s, c := newWriters(t)
	c.set(submit.Again)
	b := s.login("alice")
	send := func() {
		b.form("/compose/send", nil, with(b.get("/compose").fields(), "to", "bob@example.org", "subject", "Waits", "text", "x")...).redirects(t, "/")
		s.eventually("tried", func() bool { return strings.Contains(b.get("/outbox").body, "could not be sent yet") })
	}
	send()
	page := b.get("/outbox").want(t, 200, "Waits", "the server is &lt;down&gt;", "bob@example.org: not yet")
	ref := page.find(t, `name="ref" value="([^"]+)"`)
	b.post("/outbox/cancel", "ref", ref)
	if d := s.texts("alice", "Drafts"); len(d) != 1 || len(s.texts("alice", "Outbox")) != 0 || !strings.Contains(d[0], "Subject: Waits") {
		t.Errorf("Drafts %q", d)
	}
	b.post("/outbox/cancel", "ref", ref).want(t, http.StatusNotFound)
	b.post("/outbox/send", "ref", "x").want(t, http.StatusNotFound)
	send()
	c.set("")
	b.post("/outbox/send", "ref", b.get("/outbox").find(t, `name="ref" value="([^"]+)"`)).redirects(t, "/outbox")
	s.eventually("sent", func() bool {
		return len(s.texts("alice", "Sent")) == 1 && strings.Contains(b.get("/outbox").body, "Nothing waits")
	})
	b.post("/outbox/dismiss", "id", "none").redirects(t, "/outbox")
}

// TestIdentities: one sends from one's own addresses alone.
func TestIdentities(t *testing.T) {
	s, c := newWriters(t)
	b := s.login("alice")
	b.get("/identities").want(t, 200, "alice@example.org", "office@example.org")
	b.post("/identities", "addr", "alice@example.org", "name", "Älice", "signature", "Yours\r\nA.", "addr", "office@example.org", "name", "", "signature", "").redirects(t, "/identities")
	b.post("/identities", "addr", "bob@example.org", "name", "B", "signature", "").want(t, http.StatusForbidden)
	b.get("/compose").want(t, 200, "Älice &lt;alice@example.org&gt;", "-- \nYours\nA.")
	b.form("/compose/send", nil, "from", "bob@example.org", "to", "x@example.org", "text", "x").want(t, http.StatusForbidden)
	if n := len(c.taken()); n != 0 {
		t.Errorf("%d messages were sent", n)
	}
}
