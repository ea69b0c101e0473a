package webmail

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postroom/internal/connlimit"
)

func TestLogin(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	b.get("/").redirects(t, "/login")
	b.get("/folders?x=1").redirects(t, "/login?next=%2Ffolders%3Fx%3D1")
	b.post("/folders/create", "name", "x").redirects(t, "/login")
	b.get("/login").want(t, http.StatusOK, `name="password"`, "!alert")
	b.post("/login", "user", "alice", "password", "wrong").want(t, http.StatusForbidden, "not right", `value="alice"`, "!wrong")
	b.post("/login", "user", "nobody", "password", "x").want(t, http.StatusForbidden, "not right")
	p := b.post("/login", "user", "alice", "password", "alice").redirects(t, "/")
	cookie := p.header.Get("Set-Cookie")
	for _, attr := range []string{"postroom=", "HttpOnly", "SameSite=Lax", "Path=/"} {
		if !strings.Contains(cookie, attr) {
			t.Errorf("the cookie lacks %s: %s", attr, cookie)
		}
	}
	b.get("/").want(t, http.StatusOK, "Inbox", "Signed in as alice")
	b.get("/login").redirects(t, "/")
	b.post("/logout").redirects(t, "/login")
	b.get("/").redirects(t, "/login")
	if log := s.log.String(); strings.Contains(log, "wrong") || !strings.Contains(log, "web login failed") || !strings.Contains(log, "remote=127.0.0.1") {
		t.Errorf("the log:\n%s", log)
	}
}

// A cookie that was in use before does not open what is signed in now, and the old session is over.
func TestLoginEndsTheSessionBefore(t *testing.T) {
	s := newSite(t)
	b := s.login("alice")
	old := b.http.Jar.Cookies(mustURL(t, b.base))
	b.post("/login", "user", "bob", "password", "bob").redirects(t, "/")
	b.get("/").want(t, http.StatusOK, "Signed in as bob")
	thief := s.browser()
	thief.http.Jar.SetCookies(mustURL(t, b.base), old)
	thief.get("/").redirects(t, "/login")
}

func TestNextIsLocal(t *testing.T) {
	s := newSite(t)
	for next, want := range map[string]string{
		"/folders?x=1": "/folders?x=1", "//evil.example/": "/", "https://evil.example/": "/", "/\\evil.example": "/", `\\evil`: "/",
		"javascript:alert(1)": "/", "/%09/evil.example": "/%09/evil.example", "/a\nb": "/", "folders": "/", "": "/",
	} {
		s.browser().post("/login", "user", "alice", "password", "alice", "next", next).redirects(t, want)
	}
}

func TestSessionsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(s *site)
		ends bool
	}{
		"in use":           {func(s *site) { s.later(29 * time.Minute) }, false},
		"idle":             {func(s *site) { s.later(30 * time.Minute) }, true},
		"password changed": {func(s *site) { s.setUsers("alice:other", "bob") }, true},
		"user gone":        {func(s *site) { s.setUsers("bob") }, true},
		"other's password": {func(s *site) { s.setUsers("alice", "bob:other") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			b := s.login("alice")
			c.do(s)
			s.srv.endOver()
			if got := len(s.srv.book.all("")) == 0; got != c.ends {
				t.Errorf("the session is over: %v", got)
			}
			if c.ends {
				b.get("/").redirects(t, "/login")
			} else {
				b.get("/").want(t, http.StatusOK)
			}
		})
	}
}

// A session that is in use all the time still ends.
func TestAbsoluteLimit(t *testing.T) {
	s := newSite(t)
	b := s.login("alice")
	for range 35 {
		s.later(20 * time.Minute)
		b.get("/").want(t, http.StatusOK)
	}
	s.later(20 * time.Minute) // 12 h
	b.get("/").redirects(t, "/login")
}

