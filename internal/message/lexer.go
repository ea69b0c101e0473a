package message

import "strings"

// status says how a piece of grammar ended.
type status int8

const (
	broken status = iota - 1 // not what the grammar wants
	atEnd                    // read, and the input is used up
	more                     // read, and something follows
)

// The classes of octets that the grammars tell apart. Octets beyond ASCII are
// atom text: raw UTF-8 names are common and RFC 6532 made them lawful.
const (
	isAtext = 1 << iota // RFC 5322 section 3.2.3
	isToken             // RFC 2045 section 5.1, "." included
)

var classes = func() (t [256]uint8) {
	for c := 0x21; c < 0x100; c++ {
		if c == 0x7f {
			continue
		}
		if !strings.ContainsRune("\"(),.:;<>@[\\]", rune(c)) {
			t[c] |= isAtext
		}
		if !strings.ContainsRune("\"(),/:;<=>?@[\\]", rune(c)) {
			t[c] |= isToken
		}
	}
	return t
}()

// lexer reads the token grammar that RFC 5322 and RFC 2045 share: words with
// comments and folding white space between them, obsolete forms included.
type lexer struct {
	s   string
	pos int
	// comment is the text of the last comment, quoted pairs undone; kept
	// where keep is set, since "addr (Name)" is how names once were written.
	comment text
	keep    bool
}

func newLexer(s string) lexer { return lexer{s: s} }

func (x *lexer) done() bool { return x.pos >= len(x.s) }

// at tells whether the next octet is c.
func (x *lexer) at(c byte) bool { return x.pos < len(x.s) && x.s[x.pos] == c }

// is tells whether the next octet is of a class.
func (x *lexer) is(class uint8) bool {
	return x.pos < len(x.s) && classes[x.s[x.pos]]&class != 0
}

func (x *lexer) status() status {
	if x.done() {
		return atEnd
	}
	return more
}

// skipSpace skips comments and folding white space: CFWS.
func (x *lexer) skipSpace() status {
	for x.pos < len(x.s) {
		switch x.s[x.pos] {
		case ' ', '\t', '\r', '\n':
			x.pos++
		case '(':
			if x.skipComment() == broken {
				return broken
			}
		default:
			return more
		}
	}
	return atEnd
}

// skipComment skips one comment, nested ones inside it included.
func (x *lexer) skipComment() status {
	if x.keep {
		x.comment.reset()
	}
	x.pos++
	depth, from := 1, x.pos
	for ; x.pos < len(x.s); x.pos++ {
		switch x.s[x.pos] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				x.keepComment(from)
				x.pos++
				return x.status()
			}
		case '\\':
			if x.noPair() {
				break
			}
			if x.pos+1 == len(x.s) {
				x.pos++
				return broken
			}
			x.keepComment(from)
			x.pos++
			from = x.pos
		case '\n', 0:
			x.keepComment(from)
			if x.keep && x.at(0) {
				x.comment.addNUL()
			}
			from = x.pos + 1
		}
	}
	return broken
}

// noPair tells whether the backslash at hand stands for itself: CR, LF and NUL
// cannot be quoted (RFC 5322 section 4.1 has them as obsolete).
func (x *lexer) noPair() bool {
	if x.pos+1 >= len(x.s) {
		return false
	}
	c := x.s[x.pos+1]
	return c == '\r' || c == '\n' || c == 0
}

func (x *lexer) keepComment(from int) {
	if x.keep {
		x.comment.add(x.s, from, x.pos)
	}
}

// run reads octets of one class, as many as there are, also none.
func (x *lexer) run(t *text, class uint8) {
	from := x.pos
	for x.is(class) {
		x.pos++
	}
	t.add(x.s, from, x.pos)
}

// token reads a MIME token (possibly empty) and the space after it.
func (x *lexer) token(t *text) status {
	x.run(t, isToken)
	if x.done() {
		return atEnd
	}
	return x.skipSpace()
}

// atom reads 1*atext and the space after it.
func (x *lexer) atom(t *text) status {
	if !x.is(isAtext) {
		return broken
	}
	x.run(t, isAtext)
	if x.done() {
		return atEnd
	}
	return x.skipSpace()
}

// dotAtom reads atoms joined by dots. As RFC 822 allowed, space may surround
// the dots; it is dropped.
func (x *lexer) dotAtom(t *text) status {
	if !x.is(isAtext) {
		return broken
	}
	for {
		x.run(t, isAtext)
		if x.done() {
			return atEnd
		}
		if st := x.skipSpace(); st != more {
			return st
		}
		if !x.at('.') {
			return more
		}
		t.add(x.s, x.pos, x.pos+1)
		x.pos++
		if x.skipSpace() != more || !x.is(isAtext) {
			return broken
		}
	}
}

