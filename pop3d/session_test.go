package pop3d

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"
	"time"

	"postroom/internal/connlimit"
)

// No goroutine of a server is left when all tests have ended.
func TestMain(m *testing.M) {
	code := m.Run()
	for range 100 {
		if !strings.Contains(stacks(), "postroom/pop3d.(*") {
			os.Exit(code)
		}
		time.Sleep(20 * time.Millisecond)
	}
	fmt.Fprintln(os.Stderr, "goroutines left behind:\n"+stacks())
	os.Exit(1)
}

func stacks() string {
	var out bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&out, 1)
	return out.String()
}

// Transcripts, by the section that asks for what they show. Messages: 1 of 32
// octets, 2 of 35.
var transcripts = []struct{ name, text string }{
	{"RFC 1939 section 4: greeting, no command of a mailbox, QUIT", `
		S: +OK Postroom ready.
		C: STAT
		S: -ERR Log in first.
		C: NOOP
		S: -ERR Log in first.
		C: QUIT
		S: +OK Logging out.
		END`},
	{"RFC 1939 section 7: USER and PASS", `
		S: +OK*
		C: PASS secret word
		S: -ERR Send USER first.
		C: USER
		S: -ERR USER needs an argument.
		C: USER nobody
		S: +OK Send the password.
		C: PASS secret word
		S: -ERR [AUTH] Authentication failed.
		C: PASS secret word
		S: -ERR Send USER first.
		C: USER alice
		S: +OK Send the password.
		C: PASS wrong
		S: -ERR [AUTH] Authentication failed.
		C: USER bob
		S: +OK Send the password.
		C: user alice
		S: +OK Send the password.
		C: pass secret word
		S: +OK Logged in.
		C: USER alice
		S: -ERR Already logged in.
		C: QUIT
		S: +OK Logging out.
		END`},
	{"RFC 1939 section 5: STAT, LIST, NOOP", `
		LOGIN
		C: STAT
		S: +OK 2 67
		C: STAT 1
		S: -ERR STAT takes no argument.
		C: LIST
		S: +OK 2 messages:
		S: 1 32
		S: 2 35
		S: .
		C: LIST 2
		S: +OK 2 35
		C: LIST 3
		S: -ERR There is no such message.
		C: LIST 0
		S: -ERR There is no such message.
		C: LIST 99999999999999999999
		S: -ERR There is no such message.
		C: LIST -1
		S: -ERR Not a message number.
		C: LIST 1 2
		S: -ERR Not a message number.
		C: NOOP
		S: +OK Nothing done.
		C: NOOP 
		S: +OK Nothing done.`},
	{"RFC 1939 section 5: RETR", `
		LOGIN
		C: RETR 1
		S: +OK 32 octets
		S: Subject: one
		S: 
		S: first
		S: ..
		S: ..dot
		S: .
		C: RETR
		S: -ERR RETR needs an argument.
		C: RETR x
		S: -ERR Not a message number.`},
	{"RFC 1939 section 7: TOP", `
		LOGIN
		C: TOP 1 0
		S: +OK*
		S: Subject: one
		S: 
		S: .
		C: TOP 1 2
		S: +OK*
		S: Subject: one
		S: 
		S: first
		S: ..
		S: .
		C: TOP 1
		S: -ERR TOP needs a message number and a number of lines.
		C: TOP 1 -1
		S: -ERR TOP needs a message number and a number of lines.
		C: TOP 1 99999999999999999999
		S: -ERR Too many lines.
		C: TOP 3 0
		S: -ERR There is no such message.
		C: TOP
		S: -ERR TOP needs an argument.`},
	{"RFC 1939 section 5: DELE and RSET", `
		LOGIN
		C: DELE 1
		S: +OK Marked to be deleted.
		C: DELE 1
		S: -ERR Message is deleted.
		C: RETR 1
		S: -ERR Message is deleted.
		C: TOP 1 0
		S: -ERR Message is deleted.
		C: LIST 1
		S: -ERR Message is deleted.
		C: UIDL 1
		S: -ERR Message is deleted.
		C: STAT
		S: +OK 1 35
		C: LIST
		S: +OK 1 messages:
		S: 2 35
		S: .
		C: UIDL
		S: +OK 1 messages:
		S: 2 00000002*
		S: .
		C: RSET
		S: +OK No message is marked.
		C: STAT
		S: +OK 2 67`},
	{"RFC 2449 section 5: CAPA in AUTHORIZATION", `
		S: +OK*
		C: CAPA
		S: +OK*
		S: TOP
		S: UIDL
		S: USER
		S: SASL PLAIN LOGIN FINAL ENDLESS
		S: UTF8 USER
		S: LANG
		S: PIPELINING
		S: RESP-CODES
		S: AUTH-RESP-CODE
		S: EXPIRE NEVER
		S: IMPLEMENTATION Postroom
		S: .`},
	{"RFC 2449 section 5: CAPA in TRANSACTION", `
		LOGIN
		C: CAPA
		S: +OK*
		S: TOP
		S: UIDL
		S: USER
		S: SASL PLAIN LOGIN FINAL ENDLESS
		S: UTF8 USER
		S: LANG
		S: PIPELINING
		S: RESP-CODES
		S: AUTH-RESP-CODE
		S: EXPIRE NEVER
		S: IMPLEMENTATION Postroom
		S: .`},
	{"RFC 5034 section 4: AUTH with a challenge", `
		S: +OK*
		C: AUTH PLAIN
		S: + 
		C: AGFsaWNlAHNlY3JldCB3b3Jk
		S: +OK Logged in.
		C: AUTH PLAIN
		S: -ERR Already logged in.`},
	{"RFC 5034 section 4: AUTH with an initial response", `
		S: +OK*
		C: auth plain AGFsaWNlAHNlY3JldCB3b3Jk
		S: +OK Logged in.`},
	{"RFC 5034 section 4: refusals of AUTH", `
		S: +OK*
		C: AUTH
		S: +OK*
		S: PLAIN
		S: LOGIN
		S: FINAL
		S: ENDLESS
		S: .
		C: AUTH CRAM-MD5
		S: -ERR This mechanism is not on offer.
		C: AUTH PLAIN
		S: + 
		C: *
		S: -ERR Authentication cancelled.
		C: AUTH PLAIN %%%
		S: -ERR Not BASE64.
		C: AUTH PLAIN
		S: + 
		C: AGFsaWNl AHNl
		S: -ERR Not BASE64.
		C: AUTH PLAIN AGFsaWNlAHdyb25n
		S: -ERR [AUTH] Authentication failed.
		C: AUTH PLAIN =
		S: -ERR [AUTH] Authentication failed.
		C: AUTH LOGIN
		S: -ERR [SYS/TEMP]*
		C: NOOP
		S: -ERR Log in first.`},
	{"RFC 5034 section 4: no success data, an empty challenge instead", `
		S: +OK*
		C: AUTH FINAL =
		S: + dj1kb25l
		C: 
		S: +OK Logged in.`},
	{"RFC 5034 section 4: a response where none is due", `
		S: +OK*
		C: AUTH FINAL =
		S: + dj1kb25l
		C: YQ==
		S: -ERR The response was to be empty.
		C: STAT
		S: -ERR Log in first.`},
	{"RFC 6856 section 2: UTF8", `
		S: +OK*
		C: UTF8 now
		S: -ERR UTF8 takes no argument.
		C: UTF8
		S: +OK UTF-8 it is.
		C: USER müller
		S: +OK Send the password.
		C: PASS secret word
		S: +OK Logged in.
		C: UTF8
		S: -ERR Already logged in.
		C: LIST ü
		S: -ERR Not a printable character.`},
	{"RFC 6856 section 3: LANG", `
		S: +OK*
		C: LANG
		S: +OK Language listing follows:
		S: en English
		S: i-default Default language
		S: .
		C: LANG EN
		S: +OK en*
		C: LANG de
		S: -ERR en*
		C: LANG *
		S: +OK i-default*`},
	{"malformed", `
		S: +OK*
		C: 
		S: -ERR Unknown command.
		C: FOO bar
		S: -ERR Unknown command.
		C: STLS
		S: -ERR There is no TLS here.
		C: APOP alice c4c9334bac560ecc979e58001b3e22fb
		S: -ERR Unknown command.`},
}

