package socket

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of what Close waits for: the time in which a client should have seen
// the end, and what it may have sent before that.
const (
	lingerTime   = 2 * time.Second
	lingerOctets = 1 << 20
)

// Close ends the connection so that all that was written arrives. A socket that is
// closed while the client's octets lie unread, or still come, sends a reset,
// and a reset destroys what the client has not read yet. So the end is
// announced, and what comes is thrown away until the client ends its side too,
// for two seconds and a megabyte at most. Cut ends that as well.
func (c *Conn) Close() {
	defer c.raw.Close()
	defer c.dropAhead()
	if c.writeFailed {
		return
	}
	if c.tls != nil {
		_ = c.raw.SetWriteDeadline(time.Now().Add(lingerTime))
		_ = c.tls.CloseWrite() // close_notify
	}
	half, ok := c.raw.(interface{ CloseWrite() error })
	if !ok || c.readErr != nil || half.CloseWrite() != nil {
		return
	}
	c.dropAhead()
	_ = c.raw.SetReadDeadline(time.Now().Add(lingerTime))
	b := buffers.Get().(*[readAhead]byte)
	defer buffers.Put(b)
	for left := lingerOctets; left > 0; {
		n, err := c.raw.Read(b[:])
		if err != nil {
			return
		}
		left -= n
	}
}

// Presence is what can be known of the client without its saying anything.
type Presence uint8

const (
	// Here: nothing tells otherwise.
	Here Presence = iota
	// Silent: it will send nothing more. Either it has closed the connection or
	// it has ended its own side and still reads, as `printf ... | nc` does; only
	// an answer to what is written can tell the two apart.
	Silent
	// Gone: the connection was reset.
	Gone
)

// Presence looks at the socket, whatever lies unread in it. For any goroutine.
func (c *Conn) Presence() Presence {
	if c.sys == nil {
		return Here
	}
	state := Here
	err := c.sys.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		if n, err := unix.Poll(p, 0); n <= 0 || err != nil {
			return
		}
		switch {
		case p[0].Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0:
			state = Gone
		case p[0].Revents&unix.POLLRDHUP != 0:
			state = Silent
		}
	})
	if err != nil {
		return Gone // closed by Cut
	}
	return state
}

var _ net.Conn = (*stream)(nil)
