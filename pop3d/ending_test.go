package pop3d

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// The last answer arrives, and then the end and not a reset, although the client
// has sent more than is read.
func TestLastAnswerArrives(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.FailedCommands = 3 })
	f.deliver("alice", "1000.M1.h", "Subject: x\n\nx\n")
	login := "USER alice\r\nPASS " + password + "\r\n"
	for send, want := range map[string]string{
		"QUIT\r\n" + strings.Repeat("NOOP\r\n", 30000):                   "+OK Logging out.",
		login + "DELE 1\r\nQUIT\r\n" + strings.Repeat("NOOP\r\n", 30000): "+OK Logging out, 1 messages removed.",
		strings.Repeat("FOO\r\n", 30000):                                 "-ERR Too many failed commands.",
		strings.Repeat("x", 300_000):                                     "-ERR Line too long.",
	} {
		c := f.dial()
		go io.WriteString(c.conn, send)
		all, err := io.ReadAll(c.r)
		if err != nil || !strings.HasSuffix(string(all), want+"\r\n") {
			t.Errorf("%.60q: %q, %v; want %q", send, all, err, want)
		}
	}
}

// What `printf ... | nc` does: all commands at once, then the end of its side.
func TestPipelineThenEnd(t *testing.T) {
	f := start(t)
	f.deliver("alice", "1000.M1.h", "Subject: x\n\nx\n")
	c := f.dial()
	c.send("USER alice\r\nPASS " + password + "\r\nSTAT\r\nRETR 1\r\n")
	if err := c.conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(c.r)
	if err != nil || !strings.HasSuffix(string(all), "\r\nx\r\n.\r\n") {
		t.Errorf("%q, %v", all, err)
	}
}

// However long a session has waited, it goes on and ends well.
func TestLongSilence(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.IdleTimeout = 5 * time.Second })
	f.deliver("alice", "1000.M1.h", "Subject: x\n\nx\n")
	c, silent := f.login("alice"), f.login("alice")
	for range 2 {
		time.Sleep(briefly + briefly/4) // by now no goroutine waits
		c.script("C: STAT\nS: +OK 1 *")
	}
	time.Sleep(briefly + briefly/4)
	c.script("C: QUIT\nS: +OK*\nEND")
	silent.script("END")
	f.logHas("msg=logout", "reason=inactivity")
}
