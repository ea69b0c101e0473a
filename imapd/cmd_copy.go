package imapd

import (
	"strconv"

	"postroom/imapd/wire"
	"postroom/internal/account"
)

// copyCommand is COPY or MOVE: RFC 9051 sections 6.4.7 and 6.4.8.
type copyCommand struct {
	set   wire.Set
	uid   bool
	move  bool
	name  string
	valid bool
}

func parseCopy(p *parser) action { return parseCopyMove(p, false) }
func parseMove(p *parser) action { return parseCopyMove(p, true) }

func parseCopyMove(p *parser, move bool) action {
	cmd := &copyCommand{uid: p.uid, move: move}
	if !p.SP() || !p.SequenceSet(&cmd.set) || !p.SP() || !p.Mailbox(&cmd.name, &cmd.valid) {
		return nil
	}
	return cmd.run
}

func (cmd *copyCommand) run(c *conn) error {
	if !cmd.valid {
		return errBadName
	}
	if cmd.move && c.sel.mbox.Examined() {
		return errReadOnly
	}
	_, uids, err := c.sel.messages(cmd.set, cmd.uid)
	if err != nil {
		return err
	}
	if len(uids) == 0 {
		return nil
	}
	do := c.sel.mbox.Copy
	if cmd.move {
		do = c.sel.mbox.Move
	}
	done, err := do(c.ctx, uids, cmd.name)
	if err != nil {
		return tryCreate(err)
	}
	c.count.copied += len(done.From)
	code := copyUID(done)
	if cmd.move && code != "" {
		// Before the EXPUNGE responses, which report sends (RFC 6851 section 4.3).
		c.untagged("OK", code, "Moved")
		code = ""
	}
	if c.hasSelected(cmd.name) {
		c.sel.arrived(done.To)
		if _, err := c.sel.mbox.Sync(c.ctx); err != nil {
			c.log.Debug("imap sync after copy failed", "error", err)
		}
	}
	if len(done.Missing) > 0 && !cmd.uid {
		return account.ErrExpunged
	}
	name := "COPY"
	if cmd.move {
		name = "MOVE"
		if s := c.sel.mbox.Current(); c.enabled.qresync && s != nil {
			code = highestModSeq(s.HighestModSeq()) // RFC 7162 section 3.2.9
		}
	}
	return ok(code, name+" completed")
}

// copyUID is the code of RFC 4315 section 3; none for who may not read the
// mailbox that the copies are in.
func copyUID(done account.Copied) string {
	if len(done.To) == 0 {
		return ""
	}
	code := strconv.AppendUint([]byte("COPYUID "), uint64(done.UIDValidity), 10)
	code = wire.AppendInOrder(append(code, ' '), done.From)
	code = wire.AppendInOrder(append(code, ' '), done.To)
	return string(code)
}
