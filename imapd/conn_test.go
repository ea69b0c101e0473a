package imapd

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"postroom/imapd/wire"
	"postroom/internal/auth"
)

// client is a plain connection that tests drive line by line.
type client struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

func (s *server) connect(t testing.TB) *client {
	t.Helper()
	conn, err := s.dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &client{t: t, conn: conn, in: bufio.NewReader(conn)}
	c.line()
	return c
}

func (s *server) login(t testing.TB, user string) *client {
	t.Helper()
	c := s.connect(t)
	c.do("LOGIN " + user + " secret")
	return c
}

func (c *client) send(text string) {
	if _, err := io.WriteString(c.conn, text); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) line() string {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	line, err := c.in.ReadString('\n')
	if err != nil {
		c.t.Fatalf("%v after %q", err, line)
	}
	return strings.TrimRight(line, "\r\n")
}

// do runs a command that must end in OK, and gives the lines before that.
func (c *client) do(command string) []string {
	c.t.Helper()
	lines, end := c.try(command)
	if !strings.HasPrefix(end, "x OK") {
		c.t.Fatalf("%.100s: %s", command, end)
	}
	return lines
}

func (c *client) try(command string) (lines []string, end string) {
	c.t.Helper()
	c.send("x " + command + "\r\n")
	for {
		line := c.line()
		if strings.HasPrefix(line, "x ") {
			return lines, line
		}
		lines = append(lines, line)
	}
}

