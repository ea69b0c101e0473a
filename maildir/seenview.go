package maildir

import (
	"cmp"
	"slices"
	"sync"
)

// SeenView is what one reader has seen of a folder that does not share \Seen. It is immutable and
// safe for concurrent use; the one of now is SeenState.View's.
type SeenView struct {
	seen uidSet
	// changes has the MODSEQs of changes that are known one by one; floor is at or above those of all
	// others, so that every message counts as changed then at the latest.
	changes []seenChange
	floor   uint64
	highest uint64 // MODSEQ of any change
}

// seenChange says when some messages were marked last.
type seenChange struct {
	uidRange
	modSeq uint64
}

// maxSeenChanges bounds the changes known one by one; a copy of them is made at each change.
const maxSeenChanges = 1024

// Flags gives the flags of a message as the reader sees them, who has \Seen for himself.
func (v *SeenView) Flags(uid uint32, shared Flags) Flags {
	if v.seen.contains(uid) {
		return shared | Seen
	}
	return shared &^ Seen
}

// modSeq is that of the last private change of a message.
func (v *SeenView) modSeq(uid uint32) uint64 {
	lo, hi := 0, len(v.changes)
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); v.changes[mid].to < uid {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(v.changes) && v.changes[lo].from <= uid {
		return max(v.changes[lo].modSeq, v.floor)
	}
	return v.floor
}

// with gives the view after a change to another set, which happened at modSeq, the highest so far.
func (v *SeenView) with(set uidSet, modSeq uint64) *SeenView {
	next := &SeenView{seen: set, floor: v.floor, highest: max(v.highest, modSeq)}
	runs := v.seen.differ(set)
	next.changes = make([]seenChange, 0, len(v.changes)+2*len(runs))
	for _, c := range v.changes {
		next.changes = c.appendWithout(next.changes, runs)
	}
	for _, r := range runs {
		next.changes = append(next.changes, seenChange{r, modSeq})
	}
	slices.SortFunc(next.changes, func(a, b seenChange) int { return cmp.Compare(a.from, b.from) })
	next.forgetOld()
	return next
}

// appendWithout appends what of c is in no run.
func (c seenChange) appendWithout(dst []seenChange, runs uidSet) []seenChange {
	from := uint64(c.from)
	for _, r := range runs[runs.search(c.from):] {
		if r.from > c.to {
			break
		}
		if uint64(r.from) > from {
			dst = append(dst, seenChange{uidRange{uint32(from), r.from - 1}, c.modSeq})
		}
		from = uint64(r.to) + 1
	}
	if from <= uint64(c.to) {
		dst = append(dst, seenChange{uidRange{uint32(from), c.to}, c.modSeq})
	}
	return dst
}

// forgetOld keeps the changes that are known one by one within their bound. Half of them go at once: it is not to
// happen at every change.
func (v *SeenView) forgetOld() {
	if len(v.changes) <= maxSeenChanges {
		return
	}
	at := make([]uint64, len(v.changes))
	for i, c := range v.changes {
		at[i] = c.modSeq
	}
	slices.Sort(at)
	v.floor = max(v.floor, at[len(at)-maxSeenChanges/2])
	v.changes = slices.DeleteFunc(v.changes, func(c seenChange) bool { return c.modSeq <= v.floor })
}

// since gives the UIDs that look otherwise than in v, or were changed and changed back.
func (v *SeenView) since(old *SeenView) uidSet {
	var later uidSet
	for _, c := range v.changes {
		if c.modSeq > old.highest {
			later = later.extend(c.uidRange)
		}
	}
	return later.union(old.seen.differ(v.seen))
}

// overlay is what makes a Snapshot one reader's.
type overlay struct {
	base *Snapshot // as all see it
	view *SeenView

	once   sync.Once
	unseen int // set by once
}

// WithSeen gives a snapshot of the same messages with \Seen and MODSEQs as one reader sees them; nil is
// how all see them. No message is copied. It never shows a MODSEQ above HighestModSeq: a view that is newer than the
// snapshot must not have a client believe that it knows all that happened before the view.
func (s *Snapshot) WithSeen(v *SeenView) *Snapshot {
	s = s.base()
	if v == nil {
		return s
	}
	with := *s
	with.overlay = &overlay{base: s, view: v}
	return &with
}

// base is the snapshot as all see it: what the folder itself works with.
func (s *Snapshot) base() *Snapshot {
	if s.overlay != nil {
		return s.overlay.base
	}
	return s
}

// modSeq of a message is that of its last change, private or shared.
func (o *overlay) modSeq(m *record) uint64 {
	return max(m.modSeq, min(o.view.modSeq(m.uid), o.base.modSeq))
}

// countUnseen looks only at the ends of the runs that were seen.
func (o *overlay) countUnseen() int {
	o.once.Do(func() {
		o.unseen = o.base.n
		for _, r := range o.view.seen {
			o.unseen -= o.base.Index(r.to+1) - o.base.Index(r.from)
		}
	})
	return o.unseen
}

func (o *overlay) firstUnseen() int {
	for i := 0; i < o.base.n; {
		uid := o.base.UID(i)
		k := o.view.seen.search(uid)
		if k == len(o.view.seen) || o.view.seen[k].from > uid {
			return i
		}
		i = o.base.Index(o.view.seen[k].to + 1)
	}
	return -1
}

// view is that of the reader, nil if the snapshot is nobody's.
func (s *Snapshot) view() *SeenView {
	if s.overlay == nil {
		return nil
	}
	return s.overlay.view
}

// seenOtherwise gives the UIDs whose \Seen may be another in newer, or was changed since s, because the views are not the same.
func (s *Snapshot) seenOtherwise(newer *Snapshot) uidSet {
	a, b := s.view(), newer.view()
	switch {
	case a == b:
		return nil
	case a == nil || b == nil: // \Seen was shared, or is now
		return uidSet{{1, maxUID}}
	}
	return b.since(a)
}

// showsOtherwise tells whether a message that seenOtherwise names was changed. before and now are its records.
func (s *Snapshot) showsOtherwise(newer *Snapshot, before, now *record) bool {
	a, b := s.view(), newer.view()
	if a != nil && b != nil {
		return true
	}
	was, is := before.flags, now.flags
	if a != nil {
		was = a.Flags(before.uid, was)
	}
	if b != nil {
		is = b.Flags(now.uid, is)
	}
	return (was^is)&Seen != 0
}
