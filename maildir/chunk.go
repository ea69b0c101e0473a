package maildir

import (
	"sync/atomic"
)

// A folder's state is a list of chunks of up to chunkMax records, ascending by
// UID. A chunk that belongs to a published snapshot never changes, but for the
// facts learnt about its messages; a change copies it. Records hold no
// pointers, so that a million of them cost the collector nothing.
const chunkMax = 512

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
	size atomic.Int64 // octets with CRLF line ends, plus one
	date atomic.Int64 // mtime, nanoseconds since 1970
	disk atomic.Int64 // octets in the file, plus one
}

func (f *facts) take(from *facts) {
	f.size.Store(from.size.Load())
	f.date.Store(from.date.Load())
	f.disk.Store(from.disk.Load())
}

type chunk struct {
	recs  []record
	facts []facts
	names []byte
	extra map[uint32][]string // by UID: keywords that have no letter; nil mostly

	unseen, deleted, inNew int32 // counted when the chunk is published
}

func (c *chunk) name(i int) string {
	r := &c.recs[i]
	return string(c.names[r.nameOff : r.nameOff+uint32(r.nameLen)])
}

func (c *chunk) base(i int) string {
	r := &c.recs[i]
	return string(c.names[r.nameOff : r.nameOff+uint32(r.baseLen)])
}

// hasBase compares without allocating.
func (c *chunk) hasBase(i int, base string) bool {
	r := &c.recs[i]
	return string(c.names[r.nameOff:r.nameOff+uint32(r.baseLen)]) == base
}

func (c *chunk) first() uint32 { return c.recs[0].uid }
func (c *chunk) last() uint32  { return c.recs[len(c.recs)-1].uid }

