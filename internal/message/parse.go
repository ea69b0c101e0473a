package message

import (
	"bytes"
	"io"
)

// Parse reads a message once, to its end, and says how it is built. Mail is
// never refused: what is malformed has some structure all the same. The only
// errors are the reader's.
func Parse(r io.Reader) (*Message, error) {
	buf := sourceBufs.Get().(*[]byte)
	defer sourceBufs.Put(buf)
	p := parser{source: source{r: r, buf: *buf}}
	p.run()
	if p.err != nil {
		return nil, p.err
	}
	m := &Message{
		Root:    p.root,
		RawSize: p.raw(),
		Size:    p.virt(),
		HasNUL:  p.nul,
	}
	if m.Size != m.RawSize {
		m.Marks = p.marks
	}
	return m, nil
}

// open is a part whose end has not been seen.
type open struct {
	part     *Part
	boundary string // of a multipart
	delim    bool   // boundary is to be looked for
	digest   bool   // multipart/digest
	lines    int64  // lines before its body
}

// parser is the state of one pass. The stack holds the message and, inside
// it, the parts that are being read, innermost last.
type parser struct {
	source
	root   *Part
	stack  []open
	delims int // entries of the stack with delim set
	parts  int
	kept   int // octets of header values kept so far

	// Of the header being read:
	field    field
	isMIME   bool   // MIME applies, its fields count
	slash    bool   // the Content-Type has a "/"
	boundary string // the Content-Type's
	hasBound bool

	cut cut
}

// cut is where a header ended that a boundary cut short, before the line end
// that belongs to the boundary. It holds for the parts from index at on.
type cut struct {
	set              bool
	at               int
	raw, virt, lines int64
}

func (p *parser) top() *open { return &p.stack[len(p.stack)-1] }

// run reads part after part: each header is followed by a body, at whose end
// stands another part's header or the end of the message.
func (p *parser) run() {
	p.push()
	for {
		p.header()
		if !p.body() {
			break
		}
	}
	for len(p.stack) > 0 {
		p.pop(p.raw(), p.virt(), p.lines)
	}
}

// push opens a part at the current offset.
func (p *parser) push() {
	part := &Part{Head: Section{Off: p.raw(), Pos: p.virt()}}
	if len(p.stack) == 0 {
		p.root = part
	} else {
		up := p.top().part
		up.Children = append(up.Children, part)
		if up.Kind == Embedded {
			part.Head.Off, part.Head.Pos = up.Body.Off, up.Body.Pos
		}
	}
	if p.parts++; p.parts == maxParts {
		for i := range p.stack {
			p.forget(i) // the last part takes all the rest
		}
	}
	p.stack = append(p.stack, open{part: part})
}

// pop closes the innermost part at the given offset.
func (p *parser) pop(raw, virt, lines int64) {
	o := p.top()
	b := &o.part.Body
	b.End = raw
	b.Size = virt - b.Pos
	o.part.Lines = lines - o.lines
	if o.delim {
		p.delims--
	}
	p.stack = p.stack[:len(p.stack)-1]
}

// endHead ends the header of the innermost part.
func (p *parser) endHead(raw, virt, lines int64) {
	o := p.top()
	h := &o.part.Head
	h.End, h.Size = raw, virt-h.Pos
	o.part.Body = Section{Off: raw, Pos: virt}
	o.lines = lines
}

// header reads the header of the innermost part. It ends behind an empty
// line, before a boundary of an outer part, or at the end of the message.
func (p *parser) header() {
	o := p.top()
	// Of the message itself and of what message/rfc822 embeds the ENVELOPE is
	// wanted; those need MIME-Version or Content-Type for MIME to apply, the
	// parts of a multipart do not.
	n := len(p.stack)
	outer := n == 1 || p.stack[n-2].part.Kind == Embedded
	p.isMIME = !outer
	p.hasBound, p.boundary, p.slash = false, "", false
	if outer {
		o.part.Envelope = new(Envelope)
	}
	nl, blank, atCut := 0, false, false
	for {
		if atCut = p.delims > 0 && p.atBoundary() >= 0; atCut {
			break
		}
		c := p.chunk()
		if len(c) == 0 {
			break
		}
		if nl = emptyLine(c); nl > 0 {
			p.take(len(c))
			blank = true
			break
		}
		nl = p.headerLine(c, outer)
	}
	p.endField(o.part, outer)
	p.classify(o, blank)
	if blank && p.delims > 0 {
		i := p.atBoundary()
		atCut = i >= 0 && i != n-1
	}
	if atCut && nl > 0 {
		// The line end before a boundary belongs to the boundary.
		p.cut = cut{true, n - 1, p.raw() - int64(nl), p.virt() - 2, p.lines - 1}
	}
	if p.cut.set {
		p.endHead(p.cut.raw, p.cut.virt, p.cut.lines)
	} else {
		p.endHead(p.raw(), p.virt(), p.lines)
	}
}

// emptyLine gives the length of a line that is nothing but its end, else 0.
func emptyLine(c []byte) int {
	switch {
	case c[0] == '\n':
		return 1
	case c[0] == '\r' && len(c) > 1 && c[1] == '\n':
		return 2
	}
	return 0
}

