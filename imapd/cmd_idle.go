package imapd

import (
	"strings"

	"postroom/internal/account"
)

// idling is the state of a session in IDLE, RFC 9051 section 6.3.13: it waits
// as between commands, but what is new in the selected mailbox wakes it.
type idling struct {
	tag  string
	news *account.Subscriber // nil: no mailbox is selected
}

// idle begins it. Whatever the client sends ends it; only DONE ends it well.
func (c *conn) idle() error {
	c.idling = &idling{tag: c.tag}
	if c.sel != nil {
		// First this, then the look: what comes between is not missed.
		c.idling.news = c.sel.mbox.Notify(c.sock.Wake, !c.enabled.qresync)
	}
	c.enc.Raw("+ idling").CRLF()
	if c.sel != nil {
		if err := c.wake(true); err != nil {
			return err
		}
	}
	return errAnswered
}

// ringNews is how many expunges and changes are told without a goroutine: what the system does not take of it at once is kept.
const ringNews = 100

// Ring tells what is new, if nothing has to be waited for: see socket.Ringer.
func (c *conn) Ring() (done bool) {
	defer c.rescue("session")
	if c.idling == nil || c.sel == nil {
		return true
	}
	if c.sel.mbox.OwnSeen() || c.rightsDiffer() {
		return false // one may have to wait for the reader's own marks, the other may be the end
	}
	cur := c.sel.mbox.Current()
	if cur.Gone() {
		return false
	}
	n := c.sel.news(cur)
	if len(n.expunged)+len(n.changed) > ringNews || n.claims(cur) {
		return false
	}
	all, err := c.sock.Promptly(func() error {
		c.tell(cur, n)
		return c.enc.Flush()
	})
	return all && err == nil
}

// arriving tells how many messages of s are to be told of that have no UID yet. The client
// can do nothing with them but count, so that is for IDLE alone: commands wait for the UIDs.
// With QRESYNC none is told, since VANISHED could not take it back.
func (c *conn) arriving(s *account.Snapshot) int {
	if c.idling == nil || c.enabled.qresync {
		return 0
	}
	return s.Arriving()
}

// endIdle reads the line that ends it, and answers.
func (c *conn) endIdle() error {
	tag := c.idling.tag
	c.leaveIdle()
	if c.sel != nil && c.sel.early > 0 {
		c.sel.mbox.Settled()
		if err := c.report(true); err != nil {
			return err
		}
	}
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
	if c.idling == nil {
		return
	}
	if c.idling.news != nil {
		c.sel.addRecent(c.idling.news.Cancel())
	}
	c.idling = nil
}