// find gives the index of the first record whose UID is at least uid.
func (c *chunk) find(uid uint32) int {
	lo, hi := 0, len(c.recs)
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); c.recs[mid].uid < uid {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// clone copies a chunk without the records for which drop is true.
func (c *chunk) clone(drop func(uid uint32) bool) *chunk {
	n := &chunk{
		recs:  make([]record, 0, min(len(c.recs)+1, chunkMax)),
		names: make([]byte, 0, len(c.names)+64),
	}
	kept := make([]int, 0, len(c.recs))
	for i, r := range c.recs {
		if drop != nil && drop(r.uid) {
			continue
		}
		name := c.names[r.nameOff : r.nameOff+uint32(r.nameLen)]
		r.nameOff = uint32(len(n.names))
		n.names = append(n.names, name...)
		n.recs = append(n.recs, r)
		kept = append(kept, i)
	}
	n.facts = make([]facts, len(kept), cap(n.recs))
	for to, from := range kept {
		n.facts[to].take(&c.facts[from])
	}
	for uid, kw := range c.extra {
		if drop == nil || !drop(uid) {
			n.setExtra(uid, kw)
		}
	}
	return n
}

func (c *chunk) setExtra(uid uint32, keywords []string) {
	if len(keywords) == 0 {
		delete(c.extra, uid)
		return
	}
	if c.extra == nil {
		c.extra = make(map[uint32][]string)
	}
	c.extra[uid] = keywords
}

// setName gives record i another name; the old one's octets stay until the
// next clone.
func (c *chunk) setName(i int, name string) {
	r := &c.recs[i]
	if len(name) > int(r.nameLen) {
		r.nameOff = uint32(len(c.names))
		c.names = append(c.names, name...)
	} else {
		copy(c.names[r.nameOff:], name)
	}
	r.nameLen = uint16(len(name))
	r.baseLen = uint16(len(baseOf(name)))
}

func (c *chunk) count() {
	c.unseen, c.deleted, c.inNew = 0, 0, 0
	for i := range c.recs {
		f := c.recs[i].flags
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

// builder is the folder's working state. It is not safe for concurrent use:
// the folder's mutex guards it.
type builder struct {
	chunks []*chunk
	owned  map[*chunk]struct{} // copied since the last publication: may be changed in place
	n      int
}

// locate gives the chunk and the index of a UID.
func (b *builder) locate(uid uint32) (ci, ri int, ok bool) {
	lo, hi := 0, len(b.chunks)
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); b.chunks[mid].last() < uid {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == len(b.chunks) {
		return 0, 0, false
	}
	c := b.chunks[lo]
	ri = c.find(uid)
	return lo, ri, ri < len(c.recs) && c.recs[ri].uid == uid
}

// own makes chunk ci changeable.
func (b *builder) own(ci int) *chunk {
	c := b.chunks[ci]
	if _, ok := b.owned[c]; ok {
		return c
	}
	c = c.clone(nil)
	b.chunks[ci] = c
	b.keep(c)
	return c
}

func (b *builder) keep(c *chunk) {
	if b.owned == nil {
		b.owned = make(map[*chunk]struct{})
	}
	b.owned[c] = struct{}{}
}

// newMessage is what append needs.
type newMessage struct {
	uid    uint32
	name   string
	flags  Flags
	modSeq uint64
	size   int64 // octets with CRLF line ends; -1 unknown
	extra  []string
}

// append adds a message; its UID is above all others.
func (b *builder) append(m newMessage) {
	last := len(b.chunks) - 1
	var c *chunk
	if last >= 0 && len(b.chunks[last].recs) < chunkMax {
		c = b.own(last)
	} else {
		c = &chunk{}
		b.chunks = append(b.chunks, c)
		b.keep(c)
	}
	off := len(c.names)
	c.names = append(c.names, m.name...)
	c.recs = append(c.recs, record{
		uid: m.uid, flags: m.flags, modSeq: m.modSeq,
		nameOff: uint32(off), nameLen: uint16(len(m.name)), baseLen: uint16(len(baseOf(m.name))),
	})
	c.growFacts()
	if m.size >= 0 {
		c.facts[len(c.recs)-1].size.Store(m.size + 1)
	}
	c.setExtra(m.uid, m.extra)
	b.n++
}

// growFacts adds one element. Old snapshots never see an owned chunk, so its
// facts may move; the atomics are copied by value.
func (c *chunk) growFacts() {
	if len(c.facts) < cap(c.facts) {
		c.facts = c.facts[:len(c.facts)+1]
		return
	}
	grown := make([]facts, len(c.facts)+1, min(max(2*len(c.facts), 8), chunkMax))
	for i := range c.facts {
		grown[i].take(&c.facts[i])
	}
	c.facts = grown
}

// remove drops all UIDs in the set, ascending.
func (b *builder) remove(uids []uint32) {
	set := make(map[uint32]struct{}, len(uids))
	for _, u := range uids {
		set[u] = struct{}{}
	}
	drop := func(u uint32) bool { _, ok := set[u]; return ok }
	out := b.chunks[:0:0]
	i := 0
	for _, c := range b.chunks {
		for i < len(uids) && uids[i] < c.first() {
			i++
		}
		if i == len(uids) || uids[i] > c.last() {
			out = append(out, c)
			continue
		}
		n := c.clone(drop)
		b.n -= len(c.recs) - len(n.recs)
		delete(b.owned, c)
		if len(n.recs) > 0 {
			b.keep(n)
			out = append(out, n)
		}
	}
	b.chunks = out
	b.mergeSmall()
}

// mergeSmall joins neighbours that expunges have left nearly empty.
func (b *builder) mergeSmall() {
	const small = chunkMax / 8
	out := b.chunks[:0:0]
	for _, c := range b.chunks {
		if len(out) == 0 || len(c.recs) > small || len(out[len(out)-1].recs) > small {
			out = append(out, c)
			continue
		}
		prev := out[len(out)-1]
		if _, ok := b.owned[prev]; !ok {
			prev = prev.clone(nil)
			b.keep(prev)
			out[len(out)-1] = prev
		}
		prev.join(c)
		delete(b.owned, c)
	}
	b.chunks = out
}

func (c *chunk) join(next *chunk) {
	for i, r := range next.recs {
		name := next.name(i)
		r.nameOff = uint32(len(c.names))
		c.names = append(c.names, name...)
		c.recs = append(c.recs, r)
		c.growFacts()
		c.facts[len(c.facts)-1].take(&next.facts[i])
	}
	for uid, kw := range next.extra {
		c.setExtra(uid, kw)
	}
}

// freeze ends the building: the chunks now belong to a snapshot.
func (b *builder) freeze() (chunks []*chunk, starts []uint32) {
	for c := range b.owned {
		c.count()
	}
	clear(b.owned)
	chunks = append([]*chunk(nil), b.chunks...)
	starts = make([]uint32, len(chunks))
	n := uint32(0)
	for i, c := range chunks {
		starts[i] = n
		n += uint32(len(c.recs))
	}
	return chunks, starts
}
