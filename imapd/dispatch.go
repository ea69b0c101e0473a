package imapd

import (
	"errors"

	"postroom/imapd/wire"
)

// next reads one command, runs it and answers it. An error ends the connection.
func (c *conn) next() error {
	d := c.dec
	if c.sock.Interrupted() {
		return errShutdown
	}
	if c.idling != nil {
		return c.endIdle()
	}
	d.SetLimits(c.limits())
	if err := d.Begin(); err != nil {
		return err
	}
	var tag string
	if !d.Tag(&tag) || !d.SP() {
		return c.syntax("")
	}
	row, p, err := c.lookUp()
	if err == nil {
		act := row.parse(p)
		if d.Err() == nil && (row.stream || d.CRLF()) {
			return c.run(row, p, tag, act)
		}
	}
	if d.Err() != nil {
		return c.syntax(tag)
	}
	return c.refuse(tag, err)
}

// lookUp reads a command's name.
func (c *conn) lookUp() (*command, *parser, error) {
	d := c.dec
	p := &parser{Decoder: d, lim: &c.srv.lim}
	var name string
	if !d.Name(&name) {
		return nil, nil, d.Err()
	}
	if name == "UID" {
		p.uid = true
		if !d.SP() || !d.Name(&name) {
			return nil, nil, d.Err()
		}
	}
	row := byName[name]
	if row == nil || p.uid && !row.uid {
		return nil, nil, bad("Unknown command")
	}
	if c.user == nil {
		if c.commands++; c.commands > c.srv.lim.CommandsBeforeLogin {
			c.bye("LIMIT", "Too many commands without login", "too many commands")
			return nil, nil, errOver
		}
	}
	if row.states&c.state() == 0 {
		return nil, nil, bad(wrongState(row, c.state()))
	}
	return row, p, nil
}

func wrongState(row *command, now states) string {
	switch {
	case row.states&loggedIn == 0:
		return row.name + " is for before the login"
	case now == notAuthenticated:
		return "Log in first"
	}
	return "Select a mailbox first"
}

// run runs act and answers.
func (c *conn) run(row *command, p *parser, tag string, act action) error {
	c.tag = tag
	before := c.sel
	if row.states == isSelected {
		if err := c.refreshRights(); err != nil {
			return err
		}
	}
	var err error
	if row.long {
		err = c.attended(act)
	} else {
		err = act(c)
	}
	if c.dec.Err() != nil { // an action that read on: APPEND, AUTHENTICATE
		return c.syntax(tag)
	}
	if errors.Is(err, errAnswered) {
		return nil
	}
	if c.over && err == nil { // LOGOUT
		c.tagged(tag, &answer{kind: "OK", text: "Logged out"})
		return nil
	}
	return c.answer(row, p.uid, before, tag, err)
}

// answer tells what is new in the mailbox, if it is the one that was selected
// before, and then how the command ended.
func (c *conn) answer(row *command, uid bool, before *selection, tag string, err error) error {
	var ans *answer
	switch {
	case err == nil:
		ans = &answer{kind: "OK", text: row.name + " completed"}
	case errors.As(err, &ans):
	case c.fatal(err) != nil:
		return c.fatal(err)
	default:
		ans = c.answerFor(row.name, err)
	}
	if c.sel != nil && c.sel == before && ans.kind != "BAD" {
		tell := c.wake
		if row.states == isSelected { // run has looked at the rights
			tell = c.report
		}
		if err := tell(!row.numbers || uid); err != nil {
			if errors.Is(err, errOver) {
				c.tagged(tag, ans) // after the BYE, as LOGOUT does: the client learns what came of its command
			}
			return err
		}
	}
	c.tagged(tag, ans)
	if ans.kind == "BAD" {
		return c.countBad()
	}
	c.bad = 0
	return nil
}

// fatal tells which errors end the connection: its own.
func (c *conn) fatal(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, errOver) || errors.Is(err, wire.ErrLineTooLong) || errors.Is(err, wire.ErrDiscardTooLong) {
		return err
	}
	if c.dec.IOErr() != nil || c.enc.Err() != nil || c.ctx.Err() != nil {
		return errors.Join(err, c.dec.IOErr(), c.enc.Err())
	}
	return nil
}

// syntax answers the decoder's failure and goes to the next command.
func (c *conn) syntax(tag string) error {
	err := c.dec.Err()
	if failed := c.dec.IOErr(); failed != nil {
		return failed
	}
	var size *wire.LiteralSizeError
	ans := bad("Syntax error")
	switch {
	case errors.As(err, &ans):
	case errors.As(err, &size):
		ans = &answer{kind: "NO", code: "TOOBIG", text: "Too big: " + size.Error()}
	case err != nil:
		ans = bad("Syntax error: " + err.Error())
	}
	return c.refuse(tag, ans)
}

// refuse answers a command that was not run.
func (c *conn) refuse(tag string, err error) error {
	var ans *answer
	if !errors.As(err, &ans) {
		return err
	}
	if err := c.dec.DiscardLine(); err != nil {
		return err
	}
	c.tagged(tag, ans)
	if ans.kind != "BAD" {
		return nil
	}
	return c.countBad()
}

// countBad sends away what does not speak IMAP.
func (c *conn) countBad() error {
	limit := c.srv.lim.BadCommands
	if c.user == nil {
		limit = min(limit, 10)
	}
	if c.bad++; c.bad >= limit {
		c.bye("", "Too many bad commands", "bad commands")
		return errOver
	}
	return nil
}
