package socket

import (
	"net"
	"testing"
	"time"
)

type sleeper chan struct{}

func (s sleeper) Resume() { s <- struct{}{} }

func (s sleeper) wait(t *testing.T) {
	t.Helper()
	select {
	case <-s:
	case <-time.After(10 * time.Second):
		t.Fatal("it does not resume")
	}
}

func newPoller(t *testing.T) *Poller {
	t.Helper()
	p, err := NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *Poller) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.parked)
}

func TestPark(t *testing.T) {
	p := newPoller(t)
	defer p.Close()
	for name, end := range map[string]struct {
		do   func(*Conn, *net.TCPConn)
		want error
	}{
		"octets":    {func(_ *Conn, client *net.TCPConn) { client.Write([]byte("x")) }, nil},
		"the end":   {func(_ *Conn, client *net.TCPConn) { client.CloseWrite() }, nil},
		"a reset":   {func(_ *Conn, client *net.TCPConn) { client.SetLinger(0); client.Close() }, nil},
		"Wake":      {func(c *Conn, _ *net.TCPConn) { c.Wake() }, ErrWoken},
		"Interrupt": {func(c *Conn, _ *net.TCPConn) { c.Interrupt() }, ErrInterrupted},
		"Cut":       {func(c *Conn, _ *net.TCPConn) { c.Cut() }, nil},
	} {
		for _, before := range []bool{false, true} { // before Park, or while parked
			c, client := pair(t)
			s := make(sleeper, 2)
			if before {
				end.do(c, client)
			}
			if !p.Park(c, soon(), s) {
				if name != "Cut" || !before {
					t.Fatalf("%s: not parked", name)
				}
				continue
			}
			if !before {
				end.do(c, client)
			}
			s.wait(t)
			if err := c.Await(soon()); err != end.want {
				t.Errorf("%s: Await gives %v, want %v", name, err, end.want)
			}
			if p.count() != 0 || len(s) != 0 {
				t.Errorf("%s: %d parked, %d times resumed again", name, p.count(), len(s))
			}
		}
	}
}

func TestParkDeadline(t *testing.T) {
	p := newPoller(t)
	defer p.Close()
	late, _ := pair(t)
	early, client := pair(t)
	a, b := make(sleeper, 1), make(sleeper, 1)
	deadline := time.Now().Add(50 * time.Millisecond)
	if !p.Park(late, soon(), a) || !p.Park(early, deadline, b) {
		t.Fatal("not parked")
	}
	b.wait(t)
	wantErr(t, early.Await(deadline), ErrDeadline)
	if p.count() != 1 {
		t.Errorf("%d parked", p.count())
	}
	// It can be parked again, and the other one has lost nothing.
	if !p.Park(early, soon(), b) {
		t.Fatal("not parked")
	}
	client.Write([]byte("x"))
	b.wait(t)
	early.expect(t, "x")
	late.Wake()
	a.wait(t)
}

func TestPollerClose(t *testing.T) {
	p := newPoller(t)
	c, _ := pair(t)
	s := make(sleeper, 1)
	if !p.Park(c, soon(), s) {
		t.Fatal("not parked")
	}
	p.Close()
	s.wait(t)
	if p.Park(c, soon(), s) {
		t.Error("parked in a closed Poller")
	}
}

// What was decrypted is there at once, although the socket has nothing.
func TestParkKnowsWhatIsDecrypted(t *testing.T) {
	p := newPoller(t)
	defer p.Close()
	c, raw := pair(t)
	client := overTLS(t, c, raw)
	client.Write([]byte("two octets"))
	wantErr(t, c.Await(soon()), nil)
	c.expect(t, "t")
	if p.Park(c, soon(), make(sleeper, 1)) {
		t.Error("parked")
	}
	c.expect(t, "wo octets")
}

// After many connections have fallen silent their memory is given back, once.
func TestTrim(t *testing.T) {
	p := newPoller(t)
	trims := make(chan struct{}, 10)
	p.trim, p.trimAfter = func() { trims <- struct{}{} }, 3
	s := make(sleeper, 8)
	park := func(n int) {
		for range n {
			c, _ := pair(t)
			if !p.Park(c, time.Now().Add(time.Hour), s) {
				t.Fatal("not parked")
			}
		}
	}
	park(3)
	select {
	case <-trims:
	case <-time.After(10 * time.Second):
		t.Fatal("no trim")
	}
	park(2)
	p.mu.Lock()
	p.sweepLocked(time.Now())
	p.mu.Unlock()
	p.Close()
	if len(trims) != 0 {
		t.Error("trimmed again for a few")
	}
}
