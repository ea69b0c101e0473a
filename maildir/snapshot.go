package maildir

import (
	"slices"
	"sort"
)

// Snapshot is the state of a folder at one moment: its messages in the order
// of their UIDs. It is immutable and safe for concurrent use; an index is
// 0-based, so a message's sequence number is its index plus one. What changed
// between two moments is the Diff of their snapshots.
type Snapshot struct {
	chunks   []*chunk
	starts   []uint32 // index of each chunk's first message
	n        int
	keywords *keywordTable
	arriving int // messages that are there and have no UID yet

	unseen, deleted, inNew int // messages without \Seen, with \Deleted, in new/

	uidValidity, uidNext uint32
	modSeq               uint64 // the highest; 0 where none is kept
	guid                 string
	sticky, writable     bool
	gone                 bool // the folder is no longer there under its name

	overlay *overlay // of one reader: see WithSeen; nil in what a Folder gives
}

// same tells whether two states of a folder are one: chunks that nothing has
// changed are shared.
func (s *Snapshot) same(t *Snapshot) bool {
	return s.n == t.n && s.arriving == t.arriving && s.keywords == t.keywords && s.uidValidity == t.uidValidity && s.uidNext == t.uidNext &&
		s.modSeq == t.modSeq && s.guid == t.guid && s.sticky == t.sticky && s.writable == t.writable && s.gone == t.gone &&
		slices.Equal(s.chunks, t.chunks)
}

// Len is the number of messages.
func (s *Snapshot) Len() int { return s.n }

// Arriving is how many messages have come besides that have no UID yet. They can be counted, and nothing
// else: each will be in a later snapshot, above all that are there now, unless it goes before.
func (s *Snapshot) Arriving() int { return s.arriving }

// UIDValidity and UIDNext are those of RFC 9051 section 2.3.1.1.
func (s *Snapshot) UIDValidity() uint32 { return s.uidValidity }

// UIDNext is the UID that the next message will get at the lowest.
func (s *Snapshot) UIDNext() uint32 { return s.uidNext }

// HighestModSeq is that of RFC 7162 section 3.1.2.1.
func (s *Snapshot) HighestModSeq() uint64 { return s.modSeq }

// GUID names the folder for ever, 32 hex digits, also when it is renamed.
func (s *Snapshot) GUID() string { return s.guid }

// Sticky tells whether UIDs will still be valid in a later session; it is
// false in a tree without a uid list that cannot be written.
func (s *Snapshot) Sticky() bool { return s.sticky }

// Writable tells whether messages and flags can be changed.
func (s *Snapshot) Writable() bool { return s.writable }

// Gone tells that the folder was deleted, renamed or made anew; the messages
// are those last seen.
func (s *Snapshot) Gone() bool { return s.gone }

// chunkWith gives the chunk that holds message i, which must be in range.
func (s *Snapshot) chunkWith(i int) int {
	lo, hi := 0, len(s.starts)
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); int(s.starts[mid]) <= i {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo - 1
}

// at gives the records that hold message i, which must be in range, and its index there.
func (s *Snapshot) at(i int) (*records, int) {
	ci := s.chunkWith(i)
	return s.chunks[ci].get(), i - int(s.starts[ci])
}

// atNear is at for who asks for one message after another: near is the chunk that had the last.
func (s *Snapshot) atNear(i int, near *int) (*records, int) {
	for ci := *near; ci < min(*near+2, len(s.chunks)); ci++ {
		if r := i - int(s.starts[ci]); r >= 0 && r < int(s.chunks[ci].n) {
			*near = ci
			return s.chunks[ci].get(), r
		}
	}
	*near = s.chunkWith(i)
	return s.chunks[*near].get(), i - int(s.starts[*near])
}

// findNear is Find for who asks for one message after another: near is the chunk that had the last, and at where in it
// the message may be.
func (s *Snapshot) findNear(uid uint32, near *int, at int) (*records, int, bool) {
	for ci := *near; ci < min(*near+2, len(s.chunks)); ci++ {
		c := s.chunks[ci]
		if uid < c.firstUID || uid > c.lastUID {
			continue
		}
		*near = ci
		recs := c.get()
		if at >= len(recs.recs) || recs.recs[at].uid != uid {
			at = recs.find(uid)
		}
		return recs, at, recs.recs[at].uid == uid
	}
	i, ok := s.Find(uid)
	if !ok {
		return nil, 0, false
	}
	c, r := s.atNear(i, near)
	return c, r, true
}

