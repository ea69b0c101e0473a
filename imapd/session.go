package imapd

import (
	"slices"
	"strings"

	"postroom/imapd/wire"
	"postroom/internal/account"
)

// selection is the selected mailbox as the client knows it.
type selection struct {
	mbox *account.Mailbox
	name string
	// told is the snapshot that the client was told; sequence number n is its
	// message n-1. Only report and SELECT change it.
	told *account.Snapshot
	// early is how many messages the client was told of besides that had no UID in told. They are the first
	// of those that come, whichever these will be, and if fewer come the last are taken back.
	// Outside IDLE it is 0.
	early      int
	readOnly   bool            // as told by READ-ONLY or READ-WRITE
	permanent  permanent       // as told by the last PERMANENTFLAGS
	noModSeq   bool            // MODSEQs cannot be promised, so none is told
	recent     wire.Numbers    // UIDs that are \Recent in this session (RFC 3501 section 2.3.2)
	toldRecent int             // how many of them RECENT told last
	keywords   map[string]bool // told by the last FLAGS
	saved      wire.Numbers    // UIDs that "$" stands for (RFC 5182)
	// knows holds the MODSEQ at which the client learned the flags of a UID by
	// other means than report, so that report does not repeat them. It is
	// empty whenever told is current.
	knows map[uint32]uint64
}

// learned notes that the client knows the flags of message i of s.
func (sel *selection) learned(s *account.Snapshot, i int) {
	if sel.knows == nil {
		sel.knows = make(map[uint32]uint64)
	}
	sel.knows[s.UID(i)] = s.ModSeq(i)
}

// latest gives message i of told as it is now, or as it was told if it is gone.
func (sel *selection) latest(cur *account.Snapshot, i int) (*account.Snapshot, int) {
	if cur != sel.told {
		if j, ok := cur.Find(sel.told.UID(i)); ok {
			return cur, j
		}
	}
	return sel.told, i
}

// news is the difference between what was told and what is.
type news struct {
	expunged []uint32 // UIDs, ascending
	seqs     []int    // their sequence numbers as EXPUNGE tells them, in order
	changed  []int    // indices in the newer snapshot
	added    int
}

// claims tells whether there are messages in new/ for somebody to take from there.
func (n news) claims(cur *account.Snapshot) bool { return n.added > 0 && cur.CountNew() > 0 }

func (sel *selection) news(cur *account.Snapshot) news {
	var n news
	sel.told.Diff(cur, func(i int, uid uint32) {
		n.seqs = append(n.seqs, i+1-len(n.expunged)) // those before it are gone already
		n.expunged = append(n.expunged, uid)
	}, func(i int) {
		if sel.knows[cur.UID(i)] != cur.ModSeq(i) {
			n.changed = append(n.changed, i)
		}
	})
	n.added = cur.Len() - cur.Index(sel.told.UIDNext())
	return n
}

// report tells what is new in the selected mailbox. Where expunge is false and
// a message is gone nothing is told: all that follows in the new snapshot has
// other numbers than the client's.
func (c *conn) report(expunge bool) error {
	sel := c.sel
	if sel.mbox.Gone() {
		return c.byeGone()
	}
	cur := sel.mbox.Current()
	if cur == sel.told && c.arriving(cur) == sel.early {
		return nil
	}
	n := sel.news(cur)
	if len(n.expunged) > 0 && !expunge {
		if c.enabled.qresync && !sel.noModSeq {
			// MODSEQs above those of the messages that are gone may have been told.
			// Should the connection end now, the client must ask from below them
			// (RFC 7162 section 3.2).
			c.tellHighestModSeq()
		}
		return nil
	}
	c.tell(cur, n)
	return c.enc.Err()
}

// tell tells the news, which make cur what the client was told.
func (c *conn) tell(cur *account.Snapshot, n news) {
	sel := c.sel
	if c.idling != nil && c.idling.news != nil {
		sel.addRecent(c.idling.news.Claimed(cur))
	}
	c.tellExpunged(n)
	arriving := c.arriving(cur)
	counted, count := sel.told.Len()-len(n.expunged)+sel.early, cur.Len()+arriving
	for ; counted > count; counted-- {
		c.number(counted, "EXPUNGE") // it was announced, and went before it had a UID
	}
	if n.claims(cur) {
		c.claimRecent(cur)
	}
	if counted < count {
		c.number(count, "EXISTS")
	}
	// An EXPUNGE does not imply that fewer are recent.
	if counted < count && n.added > 0 || sel.recents(cur) != sel.toldRecent {
		c.tellRecent(cur)
	}
	sel.told, sel.early, sel.knows = cur, arriving, nil
	if len(n.changed) > 0 || n.added > 0 {
		c.tellKeywords(cur)
	}
	for _, i := range n.changed {
		c.tellFlags(cur, i, i+1)
	}
}

func (c *conn) byeGone() error {
	c.bye("", "Mailbox was deleted, renamed or replaced", "mailbox gone")
	return errOver
}

// wake is report for when no command has looked at the rights.
func (c *conn) wake(expunge bool) error {
	if err := c.refreshRights(); err != nil {
		return err
	}
	return c.report(expunge)
}

func (c *conn) tellExpunged(n news) {
	if len(n.expunged) == 0 {
		return
	}
	c.count.expunged += len(n.expunged)
	if c.enabled.qresync { // RFC 7162 section 3.2.10
		c.enc.Raw("* VANISHED ").Numbers(wire.Of(n.expunged)).CRLF()
		return
	}
	for _, seq := range n.seqs {
		c.number(seq, "EXPUNGE")
	}
}

