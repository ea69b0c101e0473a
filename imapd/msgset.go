package imapd

import (
	"postroom/imapd/wire"
)

// errNumber: RFC 9051 section 9, seq-number.
var errNumber = bad("No message has that number")

// indices gives the positions in told that set names, as ranges of sequence
// numbers. UIDs that are not there name nothing; a sequence number beyond the
// last is the client's mistake.
func (sel *selection) indices(set wire.Set, uid bool) (wire.Numbers, error) {
	s := sel.told
	if set.Saved {
		return sel.positions(sel.saved), nil
	}
	if uid {
		var last uint32
		if s.Len() > 0 {
			last = s.UID(s.Len() - 1)
		}
		return sel.positions(set.Resolve(last)), nil
	}
	n := set.Resolve(uint32(s.Len()))
	if len(n) == 0 || int64(n.Max()) > int64(s.Len()) {
		return nil, errNumber
	}
	return n, nil
}

// positions turns UIDs into sequence numbers.
func (sel *selection) positions(uids wire.Numbers) wire.Numbers {
	var out wire.Numbers
	s := sel.told
	for _, r := range uids {
		from := s.Index(r.From)
		to := s.Len()
		if r.To != 1<<32-1 {
			to = s.Index(r.To + 1)
		}
		if from >= to {
			continue
		}
		if l := len(out); l > 0 && out[l-1].To == uint32(from) {
			out[l-1].To = uint32(to)
		} else {
			out = append(out, wire.Range{From: uint32(from) + 1, To: uint32(to)})
		}
	}
	return out
}

// messages gives the messages that set names, as positions and as UIDs.
func (sel *selection) messages(set wire.Set, uid bool) (wire.Numbers, []uint32, error) {
	n, err := sel.indices(set, uid)
	if err != nil {
		return nil, nil, err
	}
	total := 0
	for _, r := range n {
		total += int(r.To-r.From) + 1
	}
	uids := make([]uint32, 0, total)
	each(n, func(i int) bool {
		uids = append(uids, sel.told.UID(i))
		return true
	})
	return n, uids, nil
}

// each calls fn with the index of each number, ascending, until it says stop.
func each(n wire.Numbers, fn func(i int) bool) {
	for _, r := range n {
		for seq := r.From; ; seq++ {
			if !fn(int(seq) - 1) {
				return
			}
			if seq == r.To {
				break
			}
		}
	}
}
