package maildir

import (
	"sync/atomic"
)

// A folder's state is a list of chunks of up to chunkMax messages, ascending by
// UID. A chunk that belongs to a published snapshot never changes, but for the
// facts learnt about its messages; a change copies it. Records hold no
// pointers, so that a million of them cost the collector nothing.
const chunkMax = 512

// chunk is a run of messages. What counting and searching by UID need stands in
// it; its records may still be in the index file, from where get brings them.
type chunk struct {
	loaded atomic.Pointer[records]
	stored *extent // where the records stand in the index; nil if they were made in memory

	// Of a chunk that is published; the builder asks the records.
	n                      int32
	firstUID, lastUID      uint32
	unseen, deleted, inNew int32
}

// records are the messages of a chunk.
type records struct {
	recs  []record
	facts []facts
	names []byte
	extra map[uint32][]string // by UID: keywords that have no letter; nil mostly

	learnt atomic.Bool // facts were learnt that the index does not have
}

// record is what a snapshot knows of one message.
type record struct {
	modSeq  uint64
	uid     uint32
	flags   Flags // system flags, keyword letters, flagNew
	nameOff uint32
	nameLen uint16
	baseLen uint16
}

// facts are learnt when first asked for and never change afterwards; 0 means
// not known yet. They are shared by all snapshots that hold the message.
type facts struct {
	size atomic.Int64  // octets with CRLF line ends, plus one
	date atomic.Int64  // mtime, nanoseconds since 1970
	disk atomic.Int64  // octets in the file, plus one
	ino  atomic.Uint64 // the file's inode
	sent atomic.Int64  // the day of the Date field as a record has it, plus sentKnown; not in the index
}

// sentKnown makes no day 0.
const sentKnown = 1 << 40

func (f *facts) take(from *facts) {
	f.size.Store(from.size.Load())
	f.date.Store(from.date.Load())
	f.disk.Store(from.disk.Load())
	f.ino.Store(from.ino.Load())
	f.sent.Store(from.sent.Load())
}

// chunkOf makes a chunk of records in memory.
func chunkOf(r *records) *chunk {
	c := new(chunk)
	c.loaded.Store(r)
	return c
}

// get gives the records, reading them from the index the first time.
func (c *chunk) get() *records {
	if r := c.loaded.Load(); r != nil {
		return r
	}
	return c.stored.load(c)
}

func (c *chunk) len() int {
	if r := c.loaded.Load(); r != nil {
		return len(r.recs)
	}
	return int(c.n)
}

func (c *chunk) first() uint32 {
	if r := c.loaded.Load(); r != nil {
		return r.recs[0].uid
	}
	return c.firstUID
}

func (c *chunk) last() uint32 {
	if r := c.loaded.Load(); r != nil {
		return r.recs[len(r.recs)-1].uid
	}
	return c.lastUID
}

// count fills in what stands in the chunk itself.
func (c *chunk) count() {
	r := c.loaded.Load()
	c.n, c.firstUID, c.lastUID = int32(len(r.recs)), r.recs[0].uid, r.recs[len(r.recs)-1].uid
	c.unseen, c.deleted, c.inNew = 0, 0, 0
	for i := range r.recs {
		f := r.recs[i].flags
		if f&Seen == 0 {
			c.unseen++
		}
		if f&Deleted != 0 {
			c.deleted++
		}
		if f&flagNew != 0 {
			c.inNew++
		}
	}
}

func (r *records) name(i int) string {
	m := &r.recs[i]
	return string(r.names[m.nameOff : m.nameOff+uint32(m.nameLen)])
}

func (r *records) base(i int) string {
	m := &r.recs[i]
	return string(r.names[m.nameOff : m.nameOff+uint32(m.baseLen)])
}

// hasBase compares without allocating.
func (r *records) hasBase(i int, base string) bool {
	m := &r.recs[i]
	return string(r.names[m.nameOff:m.nameOff+uint32(m.baseLen)]) == base
}

