package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// answer is what a server said up to and with a tagged line.
type answer struct {
	octets   int64  // all of it
	literals int64  // octets in literals
	fetch    int    // * n FETCH
	exists   int    // the last * n EXISTS; -1 without one
	expunge  int    // * n EXPUNGE, and messages in * VANISHED
	found    int    // numbers in * SEARCH and * SORT
	status   string // OK, NO, BAD
	text     string // the whole tagged line
}

// drain reads answers as fast as it can: it looks at the first words of each
// response and skips what is in literals. One goroutine at a time.
type drain struct {
	r        io.Reader
	buf      []byte
	from, to int // what is read and not yet taken
}

func newDrain(r io.Reader, size int) *drain { return &drain{r: r, buf: make([]byte, size)} }

// line takes one line with its line end. It holds until the next call.
func (d *drain) line() ([]byte, error) {
	seen := d.from
	for {
		if i := bytes.IndexByte(d.buf[seen:d.to], '\n'); i >= 0 {
			l := d.buf[d.from : seen+i+1]
			d.from = seen + i + 1
			return l, nil
		}
		seen = d.to
		if d.from > 0 {
			d.to = copy(d.buf, d.buf[d.from:d.to])
			seen -= d.from
			d.from = 0
		}
		if d.to == len(d.buf) {
			d.buf = append(d.buf, make([]byte, len(d.buf))...)
		}
		n, err := d.r.Read(d.buf[d.to:])
		d.to += n
		if n == 0 && err != nil {
			return nil, err
		}
	}
}

// skip takes n octets and forgets them.
func (d *drain) skip(n int64) error {
	for n > 0 {
		if d.from == d.to {
			d.from = 0
			var err error
			if d.to, err = d.r.Read(d.buf); d.to == 0 && err != nil {
				return err
			}
		}
		k := min(n, int64(d.to-d.from))
		d.from += int(k)
		n -= k
	}
	return nil
}

// response takes one response and gives its first line; the rest and its
// literals are skipped and counted in a.
func (d *drain) response(a *answer) ([]byte, error) {
	first, err := d.line()
	if err != nil {
		return nil, err
	}
	a.octets += int64(len(first))
	n, ok := literalSize(first)
	if !ok {
		return first, nil
	}
	first = bytes.Clone(first)
	for ok {
		if err := d.skip(n); err != nil {
			return nil, err
		}
		a.octets += n
		a.literals += n
		l, err := d.line()
		if err != nil {
			return nil, err
		}
		a.octets += int64(len(l))
		n, ok = literalSize(l)
	}
	return first, nil
}

// literalSize tells the {n} that ends a line.
func literalSize(line []byte) (int64, bool) {
	l, ok := bytes.CutSuffix(line, []byte("}\r\n"))
	if !ok {
		return 0, false
	}
	var n, unit int64 = 0, 1
	i := len(l)
	for ; i > 0 && l[i-1] >= '0' && l[i-1] <= '9' && unit < 1e12; i-- {
		n += unit * int64(l[i-1]-'0')
		unit *= 10
	}
	return n, unit > 1 && i > 0 && l[i-1] == '{'
}

// until reads up to the line that begins with tag.
func (d *drain) until(tag string) (*answer, error) {
	a := &answer{exists: -1}
	for {
		l, err := d.response(a)
		if err != nil {
			return a, fmt.Errorf("waiting for the answer to %s: %w", tag, err)
		}
		if rest, ok := bytes.CutPrefix(l, []byte(tag)); ok && len(rest) > 0 && rest[0] == ' ' {
			a.text = string(bytes.TrimSpace(l))
			word, _, _ := bytes.Cut(bytes.TrimSpace(rest), []byte(" "))
			a.status = string(word)
			return a, nil
		}
		if err := a.count(l); err != nil {
			return a, err
		}
	}
}

// count notes one untagged response.
func (a *answer) count(line []byte) error {
	l, ok := bytes.CutPrefix(line, []byte("* "))
	if !ok {
		if bytes.HasPrefix(line, []byte("+")) {
			return nil
		}
		return fmt.Errorf("not an answer: %.80q", line)
	}
	n, digits := 0, 0
	for digits < len(l) && l[digits] >= '0' && l[digits] <= '9' {
		n = n*10 + int(l[digits]-'0')
		digits++
	}
	if digits > 0 {
		l = bytes.TrimPrefix(l[digits:], []byte(" "))
	}
	switch {
	case bytes.HasPrefix(l, []byte("FETCH ")):
		a.fetch++
	case bytes.HasPrefix(l, []byte("EXISTS")):
		a.exists = n
	case bytes.HasPrefix(l, []byte("EXPUNGE")):
		a.expunge++
	case bytes.HasPrefix(l, []byte("SEARCH")), bytes.HasPrefix(l, []byte("SORT")):
		a.found += bytes.Count(bytes.TrimSpace(l), []byte(" "))
	case bytes.HasPrefix(l, []byte("BYE")):
		return errBye
	}
	return nil
}

// errBye: the server said BYE where nobody asked it to.
var errBye = errors.New("the server said BYE")
