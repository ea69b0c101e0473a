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
	"sync"
	"time"

	"postroom/imapd/wire"
	"postroom/internal/account"
	"postroom/internal/auth"
	"postroom/internal/sessions"
	"postroom/internal/socket"
)

// conn is one connection. All of it belongs to the goroutine that serves it,
// which is another one after each wait for the client (Resume says why), and to Ring while there is none, but
// for what Interrupt, Cut and look touch.
//
//	notAuthenticated --LOGIN--> authenticated --SELECT--> isSelected
//	       ^                     |        ^                    |
//	       +---UNAUTHENTICATE----+        +-----CLOSE----------+
type conn struct {
	srv  *Server
	log  *slog.Logger
	sock *socket.Conn

	remote   netip.Addr
	loopback bool // both ends are on this machine
	implicit bool
	cert     *x509.Certificate // ours, shown in TLS
	free     func()            // gives back the place of the connection

	dec *wire.Decoder
	enc *wire.Encoder

	ctx    context.Context // ends when the connection is cut, or its client gone
	cancel context.CancelCauseFunc

	writing sync.Mutex // guards writes to sock, and wrote
	wrote   bool       // something was written since attended began

	loginBy   time.Time // when an unauthenticated client is sent away
	waitUntil time.Time // when one that begins no command is
	idling    *idling   // nil: not in IDLE

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

// What ends a connection.
var (
	errOver     = errors.New("connection is over") // and the client was told why
	errShutdown = errors.New("server shuts down")
	errDeparted = errors.New("client has gone")
	errCut      = errors.New("cut off")
)

func newConn(s *Server, nc net.Conn, remote netip.Addr, implicitTLS bool) *conn {
	c := &conn{srv: s, remote: remote, implicit: implicitTLS}
	c.sock = socket.New(nc, s.lim.WriteTimeout)
	c.log = s.log.With("remote", remote)
	c.loopback = remote.IsLoopback() && sessions.AddrOf(nc.LocalAddr()).IsLoopback()
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.loginBy = time.Now().Add(s.lim.LoginTimeout)
	c.enc = wire.NewEncoder((*output)(c))
	c.dec = wire.NewDecoder((*input)(c), c.limits(), c.askLiteral)
	return c
}

// askLiteral tells the client to send a literal; it is flushed when the wait
// for that begins.
func (c *conn) askLiteral() error {
	c.enc.Raw("+ Ready for literal\r\n")
	return c.enc.Err()
}

func (c *conn) limits() wire.Limits {
	l := &c.srv.lim
	w := wire.Limits{Line: l.Line, Literal: l.Literal, Discard: 2 * l.Append, Depth: l.Depth, MinusOnly: c.srv.opt.LiteralMinus}
	if c.user == nil {
		w.Line, w.Literal, w.Discard = l.LineBeforeLogin, l.LineBeforeLogin, l.LineBeforeLogin
	}
	return w
}

// Interrupt makes the session say BYE as soon as its command has ended.
func (c *conn) Interrupt() { c.sock.Interrupt() }

// Cut ends the session at once.
func (c *conn) Cut() {
	c.cancel(errCut)
	c.sock.Cut()
}

// input reads for the decoder what belongs to a command that has begun: with
// a deadline, and after all that was answered so far is on its way.
type input conn

func (in *input) Read(p []byte) (int, error) {
	c := (*conn)(in)
	if err := c.enc.Flush(); err != nil {
		return 0, err
	}
	deadline := time.Now().Add(c.srv.lim.StallTimeout)
	if c.user == nil && c.loginBy.Before(deadline) {
		deadline = c.loginBy
	}
	c.sock.SetReadDeadline(deadline)
	n, err := c.sock.Read(p)
	c.count.in += int64(n)
	if err != nil && c.sock.Interrupted() {
		err = errShutdown
	}
	return n, err
}

// output writes for the encoder. A client that reads nothing for as long as a
// write may take is gone.
type output conn

func (out *output) Write(p []byte) (int, error) {
	c := (*conn)(out)
	c.writing.Lock()
	defer c.writing.Unlock()
	c.wrote = true
	return c.sock.Write(p)
}

// serve runs the connection until it waits for its client, or to its end.
func (c *conn) serve() {
	defer c.proceed()
	defer c.rescue("session")
	c.count.since = time.Now()
	if c.implicit && !c.startTLS() {
		c.over = true
		return
	}
	c.greet()
	c.converse()
}

// Resume waits for the client and goes on with the session. A wait has a
// goroutine of its own, begun by proceed, so that it holds no more of a stack
// than it needs: the one that commands made large ends with its goroutine. A
// long wait has none.
func (c *conn) Resume() {
	until := time.Now().Add(briefly)
	if c.waitUntil.Before(until) {
		until = c.waitUntil
	}
	err := c.sock.Await(until)
	if until != c.waitUntil && errors.Is(err, socket.ErrDeadline) {
		if c.srv.sessions.Poller().Park(c.sock, c.waitUntil, c) {
			return
		}
		err = c.sock.Await(c.waitUntil)
	}
	c.goOn(err)
}

// briefly is how long a client may think before its session gives up the goroutine.
const briefly = time.Second

func (c *conn) goOn(err error) {
	defer c.proceed()
	defer c.rescue("session")
	c.attend(err)
}

// proceed ends a goroutine of the session: another one waits, or it is over.
func (c *conn) proceed() {
	if !c.over {
		if c.idling == nil || !c.srv.sessions.Poller().Park(c.sock, c.waitUntil, c) { // IDLE mostly lasts
			go c.Resume()
		}
		return
	}
	defer c.srv.sessions.Done(c)
	defer c.free()
	c.close()
}

// attend goes on after a wait.
func (c *conn) attend(err error) {
	switch {
	case errors.Is(err, socket.ErrWoken):
		if c.idling == nil {
			return
		}
		if err = c.wake(true); err == nil {
			err = c.enc.Flush()
		}
		if err == nil {
			err = c.sock.Flush() // what Ring could not send
		}
		if err == nil {
			return
		}
	case errors.Is(err, socket.ErrInterrupted):
		err = errShutdown
	case err == nil:
		c.converse()
		return
	}
	c.farewell(err)
}

// converse runs commands until the client has sent no more of them.
func (c *conn) converse() {
	for !c.over {
		if c.dec.Buffered() == 0 && !c.sock.Readable() {
			if err := c.rest(); err != nil {
				c.farewell(err)
				return
			}
			if c.idling != nil || !c.sock.AwaitBriefly(c.waitUntil) {
				return
			}
		}
		if err := c.next(); err != nil {
			c.farewell(err)
		}
	}
}

// rest prepares a wait for the next command.
func (c *conn) rest() error {
	c.waitUntil = time.Now().Add(c.srv.lim.IdleTimeout)
	if c.user == nil && c.loginBy.Before(c.waitUntil) {
		c.waitUntil = c.loginBy
	}
	c.dec.Release()
	return c.enc.Flush()
}

// rescue keeps a panic within its connection.
func (c *conn) rescue(where string) {
	if v := recover(); v != nil {
		c.over, c.reason = true, "panic"
		c.log.Error("imap panic", "where", where, "panic", v, "stack", string(debug.Stack()))
		c.Cut()
	}
}

// farewell ends the session, and says BYE where someone may still listen.
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
	case c.ctx.Err() != nil:
		c.reason = context.Cause(c.ctx).Error()
	default:
		c.reason = err.Error()
	}
	c.over = true
}

