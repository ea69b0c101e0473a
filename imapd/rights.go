package imapd

import (
	"errors"
	"strings"

	"postroom/internal/account"
)

// permanent is what PERMANENTFLAGS tells: the flags that can be stored for good.
type permanent struct {
	system           account.Flags
	keywords, create bool
}

func permanentOf(m *account.Mailbox) (p permanent) {
	p.system, p.keywords, p.create = m.PermanentFlags()
	return p
}

func (p permanent) names(keywords []string) string {
	var names []string
	for _, f := range flagNames {
		if p.system&f.flag != 0 {
			names = append(names, f.name)
		}
	}
	if p.keywords {
		names = append(names, keywords...)
	}
	if p.create {
		names = append(names, `\*`)
	}
	return strings.Join(names, " ")
}

// refreshRights looks at the rights there are now in the selected mailbox. They
// count at once (RFC 4314 section 5.1.1): what has changed of that which the client
// was told is told anew, and who may not read the mailbox any more is sent away.
// It comes before every command on the mailbox, and before all that is told of it
// otherwise.
func (c *conn) refreshRights() error {
	sel := c.sel
	if _, err := sel.mbox.Refresh(); err != nil {
		if sel.mbox.Gone() {
			return c.byeGone()
		}
		if !errors.Is(err, account.ErrNoRight) {
			c.log.Error("imap rights cannot be read", "mailbox", sel.name, "error", err)
		}
		c.bye("", "Mailbox may not be read any more", "no right to read")
		return errOver
	}
	if permanentOf(sel.mbox) != sel.permanent {
		c.tellFlagNames(sel.mbox.Current().AllKeywords())
	}
	if now := sel.mbox.ReadOnly(); now != sel.readOnly {
		sel.readOnly = now
		if now {
			c.untagged("OK", "READ-ONLY", "Rights have changed")
			return c.enc.Err()
		}
		c.untagged("OK", "READ-WRITE", "Rights have changed")
		c.claimRecent(sel.told) // which it could not before
	}
	return c.enc.Err()
}

// rightsDiffer tells whether refreshRights would have something to say.
func (c *conn) rightsDiffer() bool {
	_, err := c.sel.mbox.Refresh()
	return err != nil || permanentOf(c.sel.mbox) != c.sel.permanent || c.sel.mbox.ReadOnly() != c.sel.readOnly
}
