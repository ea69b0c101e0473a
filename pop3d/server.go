package pop3d

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"postroom/internal/account"
	"postroom/internal/connlimit"
)

// ErrServerClosed is what Serve and ServeTLS return after Shutdown.
var ErrServerClosed = errors.New("pop3d: server closed")

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
	WriteTimeout        time.Duration // for the client to take in 16 KiB; default 1 minute
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

	wg sync.WaitGroup // one for each session; Add only under mu while not closing

	mu        sync.Mutex // guards what follows; nothing is written to a socket under it
	closing   bool
	listeners map[net.Listener]struct{}
	sessions  map[*session]struct{}
}

// NewServer makes a server that serves nothing yet.
func NewServer(opt Options) *Server {
	opt.Limits = opt.Limits.withDefaults()
	s := &Server{
		opt:       opt,
		log:       opt.Logger,
		conns:     opt.Connections,
		delays:    newLoginDelay(opt.LoginDelay, time.Now),
		commands:  commandTable(),
		listeners: make(map[net.Listener]struct{}),
		sessions:  make(map[*session]struct{}),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.conns == nil {
		s.conns = connlimit.New(opt.Limits.Connections)
	}
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
	defer l.Close()
	if !s.track(l) {
		return ErrServerClosed
	}
	defer s.untrack(l)
	var pause time.Duration
	for {
		conn, err := l.Accept()
		if err == nil {
			pause = 0
			s.admit(conn, implicitTLS)
			continue
		}
		if s.isClosing() {
			return ErrServerClosed
		}
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		// Out of descriptors, or the client left the queue: the next one may
		// fare better. Waiting keeps the loop from spinning.
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		s.log.Error("accept failed", "protocol", "pop3", "error", err, "retry_in", pause)
		select {
		case <-time.After(pause):
		case <-s.ctx.Done():
			return ErrServerClosed
		}
	}
}

// admit starts a session for conn or refuses it.
func (s *Server) admit(conn net.Conn, implicitTLS bool) {
	release, err := s.conns.AcquireConn(addrOf(conn.RemoteAddr()))
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
	s.mu.Lock()
	closing := s.closing
	if !closing {
		s.sessions[sess] = struct{}{}
		s.wg.Add(1)
	}
	s.mu.Unlock()
	if closing {
		release()
		_ = conn.Close()
		return
	}
	go func() {
		defer s.wg.Done()
		defer release()
		defer s.forget(sess)
		sess.run()
	}()
}

// Shutdown stops listening and ends the sessions: one that waits for a command
// is told so and closed, one in the middle of a command may finish it. When ctx
// ends first, the connections are cut. No session is left when it returns.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	for l := range s.listeners {
		_ = l.Close()
	}
	for sess := range s.sessions {
		sess.conn.interrupt()
	}
	s.mu.Unlock()

	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	defer s.cancel()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.cancel()
	s.mu.Lock()
	for sess := range s.sessions {
		sess.conn.cut()
	}
	s.mu.Unlock()
	<-done
	return ctx.Err()
}

func (s *Server) track(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.listeners[l] = struct{}{}
	return true
}

func (s *Server) untrack(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
}

func (s *Server) forget(sess *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, sess)
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// addrOf is the IP address of a socket's end, invalid when it has none.
func addrOf(a net.Addr) netip.Addr {
	if a == nil {
		return netip.Addr{}
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}
