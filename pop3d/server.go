package pop3d

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"time"

	"postroom/internal/account"
	"postroom/internal/connlimit"
	"postroom/internal/sessions"
)

// ErrServerClosed is what Serve and ServeTLS return after Shutdown.
var ErrServerClosed = sessions.ErrClosed

// Options make a Server. Accounts and Auth are required.
type Options struct {
	Accounts *account.Service
	Auth     Authenticator
	TLS      *tls.Config // nil: neither STLS nor ServeTLS
	Logger   *slog.Logger
	Limits   Limits

	// Connections counts what is open. Nil makes one from Limits; several
	// daemons may share one.
	Connections *connlimit.Limiter

	// LoginDelay is the least time between two logins of one user (RFC 2449
	// section 6.5); zero means no such rule.
	LoginDelay time.Duration
}

// Limits bound what a client can take. A field that is zero has its default.
type Limits struct {
	Connections connlimit.Limits // default 4096 in all, 256 an address, 20 a user

	LineLength          int           // octets of a command line with its CRLF; default 512
	LoginTimeout        time.Duration // from the connection to the login; default 2 minutes
	IdleTimeout         time.Duration // for the next command; default 10 minutes (RFC 1939 section 3: no less)
	WriteTimeout        time.Duration // for the client to take in 32 KiB; default 1 minute
	FailedCommands      int           // malformed or unknown commands and failed logins; default 20
	CommandsBeforeLogin int           // default 100
}

func (l Limits) withDefaults() Limits {
	l.Connections.Total = cmp.Or(l.Connections.Total, 4096)
	l.Connections.PerAddress = cmp.Or(l.Connections.PerAddress, 256)
	l.Connections.PerUser = cmp.Or(l.Connections.PerUser, 20)
	l.LineLength = cmp.Or(l.LineLength, 512)
	l.LoginTimeout = cmp.Or(l.LoginTimeout, 2*time.Minute)
	l.IdleTimeout = cmp.Or(l.IdleTimeout, 10*time.Minute)
	l.WriteTimeout = cmp.Or(l.WriteTimeout, time.Minute)
	l.FailedCommands = cmp.Or(l.FailedCommands, 20)
	l.CommandsBeforeLogin = cmp.Or(l.CommandsBeforeLogin, 100)
	return l
}

// Server is a POP3 daemon. It may serve several listeners.
type Server struct {
	opt      Options
	log      *slog.Logger
	conns    *connlimit.Limiter
	delays   *loginDelay
	commands map[string]*command

	ctx    context.Context // ends when sessions must go at once
	cancel context.CancelFunc

	sessions *sessions.Group
}

// NewServer makes a server that serves nothing yet.
func NewServer(opt Options) *Server {
	opt.Limits = opt.Limits.withDefaults()
	s := &Server{
		opt:      opt,
		log:      opt.Logger,
		conns:    opt.Connections,
		delays:   newLoginDelay(opt.LoginDelay, time.Now),
		commands: commandTable(),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.conns == nil {
		s.conns = connlimit.New(opt.Limits.Connections)
	}
	s.sessions = sessions.NewGroup("pop3", s.log)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Serve takes connections from l, in plain text with STLS when there is a
// certificate, until Shutdown or an error of l. It closes l.
func (s *Server) Serve(l net.Listener) error { return s.serve(l, false) }

// ServeTLS is Serve with TLS from the first byte (RFC 8314 section 3.3).
func (s *Server) ServeTLS(l net.Listener) error {
	if s.opt.TLS == nil {
		return errors.Join(errors.New("pop3d: ServeTLS without a certificate"), l.Close())
	}
	return s.serve(l, true)
}

func (s *Server) serve(l net.Listener, implicitTLS bool) error {
	return s.sessions.Serve(l, func(conn net.Conn) { s.admit(conn, implicitTLS) })
}

// admit starts a session for conn or refuses it.
func (s *Server) admit(conn net.Conn, implicitTLS bool) {
	release, err := s.conns.AcquireConn(sessions.AddrOf(conn.RemoteAddr()))
	if err != nil {
		s.log.Warn("connection refused", "protocol", "pop3", "remote", conn.RemoteAddr().String(), "reason", err)
		if !implicitTLS {
			// The socket is new and its buffer empty, so this does not wait;
			// the deadline is for the case that it would.
			_ = conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			_, _ = conn.Write([]byte("-ERR [SYS/TEMP] " + err.Error() + "\r\n"))
		}
		_ = conn.Close()
		return
	}
	sess := newSession(s, conn, implicitTLS)
	if !s.sessions.Add(sess) {
		release()
		_ = conn.Close()
		return
	}
	sess.ended = func() {
		release()
		s.sessions.Done(sess)
	}
	go sess.run()
}

// Shutdown stops listening and ends the sessions: one that waits for a command
// is told so and closed, one in the middle of a command may finish it. When ctx
// ends first, the connections are cut. No session is left when it returns.
func (s *Server) Shutdown(ctx context.Context) error {
	defer s.cancel()
	defer context.AfterFunc(ctx, s.cancel)()
	return s.sessions.Shutdown(ctx)
}