func TestSessionsPage(t *testing.T) {
	s := newSite(t)
	a, other, bob := s.login("alice"), s.login("alice"), s.login("bob")
	page := a.get("/sessions").want(t, http.StatusOK, "this one", "127.0.0.1", "Go-http-client")
	if n := strings.Count(page.body, `action="/sessions/end"`); n != 3 { // two, and all others
		t.Errorf("%d forms", n)
	}
	id := bob.get("/sessions").find(t, `name="id" value="([0-9a-f]+)"`)
	a.post("/sessions/end", "id", id).want(t, http.StatusNotFound)
	bob.get("/").want(t, http.StatusOK)
	a.post("/sessions/end", "id", "others").redirects(t, "/sessions")
	other.get("/").redirects(t, "/login")
	a.get("/sessions").want(t, http.StatusOK, "was ended")
	id = a.get("/sessions").find(t, `name="id" value="([0-9a-f]+)"`)
	a.post("/sessions/end", "id", id).redirects(t, "/login")
	a.get("/").redirects(t, "/login")
	bob.get("/").want(t, http.StatusOK)
}

// A user has so many sessions at once, whatever protocol they are of.
func TestLimitOfUser(t *testing.T) {
	s := newSite(t, func(o *Options) { o.Conns = connlimit.New(connlimit.Limits{PerUser: 2}) })
	a := s.login("alice")
	s.login("alice")
	s.browser().post("/login", "user", "alice", "password", "alice").want(t, http.StatusTooManyRequests, "Too many sessions")
	s.login("bob")
	a.post("/logout")
	s.login("alice")
}

// Connections beyond the limit of an address are closed without an answer; those that end make room.
func TestLimitOfAddress(t *testing.T) {
	s := newSite(t, func(o *Options) { o.Conns = connlimit.New(connlimit.Limits{PerAddress: 1}) })
	first := s.browser()
	first.get("/login").want(t, http.StatusOK)
	second := s.browser()
	if resp, err := second.http.Get(second.base + "/login"); err == nil {
		resp.Body.Close()
		t.Error("a second connection is served")
	}
	first.http.CloseIdleConnections()
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		resp, err := second.http.Get(second.base + "/login")
		if err == nil {
			resp.Body.Close()
			break
		}
		if time.Since(began) > 10*time.Second {
			t.Fatal(err)
		}
	}
}

// A request under way when its session ends is cancelled, and the account stays open until it is done.
func TestEndCancels(t *testing.T) {
	s := newSite(t)
	b := s.login("alice")
	n := s.srv.book.all("alice")[0]
	if !n.enter(true) {
		t.Fatal("not open")
	}
	n.end("test")
	select {
	case <-n.ctx.Done():
	default:
		t.Error("the context goes on")
	}
	if _, err := n.user.Mailboxes(t.Context()); err != nil {
		t.Error("the account was closed under a request:", err)
	}
	n.leave()
	if n.enter(true) {
		t.Error("a session that has ended takes requests")
	}
	b.get("/").redirects(t, "/login")
}

// Who sends half a request holds nothing for long.
func TestStalledRequest(t *testing.T) {
	s := newSite(t, func(o *Options) { o.Limits.StallTimeout = 50 * time.Millisecond })
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, "POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nuser="); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Error("the connection stays open:", err)
	}
}

// Shutdown ends what waits: a request that goes on until its session ends.
func TestShutdownEndsRequests(t *testing.T) {
	s := newSite(t)
	s.login("alice")
	n := s.srv.book.all("alice")[0]
	if !n.enter(true) {
		t.Fatal("not open")
	}
	left := make(chan struct{})
	go func() {
		<-n.ctx.Done()
		n.leave()
		close(left)
	}()
	if err := s.srv.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	select {
	case <-left:
	default:
		t.Error("Shutdown did not wait for a request")
	}
	if _, err := s.srv.begin(httptest.NewRequest(http.MethodPost, "/login", nil), "alice", netip.Addr{}); err == nil {
		t.Error("a session begins after the end")
	}
}
