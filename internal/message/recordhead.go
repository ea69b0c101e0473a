package message

import (
	"bytes"
	"io"
	"math/bits"
)

// What a record keeps of the header. Bounds keep one message's odd fields
// from making it long: a field that is left out is read from the file.
const (
	maxKeptHead  = 8 << 10 // octets of all fields
	maxKeptField = 2 << 10 // octets of all fields of one name
	maxWholeHead = 768     // a header up to that long is kept whole
)

// keptNames are the fields that clients ask for when they list a mailbox, in
// the order of their bits in a record: mail programs' own lists (Thunderbird,
// Outlook, Apple Mail, K-9, Delta Chat, mutt, Roundcube, SquirrelMail, Geary) and what
// people search. Whoever changes them raises RecordVersion.
var keptNames = [...]string{
	"date", "subject", "from", "sender", "reply-to", "to", "cc", "bcc",
	"in-reply-to", "message-id", "references", "mime-version", "content-type",
	"content-transfer-encoding", "content-disposition", "content-description", "content-language",
	"content-class", "priority", "x-priority", "importance", "sensitivity", "x-msmail-priority",
	"list-id", "list-post", "list-unsubscribe", "list-unsubscribe-post", "list-subscribe",
	"list-help", "list-archive", "list-owner", "mailing-list", "precedence", "auto-submitted",
	"delivered-to", "envelope-to", "x-original-to", "return-path", "newsgroups", "followup-to",
	"mail-followup-to", "mail-reply-to", "disposition-notification-to", "x-confirm-reading-to",
	"return-receipt-to", "x-mailer", "user-agent", "x-label", "x-keywords", "keywords", "comments",
	"organization", "lines", "x-draft-info", "x-uniform-type-identifier", "x-universally-unique-identifier",
	"chat-version", "autocrypt", "x-spam-flag", "x-spam-status", "x-spam-score", "resent-from", "resent-to", "resent-date",
}

// keptBits finds a name's bit by its length.
var keptBits = func() (t [40][]keptBit) {
	for i, n := range keptNames {
		t[len(n)] = append(t[len(n)], keptBit{n, 1 << i})
	}
	return t
}()

type keptBit struct {
	name string
	bit  uint64
}

// keptBitOf gives the bit of a field's name, 0 if it is none that is kept.
func keptBitOf[T string | []byte](name T) uint64 {
	if len(name) >= len(keptBits) || len(name) == 0 {
		return 0
	}
	for _, k := range keptBits[len(name)] {
		if lowerByte(name[0]) == k.name[0] && equalFold(string(name), k.name) {
			return k.bit
		}
	}
	return 0
}

// appendKept appends the fields that are kept of the message's header, as they go out. missing has the bits of
// names of which something was left out; whole says that nothing was, of any name.
func appendKept(dst []byte, m *Message, src io.ReaderAt) (out []byte, missing uint64, whole bool, err error) {
	start, s := len(dst), m.Root.Head
	whole = s.Size <= maxWholeHead
	var sizes [len(keptNames)]int
	err = headerLines(src, m, s, keepLines(&dst, start, whole, &missing, &sizes))
	if err != nil {
		return dst[:start], 0, false, err
	}
	if missing != 0 {
		// Fields of those names that came before the one that was too much go, too.
		dst = dropFields(dst, start, missing)
	}
	return dst, missing, whole, nil
}

// keepLines gives what takes one header line after another.
func keepLines(dst *[]byte, start int, whole bool, missing *uint64, sizes *[len(keptNames)]int) func([]byte, bool) bool {
	var bit uint64
	index := 0
	return func(line []byte, first bool) bool {
		if first && len(trimLF(line)) == 0 {
			return false
		}
		if whole {
			*dst = append(*dst, line...)
			return true
		}
		if first {
			if bit = keptBitOf(fieldName(line)); bit != 0 {
				index = bits.TrailingZeros64(bit)
			}
		}
		if bit == 0 || *missing&bit != 0 {
			return true
		}
		if sizes[index] += len(line); sizes[index] > maxKeptField || len(*dst)-start+len(line) > maxKeptHead {
			*missing |= bit
			return true
		}
		*dst = append(*dst, line...)
		return true
	}
}

// dropFields takes the fields that have one of the bits out of dst[start:].
func dropFields(dst []byte, start int, gone uint64) []byte {
	w, drop := start, false
	eachLine(dst[start:], func(line []byte, first bool) bool {
		if first {
			drop = keptBitOf(fieldName(line))&gone != 0
		}
		if !drop {
			w += copy(dst[w:], line)
		}
		return true
	})
	return dst[:w]
}