func TestTranscripts(t *testing.T) {
	f := start(t)
	f.auth.final = []byte("v=done")
	f.deliver("alice", "1000.M1.h", "Subject: one\n\nfirst\n.\n.dot\n")
	f.deliver("alice", "1001.M1.h", "Subject: two\r\n\r\nsecond, with CRLF\r\n")
	before := f.files()
	for _, c := range transcripts {
		t.Run(c.name, func(t *testing.T) {
			conn := f.dialRaw(f.addr)
			conn.t = t
			conn.script(strings.Replace(c.text, "\n\t\tLOGIN\n",
				"S: +OK*\nC: USER alice\nS: +OK*\nC: PASS "+password+"\nS: +OK*\n", 1))
			conn.conn.Close()
		})
	}
	if after := f.files(); !slices.Equal(before, after) {
		t.Errorf("POP3 moved or flagged files:\nbefore %q\nafter  %q", before, after)
	}
}

// Every row of the table is in a transcript, by its success.
func TestEveryCommandHasATranscript(t *testing.T) {
	var all strings.Builder
	for _, c := range transcripts {
		all.WriteString(strings.ToUpper(c.text))
	}
	for name, cmd := range commandTable() {
		if name != "STLS" && !strings.Contains(all.String(), "C: "+name) {
			t.Errorf("no transcript for %s (%s)", name, cmd.rfc)
		}
	}
}

