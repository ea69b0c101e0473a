package message

import (
	"bytes"
	"io"
	"sync"
)

// maxFieldsOut bounds what HeaderFields gathers; what lies beyond is left out.
const maxFieldsOut = 16 << 20

// HeaderFields gives those fields of a header section that are named, or with
// not those that are not named, in their order, folding kept, every line with
// CRLF, and the empty line at the end: RFC 9051 section 6.4.5.1,
// HEADER.FIELDS and HEADER.FIELDS.NOT.
func HeaderFields(src io.ReaderAt, m *Message, s Section, fields []string, not bool) ([]byte, error) {
	out := make([]byte, 0, 512)
	match := false
	// The answer ends in an empty line even if the header has none, but for
	// HEADER.FIELDS.NOT of the message itself: so does Dovecot.
	blank := !not || s != m.Root.Head
	err := headerLines(src, m, s, func(line []byte, first bool) bool {
		if first && len(trimLF(line)) == 0 {
			blank = true
			return false
		}
		if first {
			match = named(fieldName(line), fields) != not
		}
		if match && len(out)+len(line) <= maxFieldsOut {
			out = append(out, line...)
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	if blank {
		out = append(out, "\r\n"...)
	}
	return out, nil
}

func named(name []byte, fields []string) bool {
	name, _, _ = bytes.Cut(name, []byte{0}) // as the parse does
	for _, f := range fields {
		if len(f) == len(name) && equalFold(string(name), f) {
			return true
		}
	}
	return false
}

// fieldName is what stands before the colon of a field's first line, space
// before the colon left out. A line without a colon has no name.
func fieldName(line []byte) []byte {
	name := line[:max(0, bytes.IndexByte(line, ':'))]
	for len(name) > 0 && isBlank(name[len(name)-1]) {
		name = name[:len(name)-1]
	}
	return name
}

var lineBufs = sync.Pool{New: func() any { b := make([]byte, 16<<10); return &b }}

// headerLines calls f for each line of a header section in CRLF form, first
// telling lines that begin a field from those that go on with one; a line
// longer than the buffer comes in pieces. It ends early when f returns false.
func headerLines(src io.ReaderAt, m *Message, s Section, f func(line []byte, first bool) bool) error {
	hold := lineBufs.Get().(*[]byte)
	defer lineBufs.Put(hold)
	buf := *hold
	r := NewReader(src, m, s)
	defer r.release()
	pos, end := 0, 0
	begins, any := true, false // at the beginning of a line; a field has begun
	for {
		i := bytes.IndexByte(buf[pos:end], '\n')
		if i < 0 && end-pos < len(buf) && r.Len() > 0 {
			copy(buf, buf[pos:end])
			end, pos = end-pos, 0
			n, err := r.Read(buf[end:])
			if err != nil {
				return err
			}
			end += n
			continue
		}
		line := buf[pos:end]
		if i >= 0 {
			line = line[:i+1]
		}
		if len(line) == 0 {
			return nil
		}
		first := begins && !(any && isBlank(line[0]))
		any = true
		if !f(line, first) {
			return nil
		}
		begins = i >= 0
		pos += len(line)
	}
}
