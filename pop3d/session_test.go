package pop3d

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"
	"time"
)

// No goroutine of a server is left when all tests have ended.
func TestMain(m *testing.M) {
	code := m.Run()
	for range 100 {
		if !strings.Contains(stacks(), "postroom/pop3d.(*") {
			os.Exit(code)
		}
		time.Sleep(20 * time.Millisecond)
	}
	fmt.Fprintln(os.Stderr, "goroutines left behind:\n"+stacks())
	os.Exit(1)
}

func stacks() string {
	var out bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&out, 1)
	return out.String()
}

func TestQuitRemoves(t *testing.T) {
	f := start(t)
	for i := range 5 {
		f.deliver("alice", fmt.Sprintf("100%d.M1.h", i), "Subject: x\n\nx\n")
	}
	c := f.login("alice")
	c.script("C: DELE 2\nS: +OK*\nC: DELE 4\nS: +OK*\nC: RETR 1\nS: +OK 17 octets\nS: Subject: x\nS: \nS: x\nS: .")
	if got := f.files(); len(got) != 5 {
		t.Fatalf("DELE removed before QUIT: %q", got)
	}
	c.script("C: QUIT\nS: +OK Logging out, 2 messages removed.\nEND")
	want := []string{"new/1000.M1.h", "new/1002.M1.h", "new/1004.M1.h"}
	if got := f.files(); !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
	f.logHas("msg=login", "user=alice", "method=USER", "tls=false", "messages=5")
	f.logHas("msg=logout", "user=alice", "reason=quit", "retr=1", "retr_bytes=17", "dele=2", "expunged=2")
}

// RFC 1939 section 6: without QUIT there is no UPDATE state.
func TestNothingRemovedWithoutQuit(t *testing.T) {
	ends := map[string]func(*client){
		"dropped":       func(c *client) { c.conn.Close() },
		"reset":         func(c *client) { _ = c.conn.(*net.TCPConn).SetLinger(0); c.conn.Close() },
		"QUIT cut off":  func(c *client) { c.send("QUIT"); c.conn.Close() },
		"RSET and QUIT": func(c *client) { c.script("C: RSET\nS: +OK*\nC: QUIT\nS: +OK Logging out.\nEND") },
		"idle":          func(c *client) { c.wantEnd() }, // RFC 1939 section 3: closed without a word
		"bad commands": func(c *client) {
			c.send(strings.Repeat("BAD\r\n", 20))
			_, _ = io.Copy(io.Discard, c.conn)
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			f := start(t, func(o *Options) { o.Limits.IdleTimeout = 500 * time.Millisecond })
			f.deliver("alice", "1000.M1.h", "Subject: x\n\nx\n")
			c := f.login("alice")
			c.t = t
			c.script("C: DELE 1\nS: +OK*")
			end(c)
			f.logHas("msg=logout", "expunged=0")
			if got := f.files(); len(got) != 1 {
				t.Errorf("message was removed")
			}
		})
	}
}

// The snapshot holds for the session's life, whatever others do.
func TestSnapshot(t *testing.T) {
	f := start(t)
	f.deliver("alice", "1000.M1.h", "Subject: one\n\n1\n")
	gone := f.deliver("alice", "1001.M1.h", "Subject: two\n\n2\n")
	seen := f.deliver("alice", "1002.M1.h", "Subject: three\n\n3\n")
	a, b := f.login("alice"), f.login("alice")
	ids := a.multi("UIDL")
	a.script("C: STAT\nS: +OK 3 59")

	// Others deliver, remove, and mark as read.
	f.deliver("alice", "1003.M1.h", "Subject: four\n\n4\n")
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	cur := filepath.Join(f.tree, "alice", "Maildir", "cur", "1002.M1.h:2,S")
	if err := os.Rename(seen, cur); err != nil {
		t.Fatal(err)
	}
	if again := a.multi("UIDL"); !slices.Equal(ids, again) {
		t.Errorf("UIDL changed: %q, %q", ids, again)
	}
	a.script("C: STAT\nS: +OK 3 59\nC: RETR 2\nS: -ERR Message is gone.\n" +
		"C: RETR 3\nS: +OK 21 octets\nS: Subject: three\nS: \nS: 3\nS: .\nC: LIST 4\nS: -ERR There is no such message.")

	// Two sessions that remove the same one, and one that is gone: all succeed.
	a.script("C: DELE 1\nS: +OK*\nC: DELE 2\nS: +OK*\nC: QUIT\nS: +OK*\nEND")
	b.script("C: DELE 1\nS: +OK*\nC: DELE 3\nS: +OK*\nC: QUIT\nS: +OK*\nEND")
	c := f.login("alice")
	c.script("C: STAT\nS: +OK 1 20\nC: UIDL 1\nS: +OK 1 00000004*")
	if got := f.files(); !slices.Equal(got, []string{"new/1003.M1.h"}) {
		t.Errorf("files %q", got)
	}
}

