package pop3d

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"sync"
	"time"

	"postroom/internal/auth"
	"postroom/internal/socket"
)

// errLineTooLong is a line beyond its bound; the line has been skipped.
var errLineTooLong = errors.New("line too long")

// errFlood is a line so long that reading on for its end is not worth it.
var errFlood = errors.New("endless line")

const (
	writeBuffer = 16 << 10 // most messages go out in one write, with their answer
	readBuffer  = 512
	floodLength = 64 << 10 // of a line that is skipped
)

// Buffers of sessions that are not waiting.
var (
	readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, readBuffer) }}
	writers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, writeBuffer) }}
)

// conn is the connection of a session: lines in, bytes out, each with a bound
// and a deadline.
type conn struct {
	sock *socket.Conn
	cert *x509.Certificate // ours, shown in TLS
	r    *bufio.Reader     // nil, like w, while the session waits for a command
	w    *bufio.Writer
}

func newConn(raw net.Conn, writeTimeout time.Duration) *conn {
	return &conn{sock: socket.New(raw, writeTimeout)}
}

// attach takes buffers, if there are none.
func (c *conn) attach() {
	if c.r == nil {
		c.r, c.w = readers.Get().(*bufio.Reader), writers.Get().(*bufio.Writer)
		c.r.Reset(c.sock)
		c.w.Reset(c.sock)
	}
}

// detach gives the buffers back; what they hold is dropped.
func (c *conn) detach() {
	if c.r != nil {
		c.r.Reset(nil)
		c.w.Reset(nil)
		readers.Put(c.r)
		writers.Put(c.w)
		c.r, c.w = nil, nil
	}
}

// startTLS makes the handshake. What the client sent before it in plain text
// and was not read as a command yet is dropped: an attacker who put it there must
// not have it run inside the session (RFC 2595 section 4, CVE-2011-0411).
func (c *conn) startTLS(ctx context.Context, config *tls.Config, deadline time.Time) error {
	c.detach()
	defer c.attach()
	return c.sock.StartTLS(ctx, deadline, func(ctx context.Context, nc net.Conn) (t *tls.Conn, err error) {
		t, c.cert, err = auth.Handshake(ctx, nc, config)
		return t, err
	})
}

// pending tells whether there are octets that have been read and not taken.
func (c *conn) pending() bool { return c.r.Buffered() > 0 || c.sock.Readable() }

// rest sends what waits, and holds nothing until attach.
func (c *conn) rest() error {
	if err := c.w.Flush(); err != nil {
		return err
	}
	c.detach()
	return nil
}

// readLine reads to the next LF and returns the line without it and without a
// CR before it. Answers that wait are sent before it blocks, and only then:
// pipelined commands have theirs sent together. The line counts against limit
// with its end. A line cut off by the end of the input is no line.
func (c *conn) readLine(limit int, deadline time.Time) (string, error) {
	buffered, _ := c.r.Peek(c.r.Buffered())
	if bytes.IndexByte(buffered, '\n') < 0 && c.w.Buffered() > 0 {
		if err := c.w.Flush(); err != nil {
			return "", err
		}
	}
	c.sock.SetReadDeadline(deadline)
	var line []byte
	for length := 0; ; {
		part, err := c.r.ReadSlice('\n')
		length += len(part)
		if length <= limit {
			line = append(line, part...)
		}
		switch {
		case err == nil && length > limit:
			return "", errLineTooLong
		case err == nil:
			line = line[:len(line)-1]
			return string(bytes.TrimSuffix(line, []byte{'\r'})), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return "", err
		case length > floodLength:
			return "", errFlood
		}
	}
}

// isTimeout tells a passed deadline from other ends of a connection.
func isTimeout(err error) bool {
	var netErr net.Error
	return errors.As(err, &netErr) && netErr.Timeout()
}
