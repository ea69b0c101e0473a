package pop3d

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// fuzzStates are what a session has been through before the input comes: each
// state of a connection, and what makes a difference within it.
var fuzzStates = []string{
	"",
	"USER alice\r\n",
	"UTF8\r\n",
	"AUTH PLAIN\r\n",
	"AUTH ENDLESS\r\n",
	"USER alice\r\nPASS secret word\r\n",
	"UTF8\r\nUSER alice\r\nPASS secret word\r\n",
	"USER alice\r\nPASS secret word\r\nDELE 1\r\n",
}

// memConn is a connection whose client has said all and takes in everything.
type memConn struct {
	in  io.Reader
	out bytes.Buffer
}

var loopback = net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}

func (c *memConn) Read(p []byte) (int, error)       { return c.in.Read(p) }
func (c *memConn) Write(p []byte) (int, error)      { return c.out.Write(p) }
func (c *memConn) Close() error                     { return nil }
func (c *memConn) LocalAddr() net.Addr              { return &loopback }
func (c *memConn) RemoteAddr() net.Addr             { return &loopback }
func (c *memConn) SetDeadline(time.Time) error      { return nil }
func (c *memConn) SetReadDeadline(time.Time) error  { return nil }
func (c *memConn) SetWriteDeadline(time.Time) error { return nil }

// FuzzSession gives any input to a session in each state. It must not panic,
// must answer in lines, and removes messages at QUIT alone.
func FuzzSession(f *testing.F) {
	for state := range fuzzStates {
		for _, seed := range []string{
			"CAPA\r\nUSER bob\r\nPASS secret word\r\nSTAT\r\nQUIT\r\n",
			"AGFsaWNlAHNlY3JldCB3b3Jk\r\nLIST\r\nUIDL\r\nTOP 1 1\r\nRETR 2\r\nDELE 3\r\nQUIT\r\n",
			"auth plain AGFsaWNlAHNlY3JldCB3b3Jk\nlist 1\nuidl 2\ntop 3 0\nrset\nnoop\ndele 1\nquit\n",
			"STLS\r\nUTF8\r\nLANG\r\nLANG *\r\nlang xx\r\n\x00\r\n*\r\n=\r\n",
			strings.Repeat("x", 700) + "\r\nSTAT\r\nDELE 1\r\nQUIT",
			"RETR 99999999999999999999\r\nTOP 1 99999999999999999999\r\nLIST  \r\n\r\r\n",
		} {
			f.Add(uint8(state), seed)
		}
	}
	fix := start(f)
	names := 0
	fill := func() {
		for range 3 - len(fix.files()) {
			names++
			fix.deliver("alice", fmt.Sprintf("%d.M1.h", 1000+names), "Subject: Grüße\n\n.x\n..\nlast")
		}
	}
	fix.deliver("alice", "1000.M1.h", "Subject: x\n\n")
	f.Fuzz(func(t *testing.T, state uint8, input string) {
		fix.t = t
		fill()
		conn := &memConn{in: strings.NewReader(fuzzStates[int(state)%len(fuzzStates)] + input)}
		s := newSession(fix.server, conn, false)
		done := make(chan struct{})
		s.ended = func() { close(done) }
		s.run()
		<-done
		if log := fix.log.String(); strings.Contains(log, "msg=panic") {
			t.Fatal(log)
		}
		fix.log.mu.Lock()
		fix.log.buf.Reset()
		fix.log.mu.Unlock()
		for line := range strings.Lines(conn.out.String()) {
			if !strings.HasSuffix(line, "\r\n") {
				t.Fatalf("line %q in\n%s", line, conn.out.String())
			}
		}
		if left := len(fix.files()); left+s.counts.expunged != 3 {
			t.Fatalf("%d messages left, %d said to be removed", left, s.counts.expunged)
		}
		if s.counts.expunged > 0 && !strings.Contains(strings.ToUpper(input), "QUIT") {
			t.Fatal("removed without QUIT")
		}
	})
}
