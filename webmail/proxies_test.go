package webmail

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

func TestOrigin(t *testing.T) {
	const public, loop = "198.51.100.9:4000", "127.0.0.1:4000"
	local := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}
	for name, c := range map[string]struct {
		peer    string
		trusted []netip.Prefix
		header  http.Header
		addr    string
		https   bool
		secret  bool
	}{
		"loopback":                    {loop, nil, nil, "127.0.0.1", false, true},
		"from afar in clear":          {public, nil, nil, "198.51.100.9", false, false},
		"somebody says things":        {public, nil, http.Header{"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Proto": {"https"}}, "198.51.100.9", false, false},
		"proxy that nobody named":     {loop, nil, http.Header{"X-Forwarded-For": {"203.0.113.5"}}, "127.0.0.1", false, false},
		"proxy":                       {loop, proxiesOf("127.0.0.0/8"), http.Header{"X-Forwarded-For": {"203.0.113.5"}, "X-Forwarded-Proto": {"https"}}, "203.0.113.5", true, true},
		"proxy in clear":              {loop, proxiesOf("127.0.0.0/8"), http.Header{"X-Forwarded-For": {"203.0.113.5"}, "X-Forwarded-Proto": {"http"}}, "203.0.113.5", false, false},
		"client lies to the proxy":    {loop, proxiesOf("127.0.0.0/8"), http.Header{"X-Forwarded-For": {"10.0.0.1, 203.0.113.5"}, "X-Forwarded-Proto": {"https"}}, "203.0.113.5", true, true},
		"in two lines":                {loop, proxiesOf("127.0.0.0/8"), http.Header{"X-Forwarded-For": {"10.0.0.1", "203.0.113.5"}, "X-Forwarded-Proto": {"https"}}, "203.0.113.5", true, true},
		"two proxies":                 {loop, proxiesOf("127.0.0.0/8", "192.0.2.7/32"), http.Header{"X-Forwarded-For": {"203.0.113.5, 192.0.2.7"}, "X-Forwarded-Proto": {"https"}}, "203.0.113.5", true, true},
		"with a port":                 {loop, proxiesOf("127.0.0.0/8"), http.Header{"X-Forwarded-For": {"[2001:db8::5]:9"}, "X-Forwarded-Proto": {"https"}}, "2001:db8::5", true, true},
		"nonsense":                    {loop, proxiesOf("127.0.0.0/8"), http.Header{"X-Forwarded-For": {"203.0.113.5, unknown"}, "X-Forwarded-Proto": {"https"}}, "127.0.0.1", true, true},
		"IPv4 in IPv6":                {"[::ffff:198.51.100.9]:1", proxiesOf("198.51.100.0/24"), http.Header{"X-Forwarded-For": {"203.0.113.5"}}, "203.0.113.5", false, false},
		"named, and not asked by one": {loop, proxiesOf("127.0.0.0/8"), nil, "127.0.0.1", false, true},
	} {
		r := httptest.NewRequest(http.MethodGet, "http://mail.example/", nil)
		r.RemoteAddr = c.peer
		for k, v := range c.header {
			r.Header[k] = v
		}
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(local)))
		got := proxies(c.trusted).origin(r)
		if got.addr != netip.MustParseAddr(c.addr) || got.https != c.https || got.secret != c.secret {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Behind a proxy that does TLS the cookie is for TLS alone, and failures count for the client.
func TestBehindProxy(t *testing.T) {
	s := newSite(t, func(o *Options) { o.TrustedProxies = proxiesOf("127.0.0.1/32") })
	b := s.browser()
	b.head.Set("X-Forwarded-For", "203.0.113.5")
	b.head.Set("X-Forwarded-Proto", "http")
	b.get("/login").want(t, http.StatusForbidden, "not encrypted")
	b.post("/login", "user", "alice", "password", "alice").want(t, http.StatusForbidden, "not encrypted")
	b.head.Set("X-Forwarded-Proto", "https")
	p := b.post("/login", "user", "alice", "password", "alice").redirects(t, "/")
	if c := p.header.Get("Set-Cookie"); c == "" || c[:len(secureCookie)] != secureCookie || p.header.Get("Strict-Transport-Security") == "" {
		t.Error(p.header)
	}
	if n := s.srv.book.all("alice"); len(n) != 1 || n[0].from != netip.MustParseAddr("203.0.113.5") {
		t.Errorf("%d sessions, from %v", len(n), n[0].from)
	}
}