// FieldSet is a list of header fields that are asked for again and again.
type FieldSet struct {
	names []string
	bits  uint64 // of those that are kept
	kept  bool   // all are
	area  sketchArea
}

// NewFieldSet makes one.
func NewFieldSet(names []string) *FieldSet {
	s := &FieldSet{names: names, kept: true}
	for _, n := range names {
		bit := keptBitOf(n)
		s.bits |= bit
		s.kept = s.kept && bit != 0
	}
	if len(names) == 1 {
		s.area = areaOf(names[0])
	}
	return s
}

// Has tells whether all of the fields, as far as the message has them, are in the record.
func (r Record) Has(s *FieldSet) bool {
	return r.bits()&recordWhole != 0 || s.kept && r.u64(32)&s.bits == 0
}

// A record has a directory of its header fields: of each one 4 octets, the number of its name in keptNames or
// otherName, 1 if it is plain, and where it begins.
const (
	dirEntry  = 4
	otherName = 0xff
)

// appendDirectory appends that of the fields in head.
func appendDirectory(dst, head []byte) []byte {
	off, last := 0, -1
	eachLine(head, func(line []byte, first bool) bool {
		switch {
		case first:
			id := byte(otherName)
			if bit := keptBitOf(fieldName(line)); bit != 0 {
				id = byte(bits.TrailingZeros64(bit))
			}
			last = len(dst)
			dst = append(dst, id, 0, byte(off), byte(off>>8))
			if isPlain(line) {
				dst[last+1] = 1
			}
		case last >= 0:
			dst[last+1] = 0
		}
		off += len(line)
		return true
	})
	return dst
}

// eachKept calls f for the fields that are asked for, with their line ends, until it returns false.
func (r Record) eachKept(s *FieldSet, f func(field []byte, plain bool) bool) {
	head, dir := r.blob(4), r.blob(5)
	for len(dir) >= dirEntry {
		id, plain := dir[0], dir[1] == 1
		from, to := int(dir[2])|int(dir[3])<<8, len(head)
		if dir = dir[dirEntry:]; len(dir) >= dirEntry {
			to = int(dir[2]) | int(dir[3])<<8
		}
		if from >= to || to > len(head) {
			return // damaged
		}
		if id == otherName {
			if s.kept || !named(fieldName(firstLine(head[from:to])), s.names) {
				continue
			}
		} else if s.bits>>(id%64)&1 == 0 {
			continue
		}
		if !f(head[from:to], plain) {
			return
		}
	}
}

func firstLine(b []byte) []byte {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return b[:i+1]
	}
	return b
}

// AppendFields appends what HeaderFields gives of the message's header for the fields of the set; false if
// the record does not have them.
func (r Record) AppendFields(dst []byte, s *FieldSet) ([]byte, bool) {
	if !r.Has(s) {
		return dst, false
	}
	r.eachKept(s, func(field []byte, _ bool) bool {
		dst = append(dst, field...)
		return true
	})
	return append(dst, "\r\n"...), true
}

// EachField is the function of that name for the fields of the set in the message's header; false if the record does not have them.
func (r Record) EachField(s *FieldSet, f func(name, value string) bool) bool {
	if !r.Has(s) {
		return false
	}
	r.eachKept(s, func(field []byte, plain bool) bool {
		if plain {
			name := fieldName(field)
			return f(string(name), string(bytes.TrimPrefix(trimLF(field[len(name)+1:]), []byte{' '})))
		}
		more := true
		_ = eachField(func(g func([]byte, bool) bool) error { eachLine(field, g); return nil }, func(name, value []byte) bool {
			more = f(string(name), string(value))
			return more
		}) // memory does not fail
		return more
	})
	return true
}

// SearchHeader is Message.SearchHeader for a set of one field, answered by the record; known is false where it cannot be.
func (r Record) SearchHeader(s *FieldSet, n *Needle) (found, known bool) {
	if !r.Has(s) || s.names[0] == "" {
		return false, false
	}
	r.eachKept(s, func(field []byte, plain bool) bool {
		switch {
		case n.Empty():
			found = true
		case plain:
			found = plainMatch(field[len(s.names[0])+1:], n)
		default:
			found, _ = searchFields(func(f func([]byte, bool) bool) error { eachLine(field, f); return nil }, s.names[0], n)
		}
		return !found
	})
	return found, true
}

// eachLine is headerLines for header fields in memory.
func eachLine(b []byte, f func(line []byte, first bool) bool) {
	for any := false; len(b) > 0; any = true {
		n := bytes.IndexByte(b, '\n') + 1
		if n == 0 {
			n = len(b)
		}
		if !f(b[:n], !(any && isBlank(b[0]))) {
			return
		}
		b = b[n:]
	}
}
