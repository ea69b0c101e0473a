package imapd

import (
	"errors"
	"slices"
	"strconv"

	"postroom/imapd/wire"
	"postroom/internal/account"
)

// selectCommand is SELECT or EXAMINE: RFC 9051 sections 6.3.2 and 6.3.3, with
// the parameters of RFC 7162 sections 3.1.8 and 3.2.5.
type selectCommand struct {
	name      string
	valid     bool
	readOnly  bool
	condstore bool
	qresync   *qresync
}

// qresync is what the client remembers of the mailbox.
type qresync struct {
	uidValidity uint32
	modSeq      uint64
	known       *wire.Set // UIDs; nil: all
	seqs, uids  wire.Set  // pairs by position, to narrow what is told
}

func parseSelect(p *parser) action  { return parseOpen(p, false) }
func parseExamine(p *parser) action { return parseOpen(p, true) }

func parseOpen(p *parser, readOnly bool) action {
	cmd := &selectCommand{readOnly: readOnly}
	if !p.SP() || !p.Mailbox(&cmd.name, &cmd.valid) {
		return nil
	}
	if p.Accept(' ') && !p.List(false, func() bool {
		var name string
		if !p.Name(&name) {
			return false
		}
		switch name {
		case "CONDSTORE":
			cmd.condstore = true
			return true
		case "QRESYNC":
			cmd.qresync = new(qresync)
			return p.SP() && cmd.qresync.parse(p)
		}
		return p.Syntax("unknown parameter")
	}) {
		return nil
	}
	return cmd.run
}

// parse reads (uidvalidity modseq [known-uids] [(seqs uids)]).
func (q *qresync) parse(p *parser) bool {
	if !p.Open() || !p.NzNumber(&q.uidValidity) || !p.SP() || !p.Number64(&q.modSeq) {
		return false
	}
	if p.Accept(' ') {
		if !p.Peek('(') {
			q.known = new(wire.Set)
			if !p.knownSet(q.known) {
				return false
			}
			if !p.Accept(' ') {
				return p.Close()
			}
		}
		if !p.Open() || !p.knownSet(&q.seqs) || !p.SP() || !p.knownSet(&q.uids) || !p.Close() {
			return false
		}
	}
	return p.Close()
}

// knownSet reads a set of what a client knows, in which "*" and "$" have no
// meaning (RFC 7162 section 7).
func (p *parser) knownSet(set *wire.Set) bool {
	if !p.SequenceSet(set) {
		return false
	}
	if set.Saved || slices.ContainsFunc(set.Ranges, func(r wire.Range) bool { return r.From == 0 || r.To == 0 }) {
		return p.Syntax("only numbers may stand here")
	}
	return true
}

func (cmd *selectCommand) run(c *conn) error {
	if cmd.qresync != nil && !c.enabled.qresync {
		return bad("ENABLE QRESYNC first") // RFC 7162 section 3.2.5
	}
	if c.sel != nil {
		// Whatever comes of this command, the old mailbox is no longer selected.
		c.leave()
		c.untagged("OK", "CLOSED", "Previous mailbox is now closed")
	}
	if !cmd.valid {
		return errBadName
	}
	mbox, err := c.user.Select(c.ctx, cmd.name, cmd.readOnly)
	if err != nil {
		return err
	}
	// HIGHESTMODSEQ is told to every client, so it must be fit to be told.
	noModSeq := false
	if err := mbox.TellModSeqs(c.ctx); err != nil {
		c.log.Debug("imap mailbox without mod-sequences", "mailbox", cmd.name, "error", err)
		noModSeq = true
	}
	snap, err := mbox.Sync(c.ctx)
	if err != nil {
		mbox.Close()
		return err
	}
	if cmd.condstore {
		c.enabled.condstore = true
	}
	c.sel = &selection{mbox: mbox, name: mbox.Name(), told: snap, readOnly: mbox.ReadOnly(), noModSeq: noModSeq}
	c.claimRecent(snap)
	c.tellSelected()
	if cmd.qresync != nil {
		if err := c.resync(cmd.qresync); err != nil {
			c.leave()
			return err
		}
	}
	if c.sel.readOnly {
		return ok("READ-ONLY", "Selected read-only")
	}
	return ok("READ-WRITE", "Selected")
}

// tellSelected: RFC 9051 section 6.3.2, and what RFC 3501 had besides.
func (c *conn) tellSelected() {
	s := c.sel.told
	c.tellFlagNames(s.AllKeywords())
	c.number(s.Len(), "EXISTS")
	if !c.enabled.rev2 {
		c.tellRecent(s)
		if i := s.FirstUnseen(); i >= 0 {
			c.untagged("OK", "UNSEEN "+strconv.Itoa(i+1), "First unseen")
		}
	}
	c.untagged("OK", "UIDVALIDITY "+strconv.FormatUint(uint64(s.UIDValidity()), 10), "UIDs valid")
	c.untagged("OK", "UIDNEXT "+strconv.FormatUint(uint64(s.UIDNext()), 10), "Predicted next UID")
	if c.sel.noModSeq {
		c.untagged("OK", "NOMODSEQ", "No mod-sequences here")
	} else {
		c.untagged("OK", highestModSeq(s.HighestModSeq()), "Highest")
	}
	if !s.Sticky() {
		c.untagged("NO", "UIDNOTSTICKY", "UIDs of this mailbox do not last")
	}
	if c.enabled.rev2 {
		c.enc.Raw("* LIST () ").String(string(c.user.Separator())).SP().Mailbox(c.sel.name).CRLF()
	}
}

