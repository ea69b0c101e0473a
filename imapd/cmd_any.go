package imapd

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// greet is the first line, RFC 9051 section 7.1.5.
func (c *conn) greet() {
	c.untagged("OK", "CAPABILITY "+c.capabilities(), "Postroom is ready")
}

// capabilities is what CAPABILITY says in this state.
func (c *conn) capabilities() string {
	words := []string{"IMAP4rev1", "IMAP4rev2"}
	literal := "LITERAL+"
	if c.srv.opt.LiteralMinus {
		literal = "LITERAL-"
	}
	words = append(words, literal)
	if c.user != nil {
		words = append(words, c.srv.extensions...)
		words = append(words, "APPENDLIMIT="+strconv.FormatInt(c.srv.lim.Append, 10))
		return strings.Join(words, " ")
	}
	words = append(words, "SASL-IR", "ID", "ENABLE", "IDLE")
	if !c.sock.Encrypted() && c.srv.opt.TLS != nil {
		words = append(words, "STARTTLS")
	}
	mechanisms := c.srv.opt.Auth.Mechanisms(c.connInfo())
	if !c.secret() || !slices.Contains(mechanisms, "PLAIN") {
		words = append(words, "LOGINDISABLED") // LOGIN stands and falls with PLAIN
	}
	for _, m := range mechanisms {
		if c.mayUse(m) {
			words = append(words, "AUTH="+m)
		}
	}
	return strings.Join(words, " ")
}

// capability: RFC 9051 section 6.1.1.
func (c *conn) capability() error {
	c.enc.Raw("* CAPABILITY ").Raw(c.capabilities()).CRLF()
	return nil
}

// noop: RFC 9051 section 6.1.2, and CHECK of RFC 3501 section 6.4.1. It looks
// at the file system, so what others did before it was sent is told.
func (c *conn) noop() error {
	if c.sel == nil {
		return nil
	}
	if _, err := c.sel.mbox.Sync(c.ctx); err != nil && !c.sel.mbox.Gone() {
		// NOOP always succeeds; what could not be seen now is told later.
		c.log.Warn("imap sync failed", "mailbox", c.sel.name, "error", err)
	}
	return nil
}

// logoutCommand: RFC 9051 section 6.1.3. BYE comes before the tagged OK.
func (c *conn) logoutCommand() error {
	c.over, c.reason = true, "logout"
	c.untagged("BYE", "", "Logging out")
	return nil
}

// parseID: RFC 2971 section 3.1, any state. NIL or at most 30 pairs.
func parseID(p *parser) action {
	var fields []string
	if !p.SP() {
		return nil
	}
	if p.Peek('(') {
		if !p.List(true, func() bool {
			var key, value string
			if !p.String(&key) || !p.SP() || !p.Nstring(&value) {
				return false
			}
			if len(fields) >= 60 || len(key) > 30 || len(value) > 1024 {
				return p.Syntax("at most 30 fields, of 30 and 1024 octets")
			}
			fields = append(fields, key, value)
			return true
		}) {
			return nil
		}
	} else {
		var none string
		if !p.Nstring(&none) {
			return nil
		}
	}
	return func(c *conn) error { return c.identify(fields) }
}

func (c *conn) identify(fields []string) error {
	if len(fields) > 0 {
		c.log.Debug("imap client", "id", fields)
	}
	e := c.enc.Raw(`* ID ("name" "Postroom"`)
	if v := c.srv.opt.Version; v != "" {
		e.Raw(` "version" `).String(v)
	}
	e.Raw(")").CRLF()
	return nil
}

// logout ends what login began, with a line in the log.
func (c *conn) logout() {
	if c.user == nil {
		c.log.Debug("imap connection ended", "reason", c.reason)
		return
	}
	c.leave()
	c.log.Info("imap logout", "user", c.user.Name(), "reason", c.reason,
		"duration", time.Since(c.count.since).Round(time.Millisecond),
		"in", c.count.in, "out", c.enc.Total(),
		"fetched", c.count.fetched, "appended", c.count.appended,
		"copied", c.count.copied, "expunged", c.count.expunged)
	c.user.Close()
	c.release()
	c.user, c.release = nil, nil
	c.enabled = extensions{}
	c.dec.UTF8, c.enc.UTF8 = false, false
}
