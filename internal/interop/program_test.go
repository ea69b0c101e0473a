package interop

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// wire is a connection on which a test speaks the protocol itself.
type wire struct {
	net.Conn
	r *bufio.Reader
}

func connect(t *testing.T, addr string, config *tls.Config) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if config != nil {
		conn = tls.Client(conn, config)
	}
	conn.SetDeadline(time.Now().Add(time.Minute))
	w := &wire{conn, bufio.NewReader(conn)}
	w.line(t)
	return w
}

func (w *wire) line(t *testing.T) string {
	t.Helper()
	line, err := w.r.ReadString('\n')
	if err != nil {
		t.Fatalf("reading a line: %v", err)
	}
	return strings.TrimRight(line, "\r\n")
}

// ask sends a line and reads until one begins with the prefix.
func (w *wire) ask(t *testing.T, line, prefix string) {
	t.Helper()
	if _, err := fmt.Fprintf(w, "%s\r\n", line); err != nil {
		t.Fatal(err)
	}
	for {
		if got := w.line(t); strings.HasPrefix(got, prefix) {
			return
		} else if strings.HasPrefix(got, "-ERR") || strings.HasPrefix(got, "a BAD") || strings.HasPrefix(got, "a NO") {
			t.Fatalf("%s: %s", line, got)
		}
	}
}

// trust is a TLS configuration that takes the site's certificate only.
func (s *site) trust(t *testing.T) *tls.Config {
	t.Helper()
	text, err := os.ReadFile(s.cert)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatal("no certificate in " + s.cert)
	}
	return &tls.Config{RootCAs: pool, ServerName: "localhost"}
}

// SIGTERM ends every session with BYE, in whatever state it is, and the program
// with status 0 within ten seconds, which server.stop checks.
func TestShutdown(t *testing.T) {
	begin(t)
	s := newSite(t)
	fill(t, s.maildir("alice"), "shutdown", 3, "S")
	v := s.serve(t)
	greeted := connect(t, v.imap, nil)
	selected := connect(t, v.imaps, s.trust(t))
	selected.ask(t, "a LOGIN alice "+password, "a OK")
	selected.ask(t, "a SELECT INBOX", "a OK")
	idling := connect(t, v.imap, nil)
	idling.ask(t, "a LOGIN alice "+password, "a OK")
	idling.ask(t, "a SELECT INBOX", "a OK")
	idling.ask(t, "a IDLE", "+")
	literal := connect(t, v.imap, nil) // one that announces octets and never sends them
	literal.ask(t, "a LOGIN alice "+password, "a OK")
	literal.ask(t, "a APPEND INBOX {100}", "+")
	pop := connect(t, v.pop3, nil)
	pop.ask(t, "USER alice", "+OK")
	pop.ask(t, "PASS "+password, "+OK")
	pop.ask(t, "DELE 1", "+OK")
	v.stop(t)
	if v.name != "postroom" {
		t.Skip("Dovecot says no BYE")
	}
	for name, w := range map[string]*wire{"greeted": greeted, "selected": selected, "idling": idling} {
		for {
			line, err := w.r.ReadString('\n')
			if strings.HasPrefix(line, "* BYE") {
				break
			}
			if err != nil {
				t.Errorf("the %s session was ended with no BYE: %v", name, err)
				break
			}
		}
	}
	if n := infos(t, s.maildir("alice"))["S"]; n != 3 {
		t.Errorf("%d messages are left of 3: DELE was carried out without QUIT", n)
	}
}

// Started as root, the server binds its ports and then is the user of [process]
// for good; what a client stores belongs to that user.
func TestProcessUser(t *testing.T) {
	begin(t)
	if *serverFlag != "postroom" {
		t.Skip("it is about postroom alone")
	}
	uid, _, root := mailIDs(t)
	if !root {
		lack(t, "not root")
	}
	s := newSite(t)
	makeMaildir(t, s.maildir("alice"))
	v := s.postroomAsRoot(t)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", v.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	id := fmt.Sprint(uid)
	contains(t, "/proc/PID/status", string(status), "Uid:\t"+strings.Repeat(id+"\t", 3)+id+"\n")
	c := dial(t, v, nil)
	put(t, c, "INBOX", "owned", nil)
	out := client{dir: s.dir}.run(t, "find", s.maildir("alice"), "!", "-user", mailUser)
	if out != "" {
		t.Errorf("these do not belong to %s:\n%s", mailUser, out)
	}
}

// The demonstration that a newcomer runs first: no configuration, a login, and
// a file dropped into new/ that the terminal shows.
func TestDemo(t *testing.T) {
	begin(t, "curl")
	if *serverFlag != "postroom" {
		t.Skip("it is about postroom alone")
	}
	s := newSite(t)
	dir := s.dir + "/demo"
	imap, pop3 := freeAddr(t), freeAddr(t)
	mkdirs(t, dir)
	v := &server{name: "demo", site: s, imap: imap, pop3: pop3, done: make(chan struct{}), log: s.dir + "/demo.log"}
	v.start(t, v.mailCommand(t, binary, "demo", "--dir", dir, "--imap", imap, "--pop3", pop3))
	for _, user := range []string{"alice", "bob"} {
		out := client{dir: s.dir}.run(t, "curl", "-sS", "-m", "20", "-u", user+":demo", "imap://"+imap+"/")
		contains(t, "LIST of "+user, out, "INBOX")
	}
	out := client{dir: s.dir}.run(t, "curl", "-sS", "-m", "20", "-u", "alice:demo", "pop3://"+pop3+"/")
	if strings.Count(out, "\n") < 5 {
		t.Errorf("few messages in alice's INBOX:\n%s", out)
	}
	// The program says where alice's INBOX is in one of the commands to try.
	said := func() string {
		text, _ := os.ReadFile(v.log)
		return string(text)
	}
	contains(t, "what the program prints", said(), imap, pop3, "alice", "bob", "demo", "curl", "new/")
	var inbox string
	for _, f := range strings.Fields(said()) {
		if at := strings.Index(f, "/new/"); strings.HasPrefix(strings.Trim(f, `"'`), dir) && at > 0 {
			inbox = strings.Trim(f[:at], `"'`)
		}
	}
	if inbox == "" {
		t.Fatalf("no path of a new/ in:\n%s", said())
	}
	deliver(t, inbox, "1710000000.M1P9.host", mail("dropped into new", 1))
	eventually(t, "the terminal to show what arrived", func() bool { return strings.Contains(said(), "dropped into new") })
}