// deliver puts a message of so many octets into INBOX.
func (s *server) deliver(t testing.TB, user, name string, size int) {
	t.Helper()
	dir := filepath.Join(s.root, user, "Maildir")
	for _, d := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	text := "Subject: " + name + "\n\n" + strings.Repeat(strings.Repeat("x", 77)+"\n", size/78)
	if err := os.WriteFile(filepath.Join(dir, "cur", name+":2,"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A set of a megabyte is a command like others.
func TestMegabyteCommand(t *testing.T) {
	s := startServer(t, nil)
	s.deliver(t, "alice", "1700000001.a", 100)
	c := s.login(t, "alice")
	c.do("SELECT INBOX")
	var set strings.Builder
	for i := 400000; set.Len() < 1<<20; i -= 2 {
		fmt.Fprintf(&set, "%d,", i)
	}
	if got := c.do("UID FETCH " + set.String() + "1 (FLAGS)"); len(got) != 1 {
		t.Errorf("%d responses", len(got))
	}
	if got := c.do("UID SEARCH NOT UID " + set.String() + "7"); got[0] != "* SEARCH 1" {
		t.Error(got)
	}
}

// A client that reads nothing ends by the write deadline, and holds up nobody.
func TestSlowReader(t *testing.T) {
	s := startServer(t, func(o *Options) { o.Limits.WriteTimeout = 300 * time.Millisecond })
	s.deliver(t, "alice", "1700000001.a", 32<<20)
	slow := s.login(t, "alice")
	slow.do("SELECT INBOX")
	slow.send("x FETCH 1 BODY.PEEK[]\r\n")
	other := s.login(t, "alice")
	other.do("SELECT INBOX")
	other.do("STORE 1 +FLAGS (\\Flagged)")
	time.Sleep(time.Second)
	if n := s.conns.Open(); n != 1 {
		t.Errorf("%d connections are open", n)
	}
	other.do("NOOP")
}

// A panic ends its connection, and the log says where it came from.
func TestPanic(t *testing.T) {
	var log syncBuffer
	s := startServer(t, func(o *Options) {
		o.Auth = panicAuth{}
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	a, b := s.connect(t), s.connect(t)
	a.send("x LOGIN boom secret\r\n")
	if _, err := a.in.ReadString('\n'); err == nil {
		t.Error("the connection goes on")
	}
	b.do("LOGIN alice secret")
	if !strings.Contains(log.String(), "panicAuth") || !strings.Contains(log.String(), "boom at login") {
		t.Errorf("log: %s", log.String())
	}
	if strings.Contains(log.String(), "secret") {
		t.Error("the log tells the password")
	}
}

type panicAuth struct{ testAuth }

func (p panicAuth) Authenticate(ctx context.Context, r auth.Request) (string, error) {
	if r.User == "boom" {
		panic("boom at login")
	}
	return p.testAuth.Authenticate(ctx, r)
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Shutdown says BYE wherever a session is.
func TestShutdown(t *testing.T) {
	s := startServer(t, nil)
	waiting := s.connect(t)
	idle := s.login(t, "alice")
	idle.do("SELECT INBOX")
	idle.send("x IDLE\r\n")
	idle.line()
	literal := s.login(t, "alice")
	literal.send("x APPEND INBOX {100}\r\n")
	literal.line()
	literal.send("some of it")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]*client{"waiting": waiting, "idle": idle, "literal": literal} {
		if line := c.line(); line != "* BYE Server is shutting down" {
			t.Errorf("%s: %s", name, line)
		}
	}
	if _, err := s.dial(); err == nil {
		t.Error("still accepts")
	}
}

// A session that does not come to an end is cut when Shutdown's time is up.
func TestShutdownCuts(t *testing.T) {
	s := startServer(t, nil)
	s.deliver(t, "alice", "1700000001.a", 32<<20)
	c := s.login(t, "alice")
	c.do("SELECT INBOX")
	c.send("x FETCH 1 BODY.PEEK[]\r\n")
	c.line()
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); err == nil {
		t.Error("no error")
	}
}

func TestConnectionLimits(t *testing.T) {
	s := startServer(t, func(o *Options) { o.Limits.Connections = 2 })
	a := s.connect(t)
	s.connect(t)
	c, err := s.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	line, _ := bufio.NewReader(c).ReadString('\n')
	if line != "* BYE [LIMIT] too many connections\r\n" {
		t.Errorf("%q", line)
	}
	a.do("LOGOUT")
	for range 100 {
		if s.conns.Open() == 1 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.connect(t)
}

// Neither FETCH nor APPEND holds a message in memory.
func TestLargeMessageStreams(t *testing.T) {
	const size = 48 << 20
	s := startServer(t, nil)
	c := s.login(t, "alice")
	chunk := []byte(strings.Repeat(strings.Repeat("y", 76)+"\r\n", 13))
	total := size / len(chunk) * len(chunk)
	before := allocated()
	c.send(fmt.Sprintf("x APPEND INBOX {%d+}\r\n", total))
	for n := 0; n < total; n += len(chunk) {
		if _, err := c.conn.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	c.send("\r\n")
	if line := c.line(); !strings.HasPrefix(line, "x OK [APPENDUID") {
		t.Fatal(line)
	}
	if used := allocated() - before; used > size {
		t.Errorf("%d MiB allocated to store a message of %d MiB", used>>20, size>>20)
	}
	c.do("SELECT INBOX")
	before = allocated()
	c.send("x FETCH 1 (BODY.PEEK[] BODY.PEEK[TEXT]<1000000.20>)\r\n")
	if line := c.line(); line != fmt.Sprintf("* 1 FETCH (BODY[] {%d}", total) {
		t.Fatal(line)
	}
	if n, err := io.CopyN(io.Discard, c.in, int64(total)); err != nil {
		t.Fatal(n, err)
	}
	for !strings.HasPrefix(c.line(), "x OK") {
	}
	if used := allocated() - before; used > size/16 {
		t.Errorf("%d MiB allocated to send a message of %d MiB", used>>20, size>>20)
	}
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// What the snapshot knows is answered from it; no file is looked at.
func TestFetchPlan(t *testing.T) {
	for items, want := range map[string][3]bool{ // date, size, file
		"(UID FLAGS)":        {},
		"(UID FLAGS MODSEQ)": {},
		"(INTERNALDATE)":     {true, false, false},
		"FAST":               {true, true, false},
		"(RFC822.SIZE)":      {false, true, false},
		"(ENVELOPE)":         {false, false, true},
		"BODY.PEEK[]":        {false, false, true},
	} {
		d := wire.NewDecoder(strings.NewReader(" 1:* "+items+"\r\n"), wire.Limits{Line: 1000, Literal: 1000, Depth: 9}, nil)
		if err := d.Begin(); err != nil {
			t.Fatal(err)
		}
		p := &parser{Decoder: d, lim: &Limits{FetchItems: 10}}
		cmd := &fetchCommand{}
		if !cmd.parse(p) {
			t.Fatal(items, d.Err())
		}
		if got := [3]bool{cmd.needDate, cmd.needSize, cmd.needRecord || cmd.needText || cmd.needParts}; got != want {
			t.Errorf("%s needs %v, want %v", items, got, want)
		}
	}
}

// An answer of many messages costs no allocation a message.
func TestFetchAllocates(t *testing.T) {
	s := startServer(t, nil)
	const n = 2000
	for i := range n {
		s.deliver(t, "alice", fmt.Sprintf("17%08d.a", i), 10)
	}
	c := s.login(t, "alice")
	c.do("SELECT INBOX")
	c.send("x UID FETCH 1:* (FLAGS)\r\n")
	c.drain()
	before := mallocs()
	c.send("x UID FETCH 1:* (FLAGS)\r\n")
	c.drain()
	if used := mallocs() - before; used > n/4 {
		t.Errorf("%d allocations for %d messages", used, n)
	}
}

// drain reads up to the tagged line without allocating.
func (c *client) drain() {
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			c.t.Fatal(err)
		}
		if line[0] == 'x' {
			return
		}
	}
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}
