package message

import "encoding/binary"

// The parts of a message in a record are numbers of as many octets as they
// need (binary.AppendUvarint), strings with their length before them:
//
//	the number of marks; of each its distance from the one before, raw and in CRLF terms
//	each part before its children: kind and whether it has a type, 1 octet;
//	  type, subtype, charset (with its length plus one; 0: none), encoding;
//	  where its header begins behind its parent's, raw and in CRLF terms; the
//	  header's length in both; the distance to the body's beginning and the
//	  body's length likewise; its lines; the number of its children

const partHasType = 1 << 7

func (m *Message) appendParts(dst []byte) []byte {
	if m.record != nil {
		return append(dst, m.record.blob(3)...)
	}
	dst = binary.AppendUvarint(dst, uint64(len(m.Marks)))
	var last Mark
	for _, k := range m.Marks {
		dst = binary.AppendUvarint(dst, uint64(k.Raw-last.Raw))
		dst = binary.AppendUvarint(dst, uint64(k.Pos-last.Pos))
		last = k
	}
	return m.Root.appendPart(dst, Section{})
}

func (p *Part) appendPart(dst []byte, up Section) []byte {
	kind := byte(p.Kind)
	if p.HasType {
		kind |= partHasType
	}
	dst = append(dst, kind)
	dst = appendCounted(dst, p.Type)
	dst = appendCounted(dst, p.Subtype)
	if c, ok := param(p.Params, "charset"); ok {
		dst = binary.AppendUvarint(dst, uint64(len(c))+1)
		dst = append(dst, c...)
	} else {
		dst = append(dst, 0)
	}
	dst = appendCounted(dst, p.Encoding)
	h, b := p.Head, p.Body
	for _, n := range []int64{
		h.Off - up.Off, h.Pos - up.Pos, h.End - h.Off, h.Size,
		b.Off - h.Off, b.Pos - h.Pos, b.End - b.Off, b.Size, p.Lines, int64(len(p.Children)),
	} {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	for _, c := range p.Children {
		dst = c.appendPart(dst, h)
	}
	return dst
}

func appendCounted(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// partReader reads what appendParts wrote.
type partReader struct {
	b     []byte
	limit int64 // what no number exceeds
	parts int
	bad   bool
}

// readParts fills in Marks and Root.
func (m *Message) readParts(b []byte) bool {
	r := partReader{b: b, limit: m.Size}
	if n := r.number(); n > 0 && n <= int64(len(b)) {
		m.Marks = make([]Mark, n)
		var last Mark
		for i := range m.Marks {
			last = Mark{last.Raw + r.number(), last.Pos + r.number()}
			m.Marks[i] = last
		}
	}
	m.Root = r.part(Section{}, 0)
	return !r.bad && len(r.b) == 0
}

// number reads one; no length or offset in a message is above its size.
func (r *partReader) number() int64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 || n > uint64(r.limit) {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[size:]
	return int64(n)
}

func (r *partReader) counted(n uint64) string {
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return ""
	}
	s := wellKnown(r.b[:n])
	r.b = r.b[n:]
	return s
}

// length reads that of a string, which may be longer than the message.
func (r *partReader) length() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *partReader) part(up Section, depth int) *Part {
	if r.parts++; len(r.b) == 0 || depth > 2*maxDepth || r.parts > maxParts+1 {
		r.bad = true
		return new(Part)
	}
	kind := r.b[0]
	r.b = r.b[1:]
	p := &Part{Kind: Kind(kind &^ partHasType), HasType: kind&partHasType != 0}
	p.Type, p.Subtype = r.counted(r.length()), r.counted(r.length())
	if n := r.length(); n > 0 {
		p.Params = []Param{{"charset", r.counted(n - 1)}}
	}
	p.Encoding = r.counted(r.length())
	h, b := &p.Head, &p.Body
	h.Off, h.Pos = up.Off+r.number(), up.Pos+r.number()
	h.End, h.Size = h.Off+r.number(), r.number()
	b.Off, b.Pos = h.Off+r.number(), h.Pos+r.number()
	b.End, b.Size = b.Off+r.number(), r.number()
	p.Lines = r.number()
	n := r.number()
	if r.bad || p.Kind > Embedded || p.Kind == Embedded && n != 1 || p.Kind == Leaf && n != 0 || n > maxParts || n > int64(len(r.b)) {
		r.bad = true
		return p
	}
	if n > 0 {
		p.Children = make([]*Part, 0, n)
	}
	for range n {
		p.Children = append(p.Children, r.part(*h, depth+1))
	}
	return p
}

// wellKnown gives a string, without an allocation if it is one that most mail has.
func wellKnown(b []byte) string {
	switch string(b) {
	case "":
		return ""
	case "text":
		return "text"
	case "plain":
		return "plain"
	case "html":
		return "html"
	case "multipart":
		return "multipart"
	case "alternative":
		return "alternative"
	case "mixed":
		return "mixed"
	case "utf-8":
		return "utf-8"
	case "UTF-8":
		return "UTF-8"
	case "us-ascii":
		return "us-ascii"
	case "quoted-printable":
		return "quoted-printable"
	case "base64":
		return "base64"
	case "7bit":
		return "7bit"
	case "8bit":
		return "8bit"
	}
	return string(b)
}
