// Package sessions is what the servers share: the loop that accepts
// connections, the book of the sessions that are open, and their orderly end.
package sessions

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"postroom/internal/socket"
)

// ErrClosed is what Serve returns after Shutdown.
var ErrClosed = errors.New("server closed")

// Session is one connection. Both methods are called from any goroutine, while
// the Group is locked, and must not wait.
type Session interface {
	// Interrupt ends the session after the command it is in.
	Interrupt()
	// Cut ends it at once.
	Cut()
}

// Group is the sessions of one server.
type Group struct {
	protocol string
	log      *slog.Logger
	running  sync.WaitGroup // one for each of open

	mu        sync.Mutex // guards all below
	closed    bool
	listeners map[net.Listener]struct{}
	open      map[Session]struct{}
	poller    *socket.Poller // nil: none runs; made by the first Serve
}

// NewGroup makes a Group with nothing open; protocol is for the log.
func NewGroup(protocol string, log *slog.Logger) *Group {
	return &Group{
		protocol: protocol, log: log,
		listeners: make(map[net.Listener]struct{}),
		open:      make(map[Session]struct{}),
	}
}

// Serve gives admit each connection of l, until Shutdown or until l fails for good.
// It closes l. admit runs in the loop, so it must not wait.
func (g *Group) Serve(l net.Listener, admit func(net.Conn)) error {
	defer l.Close()
	if !g.listen(l) {
		return ErrClosed
	}
	defer g.forget(l)
	for delay := time.Duration(0); ; {
		nc, err := l.Accept()
		if err == nil {
			delay = 0
			admit(nc)
			continue
		}
		if g.isClosed() {
			return ErrClosed
		}
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		// Out of file descriptors, for example: what is open goes on, and
		// closing some of it mends the cause. Waiting keeps the loop from spinning.
		delay = min(max(2*delay, 5*time.Millisecond), time.Second)
		g.log.Error("accept failed", "protocol", g.protocol, "addr", l.Addr().String(), "retry", delay, "error", err)
		time.Sleep(delay)
	}
}

func (g *Group) listen(l net.Listener) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.listeners[l] = struct{}{}
	if g.poller == nil {
		var err error
		if g.poller, err = socket.NewPoller(); err != nil {
			g.log.Warn("silent connections cannot share a goroutine", "protocol", g.protocol, "error", err)
		}
	}
	return true
}

func (g *Group) forget(l net.Listener) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.listeners, l)
}

func (g *Group) isClosed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed
}

// Add enters a session, which Shutdown then waits for until Done. After
// Shutdown it is false, and the session must not begin.
func (g *Group) Add(s Session) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.open[s] = struct{}{}
		g.running.Add(1)
	}
	return !g.closed
}

// Poller waits for the silent connections of the sessions; it may be nil.
func (g *Group) Poller() *socket.Poller {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.poller
}

// Done strikes out a session that has ended; once for each Add.
func (g *Group) Done(s Session) {
	g.mu.Lock()
	delete(g.open, s)
	g.mu.Unlock()
	g.running.Done()
}

// Shutdown stops accepting, interrupts every session and waits for them. When
// ctx ends first it cuts what is left and gives ctx's error. No session is left when it returns.
func (g *Group) Shutdown(ctx context.Context) error {
	g.mu.Lock()
	g.closed = true
	for l := range g.listeners {
		_ = l.Close()
	}
	for s := range g.open {
		s.Interrupt()
	}
	poller := g.poller
	g.mu.Unlock()
	if poller != nil {
		defer poller.Close()
	}

	done := make(chan struct{})
	go func() { // ends when the last session has, which the code below sees to
		g.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	for s := range g.open {
		s.Cut()
	}
	g.mu.Unlock()
	<-done
	return ctx.Err()
}

// AddrOf is the IP address of a socket's end, invalid when it has none.
func AddrOf(a net.Addr) netip.Addr {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}
