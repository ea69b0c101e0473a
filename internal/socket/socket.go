// Package socket is the server's end of a connection that is silent most of
// its life: while it waits for the client no buffer is held, another goroutine
// can wake it, and what was written last arrives before it is closed.
package socket

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// What ends Await.
var (
	ErrDeadline    = os.ErrDeadlineExceeded
	ErrWoken       = errors.New("socket: woken")
	ErrInterrupted = errors.New("socket: interrupted")
)

// writeChunk is what the client must take in within one write timeout: a large
// message may take long, but a client that reads nothing may not.
const writeChunk = 32 << 10

// readAhead is what is read when a wait ends.
const readAhead = 4096

var buffers = sync.Pool{New: func() any { return new([readAhead]byte) }}

// Conn is a connection, in clear or over TLS. One goroutine at a time reads,
// waits and writes; Wake, Interrupt, Cut and Peer are for others.
type Conn struct {
	raw net.Conn
	sys syscall.RawConn // nil where the system does not know raw
	tls *tls.Conn       // nil in clear

	writeTimeout time.Duration
	deadline     time.Time // of reads, as SetReadDeadline was told
	noWait       bool      // reads of TLS take what is there, or fail with errEmpty
	hasFirst     bool      // first was decrypted by Await, and nobody has read it
	first        [1]byte

	// What a wait has read from raw and nobody has taken.
	ahead    *[readAhead]byte // nil: nothing
	pos, end int
	readErr  error // the failure of raw that ended its octets

	writeFailed bool
	prompt      bool   // Promptly writes
	unsent      []byte // what it has kept

	fill func(fd uintptr) bool // fillAhead, made a function once

	woken       atomic.Bool
	interrupted atomic.Bool
	cut         atomic.Bool

	poller  atomic.Pointer[Poller] // where it is parked
	sleeper Sleeper                // guarded by poller.mu while it is parked, like what follows and deadline
	fd      int32

	ringing  bool // it waits to be rung, or Ring runs
	again    bool // woken since Ring began
	recalled bool // it is to resume when Ring has ended
}

// New takes over raw. A write fails with a timeout when the client takes in
// less than 32 KiB in writeTimeout.
func New(raw net.Conn, writeTimeout time.Duration) *Conn {
	c := &Conn{raw: raw, writeTimeout: writeTimeout}
	if s, ok := raw.(syscall.Conn); ok {
		if sys, err := s.SyscallConn(); err == nil {
			c.sys = sys
			c.fill = c.fillAhead
		}
	}
	return c
}

// Handshake makes the server's side of a TLS handshake.
type Handshake func(context.Context, net.Conn) (*tls.Conn, error)

// StartTLS makes the handshake, within the deadline. What was read ahead is dropped: octets that came in
// clear before the handshake may be somebody else's, and must not be taken for
// the client's (RFC 2595 section 4, CVE-2011-0411). What is still in the
// socket goes to the handshake, which fails on it.
func (c *Conn) StartTLS(ctx context.Context, deadline time.Time, handshake Handshake) error {
	c.dropAhead()
	c.SetReadDeadline(deadline)
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	t, err := handshake(ctx, (*stream)(c))
	if err != nil {
		return err
	}
	c.tls = t
	return nil
}

// TLS is the state of TLS, nil in clear. It is made anew by each call.
func (c *Conn) TLS() *tls.ConnectionState {
	if c.tls == nil {
		return nil
	}
	state := c.tls.ConnectionState()
	return &state
}

// Encrypted tells whether the connection is over TLS.
func (c *Conn) Encrypted() bool { return c.tls != nil }

// LocalAddr and RemoteAddr are the socket's.
func (c *Conn) LocalAddr() net.Addr  { return c.raw.LocalAddr() }
func (c *Conn) RemoteAddr() net.Addr { return c.raw.RemoteAddr() }

// Read waits until the read deadline, or Interrupt, whichever is first.
func (c *Conn) Read(p []byte) (int, error) {
	if c.tls == nil {
		return (*stream)(c).Read(p)
	}
	if !c.hasFirst || len(p) == 0 {
		return c.tls.Read(p)
	}
	p[0], c.hasFirst = c.first[0], false
	if len(p) == 1 {
		return 1, nil
	}
	c.noWait = true
	n, _ := c.tls.Read(p[1:]) // a failure comes again at the next Read
	c.noWait = false
	return 1 + n, nil
}

