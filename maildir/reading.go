package maildir

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"postroom/internal/message"
)

// Reading looks at one message after another, as a command does: with what is known of them in memory, with what the
// cache keeps of them, and only if neither will do by opening their files. What it gives is valid until the next Seek or
// Close. It is not for concurrent use; it wants Close.
type Reading struct {
	ctx    context.Context
	folder *Folder
	win    window
	batch  batch // records that the cache lacks
	ready  bool  // the cache was refreshed
	src    bytes.Reader

	known knownPage

	// of the message at hand
	uid    uint32
	snap   *Snapshot // in which c has it, as its r-th
	c      *records
	r      int
	near   [2]int // the chunk of the last message: where Seek looks, and in the newest snapshot
	rec    message.Record
	msg    Message
	opened bool
	parsed *message.Message
}

// NewReading begins; the context bounds the waiting for files that are being renamed.
func (f *Folder) NewReading(ctx context.Context) *Reading {
	return &Reading{ctx: ctx, folder: f, msg: Message{fd: -1}}
}

// Seek goes to message i of a snapshot of the folder.
func (rd *Reading) Seek(s *Snapshot, i int) {
	rd.release()
	if rd.batch.full() {
		rd.folder.cache.append(&rd.batch, rd.folder.Snapshot())
	}
	rd.snap = s.base()
	rd.c, rd.r = s.atNear(i, &rd.near[0])
	rd.uid = rd.c.recs[rd.r].uid
}

func (rd *Reading) release() {
	if rd.opened {
		rd.msg.Close()
	}
	rd.opened, rd.rec, rd.parsed = false, nil, nil
}

// Close ends the reading. What was parsed goes to the cache.
func (rd *Reading) Close() {
	rd.release()
	if rd.batch.len() > 0 {
		rd.folder.cache.append(&rd.batch, rd.folder.Snapshot())
	}
	rd.win.release()
}

// locate gives the newest records with the message.
func (rd *Reading) locate() (*records, int, error) {
	if now := rd.folder.Snapshot(); now != rd.snap {
		c, r, ok := now.findNear(rd.uid, &rd.near[1], rd.r)
		if !ok {
			return nil, 0, fmt.Errorf("UID %d: %w", rd.uid, ErrExpunged)
		}
		rd.snap, rd.c, rd.r = now, c, r
	}
	return rd.c, rd.r, nil
}

// File opens the message's file. Do not close it.
func (rd *Reading) File() (*Message, error) {
	if !rd.opened {
		if err := rd.folder.open(rd.ctx, &rd.msg, rd.uid); err != nil {
			return nil, err
		}
		rd.opened = true
	}
	return &rd.msg, nil
}

