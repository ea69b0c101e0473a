package pop3d

import (
	"bytes"
	"io"
	"math"
	"sync"
)

// wholeBody is TOP's number of lines for RETR.
const wholeBody = math.MaxInt64

const copyBuffer = 32 << 10

// chunks are buffers for messages on their way, shared by all sessions: one that waits for
// a command holds none.
var chunks = sync.Pool{New: func() any { return new(chunk) }}

type chunk struct {
	in  [copyBuffer]byte
	out []byte
}

// messageWriter turns the octets of a message file into those of RETR and TOP
// (RFC 1939 sections 3, 5, 7) in one pass: LF becomes CRLF where the CR is
// missing, a dot that begins a line is doubled, and after the header it stops
// at so many lines. All else goes out as it is, NUL and a lone CR included, as
// Dovecot's does. It holds one chunk of the message, however long its lines.
type messageWriter struct {
	w    io.Writer
	in   []byte // for the caller to read into
	out  []byte
	bufs *chunk

	last   byte // the octet before the one to come
	empty  bool // the line so far is empty, or a CR alone
	header bool
	lines  int64 // of the body, still wanted
	any    bool  // there has been an octet
	sent   int64
}

func newMessageWriter(w io.Writer, lines int64) *messageWriter {
	bufs := chunks.Get().(*chunk)
	return &messageWriter{w: w, in: bufs.in[:], out: bufs.out[:0], bufs: bufs, last: '\n', empty: true, header: true, lines: lines}
}

// release gives the buffers back; the writer is of no use then.
func (m *messageWriter) release() {
	m.bufs.out = m.out[:0]
	chunks.Put(m.bufs)
	m.in, m.out, m.bufs = nil, nil, nil
}

// done tells that no more of the message is wanted.
func (m *messageWriter) done() bool { return !m.header && m.lines <= 0 }

// write takes the next octets of the file.
func (m *messageWriter) write(p []byte) error {
	m.out = m.out[:0]
	for len(p) > 0 && !m.done() {
		m.any = true
		if m.last == '\n' && p[0] == '.' {
			m.out = append(m.out, '.')
		}
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			m.partial(p)
			break
		}
		m.partial(p[:end])
		if m.last != '\r' {
			m.out = append(m.out, '\r')
		}
		m.out = append(m.out, '\n')
		m.lineEnd()
		p = p[end+1:]
	}
	n, err := m.w.Write(m.out)
	m.sent += int64(n)
	return err
}

// partial takes octets of a line, but for its LF.
func (m *messageWriter) partial(p []byte) {
	if len(p) == 0 {
		return
	}
	if m.empty {
		m.empty = m.last == '\n' && len(p) == 1 && p[0] == '\r'
	}
	m.out = append(m.out, p...)
	m.last = p[len(p)-1]
}

func (m *messageWriter) lineEnd() {
	m.last = '\n'
	if !m.header {
		m.lines--
	} else if m.empty {
		m.header = false
	}
	m.empty = true
}

// finish ends the message: the last line gets its CRLF, and so does a message
// of no octets, as Dovecot's does; the dot follows.
func (m *messageWriter) finish() error {
	m.out = m.out[:0]
	if m.last != '\n' || !m.any {
		m.out = append(m.out, "\r\n"...)
	}
	m.out = append(m.out, ".\r\n"...)
	_, err := m.w.Write(m.out)
	return err
}
