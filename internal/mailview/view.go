package mailview

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"postroom/internal/message"
)

// View is what there is to show of one message, or of one embedded in it. It is for one goroutine at a time, as long as
// the octets it was made of can be read.
type View struct {
	Path     []int // of the part that embeds the message; nil for the message itself
	Envelope *message.Envelope
	Blocks   []Block // its text, in order

	Attachments []Attachment
	Signed      bool // some part is signed; whether rightly is not looked at
	Encrypted   bool
	Cut         bool // there is more than View lists

	src  io.ReaderAt
	m    *message.Message
	opt  Options
	refs []inlinePart
}

// Options say how to choose among what is there.
type Options struct {
	// Plain prefers plain text where there is HTML too.
	Plain bool
}

// Format says how a Block is written.
type Format uint8

const (
	PlainText Format = iota
	HTML
	Enriched // RFC 1896, and its forerunner text/richtext
)

// Block is one part of a message's text.
type Block struct {
	Path   []int
	Format Format
	// Other is set where the sender sent the same text as plain text and as HTML.
	Other bool

	part *message.Part
}

// inlinePart is a part that HTML of the message may show inside itself.
type inlinePart struct {
	id, location string
	path         []int
	part         *message.Part
	used         bool
}

// New looks at the message whose octets src holds, or at the one that the part at path embeds. ErrNoPart if that embeds none.
func New(src io.ReaderAt, m *message.Message, path []int, opt Options) (*View, error) {
	v := &View{Path: path, src: src, m: m, opt: opt}
	root := m.Root
	if len(path) > 0 {
		p, ok := m.Part(path)
		if !ok || p.Kind != message.Embedded {
			return nil, fmt.Errorf("part %s: %w", FormatPath(path), ErrNoPart)
		}
		root = p.Children[0]
	}
	v.Envelope = root.Envelope
	rootPath := path
	if root.Kind != message.Multipart {
		rootPath = child(path, 0)
	}
	v.part(root, rootPath, place{first: true})
	return v, nil
}

// place says what is around a part.
type place struct {
	first   bool // nothing of the message stands before it
	related bool // it belongs to the HTML beside it
	other   bool // it was chosen of an alternative
}

func child(path []int, i int) []int { return append(slices.Clip(path), i+1) }

// part shows a part and all in it.
func (v *View) part(p *message.Part, path []int, at place) {
	if p.Kind != message.Multipart {
		v.leaf(p, path, at)
		return
	}
	_, subtype := p.MediaType()
	switch subtype {
	case "alternative":
		v.alternative(p, path, at)
	case "related":
		v.related(p, path, at)
	case "signed":
		v.Signed = true
		v.mixed(p, path, at)
	case "encrypted":
		v.Encrypted = true
		v.mixed(p, path, at)
	default: // RFC 2046 section 5.1.7: what is unknown is treated as mixed
		v.mixed(p, path, at)
	}
}

func (v *View) mixed(p *message.Part, path []int, at place) {
	for i, c := range p.Children {
		v.part(c, child(path, i), place{first: at.first && i == 0, related: at.related})
	}
}

// related shows its root (RFC 2387); what belongs to it is there for it to show.
func (v *View) related(p *message.Part, path []int, at place) {
	root := 0
	if start, ok := p.Param("start"); ok {
		for i, c := range p.Children {
			if c.ID.Set && contentID(c.ID.Value) == contentID(start) {
				root = i
			}
		}
	}
	for i, c := range p.Children {
		if i == root {
			v.part(c, child(path, i), at)
		}
	}
	for i, c := range p.Children {
		if i != root {
			v.part(c, child(path, i), place{related: true})
		}
	}
}

