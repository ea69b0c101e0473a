package imapd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync/atomic"
	"time"

	"postroom/imapd/wire"
	"postroom/internal/account"
	"postroom/internal/auth"
)

// conn is one connection. All of it belongs to the goroutine in serve, but for
// what interrupt and cut touch, and but for the time of whileWatching.
//
//	notAuthenticated --LOGIN--> authenticated --SELECT--> isSelected
//	       ^                     |        ^                    |
//	       +---UNAUTHENTICATE----+        +-----CLOSE----------+
type conn struct {
	srv *Server
	log *slog.Logger
	raw net.Conn // the socket: for deadlines, which are safe from any goroutine
	nc  net.Conn // raw, or TLS on it

	remote   netip.Addr
	loopback bool // both ends are on this machine
	tls      *tls.ConnectionState
	cert     *x509.Certificate // the one shown
	implicit bool

	dec *wire.Decoder
	enc *wire.Encoder

	ctx    context.Context // ends when the connection is cut
	cancel context.CancelFunc

	stopping atomic.Bool // Shutdown: BYE at the next opportunity
	broken   atomic.Bool // the goroutine of whileWatching failed
	loginBy  time.Time   // when an unauthenticated client is sent away
	waiting  bool        // the next octet read begins a command
	watching bool        // another goroutine writes

	user     *account.User // nil: not authenticated
	release  func()        // gives back the place of user
	sel      *selection    // nil: no mailbox is selected
	enabled  extensions
	tag      string // of the command that runs
	over     bool   // no further command
	reason   string // why, for the log
	commands int    // before login
	bad      int    // in a row
	count    counters
}

// extensions are what ENABLE switched on, for the rest of the session.
type extensions struct {
	rev2, utf8, condstore, qresync bool
}

// counters go to the log at logout.
type counters struct {
	fetched, appended, expunged, copied int
	in                                  int64
	since                               time.Time
}

// errOver ends a connection whose client was told why.
var errOver = errors.New("connection is over")

func newConn(s *Server, nc net.Conn, remote netip.Addr, implicitTLS bool) *conn {
	c := &conn{srv: s, raw: nc, nc: nc, remote: remote, implicit: implicitTLS}
	c.log = s.log.With("remote", remote)
	c.loopback = remote.IsLoopback() && addrOf(nc.LocalAddr()).IsLoopback()
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.loginBy = time.Now().Add(s.lim.LoginTimeout)
	c.enc = wire.NewEncoder((*output)(c))
	c.dec = wire.NewDecoder((*input)(c), c.limits(), func() error {
		c.enc.Raw("+ Ready for literal\r\n") // flushed when the wait for it begins
		return c.enc.Err()
	})
	return c
}

func (c *conn) limits() wire.Limits {
	l := &c.srv.lim
	w := wire.Limits{Line: l.Line, Literal: l.Literal, Discard: 2 * l.Append, Depth: l.Depth, MinusOnly: c.srv.opt.LiteralMinus}
	if c.user == nil {
		w.Line, w.Literal, w.Discard = l.LineBeforeLogin, l.LineBeforeLogin, l.LineBeforeLogin
	}
	return w
}

// interrupt makes the session say BYE as soon as its command has ended.
func (c *conn) interrupt() {
	c.stopping.Store(true)
	_ = c.raw.SetReadDeadline(time.Now())
}

// cut ends the session at once.
func (c *conn) cut() {
	c.cancel()
	_ = c.raw.Close()
}

// input reads for the decoder: with a deadline, and after all that was
// answered so far is on its way.
type input conn

var errShutdown = errors.New("server shuts down")

func (in *input) Read(p []byte) (int, error) {
	c := (*conn)(in)
	if !c.watching {
		if err := c.enc.Flush(); err != nil {
			return 0, err
		}
	}
	wait := c.srv.lim.StallTimeout
	if c.waiting {
		wait = c.srv.lim.IdleTimeout
	}
	deadline := time.Now().Add(wait)
	if c.user == nil && c.loginBy.Before(deadline) {
		deadline = c.loginBy
	}
	_ = c.raw.SetReadDeadline(deadline)
	// Only now, after the deadline was set: whoever sets these sets a deadline
	// next, which the one above must not undo unseen.
	if c.broken.Load() {
		return 0, errOver
	}
	if c.stopping.Load() {
		return 0, errShutdown
	}
	n, err := c.nc.Read(p)
	c.count.in += int64(n)
	if err != nil && c.stopping.Load() {
		err = errShutdown
	}
	return n, err
}

// output writes for the encoder. A client that reads nothing for as long as a
// write may take is gone.
type output conn

func (out *output) Write(p []byte) (int, error) {
	c := (*conn)(out)
	_ = c.raw.SetWriteDeadline(time.Now().Add(c.srv.lim.WriteTimeout))
	return c.nc.Write(p)
}

// serve runs the connection to its end.
func (c *conn) serve() {
	defer c.close()
	defer c.rescue("session")
	c.count.since = time.Now()
	if c.implicit && !c.startTLS() {
		return
	}
	c.greet()
	for !c.over {
		if err := c.next(); err != nil {
			c.farewell(err)
			return
		}
	}
}

// rescue keeps a panic within its connection.
func (c *conn) rescue(where string) {
	if v := recover(); v != nil {
		c.reason = "panic"
		c.log.Error("imap panic", "where", where, "panic", v, "stack", string(debug.Stack()))
		c.cut()
	}
}

// farewell says BYE where someone may still listen.
func (c *conn) farewell(err error) {
	var timeout net.Error
	switch {
	case c.over, errors.Is(err, errOver):
	case errors.Is(err, errShutdown):
		c.bye("", "Server is shutting down", "shutdown")
	case errors.Is(err, wire.ErrLineTooLong), errors.Is(err, wire.ErrDiscardTooLong):
		c.bye("TOOBIG", err.Error(), "too long")
	case errors.As(err, &timeout) && timeout.Timeout() && c.enc.Err() == nil:
		text := "Autologout; idle for too long"
		if c.user == nil {
			text = "Too long without login"
		}
		c.bye("", text, "timeout")
	case errors.Is(err, io.EOF):
		c.reason = "client closed"
	default:
		c.reason = err.Error()
	}
}

// bye ends the session with an untagged BYE.
func (c *conn) bye(code, text, reason string) {
	c.over, c.reason = true, reason
	c.untagged("BYE", code, text)
	_ = c.enc.Flush()
}

func (c *conn) close() {
	defer c.rescue("close")
	_ = c.enc.Flush()
	c.enc.Release()
	c.logout()
	c.cancel()
	_ = c.nc.Close()
}

// startTLS replaces the plain connection; what was read ahead is forgotten.
func (c *conn) startTLS() bool {
	ctx, stop := context.WithDeadline(c.ctx, c.loginBy)
	defer stop()
	_ = c.raw.SetDeadline(c.loginBy)
	if c.stopping.Load() {
		return false
	}
	t, cert, err := auth.Handshake(ctx, c.raw, c.srv.opt.TLS)
	if err != nil {
		c.reason = "handshake"
		c.log.Info("imap TLS handshake failed", "error", err)
		return false
	}
	c.nc = t
	state := t.ConnectionState()
	c.tls, c.cert = &state, cert
	c.dec.Reset((*input)(c))
	return true
}

func (c *conn) connInfo() auth.ConnInfo {
	return auth.ConnInfo{Protocol: "imap", RemoteAddr: c.remote, TLS: c.tls != nil, TLSState: c.tls, Certificate: c.cert}
}

// secret tells whether a password may be sent in clear over this connection.
func (c *conn) secret() bool { return c.tls != nil || c.loopback }
