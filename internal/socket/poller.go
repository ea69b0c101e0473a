package socket

import (
	"os"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// sweepEvery is how late a parked connection's deadline may be noticed.
const sweepEvery = time.Second

// Poller waits for any number of connections with one goroutine: a connection
// that is silent for long needs none of its own.
type Poller struct {
	file *os.File // an epoll instance, which the runtime's own poller watches
	sys  syscall.RawConn
	done chan struct{} // closed when the goroutine has ended

	trim      func() // gives memory back to the system
	trimAfter int    // so many more have been parked
	trims     sync.WaitGroup
	rings     sync.WaitGroup // one for each of ringers

	mu      sync.Mutex      // guards what follows, and what the parked Conns say of it
	parked  map[int32]*Conn // by descriptor
	sweepAt time.Time       // no deadline of a parked connection is earlier
	trimmed int             // how many were parked at the last trim, or since
	rung    []*Conn         // that wait for Ring
	ringers int             // goroutines that call it
	closed  bool
}

// What connections have needed before they fell silent is worth a trim, which
// costs a collection of the heap, when a thousand have, and a quarter of all.
const (
	trimAfter  = 1000
	trimSettle = 2 * time.Second
)

// Sleeper is whoever waits for a parked connection.
type Sleeper interface {
	// Resume is called in a goroutine of its own, once for each Park. Await then
	// tells what there is, at once.
	Resume()
}

// NewPoller starts a Poller; Close ends it.
func NewPoller() (*Poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	p := &Poller{file: os.NewFile(uintptr(fd), "epoll"), done: make(chan struct{}), parked: make(map[int32]*Conn), trim: debug.FreeOSMemory, trimAfter: trimAfter}
	if p.sys, err = p.file.SyscallConn(); err == nil {
		err = p.file.SetReadDeadline(time.Time{}) // fails where the runtime cannot watch it
	}
	if err != nil {
		p.file.Close()
		return nil, err
	}
	go p.run()
	return p, nil
}

// Close ends the Poller and resumes what is parked.
func (p *Poller) Close() {
	p.mu.Lock()
	p.closed = true
	for _, c := range p.parked {
		p.unparkLocked(c)
	}
	p.mu.Unlock()
	p.file.Close()
	<-p.done
	p.rings.Wait()
	p.trims.Wait()
}

// Park lets p wait for c, until octets come, the deadline has passed, or one of
// Wake, Interrupt and Cut is called; then s resumes, or, for Wake, is rung if it is a Ringer. No goroutine may use c
// until then. False means that c cannot be parked and s does not resume.
func (p *Poller) Park(c *Conn, deadline time.Time, s Sleeper) bool {
	if p == nil || c.sys == nil || c.Readable() {
		return false
	}
	_ = c.raw.SetReadDeadline(time.Time{})
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || !p.addLocked(c) {
		return false
	}
	c.sleeper, c.deadline = s, deadline
	c.poller.Store(p)
	if p.manyLocked() {
		if soon := time.Now().Add(trimSettle); soon.Before(deadline) {
			deadline = soon
		}
	}
	if p.sweepAt.IsZero() || deadline.Before(p.sweepAt) {
		p.sweepAt = deadline
		p.setAlarmLocked()
	}
	// Whoever set a flag before the line that stored p did not find it there.
	if c.woken.Load() || c.interrupted.Load() || c.cut.Load() {
		p.unparkLocked(c)
	}
	return true
}

func (p *Poller) addLocked(c *Conn) bool {
	added := false
	err := c.sys.Control(func(fd uintptr) {
		ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: int32(fd)}
		if added = p.control(unix.EPOLL_CTL_ADD, int(fd), &ev) == nil; added {
			c.fd = int32(fd)
			p.parked[c.fd] = c
		}
	})
	return err == nil && added
}

// control is epoll_ctl. p.file cannot be closed meanwhile: p.mu is held and p
// is not closed.
func (p *Poller) control(op, fd int, ev *unix.EpollEvent) error {
	var err error
	if failed := p.sys.Control(func(ep uintptr) { err = unix.EpollCtl(int(ep), op, fd, ev) }); failed != nil {
		return failed
	}
	return err
}

// unparkLocked resumes c if it is parked; while it is being rung, afterwards.
func (p *Poller) unparkLocked(c *Conn) {
	if p.parked[c.fd] != c {
		return
	}
	if c.ringing {
		c.recalled = true
		return
	}
	delete(p.parked, c.fd)
	c.poller.Store(nil)
	// Of a closed socket the system has forgotten it already.
	_ = c.sys.Control(func(fd uintptr) { _ = p.control(unix.EPOLL_CTL_DEL, int(fd), nil) })
	s := c.sleeper
	c.sleeper = nil
	go s.Resume()
}

// manyLocked tells whether a trim is due.
func (p *Poller) manyLocked() bool {
	return len(p.parked)-p.trimmed >= max(p.trimAfter, p.trimmed/4)
}

// unpark resumes the connection, if it is parked.
func (c *Conn) unpark() {
	if p := c.poller.Load(); p != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.unparkLocked(c)
	}
}

// run takes the events until Close.
func (p *Poller) run() {
	defer close(p.done)
	events := make([]unix.EpollEvent, 128)
	for {
		var n int
		err := p.sys.Read(func(fd uintptr) bool {
			n, _ = unix.EpollWait(int(fd), events, 0)
			return n > 0
		})
		if err != nil && !isTimeout(err) {
			return // closed
		}
		p.mu.Lock()
		for _, ev := range events[:max(n, 0)] {
			if c := p.parked[ev.Fd]; c != nil {
				p.unparkLocked(c)
			}
		}
		if err != nil {
			p.sweepLocked(time.Now())
		}
		p.mu.Unlock()
	}
}

// sweepLocked resumes what has waited long enough, and sets the next alarm.
func (p *Poller) sweepLocked(now time.Time) {
	next := time.Time{}
	for _, c := range p.parked {
		switch {
		case !now.Before(c.deadline):
			p.unparkLocked(c)
		case next.IsZero() || c.deadline.Before(next):
			next = c.deadline
		}
	}
	if !next.IsZero() && next.Before(now.Add(sweepEvery)) {
		next = now.Add(sweepEvery)
	}
	p.sweepAt = next
	p.setAlarmLocked()
	if p.manyLocked() {
		p.trimmed = len(p.parked)
		p.trims.Go(p.trim)
	}
	p.trimmed = min(p.trimmed, len(p.parked))
}

func (p *Poller) setAlarmLocked() { _ = p.file.SetReadDeadline(p.sweepAt) }