// alternative shows the last of its parts that can be shown (RFC 2046 section 5.1.4). Of the others those are attached
// that are no text of this kind: invitations come so.
func (v *View) alternative(p *message.Part, path []int, at place) {
	best, bestRank, kinds := -1, 0, 0
	for i, c := range p.Children {
		rank := v.rank(c)
		if rank > 0 {
			kinds++
		}
		if rank >= bestRank && rank > 0 {
			best, bestRank = i, rank
		}
	}
	for i, c := range p.Children {
		switch {
		case i == best:
			at.other = kinds > 1
			v.part(c, child(path, i), at)
		case v.rank(c) == 0 && !isAMP(c):
			v.part(c, child(path, i), place{related: at.related})
		case c.Kind == message.Multipart:
			v.beside(c, child(path, i))
		}
	}
}

// beside lists what stands beside the text in an alternative that was not chosen.
func (v *View) beside(p *message.Part, path []int) {
	for i, c := range p.Children {
		switch {
		case c.Kind == message.Multipart:
			v.beside(c, child(path, i))
		case v.rank(c) == 0:
			v.attach(c, child(path, i), true)
		}
	}
}

// rank says how well a part of an alternative shows what was meant; 0: not at all.
func (v *View) rank(p *message.Part) int {
	typ, subtype := p.MediaType()
	switch {
	case p.Kind == message.Multipart:
		best := 0
		for _, c := range p.Children {
			best = max(best, v.rank(c))
		}
		return best
	case p.Kind == message.Embedded || typ != "text" || isAttachment(p):
		return 0
	case subtype == "html":
		if v.opt.Plain {
			return 1
		}
		return 3
	case subtype == "plain":
		return 2
	case subtype == "enriched", subtype == "richtext":
		return 1
	}
	return 0
}

func isAMP(p *message.Part) bool {
	_, subtype := p.MediaType()
	return subtype == "x-amp-html" || subtype == "watch-html"
}

func isAttachment(p *message.Part) bool {
	return p.Disposition.Set && strings.EqualFold(p.Disposition.Value, "attachment")
}

func (v *View) leaf(p *message.Part, path []int, at place) {
	if format, ok := textFormat(p); ok && p.Kind == message.Leaf && !isAttachment(p) && !at.related &&
		(at.first || at.other || fileName(p) == "") {
		if len(v.Blocks) == maxBlocks {
			v.Cut = true
			v.attach(p, path, false)
			return
		}
		v.Blocks = append(v.Blocks, Block{Path: path, Format: format, Other: at.other, part: p})
		return
	}
	v.attach(p, path, at.related)
}

// textFormat tells how a part is shown as text. Reports of delivery (RFC 3464) and disposition (RFC 8098) are text too.
func textFormat(p *message.Part) (Format, bool) {
	typ, subtype := p.MediaType()
	switch typ + "/" + subtype {
	case "text/html":
		return HTML, true
	case "text/enriched", "text/richtext":
		return Enriched, true
	case "text/calendar", "text/vcard", "text/x-vcard", "text/directory":
		return 0, false
	case "message/delivery-status", "message/disposition-notification", "message/global-delivery-status":
		return PlainText, true
	}
	return PlainText, typ == "text"
}

// Date is when the message says that it was sent; false if it does not.
func (v *View) Date() (time.Time, bool) { return v.Envelope.SentDate() }

// Subject is fit for a line of a page.
func (v *View) Subject() string { return subject(v.Envelope) }

func subject(e *message.Envelope) string {
	return message.Printable(message.DecodeText(e.Subject.Value))
}

// Block finds the block of a path.
func (v *View) Block(path []int) (Block, bool) {
	for _, b := range v.Blocks {
		if slices.Equal(b.Path, path) {
			return b, true
		}
	}
	return Block{}, false
}

// open reads a part's octets, its transfer encoding removed; what is encoded in no known way comes as it is.
func (v *View) open(p *message.Part, path []int) io.Reader {
	r, err := message.OpenDecoded(v.src, v.m, path)
	if err != nil {
		return message.NewReader(v.src, v.m, p.Body)
	}
	return r
}
