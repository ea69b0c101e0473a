package imapd

import (
	"time"

	"postroom/internal/socket"
)

// lookEvery is how often a long command sees whether its client is there.
const lookEvery = time.Second

// attended runs a command that may say nothing for long, and cancels c.ctx when the
// client departs meanwhile. A connection that was reset is one whose client
// has gone. A client that will send nothing more need not have: it may have
// sent all its commands and wait for the answers. It is told a line, once, and
// whoever has closed the connection answers that with a reset.
func (c *conn) attended(act action) error {
	if err := c.enc.Flush(); err != nil { // so that a line may be told: nothing is half written
		return err
	}
	w := &watch{c: c}
	c.writing.Lock()
	c.wrote = false
	w.timer = time.AfterFunc(lookEvery, w.look)
	c.writing.Unlock()
	defer w.end()
	return act(c)
}

// watch is the look-out for one command. conn.writing guards it.
type watch struct {
	c     *conn
	timer *time.Timer
	over  bool // the command has ended
	asked bool // the client was told a line
}

func (w *watch) end() {
	w.c.writing.Lock()
	defer w.c.writing.Unlock()
	w.over = true
	w.timer.Stop()
}

// look is the timer's. It begins none of the command's words, and none comes between its own.
func (w *watch) look() {
	c := w.c
	c.writing.Lock()
	defer c.writing.Unlock()
	if w.over {
		return
	}
	switch c.sock.Presence() {
	case socket.Gone:
		c.cancel(errDeparted)
		return
	case socket.Silent:
		if !w.asked && !c.wrote {
			w.asked = true
			if _, err := c.sock.Write([]byte("* OK Still at work\r\n")); err != nil {
				c.cancel(errDeparted)
				return
			}
		}
	}
	w.timer.Reset(lookEvery)
}
