package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// SIGHUP reads the users file again: one added, one removed, one's password
// changed. The file is changed so that a look at it shows no change: it is the signal that works.
func TestHangUpRereadsUsers(t *testing.T) {
	s := newSite(t)
	c := s.serve(s.config(asRoot()), s.path("notify"), nil)
	if !c.login("alice", "one") || !c.login("bob", "two") {
		t.Fatal("no login to begin with")
	}
	s.rewrite("users", "alice:{PLAIN}1st\ncar:{PLAIN}new\n")
	if !c.login("alice", "one") {
		t.Error("the change was seen without the signal: this test shows nothing")
	}
	c.reload()
	for _, u := range []struct {
		name, password string
		ok             bool
	}{{"alice", "1st", true}, {"car", "new", true}, {"alice", "one", false}, {"bob", "two", false}} {
		if got := c.login(u.name, u.password); got != u.ok {
			t.Errorf("%s %s: %v", u.name, u.password, got)
		}
	}
	// What cannot be read leaves all as it was.
	s.rewrite("users", "rubbish\n")
	if err := os.Remove(s.path("users")); err != nil {
		t.Fatal(err)
	}
	c.reload()
	if !c.login("car", "new") {
		t.Error("a users file that is gone has put all users out")
	}
	c.end()
}

// A renewed certificate is shown to new connections, by SIGHUP and by itself;
// sessions that are open go on.
func TestRenewedCertificate(t *testing.T) {
	s := newSite(t)
	c := s.serve(s.config(asRoot()), s.path("notify"), nil)
	trust := &tls.Config{InsecureSkipVerify: true}
	imap, pop3 := c.open(c.addr("imap", 1), trust), c.open(c.addr("pop3", 1), trust)
	ask := func(s *session, command, want string) {
		t.Helper()
		if got := s.ask(command); !strings.HasPrefix(got, want) {
			t.Fatalf("%s: %s", command, got)
		}
	}
	ask(imap, "a LOGIN alice one", "a OK")
	ask(imap, "b SELECT INBOX", "b OK")
	ask(pop3, "USER bob", "+OK")
	ask(pop3, "PASS two", "+OK")

	cert, key := pair(t, "second")
	s.rewrite("cert.pem", cert)
	s.rewrite("key.pem", key)
	if got := c.shown(c.addr("imap", 1)); got != "first" {
		t.Errorf("%q is shown before the signal: this test shows nothing", got)
	}
	c.reload()
	for _, protocol := range []string{"imap", "pop3"} {
		if got := c.shown(c.addr(protocol, 1)); got != "second" {
			t.Errorf("%s shows %q after SIGHUP", protocol, got)
		}
	}
	ask(imap, "c NOOP", "c OK")
	ask(pop3, "NOOP", "+OK")

	s.renew("third")
	for began := time.Now(); c.shown(c.addr("imap", 1)) != "third"; time.Sleep(100 * time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatal("the third certificate is never seen")
		}
	}
	if got := c.shown(c.addr("pop3", 1)); got != "third" {
		t.Errorf("pop3 shows %q", got)
	}
	// Half of a renewal changes nothing.
	other, _ := pair(t, "fourth")
	s.write("cert.pem", other)
	c.reload()
	if got := c.shown(c.addr("imap", 1)); got != "third" {
		t.Errorf("%q is shown, whose key is not there", got)
	}
	ask(imap, "d NOOP", "d OK")
	ask(imap, "e LOGOUT", "e OK")
	ask(pop3, "QUIT", "+OK")
	c.end()
}

