package wire

import (
	"encoding/base64"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// Number64 reads a number up to 2^63-1.
func (d *Decoder) Number64(dst *uint64) bool {
	n, digits := uint64(0), 0
	for {
		c, ok := d.peek()
		if !ok {
			return false
		}
		if !isDigit(c) {
			break
		}
		if n = n*10 + uint64(c-'0'); n > math.MaxInt64 || digits == 19 {
			return d.Syntax("number too large")
		}
		digits++
		d.take()
	}
	if digits == 0 {
		return d.unexpected("a number")
	}
	*dst = n
	return true
}

// Number reads a number of 32 bits.
func (d *Decoder) Number(dst *uint32) bool {
	var n uint64
	if !d.Number64(&n) {
		return false
	}
	if n > math.MaxUint32 {
		return d.Syntax("number too large")
	}
	*dst = uint32(n)
	return true
}

// NzNumber reads a number of 32 bits that is not 0.
func (d *Decoder) NzNumber(dst *uint32) bool {
	if !d.Number(dst) {
		return false
	}
	return *dst != 0 || d.Syntax("number must not be 0")
}

// SequenceSet reads a sequence-set or "$" (RFC 5182).
func (d *Decoder) SequenceSet(dst *Set) bool {
	*dst = Set{}
	if d.Accept('$') {
		dst.Saved = true
		return true
	}
	for {
		var r Range
		if !d.seqNumber(&r.From) {
			return false
		}
		r.To = r.From
		if d.Accept(':') && !d.seqNumber(&r.To) {
			return false
		}
		dst.Ranges = append(dst.Ranges, r)
		if !d.Accept(',') {
			return d.err == nil
		}
	}
}

func (d *Decoder) seqNumber(dst *uint32) bool {
	if d.Accept('*') {
		*dst = 0
		return true
	}
	return d.NzNumber(dst)
}

// AtSet tells whether a sequence-set may begin here.
func (d *Decoder) AtSet() bool {
	c, ok := d.peek()
	return ok && (isDigit(c) || c == '*' || c == '$')
}

// Quoted reads a quoted string. 8-bit octets are taken as they come: what
// they mean, and whether they are allowed, depends on where they stand.
func (d *Decoder) Quoted(dst *string) bool {
	if !d.Special('"') {
		return false
	}
	d.tok = d.tok[:0]
	for {
		c, ok := d.peek()
		switch {
		case !ok:
			return false
		case c == '"':
			d.take()
			*dst = string(d.tok)
			return true
		case c == '\r' || c == '\n' || c == 0:
			return d.unexpected("the end of a quoted string")
		case c == '\\':
			d.take()
			if c, ok = d.peek(); !ok {
				return false
			}
			if c != '"' && c != '\\' {
				return d.Syntax("only \\ and \" may follow a \\ in a quoted string")
			}
		}
		if int64(len(d.tok)) >= d.lim.Literal {
			return d.Syntax("quoted string too long")
		}
		d.tok = append(d.tok, c)
		d.take()
	}
}

// AtString tells whether a string may begin here.
func (d *Decoder) AtString() bool { return d.Peek('"') || d.Peek('{') }

// String reads a quoted string or a literal.
func (d *Decoder) String(dst *string) bool {
	if d.Peek('{') {
		return d.heldLiteral(dst)
	}
	if d.Peek('"') {
		return d.Quoted(dst)
	}
	return d.unexpected("a string")
}

// Astring reads an atom or a string.
func (d *Decoder) Astring(dst *string) bool {
	if d.AtString() {
		return d.String(dst)
	}
	return d.word(dst, classAstring, "a word or a string")
}

// Nstring reads a string or NIL, which leaves dst empty.
func (d *Decoder) Nstring(dst *string) bool {
	if d.AtString() {
		return d.String(dst)
	}
	*dst = ""
	var word string
	if !d.Name(&word) {
		return false
	}
	return word == "NIL" || d.Syntax("expected a string or NIL")
}

// Mailbox reads a mailbox name as UTF-8. valid is false for a name that is
// none in the form that is in force: no syntax error, but no mailbox either.
func (d *Decoder) Mailbox(dst *string, valid *bool) bool {
	var raw string
	if !d.Astring(&raw) {
		return false
	}
	*dst, *valid = d.name(raw)
	return true
}

// ListMailbox reads a pattern of LIST.
func (d *Decoder) ListMailbox(dst *string, valid *bool) bool {
	var raw string
	if d.AtString() {
		if !d.String(&raw) {
			return false
		}
	} else if !d.word(&raw, classList, "a mailbox pattern") {
		return false
	}
	*dst, *valid = d.name(raw)
	return true
}

func (d *Decoder) name(raw string) (string, bool) {
	if strings.EqualFold(raw, "INBOX") {
		return "INBOX", true
	}
	if d.UTF8 {
		return raw, utf8.ValidString(raw)
	}
	if name, ok := DecodeUTF7(raw); ok {
		return name, true
	}
	// Some clients send UTF-8 as soon as IMAP4rev2 is on offer, without ENABLE.
	// Octets beyond ASCII cannot be modified UTF-7, so there is only one thing they can mean.
	if beyondASCII(raw) && utf8.ValidString(raw) {
		return raw, true
	}
	return "", false
}

// Flag reads a flag: an atom, or a backslash and an atom.
func (d *Decoder) Flag(dst *string) bool {
	system := d.Accept('\\')
	if !d.Atom(dst) {
		return false
	}
	if system {
		*dst = `\` + *dst
	}
	return true
}

// FlagList reads a parenthesized list of flags, maybe an empty one.
func (d *Decoder) FlagList(dst *[]string) bool {
	*dst = nil
	return d.List(true, func() bool {
		var f string
		if !d.Flag(&f) {
			return false
		}
		*dst = append(*dst, f)
		return true
	})
}

// Item reads a name of letters, digits, dots and hyphens, in upper case; it
// may be empty.
func (d *Decoder) Item(dst *string) bool {
	b := d.chars(classItem)
	upper(b)
	*dst = string(b)
	return d.err == nil
}

// Date reads dd-Mon-yyyy, quoted or not.
func (d *Decoder) Date(dst *time.Time) bool {
	var s string
	if d.Peek('"') {
		if !d.Quoted(&s) {
			return false
		}
	} else if !d.word(&s, classAtom, "a date") {
		return false
	}
	t, err := time.Parse("_2-Jan-2006", s)
	if err != nil {
		return d.Syntax("a date has the form 1-Feb-2026")
	}
	*dst = t
	return true
}

// DateTime reads "dd-Mon-yyyy hh:mm:ss +zzzz", a day below 10 with a space or 0.
func (d *Decoder) DateTime(dst *time.Time) bool {
	var s string
	if !d.Quoted(&s) {
		return false
	}
	t, err := time.Parse("_2-Jan-2006 15:04:05 -0700", s)
	if err != nil {
		return d.Syntax(`a date and time has the form "01-Feb-2026 15:04:05 +0100"`)
	}
	*dst = t
	return true
}

// Base64 reads base64 up to where it ends, "=" alone being the empty string
// (RFC 4959 section 3).
func (d *Decoder) Base64(dst *[]byte) bool {
	text := d.chars(classAtom)
	if d.err != nil {
		return false
	}
	*dst = []byte{}
	if string(text) == "=" {
		return true
	}
	b, err := base64.StdEncoding.AppendDecode(*dst, text)
	if err != nil {
		return d.Syntax("malformed base64")
	}
	*dst = b
	return true
}

// Text reads the rest of the line, without taking its end.
func (d *Decoder) Text(dst *string) bool {
	if _, ok := d.peek(); !ok {
		return false
	}
	d.tok = d.tok[:0]
	for {
		c, ok := d.peek()
		if !ok {
			return false
		}
		if c == '\r' || c == '\n' {
			*dst = string(d.tok)
			return true
		}
		if int64(len(d.tok)) >= d.lim.Literal {
			return d.Syntax("line too long")
		}
		d.tok = append(d.tok, c)
		d.take()
	}
}

func beyondASCII(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}
