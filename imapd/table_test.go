package imapd

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every row of the table is whole, and every command is run by a transcript.
func TestTable(t *testing.T) {
	var all strings.Builder
	files, _ := filepath.Glob("testdata/*.txt")
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	if len(byName) != len(commands) {
		t.Error("a command stands in the table twice")
	}
	for _, row := range commands {
		if row.name != strings.ToUpper(row.name) || row.states == 0 || row.parse == nil {
			t.Errorf("%s: the row is not whole", row.name)
		}
		if !regexp.MustCompile(`^\d{4} \d+(\.\d+)*$`).MatchString(row.rfc) {
			t.Errorf("%s: RFC %q", row.name, row.rfc)
		}
		if row.numbers && !row.uid {
			t.Errorf("%s: speaks of sequence numbers and has no UID form", row.name)
		}
		if !regexp.MustCompile(`(?m): C[:-] \w+ (UID )?` + row.name + `\b`).MatchString(all.String()) {
			t.Errorf("%s: no transcript runs it", row.name)
		}
	}
}

// remoteListener lets connections look as if they came from another machine.
type remoteListener struct{ net.Listener }

type remoteConn struct{ net.Conn }

func (l remoteListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return remoteConn{c}, nil
}

func (remoteConn) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 4000}
}

// Passwords go over TLS or stay on the machine (RFC 9051 section 11.1).
func TestLoginDisabled(t *testing.T) {
	var log syncBuffer
	s := startServer(t, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(remoteListener{l}) }()
	s.addr = l.Addr().String()
	c := s.connect(t)
	caps := c.do("CAPABILITY")[0]
	if !strings.Contains(caps, "LOGINDISABLED") || !strings.Contains(caps, "STARTTLS") || strings.Contains(caps, "AUTH=PLAIN") {
		t.Error(caps)
	}
	for _, command := range []string{"LOGIN alice secret", "AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA=="} {
		if _, end := c.try(command); !strings.HasPrefix(end, "x NO [PRIVACYREQUIRED]") {
			t.Error(end)
		}
	}
	c.conn.Close()
	l.Close()
	if err := <-done; err == nil {
		t.Error("Serve ended without an error")
	}
}

// The log has a line for each login and logout, with counts and without
// anything that was in the mail.
func TestLog(t *testing.T) {
	var log syncBuffer
	s := startServer(t, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	s.deliver(t, "alice", "1700000001.private", 100)
	c := s.connect(t)
	c.try("LOGIN alice wrongpassword")
	c.do("LOGIN alice secret")
	c.do("SELECT INBOX")
	c.do("FETCH 1 (FLAGS BODY[])")
	c.do("STORE 1 +FLAGS (\\Deleted)")
	c.do("EXPUNGE")
	c.do("LOGOUT")
	if _, err := c.in.ReadByte(); err == nil {
		t.Error("still open")
	}
	text := ""
	for range 100 {
		if text = log.String(); strings.Contains(text, "imap logout") {
			break
		}
	}
	for _, want := range []string{
		`level=INFO msg="imap login failed" remote=127.0.0.1 user=alice method=LOGIN`,
		`level=INFO msg="imap login" remote=127.0.0.1 user=alice method=LOGIN tls=false`,
		`level=INFO msg="imap logout" remote=127.0.0.1 user=alice reason=logout`,
		"fetched=1 appended=0 copied=0 expunged=1",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %q in\n%s", want, text)
		}
	}
	for _, secret := range []string{"wrongpassword", "secret", "Subject", "private"} {
		if strings.Contains(text, secret) {
			t.Errorf("the log tells %q:\n%s", secret, text)
		}
	}
}
