package socket

import (
	"bytes"
	"io"
	"testing"
	"time"
)

// bell is a Ringer whose Ring is what the test says.
type bell struct {
	sleeper
	ring func() bool
}

func (b *bell) Ring() bool { return b.ring() }

func TestRing(t *testing.T) {
	p := newPoller(t)
	defer p.Close()
	c, client := pair(t)
	rung := make(chan bool)
	b := &bell{make(sleeper, 2), func() bool { return <-rung }}
	if !p.Park(c, soon(), b) {
		t.Fatal("not parked")
	}
	for range 3 {
		c.Wake()
		rung <- true
	}
	// A Wake while it is being rung may be for what Ring has not seen.
	begun := func() {
		c.Wake()
		for c.woken.Load() {
			time.Sleep(time.Millisecond)
		}
	}
	begun()
	c.Wake()
	rung <- true
	rung <- true
	if p.count() != 1 || len(b.sleeper) != 0 {
		t.Errorf("%d parked, resumed %d times; want it to stay", p.count(), len(b.sleeper))
	}
	// Octets that come meanwhile are seen when Ring has ended, and not before.
	begun()
	client.Write([]byte("x"))
	for recalled := false; !recalled; time.Sleep(time.Millisecond) {
		p.mu.Lock()
		recalled = c.recalled
		p.mu.Unlock()
	}
	if len(b.sleeper) != 0 {
		t.Error("it resumes while it is rung")
	}
	rung <- true
	b.wait(t)
	c.expect(t, "x")
	// What Ring cannot do is left to whoever resumes.
	if !p.Park(c, soon(), b) {
		t.Fatal("not parked")
	}
	c.Wake()
	rung <- false
	b.wait(t)
	wantErr(t, c.Await(soon()), ErrWoken)
	if p.count() != 0 || len(b.sleeper) != 0 {
		t.Errorf("%d parked, resumed %d times more", p.count(), len(b.sleeper))
	}
}

func TestPollerCloseWhileRinging(t *testing.T) {
	p := newPoller(t)
	rung := make(chan bool)
	many := make([]*bell, 3*ringEach)
	for i := range many {
		c, _ := pair(t)
		many[i] = &bell{make(sleeper, 2), func() bool { return <-rung }}
		if !p.Park(c, soon(), many[i]) {
			t.Fatal("not parked")
		}
		c.Wake()
	}
	closed := make(chan struct{})
	go func() { p.Close(); close(closed) }()
	for open := true; open; {
		select {
		case rung <- true:
		case <-closed:
			open = false
		}
	}
	for _, b := range many {
		b.wait(t)
		if len(b.sleeper) != 0 {
			t.Error("resumed twice")
		}
	}
}

// TestPromptly: a client that takes nothing in keeps nobody waiting, and gets all of it in order in the end.
func TestPromptly(t *testing.T) {
	for _, secret := range []bool{false, true} {
		c, client := pair(t)
		in := io.Reader(client)
		if secret {
			in = overTLS(t, c, client)
		}
		line := bytes.Repeat([]byte("* 1 EXISTS\r\n"), 1000)
		var want []byte
		write := func() error {
			_, err := c.Write(line)
			want = append(want, line...)
			return err
		}
		took := 0
		for all := true; all; took++ {
			var err error
			if all, err = c.Promptly(write); err != nil {
				t.Fatal(err)
			}
		}
		if all, err := c.Promptly(write); all || err != nil { // behind what is kept
			t.Fatal(all, err)
		}
		got := make([]byte, len(want))
		read := make(chan error, 1)
		go func() { _, err := io.ReadFull(in, got); read <- err }()
		if err := c.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := <-read; err != nil || !bytes.Equal(got, want) {
			t.Errorf("%v; what was written %d times came otherwise", err, took)
		}
		if all, err := c.Promptly(func() error { return nil }); !all || err != nil {
			t.Error("something is kept that was sent", err)
		}
	}
}
