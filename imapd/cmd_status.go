package imapd

import (
	"slices"
	"strings"

	"postroom/internal/account"
)

// statusItems: RFC 9051 section 6.3.11, RFC 3501 section 6.3.10 (RECENT),
// RFC 7162 section 3.1.7, RFC 7889 section 4.
var statusItems = map[string]func(c *conn, s *account.Status) uint64{
	"MESSAGES":      func(_ *conn, s *account.Status) uint64 { return uint64(s.Messages) },
	"RECENT":        func(_ *conn, s *account.Status) uint64 { return uint64(s.Recent) },
	"UIDNEXT":       func(_ *conn, s *account.Status) uint64 { return uint64(s.UIDNext) },
	"UIDVALIDITY":   func(_ *conn, s *account.Status) uint64 { return uint64(s.UIDValidity) },
	"UNSEEN":        func(_ *conn, s *account.Status) uint64 { return uint64(s.Unseen) },
	"DELETED":       func(_ *conn, s *account.Status) uint64 { return uint64(s.Deleted) },
	"SIZE":          func(_ *conn, s *account.Status) uint64 { return uint64(s.Size) },
	"HIGHESTMODSEQ": func(_ *conn, s *account.Status) uint64 { return s.HighestModSeq },
	"APPENDLIMIT":   func(c *conn, _ *account.Status) uint64 { return uint64(c.srv.lim.Append) },
}

// statusList reads the parenthesized items of STATUS and of LIST's RETURN.
func (p *parser) statusList(items *[]string) bool {
	return p.List(false, func() bool {
		var item string
		if !p.Name(&item) {
			return false
		}
		if statusItems[item] == nil {
			return p.Syntax("unknown status item " + item)
		}
		if !slices.Contains(*items, item) {
			*items = append(*items, item)
		}
		return true
	})
}

// parseStatus: RFC 9051 section 6.3.11.
func parseStatus(p *parser) action {
	var (
		name  string
		valid bool
		items []string
	)
	if !p.SP() || !p.Mailbox(&name, &valid) || !p.SP() || !p.statusList(&items) {
		return nil
	}
	return func(c *conn) error {
		if !valid {
			return errBadName
		}
		if slices.Contains(items, "HIGHESTMODSEQ") {
			c.enableCondstore()
		}
		return c.tellStatus(name, items)
	}
}

func (c *conn) tellStatus(name string, items []string) error {
	s, err := c.user.Status(c.ctx, name, account.StatusOptions{
		Size:   slices.Contains(items, "SIZE"),
		ModSeq: slices.Contains(items, "HIGHESTMODSEQ"),
	})
	if err != nil {
		return err
	}
	if c.hasSelected(name) && !c.sel.readOnly {
		s.Recent += c.sel.recents(c.sel.told) // which the store has in cur/
	}
	e := c.enc.Raw("* STATUS ").Mailbox(name).Raw(" (")
	for i, item := range items {
		if i > 0 {
			e.SP()
		}
		e.Raw(strings.ToUpper(item)).SP().Num(statusItems[item](c, &s))
	}
	e.Raw(")").CRLF()
	return nil
}
