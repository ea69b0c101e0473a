package maildir

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

// uidRange is a run of UIDs, both ends included.
type uidRange struct{ from, to uint32 }

// uidSet is a set of UIDs: runs that ascend and do not touch. It is immutable;
// what is made of it is another.
type uidSet []uidRange

// search gives the first run that ends at uid or above.
func (s uidSet) search(uid uint32) int {
	lo, hi := 0, len(s)
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); s[mid].to < uid {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

func (s uidSet) contains(uid uint32) bool {
	i := s.search(uid)
	return i < len(s) && s[i].from <= uid
}

// meets tells whether any UID between a chunk's first and last is in the set.
func (s uidSet) meets(c *chunk) bool {
	if len(s) == 0 {
		return false
	}
	i := s.search(c.firstUID)
	return i < len(s) && s[i].from <= c.lastUID
}

// extend appends a run to a set that is being built: it begins at or after the beginning of the last one.
func (s uidSet) extend(r uidRange) uidSet {
	if n := len(s); n > 0 && r.from <= s[n-1].to+1 {
		s[n-1].to = max(s[n-1].to, r.to)
		return s
	}
	return append(s, r)
}

func (s uidSet) union(t uidSet) uidSet {
	return combine(s, t, func(inS, inT bool) bool { return inS || inT })
}

func (s uidSet) minus(t uidSet) uidSet {
	return combine(s, t, func(inS, inT bool) bool { return inS && !inT })
}

// differ gives what is in only one of both.
func (s uidSet) differ(t uidSet) uidSet {
	return combine(s, t, func(inS, inT bool) bool { return inS != inT })
}

// combine walks the ends of the runs of both sets; keep says of what lies between two ends whether it belongs to the result.
func combine(s, t uidSet, keep func(inS, inT bool) bool) uidSet {
	var out uidSet
	var i, j int
	var from uint32
	in := false
	for i < 2*len(s) || j < 2*len(t) {
		a, b := s.end(i), t.end(j)
		at := min(a, b)
		if a == at {
			i++
		}
		if b == at {
			j++
		}
		switch now := keep(i&1 == 1, j&1 == 1); {
		case now && !in:
			from, in = uint32(at), true
		case !now && in:
			out, in = append(out, uidRange{from, uint32(at - 1)}), false
		}
	}
	return out
}

// end is where the i-th change from out to in or from in to out is; above all UIDs after the last.
func (s uidSet) end(i int) uint64 {
	switch {
	case i >= 2*len(s):
		return math.MaxUint64
	case i&1 == 0:
		return uint64(s[i/2].from)
	}
	return uint64(s[i/2].to) + 1
}

// over gives the set as it concerns the messages of a snapshot, in as few runs as can be: UIDs that are
// no message's any more belong to it or do not, whatever makes it smaller. UIDs to come stay.
func (s uidSet) over(snap *Snapshot) uidSet {
	var out uidSet
	end := -1 // index of the message after the last run of out
	for _, r := range s {
		first, after := snap.Index(r.from), snap.Index(r.to+1)
		switch {
		case first == after && r.to < snap.UIDNext():
		case first == end && r.from <= snap.UIDNext():
			out[len(out)-1].to = r.to
		default:
			out = append(out, r)
		}
		if first != after {
			end = after
		}
	}
	return out
}

// append formats the set as IMAP writes them, "1:5,7", at the end of b.
func (s uidSet) append(b []byte) []byte {
	for i, r := range s {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(r.from), 10)
		if r.to != r.from {
			b = append(b, ':')
			b = strconv.AppendUint(b, uint64(r.to), 10)
		}
	}
	return b
}

// parseUIDSet reads what append writes, in any order.
func parseUIDSet(text string) (uidSet, bool) {
	var runs uidSet
	for part := range strings.SplitSeq(text, ",") {
		a, b, isRun := strings.Cut(part, ":")
		if !isRun {
			b = a
		}
		from, err1 := strconv.ParseUint(a, 10, 32)
		to, err2 := strconv.ParseUint(b, 10, 32)
		if err1 != nil || err2 != nil || from == 0 || from > to || to > maxUID {
			return nil, false
		}
		runs = append(runs, uidRange{uint32(from), uint32(to)})
	}
	slices.SortFunc(runs, func(a, b uidRange) int { return cmp.Compare(a.from, b.from) })
	set := runs[:0]
	for _, r := range runs {
		set = set.extend(r)
	}
	return set, true
}
