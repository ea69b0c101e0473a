package message

import (
	"bytes"
	"io"
)

// cte is a Content-Transfer-Encoding, RFC 2045 section 6.
type cte uint8

const (
	cteIdentity cte = iota // 7bit, 8bit, binary
	cteBase64
	cteQuoted
	cteUnknown
)

func (p *Part) cte() cte {
	switch e := p.Encoding; {
	case e == "" || equalFold(e, "7bit") || equalFold(e, "8bit") || equalFold(e, "binary"):
		return cteIdentity
	case p.Kind != Leaf:
		// RFC 2045 section 6.4 allows composite parts no other encoding; what
		// says otherwise has parts all the same, so it is not encoded.
		return cteIdentity
	case equalFold(e, "base64"):
		return cteBase64
	case equalFold(e, "quoted-printable"):
		return cteQuoted
	}
	return cteUnknown
}

// OpenDecoded reads a part's body with its transfer encoding removed, as
// BINARY does (RFC 9051 section 6.4.5.1); an empty path is the whole message
// as it stands. Unlike a Reader's, the octets may hold NULs. What is malformed
// in base64 or quoted-printable is skipped or taken as it stands. The error is
// ErrUnknownCTE or ErrNoPart.
func OpenDecoded(src io.ReaderAt, m *Message, path []int) (io.Reader, error) {
	p, ok := m.Part(path)
	if !ok {
		return nil, ErrNoPart
	}
	s := p.Body
	if len(path) == 0 {
		s = p.whole()
	}
	r := NewReader(src, m, s)
	r.nul = false
	if len(path) == 0 {
		return r, nil
	}
	return removeCTE(r, p.cte())
}

// DecodedSize is the number of octets that OpenDecoded's reader yields:
// BINARY.SIZE. It reads the part unless that is not encoded.
func DecodedSize(src io.ReaderAt, m *Message, path []int) (int64, error) {
	r, err := OpenDecoded(src, m, path)
	if err != nil {
		return 0, err
	}
	if r, ok := r.(*Reader); ok {
		return r.Len(), nil
	}
	return io.Copy(io.Discard, r)
}

func removeCTE(r io.Reader, c cte) (io.Reader, error) {
	switch c {
	case cteIdentity:
		return r, nil
	case cteBase64:
		return &base64Reader{r: r}, nil
	case cteQuoted:
		return &quotedReader{r: r}, nil
	}
	return nil, ErrUnknownCTE
}

// base64Reader decodes base64 as it comes: octets outside the alphabet do not
// count (RFC 2045 section 6.8), padding ends a group of four wherever it
// stands, and decoding goes on behind it. The standard library's decoder gives
// up on mail that every client can read.
type base64Reader struct {
	r    io.Reader
	in   [4096]byte
	out  [3072 + 4]byte
	r0   int // unread part of out
	w0   int
	bits uint32
	n    int // sextets in bits
	err  error
}

var base64Value = func() (t [256]int8) {
	for i := range t {
		t[i] = -1
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		t[c] = int8(i)
	}
	t['='] = -2
	return t
}()

func (d *base64Reader) Read(p []byte) (int, error) {
	for d.r0 == d.w0 {
		if d.err != nil {
			return 0, d.err
		}
		n, err := d.r.Read(d.in[:])
		d.err = err
		d.decode(d.in[:n])
		if err != nil {
			d.flush()
		}
	}
	n := copy(p, d.out[d.r0:d.w0])
	d.r0 += n
	return n, nil
}

func (d *base64Reader) decode(b []byte) {
	d.r0, d.w0 = 0, 0
	bits, n, w := d.bits, d.n, 0
	for _, c := range b {
		v := base64Value[c]
		if v < 0 {
			if v == -2 {
				d.bits, d.n, d.w0 = bits, n, w
				d.flush()
				bits, n, w = 0, 0, d.w0
			}
			continue
		}
		bits = bits<<6 | uint32(v)
		if n++; n == 4 {
			d.out[w], d.out[w+1], d.out[w+2] = byte(bits>>16), byte(bits>>8), byte(bits)
			w += 3
			n = 0
		}
	}
	d.bits, d.n, d.w0 = bits, n, w
}

// flush ends a group that is not whole.
func (d *base64Reader) flush() {
	switch d.n {
	case 2:
		d.out[d.w0] = byte(d.bits >> 4)
		d.w0++
	case 3:
		d.out[d.w0], d.out[d.w0+1] = byte(d.bits>>10), byte(d.bits>>2)
		d.w0 += 2
	}
	d.bits, d.n = 0, 0
}

// quotedReader decodes quoted-printable, RFC 2045 section 6.7. An "=" that
// begins nothing is taken as it stands.
type quotedReader struct {
	r        io.Reader
	buf      [4096]byte
	pos, end int // not yet decoded
	out      []byte
	err      error
}

func (q *quotedReader) Read(p []byte) (int, error) {
	for len(q.out) == 0 {
		i := bytes.IndexByte(q.buf[q.pos:q.end], '\n')
		switch {
		case i >= 0:
			q.line(i + 1)
		case q.end-q.pos == len(q.buf):
			q.partial()
		case q.err == nil:
			q.end = copy(q.buf[:], q.buf[q.pos:q.end])
			q.pos = 0
			n, err := q.r.Read(q.buf[q.end:])
			q.end += n
			q.err = err
		case q.pos < q.end:
			q.line(q.end - q.pos)
		default:
			return 0, q.err
		}
	}
	n := copy(p, q.out)
	q.out = q.out[n:]
	return n, nil
}

// line decodes one whole line in place. White space at its end was added on
// the way and goes; an "=" there joins it to the next line.
func (q *quotedReader) line(n int) {
	b := q.buf[q.pos : q.pos+n]
	q.pos += n
	text := trimLF(b)
	eol := b[len(text):]
	for len(text) > 0 && isBlank(text[len(text)-1]) {
		text = text[:len(text)-1]
	}
	if len(text) > 0 && text[len(text)-1] == '=' {
		text, eol = text[:len(text)-1], nil
	}
	w := unquote(text)
	w += copy(b[w:], eol)
	q.out = b[:w]
}

// partial decodes what fills the buffer without a line end, but for what may
// be the beginning of an encoded octet.
func (q *quotedReader) partial() {
	b := q.buf[:q.end]
	n := len(b)
	if i := bytes.LastIndexByte(b[n-2:], '='); i >= 0 {
		n += i - 2
	}
	q.pos = n
	q.out = b[:unquote(b[:n])]
}

// unquote decodes in place and returns the new length.
func unquote(b []byte) int {
	i := bytes.IndexByte(b, '=')
	if i < 0 {
		return len(b)
	}
	w := i
	for i < len(b) {
		c := b[i]
		if c == '=' && i+2 < len(b) {
			if hi, lo := hexValue(b[i+1]), hexValue(b[i+2]); hi >= 0 && lo >= 0 {
				c = byte(hi<<4 | lo)
				i += 2
			}
		}
		b[w] = c
		w++
		i++
	}
	return w
}

func hexValue(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}
