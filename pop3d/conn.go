package pop3d

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"postroom/internal/auth"
)

// errLineTooLong is a line beyond its bound; the line has been skipped.
var errLineTooLong = errors.New("line too long")

// errFlood is a line so long that reading on for its end is not worth it.
var errFlood = errors.New("endless line")

const (
	writeBuffer = 4096
	readBuffer  = 512
	writeChunk  = 16 << 10 // what must get through in one WriteTimeout
	floodLength = 64 << 10 // of a line that is skipped
)

// conn is the connection of a session: lines in, bytes out, each with a bound
// and a deadline. Only interrupt and cut may be called by others.
type conn struct {
	raw          net.Conn
	tls          *tls.Conn         // nil before TLS
	cert         *x509.Certificate // the one shown in TLS
	r            *bufio.Reader
	w            *bufio.Writer
	interrupted  atomic.Bool
	writeTimeout time.Duration
}

func newConn(raw net.Conn, writeTimeout time.Duration) *conn {
	c := &conn{raw: raw, writeTimeout: writeTimeout}
	c.attach(pacedConn{raw, writeTimeout})
	return c
}

// attach makes new buffers on rw; what the old ones hold is dropped.
func (c *conn) attach(rw io.ReadWriter) {
	c.r = bufio.NewReaderSize(rw, readBuffer)
	c.w = bufio.NewWriterSize(rw, writeBuffer)
}

// startTLS makes the handshake. What the client sent before it in plain text
// and was not read as a command yet is dropped with the old buffer: an attacker
// who put it there must not have it run inside the session (RFC 2595 section 4,
// CVE-2011-0411). What is still in the socket goes to the handshake, which
// fails on it.
func (c *conn) startTLS(ctx context.Context, config *tls.Config, deadline time.Time) error {
	c.setReadDeadline(deadline)
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	c.r, c.w = nil, nil
	t, cert, err := auth.Handshake(ctx, pacedConn{c.raw, c.writeTimeout}, config)
	if err != nil {
		return err
	}
	c.tls, c.cert = t, cert
	c.attach(t)
	return nil
}

// setReadDeadline is the socket's, except that an interrupt is not undone:
// whichever comes first, this or interrupt, the next read ends at once.
func (c *conn) setReadDeadline(t time.Time) {
	_ = c.raw.SetReadDeadline(t)
	if c.interrupted.Load() {
		_ = c.raw.SetReadDeadline(time.Unix(1, 0))
	}
}

// interrupt ends the read that the session waits in, or its next one.
func (c *conn) interrupt() {
	c.interrupted.Store(true)
	_ = c.raw.SetReadDeadline(time.Unix(1, 0))
}

// cut closes the socket, so that writes end as well.
func (c *conn) cut() { _ = c.raw.Close() }

// readLine reads to the next LF and returns the line without it and without a
// CR before it. Answers that wait are sent before it blocks, and only then:
// pipelined commands have theirs sent together. The line counts against limit
// with its end. A line cut off by the end of the input is no line.
func (c *conn) readLine(limit int, deadline time.Time) (string, error) {
	buffered, _ := c.r.Peek(c.r.Buffered())
	if bytes.IndexByte(buffered, '\n') < 0 {
		if err := c.w.Flush(); err != nil {
			return "", err
		}
	}
	c.setReadDeadline(deadline)
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

// close sends what waits and ends the connection properly.
func (c *conn) close() {
	if c.w != nil {
		_ = c.w.Flush()
	}
	if c.tls != nil {
		_ = c.tls.Close() // close_notify; also closes raw
	}
	_ = c.raw.Close()
}

// pacedConn gives a client the timeout for each chunk that is written, so that
// a large message may take long, but a client that reads nothing does not.
type pacedConn struct {
	net.Conn
	timeout time.Duration
}

func (p pacedConn) Write(b []byte) (written int, err error) {
	for len(b) > 0 {
		if err := p.SetWriteDeadline(time.Now().Add(p.timeout)); err != nil {
			return written, err
		}
		n, err := p.Conn.Write(b[:min(len(b), writeChunk)])
		written += n
		if err != nil {
			return written, err
		}
		b = b[n:]
	}
	return written, nil
}

// isTimeout tells a passed deadline from other ends of a connection.
func isTimeout(err error) bool {
	var netErr net.Error
	return errors.As(err, &netErr) && netErr.Timeout()
}
