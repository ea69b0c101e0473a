package message

import (
	"bytes"
	"errors"
	"io"
	"sort"
	"sync"
)

const readBuf = 32 << 10

var readBufs = sync.Pool{New: func() any { b := make([]byte, readBuf); return &b }}

// Reader yields a section as IMAP sends it: every line ends in CRLF, and 0x80
// stands for NUL, which a literal cannot carry. It yields exactly as many
// octets as the section's Size says, or an error: io.ErrUnexpectedEOF if the
// file has become shorter.
type Reader struct {
	src   io.ReaderAt
	marks []Mark
	nul   bool

	start, end int64 // raw, of the section
	pos        int64 // CRLF offset of start within the message
	size       int64

	raw  int64 // where the next read begins
	left int64 // CRLF octets still to come
	bare bool  // lines may lack their CR
	cr   bool  // the last octet read was a CR
	lf   bool  // a CR was put out for an LF that is still owed
	buf  []byte
	r, w int // unread part of buf, as read from src
	hold *[]byte
}

// NewReader starts reading a section of a message whose octets src holds.
func NewReader(src io.ReaderAt, m *Message, s Section) *Reader {
	return &Reader{
		src: src, marks: m.Marks, nul: m.HasNUL,
		start: s.Off, end: s.End, pos: s.Pos, size: s.Size,
		raw: s.Off, left: s.Size,
		bare: s.Size != s.End-s.Off,
	}
}

// Len is the number of octets still to come.
func (r *Reader) Len() int64 { return r.left }

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	if r.left == 0 {
		r.release()
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	if int64(len(p)) > r.left {
		p = p[:r.left]
	}
	var n int
	var err error
	if r.bare {
		n, err = r.readBare(p)
	} else {
		n, err = r.readAt(p, r.raw)
		r.raw += int64(n)
	}
	r.left -= int64(n)
	if err != nil {
		r.release()
		return n, err
	}
	if r.nul {
		for i, c := range p[:n] {
			if c == 0 {
				p[i] = 0x80
			}
		}
	}
	return n, nil
}

// readAt reads at least one octet.
func (r *Reader) readAt(p []byte, off int64) (int, error) {
	n, err := r.src.ReadAt(p, off)
	if n > 0 {
		return n, nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return 0, err
}

// readBare puts a CR before each LF that lacks one.
func (r *Reader) readBare(p []byte) (n int, err error) {
	for n < len(p) {
		if r.lf {
			p[n] = '\n'
			n++
			r.lf, r.cr = false, false
			r.r++
			continue
		}
		if r.r == r.w {
			if n > 0 {
				return n, nil
			}
			if err := r.fill(); err != nil {
				return 0, err
			}
		}
		b := r.buf[r.r:r.w]
		i := bytes.IndexByte(b, '\n')
		if i >= 0 && (i > 0 && b[i-1] != '\r' || i == 0 && !r.cr) {
			k := copy(p[n:], b[:i])
			n += k
			r.r += k
			if k > 0 {
				r.cr = b[k-1] == '\r'
			}
			if k == i && n < len(p) {
				p[n] = '\r'
				n++
				r.lf = true
			}
			continue
		}
		if i < 0 {
			i = len(b) - 1
		}
		k := copy(p[n:], b[:i+1])
		n += k
		r.r += k
		r.cr = b[k-1] == '\r'
	}
	return n, nil
}

func (r *Reader) fill() error {
	if r.buf == nil {
		if r.end-r.raw < 1024 {
			r.buf = make([]byte, r.end-r.raw)
		} else {
			r.hold = readBufs.Get().(*[]byte)
			r.buf = *r.hold
		}
	}
	b := r.buf[:min(int64(len(r.buf)), r.end-r.raw)]
	if len(b) == 0 {
		return io.ErrUnexpectedEOF // the file has changed
	}
	n, err := r.readAt(b, r.raw)
	r.raw += int64(n)
	r.r, r.w = 0, n
	return err
}

// release gives the buffer back once nothing more is to come.
func (r *Reader) release() {
	if r.hold != nil {
		readBufs.Put(r.hold)
		r.hold = nil
	}
	r.buf, r.r, r.w, r.left = nil, 0, 0, 0
}

// Skip leaves out the next n octets. It reads little: the message's marks say
// nearly where they end.
func (r *Reader) Skip(n int64) error {
	if n <= 0 {
		return nil
	}
	if n >= r.left {
		r.release()
		return nil
	}
	if !r.bare {
		r.raw += n
		r.left -= n
		return nil
	}
	target := r.size - r.left + n // within the section
	if k := r.markBefore(r.pos + target); k.Pos-r.pos > r.size-r.left {
		if err := r.jump(k); err != nil {
			return err
		}
	}
	var scrap [512]byte
	for done := r.size - r.left; done < target; done = r.size - r.left {
		// The octets on the way are converted and dropped: at most what lies
		// between two marks.
		if r.r == r.w || r.lf {
			if _, err := r.Read(scrap[:1]); err != nil {
				return err
			}
			continue
		}
		if k := r.line(target - done); k > 0 {
			r.left -= k
			continue
		}
		if _, err := r.Read(scrap[:min(int64(len(scrap)), target-done)]); err != nil {
			return err
		}
	}
	return nil
}

// line steps over one whole line in the buffer if it is no longer than n in
// CRLF terms, and returns that length.
func (r *Reader) line(n int64) int64 {
	b := r.buf[r.r:r.w]
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return 0
	}
	k := int64(i + 1)
	if i > 0 && b[i-1] != '\r' || i == 0 && !r.cr {
		k++
	}
	if k > n {
		return 0
	}
	r.r += i + 1
	r.cr = false
	return k
}

// markBefore gives the last mark at or before a CRLF offset of the message.
func (r *Reader) markBefore(pos int64) Mark {
	i := sort.Search(len(r.marks), func(i int) bool { return r.marks[i].Pos > pos })
	if i == 0 || r.marks[i-1].Raw >= r.end {
		return Mark{}
	}
	return r.marks[i-1]
}

// jump goes on reading at a mark.
func (r *Reader) jump(k Mark) error {
	var b [1]byte
	if _, err := r.readAt(b[:], k.Raw-1); err != nil {
		return err
	}
	r.raw, r.r, r.w = k.Raw, 0, 0
	r.cr, r.lf = b[0] == '\r', false
	r.left = r.size - (k.Pos - r.pos)
	return nil
}

// WriteTo implements io.WriterTo.
func (r *Reader) WriteTo(w io.Writer) (n int64, err error) {
	buf := readBufs.Get().(*[]byte)
	defer readBufs.Put(buf)
	for r.left > 0 {
		k, err := r.Read(*buf)
		if err != nil {
			return n, err
		}
		k, err = w.Write((*buf)[:k])
		n += int64(k)
		if err != nil {
			return n, err
		}
	}
	r.release()
	return n, nil
}
