package pop3d

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"postroom/internal/connlimit"
)

func TestLineLimit(t *testing.T) {
	f := start(t)
	c := f.dial()
	for _, length := range []int{511, 513, 600, 1024, 5000, 60_000} {
		c.send(strings.Repeat("x", length) + "\r\n")
		c.want("-ERR Line too long.")
	}
	c.send(strings.Repeat("x", 510) + "\r\n")
	c.want("-ERR Unknown command.")
	// The line after it is not part of it.
	c.script("C: USER alice\nS: +OK*")
	c.send(strings.Repeat("y", 70_000))
	c.want("-ERR Line too long.")
	c.t = t
	_, _ = io.Copy(io.Discard, c.conn)

	c = f.dial() // a line of an exchange may be longer
	c.script("C: AUTH PLAIN\nS: + ")
	c.send(strings.Repeat("A", 12_000) + "\r\n")
	c.want("-ERR [AUTH] Authentication failed.")
	c.script("C: AUTH PLAIN\nS: + ")
	c.send(strings.Repeat("A", 13_000) + "\r\n")
	c.want("-ERR Line too long.")
}

func TestLoginTimeout(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.LoginTimeout = 300 * time.Millisecond })
	begun := time.Now()
	c := f.dial()
	c.script("S: -ERR Login took too long.\nEND")
	// Bytes that trickle in do not help, nor does an exchange.
	c, d := f.dial(), f.dial()
	c.send("US")
	d.script("C: AUTH PLAIN\nS: + ")
	time.Sleep(200 * time.Millisecond)
	c.send("ER")
	c.script("S: -ERR Login took too long.\nEND")
	d.script("S: -ERR Login took too long.\nEND")
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestFailedCommands(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.FailedCommands = 3 })
	c := f.dial()
	c.script("C: FOO\nS: -ERR*\nC: USER alice\nS: +OK*\nC: PASS wrong\nS: -ERR*\nC: BAR\nS: -ERR Unknown command.\nS: -ERR Too many failed commands.\nEND")
	f.logHas("reason=\"too many failed commands\"")
	// What is refused for its own reasons does not count.
	c = f.login("alice")
	for range 10 {
		c.script("C: RETR 1\nS: -ERR There is no such message.")
	}
}

func TestCommandsBeforeLogin(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.CommandsBeforeLogin = 5 })
	c := f.dial()
	c.script("C: LANG *\nS: +OK*\nC: LANG *\nS: +OK*\nC: LANG *\nS: +OK*\nC: LANG *\nS: +OK*\nC: LANG *\nS: +OK*\nS: -ERR Too many commands before the login.\nEND")
}

func TestConnectionLimits(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.Connections = connlimit.Limits{Total: 3, PerAddress: 3, PerUser: 1} })
	first := f.login("alice")
	second := f.dial()
	second.script("C: USER alice\nS: +OK*\nC: PASS " + password + "\nS: -ERR [IN-USE] Too many connections.\n" +
		"C: USER bob\nS: +OK*\nC: PASS " + password + "\nS: +OK*")
	f.dial()
	f.dialRaw(f.addr).script("S: -ERR [SYS/TEMP] too many connections*\nEND")
	first.script("C: QUIT\nS: +OK*\nEND")
	f.logHas("msg=logout", "user=alice")
	f.waitOpen(2)
	f.login("alice")
}

func TestLoginDelay(t *testing.T) {
	f := start(t, func(o *Options) { o.LoginDelay = time.Hour })
	c := f.login("alice")
	if got := c.multi("CAPA"); !slices.Contains(got, "LOGIN-DELAY 3600") {
		t.Errorf("CAPA %q", got)
	}
	c.script("C: QUIT\nS: +OK*\nEND")
	c = f.dial()
	c.script("C: USER alice\nS: +OK*\nC: PASS wrong\nS: -ERR [AUTH]*\nC: USER alice\nS: +OK*\nC: PASS " + password + "\nS: -ERR [LOGIN-DELAY] Log in again in *")
	f.login("bob")
}

func TestLoginDelayForgets(t *testing.T) {
	now := time.Unix(1e9, 0)
	d := newLoginDelay(10*time.Second, func() time.Time { return now })
	for i := range 1000 {
		now = now.Add(time.Second)
		if wait := d.admit(fmt.Sprint("user", i)); wait != 0 {
			t.Fatalf("first login waits %v", wait)
		}
	}
	if len(d.last) > 21 {
		t.Errorf("%d users remembered", len(d.last))
	}
	if wait := d.admit("user999"); wait != 10*time.Second {
		t.Errorf("wait %v", wait)
	}
}

// A client that asks and does not read is cut off; nobody waits for it.
func TestSlowReader(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.WriteTimeout = 300 * time.Millisecond })
	f.deliver("alice", "1000.M1.h", "Subject: large\n\n"+strings.Repeat("a line that fills the socket\n", 1_000_000))
	c := f.login("alice")
	c.script("C: DELE 1\nS: +OK*\nC: RSET\nS: +OK*")
	c.send("RETR 1\r\n")
	f.logHas("msg=logout", "reason=\"client too slow\"", "retr=0")
}

func TestPanicEndsOneConnection(t *testing.T) {
	f := start(t)
	other := f.login("bob")
	f.auth.panics = true
	c := f.dial()
	c.script("C: USER alice\nS: +OK*\nC: PASS " + password + "\nEND")
	f.logHas("msg=panic", "authenticator broke", "pop3d.(*session).pass")
	other.script("C: STAT\nS: +OK 0 0")
	f.waitOpen(1)
}

func TestShutdown(t *testing.T) {
	config, trust := certificate(t)
	f := start(t, func(o *Options) { o.TLS = config })
	f.deliver("alice", "1000.M1.h", "Subject: x\n\nx\n")
	before := f.dial()
	inside := f.login("alice")
	inside.script("C: DELE 1\nS: +OK*")
	encrypted := f.dial()
	encrypted.script("C: STLS\nS: +OK*")
	encrypted = newClient(t, tls.Client(encrypted.conn, trust))
	encrypted.script("C: USER bob\nS: +OK*")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := f.server.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	for _, c := range []*client{before, inside, encrypted} {
		c.script("S: -ERR [SYS/TEMP] Server shutting down.\nEND")
	}
	if got := f.files(); len(got) != 1 {
		t.Error("shutting down removed a message")
	}
	if conn, err := net.Dial("tcp", f.addr); err == nil {
		conn.Close()
		t.Error("it still listens")
	}
}

// Sessions that are busy when the time is over are cut.
func TestShutdownCuts(t *testing.T) {
	f := start(t)
	f.deliver("alice", "1000.M1.h", "Subject: large\n\n"+strings.Repeat("a line that fills the socket\n", 1_000_000))
	c := f.login("alice")
	c.send("RETR 1\r\n")
	c.want("+OK*")
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if err := f.server.Shutdown(ctx); err == nil {
		t.Error("nothing was cut")
	}
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("took %v", took)
	}
}