// UIDLs are the same in the next process, and those that the uid list notes hold.
func TestUIDLAndOrder(t *testing.T) {
	f := start(t)
	for i := 1; i <= 4; i++ {
		f.deliver("alice", fmt.Sprintf("%d.M1.h", 1000+i), fmt.Sprintf("Subject: %d\n\n", i))
	}
	list := "3 V1795466777 N5 G589d653119a6046b5111000083ecc375\n" +
		"1 :1001.M1.h\n2 PUID2-795460 :1002.M1.h\n3 O2 P :1003.M1.h\n4 O1 :1004.M1.h\n"
	if err := os.WriteFile(filepath.Join(f.tree, "alice", "Maildir", "dovecot-uidlist"), []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	c := f.login("alice")
	want := []string{"1 000000046b04a619", "2 1003.M1.h", "3 000000016b04a619", "4 UID2-795460"}
	if got := c.multi("UIDL"); !slices.Equal(got, want) {
		t.Errorf("UIDL %q\nwant %q", got, want)
	}
	if got := c.multi("TOP 1 0"); got[0] != "Subject: 4" {
		t.Errorf("message 1 is %q", got)
	}
	// What is removed is what was named.
	c.script("C: DELE 1\nS: +OK*\nC: DELE 4\nS: +OK*\nC: QUIT\nS: +OK*\nEND")
	if got := f.files(); !slices.Equal(got, []string{"new/1001.M1.h", "new/1003.M1.h"}) {
		t.Errorf("files %q", got)
	}
}

// RFC 2449 section 6.6: a whole session in one packet.
func TestPipelining(t *testing.T) {
	f := start(t)
	f.deliver("alice", "1000.M1.h", "Subject: x\n\nx\n")
	c := f.dialRaw(f.addr)
	c.send("USER alice\r\nPASS secret word\nSTAT\r\nRETR 1\r\nDELE 1\r\nQUIT\r\nSTAT\r\n")
	c.script("S: +OK*\nS: +OK*\nS: +OK Logged in.\nS: +OK 1 17\nS: +OK 17 octets\nS: Subject: x\nS: \nS: x\nS: .\n" +
		"S: +OK*\nS: +OK Logging out, 1 messages removed.")
	if got := f.files(); len(got) != 0 {
		t.Errorf("files %q", got)
	}
}

// A message far larger than any buffer arrives whole, and is not kept in memory.
func TestLargeMessage(t *testing.T) {
	f := start(t)
	var text strings.Builder
	text.WriteString("Subject: large\n\n")
	for i := range 400_000 {
		fmt.Fprintf(&text, ".%d line of a large message, which goes on and on\n", i)
	}
	f.deliver("alice", "1000.M1.h", text.String())
	c := f.login("alice")
	c.send("LIST 1\r\n")
	c.want(fmt.Sprintf("+OK 1 %d", text.Len()+400_002))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	c.send("RETR 1\r\n")
	c.want("+OK*")
	n := 0
	for line := c.read(); line != "."; line = c.read() {
		if n >= 2 && line != fmt.Sprintf("..%d line of a large message, which goes on and on", n-2) {
			t.Fatalf("line %d: %q", n, line)
		}
		n++
	}
	runtime.ReadMemStats(&after)
	if n != 400_002 {
		t.Errorf("%d lines", n)
	}
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 16<<20 {
		t.Errorf("heap grew by %d octets for one RETR", grown)
	}
}

// RFC 3206: who types a right password while the directory is down must not be
// asked for another.
func TestAuthenticationDown(t *testing.T) {
	f := start(t)
	f.auth.temporary = true
	c := f.dial()
	c.script("C: USER alice\nS: +OK*\nC: PASS " + password + "\nS: -ERR [SYS/TEMP]*\n" +
		"C: AUTH PLAIN AGFsaWNlAHNlY3JldCB3b3Jk\nS: -ERR [SYS/TEMP]*")
	f.logHas("level=ERROR", "directory is down")
}

// One message that cannot be read does not keep the user from the others.
func TestUnreadableMessage(t *testing.T) {
	f := start(t)
	f.deliver("alice", "1000.M1.h", "Subject: one\n\n")
	bad := f.deliver("alice", "1001.M1.h", "Subject: two\n\n")
	f.deliver("alice", "1002.M1.h", "Subject: three\n\n")
	c := f.login("alice")
	if err := os.Remove(bad); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", bad); err != nil {
		t.Fatal(err)
	}
	c.script(`
		C: LIST
		S: +OK 3 messages:
		S: 1 16
		S: 2 0
		S: 3 18
		S: .
		C: RETR 2
		S: -ERR*
		C: RETR 3
		S: +OK*
		S: Subject: three
		S: 
		S: .`)
}

func TestUnreadableMessageIsCutOff(t *testing.T) {
	f := start(t)
	path := f.deliver("alice", "1000.M1.h", "Subject: large\n\n"+strings.Repeat("a line that fills the socket\n", 1_000_000))
	c := f.login("alice")
	c.send("RETR 1\r\n")
	c.want("+OK*")
	// The server is somewhere in the message, held up by the socket's buffers.
	if err := os.Truncate(path, 1000); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(c.r)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.HasSuffix(rest, []byte("\r\n.\r\n")) {
		t.Error("a message that was cut off ends as if it were whole")
	}
	f.logHas("level=ERROR", "reading a message failed")
}

// The store's lock is held by another program: QUIT says that the messages are
// still there, and they are.
func TestUpdateFails(t *testing.T) {
	if testing.Short() {
		t.Skip("waits ten seconds for a lock")
	}
	t.Parallel()
	f := start(t)
	f.deliver("alice", "1000.M1.h", "Subject: x\n\nx\n")
	c := f.login("alice")
	c.script("C: DELE 1\nS: +OK*")
	lock := filepath.Join(f.tree, "alice", "Maildir", "dovecot-uidlist.lock")
	stop := make(chan struct{})
	held := make(chan struct{})
	go func() { // touched, as a living holder does, so that it is not stale
		defer close(held)
		for {
			_ = os.WriteFile(lock, fmt.Appendf(nil, "%d:%s", os.Getpid(), "elsewhere"), 0o600)
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	c.script("C: QUIT\nS: -ERR [SYS/TEMP] Some deleted messages not removed.\nEND")
	close(stop)
	<-held
	_ = os.Remove(lock)
	if got := f.files(); len(got) != 1 {
		t.Errorf("files %q", got)
	}
	f.logHas("msg=logout", "reason=quit", "expunged=0")
}
