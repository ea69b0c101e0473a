package message

import "errors"

// The bounds of a parse. What lies beyond them stays mail: it can be fetched
// whole, it is only not taken apart any further.
const (
	maxDepth     = 100       // levels of nesting; deeper parts are opaque
	maxParts     = 10000     // parts of one message
	maxField     = 256 << 10 // octets kept of one header field's value
	maxKept      = 2 << 20   // octets kept of all header fields of one message
	maxBoundary  = 80        // octets compared of a boundary (RFC 2046 section 5.1.1 allows 70)
	maxAddresses = 10000     // addresses kept of one header field
	markEvery    = 64 << 10  // raw octets between two marks
)

// ErrUnknownCTE says that a part's Content-Transfer-Encoding is none that can
// be removed: NO [UNKNOWN-CTE] in RFC 3516 section 4.3.
var ErrUnknownCTE = errors.New("message: unknown content transfer encoding")

// ErrNoPart says that a message has no part of that number.
var ErrNoPart = errors.New("message: no such part")

// Message is what one pass over a message's octets yields. It is plain data:
// it holds no reference to the file and is safe for concurrent readers.
type Message struct {
	Root    *Part
	RawSize int64  // octets of the file
	Size    int64  // octets once every line ends in CRLF: RFC822.SIZE
	HasNUL  bool   // somewhere a NUL, which IMAP cannot carry
	Marks   []Mark // ascending; none if RawSize == Size

	record Record // what the message was made of; nil if it was parsed
}

// Mark ties a raw offset to its offset in CRLF terms, so that a partial fetch
// of a large message need not count lines from its first octet.
type Mark struct{ Raw, Pos int64 }

// Section is a stretch of a message.
type Section struct {
	Off, End int64 // raw file offsets
	Size     int64 // octets in CRLF terms
	Pos      int64 // where Off lies in CRLF terms
}

// Spec names which stretch of a part is meant, as in RFC 9051 section 6.4.5.1.
type Spec uint8

const (
	Whole  Spec = iota // BODY[] of the message, BODY[1.2] of a part: its body
	Header             // BODY[HEADER], BODY[1.2.HEADER]: of an embedded message
	Text               // BODY[TEXT], BODY[1.2.TEXT]: of an embedded message
	Mime               // BODY[1.2.MIME]: the part's own header
)

// String is the value of a header field that may be absent, which IMAP tells
// apart from empty: NIL and "".
type String struct {
	Set   bool
	Value string
}

// Param is one parameter of a MIME field. A name that ends in "*" has an
// RFC 2231 extended value: charset'language'percent-encoded.
type Param struct{ Name, Value string }

// Kind says how a part is built.
type Kind uint8

const (
	Leaf      Kind = iota // nothing inside
	Multipart             // any number of children, also none
	Embedded              // message/rfc822 or message/global: exactly one child
)

// Part is one node of a message's structure. Strings are as they stand in the
// header, comments and folding removed, case untouched.
type Part struct {
	Kind Kind

	// Content-Type; Type is "" and HasType false when there is none and the
	// default of RFC 2045 section 5.2 (or RFC 2046 section 5.1.5) applies.
	HasType       bool
	Type, Subtype string
	Params        []Param

	Encoding          string // Content-Transfer-Encoding; "" means 7bit
	ID                String // Content-ID
	Description       String // Content-Description
	MD5               String // Content-MD5
	Location          String // Content-Location
	Disposition       String // Content-Disposition without parameters
	DispositionParams []Param
	Languages         []string // Content-Language

	Envelope *Envelope // of the message and of each embedded one, else nil

	Head  Section // the part's own header, blank line included
	Body  Section
	Lines int64 // line ends in Body

	Children []*Part
}

// Envelope holds the fields of RFC 9051 section 7.5.2's ENVELOPE.
type Envelope struct {
	Date, Subject                      String
	From, Sender, ReplyTo, To, CC, BCC []Address
	InReplyTo, MessageID               String
}

// Address is one address, or the start or end of a group: a start has only
// Mailbox, the group's name; an end has nothing.
type Address struct{ Name, Route, Mailbox, Host String }

// IsText tells whether the part is of type text, by default too.
func (p *Part) IsText() bool {
	return p.Kind == Leaf && (!p.HasType || equalFold(p.Type, "text"))
}

// MediaType gives type and subtype in small letters, defaults filled in.
func (p *Part) MediaType() (typ, subtype string) {
	if p.HasType {
		return lower(p.Type), lower(p.Subtype)
	}
	if p.Kind == Embedded {
		return "message", "rfc822"
	}
	return "text", "plain"
}

// Param gives the value of a Content-Type parameter.
func (p *Part) Param(name string) (string, bool) { return param(p.Params, name) }

// Charset gives the charset parameter in small letters, "us-ascii" if a text
// part has none (RFC 2045 section 5.2), "" for other parts without one.
func (p *Part) Charset() string {
	if c, ok := param(p.Params, "charset"); ok {
		return lower(c)
	}
	if p.IsText() {
		return "us-ascii"
	}
	return ""
}

func param(ps []Param, name string) (string, bool) {
	for _, p := range ps {
		if equalFold(p.Name, name) {
			return p.Value, true
		}
	}
	return "", false
}

// whole is header and body in one.
func (p *Part) whole() Section {
	return Section{Off: p.Head.Off, End: p.Body.End, Size: p.Head.Size + p.Body.Size, Pos: p.Head.Pos}
}

// Part finds a part by its number, RFC 9051 section 6.4.5.1: children of a
// multipart are counted from 1, any other part's only number is 1, and below
// an embedded message the count goes on in what it embeds. An empty path is
// the message.
func (m *Message) Part(path []int) (*Part, bool) {
	p := m.Root
	for i, n := range path {
		switch p.Kind {
		case Multipart:
			if n < 1 || n > len(p.Children) {
				return nil, false
			}
			p = p.Children[n-1]
		default:
			// Below a part that is no multipart only .1 exists, and only at
			// the end or where an embedded message goes on.
			if n != 1 || (i+1 < len(path) && p.Kind != Embedded) {
				return nil, false
			}
		}
		if i+1 < len(path) && p.Kind == Embedded {
			p = p.Children[0]
		}
	}
	return p, true
}

// Section finds a stretch of the message; false when there is no such part, or
// when Header or Text is asked of a part that embeds no message.
func (m *Message) Section(path []int, spec Spec) (Section, bool) {
	p, ok := m.Part(path)
	if !ok {
		return Section{}, false
	}
	if len(path) > 0 && (spec == Header || spec == Text) {
		if p.Kind != Embedded {
			return Section{}, false
		}
		p = p.Children[0]
	}
	switch {
	case spec == Header || spec == Mime:
		return p.Head, true
	case spec == Whole && len(path) == 0:
		return p.whole(), true
	}
	return p.Body, true
}