// bye ends the session with an untagged BYE.
func (c *conn) bye(code, text, reason string) {
	c.over, c.reason = true, reason
	c.untagged("BYE", code, text)
	_ = c.enc.Flush()
}

// close ends all that the session holds, and the connection last: a client may
// take its time to see the end.
func (c *conn) close() {
	defer c.sock.Close()
	defer c.rescue("close")
	_ = c.enc.Flush()
	c.enc.Release()
	c.dec.Release()
	c.logout()
	if c.ctx.Err() != nil {
		c.sock.Cut()
	}
	c.cancel(nil)
}

// startTLS makes the connection one over TLS; what was read ahead is forgotten.
func (c *conn) startTLS() bool {
	err := c.sock.StartTLS(c.ctx, c.loginBy, func(ctx context.Context, nc net.Conn) (t *tls.Conn, err error) {
		t, c.cert, err = auth.Handshake(ctx, nc, c.srv.opt.TLS)
		return t, err
	})
	if err != nil {
		c.reason = "handshake"
		c.log.Info("imap TLS handshake failed", "error", err)
		return false
	}
	c.dec.Reset((*input)(c))
	return true
}

func (c *conn) connInfo() auth.ConnInfo {
	return auth.ConnInfo{Protocol: "imap", RemoteAddr: c.remote, TLS: c.sock.Encrypted(), TLSState: c.sock.TLS(), Certificate: c.cert}
}

// secret tells whether a password may be sent in clear over this connection.
func (c *conn) secret() bool { return c.sock.Encrypted() || c.loopback }