// TLS 1.1 is refused wherever TLS begins, 1.2 is not.
func TestTLSVersions(t *testing.T) {
	s := newSite(t)
	c := s.serve(s.config(asRoot()), s.path("notify"), nil)
	for _, start := range []struct{ protocol, command string }{{"imap", "a STARTTLS"}, {"pop3", "STLS"}, {"imap", ""}, {"pop3", ""}} {
		for version, ok := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
			name := fmt.Sprintf("%s %q TLS %x", start.protocol, start.command, version)
			var conn net.Conn
			if start.command != "" {
				plain := c.open(c.addr(start.protocol, 0), nil)
				if got := plain.ask(start.command); !strings.Contains(got, "OK") {
					t.Fatal(name, got)
				}
				conn = plain.conn
			} else {
				var err error
				if conn, err = net.Dial("tcp", c.addr(start.protocol, 1)); err != nil {
					t.Fatal(err)
				}
			}
			tc := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: version})
			err := tc.Handshake()
			if (err == nil) != ok {
				t.Errorf("%s: %v", name, err)
			}
			if err == nil && tc.ConnectionState().Version != version {
				t.Errorf("%s: it is %x", name, tc.ConnectionState().Version)
			}
			conn.Close()
		}
	}
	c.end()
}

// The socket that systemd names may be one in the abstract name space.
func TestNotifyAbstractSocket(t *testing.T) {
	s := newSite(t)
	c := s.serve(s.config(asRoot()), "@"+filepath.Base(s.dir), nil)
	c.reload()
	c.end()
}

// systemd binds the sockets and tells which is which by name.
func TestSocketActivation(t *testing.T) {
	s := newSite(t)
	var files []*os.File
	var addrs []string
	for range 5 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		addrs = append(addrs, l.Addr().String())
		files = append(files, f)
		l.Close()
	}
	activate := func(names string) func(*exec.Cmd) {
		return func(cmd *exec.Cmd) {
			cmd.Path, cmd.Args = "/bin/sh", append([]string{"sh", "-c", `LISTEN_PID=$$ exec "$@"`, "sh"}, cmd.Args...)
			cmd.Env = append(cmd.Env, "LISTEN_FDS=5", "LISTEN_FDNAMES="+names)
			cmd.ExtraFiles = files
		}
	}
	c := s.serve(s.config(asRoot()), s.path("notify"), activate("pop3s:imap:pop3:imaps:webs"))
	trust := &tls.Config{InsecureSkipVerify: true}
	for i, want := range []struct {
		tls      *tls.Config
		ask, got string
	}{{trust, "QUIT", "+OK"}, {nil, "a NOOP", "a OK"}, {nil, "QUIT", "+OK"}, {trust, "a NOOP", "a OK"}} {
		if got := c.open(addrs[i], want.tls).ask(want.ask); !strings.HasPrefix(got, want.got) {
			t.Errorf("socket %d: %s", i, got)
		}
	}
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: trust, DisableKeepAlives: true}}
	if resp, err := web.Get("https://" + addrs[4] + "/login"); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("socket 4: %v %v", resp, err)
	} else {
		resp.Body.Close()
	}
	if strings.Contains(c.addr("imap", 0), ":0") || c.addr("imap", 0) != addrs[1] {
		t.Error("it listens at", c.addr("imap", 0))
	}
	c.end()

	for names, want := range map[string]string{
		"imap:pop3:smtp:pop3:web":   `"smtp"`,
		"imap::imap:imap:web":       "FileDescriptorName=",
		"imaps:imap:pop3s:pop3:web": "no-tls.toml:8: tls.certificate: ",
	} {
		s.write("no-tls.toml", "[mail]\nroot = \""+s.dir+"/mail/{user}\"\n[auth]\nusers = \""+s.path("users")+"\"\n"+asRoot()+"# none\n[tls]\n")
		config := s.path("no-tls.toml")
		if os.Geteuid() != 0 {
			want = strings.Replace(want, ":8:", ":6:", 1)
		}
		cmd := exec.Command(os.Args[0], "serve", "--config", config)
		cmd.Env = append(os.Environ(), "POSTROOM_COMMAND=1")
		activate(names)(cmd)
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != exitUsage || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v %s, want %s", names, err, out, want)
		}
	}
	for _, f := range files {
		f.Close()
	}
}

// statusOf reads a field of /proc/PID/status of every thread of a process.
func statusOf(t *testing.T, pid int, field string) []string {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	var out []string
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		for line := range strings.Lines(string(data)) {
			if value, ok := strings.CutPrefix(line, field+":"); ok {
				out = append(out, strings.Join(strings.Fields(value), " "))
			}
		}
	}
	return out
}

