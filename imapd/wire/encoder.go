package wire

import (
	"io"
	"strconv"
	"sync"
	"time"
)

const (
	writeSize = 64 << 10 // of a buffer: a TLS record is 16 KiB, several fill one write
	writeFrom = 44 << 10 // octets that are written before more is gathered
)

var buffers = sync.Pool{New: func() any {
	b := make([]byte, 0, writeSize)
	return &b
}}

// Encoder writes responses to w. Its first failure is latched; nothing is
// written after it. It is not for concurrent use.
type Encoder struct {
	w    io.Writer
	UTF8 bool // names go out as UTF-8, not in modified UTF-7

	buf   *[]byte // from buffers, nil when nothing waits
	err   error
	total int64
}

// NewEncoder writes to w, which bounds how long a write may take.
func NewEncoder(w io.Writer) *Encoder { return &Encoder{w: w} }

// Reset goes on with another writer; all must have been flushed.
func (e *Encoder) Reset(w io.Writer) { e.w = w }

// Err is the first failure.
func (e *Encoder) Err() error { return e.err }

// Total counts the octets written so far.
func (e *Encoder) Total() int64 { return e.total }

func (e *Encoder) b() *[]byte {
	if e.buf == nil {
		e.buf = buffers.Get().(*[]byte)
	} else if len(*e.buf) >= writeFrom {
		e.write()
	}
	return e.buf
}

func (e *Encoder) write() {
	b := *e.buf
	if e.err == nil && len(b) > 0 {
		n, err := e.w.Write(b)
		e.total += int64(n)
		e.err = err
	}
	*e.buf = b[:0]
}

// Flush writes what waits and gives the buffer back.
func (e *Encoder) Flush() error {
	if e.buf != nil {
		e.write()
		if cap(*e.buf) <= 4*writeSize { // one huge line must not live in the pool
			buffers.Put(e.buf)
		}
		e.buf = nil
	}
	return e.err
}

// Release gives the buffer back unwritten, at the end of the connection.
func (e *Encoder) Release() {
	if e.buf != nil {
		*e.buf = (*e.buf)[:0]
		_ = e.Flush()
	}
}

// Buffered is the number of octets that wait.
func (e *Encoder) Buffered() int {
	if e.buf == nil {
		return 0
	}
	return len(*e.buf)
}

// Write passes on p as it is: the octets of a literal.
func (e *Encoder) Write(p []byte) (int, error) {
	if e.err != nil {
		return 0, e.err
	}
	b := e.b()
	if len(p) >= writeSize {
		e.write()
		if e.err == nil {
			n, err := e.w.Write(p)
			e.total += int64(n)
			e.err = err
		}
		return len(p), e.err
	}
	*b = append(*b, p...)
	return len(p), e.err
}

// Append lets fn append to the buffer, without a copy.
func (e *Encoder) Append(fn func(dst []byte) []byte) *Encoder {
	b := e.b()
	*b = fn(*b)
	return e
}

// Raw writes s as it is.
func (e *Encoder) Raw(s string) *Encoder {
	b := e.b()
	*b = append(*b, s...)
	return e
}

// Bytes writes p as it is.
func (e *Encoder) Bytes(p []byte) *Encoder {
	_, _ = e.Write(p)
	return e
}

// SP writes a space.
func (e *Encoder) SP() *Encoder { return e.Raw(" ") }

// CRLF ends a line.
func (e *Encoder) CRLF() *Encoder { return e.Raw("\r\n") }

// Num writes a number.
func (e *Encoder) Num(n uint64) *Encoder {
	b := e.b()
	*b = strconv.AppendUint(*b, n, 10)
	return e
}

// Numbers writes a sequence-set.
func (e *Encoder) Numbers(n Numbers) *Encoder {
	for len(n) > 0 { // in pieces, so that a huge set does not grow the buffer
		part := n[:min(len(n), 512)]
		n = n[len(part):]
		b := e.b()
		*b = part.Append(*b)
		if len(n) > 0 {
			*b = append(*b, ',')
		}
	}
	return e
}

// Literal announces a literal of n octets, which must follow by Write.
func (e *Encoder) Literal(n int64) *Encoder {
	return e.Raw("{").Num(uint64(n)).Raw("}\r\n")
}

// String writes s as a quoted string, or as a literal where it cannot be one.
func (e *Encoder) String(s string) *Encoder {
	quotable := len(s) <= 1024
	for i := 0; quotable && i < len(s); i++ {
		c := s[i]
		quotable = c != 0 && c != '\r' && c != '\n' && (c < 0x80 || e.UTF8)
	}
	if !quotable {
		return e.Literal(int64(len(s))).Raw(s)
	}
	b := e.b()
	*b = append(*b, '"')
	for i := 0; i < len(s); i++ {
		if s[i] == '"' || s[i] == '\\' {
			*b = append(*b, '\\')
		}
		*b = append(*b, s[i])
	}
	*b = append(*b, '"')
	return e
}

// Astring writes s as an atom where it can be one.
func (e *Encoder) Astring(s string) *Encoder {
	if IsAtom(s) && s != "NIL" {
		return e.Raw(s)
	}
	return e.String(s)
}

// Nstring writes NIL for the empty string.
func (e *Encoder) Nstring(s string) *Encoder {
	if s == "" {
		return e.Raw("NIL")
	}
	return e.String(s)
}

// Name gives a mailbox name in the form that is in force.
func (e *Encoder) Name(name string) string {
	if e.UTF8 {
		return name
	}
	return string(AppendUTF7(nil, name))
}

// Mailbox writes a name in the form that is in force.
func (e *Encoder) Mailbox(name string) *Encoder { return e.Astring(e.Name(name)) }

// CopyN writes exactly n octets from r, by way of the buffer and without
// another.
func (e *Encoder) CopyN(r io.Reader, n int64) error {
	for n > 0 && e.err == nil {
		b := e.b()
		free := (*b)[len(*b):cap(*b)]
		if int64(len(free)) > n {
			free = free[:n]
		}
		m, err := r.Read(free)
		*b = (*b)[:len(*b)+m]
		if n -= int64(m); n > 0 && err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return e.err
}

// DateTime writes a date-time.
func (e *Encoder) DateTime(t time.Time) *Encoder {
	b := e.b()
	*b = t.AppendFormat(*b, `"02-Jan-2006 15:04:05 -0700"`)
	return e
}
