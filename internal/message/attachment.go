package message

import "bytes"

// HasAttachment tells whether the message has a part that people call an attachment: one whose disposition says so, or
// one that is no text, is not shown within another (an inline part with a Content-ID) and is no signature or encryption.
func (r Record) HasAttachment() bool {
	s := structureReader{b: r.BodyStructure()}
	return s.part("", 0) && !s.bad
}

// structureReader goes through a BODYSTRUCTURE as a record has it.
type structureReader struct {
	b   []byte
	bad bool // it is none; nothing is left
}

// next gives the first octet of what comes, space passed over; 0 at the end.
func (s *structureReader) next() byte {
	for len(s.b) > 0 && s.b[0] == ' ' {
		s.b = s.b[1:]
	}
	if len(s.b) == 0 {
		s.bad = true
		return 0
	}
	return s.b[0]
}

// accept takes an octet that stands there.
func (s *structureReader) accept(c byte) bool {
	if s.next() != c {
		return false
	}
	s.b = s.b[1:]
	return true
}

// value takes a string, a number or NIL.
func (s *structureReader) value() (v []byte, isNil bool) {
	switch s.next() {
	case '"':
		for i := 1; i < len(s.b); i++ {
			switch s.b[i] {
			case '\\':
				i++
			case '"':
				v, s.b = s.b[1:i], s.b[i+1:]
				return v, false
			}
		}
	case '{':
		n, i := 0, 1
		for ; i < len(s.b) && isDigit(s.b[i]) && n < len(s.b); i++ {
			n = n*10 + int(s.b[i]-'0')
		}
		if i += len("}\r\n"); i+n <= len(s.b) {
			v, s.b = s.b[i:i+n], s.b[i+n:]
			return v, false
		}
	case '(', ')', 0:
	default:
		n := bytes.IndexAny(s.b, " ()")
		if n < 0 {
			n = len(s.b)
		}
		v, s.b = s.b[:n], s.b[n:]
		return v, string(v) == "NIL"
	}
	s.bad, s.b = true, nil
	return nil, true
}

// skip passes over a value or a list.
func (s *structureReader) skip() {
	for depth := 0; !s.bad; {
		switch {
		case s.accept('('):
			depth++
		case s.accept(')'):
			depth--
		default:
			s.value()
		}
		if depth <= 0 {
			return
		}
	}
}

// part reads a body, and tells whether it is or has an attachment; in is the subtype of the multipart that it is of.
func (s *structureReader) part(in string, depth int) bool {
	if depth > 2*maxDepth || !s.accept('(') {
		s.bad, s.b = true, nil
		return false
	}
	if s.next() == '(' {
		return s.multipart(depth)
	}
	typ, _ := s.value()
	subtype, _ := s.value()
	s.skip() // parameters
	_, noID := s.value()
	s.skip() // description
	s.skip() // encoding
	s.skip() // octets
	text := equalFold(string(typ), "text")
	switch {
	case isEmbedded(string(typ), string(subtype)):
		s.skip() // envelope
		s.skip() // body
		s.skip() // lines
	case text:
		s.skip() // lines
	}
	s.skip() // MD5
	disposition := ""
	if s.accept('(') {
		v, _ := s.value()
		disposition = lower(string(v))
		s.skip() // parameters
		s.accept(')')
	} else {
		s.skip()
	}
	s.skip() // language
	s.skip() // location
	s.accept(')')
	switch lower(string(subtype)) {
	case "pgp-signature", "pkcs7-signature", "x-pkcs7-signature", "pgp-encrypted":
		return false
	}
	switch {
	case in == "encrypted":
		return false
	case disposition == "attachment":
		return true
	}
	return !text && (noID || disposition == "" && in != "related")
}

// multipart reads the parts of one, whose parenthesis is read.
func (s *structureReader) multipart(depth int) bool {
	rest := s.b
	for !s.bad && s.next() == '(' {
		s.skip()
	}
	subtype, _ := s.value()
	after := *s
	s.b = rest
	found := false
	for !s.bad && s.next() == '(' {
		if s.part(lower(string(subtype)), depth+1) {
			found = true // the rest is passed over below
			break
		}
	}
	if s.bad = s.bad || after.bad; s.bad {
		s.b = nil
		return found
	}
	s.b = after.b
	for !s.bad && s.next() != ')' {
		s.skip()
	}
	s.accept(')')
	return found
}
