package imapd

import (
	"postroom/imapd/wire"
	"postroom/internal/account"
	"postroom/internal/search"
)

// found is the result: positions in told, and what the options derive.
type found struct {
	seqs   wire.Numbers
	count  int
	modSeq uint64 // highest among all
	failed error
}

func (cmd *searchCommand) run(c *conn) error {
	if cmd.badCharset {
		return cmd.fail(c, no("BADCHARSET (US-ASCII UTF-8)", "Charset not known, or a string that is not in it"))
	}
	if cmd.needModSeq {
		if err := c.useModSeqs(); err != nil {
			return err
		}
	}
	for _, r := range cmd.sets {
		r.n = c.sel.searchSet(r)
	}
	f, err := cmd.search(c)
	if err != nil {
		return cmd.fail(c, err)
	}
	if cmd.save {
		c.sel.saved = cmd.saved(c.sel.told, f)
	}
	if cmd.extended || c.enabled.rev2 {
		cmd.tellExtended(c, f)
	} else {
		cmd.tellPlain(c, f)
	}
	return f.failed
}

// fail empties the saved result, RFC 5182 section 2.1.
func (cmd *searchCommand) fail(c *conn, err error) error {
	if cmd.save {
		c.sel.saved = nil
	}
	return err
}

// searchSet is indices for a search key, where a number that is no message's
// just matches nothing.
func (sel *selection) searchSet(r *resolved) wire.Numbers {
	if r.set.Saved || r.uid {
		n, _ := sel.indices(r.set, true) // fails only for sequence numbers
		return n
	}
	return r.set.Resolve(uint32(sel.told.Len()))
}

func (cmd *searchCommand) search(c *conn) (*found, error) {
	f := new(found)
	sel := c.sel
	cmd.sel = sel
	firstOnly := cmd.extended && cmd.min && !cmd.max && !cmd.all && !cmd.count && !cmd.needModSeq
	err := search.Run(c.ctx, sel.mbox, sel.told, sel.told.Walk(sel.mbox.Current()), cmd.key, func(m *search.Candidate) bool {
		f.seqs.Add(uint32(m.Index() + 1))
		f.count++
		f.modSeq = max(f.modSeq, m.ModSeq())
		return !firstOnly
	}, func(uid uint32, err error) {
		// The rest is worth telling, but not as if it were all.
		c.log.Warn("imap search cannot read a message", "mailbox", sel.name, "uid", uid, "error", err)
		f.failed = err
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (f *found) min() int { return int(f.seqs[0].From) - 1 }
func (f *found) max() int { return int(f.seqs.Max()) - 1 }

// saved is what "$" stands for after SAVE: all of the result, or where only
// MIN or MAX is asked for just those (RFC 5182 section 2.4).
func (cmd *searchCommand) saved(s *account.Snapshot, f *found) wire.Numbers {
	if f.count == 0 {
		return nil
	}
	if cmd.all || cmd.count || !cmd.min && !cmd.max {
		return uidsOf(s, f.seqs)
	}
	var n wire.Numbers
	if cmd.min {
		n.Add(s.UID(f.min()))
	}
	if uid := s.UID(f.max()); cmd.max && !n.Contains(uid) {
		n.Add(uid)
	}
	return n
}

func uidsOf(s *account.Snapshot, seqs wire.Numbers) wire.Numbers {
	var n wire.Numbers
	each(seqs, func(i int) bool {
		n.Add(s.UID(i))
		return true
	})
	return n
}

// tellPlain: RFC 3501 section 7.2.5, with MODSEQ of RFC 7162 section 3.1.5.
func (cmd *searchCommand) tellPlain(c *conn, f *found) {
	e := c.enc.Raw("* SEARCH")
	each(f.seqs, func(i int) bool {
		n := uint64(i + 1)
		if cmd.uid {
			n = uint64(c.sel.told.UID(i))
		}
		e.SP().Num(n)
		return e.Err() == nil
	})
	if cmd.needModSeq && f.count > 0 {
		e.Raw(" (MODSEQ ").Num(f.modSeq).Raw(")")
	}
	e.CRLF()
}

// tellExtended: RFC 9051 section 7.3.4. With SAVE alone nothing is told
// (RFC 5182 section 2.1).
func (cmd *searchCommand) tellExtended(c *conn, f *found) {
	all := cmd.all || !cmd.extended
	if !all && !cmd.min && !cmd.max && !cmd.count {
		return
	}
	s := c.sel.told
	number := func(i int) uint64 {
		if cmd.uid {
			return uint64(s.UID(i))
		}
		return uint64(i + 1)
	}
	e := c.enc.Raw("* ESEARCH (TAG ").String(c.tag).Raw(")")
	if cmd.uid {
		e.Raw(" UID")
	}
	if f.count > 0 {
		if cmd.min {
			e.Raw(" MIN ").Num(number(f.min()))
		}
		if cmd.max {
			e.Raw(" MAX ").Num(number(f.max()))
		}
		if all {
			n := f.seqs
			if cmd.uid {
				n = uidsOf(s, n)
			}
			e.Raw(" ALL ").Numbers(n)
		}
	}
	if cmd.count {
		e.Raw(" COUNT ").Num(uint64(f.count))
	}
	if cmd.needModSeq && f.count > 0 {
		e.Raw(" MODSEQ ").Num(cmd.modSeq(c.sel, f))
	}
	e.CRLF()
}

// modSeq is the highest of the messages that the answer names: all of them
// but where only MIN or MAX was asked for (RFC 7162 section 3.1.10).
func (cmd *searchCommand) modSeq(sel *selection, f *found) uint64 {
	if cmd.all || cmd.count || !cmd.extended || !cmd.min && !cmd.max {
		return f.modSeq
	}
	var n uint64
	cur := sel.mbox.Current()
	if cmd.min {
		s, j := sel.latest(cur, f.min())
		n = s.ModSeq(j)
	}
	if cmd.max {
		s, j := sel.latest(cur, f.max())
		n = max(n, s.ModSeq(j))
	}
	return n
}
