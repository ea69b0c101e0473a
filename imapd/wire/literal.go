package wire

import "io"

// Literal is the announcement of a literal, RFC 9051 section 4.3.
type Literal struct {
	Size    int64
	Unasked bool // {n+}: its octets are on their way
	Binary  bool // ~{n}: may hold NUL, RFC 3516
}

// maxNonSync is what LITERAL- allows, RFC 7888 section 5.
const maxNonSync = 4096

// Literal reads an announcement and its CRLF. The octets follow only after
// OpenLiteral, or else RefuseLiteral.
func (d *Decoder) Literal(l *Literal) bool {
	*l = Literal{}
	if d.Accept('~') {
		l.Binary = true
	}
	if !d.Special('{') {
		return false
	}
	var n uint64
	if !d.Number64(&n) {
		return false
	}
	l.Unasked = d.Accept('+')
	if !d.Special('}') {
		return false
	}
	d.Accept('\r')
	if !d.Special('\n') {
		return false
	}
	l.Size = int64(n)
	if l.Unasked && d.lim.MinusOnly && l.Size > maxNonSync {
		return d.RefuseLiteral(*l, &LiteralSizeError{l.Size, maxNonSync})
	}
	return true
}

// RefuseLiteral fails the command with err instead of taking the literal.
func (d *Decoder) RefuseLiteral(l Literal, err error) bool {
	if l.Unasked {
		d.skip = l.Size
	} else {
		d.eol = true // the client waits and gives up on our answer
	}
	return d.Fail(err)
}

// OpenLiteral asks for the literal where that is due. The reader gives exactly
// its octets, or an error other than io.EOF; all of it must be read, or
// CloseLiteral called, before the decoder goes on.
func (d *Decoder) OpenLiteral(l Literal) (io.Reader, bool) {
	if d.err != nil {
		return nil, false
	}
	if !l.Unasked {
		if err := d.ask(); err != nil {
			d.io = err
			return nil, d.Fail(err)
		}
	}
	d.lit = l.Size
	return (*literalReader)(d), true
}

// CloseLiteral throws away what was not read of the open literal.
func (d *Decoder) CloseLiteral() bool {
	for d.lit > 0 {
		if d.pos == d.end && !d.fill() {
			return false
		}
		n := min(int64(d.end-d.pos), d.lit)
		d.pos += int(n)
		d.lit -= n
	}
	return d.err == nil
}

type literalReader Decoder

// Read passes large reads straight to the connection.
func (lr *literalReader) Read(p []byte) (int, error) {
	d := (*Decoder)(lr)
	if d.lit == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > d.lit {
		p = p[:d.lit]
	}
	if len(p) == 0 {
		return 0, nil
	}
	if d.pos == d.end && len(p) < readSize {
		if !d.fill() {
			return 0, noEOF(d.err)
		}
	}
	var n int
	if d.pos < d.end {
		n = copy(p, d.buf[d.pos:d.end])
		d.pos += n
	} else {
		var err error
		if n, err = d.r.Read(p); err != nil && n == 0 {
			d.io = err
			d.Fail(err)
			return 0, noEOF(err)
		}
	}
	d.lit -= int64(n)
	return n, nil
}

// noEOF: the end of the connection is not the end of a literal.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// heldLiteral reads a literal into memory.
func (d *Decoder) heldLiteral(dst *string) bool {
	var l Literal
	if !d.Literal(&l) {
		return false
	}
	if l.Size > d.lim.Literal || d.line+l.Size > d.lim.Line {
		return d.RefuseLiteral(l, &LiteralSizeError{l.Size, d.lim.Literal})
	}
	d.line += l.Size // many small ones are as large as one
	r, ok := d.OpenLiteral(l)
	if !ok {
		return false
	}
	b := make([]byte, l.Size)
	if _, err := io.ReadFull(r, b); err != nil {
		return d.Fail(err)
	}
	*dst = string(b)
	return true
}