// headerLine consumes one line, of which c is the beginning, and returns the
// length of its line end.
func (p *parser) headerLine(c []byte, outer bool) int {
	o := p.top()
	f := &p.field
	if f.active && (c[0] == ' ' || c[0] == '\t') {
		f.fold()
	} else {
		p.endField(o.part, outer)
		f.begin(c, outer)
	}
	for {
		last := c[len(c)-1] == '\n'
		nl := 0
		if last {
			nl = 1
			if len(c) > 1 && c[len(c)-2] == '\r' || len(c) == 1 && p.cr {
				nl = 2
			}
		}
		f.add(c[f.skip:max(f.skip, len(c)-nl)])
		f.skip = 0
		p.take(len(c))
		if last {
			return nl
		}
		if c = p.chunk(); len(c) == 0 {
			return 0
		}
	}
}

// classify draws the conclusions from a header that has ended.
func (p *parser) classify(o *open, blank bool) {
	part := o.part
	if !p.isMIME {
		// Without MIME the fields named Content-* mean nothing.
		*part = Part{Envelope: part.Envelope, Head: part.Head}
	}
	deep := len(p.stack) >= maxDepth || p.parts >= maxParts
	switch {
	case !part.HasType:
		if n := len(p.stack); n > 1 && p.stack[n-2].digest && !deep {
			part.Kind = Embedded
		}
	case deep:
	case equalFold(part.Type, "multipart"):
		if !p.slash {
			break
		}
		part.Kind = Multipart
		o.digest = equalFold(part.Subtype, "digest")
		if p.hasBound && blank {
			o.boundary, o.delim = p.boundary, true
			p.delims++
		}
	case isEmbedded(part.Type, part.Subtype):
		part.Kind = Embedded
	}
}

// isEmbedded: RFC 9051 section 7.5.2 has message/global (RFC 6532) told of as
// message/rfc822 is.
func isEmbedded(typ, subtype string) bool {
	return equalFold(typ, "message") && (equalFold(subtype, "rfc822") || equalFold(subtype, "global"))
}

// body reads the body of the innermost part, and on, until a header begins;
// false at the end of the message.
func (p *parser) body() bool {
	if p.top().part.Kind == Embedded {
		p.push()
		return true
	}
	crlf := 0
	for p.delims > 0 {
		n, ok := p.toDashes()
		if !ok {
			return false
		}
		if n > 0 {
			crlf = n
		}
		i := p.atBoundary()
		if i < 0 {
			if crlf = p.skipLineEnd(); crlf == 0 {
				return false
			}
			continue
		}
		p.popTo(i, crlf)
		last := p.terminates(i)
		if !p.skipLine() {
			return false
		}
		if !last {
			p.push()
			return true
		}
		p.forget(i)
		crlf = 0
	}
	p.toEnd()
	return false
}

// popTo closes the parts above index i of the stack at a boundary; crlf is the
// length of the line end before it, which belongs to it.
func (p *parser) popTo(i, crlf int) {
	raw, virt, lines := p.raw(), p.virt(), p.lines
	if crlf > 0 {
		raw, virt, lines = raw-int64(crlf), virt-2, lines-1
	}
	for n := len(p.stack) - 1; n > i; n-- {
		if p.cut.set && n >= p.cut.at {
			p.pop(p.cut.raw, p.cut.virt, p.cut.lines)
		} else {
			p.pop(raw, virt, lines)
		}
	}
	p.cut.set = false
}

// forget stops the search for the boundary of index i of the stack.
func (p *parser) forget(i int) {
	if o := &p.stack[i]; o.delim {
		o.delim = false
		p.delims--
	}
}

// skipLineEnd consumes the rest of a line; it returns the length of its line
// end, 0 at the end of the message.
func (p *parser) skipLineEnd() int {
	bare := p.bare
	if !p.skipLine() {
		return 0
	}
	return 2 - int(p.bare-bare)
}

// atBoundary tells which open multipart the line at hand delimits, as an
// index into the stack, -1 if none. A line need only begin with a boundary
// (RFC 2046 section 5.1.1). Of several that fit the innermost counts that is all
// of the line but for "--" at its end, else the longest, of equal ones the
// innermost.
func (p *parser) atBoundary() int {
	if b := p.ahead(2); len(b) < 2 || b[0] != '-' || b[1] != '-' {
		return -1
	}
	line := p.ahead(maxBoundary + 4)[2:]
	if i := bytes.IndexByte(line, '\n'); i >= 0 {
		line = trimLF(line[:i+1])
	}
	bare := line
	if len(line) > 2 {
		bare = bytes.TrimSuffix(line, []byte("--"))
	}
	best := -1
	for i := len(p.stack) - 1; i >= 0; i-- {
		o := &p.stack[i]
		n := len(o.boundary)
		if !o.delim || n > len(line) || string(line[:n]) != o.boundary ||
			best >= 0 && n <= len(p.stack[best].boundary) {
			continue
		}
		best = i
		if n == len(line) || n == len(bare) {
			break
		}
	}
	return best
}

// terminates tells whether the boundary line at hand is a multipart's last.
func (p *parser) terminates(i int) bool {
	n := len(p.stack[i].boundary) + 2
	b := p.ahead(n + 2)
	return bytes.HasPrefix(b[n:], []byte("--"))
}
