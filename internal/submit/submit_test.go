package submit

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

const testText = "From: a@example.org\r\nSubject: x\r\n\r\nhello\r\n.dot\r\n"

func testMessage(to ...string) Message {
	return Message{From: "a@example.org", To: to, Size: int64(len(testText)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(testText)), nil
	}}
}

// scripted is a server that answers each command as it is told, and can hang up instead.
func scripted(t *testing.T, answers map[string]string) *SMTP {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serveScript(conn, answers)
		}
	}()
	return &SMTP{Address: l.Addr().String(), Security: NoTLS, CommandTimeout: 300 * time.Millisecond, FinalTimeout: 300 * time.Millisecond}
}

// serveScript answers commands, "greeting" and "." (the final dot). "hang up" closes the connection, "silence" says nothing.
func serveScript(conn net.Conn, answers map[string]string) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	answer := func(command, standard string) bool {
		for key, a := range answers {
			if strings.HasPrefix(command, key) {
				standard = a
			}
		}
		switch standard {
		case "hang up":
			return false
		case "silence":
			_, _ = io.Copy(io.Discard, in)
			return false
		}
		_, err := fmt.Fprintf(conn, "%s\r\n", standard)
		return err == nil && !strings.HasPrefix(standard, "421")
	}
	if !answer("greeting", "220 ready") {
		return
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		standard := "250 OK"
		switch {
		case strings.HasPrefix(line, "EHLO"):
			standard = "250-test\r\n250-SIZE 1000\r\n250 8BITMIME"
		case strings.HasPrefix(line, "DATA"):
			standard = "354 go on"
		}
		if !answer(line, standard) {
			return
		}
		if strings.HasPrefix(line, "DATA") && answers["DATA"] == "" {
			for line != ".\r\n" {
				if line, err = in.ReadString('\n'); err != nil {
					return
				}
				if answers["body"] == "hang up" {
					return
				}
			}
			if !answer(".", "250 taken as 1") {
				return
			}
		}
	}
}

// TestSteps has the server fail at each step.
func TestSteps(t *testing.T) {
	for _, c := range []struct {
		step, answer string
		want         string // outcomes of both recipients
	}{
		{"none", "", "accepted accepted"},
		{"greeting", "554 go away", "again again"},
		{"greeting", "hang up", "again again"},
		{"greeting", "silence", "again again"},
		{"EHLO", "421 later", "again again"},
		{"EHLO", "hang up", "again again"},
		{"MAIL", "450 later", "again again"},
		{"MAIL", "550 never", "refused refused"},
		{"MAIL", "530 log in", "again again"},
		{"MAIL", "hang up", "again again"},
		{"MAIL", "silence", "again again"},
		{"RCPT TO:<b", "450 later", "again accepted"},
		{"RCPT TO:<b", "550 no such user", "refused accepted"},
		{"RCPT TO:<c", "550 no such user", "accepted refused"},
		{"RCPT", "550 never", "refused refused"},
		{"RCPT TO:<c", "hang up", "again again"},
		{"RCPT TO:<c", "421 later", "again again"},
		{"DATA", "451 later", "again again"},
		{"DATA", "554 never", "refused refused"},
		{"DATA", "hang up", "again again"},
		{"body", "hang up", "again again"},
		{".", "250 OK", "accepted accepted"},
		{".", "451 later", "again again"},
		{".", "554 spam", "refused refused"},
		{".", "hang up", "unknown unknown"},
		{".", "silence", "unknown unknown"},
		{".", "what?", "unknown unknown"},
		{"QUIT", "hang up", "accepted accepted"},
	} {
		t.Run(c.step+" "+c.answer, func(t *testing.T) {
			m := testMessage("b@example.org", "c@example.org")
			if c.step == "body" { // more than the buffers hold
				long := testText + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 200_000)
				m.Open = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(long)), nil }
				m.Size = int64(len(long))
			}
			answers := map[string]string{c.step: c.answer}
			if c.step == "body" {
				answers["EHLO"] = "250 test"
			}
			if c.step == "none" {
				answers = nil
			}
			r := scripted(t, answers).Send(t.Context(), m)
			var got []string
			for _, rc := range r.Recipients {
				got = append(got, string(rc.Outcome))
				if rc.Outcome != Accepted && rc.Text == "" {
					t.Errorf("%s: nothing is said", rc.Addr)
				}
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("%s, want %s: %v", s, c.want, r)
			}
		})
	}
}

