package imapd

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"postroom/internal/connlimit"
)

// ErrServerClosed is what Serve returns after Shutdown.
var ErrServerClosed = errors.New("imapd: server closed")

// Server serves IMAP on any number of listeners.
type Server struct {
	opt   Options
	lim   Limits
	log   *slog.Logger
	conns *connlimit.Limiter

	extensions []string // told by CAPABILITY after login

	mu        sync.Mutex // guards all below; nothing is called while it is held but deadline setters
	closed    bool
	listeners map[net.Listener]bool
	open      map[*conn]bool
	running   sync.WaitGroup // one for each conn in open
}

// NewServer makes a server; Serve or ServeTLS starts it.
func NewServer(opt Options) *Server {
	s := &Server{
		opt:        opt,
		lim:        opt.Limits.withDefaults(),
		log:        opt.Logger,
		conns:      opt.Conns,
		extensions: advertised(),
		listeners:  make(map[net.Listener]bool),
		open:       make(map[*conn]bool),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.conns == nil {
		s.conns = connlimit.New(connlimit.Limits{Total: s.lim.Connections, PerAddress: s.lim.PerAddress, PerUser: s.lim.PerUser})
	}
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
	defer l.Close()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrServerClosed
	}
	s.listeners[l] = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.listeners, l)
		s.mu.Unlock()
	}()

	for delay := time.Duration(0); ; {
		nc, err := l.Accept()
		if err == nil {
			delay = 0
			s.start(nc, implicitTLS)
			continue
		}
		if s.isClosed() {
			return ErrServerClosed
		}
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		// Out of file descriptors, for example: what is open goes on, and
		// closing some of it mends the cause.
		delay = min(max(2*delay, 5*time.Millisecond), time.Second)
		s.log.Error("imap accept failed", "addr", l.Addr().String(), "retry", delay, "error", err)
		time.Sleep(delay)
	}
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// start gives a connection its goroutine, or refuses it.
func (s *Server) start(nc net.Conn, implicitTLS bool) {
	remote := addrOf(nc.RemoteAddr())
	release, err := s.conns.AcquireConn(remote)
	if err != nil {
		s.log.Warn("imap connection refused", "remote", remote, "reason", err)
		refuse(nc, implicitTLS, err.Error())
		return
	}
	c := newConn(s, nc, remote, implicitTLS)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		release()
		_ = nc.Close()
		return
	}
	s.open[c] = true
	s.running.Add(1)
	s.mu.Unlock()
	go func() {
		defer s.running.Done()
		defer release()
		defer func() {
			s.mu.Lock()
			delete(s.open, c)
			s.mu.Unlock()
		}()
		c.serve()
	}()
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
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	for l := range s.listeners {
		_ = l.Close()
	}
	for c := range s.open {
		c.interrupt()
	}
	s.mu.Unlock()

	done := make(chan struct{})
	go func() { // ends when the last connection has, which the code below sees to
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	for c := range s.open {
		c.cut()
	}
	s.mu.Unlock()
	<-done
	return ctx.Err()
}

func addrOf(a net.Addr) netip.Addr {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}