// stat asks what the message's file is like, if that is not known. It does not mind if there is none under the name.
func (rd *Reading) stat(c *records, r int) {
	at := c.place(r)
	var st unix.Stat_t
	if rd.folder.dirOf(at.dir).lstat(at.name, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG {
		c.learn(r, &st)
	}
}

// Date is the INTERNALDATE.
func (rd *Reading) Date() (time.Time, error) {
	n, err := rd.DateNano()
	return unixNano(n), err
}

// DateNano is the INTERNALDATE in nanoseconds since 1970.
func (rd *Reading) DateNano() (int64, error) {
	c, r, err := rd.locate()
	if err != nil {
		return 0, err
	}
	if n := c.facts[r].date.Load(); n != 0 {
		return n, nil
	}
	if rd.stat(c, r); c.facts[r].date.Load() == 0 {
		m, err := rd.File()
		if err != nil {
			return 0, err
		}
		return m.key.mtime, nil
	}
	return c.facts[r].date.Load(), nil
}

// Size is RFC822.SIZE.
func (rd *Reading) Size() (int64, error) {
	c, r, err := rd.locate()
	if err != nil {
		return 0, err
	}
	if n := c.facts[r].size.Load(); n != 0 {
		return n - 1, nil
	}
	if rec := rd.kept(c, r); rec != nil {
		return rec.Size(), nil
	}
	if size, ok := rd.sizeByName(c, r); ok {
		return size, nil
	}
	m, err := rd.File()
	if err != nil {
		return 0, err
	}
	size, err := m.wireSize()
	if err == nil {
		c.learnSize(r, size)
	}
	return size, err
}

// sizeByName believes what a name says of the size, if it says the file's right.
func (rd *Reading) sizeByName(c *records, r int) (int64, bool) {
	name := c.name(r)
	s, w := sizeField(name, 'S'), sizeField(name, 'W')
	if w < 0 {
		return 0, false
	}
	key, known := c.facts[r].key()
	if !known {
		rd.stat(c, r)
		if key, known = c.facts[r].key(); !known {
			return 0, false
		}
	}
	if w < key.disk || s >= 0 && s != key.disk {
		return 0, false
	}
	c.learnSize(r, w)
	return w, true
}

// kept gives the record that the cache has of the message, or nil.
func (rd *Reading) kept(c *records, r int) message.Record {
	if rd.rec != nil {
		return rd.rec
	}
	rd.refresh()
	key, known := c.facts[r].key()
	if rd.opened {
		key, known = rd.msg.key, true
	}
	if !known {
		if !rd.folder.cache.knows(rd.uid) {
			return nil
		}
		rd.stat(c, r)
		if key, known = c.facts[r].key(); !known {
			return nil
		}
	}
	if rec, ok := rd.fromCache(key); ok {
		rd.rec = rec
		c.learnSize(r, rec.Size())
	}
	return rd.rec
}

// fromCache reads the record where the entry in memory says, or else a newer one does.
func (rd *Reading) fromCache(key cacheKey) (message.Record, bool) {
	if e := rd.entry(); e != nil && e.check() == key.check() {
		if rec, ok := rd.win.record(rd.known.file, rd.known.seed, e.offset(), rd.uid, key); ok {
			return rec, true
		}
	}
	return rd.folder.cache.get(&rd.win, rd.uid, key)
}

// Record gives what is kept of the message, from the cache or by parsing the file.
func (rd *Reading) Record() (message.Record, error) {
	c, r, err := rd.locate()
	if err != nil {
		return nil, err
	}
	if rec := rd.kept(c, r); rec != nil {
		return rec, nil
	}
	m, err := rd.File()
	if err != nil {
		return nil, err
	}
	if rd.parsed, err = rd.parse(m); err != nil {
		return nil, err
	}
	rd.rec, err = rd.batch.add(rd.uid, m.key, func(dst []byte) ([]byte, error) {
		return message.AppendRecord(dst, rd.parsed, m)
	})
	if err != nil {
		return nil, wrapSys("read", "a message", err)
	}
	if c, r, err := rd.locate(); err == nil {
		c.learnSize(r, rd.rec.Size())
	}
	return rd.rec, nil
}

// Structure gives the message as parsing found it.
func (rd *Reading) Structure() (*message.Message, error) {
	if rd.parsed != nil {
		return rd.parsed, nil
	}
	rec, err := rd.Record()
	if err != nil || rd.parsed != nil {
		return rd.parsed, err
	}
	var ok bool
	if rd.parsed, ok = rec.Message(); ok {
		return rd.parsed, nil
	}
	m, err := rd.File()
	if err != nil {
		return nil, err
	}
	rd.parsed, err = rd.parse(m)
	return rd.parsed, err
}

// parse reads the file. Of large ones the result stays in memory for a while: where no cache can be written, each part that
// is fetched would else cost a parse.
func (rd *Reading) parse(m *Message) (*message.Message, error) {
	if m.text != nil {
		rd.src.Reset(m.text)
		return message.Parse(&rd.src)
	}
	key := parsedKey{fileID{m.dev, m.key.ino}, m.key.disk, m.key.mtime}
	if p := rd.folder.store.parsed.get(key); p != nil {
		return p, nil
	}
	p, err := message.Parse(io.NewSectionReader(m, 0, m.key.disk))
	if err != nil {
		return nil, wrapSys("read", "a message", err)
	}
	rd.folder.store.parsed.put(key, p)
	return p, nil
}

// SentDay is the day of the Date field in days since 1970, message.NoDay if there is none that can be read.
func (rd *Reading) SentDay() (int32, error) {
	c, r, err := rd.locate()
	if err != nil {
		return 0, err
	}
	k := &c.facts[r]
	if day, known := k.sentDay(); known {
		return day, nil
	}
	if e, key := rd.entryOf(c, r); e != nil {
		k.learnSent(key, e.day())
		return e.day(), nil
	}
	rec, err := rd.Record()
	if err != nil {
		return 0, err
	}
	return rec.SentDay(), nil
}

// Lacks tells that the field of the set, which is one, is known not to hold the needle. It reads nothing.
func (rd *Reading) Lacks(s *message.FieldSet, n *message.Needle) bool {
	c, r, err := rd.locate()
	if err != nil {
		return false
	}
	e, _ := rd.entryOf(c, r)
	return e != nil && e.sketch.Lacks(s, n)
}

// entryOf gives what the cache has in memory of the message at hand, and of which file; nil if that may be another.
func (rd *Reading) entryOf(c *records, r int) (*cacheEntry, cacheKey) {
	key, known := c.facts[r].key()
	if !known {
		return nil, key
	}
	if e := rd.entry(); e != nil && e.check() == key.check() {
		return e, key
	}
	return nil, key
}

// entry gives what the cache has of the UID in memory, or nil. It may not have the newest yet. It is not to be changed.
func (rd *Reading) entry() *cacheEntry {
	k := &rd.known
	if of := rd.uid / pageUIDs; !k.valid || of != k.of {
		rd.refresh()
		*k = rd.folder.cache.lend(of)
	}
	low := rd.uid % pageUIDs
	for n := k.at; n < min(k.at+2, len(k.entries)); n++ { // mostly the next, or once more the last
		if k.entries[n].low() == low {
			k.at = n
			return &k.entries[n]
		}
	}
	n, ok := k.entries.search(low)
	if !ok {
		return nil
	}
	k.at = n
	return &k.entries[n]
}

// refresh lets the cache look at its file, once a Reading.
func (rd *Reading) refresh() {
	if !rd.ready {
		rd.folder.cache.refresh(rd.folder.Snapshot())
		rd.ready = true
	}
}
