package socket

import (
	"runtime"
	"syscall"
)

// Ringer is a Sleeper that can do what a Wake is for without a goroutine of its own: a thousand that are woken at once
// need not each begin one, leave the Poller and come back to it.
type Ringer interface {
	Sleeper
	// Ring is called for a Wake while the connection is parked, without a lock. The connection is its own until it
	// returns, but it must not wait: it writes by Promptly. False makes the sleeper resume, and Await give ErrWoken.
	Ring() bool
}

// ringEach is how many waiting connections are worth another goroutine.
const ringEach = 32

// ring has c rung by one of the Poller's goroutines; false if c is not parked, or cannot be rung.
func (p *Poller) ring(c *Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.parked[c.fd] != c {
		return false
	}
	if _, ok := c.sleeper.(Ringer); !ok {
		return false
	}
	if c.ringing {
		c.again = true
		return true
	}
	c.ringing = true
	p.queueLocked(c)
	return true
}

func (p *Poller) queueLocked(c *Conn) {
	p.rung = append(p.rung, c)
	if p.ringers == 0 || len(p.rung) > ringEach*p.ringers && p.ringers < runtime.GOMAXPROCS(0) {
		p.ringers++
		p.rings.Go(p.runRings)
	}
}

// runRings rings what waits to be rung, and ends with the last.
func (p *Poller) runRings() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.rung) > 0 {
		c := p.rung[0]
		p.rung[0] = nil
		if p.rung = p.rung[1:]; len(p.rung) == 0 {
			p.rung = nil
		}
		if !c.recalled {
			p.ringLocked(c)
		}
		c.ringing = false
		switch {
		case c.recalled:
			p.unparkLocked(c)
		case c.again:
			c.ringing = true
			p.queueLocked(c)
		}
		c.again, c.recalled = false, false
	}
	p.ringers--
}

// ringLocked rings c, with p.mu given up meanwhile.
func (p *Poller) ringLocked(c *Conn) {
	r := c.sleeper.(Ringer)
	c.again = false
	p.mu.Unlock()
	c.woken.Store(false) // before it looks what is new: a Wake from now on rings again
	done := r.Ring()
	if !done {
		c.woken.Store(true)
	}
	p.mu.Lock()
	c.recalled = c.recalled || !done
}

// Promptly calls write, and keeps what it writes to c and the system does not take at once. It tells whether all was
// taken; else Flush has the rest to send.
func (c *Conn) Promptly(write func() error) (all bool, err error) {
	c.prompt = true
	err = write()
	c.prompt = false
	return len(c.unsent) == 0, err
}

// Flush sends what Promptly has kept.
func (c *Conn) Flush() error {
	_, err := (*stream)(c).Write(nil)
	return err
}

// writePromptly writes what the system takes. Its failures are left to who sends the rest.
func (c *Conn) writePromptly(p []byte) {
	taken := 0
	if len(c.unsent) == 0 {
		_ = c.sys.Control(func(fd uintptr) {
			if n, err := syscall.Write(int(fd), p); err == nil {
				taken = n
			}
		})
	}
	c.unsent = append(c.unsent, p[taken:]...)
}
