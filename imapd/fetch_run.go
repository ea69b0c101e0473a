package imapd

import (
	"errors"
	"fmt"
	"io"
	"time"

	"postroom/internal/account"
	"postroom/internal/message"
)

// seenBatch is how many messages get \Seen at once: enough to make the lock
// cheap, and few enough that a client that goes away has not "read" much more
// than it was sent.
const seenBatch = 32

func (cmd *fetchCommand) run(c *conn) error {
	sel := c.sel
	if cmd.changedSince != nil || cmd.tellModSeq {
		if err := c.useModSeqs(); err != nil {
			return err
		}
	}
	if cmd.vanished && !c.enabled.qresync {
		return bad("ENABLE QRESYNC first")
	}
	n, err := sel.indices(cmd.set, cmd.uid)
	if err != nil {
		return err
	}
	if cmd.vanished {
		known := sel.saved
		if !cmd.set.Saved {
			known = cmd.set.Resolve(max(sel.told.UIDNext(), 2) - 1)
		}
		c.tellVanishedEarlier(*cmd.changedSince, known, 0)
	}
	f := &fetching{cmd: cmd, c: c, cur: sel.mbox.Current(), rd: sel.mbox.Read(c.ctx), wrote: c.enc.Total()}
	defer f.rd.Close()
	if cmd.tellFlags && f.cur != sel.told {
		c.tellKeywords(f.cur)
	}
	system, _, _ := sel.mbox.PermanentFlags()
	seen := cmd.setSeen && system&account.Seen != 0
	var batch []int
	each(n, func(i int) bool {
		if s, j := sel.latest(f.cur, i); cmd.changedSince != nil && s.ModSeq(j) <= *cmd.changedSince {
			return true
		}
		if !seen {
			err = f.one(i, false)
			return err == nil
		}
		if batch = append(batch, i); len(batch) == seenBatch {
			err = f.batch(batch)
			batch = batch[:0]
		}
		return err == nil
	})
	if err == nil && len(batch) > 0 {
		err = f.batch(batch)
	}
	switch {
	case err != nil:
		return err
	case f.failed != nil: // the rest was answered
		return f.failed
	}
	return nil
}

// fetching is a FETCH under way.
type fetching struct {
	cmd    *fetchCommand
	c      *conn
	cur    *account.Snapshot // newest, for flags; numbers are those of told
	failed error             // what stopped some message, told at the end
	wrote  int64             // octets that had been written at the last look at the rights

	rd *account.Reading

	// of the message under way
	rec    message.Record
	msg    *account.Message
	parsed *message.Message
	date   time.Time
	size   int64

	scratch []byte
}

// batch sets \Seen where it is missing, then tells the messages with their new
// flags (RFC 9051 section 6.4.5, BODY[]).
func (f *fetching) batch(list []int) error {
	sel := f.c.sel
	var uids []uint32
	unseen := make(map[int]bool)
	for _, i := range list {
		if s, j := sel.latest(f.cur, i); s.Flags(j)&account.Seen == 0 {
			uids = append(uids, s.UID(j))
			unseen[i] = true
		}
	}
	if len(uids) > 0 {
		res, err := sel.mbox.Store(f.c.ctx, uids, account.Change{Op: account.StoreAdd, Flags: account.Seen})
		if err != nil {
			// The mail can be read even where that cannot be noted.
			f.c.log.Warn("imap cannot set \\Seen", "mailbox", sel.name, "error", err)
			clear(unseen)
		} else {
			f.cur = res.Snapshot
		}
	}
	for _, i := range list {
		if err := f.one(i, unseen[i]); err != nil {
			return err
		}
	}
	return nil
}

// one tells one message. Whatever can fail is done before the first octet is
// written; after that only the connection's end can stop it.
func (f *fetching) one(i int, flags bool) error {
	c, sel := f.c, f.c.sel
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if err := f.permitted(); err != nil {
		return err
	}
	if err := f.open(i); err != nil {
		// A text of ErrExpunged is no fault; the rest of the set is told.
		if !errors.Is(err, account.ErrExpunged) && !errors.Is(err, message.ErrUnknownCTE) {
			c.log.Warn("imap message cannot be read", "mailbox", sel.name, "uid", sel.told.UID(i), "error", err)
		}
		if f.failed == nil || errors.Is(f.failed, account.ErrExpunged) {
			f.failed = err
		}
		return nil
	}
	s, j := sel.latest(f.cur, i)
	c.count.fetched++
	c.enc.Raw("* ").Num(uint64(i + 1)).Raw(" FETCH (")
	for k := range f.cmd.items {
		if k > 0 {
			c.enc.SP()
		}
		if err := f.item(&f.cmd.items[k], s, j); err != nil {
			return f.broken(err)
		}
	}
	f.newFlags(s, j, flags)
	c.enc.Raw(")").CRLF()
	if (flags || f.cmd.tellFlags) && s != sel.told && s.ModSeq(j) != sel.told.ModSeq(i) &&
		(flags || !c.tellsModSeqs() || f.cmd.tellModSeq) {
		sel.learned(s, j)
	}
	return c.enc.Err()
}