func TestQuitRemoves(t *testing.T) {
	f := start(t)
	for i := range 5 {
		f.deliver("alice", fmt.Sprintf("100%d.M1.h", i), "Subject: x\n\nx\n")
	}
	c := f.login("alice")
	c.script("C: DELE 2\nS: +OK*\nC: DELE 4\nS: +OK*\nC: RETR 1\nS: +OK 17 octets\nS: Subject: x\nS: \nS: x\nS: .")
	if got := f.files(); len(got) != 5 {
		t.Fatalf("DELE removed before QUIT: %q", got)
	}
	c.script("C: QUIT\nS: +OK Logging out, 2 messages removed.\nEND")
	want := []string{"new/1000.M1.h", "new/1002.M1.h", "new/1004.M1.h"}
	if got := f.files(); !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
	f.logHas("msg=login", "user=alice", "method=USER", "tls=false", "messages=5")
	f.logHas("msg=logout", "user=alice", "reason=quit", "retr=1", "retr_bytes=17", "dele=2", "expunged=2")
}

// RFC 1939 section 6: without QUIT there is no UPDATE state.
func TestNothingRemovedWithoutQuit(t *testing.T) {
	ends := map[string]func(*client){
		"dropped":       func(c *client) { c.conn.Close() },
		"reset":         func(c *client) { _ = c.conn.(*net.TCPConn).SetLinger(0); c.conn.Close() },
		"QUIT cut off":  func(c *client) { c.send("QUIT"); c.conn.Close() },
		"RSET and QUIT": func(c *client) { c.script("C: RSET\nS: +OK*\nC: QUIT\nS: +OK Logging out.\nEND") },
		"idle":          func(c *client) { c.wantEnd() }, // RFC 1939 section 3: closed without a word
		"bad commands": func(c *client) {
			c.send(strings.Repeat("BAD\r\n", 20))
			_, _ = io.Copy(io.Discard, c.conn)
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			f := start(t, func(o *Options) { o.Limits.IdleTimeout = 500 * time.Millisecond })
			f.deliver("alice", "1000.M1.h", "Subject: x\n\nx\n")
			c := f.login("alice")
			c.t = t
			c.script("C: DELE 1\nS: +OK*")
			end(c)
			f.logHas("msg=logout", "expunged=0")
			if got := f.files(); len(got) != 1 {
				t.Errorf("message was removed")
			}
		})
	}
}

