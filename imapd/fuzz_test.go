package imapd

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postroom/imapd/wire"
	"postroom/internal/account"
)

// states in which the fuzzer's octets arrive, and what leads there.
var fuzzStates = [][]string{
	{},
	{"x LOGIN USER secret\r\n"},
	{"x LOGIN USER secret\r\n", "x SELECT INBOX\r\n"},
	{"x LOGIN USER secret\r\n", "x ENABLE QRESYNC IMAP4rev2\r\n", "x SELECT INBOX\r\n"},
	{"x LOGIN USER secret\r\n", "x SELECT INBOX\r\n", "x IDLE\r\n"},
	{"x LOGIN USER secret\r\n", "x APPEND INBOX {20}\r\n"},
	{"x AUTHENTICATE PLAIN\r\n"},
}

// FuzzSession sends octets to a session in each of its states, and then no
// more. The server must answer in whole lines, end the session, and not panic.
func FuzzSession(f *testing.F) {
	for _, text := range fuzzSeeds() {
		for state := range fuzzStates {
			f.Add(byte(state), []byte(text))
		}
	}
	var log syncBuffer
	s := startServer(f, func(o *Options) {
		o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError}))
		o.Limits = Limits{Append: 10000, Literal: 1000, Line: 20000, Depth: 20, LoginTimeout: 5 * time.Second, IdleTimeout: 5 * time.Second, StallTimeout: 5 * time.Second}
	})
	var users atomic.Int64
	f.Fuzz(func(t *testing.T, state byte, in []byte) {
		user := fmt.Sprintf("u%d", users.Add(1))
		defer os.RemoveAll(filepath.Join(s.root, user))
		s.deliver(t, user, "1700000001.a", 200)
		s.deliver(t, user, "1700000002.b", 200)
		out := converse(t, s, fuzzStates[int(state)%len(fuzzStates)], user, in)
		if len(out) > 0 && !bytes.HasSuffix(out, []byte("\r\n")) {
			t.Fatalf("the last line is not whole: %q", out[max(0, len(out)-200):])
		}
		if text := log.String(); strings.Contains(text, "panic") {
			t.Fatal(text)
		}
	})
}

// FuzzParse runs the parsers alone, which touch nothing, so it tries thousands
// of inputs while FuzzSession tries one.
func FuzzParse(f *testing.F) {
	for _, text := range fuzzSeeds() {
		for _, line := range strings.SplitAfter(text, "\r\n") {
			f.Add([]byte(line))
		}
	}
	lim := (Limits{Literal: 1000, Line: 20000, Depth: 20, SearchKeys: 100, FetchItems: 20}).withDefaults()
	f.Fuzz(func(t *testing.T, in []byte) {
		d := wire.NewDecoder(bytes.NewReader(in), wire.Limits{Line: lim.Line, Literal: lim.Literal, Discard: 1000, Depth: lim.Depth}, func() error { return nil })
		c := &conn{srv: &Server{lim: lim}, dec: d, user: new(account.User), sel: new(selection)}
		for d.Begin() == nil {
			var tag string
			if d.Tag(&tag) && d.SP() {
				if row, p, err := c.lookUp(); err == nil {
					if act := row.parse(p); d.Err() == nil && !row.stream && d.CRLF() {
						if act == nil {
							t.Fatalf("%s: neither an action nor an error", row.name)
						}
						continue
					}
				}
			}
			if d.DiscardLine() != nil {
				return
			}
		}
	})
}

// converse leads a session into a state, sends in, and gives what came after.
func converse(t *testing.T, s *server, lead []string, user string, in []byte) []byte {
	conn, err := s.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	r := bufio.NewReader(conn)
	if _, err := r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	for _, line := range lead {
		if _, err := io.WriteString(conn, strings.ReplaceAll(line, "USER", user)); err != nil {
			t.Fatal(err)
		}
		for {
			got, err := r.ReadString('\n')
			if err != nil {
				t.Fatalf("%v after %q", err, got)
			}
			if got[0] == '+' || strings.HasPrefix(got, "x ") {
				break
			}
		}
	}
	go func() { // ends with the connection
		_, _ = conn.Write(in)
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	out, err := io.ReadAll(r)
	var timeout net.Error
	if asTimeout(err, &timeout) {
		t.Fatalf("the session does not end; so far %q", out)
	}
	return out
}

func asTimeout(err error, target *net.Error) bool {
	e, ok := err.(net.Error)
	if ok {
		*target = e
	}
	return ok && e.Timeout()
}

// fuzzSeeds are the transcripts' commands, a file's in one, so that what is
// tested by hand is also where the fuzzer begins.
func fuzzSeeds() []string {
	seeds := []string{"DONE\r\nx NOOP\r\n", "0123456789012345678901234567890\r\n", "AGFsaWNlAHNlY3JldA==\r\n", "*\r\n"}
	files, _ := filepath.Glob("testdata/*.txt")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		var b strings.Builder
		for _, line := range strings.Split(string(text), "\n") {
			if _, command, ok := strings.Cut(line, ": C: "); ok && !strings.Contains(line, "{{") {
				b.WriteString(command + "\r\n")
			}
		}
		seeds = append(seeds, b.String())
	}
	return seeds
}
