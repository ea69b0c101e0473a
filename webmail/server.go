package webmail

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"postroom/internal/account"
	"postroom/internal/addressbook"
	"postroom/internal/auth"
	"postroom/internal/connlimit"
	"postroom/internal/order"
	"postroom/internal/outbox"
	"postroom/internal/sessions"
)

// ErrServerClosed is what Serve returns after Shutdown.
var ErrServerClosed = http.ErrServerClosed

// Authenticator decides who somebody is.
type Authenticator interface {
	// Authenticate checks a password and returns the canonical name. Its failures are auth.ErrFailed, ErrTemporary
	// and ErrPrivacyRequired.
	Authenticate(ctx context.Context, r auth.Request) (user string, err error)
	// Mark changes with the user's password; ok is false when there is no such user any more.
	Mark(user string) (m auth.Mark, ok bool)
}

// Options make a Server.
type Options struct {
	Accounts *account.Service
	Auth     Authenticator
	TLS      *tls.Config        // nil: no ServeTLS
	Logger   *slog.Logger       // nil: nothing is logged
	Conns    *connlimit.Limiter // nil: nothing is limited; give one to share the counts with other daemons
	// TrustedProxies are those whose X-Forwarded-For and X-Forwarded-Proto are believed.
	TrustedProxies []netip.Prefix
	Limits         Limits
	// Outbox sends what is written; nil: nothing can be sent. Addresses lists from which addresses a user may send.
	Outbox    *outbox.Service
	Addresses func(user string) []string
	// Contacts is what all users find contacts in, beside their own; nil for nothing.
	Contacts addressbook.Source
	// Clock tells the time; time.Now if nil.
	Clock func() time.Time
}

// Limits bound what a client may take. A zero means the default.
type Limits struct {
	IdleTimeout    time.Duration // of a session, between requests; 30 minutes
	SessionTimeout time.Duration // of a session, from its login; 12 hours
	WriteTimeout   time.Duration // for one write to a client; 2 minutes
	StallTimeout   time.Duration // without an octet in the middle of a request; 1 minute
	Message        int64         // octets of a message; 100 MiB
}

func (l Limits) withDefaults() Limits {
	l.IdleTimeout = cmp.Or(l.IdleTimeout, 30*time.Minute)
	l.SessionTimeout = cmp.Or(l.SessionTimeout, 12*time.Hour)
	l.WriteTimeout = cmp.Or(l.WriteTimeout, 2*time.Minute)
	l.StallTimeout = cmp.Or(l.StallTimeout, time.Minute)
	l.Message = cmp.Or(l.Message, 100<<20)
	return l
}

// Bounds of HTTP itself.
const (
	headerTimeout  = 10 * time.Second // for the header of a request to come
	keepAlive      = 2 * time.Minute  // a connection without a request
	maxHeader      = 32 << 10         // octets of a request's header
	sweepEvery     = 5 * time.Second  // sessions that are over are looked for
	streamsPerConn = 100              // requests at once on one HTTP/2 connection
	maxOrdered     = 500_000          // messages whose order is kept, some hundred octets each
	orderIdle      = 10 * time.Minute // an order that nobody asked for is forgotten
)

// Server serves the web mail on any number of listeners.
type Server struct {
	opt     Options
	lim     Limits
	log     *slog.Logger
	conns   *connlimit.Limiter
	clock   func() time.Time
	proxies proxies
	book    book
	books   *addressbook.Books
	texts   *catalogue
	pages   *pages
	static  *assets
	orders  *order.Book
	http    *http.Server

	quit     chan struct{} // closed by Shutdown: ends sweep
	quitOnce sync.Once
	swept    sync.WaitGroup // sweep
}

// New makes a server; Serve or ServeTLS starts it. Every New wants one Shutdown.
func New(opt Options) (*Server, error) {
	s := &Server{
		opt: opt, lim: opt.Limits.withDefaults(), log: opt.Logger, conns: opt.Conns, clock: opt.Clock,
		proxies: opt.TrustedProxies, quit: make(chan struct{}),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.conns == nil {
		s.conns = connlimit.New(connlimit.Limits{})
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	s.books = addressbook.NewBooks(s.log, s.clock)
	s.book.byToken = make(map[tokenHash]*session)
	s.orders = order.NewBook(maxOrdered, s.clock)
	var err error
	if s.static, err = loadAssets(); err != nil {
		return nil, err
	}
	if s.texts, err = loadCatalogue(); err != nil {
		return nil, err
	}
	if s.pages, err = loadPages(s.texts, s.static); err != nil {
		return nil, err
	}
	s.http = &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       keepAlive,
		MaxHeaderBytes:    maxHeader,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: streamsPerConn},
		TLSConfig:         webTLS(opt.TLS),
		ErrorLog:          log.New(logWriter{s.log}, "", 0),
	}
	s.http.RegisterOnShutdown(s.endAll) // open event streams end with their sessions
	s.swept.Go(s.sweep)
	return s, nil
}

