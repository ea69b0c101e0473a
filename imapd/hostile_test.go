package imapd

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A command that is cut at any octet changes nothing: what is not ended is not
// run, and what is half a literal is no message.
func TestCutCommands(t *testing.T) {
	s := startServer(t, nil)
	s.deliver(t, "alice", "1700000001.a", 100)
	s.deliver(t, "alice", "1700000002.b", 100)
	watch := s.login(t, "alice")
	watch.do("CREATE Work")
	watch.do("SELECT INBOX")
	state := func() string {
		return strings.Join(append(append(watch.do("FETCH 1:* (UID FLAGS)"), watch.do(`LIST "" * RETURN (SUBSCRIBED STATUS (MESSAGES))`)...), watch.do("NOOP")...), "\n")
	}
	before := state()
	for _, command := range []string{
		`STORE 1:* FLAGS (\Deleted $New)`, "UID EXPUNGE 1:*", "COPY 1 Work", "UID MOVE 1 Work", "DELETE Work", "RENAME Work Gone",
		"CREATE New", "SUBSCRIBE Work", "CREATE {3+}\r\nNew", "DELETE {4}\r\nWork", "APPEND Work (\\Seen) {5+}\r\na: b\n", "APPEND Work {5+}\r\na: b\n {5+}\r\nc: d\n",
		"FETCH 1 (BODY[])", `SEARCH RETURN (SAVE) OR TEXT {1+}` + "\r\nx NOT SEEN", "IDLE", "ENABLE QRESYNC", "LOGOUT", "CLOSE",
	} {
		for n := range len("x " + command) {
			if command == "FETCH 1 (BODY[])" && n%3 != 0 {
				continue
			}
			c := s.login(t, "alice")
			c.do("SELECT INBOX")
			c.send(("x " + command)[:n])
			c.conn.Close()
		}
	}
	for range 200 {
		if s.conns.Open() == 1 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if n := s.conns.Open(); n != 1 {
		t.Errorf("%d connections are open", n)
	}
	if after := state(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// A literal that is announced and never sent ends by the stall deadline, in
// every command that takes one; nothing is kept for it.
func TestLiteralNeverSent(t *testing.T) {
	s := startServer(t, func(o *Options) { o.Limits.StallTimeout = 200 * time.Millisecond })
	s.deliver(t, "alice", "1700000001.a", 100)
	for _, command := range []string{
		"LOGIN {5}", "LOGIN {5+}", "APPEND INBOX {100000000}", "APPEND INBOX {100000000+}", "APPEND INBOX ~{7}", "SELECT {5}", "SEARCH SUBJECT {131072}",
		"FETCH 1 BODY[HEADER.FIELDS ({7}", `LIST "" {7+}`, "STATUS {1}",
	} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			c := s.connect(t)
			if !strings.HasPrefix(command, "LOGIN") {
				c.do("LOGIN alice secret")
				c.do("SELECT INBOX")
			}
			c.send("x " + command + "\r\n")
			if !strings.HasSuffix(command, "+}") {
				if line := c.line(); line != "+ Ready for literal" {
					t.Fatal(line)
				}
				c.send("a")
			}
			if line := c.line(); !strings.HasPrefix(line, "* BYE ") {
				t.Error(line)
			}
			if line, err := c.in.ReadString('\n'); err == nil {
				t.Errorf("after BYE: %s", line)
			}
		})
	}
}

// Lines without end, lines of nothing, and what is no IMAP at all.
func TestHostileLines(t *testing.T) {
	s := startServer(t, nil)
	s.deliver(t, "alice", "1700000001.a", 100)
	for name, text := range map[string]string{
		"no line end":           "x FETCH 1 (" + strings.Repeat("FLAGS ", 400000),
		"parentheses":           "x SEARCH " + strings.Repeat("(", 100000) + "\r\n",
		"NOT":                   "x SEARCH " + strings.Repeat("NOT ", 100000) + "ALL\r\n",
		"huge set":              "x FETCH " + strings.Repeat("1:*,", 250000) + "1 (FLAGS)\r\n",
		"a tag of a megabyte":   strings.Repeat("t", 1<<20) + " NOOP\r\n",
		"zeros":                 strings.Repeat("\x00", 1<<20) + "\r\n",
		"empty lines":           strings.Repeat("\r\n", 1000),
		"HTTP":                  "GET / HTTP/1.1\r\nHost: a\r\n\r\n" + strings.Repeat("x: y\r\n", 100),
		"numbers out of range":  "x FETCH 4294967296 (FLAGS)\r\nx UID FETCH 99999999999999999999 (UID)\r\n",
		"literal out of range":  "x SELECT {99999999999999999999}\r\n",
		"many patterns":         `x LIST "" (` + strings.Repeat("* ", 5000) + "*)\r\n",
		"many status items":     "x STATUS INBOX (" + strings.Repeat("MESSAGES ", 50000) + "UNSEEN)\r\n",
		"many flags":            "x STORE 1 +FLAGS (" + strings.Repeat("k1 ", 100000) + "k2)\r\n",
		"many keywords":         "x STORE 1 +FLAGS (" + distinct(2000) + ")\r\n",
		"many header fields":    "x FETCH 1 (BODY[HEADER.FIELDS (" + strings.Repeat("a ", 100000) + "b)])\r\n",
		"deep section":          "x FETCH 1 BODY[" + strings.Repeat("1.", 100000) + "1]\r\n",
		"quoted without end":    "x SELECT \"" + strings.Repeat("a", 1<<20) + "\r\n",
		"literals in a literal": "x SELECT {4+}\r\n{4+}\r\n{4+}\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := s.login(t, "alice")
			c.do("SELECT INBOX")
			go func() { // the server may close before all is read
				_, _ = c.conn.Write([]byte(text + "\r\ny LOGOUT\r\n"))
			}()
			_ = c.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
			got := 0
			for {
				line, err := c.in.ReadString('\n')
				if strings.HasPrefix(line, "y OK") || err != nil {
					if err != nil && got == 0 {
						t.Errorf("no answer: %v", err)
					}
					return
				}
				if got++; got > 300000 {
					t.Fatal("answers without end")
				}
			}
		})
	}
	t.Run("after that", func(t *testing.T) { s.login(t, "alice").do("SELECT INBOX") })
}

func distinct(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "k%d ", i)
	}
	return b.String() + "k"
}