// localPart reads the atoms and dots of a local-part, wherever the dots
// stand: "a..b@x" and ".a@x" are lawful nowhere and in use.
func (x *lexer) localPart(t *text) status {
	st := broken
	for {
		for x.at('.') {
			t.add(x.s, x.pos, x.pos+1)
			x.pos++
			if x.done() {
				return atEnd
			}
			st = more
		}
		if x.at('@') {
			return st
		}
		if st = x.atom(t); st != more || !x.at('.') {
			return st
		}
	}
}

// quoted reads a quoted-string: folding is undone, so are quoted pairs.
func (x *lexer) quoted(t *text) status {
	x.pos++
	from := x.pos
	for ; x.pos < len(x.s); x.pos++ {
		switch x.s[x.pos] {
		case '"':
			t.add(x.s, from, x.pos)
			x.pos++
			return x.skipSpace()
		case '\n':
			end := x.pos
			if end > from && x.s[end-1] == '\r' {
				end--
			}
			t.add(x.s, from, end)
			from = x.pos + 1
		case '\\':
			if x.noPair() {
				break
			}
			x.pos++
			if x.done() {
				return broken
			}
			t.add(x.s, from, x.pos-1)
			from = x.pos
		case 0:
			t.add(x.s, from, x.pos)
			t.addNUL()
			from = x.pos + 1
		}
	}
	return broken
}

// phrase reads words and dots; words are joined by one space. It may be empty.
func (x *lexer) phrase(t *text) status {
	if x.done() {
		return atEnd
	}
	if x.at('.') {
		return broken
	}
	for {
		var st status
		if x.at('"') {
			st = x.quoted(t)
		} else {
			from := x.pos
			for x.is(isAtext) || x.at('.') {
				x.pos++
			}
			t.add(x.s, from, x.pos)
			if x.done() {
				return atEnd
			}
			st = x.skipSpace()
		}
		if st != more {
			return st
		}
		if !x.is(isAtext) && !x.at('"') && !x.at('.') {
			return x.skipSpace()
		}
		t.addByte(' ')
	}
}

// domain reads "@" and a domain or domain literal.
func (x *lexer) domain(t *text) status {
	x.pos++
	if x.skipSpace() != more {
		return broken
	}
	if !x.at('[') {
		return x.dotAtom(t)
	}
	from := x.pos
	for x.pos++; x.pos < len(x.s); x.pos++ {
		switch x.s[x.pos] {
		case '[':
			return broken
		case '\\':
			if !x.noPair() {
				x.pos++
			}
		case '\n', 0:
			t.add(x.s, from, x.pos)
			if x.at(0) {
				t.addNUL()
			}
			from = x.pos + 1
		case ']':
			x.pos++
			t.add(x.s, from, x.pos)
			return x.skipSpace()
		}
	}
	return broken
}

// text gathers pieces of one source string. As long as the pieces adjoin, the
// result is a substring and costs no allocation.
type text struct {
	src      string
	from, to int
	buf      []byte
	spilled  bool
}

func (t *text) reset() {
	t.src, t.from, t.to, t.buf, t.spilled = "", 0, 0, t.buf[:0], false
}

func (t *text) len() int {
	if t.spilled {
		return len(t.buf)
	}
	return t.to - t.from
}

func (t *text) add(s string, from, to int) {
	switch {
	case from >= to:
	case t.spilled:
		t.buf = append(t.buf, s[from:to]...)
	case t.from == t.to:
		t.src, t.from, t.to = s, from, to
	case t.to == from:
		t.to = to
	default:
		t.spill()
		t.buf = append(t.buf, s[from:to]...)
	}
}

// addNUL adds what stands for a NUL, which IMAP cannot carry.
func (t *text) addNUL() {
	t.spill()
	t.buf = append(t.buf, "\uFFFD"...)
}

func (t *text) addByte(c byte) {
	if !t.spilled && t.from < t.to && t.to < len(t.src) && t.src[t.to] == c {
		t.to++
		return
	}
	t.spill()
	t.buf = append(t.buf, c)
}

func (t *text) spill() {
	if !t.spilled {
		t.buf = append(t.buf[:0], t.src[t.from:t.to]...)
		t.spilled = true
	}
}

func (t *text) String() string {
	if t.spilled {
		return string(t.buf)
	}
	return t.src[t.from:t.to]
}

// equalFold compares as header names and tokens are compared: ASCII letters
// without regard to case, all else exactly.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if a[i] != b[i] && lowerByte(a[i]) != lowerByte(b[i]) {
			return false
		}
	}
	return true
}

func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

func lower(s string) string {
	for i := 0; i < len(s); i++ {
		if c := s[i]; 'A' <= c && c <= 'Z' {
			b := []byte(s)
			for j := range b {
				b[j] = lowerByte(b[j])
			}
			return string(b)
		}
	}
	return s
}
