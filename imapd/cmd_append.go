package imapd

import (
	"io"
	"strconv"
	"time"

	"postroom/imapd/wire"
	"postroom/internal/account"
)

// appendCommand is APPEND: RFC 9051 section 6.3.12, with several messages
// (MULTIAPPEND, RFC 3502), literal8 (RFC 3516) and UTF8 (RFC 6855 section 4).
//
// Each literal goes to the store as it arrives, so the command cannot be read
// to its end before it runs. What can be known before a literal is sent (no
// such mailbox, too big) is answered instead of asking for it.
type appendCommand struct {
	p     *parser
	name  string
	valid bool
	parts []*account.Appender
}

func parseAppend(p *parser) action {
	cmd := &appendCommand{p: p}
	if !p.SP() || !p.Mailbox(&cmd.name, &cmd.valid) || !p.SP() {
		return nil
	}
	return cmd.run
}

func (cmd *appendCommand) run(c *conn) error {
	defer func() {
		for _, a := range cmd.parts {
			a.Abort() // does nothing after Commit
		}
	}()
	for {
		if !cmd.message(c) {
			return cmd.p.Err()
		}
		if !cmd.p.Accept(' ') {
			break
		}
		if len(cmd.parts) >= c.srv.lim.Appends {
			cmd.p.Fail(no("LIMIT", "Too many messages in one APPEND"))
			return cmd.p.Err()
		}
	}
	if !cmd.p.CRLF() {
		return cmd.p.Err()
	}
	validity, uids, err := account.Commit(c.ctx, cmd.parts...)
	if err != nil {
		return tryCreate(err)
	}
	c.count.appended += len(cmd.parts)
	if c.hasSelected(cmd.name) && !c.sel.mbox.Gone() {
		c.sel.arrived(uids)
		if _, err := c.sel.mbox.Sync(c.ctx); err != nil { // so that EXISTS precedes the OK
			c.log.Debug("imap sync after append failed", "error", err)
		}
	}
	if len(uids) == 0 { // who may not read the mailbox is not told (RFC 4315 section 3)
		return nil
	}
	code := strconv.AppendUint([]byte("APPENDUID "), uint64(validity), 10)
	return ok(string(wire.AppendInOrder(append(code, ' '), uids)), "APPEND completed")
}

// message reads one message's options and its literal.
func (cmd *appendCommand) message(c *conn) bool {
	p := cmd.p
	var opt account.AppendOptions
	if p.Peek('(') {
		var names []string
		if !p.FlagList(&names) || !parseFlagNames(p, names, &opt.Flags, &opt.Keywords) || !p.SP() {
			return false
		}
	}
	if p.Peek('"') {
		if !p.DateTime(&opt.Date) || !p.SP() {
			return false
		}
		if opt.Date.Before(time.Unix(1, 0)) { // an mtime of 0 is what a lost one looks like
			opt.Date = time.Unix(1, 0)
		}
	}
	wrapped := false
	if !p.Peek('{') && !p.Peek('~') {
		var word string
		if !p.Name(&word) || word != "UTF8" && !p.Syntax("expected a literal") || !p.SP() || !p.Open() {
			return false
		}
		if wrapped = true; !c.enabled.utf8 && !c.enabled.rev2 {
			return p.Fail(bad("ENABLE UTF8=ACCEPT first"))
		}
	}
	var l wire.Literal
	if !p.Literal(&l) {
		return false
	}
	if err := cmd.store(c, l, opt); err != nil {
		return p.RefuseLiteral(l, err)
	}
	return p.Err() == nil && (!wrapped || p.Close())
}

// store streams one literal to the store. An error means that the literal was
// not taken; later failures are latched in the parser.
func (cmd *appendCommand) store(c *conn, l wire.Literal, opt account.AppendOptions) error {
	switch {
	case !cmd.valid:
		return errBadName
	case l.Size > c.srv.lim.Append:
		return no("TOOBIG", "Message is larger than the limit of "+strconv.FormatInt(c.srv.lim.Append, 10)+" octets")
	case l.Size == 0: // RFC 3502 section 6.3.11: an empty message takes the command back
		return no("", "Message is empty")
	}
	a, err := c.user.Append(c.ctx, cmd.name, opt)
	if err != nil {
		return c.asAnswer("APPEND", tryCreate(err))
	}
	cmd.parts = append(cmd.parts, a)
	r, ok := cmd.p.OpenLiteral(l)
	if !ok {
		return nil
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{a}, r, make([]byte, 32<<10))
	if err != nil && cmd.p.Err() == nil {
		cmd.p.CloseLiteral()
		cmd.p.Fail(c.asAnswer("APPEND", err))
	}
	return nil
}

// asAnswer is answerFor for errors that may be answers already.
func (c *conn) asAnswer(command string, err error) error {
	if a, ok := err.(*answer); ok {
		return a
	}
	return c.answerFor(command, err)
}
