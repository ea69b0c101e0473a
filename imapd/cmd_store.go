package imapd

import (
	"slices"
	"strings"

	"postroom/imapd/wire"
	"postroom/internal/account"
)

// storeCommand is STORE: RFC 9051 section 6.4.6, with UNCHANGEDSINCE of
// RFC 7162 section 3.1.3.
type storeCommand struct {
	set    wire.Set
	uid    bool
	silent bool
	change account.Change
}

func parseStore(p *parser) action {
	cmd := &storeCommand{uid: p.uid}
	if !p.SP() || !p.SequenceSet(&cmd.set) || !p.SP() {
		return nil
	}
	if p.Peek('(') {
		if !p.List(false, func() bool { return cmd.modifier(p) }) || !p.SP() {
			return nil
		}
	}
	var item string
	if !p.Name(&item) || !p.SP() {
		return nil
	}
	item, cmd.silent = strings.CutSuffix(item, ".SILENT")
	switch item {
	case "FLAGS":
		cmd.change.Op = account.StoreReplace
	case "+FLAGS":
		cmd.change.Op = account.StoreAdd
	case "-FLAGS":
		cmd.change.Op = account.StoreRemove
	default:
		p.Syntax("expected FLAGS, +FLAGS or -FLAGS")
		return nil
	}
	if !cmd.flags(p) {
		return nil
	}
	return cmd.run
}

func (cmd *storeCommand) modifier(p *parser) bool {
	var name string
	if !p.Name(&name) {
		return false
	}
	if name != "UNCHANGEDSINCE" {
		return p.Syntax("unknown modifier")
	}
	cmd.change.UnchangedSince = new(uint64)
	return p.SP() && p.Number64(cmd.change.UnchangedSince)
}

// flags reads a list in parentheses or a bare row of flags.
func (cmd *storeCommand) flags(p *parser) bool {
	var names []string
	if p.Peek('(') {
		if !p.FlagList(&names) {
			return false
		}
	} else {
		for {
			var name string
			if !p.Flag(&name) {
				return false
			}
			names = append(names, name)
			if !p.Accept(' ') {
				break
			}
		}
	}
	return parseFlagNames(p, names, &cmd.change.Flags, &cmd.change.Keywords)
}

func (cmd *storeCommand) run(c *conn) error {
	sel := c.sel
	if sel.mbox.Examined() {
		return errReadOnly
	}
	if cmd.change.UnchangedSince != nil {
		if err := c.useModSeqs(); err != nil {
			return err
		}
	}
	positions, uids, err := sel.messages(cmd.set, cmd.uid)
	if err != nil {
		return err
	}
	if len(uids) == 0 {
		return nil
	}
	before := sel.mbox.Current()
	res, err := sel.mbox.Store(c.ctx, uids, cmd.change)
	if err != nil {
		return err
	}
	slices.Sort(res.Modified)
	cmd.tell(c, before, res, positions)
	if len(res.Modified) > 0 {
		return ok(cmd.modified(sel, res.Modified), "Conditional STORE failed for some")
	}
	if len(res.Missing) > 0 && !cmd.uid {
		return account.ErrExpunged
	}
	return nil
}

// tell tells the result of the STORE for each message that it concerned: the
// flags, or with .SILENT no more than the MODSEQ (RFC 7162 section 3.1.3).
// With .SILENT flags are told nevertheless where another client changed them
// at the same time (RFC 9051 section 6.4.6).
func (cmd *storeCommand) tell(c *conn, before *account.Snapshot, res account.StoreResult, positions wire.Numbers) {
	sel, now := c.sel, res.Snapshot
	if now != sel.told {
		c.tellKeywords(now) // before they are used
	}
	each(positions, func(i int) bool {
		uid := sel.told.UID(i)
		j, found := now.Find(uid)
		if !found {
			return c.enc.Err() == nil
		}
		if _, failed := slices.BinarySearch(res.Modified, uid); failed {
			return c.enc.Err() == nil // report tells what it is, if that is news
		}
		switch {
		case !cmd.silent || !cmd.expected(before, now, uid, j):
			c.tellStored(now, j, i+1, cmd.uid, true)
		case c.tellsModSeqs():
			c.tellStored(now, j, i+1, cmd.uid, false)
		}
		if now.ModSeq(j) != sel.told.ModSeq(i) {
			sel.learned(now, j)
		}
		return c.enc.Err() == nil
	})
}

// tellStored writes the FETCH of one stored message.
func (c *conn) tellStored(s *account.Snapshot, i, seq int, uid, flags bool) {
	e := c.enc.Raw("* ").Num(uint64(seq)).Raw(" FETCH (")
	sep := ""
	if uid || c.tellsUIDs() {
		e.Raw("UID ").Num(uint64(s.UID(i)))
		sep = " "
	}
	if flags {
		e.Raw(sep)
		c.writeFlags(s, i)
		sep = " "
	}
	if c.tellsModSeqs() {
		e.Raw(sep).Raw("MODSEQ (").Num(s.ModSeq(i)).Raw(")")
	}
	e.Raw(")").CRLF()
}

// expected tells whether message j of now has the flags that the client must
// think it has, given what stood in before.
func (cmd *storeCommand) expected(before, now *account.Snapshot, uid uint32, j int) bool {
	i, found := before.Find(uid)
	if !found {
		return false
	}
	want := before.Flags(i)
	keywords := before.Keywords(i)
	switch cmd.change.Op {
	case account.StoreReplace:
		want, keywords = cmd.change.Flags, cmd.change.Keywords
	case account.StoreAdd:
		want |= cmd.change.Flags
		for _, k := range cmd.change.Keywords {
			if !hasFold(keywords, k) {
				keywords = append(slices.Clip(keywords), k)
			}
		}
	case account.StoreRemove:
		want &^= cmd.change.Flags
		keywords = slices.DeleteFunc(slices.Clone(keywords), func(k string) bool { return hasFold(cmd.change.Keywords, k) })
	}
	if want != now.Flags(j) {
		return false
	}
	have := now.Keywords(j)
	if len(have) != len(keywords) {
		return false
	}
	for _, k := range keywords {
		if !hasFold(have, k) {
			return false
		}
	}
	return true
}

func hasFold(list []string, s string) bool {
	return slices.ContainsFunc(list, func(x string) bool { return strings.EqualFold(x, s) })
}

// modified lists what UNCHANGEDSINCE spared, in the numbers of the command.
func (cmd *storeCommand) modified(sel *selection, uids []uint32) string {
	n := wire.Of(uids)
	if !cmd.uid {
		n = sel.positions(n)
	}
	return codeWithNumbers("MODIFIED", n)
}