func highestModSeq(n uint64) string { return "HIGHESTMODSEQ " + strconv.FormatUint(n, 10) }

// closeCommand: RFC 9051 section 6.4.1. It expunges without telling; with
// QRESYNC the answer carries the MODSEQ (RFC 7162 section 3.2.8). Who may not
// expunge closes all the same (RFC 4314 section 4).
func (c *conn) closeCommand() error {
	var code string
	if sel := c.sel; !sel.mbox.Examined() && !sel.mbox.Gone() {
		s, err := sel.mbox.Expunge(c.ctx, nil)
		switch {
		case errors.Is(err, account.ErrNoRight):
		case err != nil:
			// RFC 9051 lets CLOSE fail only where it was bad; the mailbox is
			// closed anyway, and the messages keep their \Deleted.
			c.log.Warn("imap expunge at close failed", "mailbox", sel.name, "error", err)
		case c.enabled.qresync && !sel.noModSeq && sel.foresees(s):
			code = highestModSeq(s.HighestModSeq())
		}
	}
	c.leave()
	return ok(code, "Closed")
}

// foresees tells whether a client that knows told, and that what has \Deleted
// is expunged, knows s: only then may it go on from the MODSEQ of s.
func (sel *selection) foresees(s *account.Snapshot) bool {
	n := sel.news(s)
	if len(n.changed) > 0 || n.added > 0 {
		return false
	}
	for _, uid := range n.expunged {
		if i, ok := sel.told.Find(uid); !ok || sel.told.Flags(i)&account.Deleted == 0 {
			return false
		}
	}
	return true
}

// unselectCommand: RFC 9051 section 6.4.2.
func (c *conn) unselectCommand() error {
	c.leave()
	return ok("", "Unselected")
}

// resync: RFC 7162 section 3.2.5.1 and 3.2.5.2. Without a common UIDVALIDITY
// the client's memory is worth nothing and nothing is told beyond SELECT.
func (c *conn) resync(q *qresync) error {
	s := c.sel.told
	if q.uidValidity != s.UIDValidity() || c.sel.noModSeq {
		return nil
	}
	known := wire.Numbers{{From: 1, To: max(s.UIDNext(), 2) - 1}}
	if q.known != nil {
		known = q.known.Resolve(known[0].To)
	}
	c.tellVanishedEarlier(q.modSeq, known, q.matched(s))
	for i := range s.Len() {
		if s.ModSeq(i) > q.modSeq && known.Contains(s.UID(i)) {
			c.tellFlags(s, i, i+1)
		}
	}
	return c.enc.Err()
}

// matched is the highest UID of the client's pairs up to which nothing was
// expunged, since it still has the sequence number that it had (RFC 7162
// section 3.2.5.2).
func (q *qresync) matched(s *account.Snapshot) uint32 {
	seqs, uids := pairs{set: q.seqs.Ranges}, pairs{set: q.uids.Ranges}
	var last uint32
	for {
		seq, ok1 := seqs.next()
		uid, ok2 := uids.next()
		if !ok1 || !ok2 || int64(seq) > int64(s.Len()) || s.UID(int(seq)-1) != uid {
			return last
		}
		last = uid
	}
}

// pairs walks a set number by number; "*" may not occur and ends it.
type pairs struct {
	set []wire.Range
	at  uint32
}

func (p *pairs) next() (uint32, bool) {
	for len(p.set) > 0 {
		r := p.set[0]
		if r.From == 0 || r.To < r.From {
			return 0, false
		}
		if p.at < r.From {
			p.at = r.From
			return p.at, true
		}
		if p.at < r.To {
			p.at++
			return p.at, true
		}
		p.set, p.at = p.set[1:], 0
	}
	return 0, false
}

// tellVanishedEarlier is VANISHED (EARLIER) for the UIDs among known that were
// expunged after modSeq. Where the history does not reach back that far every
// UID that is not there counts, but for those below matched, of which it is
// known that the client has the truth.
func (c *conn) tellVanishedEarlier(modSeq uint64, known wire.Numbers, matched uint32) {
	s := c.sel.told
	var gone wire.Numbers
	if uids, ok := c.sel.mbox.ExpungedSince(s, modSeq); ok {
		for _, uid := range uids {
			if known.Contains(uid) {
				gone.Add(uid)
			}
		}
	} else {
		gone = absent(s, known, matched)
	}
	if len(gone) > 0 {
		c.enc.Raw("* VANISHED (EARLIER) ").Numbers(gone).CRLF()
	}
}

// absent gives the numbers of known, above floor and below UIDNEXT, that are
// no message's UID.
func absent(s *account.Snapshot, known wire.Numbers, floor uint32) wire.Numbers {
	var out wire.Numbers
	for _, r := range known {
		from, to := max(r.From, floor+1), min(r.To, s.UIDNext()-1)
		for i := s.Index(from); from <= to && from != 0; i++ {
			if i >= s.Len() || s.UID(i) > to {
				out = append(out, wire.Range{From: from, To: to})
				break
			}
			if uid := s.UID(i); uid > from {
				out = append(out, wire.Range{From: from, To: uid - 1})
			}
			from = s.UID(i) + 1
		}
	}
	return out
}
