package imapd

import "strings"

// idling is the state of a session in IDLE, RFC 9051 section 6.3.13: it waits
// as between commands, but what is new in the selected mailbox wakes it.
type idling struct {
	tag  string
	stop func() // ends the waking
}

// idle begins it. Whatever the client sends ends it; only DONE ends it well.
func (c *conn) idle() error {
	c.idling = &idling{tag: c.tag, stop: func() {}}
	if c.sel != nil {
		// First this, then the look: what comes between is not missed.
		c.idling.stop = c.sel.mbox.Notify(c.sock.Wake)
	}
	c.enc.Raw("+ idling").CRLF()
	if c.sel != nil {
		if err := c.wake(true); err != nil {
			return err
		}
	}
	return errAnswered
}

// endIdle reads the line that ends it, and answers.
func (c *conn) endIdle() error {
	tag := c.idling.tag
	c.leaveIdle()
	var line string
	d := c.dec
	if d.Begin() != nil || !d.Text(&line) || !d.CRLF() {
		return c.syntax(tag)
	}
	var err error
	if !strings.EqualFold(strings.TrimSpace(line), "DONE") {
		err = bad("Expected DONE")
	}
	return c.answer(byName["IDLE"], false, c.sel, tag, err)
}

// leaveIdle ends the state, if the session is in it.
func (c *conn) leaveIdle() {
	if c.idling != nil {
		c.idling.stop()
		c.idling = nil
	}
}
