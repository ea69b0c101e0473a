package imapd

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// accepted gives a session's connection, which no goroutine serves, and its client.
func accepted(t *testing.T, s *server) (*conn, *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); nc.Close() })
	return newConn(s.Server, nc, netip.MustParseAddr("127.0.0.1"), false), client.(*net.TCPConn)
}

// untilCancelled is a command that ends by its context alone.
func untilCancelled(c *conn) error {
	select {
	case <-c.ctx.Done():
		return context.Cause(c.ctx)
	case <-time.After(20 * time.Second):
		return errors.New("nobody has cancelled it")
	}
}

// A long command ends when its client has gone, with a reset or without.
func TestLongCommandOfDepartedClient(t *testing.T) {
	s := startServer(t, nil)
	for name, depart := range map[string]func(*net.TCPConn){
		"closed":       func(c *net.TCPConn) { c.Close() },
		"reset":        func(c *net.TCPConn) { c.SetLinger(0); c.Close() },
		"closed later": func(c *net.TCPConn) { c.CloseWrite(); time.AfterFunc(100*time.Millisecond, func() { c.Close() }) },
		"with a command waiting": func(c *net.TCPConn) {
			io.WriteString(c, "y NOOP\r\n")
			c.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, client := accepted(t, s)
			depart(client)
			if err := c.attended(untilCancelled); err != errDeparted {
				t.Error(err)
			}
		})
	}
}

// A client that has ended its own side and reads on is there: its command runs
// to the end, and it is told a line meanwhile.
func TestLongCommandOfHalfClosedClient(t *testing.T) {
	s := startServer(t, nil)
	c, client := accepted(t, s)
	client.CloseWrite()
	told := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(client).ReadString('\n')
		told <- line
	}()
	err := c.attended(func(c *conn) error {
		if line := <-told; line != "* OK Still at work\r\n" {
			t.Errorf("told %q", line)
		}
		time.Sleep(lookEvery + lookEvery/2) // it is looked at once more
		return c.ctx.Err()
	})
	if err != nil {
		t.Error(err)
	}
}

// A line in between would spoil a response that is half written.
func TestLongCommandIsNotInterrupted(t *testing.T) {
	s := startServer(t, nil)
	c, client := accepted(t, s)
	client.CloseWrite()
	err := c.attended(func(c *conn) error {
		c.enc.Raw("* SEARCH 1")
		if err := c.enc.Flush(); err != nil {
			return err
		}
		time.Sleep(lookEvery + lookEvery/2)
		c.enc.Raw(" 2\r\n")
		return c.enc.Flush()
	})
	c.sock.Close()
	got, _ := io.ReadAll(client)
	if err != nil || string(got) != "* SEARCH 1 2\r\n" {
		t.Errorf("%q, %v", got, err)
	}
}

// What `printf ... | nc` does: all commands at once, then the end of its side.
// Every one is answered, and the end is no reset.
func TestPipelineThenEnd(t *testing.T) {
	for _, last := range []string{"f LOGOUT\r\n", ""} {
		s := startServer(t, nil)
		s.deliver(t, "alice", "1700000001.a", 100)
		c := s.connect(t)
		c.send("a LOGIN alice secret\r\nb SELECT INBOX\r\nc SEARCH TEXT x\r\nd COPY 1 INBOX\r\ne FETCH 1 (UID)\r\n" + last)
		if err := c.conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		all, err := io.ReadAll(c.in)
		if err != nil {
			t.Error(err)
		}
		for _, tag := range strings.Split("abcde"+last[:min(len(last), 1)], "") {
			if !strings.Contains(string(all), "\r\n"+tag+" OK ") && !strings.HasPrefix(string(all), tag+" OK ") {
				t.Errorf("%s has no answer in:\n%s", tag, all)
			}
		}
	}
}

// BYE and the last answer arrive although the client has sent more than is read.
func TestLastAnswerArrives(t *testing.T) {
	s := startServer(t, func(o *Options) { o.Limits.BadCommands = 3 })
	for send, want := range map[string]string{
		"x LOGOUT\r\n" + strings.Repeat("y NOOP\r\n", 20000): "x OK Logged out",
		strings.Repeat("bad\r\n", 30000):                     "* BYE Too many bad commands",
	} {
		c := s.connect(t)
		go io.WriteString(c.conn, send)
		all, err := io.ReadAll(c.in)
		if err != nil || !strings.HasSuffix(strings.TrimSpace(string(all)), want) {
			t.Errorf("%q, %v; want %q", all, err, want)
		}
	}
}

// A session in IDLE is woken however long it has waited, and ends well.
func TestLongIdle(t *testing.T) {
	s := startServer(t, nil)
	s.deliver(t, "alice", "1700000001.a", 100)
	c := s.login(t, "alice")
	c.do("SELECT INBOX")
	c.send("i IDLE\r\n")
	if line := c.line(); line != "+ idling" {
		t.Fatal(line)
	}
	for n := 2; n < 4; n++ {
		time.Sleep(briefly + briefly/4) // by now no goroutine waits
		s.deliver(t, "alice", "170000000"+string(rune('0'+n))+".a", 100)
		if line := c.line(); line != "* "+string(rune('0'+n))+" EXISTS" {
			t.Error(line)
		}
		if line := c.line(); !strings.HasSuffix(line, "RECENT") {
			t.Error(line)
		}
	}
	time.Sleep(briefly + briefly/4)
	c.send("DONE\r\n")
	if line := c.line(); line != "i OK IDLE completed" {
		t.Error(line)
	}
	c.do("NOOP")
}
