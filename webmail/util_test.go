package webmail

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"postroom/internal/account"
	"postroom/internal/auth"
	"postroom/internal/connlimit"
)

// site is a server with users, on a real socket, over a directory of its own.
type site struct {
	t     testing.TB
	dir   string
	auth  *auth.Service
	accts *account.Service
	srv   *Server
	addr  string // of the listener
	log   *lockedLog

	mu  sync.Mutex // guards now
	now time.Time
}

// newSite starts a server with alice, bob and carol, whose passwords are their names. change may change the options.
func newSite(t testing.TB, change ...func(*Options)) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), now: time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC), log: &lockedLog{}}
	s.setUsers("alice", "bob", "carol")
	log := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	// The clock of the sessions is the test's, that of logins real: a look at the users file must not wait for the test.
	if s.auth, err = auth.New(auth.Options{Users: s.users(), Logger: log}); err != nil {
		t.Fatal(err)
	}
	s.accts, err = account.New(account.Config{
		Root: filepath.Join(s.dir, "mail", "{user}"), Users: s.auth, OtherUsers: "Other Users",
		Public: filepath.Join(s.dir, "public"), PublicPrefix: "Public", Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	opt := Options{Accounts: s.accts, Auth: s.auth, Logger: log, Clock: s.clock, Conns: connlimit.New(connlimit.Limits{})}
	for _, f := range change {
		f(&opt)
	}
	if s.srv, err = New(opt); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	done := make(chan error, 1)
	go func() { done <- s.srv.Serve(l) }()
	t.Cleanup(func() {
		if err := s.srv.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error("shutdown:", err)
		}
		if err := <-done; err != ErrServerClosed {
			t.Error("serve:", err)
		}
		s.accts.Close()
		s.auth.Close()
	})
	return s
}

func (s *site) users() string { return filepath.Join(s.dir, "users") }