// Write writes all of p, in chunks that each have the write timeout.
func (c *Conn) Write(p []byte) (int, error) {
	if c.tls != nil {
		return c.tls.Write(p)
	}
	return (*stream)(c).Write(p)
}

// SetReadDeadline bounds the Reads that follow. It does not undo Interrupt.
func (c *Conn) SetReadDeadline(t time.Time) {
	c.deadline = t
	_ = c.raw.SetReadDeadline(t)
	if c.interrupted.Load() {
		_ = c.raw.SetReadDeadline(past)
	}
}

var past = time.Unix(1, 0)

// Interrupt ends the Read or Await that goes on, and every later one that would
// have to wait. For any goroutine.
func (c *Conn) Interrupt() {
	c.interrupted.Store(true)
	_ = c.raw.SetReadDeadline(past)
	c.unpark()
}

// Interrupted tells whether Interrupt was called. For any goroutine.
func (c *Conn) Interrupted() bool { return c.interrupted.Load() }

// Wake makes the Await that goes on, or else the next one, return ErrWoken.
// It waits for nothing. For any goroutine.
func (c *Conn) Wake() {
	if c.woken.Swap(true) {
		return
	}
	if p := c.poller.Load(); p != nil && p.ring(c) {
		return
	}
	_ = c.raw.SetReadDeadline(past)
	c.unpark()
}

// Cut closes the socket at once, so that writes end as well. For any goroutine.
func (c *Conn) Cut() {
	c.cut.Store(true)
	_ = c.raw.Close()
	c.unpark()
}

// stream is what TLS runs on: the socket, and before it what was read ahead.
type stream Conn

// errEmpty says that nothing is there yet. As a temporary net.Error it leaves
// the state of TLS as it was.
type errEmpty struct{}

func (errEmpty) Error() string   { return "nothing to read yet" }
func (errEmpty) Timeout() bool   { return true }
func (errEmpty) Temporary() bool { return true }

func (s *stream) Read(p []byte) (int, error) {
	c := (*Conn)(s)
	if c.ahead != nil {
		n := copy(p, c.ahead[c.pos:c.end])
		if c.pos += n; c.pos == c.end {
			c.dropAhead()
		}
		return n, nil
	}
	if c.readErr != nil {
		return 0, c.readErr
	}
	if c.noWait {
		return 0, errEmpty{}
	}
	for {
		n, err := c.raw.Read(p)
		if err != nil && !isTimeout(err) {
			c.readErr = err
		}
		if n > 0 || !isTimeout(err) || c.interrupted.Load() || c.expired() {
			return n, err
		}
		c.SetReadDeadline(c.deadline) // it was Wake, which is for Await
	}
}

func (s *stream) Write(p []byte) (written int, err error) {
	if s.prompt {
		(*Conn)(s).writePromptly(p)
		return len(p), nil
	}
	if len(s.unsent) > 0 {
		first := s.unsent
		s.unsent = nil
		if _, err := s.writeAll(first); err != nil {
			return 0, err
		}
	}
	return s.writeAll(p)
}

func (s *stream) writeAll(p []byte) (written int, err error) {
	for len(p) > 0 {
		if err := s.raw.SetWriteDeadline(time.Now().Add(s.writeTimeout)); err != nil {
			return written, err
		}
		n, err := s.raw.Write(p[:min(len(p), writeChunk)])
		written += n
		if err != nil {
			s.writeFailed = true
			return written, err
		}
		p = p[n:]
	}
	return written, nil
}

func (s *stream) Close() error                       { return s.raw.Close() }
func (s *stream) LocalAddr() net.Addr                { return s.raw.LocalAddr() }
func (s *stream) RemoteAddr() net.Addr               { return s.raw.RemoteAddr() }
func (s *stream) SetDeadline(t time.Time) error      { return s.raw.SetDeadline(t) }
func (s *stream) SetReadDeadline(t time.Time) error  { return s.raw.SetReadDeadline(t) }
func (s *stream) SetWriteDeadline(t time.Time) error { return s.raw.SetWriteDeadline(t) }

func (c *Conn) expired() bool { return !c.deadline.IsZero() && !time.Now().Before(c.deadline) }

func (c *Conn) dropAhead() {
	if c.ahead != nil {
		buffers.Put(c.ahead)
		c.ahead, c.pos, c.end = nil, 0, 0
	}
}

func isTimeout(err error) bool {
	if e, ok := err.(net.Error); ok { // nearly always, and errors.As takes its time
		return e.Timeout()
	}
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

var _ io.ReadWriter = (*Conn)(nil)
