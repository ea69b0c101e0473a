package webmail

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
)

func mustURL(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// wantHeaders are those of every page.
var wantHeaders = map[string]string{
	"Content-Security-Policy":      contentPolicy,
	"X-Content-Type-Options":       "nosniff",
	"Referrer-Policy":              "no-referrer",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Cache-Control":                "no-store",
}

// Nothing but the login and static files is there for who has not signed in, and each answer has its headers.
func TestEveryRouteWantsLogin(t *testing.T) {
	s := newSite(t)
	out, in := s.browser(), s.login("alice")
	for _, rt := range routes {
		method, path, _ := strings.Cut(rt.pattern, " ")
		path = strings.TrimSuffix(path, "{$}")
		do := func(b *browser) answer {
			if method == http.MethodGet {
				return b.get(path)
			}
			return b.post(path)
		}
		p := do(out)
		if p.status != http.StatusSeeOther || !strings.HasPrefix(p.to(), "/login") {
			t.Errorf("%s: %d to %q", rt.pattern, p.status, p.to())
		}
		checkHeaders(t, rt.pattern, p)
		if path != "/logout" && path != "/export" {
			checkHeaders(t, rt.pattern+", signed in", do(in))
		}
	}
	checkHeaders(t, "no page", out.get("/none").want(t, http.StatusNotFound, "no such page"))
}

func checkHeaders(t *testing.T, what string, p answer) {
	t.Helper()
	for name, want := range wantHeaders {
		if got := p.header.Get(name); got != want {
			t.Errorf("%s: %s is %q", what, name, got)
		}
	}
}

// A form of another site is refused, whatever cookie comes with it.
func TestCrossOrigin(t *testing.T) {
	s := newSite(t)
	b := s.login("alice")
	b.head.Set("Sec-Fetch-Site", "cross-site")
	b.post("/folders/create", "name", "x").want(t, http.StatusForbidden, "another site")
	b.post("/logout").want(t, http.StatusForbidden)
	b.get("/folders").want(t, http.StatusOK, `!title="x"`)
	b.head.Del("Sec-Fetch-Site")
	b.head.Set("Origin", "https://evil.example")
	b.post("/folders/create", "name", "x").want(t, http.StatusForbidden)
}

// htmx is sent to the login with the whole page, and gets the part of a page without the rest of it.
func TestFragments(t *testing.T) {
	s := newSite(t)
	p := s.browser().fragment("/?box=INBOX")
	if p.status != http.StatusUnauthorized || p.header.Get("HX-Redirect") != "/login" {
		t.Errorf("%d %v", p.status, p.header)
	}
	b := s.login("alice")
	b.fragment("/?box=INBOX").want(t, http.StatusOK, "Inbox", "!<html", "!<nav id")
	b.fragment("/message?box=INBOX&uid=1").want(t, http.StatusNotFound, "no such message", "!<html")
}

func TestStatic(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	path := b.get("/login").find(t, `href="(/static/[^"]+app\.css)"`)
	p := b.get(path).want(t, http.StatusOK, ":root")
	if got := p.header.Get("Cache-Control"); !strings.Contains(got, "immutable") {
		t.Error(got)
	}
	if p := b.get("/static/0/app.css").want(t, http.StatusOK); p.header.Get("Cache-Control") != "no-cache" {
		t.Error(p.header)
	}
	b.head.Set("If-None-Match", p.header.Get("ETag"))
	b.get(path).want(t, http.StatusNotModified)
	b.head.Del("If-None-Match")
	b.get("/static/x/../doc.go").want(t, http.StatusTemporaryRedirect)
	b.get("/static/x/none.css").want(t, http.StatusNotFound)
	license, err := os.ReadFile("static/vendor/LICENSE")
	if err != nil || !strings.Contains(string(license), "Zero-Clause BSD") {
		t.Error(err)
	}
}

func TestLargeForm(t *testing.T) {
	s := newSite(t)
	s.login("alice").post("/folders/create", "name", strings.Repeat("x", formBody)).want(t, http.StatusRequestEntityTooLarge, "too large")
}