// setUsers writes the users file.
func (s *site) setUsers(names ...string) {
	s.t.Helper()
	var lines strings.Builder
	for _, n := range names {
		name, password, other := strings.Cut(n, ":")
		if !other {
			password = name
		}
		fmt.Fprintf(&lines, "%s:{PLAIN}%s\n", name, password)
	}
	if err := os.WriteFile(s.users(), []byte(lines.String()), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if s.auth != nil {
		if err := s.auth.Reload(); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *site) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// later lets the clock of the sessions go on.
func (s *site) later(d time.Duration) {
	s.mu.Lock()
	s.now = s.now.Add(d)
	s.mu.Unlock()
}

// root is a user's Maildir.
func (s *site) root(user string) string { return filepath.Join(s.dir, "mail", user) }

// open gives a user's account, as another protocol would.
func (s *site) open(user string) *account.User {
	s.t.Helper()
	u, err := s.accts.Open(s.t.Context(), user)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(u.Close)
	return u
}

// folder makes a mailbox of a user.
func (s *site) folder(user, name string) {
	s.t.Helper()
	if err := s.open(user).Create(s.t.Context(), name, ""); err != nil {
		s.t.Fatal(err)
	}
}

// append puts messages into a mailbox of a user, and gives UIDVALIDITY and UIDs.
func (s *site) append(user, box string, flags account.Flags, texts ...string) (v uint32, uids []uint32) {
	s.t.Helper()
	u := s.open(user)
	var as []*account.Appender
	for _, text := range texts {
		a, err := u.Append(s.t.Context(), box, account.AppendOptions{Flags: flags, Date: s.clock()})
		if err != nil {
			s.t.Fatal(err)
		}
		if _, err := io.WriteString(a, text); err != nil {
			s.t.Fatal(err)
		}
		as = append(as, a)
	}
	v, uids, err := account.Commit(s.t.Context(), as...)
	if err != nil {
		s.t.Fatal(err)
	}
	return v, uids
}

// grant gives a user the rights of these letters in a mailbox of another one, and no more.
func (s *site) grant(owner, box, user, letters string) {
	s.t.Helper()
	id, _, err := account.ParseIdentifier(user)
	if err != nil {
		s.t.Fatal(err)
	}
	mode, rights, err := account.ParseModRights(letters)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.open(owner).SetACL(s.t.Context(), box, id, false, mode, rights); err != nil {
		s.t.Fatal(err)
	}
}

// mail is a short message.
func mail(from, subject, body string) string {
	return "From: " + from + "\r\nTo: alice@example.org\r\nSubject: " + subject + "\r\nDate: Fri, 27 Nov 2026 09:00:00 +0100\r\n\r\n" + body + "\r\n"
}

// browser is a client with cookies that does not follow redirects.
type browser struct {
	t    testing.TB
	base string
	http *http.Client
	head http.Header // sent with every request
}

func (s *site) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	tr := &http.Transport{}
	s.t.Cleanup(tr.CloseIdleConnections)
	return &browser{t: s.t, base: "http://" + s.addr, head: make(http.Header), http: &http.Client{
		Jar: jar, Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// login gives a browser that is signed in.
func (s *site) login(user string) *browser {
	s.t.Helper()
	b := s.browser()
	if p := b.post("/login", "user", user, "password", user); p.status != http.StatusSeeOther {
		s.t.Fatalf("login of %s: %d\n%s", user, p.status, p.body)
	}
	return b
}

// answer is a page that was got.
type answer struct {
	status int
	header http.Header
	body   string
}

// to is where the answer sends to.
func (p answer) to() string { return p.header.Get("Location") }

func (b *browser) do(r *http.Request) answer {
	b.t.Helper()
	for k, v := range b.head {
		r.Header[k] = v
	}
	resp, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.Header.Get("Content-Type") == "text/event-stream" { // it does not end by itself
		return answer{resp.StatusCode, resp.Header, ""}
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

func (b *browser) get(path string) answer {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.base+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.do(r)
}

// fragment is get as htmx asks.
func (b *browser) fragment(path string) answer {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.base+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("HX-Request", "true")
	r.Header.Set("HX-Request-Type", "partial")
	return b.do(r)
}

// post sends a form of names and values.
func (b *browser) post(path string, pairs ...string) answer {
	b.t.Helper()
	form := make(url.Values)
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(r)
}

// want fails the test if the answer is not of that status or lacks one of the texts; a text that begins with "!" must not be there.
func (p answer) want(t testing.TB, status int, texts ...string) answer {
	t.Helper()
	if p.status != status {
		t.Errorf("status %d, want %d\n%s", p.status, status, p.body)
	}
	for _, text := range texts {
		if not, ok := strings.CutPrefix(text, "!"); ok {
			if strings.Contains(p.body, not) {
				t.Errorf("the page has %q\n%s", not, p.body)
			}
		} else if !strings.Contains(p.body, text) {
			t.Errorf("the page lacks %q\n%s", text, p.body)
		}
	}
	return p
}

// redirects fails the test if the answer does not send there.
func (p answer) redirects(t testing.TB, to string) answer {
	t.Helper()
	if p.status != http.StatusSeeOther || p.to() != to {
		t.Errorf("status %d to %q, want %d to %q\n%s", p.status, p.to(), http.StatusSeeOther, to, p.body)
	}
	return p
}

// find gives what the first group of the pattern matches on the page.
func (p answer) find(t testing.TB, pattern string) string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(p.body)
	if m == nil {
		t.Fatalf("the page has no %s\n%s", pattern, p.body)
	}
	return m[1]
}

// lockedLog keeps what a server logs.
type lockedLog struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// proxiesOf makes networks of texts.
func proxiesOf(texts ...string) (out []netip.Prefix) {
	for _, p := range texts {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

// boxQuery is the address of a page with pairs of names and values.
func boxQuery(path string, pairs ...string) string {
	q := make(url.Values)
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return path + "?" + q.Encode()
}
