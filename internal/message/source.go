package message

import (
	"bytes"
	"io"
	"sync"
)

const sourceBuf = 64 << 10

var sourceBufs = sync.Pool{New: func() any { b := make([]byte, sourceBuf); return &b }}

// source reads a message forwards and keeps count: of raw octets, of line
// ends that lack their CR, of lines. The counts always describe what lies
// before pos.
type source struct {
	r   io.Reader
	buf []byte
	pos int // what lies before it is consumed
	end int // what lies behind it is not yet read
	off int64
	eof bool
	err error // of the reader, never io.EOF

	bare  int64 // LFs without CR
	lines int64 // LFs
	cr    bool  // the octet before pos is a CR
	nul   bool
	marks []Mark
	last  int64 // raw offset of the newest mark
}

// raw and virt are the current offset, as it is and in CRLF terms.
func (s *source) raw() int64  { return s.off + int64(s.pos) }
func (s *source) virt() int64 { return s.raw() + s.bare }

// fill reads more behind what is unread; false at the end of the message.
func (s *source) fill() bool {
	if s.eof {
		return false
	}
	if raw := s.raw(); raw-s.last >= markEvery {
		s.marks = append(s.marks, Mark{raw, s.virt()})
		s.last = raw
	}
	if s.pos > 0 {
		copy(s.buf, s.buf[s.pos:s.end])
		s.off += int64(s.pos)
		s.end -= s.pos
		s.pos = 0
	}
	for tries := 0; tries < 100; tries++ {
		n, err := s.r.Read(s.buf[s.end:])
		fresh := s.buf[s.end : s.end+n]
		s.end += n
		if err != nil {
			s.eof = true
			if err != io.EOF {
				s.err = err
			}
		}
		if n > 0 {
			s.nul = s.nul || bytes.IndexByte(fresh, 0) >= 0
			return true
		}
		if s.eof {
			return false
		}
	}
	s.eof, s.err = true, io.ErrNoProgress
	return false
}

// ahead gives at least n unread octets, fewer only at the end of the message.
func (s *source) ahead(n int) []byte {
	for s.end-s.pos < n && s.fill() {
	}
	return s.buf[s.pos:s.end]
}

// take consumes n octets that hold at most one LF, as their last.
func (s *source) take(n int) {
	b := s.buf[s.pos : s.pos+n]
	if b[n-1] == '\n' {
		s.lines++
		if n > 1 && b[n-2] != '\r' || n == 1 && !s.cr {
			s.bare++
		}
	}
	s.cr = b[n-1] == '\r'
	s.pos += n
}

// chunk gives the rest of the current line with its LF, or as much of it as
// the buffer can hold, without consuming it; nil at the end of the message.
func (s *source) chunk() []byte {
	seen := 0
	for {
		b := s.buf[s.pos:s.end]
		if i := bytes.IndexByte(b[seen:], '\n'); i >= 0 {
			return b[:seen+i+1]
		}
		seen = len(b)
		if seen == len(s.buf) || !s.fill() {
			return s.buf[s.pos:s.end]
		}
	}
}

// skipLine consumes the rest of the line; false if it has no LF.
func (s *source) skipLine() bool {
	for {
		c := s.chunk()
		if len(c) == 0 {
			return false
		}
		s.take(len(c))
		if c[len(c)-1] == '\n' {
			return true
		}
	}
}

// toEnd consumes everything.
func (s *source) toEnd() {
	for {
		s.lineScan(false)
		if !s.fill() {
			return
		}
	}
}

// toDashes consumes lines until one begins with "--"; false at the end of the
// message. It must be called where a line begins. crlf is the length of the
// line end consumed last, 0 if there was none.
func (s *source) toDashes() (crlf int, ok bool) {
	for {
		if b := s.ahead(2); len(b) >= 2 && b[0] == '-' && b[1] == '-' {
			return crlf, true
		}
		for {
			found, n := s.lineScan(true)
			if n > 0 {
				crlf = n
			}
			if found {
				break
			}
			if !s.fill() {
				return 0, false
			}
		}
	}
}

// lineScan consumes what is in the buffer; with stop only through the first
// LF behind which "--" stands or may stand. crlf is the length of the last
// line end consumed. This loop runs once a line of every body: it decides the
// speed of the whole.
func (s *source) lineScan(stop bool) (found bool, crlf int) {
	b := s.buf[s.pos:s.end]
	i, cr := 0, s.cr
	var lines, bare int64
	for {
		n := bytes.IndexByte(b[i:], '\n')
		if n < 0 {
			break
		}
		lines++
		if n > 0 {
			cr = b[i+n-1] == '\r'
		}
		crlf = 2
		if !cr {
			bare++
			crlf = 1
		}
		cr = false
		i += n + 1
		if stop && (i+1 >= len(b) || b[i] == '-' && b[i+1] == '-') {
			found = true
			break
		}
	}
	if !found && i < len(b) {
		cr = b[len(b)-1] == '\r'
		i = len(b)
	}
	s.cr = cr
	s.pos += i
	s.lines += lines
	s.bare += bare
	return found, crlf
}