// The snapshot holds for the session's life, whatever others do.
func TestSnapshot(t *testing.T) {
	f := start(t)
	f.deliver("alice", "1000.M1.h", "Subject: one\n\n1\n")
	gone := f.deliver("alice", "1001.M1.h", "Subject: two\n\n2\n")
	seen := f.deliver("alice", "1002.M1.h", "Subject: three\n\n3\n")
	a, b := f.login("alice"), f.login("alice")
	ids := a.multi("UIDL")
	a.script("C: STAT\nS: +OK 3 59")

	// Others deliver, remove, and mark as read.
	f.deliver("alice", "1003.M1.h", "Subject: four\n\n4\n")
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	cur := filepath.Join(f.tree, "alice", "Maildir", "cur", "1002.M1.h:2,S")
	if err := os.Rename(seen, cur); err != nil {
		t.Fatal(err)
	}
	if again := a.multi("UIDL"); !slices.Equal(ids, again) {
		t.Errorf("UIDL changed: %q, %q", ids, again)
	}
	a.script("C: STAT\nS: +OK 3 59\nC: RETR 2\nS: -ERR Message is gone.\n" +
		"C: RETR 3\nS: +OK 21 octets\nS: Subject: three\nS: \nS: 3\nS: .\nC: LIST 4\nS: -ERR There is no such message.")

	// Two sessions that remove the same one, and one that is gone: all succeed.
	a.script("C: DELE 1\nS: +OK*\nC: DELE 2\nS: +OK*\nC: QUIT\nS: +OK*\nEND")
	b.script("C: DELE 1\nS: +OK*\nC: DELE 3\nS: +OK*\nC: QUIT\nS: +OK*\nEND")
	c := f.login("alice")
	c.script("C: STAT\nS: +OK 1 20\nC: UIDL 1\nS: +OK 1 00000004*")
	if got := f.files(); !slices.Equal(got, []string{"new/1003.M1.h"}) {
		t.Errorf("files %q", got)
	}
}