// Started as root it becomes the user, in all of its threads and for good, and
// still serves, and still rereads.
func TestRootIsGivenUp(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("this wants to be run as root")
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Skip(err)
	}
	ids, err := nobody.GroupIds()
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	c := s.serve(s.config("[process]\nuser = \"nobody\"\n"), s.path("notify"), nil)
	for field, want := range map[string]string{
		"Uid":    strings.Join([]string{nobody.Uid, nobody.Uid, nobody.Uid, nobody.Uid}, " "),
		"Gid":    strings.Join([]string{nobody.Gid, nobody.Gid, nobody.Gid, nobody.Gid}, " "),
		"Groups": strings.Join(ids, " "),
		"CapEff": "0000000000000000", "CapPrm": "0000000000000000", "CapInh": "0000000000000000", "CapAmb": "0000000000000000",
	} {
		for _, got := range statusOf(t, c.cmd.Process.Pid, field) {
			if got != want {
				t.Errorf("%s: %s, want %s", field, got, want)
			}
		}
	}
	if !c.login("alice", "one") {
		t.Error("no login")
	}
	if fi, err := os.Stat(s.path("mail/alice/cur")); err != nil || fi.Mode().Perm()&0o077 != 0 {
		t.Errorf("alice's new tree: %v %v", fi, err)
	}
	s.rewrite("users", "car:{PLAIN}new\n")
	c.reload()
	if !c.login("car", "new") {
		t.Error("the users file was not read again")
	}
	c.end()
}

// What the user could not read again later is told at the start, with its place
// in the configuration.
func TestUnreadableForTheUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("this wants to be run as root")
	}
	s := newSite(t)
	s.write("ca.pem", "")
	config := s.config("client_ca = \"" + s.path("ca.pem") + "\"\n[process]\nuser = \"nobody\"\n")
	files := map[string]string{"users": ":4: auth.users: ", "cert.pem": ":12: tls.certificate: ", "key.pem": ":13: tls.key: ", "ca.pem": ":14: tls.client_ca: "}
	for file, place := range files {
		if err := os.Chmod(s.path(file), 0o600); err != nil {
			t.Fatal(err)
		}
		_, errs, status := postroom(t, "", "serve", "--config", config)
		if status != exitUsage || !strings.Contains(errs, config+place) || !strings.Contains(errs, s.path(file)) || !strings.Contains(errs, "as user nobody") {
			t.Errorf("%s: %d %s", file, status, errs)
		}
		if n := strings.Count(errs, "as user nobody"); n != 1 {
			t.Errorf("%s: %d files are named: %s", file, n, errs)
		}
		if err := os.Chmod(s.path(file), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for file := range files {
		if err := os.Chmod(s.path(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, errs, _ := postroom(t, "", "serve", "--config", config); strings.Count(errs, "as user nobody") != len(files) {
		t.Errorf("not all are told at once: %s", errs)
	}
}

// Errors of [tls] name file and line.
func TestTLSErrorsHaveAPlace(t *testing.T) {
	s := newSite(t)
	cert, _ := pair(t, "other")
	for _, c := range []struct{ file, text, more, want string }{
		{"cert.pem", "rubbish", "", ":12: tls.certificate: "},
		{"cert.pem", cert, "", ":12: tls.certificate: "}, // not of this key
		{"key.pem", "rubbish", "", ":12: tls.certificate: "},
		{"ca.pem", "rubbish", "client_ca = \"" + s.path("ca.pem") + "\"\n", ":14: tls.client_ca: "},
	} {
		s.renew("good")
		s.write(c.file, c.text)
		config := s.config(c.more + asRoot())
		_, errs, status := postroom(t, "", "serve", "--config", config)
		if status != exitUsage || !strings.Contains(errs, config+c.want) || !strings.Contains(errs, s.path(c.file)) {
			t.Errorf("%s: %d %s", c.file, status, errs)
		}
	}
}