// dirOf tells in which directory the file of message i is.
func (r *records) dirOf(i int) subdir {
	if r.recs[i].flags&flagNew != 0 {
		return inNew
	}
	return inCur
}

// place is where the file of message i is.
func (r *records) place(i int) place { return place{r.dirOf(i), r.name(i)} }

// find gives the index of the first record whose UID is at least uid.
func (r *records) find(uid uint32) int {
	lo, hi := 0, len(r.recs)
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); r.recs[mid].uid < uid {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// clone copies records without those for which drop is true.
func (r *records) clone(drop func(uid uint32) bool) *records {
	n := &records{
		recs:  make([]record, 0, min(len(r.recs)+1, chunkMax)),
		names: make([]byte, 0, len(r.names)+64),
	}
	kept := make([]int, 0, len(r.recs))
	for i, m := range r.recs {
		if drop != nil && drop(m.uid) {
			continue
		}
		name := r.names[m.nameOff : m.nameOff+uint32(m.nameLen)]
		m.nameOff = uint32(len(n.names))
		n.names = append(n.names, name...)
		n.recs = append(n.recs, m)
		kept = append(kept, i)
	}
	n.facts = make([]facts, len(kept), cap(n.recs))
	for to, from := range kept {
		n.facts[to].take(&r.facts[from])
	}
	for uid, kw := range r.extra {
		if drop == nil || !drop(uid) {
			n.setExtra(uid, kw)
		}
	}
	return n
}

func (r *records) setExtra(uid uint32, keywords []string) {
	if len(keywords) == 0 {
		delete(r.extra, uid)
		return
	}
	if r.extra == nil {
		r.extra = make(map[uint32][]string)
	}
	r.extra[uid] = keywords
}

// setName gives record i another name; the old one's octets stay until the
// next clone.
func (r *records) setName(i int, name string) {
	m := &r.recs[i]
	if len(name) > int(m.nameLen) {
		m.nameOff = uint32(len(r.names))
		r.names = append(r.names, name...)
	} else {
		copy(r.names[m.nameOff:], name)
	}
	m.nameLen = uint16(len(name))
	m.baseLen = uint16(len(baseOf(name)))
}

// append adds one record.
func (r *records) append(m newMessage) {
	off := len(r.names)
	r.names = append(r.names, m.name...)
	r.recs = append(r.recs, record{
		uid: m.uid, flags: m.flags, modSeq: m.modSeq,
		nameOff: uint32(off), nameLen: uint16(len(m.name)), baseLen: uint16(len(baseOf(m.name))),
	})
	r.growFacts()
	k := &r.facts[len(r.facts)-1]
	if m.size >= 0 {
		k.size.Store(m.size + 1)
	}
	k.date.Store(m.date)
	k.disk.Store(m.disk)
	k.ino.Store(m.ino)
	r.setExtra(m.uid, m.extra)
}

// growFacts adds one element. Old snapshots never see records that are being built, so
// facts may move; the atomics are copied by value.
func (r *records) growFacts() {
	if len(r.facts) < cap(r.facts) {
		r.facts = r.facts[:len(r.facts)+1]
		return
	}
	grown := make([]facts, len(r.facts)+1, min(max(2*len(r.facts), 8), chunkMax))
	for i := range r.facts {
		grown[i].take(&r.facts[i])
	}
	r.facts = grown
}

// join adds the records of next, which follow.
func (r *records) join(next *records) {
	for i, m := range next.recs {
		name := next.names[m.nameOff : m.nameOff+uint32(m.nameLen)]
		m.nameOff = uint32(len(r.names))
		r.names = append(r.names, name...)
		r.recs = append(r.recs, m)
		r.growFacts()
		r.facts[len(r.facts)-1].take(&next.facts[i])
	}
	for uid, kw := range next.extra {
		r.setExtra(uid, kw)
	}
}

// trim gives back what growing left over: many chunks stay for long as they are.
func (r *records) trim() {
	const slack = 1 << 10 // octets of names
	if cap(r.names)-len(r.names) > slack {
		r.names = append(make([]byte, 0, len(r.names)), r.names...)
	}
}
