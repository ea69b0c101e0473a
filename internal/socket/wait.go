package socket

import (
	"io"
	"os"
	"syscall"
	"time"
)

// Await returns nil when Read has something to give, be it a failure, without
// waiting. Otherwise it returns ErrWoken, ErrInterrupted, or, at the deadline,
// ErrDeadline. While it waits the connection holds no buffer, and
// the stack that it needs is less than what a goroutine begins with: a session
// that waits in a new goroutine costs little.
func (c *Conn) Await(deadline time.Time) error {
	for {
		if c.Readable() {
			return nil
		}
		// First the deadline, then the look: whoever sets a flag sets a
		// deadline next, which this one must not undo unseen.
		c.SetReadDeadline(deadline)
		if c.woken.Swap(false) {
			return ErrWoken
		}
		if c.interrupted.Load() {
			return ErrInterrupted
		}
		if err := c.wait(); err != nil && isTimeout(err) {
			switch {
			case c.woken.Swap(false):
				return ErrWoken
			case c.interrupted.Load():
				return ErrInterrupted
			case c.expired():
				return ErrDeadline
			}
		} else if err != nil && c.readErr == nil {
			c.readErr = err
		}
	}
}

// brief is how soon a client that is at work sends its next command. Until then a goroutine that waits
// costs less than one that ends and is begun anew.
const brief = 20 * time.Millisecond

// AwaitBriefly waits as Await does, but not for long; it tells whether Read has something to give. What else ends a
// wait the next Await tells; a Wake it may forget.
func (c *Conn) AwaitBriefly(deadline time.Time) bool {
	soon := time.Now().Add(brief)
	return soon.Before(deadline) && c.Await(soon) == nil
}

// Readable tells whether Read has something to give without looking at the
// socket.
func (c *Conn) Readable() bool {
	if c.tls == nil {
		return c.ahead != nil || c.readErr != nil
	}
	if c.hasFirst {
		return true
	}
	c.noWait = true
	n, err := c.tls.Read(c.first[:])
	c.noWait = false
	c.hasFirst = n > 0
	return n > 0 || err != nil && !isTimeout(err)
}

// wait reads ahead what comes next from raw.
func (c *Conn) wait() error {
	if c.sys != nil {
		return c.sys.Read(c.fill)
	}
	b := buffers.Get().(*[readAhead]byte)
	n, err := c.raw.Read(b[:])
	if n == 0 {
		buffers.Put(b)
		return err
	}
	c.ahead, c.pos, c.end = b, 0, n
	return nil
}

// fillAhead is called when the socket may have octets; false means that it had
// none.
func (c *Conn) fillAhead(fd uintptr) bool {
	b := buffers.Get().(*[readAhead]byte)
	n, err := syscall.Read(int(fd), b[:])
	for err == syscall.EINTR {
		n, err = syscall.Read(int(fd), b[:])
	}
	if n > 0 {
		c.ahead, c.pos, c.end = b, 0, n
		return true
	}
	buffers.Put(b)
	switch {
	case err == syscall.EAGAIN:
		return false
	case err == nil:
		c.readErr = io.EOF
	default:
		c.readErr = os.NewSyscallError("read", err)
	}
	return true
}
