package imapd

import (
	"postroom/imapd/wire"
)

// parseExpunge: RFC 9051 sections 6.4.3 and 6.4.9 (UID EXPUNGE).
func parseExpunge(p *parser) action {
	var set wire.Set
	if p.uid && (!p.SP() || !p.SequenceSet(&set)) {
		return nil
	}
	uid := p.uid
	return func(c *conn) error {
		if c.sel.mbox.Examined() {
			return errReadOnly
		}
		var uids []uint32
		if uid {
			_, list, err := c.sel.messages(set, true)
			if err != nil {
				return err
			}
			if len(list) == 0 {
				return nil
			}
			uids = list
		}
		s, err := c.sel.mbox.Expunge(c.ctx, uids)
		if err != nil {
			return err
		}
		if c.enabled.qresync { // RFC 7162 section 3.2.7
			return ok(highestModSeq(s.HighestModSeq()), "EXPUNGE completed")
		}
		return nil
	}
}

var errReadOnly = no("READ-ONLY", "Mailbox is selected read-only")
