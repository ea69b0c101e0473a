package maildir

// builder is the folder's working state. It is not safe for concurrent use:
// the folder's mutex guards it.
type builder struct {
	chunks []*chunk
	owned  map[*chunk]struct{} // copied since the last publication: may be changed in place
	n      int
}

// newMessage is what append needs.
type newMessage struct {
	uid    uint32
	name   string
	flags  Flags
	modSeq uint64
	size   int64 // octets with CRLF line ends; -1 unknown
	date   int64 // as in facts
	disk   int64 // as in facts
	ino    uint64
	extra  []string
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
	if lo == len(b.chunks) || uid < b.chunks[lo].first() {
		return 0, 0, false
	}
	r := b.chunks[lo].get()
	ri = r.find(uid)
	return lo, ri, ri < len(r.recs) && r.recs[ri].uid == uid
}

// own makes chunk ci changeable and gives its records.
func (b *builder) own(ci int) *records {
	c := b.chunks[ci]
	if _, ok := b.owned[c]; !ok {
		c = chunkOf(c.get().clone(nil))
		b.chunks[ci] = c
		b.keep(c)
	}
	return c.get()
}

func (b *builder) keep(c *chunk) {
	if b.owned == nil {
		b.owned = make(map[*chunk]struct{})
	}
	b.owned[c] = struct{}{}
}

// append adds a message; its UID is above all others.
func (b *builder) append(m newMessage) {
	last := len(b.chunks) - 1
	if last < 0 || b.chunks[last].len() >= chunkMax {
		r := new(records)
		if last >= 0 { // many come: make room at once
			r.recs, r.facts = make([]record, 0, chunkMax), make([]facts, 0, chunkMax)
			r.names = make([]byte, 0, len(b.chunks[last].get().names)+chunkMax)
		}
		c := chunkOf(r)
		b.chunks = append(b.chunks, c)
		b.keep(c)
		last++
	}
	b.own(last).append(m)
	b.n++
}

// eachFrom calls do for every message from a UID on. Their chunks have just been made, if do changes them.
func (b *builder) eachFrom(uid uint32, do func(r *records, i int)) {
	for _, c := range b.chunks {
		if c.last() < uid {
			continue
		}
		r := c.get()
		for i := r.find(uid); i < len(r.recs); i++ {
			do(r, i)
		}
	}
}

// cutFrom drops all messages from a UID on.
func (b *builder) cutFrom(uid uint32) {
	var uids []uint32
	b.eachFrom(uid, func(r *records, i int) { uids = append(uids, r.recs[i].uid) })
	b.remove(uids)
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
		n := c.get().clone(drop)
		b.n -= c.len() - len(n.recs)
		delete(b.owned, c)
		if len(n.recs) > 0 {
			kept := chunkOf(n)
			b.keep(kept)
			out = append(out, kept)
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
		last := len(out) - 1
		if last < 0 || c.len() > small || out[last].len() > small {
			out = append(out, c)
			continue
		}
		if _, ok := b.owned[out[last]]; !ok {
			out[last] = chunkOf(out[last].get().clone(nil))
			b.keep(out[last])
		}
		out[last].get().join(c.get())
		delete(b.owned, c)
	}
	b.chunks = out
}

// freeze ends the building: the chunks now belong to a snapshot, which has nothing but them yet. before is the last
// one, or nil. The chunks at the beginning and at the end that both share are not looked at again.
func (b *builder) freeze(before *Snapshot) *Snapshot {
	for c := range b.owned {
		c.get().trim()
		c.count()
	}
	clear(b.owned)
	if before == nil {
		before = new(Snapshot)
	}
	next := &Snapshot{chunks: before.chunks, starts: before.starts, n: b.n, unseen: before.unseen, deleted: before.deleted, inNew: before.inNew}
	old := before.chunks
	head := 0
	for head < min(len(old), len(b.chunks)) && old[head] == b.chunks[head] {
		head++
	}
	if head == len(old) && head == len(b.chunks) {
		return next
	}
	tail := 0
	for tail < min(len(old), len(b.chunks))-head && old[len(old)-1-tail] == b.chunks[len(b.chunks)-1-tail] {
		tail++
	}
	for _, c := range old[head : len(old)-tail] {
		next.tally(c, -1)
	}
	for _, c := range b.chunks[head : len(b.chunks)-tail] {
		next.tally(c, 1)
	}
	next.chunks = append([]*chunk(nil), b.chunks...)
	next.starts = make([]uint32, len(next.chunks))
	n := uint32(0)
	if head > 0 {
		copy(next.starts, before.starts[:head])
		n = next.starts[head-1] + uint32(next.chunks[head-1].n)
	}
	for i := head; i < len(next.chunks); i++ {
		next.starts[i] = n
		n += uint32(next.chunks[i].n)
	}
	return next
}

// tally counts a chunk's messages in, or out with -1.
func (s *Snapshot) tally(c *chunk, sign int) {
	s.unseen += sign * int(c.unseen)
	s.deleted += sign * int(c.deleted)
	s.inNew += sign * int(c.inNew)
}
