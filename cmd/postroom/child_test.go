package main

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what has to come.
const patience = 60 * time.Second

// site is a directory with all that a configuration names, which anybody may enter.
type site struct {
	t   *testing.T
	dir string
}

func newSite(t *testing.T) *site {
	t.Helper()
	dir, err := os.MkdirTemp("", "postroom-process-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &site{t, dir}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(s.path("mail"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.path("mail"), 0o777); err != nil {
		t.Fatal(err)
	}
	s.write("users", "alice:{PLAIN}one\nbob:{PLAIN}two\n")
	s.renew("first")
	return s
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

// write writes a file in place.
func (s *site) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// rewrite is write so that neither size nor time of the file tell of it.
func (s *site) rewrite(name, text string) {
	s.t.Helper()
	before, err := os.Stat(s.path(name))
	if err != nil {
		s.t.Fatal(err)
	}
	if pad := int(before.Size()) - len(text); pad > 0 {
		text += strings.Repeat("\n", pad)
	}
	s.write(name, text)
	if err := os.Chtimes(s.path(name), before.ModTime(), before.ModTime()); err != nil {
		s.t.Fatal(err)
	}
	if after, _ := os.Stat(s.path(name)); after.Size() != before.Size() {
		s.t.Fatalf("%s has %d octets, and had %d", name, after.Size(), before.Size())
	}
}

// pair makes a certificate of that name and its key, in PEM; cert is padded so
// that all certificates have one size.
func pair(t *testing.T, name string) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	cert += strings.Repeat("\n", 2000-len(cert))
	return cert, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}

// renew puts another certificate in place, as the tools that fetch them do: the key first, both by rename.
func (s *site) renew(name string) {
	s.t.Helper()
	cert, key := pair(s.t, name)
	for file, text := range map[string]string{"key.pem": key, "cert.pem": cert} {
		s.write(file+".new", text)
		if err := os.Rename(s.path(file+".new"), s.path(file)); err != nil {
			s.t.Fatal(err)
		}
	}
}

// config writes a configuration whose listeners take any port; more goes to its end.
func (s *site) config(more string) string {
	s.write("c.toml", fmt.Sprintf(`[mail]
root = "%[1]s/mail/{user}"
[auth]
users = "%[1]s/users"
[imap]
listen = ["127.0.0.1:0"]
listen_tls = ["127.0.0.1:0"]
[pop3]
listen = ["127.0.0.1:0"]
listen_tls = ["127.0.0.1:0"]
[tls]
certificate = "%[1]s/cert.pem"
key = "%[1]s/key.pem"
%[2]s`, s.dir, more))
	return s.path("c.toml")
}

// child is a postroom process.
type child struct {
	t      *testing.T
	cmd    *exec.Cmd
	notify *net.UnixConn // what it tells systemd
	errs   lockedBuffer
	exited chan error
}

type lockedBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// asRoot is the [process] table for tests that run as root and have nothing to do with users.
func asRoot() string {
	if os.Geteuid() == 0 {
		return "[process]\nuser = \"root\"\n"
	}
	return ""
}

// serve starts "postroom serve" and waits until it is ready. notify is the name
// of its NOTIFY_SOCKET; change may alter the command.
func (s *site) serve(config, notify string, change func(*exec.Cmd)) *child {
	s.t.Helper()
	c := &child{t: s.t, exited: make(chan error, 1)}
	var err error
	if c.notify, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: notify, Net: "unixgram"}); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.notify.Close() })
	if !strings.HasPrefix(notify, "@") {
		if err := os.Chmod(notify, 0o777); err != nil {
			s.t.Fatal(err)
		}
	}
	c.cmd = exec.Command(os.Args[0], "serve", "--config", config)
	c.cmd.Env = append(os.Environ(), "POSTROOM_COMMAND=1", "NOTIFY_SOCKET="+notify)
	c.cmd.Stderr = &c.errs
	if change != nil {
		change(c.cmd)
	}
	if err := c.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		err := c.cmd.Wait()
		c.notify.Close() // whoever waits for a word of it need not any more
		c.exited <- err
	}()
	s.t.Cleanup(func() {
		_ = c.cmd.Process.Kill()
		if s.t.Failed() {
			s.t.Logf("the process said:\n%s", &c.errs)
		}
	})
	c.told("READY=1")
	return c
}