// UIDLs are the same in the next process, and those that the uid list notes hold.
func TestUIDLAndOrder(t *testing.T) {
	f := start(t)
	for i := 1; i <= 4; i++ {
		f.deliver("alice", fmt.Sprintf("%d.M1.h", 1000+i), fmt.Sprintf("Subject: %d\n\n", i))
	}
	list := "3 V1795466777 N5 G589d653119a6046b5111000083ecc375\n" +
		"1 :1001.M1.h\n2 PUID2-795460 :1002.M1.h\n3 O2 P :1003.M1.h\n4 O1 :1004.M1.h\n"
	if err := os.WriteFile(filepath.Join(f.tree, "alice", "Maildir", "dovecot-uidlist"), []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	c := f.login("alice")
	want := []string{"1 000000046b04a619", "2 1003.M1.h", "3 000000016b04a619", "4 UID2-795460"}
	if got := c.multi("UIDL"); !slices.Equal(got, want) {
		t.Errorf("UIDL %q\nwant %q", got, want)
	}
	if got := c.multi("TOP 1 0"); got[0] != "Subject: 4" {
		t.Errorf("message 1 is %q", got)
	}
	// What is removed is what was named.
	c.script("C: DELE 1\nS: +OK*\nC: DELE 4\nS: +OK*\nC: QUIT\nS: +OK*\nEND")
	if got := f.files(); !slices.Equal(got, []string{"new/1001.M1.h", "new/1003.M1.h"}) {
		t.Errorf("files %q", got)
	}
}

// RFC 2449 section 6.6: a whole session in one packet.
func TestPipelining(t *testing.T) {
	f := start(t)
	f.deliver("alice", "1000.M1.h", "Subject: x\n\nx\n")
	c := f.dialRaw(f.addr)
	c.send("USER alice\r\nPASS secret word\nSTAT\r\nRETR 1\r\nDELE 1\r\nQUIT\r\nSTAT\r\n")
	c.script("S: +OK*\nS: +OK*\nS: +OK Logged in.\nS: +OK 1 17\nS: +OK 17 octets\nS: Subject: x\nS: \nS: x\nS: .\n" +
		"S: +OK*\nS: +OK Logging out, 1 messages removed.")
	if got := f.files(); len(got) != 0 {
		t.Errorf("files %q", got)
	}
}

// A message far larger than any buffer arrives whole, and is not kept in memory.
func TestLargeMessage(t *testing.T) {
	f := start(t)
	var text strings.Builder
	text.WriteString("Subject: large\n\n")
	for i := range 400_000 {
		fmt.Fprintf(&text, ".%d line of a large message, which goes on and on\n", i)
	}
	f.deliver("alice", "1000.M1.h", text.String())
	c := f.login("alice")
	c.send("LIST 1\r\n")
	c.want(fmt.Sprintf("+OK 1 %d", text.Len()+400_002))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	c.send("RETR 1\r\n")
	c.want("+OK*")
	n := 0
	for line := c.read(); line != "."; line = c.read() {
		if n >= 2 && line != fmt.Sprintf("..%d line of a large message, which goes on and on", n-2) {
			t.Fatalf("line %d: %q", n, line)
		}
		n++
	}
	runtime.ReadMemStats(&after)
	if n != 400_002 {
		t.Errorf("%d lines", n)
	}
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 16<<20 {
		t.Errorf("heap grew by %d octets for one RETR", grown)
	}
}

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

// RFC 3206: who types a right password while the directory is down must not be
// asked for another.
func TestAuthenticationDown(t *testing.T) {
	f := start(t)
	f.auth.temporary = true
	c := f.dial()
	c.script("C: USER alice\nS: +OK*\nC: PASS " + password + "\nS: -ERR [SYS/TEMP]*\n" +
		"C: AUTH PLAIN AGFsaWNlAHNlY3JldCB3b3Jk\nS: -ERR [SYS/TEMP]*")
	f.logHas("level=ERROR", "directory is down")
}

func TestPanicEndsOneConnection(t *testing.T) {
	f := start(t)
	other := f.login("bob")
	f.auth.panics = true
	c := f.dial()
	c.script("C: USER alice\nS: +OK*\nC: PASS " + password + "\nEND")
	f.logHas("msg=panic", "authenticator broke", "pop3d.(*session).pass")
	other.script("C: STAT\nS: +OK 0 0")
	if n := f.server.conns.Open(); n != 1 {
		t.Errorf("%d connections counted, want 1", n)
	}
}

func TestLineLimit(t *testing.T) {
	f := start(t)
	c := f.dial()
	for _, length := range []int{511, 513, 600, 1024, 5000, 60_000} {
		c.send(strings.Repeat("x", length) + "\r\n")
		c.want("-ERR Line too long.")
	}
	c.send(strings.Repeat("x", 510) + "\r\n")
	c.want("-ERR Unknown command.")
	// The line after it is not part of it.
	c.script("C: USER alice\nS: +OK*")
	c.send(strings.Repeat("y", 70_000))
	c.want("-ERR Line too long.")
	c.t = t
	_, _ = io.Copy(io.Discard, c.conn)

	c = f.dial() // a line of an exchange may be longer
	c.script("C: AUTH PLAIN\nS: + ")
	c.send(strings.Repeat("A", 12_000) + "\r\n")
	c.want("-ERR [AUTH] Authentication failed.")
	c.script("C: AUTH PLAIN\nS: + ")
	c.send(strings.Repeat("A", 13_000) + "\r\n")
	c.want("-ERR Line too long.")
}

func TestLoginTimeout(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.LoginTimeout = 300 * time.Millisecond })
	begun := time.Now()
	c := f.dial()
	c.script("S: -ERR Login took too long.\nEND")
	// Bytes that trickle in do not help, nor does an exchange.
	c, d := f.dial(), f.dial()
	c.send("US")
	d.script("C: AUTH PLAIN\nS: + ")
	time.Sleep(200 * time.Millisecond)
	c.send("ER")
	c.script("S: -ERR Login took too long.\nEND")
	d.script("S: -ERR Login took too long.\nEND")
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestFailedCommands(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.FailedCommands = 3 })
	c := f.dial()
	c.script("C: FOO\nS: -ERR*\nC: USER alice\nS: +OK*\nC: PASS wrong\nS: -ERR*\nC: BAR\nS: -ERR Unknown command.\nS: -ERR Too many failed commands.\nEND")
	f.logHas("reason=\"too many failed commands\"")
	// What is refused for its own reasons does not count.
	c = f.login("alice")
	for range 10 {
		c.script("C: RETR 1\nS: -ERR There is no such message.")
	}
}