// UID of message i.
func (s *Snapshot) UID(i int) uint32 { c, r := s.at(i); return c.recs[r].uid }

// ModSeq of message i.
func (s *Snapshot) ModSeq(i int) uint64 { c, r := s.at(i); return s.modSeqOf(&c.recs[r]) }

func (s *Snapshot) modSeqOf(m *record) uint64 {
	if s.overlay != nil {
		return s.overlay.modSeq(m)
	}
	return m.modSeq
}

// Flags are the system flags of message i.
func (s *Snapshot) Flags(i int) Flags { c, r := s.at(i); return s.flagsOf(&c.recs[r]) }

func (s *Snapshot) flagsOf(m *record) Flags {
	if s.overlay != nil {
		return s.overlay.view.Flags(m.uid, m.flags&System)
	}
	return m.flags & System
}

// InNew tells whether message i still lies in new/.
func (s *Snapshot) InNew(i int) bool { c, r := s.at(i); return c.recs[r].flags&flagNew != 0 }

// Index gives the first message whose UID is at least uid; Len if none.
func (s *Snapshot) Index(uid uint32) int {
	ci := sort.Search(len(s.chunks), func(i int) bool { return s.chunks[i].last() >= uid })
	if ci == len(s.chunks) {
		return s.n
	}
	if uid <= s.chunks[ci].first() {
		return int(s.starts[ci])
	}
	return int(s.starts[ci]) + s.chunks[ci].get().find(uid)
}

// Find gives the index of a UID.
func (s *Snapshot) Find(uid uint32) (i int, ok bool) {
	i = s.Index(uid)
	return i, i < s.n && s.UID(i) == uid
}

// Keywords of message i, in the order of their letters, then the others.
func (s *Snapshot) Keywords(i int) []string {
	c, r := s.at(i)
	var out []string
	rec := &c.recs[r]
	for n, name := range s.keywords.names {
		if rec.flags&(1<<(letterShift+n)) != 0 && name != "" {
			out = append(out, name)
		}
	}
	for _, k := range c.extra[rec.uid] {
		if !s.keywords.both || s.keywords.letter(k)&rec.flags == 0 {
			out = append(out, k)
		}
	}
	return out
}

// HasKeyword tells whether message i has the keyword; case does not matter.
func (s *Snapshot) HasKeyword(i int, keyword string) bool {
	c, r := s.at(i)
	return c.hasKeyword(r, s.keywords, keyword)
}

// AllKeywords lists the keywords that are defined in the folder.
func (s *Snapshot) AllKeywords() []string {
	var out []string
	for _, name := range s.keywords.names {
		if name != "" {
			out = append(out, name)
		}
	}
	for _, name := range s.keywords.more {
		if !s.keywords.both || s.keywords.letter(name) == 0 {
			out = append(out, name)
		}
	}
	return out
}

// AppendFlags appends the flags of message i as they stand in a FETCH answer,
// without parentheses and without \Recent. It does not allocate but for dst.
func (s *Snapshot) AppendFlags(dst []byte, i int) []byte {
	c, r := s.at(i)
	rec := &c.recs[r]
	flags := rec.flags
	if s.overlay != nil {
		flags = s.overlay.view.Flags(rec.uid, flags)
	}
	start := len(dst)
	for _, l := range systemLetters {
		if flags&l.flag != 0 {
			dst = appendWord(dst, start, l.name)
		}
	}
	if rec.flags&allLetters != 0 {
		for n := range s.keywords.names {
			if rec.flags&(1<<(letterShift+n)) != 0 && s.keywords.names[n] != "" {
				dst = appendWord(dst, start, s.keywords.names[n])
			}
		}
	}
	if c.extra != nil {
		for _, k := range c.extra[rec.uid] {
			if !s.keywords.both || s.keywords.letter(k)&rec.flags == 0 {
				dst = appendWord(dst, start, k)
			}
		}
	}
	return dst
}

