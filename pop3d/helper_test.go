package pop3d

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"

	"postroom/internal/account"
	"postroom/internal/auth"
)

const password = "secret word"

// testAuth knows alice, bob and müller, who have the same password.
type testAuth struct {
	temporary bool
	panics    bool
	final     []byte // said by mechanism FINAL at its success
}

func (a *testAuth) Authenticate(_ context.Context, r auth.Request) (string, error) {
	switch {
	case a.panics:
		panic("authenticator broke")
	case a.temporary:
		return "", fmt.Errorf("directory is down: %w", auth.ErrTemporary)
	case r.Protocol != "pop3":
		return "", errors.New("wrong protocol")
	case slices.Contains([]string{"alice", "bob", "müller"}, r.User) && r.Password == password:
		return r.User, nil
	}
	return "", &auth.Failure{Name: r.User, Err: auth.ErrFailed}
}

func (a *testAuth) Mechanisms(auth.ConnInfo) []string {
	return []string{"PLAIN", "LOGIN", "FINAL", "ENDLESS"}
}

func (a *testAuth) StartSASL(mechanism string, ci auth.ConnInfo) (sasl.Server, func() string, error) {
	var user string
	name := func() string { return user }
	switch mechanism {
	case "PLAIN":
		return sasl.NewPlainServer(func(_, username, secret string) (err error) {
			user, err = a.Authenticate(context.Background(), auth.Request{
				Protocol: ci.Protocol, RemoteAddr: ci.RemoteAddr, TLS: ci.TLS, User: username, Password: secret,
			})
			return err
		}), name, nil
	case "FINAL":
		user = "alice"
		return finalServer(a.final), name, nil
	case "ENDLESS":
		return endlessServer{}, name, nil
	}
	return nil, nil, auth.ErrTemporary
}

// finalServer succeeds at the first response and has something to say.
type finalServer []byte

func (f finalServer) Next(response []byte) ([]byte, bool, error) {
	if response == nil {
		return []byte{}, false, nil
	}
	return f, true, nil
}

type endlessServer struct{}

func (endlessServer) Next([]byte) ([]byte, bool, error) { return []byte("again"), false, nil }

// fixture is a server on loopback with a tree of its own.
type fixture struct {
	t      testing.TB
	server *Server
	auth   *testAuth
	addr   string
	tree   string // of {user}/Maildir
	log    *syncBuffer
}

type syncBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func start(t testing.TB, change ...func(*Options)) *fixture {
	t.Helper()
	f := &fixture{t: t, auth: &testAuth{}, tree: t.TempDir(), log: &syncBuffer{}}
	accounts, err := account.New(account.Config{Root: filepath.Join(f.tree, "{user}", "Maildir")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(accounts.Close)
	for _, user := range []string{"alice", "bob", "müller"} {
		if err := os.MkdirAll(filepath.Join(f.tree, user), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	opt := Options{
		Accounts: accounts,
		Auth:     f.auth,
		Logger:   slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, c := range change {
		c(&opt)
	}
	f.server = NewServer(opt)
	f.addr = f.listen(f.server.Serve)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := f.server.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if strings.Contains(f.log.String(), "secret") {
			t.Errorf("a password is in the log:\n%s", f.log)
		}
	})
	return f
}

// listen serves a new listener on loopback.
func (f *fixture) listen(serve func(net.Listener) error) string {
	f.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- serve(l) }()
	f.t.Cleanup(func() {
		// Runs before the Shutdown that start registered, so it ends this one alone.
		_ = l.Close()
		<-served
	})
	return l.Addr().String()
}

// deliver puts a message into new/ as an MDA does.
func (f *fixture) deliver(user, name, text string) string {
	f.t.Helper()
	dir := filepath.Join(f.tree, user, "Maildir")
	for _, sub := range []string{"tmp", "new", "cur"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			f.t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "new", name)
	if err := os.WriteFile(filepath.Join(dir, "tmp", name), []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "tmp", name), path); err != nil {
		f.t.Fatal(err)
	}
	return path
}

// files lists alice's new/ and cur/.
func (f *fixture) files() []string {
	f.t.Helper()
	var names []string
	for _, sub := range []string{"new", "cur"} {
		entries, err := os.ReadDir(filepath.Join(f.tree, "alice", "Maildir", sub))
		if err != nil {
			f.t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, sub+"/"+e.Name())
		}
	}
	return names
}

