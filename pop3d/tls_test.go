package pop3d

import (
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// Not a word of the password or a session over a network without TLS.
func TestPlainTextOnlyOnLoopback(t *testing.T) {
	config, trust := certificate(t)
	f := start(t, func(o *Options) { o.TLS = config })
	far := netip.MustParseAddrPort("192.0.2.7:1234")
	addr := f.listen(func(l net.Listener) error { return f.server.Serve(farListener{l, far}) })
	c := f.dialRaw(addr)
	c.script(`
		S: +OK*
		C: CAPA
		S: +OK*
		S: TOP
		S: UIDL
		S: SASL FINAL ENDLESS
		S: STLS
		S: UTF8 USER
		S: LANG
		S: PIPELINING
		S: RESP-CODES
		S: AUTH-RESP-CODE
		S: EXPIRE NEVER
		S: IMPLEMENTATION Postroom
		S: .
		C: USER alice
		S: -ERR [AUTH] No login in plain text here: start TLS first.
		C: PASS secret word
		S: -ERR [AUTH] No login in plain text here: start TLS first.
		C: AUTH PLAIN AGFsaWNlAHNlY3JldCB3b3Jk
		S: -ERR [AUTH] No login in plain text here: start TLS first.
		C: STLS
		S: +OK Begin TLS.`)
	c = newClient(t, tls.Client(c.conn, trust))
	c.script("C: USER alice\nS: +OK*\nC: PASS " + password + "\nS: +OK Logged in.")
}

func TestSTLS(t *testing.T) {
	config, trust := certificate(t)
	f := start(t, func(o *Options) { o.TLS = config })
	c := f.dial()
	c.script("C: USER alice\nS: +OK*\nC: STLS\nS: +OK Begin TLS.")
	c = newClient(t, tls.Client(c.conn, trust))
	// No new greeting; what was said before is forgotten; no second STLS.
	c.script("C: PASS " + password + "\nS: -ERR Send USER first.\nC: STLS\nS: -ERR TLS is on already.")
	if got := c.multi("CAPA"); slices.Contains(got, "STLS") {
		t.Errorf("STLS is still on offer: %q", got)
	}
	c.script("C: USER alice\nS: +OK*\nC: PASS " + password + "\nS: +OK Logged in.\nC: STLS\nS: -ERR Already logged in.\nC: QUIT\nS: +OK*\nEND")
	f.logHas("msg=login", "tls=true")

	c = f.dial() // RFC 6856 section 2.1
	c.script("C: UTF8\nS: +OK*\nC: STLS\nS: -ERR No STLS after UTF8.")
}

// What an attacker puts behind STLS in plain text is not run inside TLS.
func TestSTLSDiscardsPlainText(t *testing.T) {
	config, trust := certificate(t)
	f := start(t, func(o *Options) { o.TLS = config })
	c := f.dial()
	// One write, so one segment: the server has read it all when it sees STLS.
	c.send("STLS\r\nUSER bob\r\nNOOP\r\nUTF8\r\n")
	c.want("+OK Begin TLS.")
	c = newClient(t, tls.Client(c.conn, trust))
	// The first answer inside is that to the first command inside, and USER
	// did not happen.
	c.script("C: PASS " + password + "\nS: -ERR Send USER first.\nC: USER alice\nS: +OK*\nC: PASS " + password + "\nS: +OK Logged in.")
}

func TestImplicitTLS(t *testing.T) {
	config, trust := certificate(t)
	f := start(t, func(o *Options) { o.TLS = config; o.Limits.LoginTimeout = time.Second })
	addr := f.listen(f.server.ServeTLS)
	conn, err := tls.Dial("tcp", addr, trust)
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, conn)
	c.script("S: +OK Postroom ready.\nC: USER alice\nS: +OK*\nC: PASS " + password + "\nS: +OK*\nC: QUIT\nS: +OK*\nEND")

	// Who says nothing, or no TLS, is gone after the time to log in.
	c = f.dialRaw(addr)
	c.wantEnd()
	c = f.dialRaw(addr)
	c.send("CAPA\r\n")
	_, _ = io.Copy(io.Discard, c.conn)
	f.logHas("reason=\"TLS handshake failed\"")
}

func TestServeTLSWithoutCertificate(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := NewServer(Options{}).ServeTLS(l); err == nil {
		t.Error("served")
	}
}
