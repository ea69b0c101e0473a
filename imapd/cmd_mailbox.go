package imapd

import (
	"strings"

	"postroom/internal/account"
)

// oneMailbox is the parser of the commands whose only argument is a name.
func oneMailbox(run func(c *conn, name string) error) func(p *parser) action {
	return func(p *parser) action {
		var name string
		var valid bool
		if !p.SP() || !p.Mailbox(&name, &valid) {
			return nil
		}
		return func(c *conn) error {
			if !valid {
				return errBadName
			}
			return run(c, name)
		}
	}
}

// specialUses are the uses that CREATE may ask for, RFC 6154 section 2.
// \All and \Flagged are views over other mailboxes, which there are not.
var specialUses = []string{`\Archive`, `\Drafts`, `\Junk`, `\Sent`, `\Trash`}

// parseCreate: RFC 9051 section 6.3.4, with USE of RFC 6154 section 3.
func parseCreate(p *parser) action {
	var name, use string
	var valid bool
	supported := true
	if !p.SP() || !p.Mailbox(&name, &valid) {
		return nil
	}
	if p.Accept(' ') && !p.List(false, func() bool {
		var param string
		if !p.Name(&param) {
			return false
		}
		if param != "USE" {
			return p.Syntax("unknown parameter")
		}
		if !p.SP() || !p.Open() {
			return false
		}
		for !p.Peek(')') {
			var attr string
			if use != "" {
				supported = false // one use a mailbox
				if !p.SP() {
					return false
				}
			}
			if !p.Flag(&attr) {
				return false
			}
			found := false
			for _, u := range specialUses {
				if strings.EqualFold(u, attr) {
					use, found = u, true
				}
			}
			if !found {
				use, supported = attr, false
			}
		}
		return p.Close()
	}) {
		return nil
	}
	return func(c *conn) error {
		switch {
		case !valid:
			return errBadName
		case !supported:
			return no("USEATTR", "No such special use here")
		}
		return c.user.Create(c.ctx, name, use)
	}
}

// parseDelete: RFC 9051 section 6.3.5. Deleting the selected mailbox is
// allowed; report then says BYE.
var parseDelete = oneMailbox(func(c *conn, name string) error { return c.user.Delete(c.ctx, name) })

// parseSubscribe: RFC 9051 section 6.3.7.
var parseSubscribe = oneMailbox(func(c *conn, name string) error { return c.user.Subscribe(c.ctx, name) })

// parseUnsubscribe: RFC 9051 section 6.3.8.
var parseUnsubscribe = oneMailbox(func(c *conn, name string) error { return c.user.Unsubscribe(c.ctx, name) })

// parseRename: RFC 9051 section 6.3.6.
func parseRename(p *parser) action {
	var from, to string
	var validFrom, validTo bool
	if !p.SP() || !p.Mailbox(&from, &validFrom) || !p.SP() || !p.Mailbox(&to, &validTo) {
		return nil
	}
	return func(c *conn) error {
		if !validFrom || !validTo {
			return errBadName
		}
		return c.user.Rename(c.ctx, from, to)
	}
}

// namespace: RFC 9051 section 6.3.10.
func (c *conn) namespace() error {
	personal, other, shared := c.user.Namespaces()
	e := c.enc.Raw("* NAMESPACE")
	for _, list := range [][]account.Namespace{personal, other, shared} {
		if len(list) == 0 {
			e.Raw(" NIL")
			continue
		}
		e.Raw(" (")
		for _, ns := range list {
			e.Raw("(").String(e.Name(ns.Prefix)).SP().String(string(ns.Separator)).Raw(")")
		}
		e.Raw(")")
	}
	e.CRLF()
	return nil
}