// logHas waits for a line of the log with all parts: it comes after the
// connection's end.
func (f *fixture) logHas(parts ...string) {
	f.t.Helper()
	for range 500 {
		for line := range strings.Lines(f.log.String()) {
			if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) }) {
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	f.t.Errorf("no line of the log has all of %q:\n%s", parts, f.log)
}

// waitOpen waits until so many connections are counted: one's end is counted
// after the client has seen it.
func (f *fixture) waitOpen(n int) {
	f.t.Helper()
	for range 500 {
		if f.server.conns.Open() == n {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	f.t.Errorf("%d connections counted, want %d", f.server.conns.Open(), n)
}

// client is one connection.
type client struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
}

func (f *fixture) dial() *client {
	f.t.Helper()
	c := f.dialRaw(f.addr)
	c.want("+OK Postroom ready.")
	return c
}

func (f *fixture) dialRaw(addr string) *client {
	f.t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { conn.Close() })
	return newClient(f.t, conn)
}

func newClient(t testing.TB, conn net.Conn) *client {
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	return &client{t: t, conn: conn, r: bufio.NewReader(conn)}
}

// login gives a session in the TRANSACTION state.
func (f *fixture) login(user string) *client {
	f.t.Helper()
	c := f.dial()
	c.script("C: USER " + user + "\nS: +OK Send the password.\nC: PASS " + password + "\nS: +OK Logged in.")
	return c
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := c.conn.Write([]byte(text)); err != nil {
		c.t.Fatalf("sending %.80q: %v", text, err)
	}
}

func (c *client) read() string {
	c.t.Helper()
	line, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatalf("reading: %v after %q", err, line)
	}
	text, ok := strings.CutSuffix(line, "\r\n")
	if !ok {
		c.t.Fatalf("line without CRLF: %q", line)
	}
	return text
}

// want reads one line; at the end of want a star stands for anything.
func (c *client) want(want string) {
	c.t.Helper()
	begin, any := strings.CutSuffix(want, "*")
	if got := c.read(); got != want && !(any && strings.HasPrefix(got, begin)) {
		c.t.Fatalf("got  %q\nwant %q", got, want)
	}
}

// wantEnd wants the end of the connection and nothing before it.
func (c *client) wantEnd() {
	c.t.Helper()
	if line, err := c.r.ReadString('\n'); err == nil || isTimeout(err) || line != "" {
		c.t.Fatalf("connection goes on: %q, %v", line, err)
	}
}

// script plays a transcript: lines "C: ..." are sent, lines "S: ..." must come,
// END is the end of the connection.
func (c *client) script(text string) {
	c.t.Helper()
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(strings.TrimLeft(line, "\t"), "\n")
		switch {
		case line == "":
		case line == "END":
			c.wantEnd()
		case strings.HasPrefix(line, "C:"):
			c.send(strings.TrimPrefix(line[2:], " ") + "\r\n")
		case strings.HasPrefix(line, "S:"):
			c.want(strings.TrimPrefix(line[2:], " "))
		default:
			c.t.Fatalf("what is %q in a transcript?", line)
		}
	}
}

// multi sends a command and gives the lines of its answer, dots undone.
func (c *client) multi(command string) []string {
	c.t.Helper()
	c.send(command + "\r\n")
	c.want("+OK*")
	var lines []string
	for {
		line := c.read()
		if line == "." {
			return lines
		}
		lines = append(lines, strings.TrimPrefix(line, "."))
	}
}

// certificate makes a self-signed one for 127.0.0.1: the server's side and the client's.
func certificate(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "127.0.0.1"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		&tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}
}

// farListener says that its connections come from another host.
type farListener struct {
	net.Listener
	remote netip.AddrPort
}

func (l farListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return farConn{c, l.remote}, nil
}

type farConn struct {
	net.Conn
	remote netip.AddrPort
}

func (c farConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }
