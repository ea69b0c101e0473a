package imapd

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"postroom/internal/connlimit"
	"postroom/internal/sessions"
)

// ErrServerClosed is what Serve returns after Shutdown.
var ErrServerClosed = sessions.ErrClosed

// Server serves IMAP on any number of listeners.
type Server struct {
	opt   Options
	lim   Limits
	log   *slog.Logger
	conns *connlimit.Limiter

	extensions []string // told by CAPABILITY after login

	sessions *sessions.Group
}

// NewServer makes a server; Serve or ServeTLS starts it.
func NewServer(opt Options) *Server {
	s := &Server{
		opt:        opt,
		lim:        opt.Limits.withDefaults(),
		log:        opt.Logger,
		conns:      opt.Conns,
		extensions: advertised(),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.conns == nil {
		s.conns = connlimit.New(connlimit.Limits{Total: s.lim.Connections, PerAddress: s.lim.PerAddress, PerUser: s.lim.PerUser})
	}
	s.sessions = sessions.NewGroup("imap", s.log)
	return s
}

// Serve accepts connections on l, which begin in clear, until Shutdown or
// until l fails for good. It closes l.
func (s *Server) Serve(l net.Listener) error { return s.serve(l, false) }

// ServeTLS is Serve for connections that begin with a TLS handshake.
func (s *Server) ServeTLS(l net.Listener) error {
	if s.opt.TLS == nil {
		_ = l.Close()
		return errors.New("imapd: no TLS configuration")
	}
	return s.serve(l, true)
}

func (s *Server) serve(l net.Listener, implicitTLS bool) error {
	return s.sessions.Serve(l, func(nc net.Conn) { s.start(nc, implicitTLS) })
}

// start gives a connection its goroutine, or refuses it.
func (s *Server) start(nc net.Conn, implicitTLS bool) {
	remote := sessions.AddrOf(nc.RemoteAddr())
	release, err := s.conns.AcquireConn(remote)
	if err != nil {
		s.log.Warn("imap connection refused", "remote", remote, "reason", err)
		refuse(nc, implicitTLS, err.Error())
		return
	}
	c := newConn(s, nc, remote, implicitTLS)
	c.free = release
	if !s.sessions.Add(c) {
		release()
		_ = nc.Close()
		return
	}
	go c.serve() // ends, by way of proceed, with Done
}

// refuse says why in one line, which fits the socket's empty buffer, so it
// needs no goroutine. A TLS client would not understand it.
func refuse(nc net.Conn, implicitTLS bool, reason string) {
	if !implicitTLS {
		_ = nc.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		_, _ = nc.Write([]byte("* BYE [LIMIT] " + reason + "\r\n"))
	}
	_ = nc.Close()
}

// Shutdown stops accepting, says BYE to every session after the command it is
// in, and waits for them. When ctx ends first it cuts what is left.
func (s *Server) Shutdown(ctx context.Context) error { return s.sessions.Shutdown(ctx) }
