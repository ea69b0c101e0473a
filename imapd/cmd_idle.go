package imapd

import (
	"strings"
	"sync"
	"time"
)

// idle: RFC 9051 section 6.3.13. Whatever the client sends ends it; only DONE
// ends it well.
func (c *conn) idle() error {
	c.enc.Raw("+ idling").CRLF()
	if c.sel != nil {
		if err := c.report(true); err != nil {
			return err
		}
	}
	if err := c.enc.Flush(); err != nil {
		return err
	}
	var line string
	d := c.dec
	err := c.whileWatching(func() bool {
		c.waiting = true
		defer func() { c.waiting = false }()
		return d.Begin() == nil && d.Text(&line) && d.CRLF()
	})
	if err != nil {
		return err
	}
	if d.Err() != nil {
		return d.Err()
	}
	if !strings.EqualFold(strings.TrimSpace(line), "DONE") {
		return bad("Expected DONE")
	}
	return nil
}

// whileWatching tells what is new in the selected mailbox while read waits for
// the client. During that time the other goroutine owns the session and the
// encoder, and this one nothing but the decoder; it has ended when
// whileWatching returns. An error means that the client was told BYE or is
// not there.
func (c *conn) whileWatching(read func() bool) error {
	if c.sel == nil {
		read()
		return nil
	}
	var (
		watcher sync.WaitGroup
		stop    = make(chan struct{})
		failed  error
	)
	c.watching = true
	watcher.Go(func() {
		failed = errOver
		defer c.rescue("idle")
		if failed = c.watch(stop); failed != nil {
			c.broken.Store(true)
			_ = c.raw.SetReadDeadline(time.Now()) // wakes the reader
		}
	})
	read()
	close(stop)
	watcher.Wait()
	c.watching = false
	return failed
}

func (c *conn) watch(stop <-chan struct{}) error {
	changed := c.sel.mbox.Changed()
	for {
		// First the look, then the wait: what came before is not missed.
		if err := c.report(true); err != nil {
			return err
		}
		if err := c.enc.Flush(); err != nil {
			return err
		}
		select {
		case <-stop:
			return nil
		case <-changed:
		}
	}
}
