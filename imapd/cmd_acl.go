package imapd

import (
	"postroom/internal/account"
	"postroom/internal/auth"
)

// The commands of RFC 4314. Who may not look a mailbox up gets the answer of one
// that is not there; who may, and may not administer it, NOPERM.

// aclName is an identifier as the client wrote it, and what it means. It stands
// for an entry: with a leading "-" for the one that takes rights away.
type aclName struct {
	text     string
	id       account.Identifier
	negative bool
}

// identifier reads one. It is prepared like the name of a user who logs in; what
// cannot be, or is nothing then, is BAD (RFC 4314 section 3).
func (p *parser) identifier(dst *aclName) bool {
	if !p.Astring(&dst.text) {
		return false
	}
	prepared, err := auth.Prepare(dst.text)
	if err == nil {
		dst.id, dst.negative, err = account.ParseIdentifier(prepared)
	}
	return err == nil || p.Syntax("no identifier: "+err.Error())
}

// aclEntry reads what names an entry of a mailbox's ACL.
func (p *parser) aclEntry(mailbox *string, valid *bool, who *aclName) bool {
	return p.SP() && p.Mailbox(mailbox, valid) && p.SP() && p.identifier(who)
}

// oneEntry is the parser of the commands whose only arguments are a mailbox and an identifier.
func oneEntry(run func(c *conn, name string, who *aclName) error) func(p *parser) action {
	return func(p *parser) action {
		var name string
		var valid bool
		var who aclName
		if !p.aclEntry(&name, &valid, &who) {
			return nil
		}
		return func(c *conn) error {
			if !valid {
				return errBadName
			}
			return run(c, name, &who)
		}
	}
}

// getACL: RFC 4314 section 3.3. Where the file is damaged the answer is what it
// comes to: the owner's rights.
func (c *conn) getACL(name string) error {
	acl, err := c.user.GetACL(c.ctx, name)
	if err != nil {
		return err
	}
	if acl.Err != nil {
		c.untagged("NO", "CORRUPTION", "The ACL file cannot be understood: it gives nobody rights until it is mended")
	}
	e := c.enc.Raw("* ACL ").Mailbox(name)
	for _, entry := range acl.Entries {
		e.SP().Astring(acl.Name(entry)).SP().Astring(entry.Rights.Wire())
	}
	e.CRLF()
	return nil
}

// parseSetACL: RFC 4314 section 3.1. A letter that is no right is BAD, so that nobody
// takes a right for given that was not. It is told with ALERT, the one text that clients
// show to people, that from now on everybody may change the mailbox: who set "anyone" by a slip
// must learn it before others do.
func parseSetACL(p *parser) action {
	var (
		name, letters string
		valid         bool
		who           aclName
	)
	if !p.aclEntry(&name, &valid, &who) || !p.SP() || !p.Astring(&letters) {
		return nil
	}
	mode, rights, err := account.ParseModRights(letters)
	if err != nil {
		p.Syntax("unknown right")
		return nil
	}
	return func(c *conn) error {
		if !valid {
			return errBadName
		}
		open, err := c.user.SetACL(c.ctx, name, who.id, who.negative, mode, rights)
		if err == nil && open {
			c.untagged("OK", "ALERT", "Everybody may change this mailbox now")
		}
		return err
	}
}

// deleteACL: RFC 4314 section 3.2.
func (c *conn) deleteACL(name string, who *aclName) error {
	return c.user.DeleteACL(c.ctx, name, who.id, who.negative)
}

// listRights: RFC 4314 section 3.4.
func (c *conn) listRights(name string, who *aclName) error {
	rights, err := c.user.ListRights(c.ctx, name, who.id, who.negative)
	if err != nil {
		return err
	}
	e := c.enc.Raw("* LISTRIGHTS ").Mailbox(name).SP().Astring(who.text)
	for _, r := range rights {
		e.SP().Astring(r)
	}
	e.CRLF()
	return nil
}

// myRights: RFC 4314 section 3.5.
func (c *conn) myRights(name string) error {
	have, err := c.user.MyRights(c.ctx, name)
	if err != nil {
		return err
	}
	c.tellMyRights(name, have)
	return nil
}

func (c *conn) tellMyRights(name string, have account.Rights) {
	c.enc.Raw("* MYRIGHTS ").Mailbox(name).SP().Astring(have.Wire()).CRLF()
}
