package sessions

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// waiting is a session that ends when it is told to.
type waiting struct {
	g          *Group
	stubborn   bool // ends by Cut alone
	cut        atomic.Bool
	end        chan struct{}
	interrupts atomic.Int32
}

func (w *waiting) Interrupt() {
	if w.interrupts.Add(1) == 1 && !w.stubborn {
		close(w.end)
	}
}

func (w *waiting) Cut() {
	w.cut.Store(true)
	close(w.end)
}

func (w *waiting) run() {
	<-w.end
	w.g.Done(w)
}

func begin(t *testing.T, g *Group, stubborn bool) *waiting {
	t.Helper()
	w := &waiting{g: g, stubborn: stubborn, end: make(chan struct{})}
	if !g.Add(w) {
		t.Fatal("not added")
	}
	go w.run()
	return w
}

func TestShutdown(t *testing.T) {
	g := NewGroup("test", slog.New(slog.DiscardHandler))
	willing, stubborn := begin(t, g, false), begin(t, g, true)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := g.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if willing.cut.Load() || !stubborn.cut.Load() {
		t.Error("the wrong one was cut off")
	}
	if g.Add(&waiting{}) {
		t.Error("added after Shutdown")
	}
}

// failing fails a few times as a listener does that is out of descriptors.
type failing struct {
	net.Listener
	fails int
}

func (f *failing) Accept() (net.Conn, error) {
	if f.fails--; f.fails >= 0 {
		return nil, errors.New("out of descriptors")
	}
	return f.Listener.Accept()
}

func TestServe(t *testing.T) {
	g := NewGroup("test", slog.New(slog.DiscardHandler))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	admitted := make(chan net.Conn, 1)
	served := make(chan error, 1)
	go func() { served <- g.Serve(&failing{l, 3}, func(nc net.Conn) { admitted <- nc }) }()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	nc := <-admitted // although Accept failed before
	if !AddrOf(nc.RemoteAddr()).IsLoopback() {
		t.Error(nc.RemoteAddr())
	}
	nc.Close()
	if err := g.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != ErrClosed {
		t.Error(err)
	}
	if err := g.Serve(l, nil); err != ErrClosed {
		t.Error(err)
	}
}