func TestCommandsBeforeLogin(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.CommandsBeforeLogin = 5 })
	c := f.dial()
	c.script("C: LANG *\nS: +OK*\nC: LANG *\nS: +OK*\nC: LANG *\nS: +OK*\nC: LANG *\nS: +OK*\nC: LANG *\nS: +OK*\nS: -ERR Too many commands before the login.\nEND")
}

func TestConnectionLimits(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.Connections = connlimit.Limits{Total: 3, PerAddress: 3, PerUser: 1} })
	first := f.login("alice")
	second := f.dial()
	second.script("C: USER alice\nS: +OK*\nC: PASS " + password + "\nS: -ERR [IN-USE] Too many connections.\n" +
		"C: USER bob\nS: +OK*\nC: PASS " + password + "\nS: +OK*")
	f.dial()
	f.dialRaw(f.addr).script("S: -ERR [SYS/TEMP] too many connections*\nEND")
	first.script("C: QUIT\nS: +OK*\nEND")
	f.logHas("msg=logout", "user=alice")
	for f.server.conns.Open() == 3 {
		time.Sleep(time.Millisecond)
	}
	f.login("alice")
}

func TestLoginDelay(t *testing.T) {
	f := start(t, func(o *Options) { o.LoginDelay = time.Hour })
	c := f.login("alice")
	if got := c.multi("CAPA"); !slices.Contains(got, "LOGIN-DELAY 3600") {
		t.Errorf("CAPA %q", got)
	}
	c.script("C: QUIT\nS: +OK*\nEND")
	c = f.dial()
	c.script("C: USER alice\nS: +OK*\nC: PASS wrong\nS: -ERR [AUTH]*\nC: USER alice\nS: +OK*\nC: PASS " + password + "\nS: -ERR [LOGIN-DELAY] Log in again in *")
	f.login("bob")
}

func TestLoginDelayForgets(t *testing.T) {
	now := time.Unix(1e9, 0)
	d := newLoginDelay(10*time.Second, func() time.Time { return now })
	for i := range 1000 {
		now = now.Add(time.Second)
		if wait := d.admit(fmt.Sprint("user", i)); wait != 0 {
			t.Fatalf("first login waits %v", wait)
		}
	}
	if len(d.last) > 21 {
		t.Errorf("%d users remembered", len(d.last))
	}
	if wait := d.admit("user999"); wait != 10*time.Second {
		t.Errorf("wait %v", wait)
	}
}

// One message that cannot be read does not keep the user from the others.
func TestUnreadableMessage(t *testing.T) {
	f := start(t)
	f.deliver("alice", "1000.M1.h", "Subject: one\n\n")
	bad := f.deliver("alice", "1001.M1.h", "Subject: two\n\n")
	f.deliver("alice", "1002.M1.h", "Subject: three\n\n")
	c := f.login("alice")
	if err := os.Remove(bad); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", bad); err != nil {
		t.Fatal(err)
	}
	c.script(`
		C: LIST
		S: +OK 3 messages:
		S: 1 16
		S: 2 0
		S: 3 18
		S: .
		C: RETR 2
		S: -ERR*
		C: RETR 3
		S: +OK*
		S: Subject: three
		S: 
		S: .`)
}