// permitted looks whether the mailbox may still be read, once after each write: there it is that a FETCH waits for its
// client, who takes the time that he likes.
func (f *fetching) permitted() error {
	c := f.c
	if now := c.enc.Total(); now != f.wrote {
		f.wrote = now
		if _, err := c.sel.mbox.Refresh(); err != nil {
			return c.refreshRights()
		}
	}
	return nil
}

// newFlags tells the flags that this FETCH changed.
func (f *fetching) newFlags(s *account.Snapshot, j int, changed bool) {
	if !changed {
		return
	}
	e := f.c.enc
	if !f.cmd.tellFlags {
		if !f.cmd.tellUID && f.c.tellsUIDs() {
			e.Raw(" UID ").Num(uint64(s.UID(j)))
		}
		e.SP()
		f.c.writeFlags(s, j)
	}
	if f.c.tellsModSeqs() && !f.cmd.tellModSeq {
		e.Raw(" MODSEQ (").Num(s.ModSeq(j)).Raw(")")
	}
}

// open gets what the items need of message i.
func (f *fetching) open(i int) (err error) {
	cmd := f.cmd
	f.rec, f.msg, f.parsed = nil, nil, nil
	f.rd.Seek(f.c.sel.told, i)
	if cmd.needRecord {
		if f.rec, err = f.rd.Record(); err != nil {
			return err
		}
	}
	if cmd.needText {
		if f.msg, err = f.rd.File(); err != nil {
			return err
		}
	}
	if cmd.needParts || f.needsParts() {
		if err := f.openParts(); err != nil {
			return err
		}
	}
	if cmd.needSize {
		if f.size, err = f.rd.Size(); err != nil {
			return err
		}
	}
	if cmd.needDate {
		f.date, err = f.rd.Date()
	}
	return err
}

// needsParts tells whether this message must be taken apart though most need not.
func (f *fetching) needsParts() bool {
	if f.cmd.needText && f.msg.Text() == nil {
		return true
	}
	for k := range f.cmd.items {
		if set := f.cmd.items[k].set; set != nil && !f.rec.Has(set) {
			return true
		}
	}
	return false
}

func (f *fetching) openParts() (err error) {
	if f.parsed, err = f.rd.Structure(); err != nil {
		return err
	}
	if f.msg, err = f.rd.File(); err != nil {
		return err
	}
	for k := range f.cmd.items {
		item := &f.cmd.items[k]
		if item.kind != itemBinary && item.kind != itemBinarySize {
			continue
		}
		if _, ok := f.parsed.Part(item.path); !ok {
			continue
		}
		if _, err := message.OpenDecoded(f.msg, f.parsed, item.path); err != nil {
			return err
		}
	}
	return nil
}

// broken ends the connection: a literal was announced and cannot be kept, or
// an answer is half written. The client asks again and finds the truth.
func (f *fetching) broken(err error) error {
	if f.c.enc.Err() == nil {
		f.c.log.Error("imap message failed while it was sent", "mailbox", f.c.sel.name, "error", err)
		f.c.over, f.c.reason = true, "message unreadable"
	}
	return errors.Join(errOver, err)
}

func (f *fetching) item(item *fetchItem, s *account.Snapshot, j int) error {
	e := f.c.enc
	switch item.kind {
	case itemFlags:
		f.c.writeFlags(s, j)
		return nil
	case itemSection:
		if text := f.text(item); text != nil {
			f.whole(item, text)
			return nil
		}
		section, ok := f.parsed.Section(item.path, item.spec)
		if !ok {
			return f.absent(item)
		}
		return f.stream(item, section)
	case itemFields:
		return f.fields(item)
	case itemBinary:
		return f.binary(item)
	}
	e.Raw(item.label).SP()
	switch item.kind {
	case itemUID:
		e.Num(uint64(s.UID(j)))
	case itemModSeq:
		e.Raw("(").Num(s.ModSeq(j)).Raw(")")
	case itemDate:
		e.DateTime(f.date)
	case itemSize:
		e.Num(uint64(f.size))
	case itemEnvelope:
		e.Bytes(f.rec.Envelope())
	case itemBody:
		e.Bytes(f.rec.Body())
	case itemBodyStructure:
		e.Bytes(f.rec.BodyStructure())
	case itemBinarySize:
		size, _, err := f.measure(item)
		if err != nil {
			return err
		}
		e.Num(uint64(size))
	}
	return nil
}

