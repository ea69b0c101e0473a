package wire

import (
	"errors"
	"io"
	"strconv"
	"sync"
)

// Limits bound one command.
type Limits struct {
	Line    int64 // octets outside literals
	Literal int64 // octets of a quoted string or literal that is kept in memory
	Discard int64 // octets of a refused literal that are read and thrown away
	Depth   int   // nesting of parentheses
	// MinusOnly restricts literals sent unasked to 4,096 octets (LITERAL- of RFC 7888).
	MinusOnly bool
}

const readSize = 4096

// Decoder reads commands from r. It is not for concurrent use.
type Decoder struct {
	r    io.Reader
	ask  func() error // sends the continuation request for a literal
	lim  Limits
	UTF8 bool // names are UTF-8, not modified UTF-7

	*scratch     // nil while nothing is read
	pos      int // buf[pos:end] is read but not taken
	end      int
	err      error // first failure of this command
	io       error // failure of r, for good
	line     int64 // octets of this command outside literals
	eol      bool  // the command's last octet was taken
	lit      int64 // octets of an open literal not yet read
	skip     int64 // octets of a refused literal, on their way
	deep     int
}

// scratch is what a decoder needs while it reads, and gives back when it waits.
type scratch struct {
	buf [readSize]byte
	tok []byte // for one token
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// NewDecoder reads from r; ask must send "+" to the client and flush it.
func NewDecoder(r io.Reader, lim Limits, ask func() error) *Decoder {
	return &Decoder{r: r, ask: ask, lim: lim}
}

// Reset goes on with another reader and forgets all that was read ahead: what
// a client sent before a TLS handshake may have been put in by someone else
// (RFC 9051 section 11.1).
func (d *Decoder) Reset(r io.Reader) {
	d.r, d.pos, d.end, d.io = r, 0, 0, nil
	d.Release()
}

// Release gives the decoder's memory back, unless octets wait in it. It takes
// some again when it reads.
func (d *Decoder) Release() {
	if d.scratch == nil || d.pos < d.end {
		return
	}
	if cap(d.tok) > 4*readSize {
		d.tok = nil // one long string must not live in the pool
	}
	scratches.Put(d.scratch)
	d.scratch = nil
}

// SetLimits applies from the next command.
func (d *Decoder) SetLimits(lim Limits) { d.lim = lim }

// Begin waits for the next command and forgets the failures of the last.
func (d *Decoder) Begin() error {
	d.err, d.line, d.eol, d.lit, d.skip, d.deep = nil, 0, false, 0, 0, 0
	_, _ = d.peek()
	return d.err
}

// Err is the first failure of this command.
func (d *Decoder) Err() error { return d.err }

// IOErr is the failure of the underlying reader, if there was one.
func (d *Decoder) IOErr() error { return d.io }

// Buffered is the number of octets that arrived and were not taken.
func (d *Decoder) Buffered() int { return d.end - d.pos }

// Fail latches a failure of the caller's own.
func (d *Decoder) Fail(err error) bool {
	if d.err == nil {
		d.err = err
	}
	return false
}

// Syntax latches a SyntaxError.
func (d *Decoder) Syntax(msg string) bool { return d.Fail(&SyntaxError{msg}) }

// peek gives the next octet without taking it.
func (d *Decoder) peek() (byte, bool) {
	if d.err != nil {
		return 0, false
	}
	if d.pos == d.end && !d.fill() {
		return 0, false
	}
	return d.buf[d.pos], true
}

// take takes the octet that peek gave.
func (d *Decoder) take() {
	d.pos++
	d.line++
}

func (d *Decoder) fill() bool {
	if d.io != nil {
		return d.Fail(d.io)
	}
	if d.line > d.lim.Line {
		return d.Fail(ErrLineTooLong)
	}
	if d.scratch == nil {
		d.scratch = scratches.Get().(*scratch)
	}
	for range 100 {
		n, err := d.r.Read(d.buf[:])
		d.pos, d.end = 0, n
		if n > 0 {
			return true
		}
		if err != nil {
			d.io = err
			return d.Fail(err)
		}
	}
	d.io = io.ErrNoProgress
	return d.Fail(d.io)
}

// Peek tells whether the next octet is c.
func (d *Decoder) Peek(c byte) bool {
	b, ok := d.peek()
	return ok && b == c
}

// Accept takes the next octet if it is c.
func (d *Decoder) Accept(c byte) bool {
	if !d.Peek(c) {
		return false
	}
	d.take()
	return true
}

// Special takes c or fails.
func (d *Decoder) Special(c byte) bool {
	if d.Accept(c) {
		return true
	}
	return d.unexpected(strconv.QuoteRune(rune(c)))
}

// SP takes one space.
func (d *Decoder) SP() bool { return d.Accept(' ') || d.unexpected("a space") }

// AtEnd tells whether the line ends here.
func (d *Decoder) AtEnd() bool { return d.Peek('\r') || d.Peek('\n') }

// CRLF takes the end of the command. A bare LF does as well: people type into
// sockets.
func (d *Decoder) CRLF() bool {
	if d.eol && d.err == nil {
		return true
	}
	d.Accept('\r')
	if !d.Accept('\n') {
		return d.unexpected("the end of the line")
	}
	d.eol = true
	return true
}

// unexpected latches what stands here instead of what was wanted. The client's
// octets are not repeated: they may be a password.
func (d *Decoder) unexpected(want string) bool {
	c, ok := d.peek()
	switch {
	case !ok:
		return false
	case c == '\r' || c == '\n':
		return d.Syntax("command ends where " + want + " is expected")
	case c < 0x20 || c >= 0x7f:
		return d.Syntax("octet 0x" + strconv.FormatUint(uint64(c), 16) + " where " + want + " is expected")
	}
	return d.Syntax("expected " + want)
}

// chars takes octets of a class into the scratch.
func (d *Decoder) chars(class uint8) []byte {
	if _, ok := d.peek(); !ok {
		return nil
	}
	d.tok = d.tok[:0]
	for {
		c, ok := d.peek()
		if !ok || classes[c]&class == 0 {
			return d.tok
		}
		if int64(len(d.tok)) >= d.lim.Literal {
			d.Syntax("word too long")
			return nil
		}
		d.tok = append(d.tok, c)
		d.take()
	}
}

func (d *Decoder) word(dst *string, class uint8, want string) bool {
	b := d.chars(class)
	if d.err != nil {
		return false
	}
	if len(b) == 0 {
		return d.unexpected(want)
	}
	*dst = string(b)
	return true
}

// Tag reads a tag.
func (d *Decoder) Tag(dst *string) bool { return d.word(dst, classTag, "a tag") }

// Atom reads an atom.
func (d *Decoder) Atom(dst *string) bool { return d.word(dst, classAtom, "an atom") }

// Name reads an atom in upper case: a command, an option, a search key.
func (d *Decoder) Name(dst *string) bool {
	b := d.chars(classAtom)
	if d.err != nil {
		return false
	}
	if len(b) == 0 {
		return d.unexpected("a name")
	}
	upper(b)
	*dst = string(b)
	return true
}

func upper(b []byte) {
	for i, c := range b {
		if c-'a' < 26 {
			b[i] = c - 'a' + 'A'
		}
	}
}

// List reads "(" item *(SP item) ")"; empty says whether "()" is one.
func (d *Decoder) List(empty bool, item func() bool) bool {
	if !d.Open() {
		return false
	}
	if empty && d.Peek(')') {
		return d.Close()
	}
	for {
		if !item() {
			return d.Syntax("malformed list")
		}
		if d.Accept(' ') {
			continue
		}
		return d.Close()
	}
}

// Open takes "(", one level deeper.
func (d *Decoder) Open() bool {
	if d.deep >= d.lim.Depth {
		return d.Syntax("nested too deeply")
	}
	if !d.Special('(') {
		return false
	}
	d.deep++
	return true
}

// Close takes ")".
func (d *Decoder) Close() bool {
	if !d.Special(')') {
		return false
	}
	d.deep--
	return true
}

// DiscardLine goes to where the next command begins, whatever state the failed
// one was left in. Literals sent unasked are skipped; one that waits for "+"
// ends the command, since the client was not asked. It fails only where the
// connection must end.
func (d *Decoder) DiscardLine() error {
	if d.io != nil {
		return d.io
	}
	if errors.Is(d.err, ErrLineTooLong) {
		return d.err
	}
	d.err = nil
	d.skip += d.lit
	d.lit = 0
	var tail [24]byte // the line's last octets, to see "{n+}"
	for {
		if d.skip > 0 {
			if err := d.discard(); err != nil {
				return err
			}
		}
		if d.eol {
			return nil
		}
		n := 0
		for {
			c, ok := d.peek()
			if !ok {
				return d.err
			}
			d.take()
			if c == '\n' {
				break
			}
			copy(tail[:], tail[1:])
			tail[len(tail)-1] = c
			n++
		}
		size, ok := unasked(tail[max(0, len(tail)-n):])
		if !ok {
			d.eol = true
			return nil
		}
		d.skip = size
	}
}

// unasked finds {n+} at the end of a line.
func unasked(tail []byte) (int64, bool) {
	i := len(tail)
	if i > 0 && tail[i-1] == '\r' {
		i--
	}
	if i < 3 || string(tail[i-2:i]) != "+}" {
		return 0, false
	}
	end := i - 2
	for i = end; i > 0 && isDigit(tail[i-1]); i-- {
	}
	if i == 0 || tail[i-1] != '{' {
		return 0, false
	}
	n, err := strconv.ParseInt(string(tail[i:end]), 10, 64)
	return n, err == nil
}

func (d *Decoder) discard() error {
	if d.skip > d.lim.Discard {
		return ErrDiscardTooLong
	}
	for d.skip > 0 {
		if d.pos == d.end && !d.fill() {
			return d.err
		}
		n := min(int64(d.end-d.pos), d.skip)
		d.pos += int(n)
		d.skip -= n
	}
	return nil
}