func TestWhatAServerCannot(t *testing.T) {
	s := scripted(t, map[string]string{"EHLO": "250-test\r\n250 SIZE 10"})
	plain := scripted(t, map[string]string{"EHLO": "250 test"})
	eight, utf8 := testMessage("b@x"), testMessage("b@x")
	eight.EightBit, utf8.UTF8 = true, true
	short := testMessage("b@x")
	short.Size += 5
	for name, c := range map[string]struct {
		s    *SMTP
		m    Message
		want Outcome
	}{
		"too large":         {s, testMessage("b@x"), Refused},
		"eight bits":        {plain, eight, Refused},
		"UTF-8":             {plain, utf8, Refused},
		"cut while sending": {plain, short, Again},
		"no server":         {&SMTP{Address: "127.0.0.1:1", Security: NoTLS}, eight, Again},
		"no STARTTLS":       {&SMTP{Address: plain.Address, Security: STARTTLS}, eight, Again},
		"no TLS":            {&SMTP{Address: plain.Address, Security: ImplicitTLS, DialTimeout: time.Second}, eight, Again},
		"no AUTH":           {&SMTP{Address: plain.Address, Security: NoTLS, User: "u", PasswordFile: passwordFile(t, "x")}, eight, Again},
		"no password":       {&SMTP{Address: plain.Address, Security: NoTLS, User: "u", PasswordFile: passwordFile(t, "")}, eight, Again},
	} {
		if r := c.s.Send(t.Context(), c.m); r.Worst() != c.want {
			t.Errorf("%s: %v", name, r)
		}
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	s := scripted(t, map[string]string{".": "silence"})
	s.FinalTimeout = time.Minute
	if r := s.Send(ctx, testMessage("b@x")); r.Worst() != Unknown {
		t.Errorf("%v", r)
	}
}

func passwordFile(t *testing.T, text string) string {
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// backend is a real server that remembers what it took.
type backend struct {
	mu    sync.Mutex
	taken []string // guarded by mu
}

func (b *backend) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{b: b}, nil }

type session struct {
	b      *backend
	login  bool
	header string
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }
func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "service" || password != "secret" {
			return errors.New("no")
		}
		s.login = true
		return nil
	}), nil
}
func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if !s.login {
		return smtp.ErrAuthRequired
	}
	s.header = "F" + from
	return nil
}
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error { s.header += " T" + to; return nil }
func (s *session) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	s.b.mu.Lock()
	s.b.taken = append(s.b.taken, s.header+"\n"+string(b))
	s.b.mu.Unlock()
	return err
}

// TestTLS logs in at a real server, by both kinds of TLS.
func TestTLS(t *testing.T) {
	cert, pool := selfSigned(t)
	for _, security := range []string{ImplicitTLS, STARTTLS} {
		b := new(backend)
		srv := smtp.NewServer(b)
		srv.Domain, srv.EnableSMTPUTF8 = "localhost", true
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if security == ImplicitTLS {
			l = tls.NewListener(l, srv.TLSConfig)
		}
		go srv.Serve(l)
		t.Cleanup(func() { srv.Close() })
		s := &SMTP{Address: l.Addr().String(), Security: security, User: "service", PasswordFile: passwordFile(t, "secret\n"), TLS: &tls.Config{RootCAs: pool}}
		m := testMessage("jörg@example.org", "b@example.org")
		m.UTF8 = true
		if r := s.Send(t.Context(), m); r.Worst() != Accepted {
			t.Errorf("%s: %v", security, r)
		}
		b.mu.Lock()
		if len(b.taken) != 1 || b.taken[0] != "Fa@example.org Tjörg@example.org Tb@example.org\n"+testText {
			t.Errorf("%s: taken %q", security, b.taken)
		}
		b.mu.Unlock()
		s.PasswordFile = passwordFile(t, "wrong")
		if r := s.Send(t.Context(), m); r.Worst() != Again {
			t.Errorf("%s, wrong password: %v", security, r)
		}
		s.TLS = nil
		if r := s.Send(t.Context(), m); r.Worst() != Again {
			t.Errorf("%s, unknown certificate: %v", security, r)
		}
	}
}

func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestSendmail(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		script string
		want   Outcome
	}{
		{`{ echo "$@"; cat; } > "$(dirname $0)/out"`, Accepted},
		{"cat >/dev/null; echo no such user >&2; exit 67", Refused},
		{"exit 75", Again},
		{"exit 1", Again},
		{"cat >/dev/null; kill -9 $$", Unknown},
		{"cat >/dev/null; sleep 30", Unknown}, // longer than it may take
	} {
		path := filepath.Join(dir, "sendmail")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+c.script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		s := &Sendmail{Path: path, Timeout: time.Second}
		if r := s.Send(t.Context(), testMessage("-b@example.org", "c@example.org")); r.Worst() != c.want {
			t.Errorf("%s: %v", c.script, r)
		}
	}
	out, err := os.ReadFile(filepath.Join(dir, "out"))
	if want := "-i -f a@example.org -- -b@example.org c@example.org\n" + strings.ReplaceAll(testText, "\r\n", "\n"); err != nil || string(out) != want {
		t.Errorf("the command got %q, %v", out, err)
	}
	short := testMessage("b@x")
	short.Size++
	if err := os.WriteFile(filepath.Join(dir, "sendmail"), []byte("#!/bin/sh\nsh -c 'cat >/dev/null && touch "+dir+"/taken'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if r := (&Sendmail{Path: filepath.Join(dir, "sendmail")}).Send(t.Context(), short); r.Worst() != Again {
		t.Errorf("cut short: %v", r)
	}
	if _, err := os.Stat(filepath.Join(dir, "taken")); err == nil {
		t.Error("a message that was cut short was taken")
	}
	if r := (&Sendmail{Path: dir + "/none"}).Send(t.Context(), testMessage("b@x")); r.Worst() != Again {
		t.Errorf("no command: %v", r)
	}
}
