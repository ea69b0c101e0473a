package interop

import (
	"io"
	"net"
	"sync"
	"testing"
)

// line is a way to a server that can be cut.
type line struct {
	addr string
	mu   sync.Mutex
	open map[net.Conn]bool // guarded by mu; both ends of each connection
	cut  bool              // guarded by mu: what comes is refused
}

// newLine makes it; it ends with the test.
func newLine(t *testing.T, to string) *line {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &line{addr: l.Addr().String(), open: map[net.Conn]bool{}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil || !n.add(from, far) {
				from.Close()
				continue
			}
			for _, way := range [][2]net.Conn{{from, far}, {far, from}} {
				wg.Go(func() {
					io.Copy(way[0], way[1])
					way[0].Close()
					way[1].Close()
				})
			}
		}
	})
	t.Cleanup(func() {
		l.Close()
		n.set(true)
		wg.Wait()
	})
	return n
}

func (n *line) add(a, b net.Conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cut {
		b.Close()
		return false
	}
	n.open[a], n.open[b] = true, true
	return true
}

// set cuts the line, or mends it.
func (n *line) set(cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut = cut
	if cut {
		for c := range n.open {
			c.Close()
		}
		clear(n.open)
	}
}

// What came while the line to the server was cut, as it is while a computer
// sleeps, is on the page soon after it is back, without a reload.
func TestWebReconnect(t *testing.T) {
	beginWeb(t)
	s := newSite(t)
	inbox := s.maildir("alice")
	fill(t, inbox, "before", 1, "S")
	v := s.webMail(t, "")
	n := newLine(t, v.web)
	p := signIn(t, &server{web: n.addr}, "alice")
	p.sees("body[data-connected]", "")
	p.expect("net::ERR")
	n.set(true)
	p.lacks("body[data-connected]", "")
	write(t, inbox, "new/1700000009.M9P1.host", letter("Ben <ben@example.org>", "While asleep", plainText+"Awake?\n"))
	n.set(false)
	p.sees(".row-link", "While asleep")
	p.sees("body[data-connected]", "")
}