// webTLS is the configuration of the other protocols without what is theirs: a browser is not asked for a certificate.
func webTLS(t *tls.Config) *tls.Config {
	if t == nil {
		return nil
	}
	adapt := func(c *tls.Config) *tls.Config {
		c = c.Clone()
		c.NextProtos = []string{"h2", "http/1.1"}
		c.ClientAuth, c.ClientCAs = tls.NoClientCert, nil
		return c
	}
	out := adapt(t)
	if next := t.GetConfigForClient; next != nil {
		out.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			c, err := next(hello)
			if err != nil || c == nil {
				return c, err
			}
			return adapt(c), nil
		}
	}
	return out
}

// logWriter takes what net/http has to say of connections: nothing that an administrator must act on.
type logWriter struct{ log *slog.Logger }

func (w logWriter) Write(p []byte) (int, error) {
	w.log.Debug("web connection", "error", string(p))
	return len(p), nil
}

// Serve accepts connections on l, in clear, until Shutdown or until l fails for good. It closes l.
func (s *Server) Serve(l net.Listener) error { return s.http.Serve(s.limited(l)) }

// ServeTLS is Serve for HTTPS.
func (s *Server) ServeTLS(l net.Listener) error {
	if s.opt.TLS == nil {
		_ = l.Close()
		return errors.New("webmail: no TLS configuration")
	}
	return s.http.ServeTLS(s.limited(l), "", "")
}

// Shutdown ends all sessions and waits for the requests that are under way. When ctx ends first it cuts what is left.
func (s *Server) Shutdown(ctx context.Context) error {
	s.quitOnce.Do(func() { close(s.quit) })
	err := s.http.Shutdown(ctx)
	if err != nil {
		_ = s.http.Close()
	}
	s.endAll()
	s.swept.Wait()
	s.book.closed.Wait()
	return err
}

// sweep ends the sessions whose time is over, or whose user is gone or has another password.
func (s *Server) sweep() {
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			s.endOver()
			s.orders.Forget(s.clock().Add(-orderIdle))
		case <-s.quit:
			return
		}
	}
}

// limited counts the connections of a listener.
func (s *Server) limited(l net.Listener) net.Listener { return &limitedListener{Listener: l, srv: s} }

type limitedListener struct {
	net.Listener
	srv *Server
}

// Accept gives the next connection for which there is room. The connections of a trusted proxy count only in the
// total: they are of many.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		remote := sessions.AddrOf(nc.RemoteAddr())
		counted := remote
		if l.srv.proxies.trust(remote) {
			counted = netip.Addr{}
		}
		release, err := l.srv.conns.AcquireConn(counted)
		if err == nil {
			return &countedConn{Conn: nc, release: release}, nil
		}
		l.srv.log.Warn("web connection refused", "remote", remote, "reason", err)
		_ = nc.Close()
	}
}

// countedConn gives its place back when it is closed.
type countedConn struct {
	net.Conn
	release func()
}

func (c *countedConn) Close() error {
	c.release()
	return c.Conn.Close()
}

// patient gives each write of an answer, and each read of a body, its own deadline: a large mail may take hours on
// a slow line, a client that takes or sends nothing may not.
type patient struct {
	http.ResponseWriter
	ctl   *http.ResponseController
	write time.Duration
}

func (p *patient) Write(b []byte) (int, error) {
	_ = p.ctl.SetWriteDeadline(time.Now().Add(p.write)) // what cannot have a deadline is a test's
	return p.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (p *patient) Unwrap() http.ResponseWriter { return p.ResponseWriter }

type patientBody struct {
	io.ReadCloser
	ctl   *http.ResponseController
	stall time.Duration
}

func (p *patientBody) Read(b []byte) (int, error) {
	_ = p.ctl.SetReadDeadline(time.Now().Add(p.stall))
	n, err := p.ReadCloser.Read(b)
	if err == io.EOF {
		_ = p.ctl.SetReadDeadline(time.Time{}) // else the connection would end while it is answered
	}
	return n, err
}