// tellsUIDs tells whether the UID goes along with flags that the client did not
// ask for: QRESYNC (RFC 7162 section 3.2.4), IMAP4rev2 (RFC 9051 section 7.5.2).
func (c *conn) tellsUIDs() bool { return c.enabled.qresync || c.enabled.rev2 }

// tellFlags is an unsolicited FETCH.
func (c *conn) tellFlags(s *account.Snapshot, i, seq int) {
	e := c.enc.Raw("* ").Num(uint64(seq)).Raw(" FETCH (")
	if c.tellsUIDs() {
		e.Raw("UID ").Num(uint64(s.UID(i))).SP()
	}
	c.writeFlags(s, i)
	if c.tellsModSeqs() {
		e.Raw(" MODSEQ (").Num(s.ModSeq(i)).Raw(")")
	}
	e.Raw(")").CRLF()
}

// writeFlags writes FLAGS (...), \Recent included where it exists.
func (c *conn) writeFlags(s *account.Snapshot, i int) {
	c.enc.Raw("FLAGS (").Append(func(dst []byte) []byte {
		before := len(dst)
		dst = s.AppendFlags(dst, i)
		if len(c.sel.recent) > 0 && !c.enabled.rev2 && c.sel.recent.Contains(s.UID(i)) {
			if len(dst) > before {
				dst = append(dst, ' ')
			}
			dst = append(dst, `\Recent`...)
		}
		return dst
	}).Raw(")")
}

// claimRecent takes new messages out of new/ and makes them this session's
// recent ones. A failure delays that to another session, which is harmless.
func (c *conn) claimRecent(cur *account.Snapshot) {
	uids, err := c.sel.mbox.ClaimRecent(c.ctx, cur)
	if err != nil {
		c.log.Warn("imap cannot move new messages to cur", "mailbox", c.sel.name, "error", err)
	}
	c.sel.addRecent(uids)
}

// addRecent makes messages recent that were claimed for this session; UIDs ascending.
func (sel *selection) addRecent(uids []uint32) {
	if len(uids) > 0 {
		sel.recent = sel.recent.Union(wire.Of(uids))
	}
}

// arrived makes messages recent that this session itself put into its mailbox:
// those with flags lie in cur/, where no session finds them new (RFC 3501
// sections 6.3.11 and 6.4.7).
func (sel *selection) arrived(uids []uint32) {
	sel.addRecent(slices.Sorted(slices.Values(uids)))
}

func (c *conn) tellRecent(s *account.Snapshot) {
	if c.enabled.rev2 {
		return
	}
	c.sel.toldRecent = c.sel.recents(s)
	c.number(c.sel.toldRecent, "RECENT")
}

// recents counts the messages of s that are \Recent here.
func (sel *selection) recents(s *account.Snapshot) int {
	n := 0
	for _, r := range sel.recent {
		n += s.Index(r.To) - s.Index(r.From)
		if _, ok := s.Find(r.To); ok {
			n++
		}
	}
	return n
}

// tellKeywords repeats FLAGS and PERMANENTFLAGS when there are keywords that
// they did not name (RFC 9051 section 7.3.5).
func (c *conn) tellKeywords(s *account.Snapshot) {
	all := s.AllKeywords()
	for _, k := range all {
		if !c.sel.keywords[k] {
			c.tellFlagNames(all)
			return
		}
	}
}

const systemFlags = `\Answered \Flagged \Deleted \Seen \Draft`

func (c *conn) tellFlagNames(keywords []string) {
	c.sel.keywords = make(map[string]bool, len(keywords))
	e := c.enc.Raw("* FLAGS (").Raw(systemFlags)
	for _, k := range keywords {
		c.sel.keywords[k] = true
		e.SP().Raw(k)
	}
	e.Raw(")").CRLF()
	c.sel.permanent = permanentOf(c.sel.mbox)
	c.untagged("OK", "PERMANENTFLAGS ("+c.sel.permanent.names(keywords)+")", "Flags that are kept")
}

var flagNames = []struct {
	flag account.Flags
	name string
}{
	{account.Answered, `\Answered`},
	{account.Flagged, `\Flagged`},
	{account.Deleted, `\Deleted`},
	{account.Seen, `\Seen`},
	{account.Draft, `\Draft`},
}

// maxFlags bounds the flags of one command; a file holds a few dozen.
const maxFlags = 1000

// parseFlagNames sorts flags as sent into system flags and keywords.
func parseFlagNames(p *parser, names []string, system *account.Flags, keywords *[]string) bool {
	if len(names) > maxFlags {
		return p.Fail(no("LIMIT", "Too many flags"))
	}
next:
	for _, name := range names {
		if name[0] != '\\' {
			if !slices.ContainsFunc(*keywords, func(k string) bool { return strings.EqualFold(k, name) }) {
				*keywords = append(*keywords, name)
			}
			continue
		}
		for _, f := range flagNames {
			if strings.EqualFold(name, f.name) {
				*system |= f.flag
				continue next
			}
		}
		return p.Fail(bad("No such system flag, or one that only the server sets"))
	}
	return true
}

// hasSelected tells whether a name is that of the selected mailbox.
func (c *conn) hasSelected(name string) bool {
	return c.sel != nil && c.user.Canonical(name) == c.sel.name
}

// leave closes the selected mailbox, if there is one.
func (c *conn) leave() {
	c.leaveIdle()
	if c.sel != nil {
		c.sel.mbox.Close()
		c.sel = nil
	}
}