// A client that asks and does not read is cut off; nobody waits for it.
func TestSlowReader(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.WriteTimeout = 300 * time.Millisecond })
	f.deliver("alice", "1000.M1.h", "Subject: large\n\n"+strings.Repeat("a line that fills the socket\n", 1_000_000))
	c := f.login("alice")
	c.script("C: DELE 1\nS: +OK*\nC: RSET\nS: +OK*")
	c.send("RETR 1\r\n")
	f.logHas("msg=logout", "reason=\"client too slow\"", "retr=0")
}

func TestUnreadableMessageIsCutOff(t *testing.T) {
	f := start(t)
	path := f.deliver("alice", "1000.M1.h", "Subject: large\n\n"+strings.Repeat("a line that fills the socket\n", 1_000_000))
	c := f.login("alice")
	c.send("RETR 1\r\n")
	c.want("+OK*")
	// The server is somewhere in the message, held up by the socket's buffers.
	if err := os.Truncate(path, 1000); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(c.r)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.HasSuffix(rest, []byte("\r\n.\r\n")) {
		t.Error("a message that was cut off ends as if it were whole")
	}
	f.logHas("level=ERROR", "reading a message failed")
}

func TestShutdown(t *testing.T) {
	config, trust := certificate(t)
	f := start(t, func(o *Options) { o.TLS = config })
	f.deliver("alice", "1000.M1.h", "Subject: x\n\nx\n")
	before := f.dial()
	inside := f.login("alice")
	inside.script("C: DELE 1\nS: +OK*")
	encrypted := f.dial()
	encrypted.script("C: STLS\nS: +OK*")
	encrypted = newClient(t, tls.Client(encrypted.conn, trust))
	encrypted.script("C: USER bob\nS: +OK*")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := f.server.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	for _, c := range []*client{before, inside, encrypted} {
		c.script("S: -ERR [SYS/TEMP] Server shutting down.\nEND")
	}
	if got := f.files(); len(got) != 1 {
		t.Error("shutting down removed a message")
	}
	if conn, err := net.Dial("tcp", f.addr); err == nil {
		conn.Close()
		t.Error("it still listens")
	}
}

// Sessions that are busy when the time is over are cut.
func TestShutdownCuts(t *testing.T) {
	f := start(t)
	f.deliver("alice", "1000.M1.h", "Subject: large\n\n"+strings.Repeat("a line that fills the socket\n", 1_000_000))
	c := f.login("alice")
	c.send("RETR 1\r\n")
	c.want("+OK*")
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if err := f.server.Shutdown(ctx); err == nil {
		t.Error("nothing was cut")
	}
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("took %v", took)
	}
}

// The store's lock is held by another program: QUIT says that the messages are
// still there, and they are.
func TestUpdateFails(t *testing.T) {
	if testing.Short() {
		t.Skip("waits ten seconds for a lock")
	}
	t.Parallel()
	f := start(t)
	f.deliver("alice", "1000.M1.h", "Subject: x\n\nx\n")
	c := f.login("alice")
	c.script("C: DELE 1\nS: +OK*")
	lock := filepath.Join(f.tree, "alice", "Maildir", "dovecot-uidlist.lock")
	stop := make(chan struct{})
	held := make(chan struct{})
	go func() { // touched, as a living holder does, so that it is not stale
		defer close(held)
		for {
			_ = os.WriteFile(lock, fmt.Appendf(nil, "%d:%s", os.Getpid(), "elsewhere"), 0o600)
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	c.script("C: QUIT\nS: -ERR [SYS/TEMP] Some deleted messages not removed.\nEND")
	close(stop)
	<-held
	_ = os.Remove(lock)
	if got := f.files(); len(got) != 1 {
		t.Errorf("files %q", got)
	}
	f.logHas("msg=logout", "reason=quit", "expunged=0")
}