func appendWord(dst []byte, start int, w string) []byte {
	if len(dst) > start {
		dst = append(dst, ' ')
	}
	return append(dst, w...)
}

// Unseen counts messages without \Seen.
func (s *Snapshot) Unseen() int {
	if s.overlay != nil {
		return s.overlay.countUnseen()
	}
	return s.unseen
}

// Deleted counts messages with \Deleted.
func (s *Snapshot) Deleted() int { return s.deleted }

// CountNew counts messages that still lie in new/.
func (s *Snapshot) CountNew() int { return s.inNew }

// NewUIDs lists the UIDs of messages in new/, ascending.
func (s *Snapshot) NewUIDs() []uint32 {
	var out []uint32
	for _, c := range s.chunks {
		if len(out) == s.inNew {
			break
		}
		if c.inNew == 0 {
			continue
		}
		for _, m := range c.get().recs {
			if m.flags&flagNew != 0 {
				out = append(out, m.uid)
			}
		}
	}
	return out
}

// FirstUnseen gives the index of the first message without \Seen, or -1.
func (s *Snapshot) FirstUnseen() int {
	if s.overlay != nil {
		return s.overlay.firstUnseen()
	}
	for ci, c := range s.chunks {
		if c.unseen == 0 {
			continue
		}
		for i, m := range c.get().recs {
			if m.flags&Seen == 0 {
				return int(s.starts[ci]) + i
			}
		}
	}
	return -1
}

// Diff tells what happened between s and newer, a later snapshot of the same
// folder: expunged gets the indices in s, ascending, of messages that are gone;
// changed the indices in newer of messages in both whose flags changed, for the reader
// if they are one's. Messages whose UID is at least s.UIDNext() are new. Either may be nil. Chunks
// that both share are passed over.
func (s *Snapshot) Diff(newer *Snapshot, expunged func(i int, uid uint32), changed func(i int)) {
	var a, b cursor
	a.s, b.s = s, newer
	seen := s.seenOtherwise(newer)
	for a.valid() {
		if a.r == 0 && b.r == 0 && a.skipShared(&b, seen) {
			continue
		}
		ra := a.rec()
		for b.valid() && b.rec().uid < ra.uid {
			b.next() // cannot be: a UID below s.UIDNext() that s did not have
		}
		if !b.valid() || b.rec().uid > ra.uid {
			if expunged != nil {
				expunged(a.i, ra.uid)
			}
			a.next()
			continue
		}
		if rb := b.rec(); changed != nil && (rb.modSeq != ra.modSeq || seen.contains(ra.uid) && s.showsOtherwise(newer, ra, rb)) {
			changed(b.i)
		}
		a.next()
		b.next()
	}
}

// cursor walks a snapshot.
type cursor struct {
	s       *Snapshot
	c, r, i int
}

func (k *cursor) valid() bool  { return k.c < len(k.s.chunks) }
func (k *cursor) rec() *record { return &k.s.chunks[k.c].get().recs[k.r] }

func (k *cursor) next() {
	k.i++
	if k.r++; k.r == int(k.s.chunks[k.c].n) {
		k.c, k.r = k.c+1, 0
	}
}

// skipShared passes over the chunks that both share, from here on; false if there is none. It reads none of them: in
// a large folder they are many, and far from the processor. Those that have a UID of seen are not passed over.
func (k *cursor) skipShared(other *cursor, seen uidSet) bool {
	a, b := k.s.chunks[k.c:], other.s.chunks[other.c:]
	n, most := 0, min(len(a), len(b))
	if most > 0 && &a[0] == &b[0] && len(seen) == 0 {
		n = most // one array
	}
	for n < most && a[n] == b[n] && !seen.meets(a[n]) {
		n++
	}
	k.skip(n)
	other.skip(n)
	return n > 0
}

func (k *cursor) nextChunk() { k.skip(1) }

// skip goes to the first message of the chunk that is so many further on.
func (k *cursor) skip(chunks int) {
	if chunks > 0 {
		k.r = 0
	}
	if k.c += chunks; k.c < len(k.s.chunks) {
		k.i = int(k.s.starts[k.c])
	} else {
		k.i = k.s.n
	}
}
