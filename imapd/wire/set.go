package wire

import (
	"slices"
	"strconv"
)

// Range is one element of a sequence-set; 0 stands for "*".
type Range struct{ From, To uint32 }

// Set is a sequence-set as it was sent, RFC 9051 section 9. go-imap's own sets
// insert each range in order, which takes quadratic time for a set of a
// megabyte in descending order; here the ranges are kept as they come and
// sorted once, when the meaning of "*" is known.
type Set struct {
	Ranges []Range
	Saved  bool // "$", RFC 5182: the saved result of a SEARCH
}

// Resolve gives the numbers of s where "*" is max: sorted, disjoint ranges
// that do not touch. Where max is 0 there are no numbers, and "*" is none.
func (s Set) Resolve(max uint32) Numbers {
	out := make(Numbers, 0, len(s.Ranges))
	for _, r := range s.Ranges {
		if r.From == 0 {
			r.From = max
		}
		if r.To == 0 {
			r.To = max
		}
		if r.From > r.To {
			r.From, r.To = r.To, r.From
		}
		if r.From == 0 {
			if r.To == 0 {
				continue
			}
			r.From = r.To // "5:*" of nothing is 5, which is not there either
		}
		out = append(out, r)
	}
	return out.normalize()
}

// Numbers is a set of numbers as sorted, disjoint ranges without "*".
type Numbers []Range

func (n Numbers) normalize() Numbers {
	if len(n) < 2 {
		return n
	}
	slices.SortFunc(n, func(a, b Range) int {
		if a.From < b.From {
			return -1
		} else if a.From > b.From {
			return 1
		}
		return 0
	})
	out := n[:1]
	for _, r := range n[1:] {
		last := &out[len(out)-1]
		if r.From <= last.To || r.From-1 == last.To {
			last.To = max(last.To, r.To)
		} else {
			out = append(out, r)
		}
	}
	return out
}

// Contains tells whether v is in n.
func (n Numbers) Contains(v uint32) bool {
	i, ok := slices.BinarySearchFunc(n, v, func(r Range, v uint32) int {
		switch {
		case r.To < v:
			return -1
		case r.From > v:
			return 1
		}
		return 0
	})
	return ok && i < len(n)
}

// Max is the highest number, 0 if there is none.
func (n Numbers) Max() uint32 {
	if len(n) == 0 {
		return 0
	}
	return n[len(n)-1].To
}

// Add puts v, which is above every number of n, into n.
func (n *Numbers) Add(v uint32) {
	if l := len(*n); l > 0 && (*n)[l-1].To == v-1 {
		(*n)[l-1].To = v
		return
	}
	*n = append(*n, Range{v, v})
}

// Union gives the numbers of both.
func (n Numbers) Union(m Numbers) Numbers {
	return append(append(make(Numbers, 0, len(n)+len(m)), n...), m...).normalize()
}

// Of makes Numbers of an ascending list.
func Of(list []uint32) Numbers {
	var n Numbers
	for _, v := range list {
		n.Add(v)
	}
	return n
}

// Append writes n as a sequence-set: 2,4:7.
func (n Numbers) Append(dst []byte) []byte {
	for i, r := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendUint(dst, uint64(r.From), 10)
		if r.To != r.From {
			dst = append(dst, ':')
			dst = strconv.AppendUint(dst, uint64(r.To), 10)
		}
	}
	return dst
}

// AppendInOrder writes numbers in the order of the list, in ranges where they
// happen to run upwards: the two sets of COPYUID correspond by position
// (RFC 4315 section 3).
func AppendInOrder(dst []byte, list []uint32) []byte {
	for i := 0; i < len(list); {
		j := i + 1
		for j < len(list) && list[j] == list[j-1]+1 {
			j++
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = Numbers{{list[i], list[j-1]}}.Append(dst)
		i = j
	}
	return dst
}