// told waits for a word to systemd.
func (c *child) told(want string) {
	c.t.Helper()
	_ = c.notify.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 1024)
	n, err := c.notify.Read(buf)
	if got := string(buf[:n]); err != nil || !strings.HasPrefix(got, want) {
		c.t.Fatalf("told systemd %q, want %q: %v\n%s", got, want, err, &c.errs)
	}
}

// reload sends SIGHUP and waits for the end of it.
func (c *child) reload() {
	c.t.Helper()
	c.signal(syscall.SIGHUP)
	c.told("RELOADING=1\nMONOTONIC_USEC=")
	c.told("READY=1")
}

func (c *child) signal(s os.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		c.t.Fatal(err)
	}
}

// end ends the process by SIGTERM.
func (c *child) end() {
	c.t.Helper()
	c.signal(syscall.SIGTERM)
	c.told("STOPPING=1")
	select {
	case err := <-c.exited:
		if err != nil {
			c.t.Errorf("%v\n%s", err, &c.errs)
		}
	case <-time.After(patience):
		c.t.Error("does not end")
	}
}

// addr finds an address in the line that the log has at the start: the first of
// a protocol is the plain one, the second TLS's.
func (c *child) addr(protocol string, n int) string {
	c.t.Helper()
	// The log comes through a pipe: later, perhaps, than what is told to systemd.
	for began := time.Now(); !strings.Contains(c.errs.String(), "msg=serving ") && time.Since(began) < patience; {
		time.Sleep(10 * time.Millisecond)
	}
	for line := range strings.Lines(c.errs.String()) {
		if !strings.Contains(line, "msg=serving ") {
			continue
		}
		_, rest, _ := strings.Cut(line, protocol+"=")
		rest = strings.TrimPrefix(rest, `"`)
		addrs := strings.FieldsFunc(rest, func(r rune) bool { return r == ' ' || r == '"' || r == '\n' })
		if n < len(addrs) {
			return addrs[n]
		}
	}
	c.t.Fatalf("no address in\n%s", &c.errs)
	return ""
}

// session is a client of either protocol.
type session struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

// open connects; with TLS if config is not nil.
func (c *child) open(addr string, config *tls.Config) *session {
	c.t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	s := &session{t: c.t, conn: conn}
	if config != nil {
		s.conn = tls.Client(conn, config)
	}
	s.in = bufio.NewReader(s.conn)
	s.line()
	return s
}

func (s *session) line() string {
	s.t.Helper()
	line, err := s.in.ReadString('\n')
	if err != nil {
		s.t.Fatalf("%v after %q", err, line)
	}
	return strings.TrimRight(line, "\r\n")
}

// ask sends a command of either protocol and gives the last line of the answer.
func (s *session) ask(command string) string {
	s.t.Helper()
	if _, err := s.conn.Write([]byte(command + "\r\n")); err != nil {
		s.t.Fatal(err)
	}
	line := s.line()
	for strings.HasPrefix(line, "* ") {
		line = s.line()
	}
	return line
}

// login tells whether IMAP lets a user in.
func (c *child) login(user, password string) bool {
	c.t.Helper()
	s := c.open(c.addr("imap", 0), nil)
	defer s.conn.Close()
	return strings.HasPrefix(s.ask("a LOGIN "+user+" "+password), "a OK")
}

// shown is the name in the certificate that a TLS listener shows.
func (c *child) shown(addr string) string {
	c.t.Helper()
	s := c.open(addr, &tls.Config{InsecureSkipVerify: true})
	defer s.conn.Close()
	return s.conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName
}
