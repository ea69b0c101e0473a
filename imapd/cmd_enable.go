package imapd

// parseEnable: RFC 9051 section 6.3.1, RFC 5161. What is not known is ignored
// and not told. It is taken in the selected state as well, as RFC 7162 section
// 3.1 shows it.
func parseEnable(p *parser) action {
	var names []string
	for {
		var name string
		if !p.SP() || !p.Name(&name) {
			return nil
		}
		if names = append(names, name); len(names) > 100 {
			p.Syntax("too many extensions")
			return nil
		}
		if p.AtEnd() {
			return func(c *conn) error { return c.enable(names) }
		}
	}
}

func (c *conn) enable(names []string) error {
	before := c.enabled
	var told []string
	for _, name := range names {
		switch name {
		case "IMAP4REV2":
			c.enabled.rev2 = true
			told = append(told, "IMAP4rev2")
		case "UTF8=ACCEPT":
			c.enabled.utf8 = true
			told = append(told, name)
		case "CONDSTORE":
			c.enabled.condstore = true
			told = append(told, name)
		case "QRESYNC": // implies CONDSTORE, RFC 7162 section 3.2.3
			c.enabled.condstore, c.enabled.qresync = true, true
			told = append(told, name)
		}
	}
	c.dec.UTF8 = c.enabled.rev2 || c.enabled.utf8
	c.enc.UTF8 = c.dec.UTF8
	e := c.enc.Raw("* ENABLED")
	for _, name := range told {
		e.SP().Raw(name)
	}
	e.CRLF()
	if c.enabled.condstore && !before.condstore {
		c.tellHighestModSeq()
	}
	return nil
}

// enableCondstore is for commands that enable CONDSTORE by themselves (RFC
// 7162 section 3.1): STATUS, FETCH, SEARCH and STORE that speak of MODSEQ.
func (c *conn) enableCondstore() {
	if !c.enabled.condstore {
		c.enabled.condstore = true
		c.tellHighestModSeq()
	}
}

// useModSeqs is enableCondstore for commands on the selected mailbox, which
// fail where it has no MODSEQs (RFC 7162 section 3.1.2.2).
func (c *conn) useModSeqs() error {
	if c.sel.noModSeq {
		return bad("This mailbox has no mod-sequences (NOMODSEQ)")
	}
	c.enableCondstore()
	return nil
}

// tellsModSeqs tells whether MODSEQ goes into FETCH responses unasked.
func (c *conn) tellsModSeqs() bool { return c.enabled.condstore && !c.sel.noModSeq }

func (c *conn) tellHighestModSeq() {
	if c.sel != nil && !c.sel.noModSeq {
		c.untagged("OK", highestModSeq(c.sel.told.HighestModSeq()), "Highest")
	}
}