// window is the part of size octets that item asks for.
func (item *fetchItem) window(size int64) (from, n int64) {
	if !item.partial {
		return 0, size
	}
	if item.from >= uint64(size) {
		return size, 0
	}
	from = int64(item.from)
	return from, min(size-from, int64(item.max))
}

// absent answers for a part that is not there. RFC 9051 does not say how;
// Dovecot gives the empty string, and so do we.
func (f *fetching) absent(item *fetchItem) error {
	f.c.enc.Raw(item.label).Raw(` ""`)
	return f.c.enc.Err()
}

// text gives the octets of a message that need not be parsed to be sent, else nil.
func (f *fetching) text(item *fetchItem) []byte {
	if !item.whole() {
		return nil
	}
	return f.msg.Text()
}

// whole writes a message that is in memory.
func (f *fetching) whole(item *fetchItem, text []byte) {
	const piece = 16 << 10 // as much as goes into the encoder's buffer without growing it
	e := f.c.enc
	e.Raw(item.label).SP().Literal(message.WireSize(text))
	for last := byte(0); len(text) > 0; {
		n := min(len(text), piece)
		e.Append(func(dst []byte) []byte { return message.AppendWire(dst, text[:n], last) })
		last, text = text[n-1], text[n:]
	}
}

// stream writes a section as a literal, from the file through the encoder's
// buffer.
func (f *fetching) stream(item *fetchItem, section message.Section) error {
	from, n := item.window(section.Size)
	f.c.enc.Raw(item.label).SP().Literal(n)
	if n == 0 {
		return nil
	}
	r := message.NewReader(f.msg, f.parsed, section)
	if from > 0 {
		if err := r.Skip(from); err != nil {
			return err
		}
	}
	return f.c.enc.CopyN(r, n)
}

func (f *fetching) fields(item *fetchItem) error {
	e := f.c.enc
	if item.set != nil && f.rec.Has(item.set) {
		f.fromRecord(item)
		return nil
	}
	section, ok := f.parsed.Section(item.path, message.Header)
	if !ok {
		return f.absent(item)
	}
	text, err := message.HeaderFields(f.msg, f.parsed, section, item.fields, item.not)
	if err != nil {
		return err
	}
	from, n := item.window(int64(len(text)))
	e.Raw(item.label).SP().Literal(n).Bytes(text[from : from+n])
	return nil
}

// fromRecord writes header fields that are at hand.
func (f *fetching) fromRecord(item *fetchItem) {
	f.scratch, _ = f.rec.AppendFields(f.scratch[:0], item.set)
	from, n := item.window(int64(len(f.scratch)))
	f.c.enc.Raw(item.label).SP().Literal(n).Bytes(f.scratch[from : from+n])
}

// measure reads a decoded part to its end: its size, and whether it holds NUL.
func (f *fetching) measure(item *fetchItem) (size int64, nul bool, err error) {
	if _, ok := f.parsed.Part(item.path); !ok {
		return 0, false, nil
	}
	r, err := message.OpenDecoded(f.msg, f.parsed, item.path)
	if err != nil {
		return 0, false, err
	}
	var count nulCounter
	_, err = io.Copy(&count, r)
	return count.n, count.nul, err
}

type nulCounter struct {
	n   int64
	nul bool
}

func (w *nulCounter) Write(p []byte) (int, error) {
	w.n += int64(len(p))
	for _, b := range p {
		if b == 0 {
			w.nul = true
			break
		}
	}
	return len(p), nil
}

// binary writes a decoded part: as a literal8 where it holds NUL (RFC 3516
// section 4.2). It is decoded twice rather than held.
func (f *fetching) binary(item *fetchItem) error {
	e := f.c.enc
	if _, ok := f.parsed.Part(item.path); !ok {
		return f.absent(item)
	}
	size, nul, err := f.measure(item)
	if err != nil {
		return err
	}
	r, err := message.OpenDecoded(f.msg, f.parsed, item.path)
	if err != nil {
		return err
	}
	from, n := item.window(size)
	if skipped, err := io.CopyN(io.Discard, r, from); err != nil {
		return fmt.Errorf("skipped %d of %d octets: %w", skipped, from, err)
	}
	e.Raw(item.label).SP()
	if nul {
		e.Raw("~")
	}
	e.Literal(n)
	return e.CopyN(r, n)
}
