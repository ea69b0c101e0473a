package message

import (
	"bytes"
	"io"
	"sync"
	"unicode/utf8"
)

// Needle is a text to search for. Letters match without regard to case and
// accented ones in composed and decomposed form alike, as i;unicode-casemap
// (RFC 5051) has it. It is safe for concurrent use.
type Needle struct {
	folded []byte
	sketch Sketch // what that of a message has, if the message holds the needle
}

// NewNeedle makes a needle of UTF-8 text.
func NewNeedle(s string) *Needle {
	n := &Needle{}
	n.folded, _ = appendFold(nil, []byte(s), true)
	for _, a := range []sketchArea{subjectArea, addressArea} {
		addRuns(n.sketch[a.from:a.to], n.folded)
	}
	return n
}

// Empty tells whether the needle is found in any text.
func (n *Needle) Empty() bool { return len(n.folded) == 0 }

// Match tells whether a text holds the needle.
func (n *Needle) Match(s string) bool {
	f := newFinder(n)
	defer f.free()
	f.writeString(s)
	f.flush()
	return f.found
}

// finder looks for a needle in text that comes in pieces.
type finder struct {
	needle *Needle
	runs   []uint32 // not nil: the words of a Sketch; nothing is looked for, but noted
	found  bool
	tail   [utf8.UTFMax]byte // beginning of a character
	tailN  int
	in     []byte
	win    []byte // folded text: as much of the old as a match can begin in
}

var finders = sync.Pool{New: func() any {
	return &finder{in: make([]byte, readBuf), win: make([]byte, 0, readBuf+1024)}
}}

func newFinder(n *Needle) *finder {
	f := finders.Get().(*finder)
	f.needle, f.found, f.tailN, f.win = n, n.Empty(), 0, f.win[:0]
	return f
}

func (f *finder) free() {
	f.needle = nil
	if cap(f.win) <= 4*readBuf {
		finders.Put(f)
	}
}

// breakUp keeps a match from spanning what was written and what comes next.
func (f *finder) breakUp() {
	f.flush()
	f.win = f.win[:0]
}

// write searches UTF-8 text.
func (f *finder) write(b []byte) {
	for len(b) > 0 && !f.found {
		k := min(len(b), readBuf/4)
		f.piece(b[:k], false)
		b = b[k:]
	}
}

func (f *finder) writeString(s string) {
	for len(s) > 0 && !f.found {
		k := copy(f.in, s[:min(len(s), readBuf/4)])
		f.piece(f.in[:k], false)
		s = s[k:]
	}
}

// flush searches what is left of text that has ended within a character.
func (f *finder) flush() {
	if f.tailN > 0 && !f.found {
		f.piece(nil, true)
	}
	f.tailN = 0
}

func (f *finder) piece(b []byte, last bool) {
	if keep := len(f.needle.folded) - 1; len(f.win) > keep {
		f.win = append(f.win[:0], f.win[len(f.win)-keep:]...)
	}
	if f.tailN > 0 {
		// Complete the character octet by octet: rare.
		n := f.tailN
		for len(b) > 0 && n < utf8.UTFMax && b[0]&0xc0 == 0x80 {
			f.tail[n] = b[0]
			n, b = n+1, b[1:]
		}
		f.win, _ = appendFold(f.win, f.tail[:n], last || len(b) > 0 || n == utf8.UTFMax)
		if last || len(b) > 0 || n == utf8.UTFMax || utf8.FullRune(f.tail[:n]) {
			f.tailN = 0
		} else {
			f.tailN = n
		}
	}
	var rest int
	f.win, rest = appendFold(f.win, b, last)
	if rest > 0 {
		f.tailN = copy(f.tail[:], b[len(b)-rest:])
	}
	if f.runs != nil {
		addRuns(f.runs, f.win)
		return
	}
	f.found = bytes.Contains(f.win, f.needle.folded)
}

// readFrom searches UTF-8 text until it ends or the needle is found. Errors
// of the text itself end the search as its end does; only those that src's
// reader gives are told.
func (f *finder) readFrom(r io.Reader) error {
	for !f.found {
		n, err := r.Read(f.in)
		f.write(f.in[:n])
		if err == io.EOF {
			f.flush()
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}
