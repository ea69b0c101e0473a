package message

import (
	"strconv"
	"strings"
)

// AppendEnvelope appends the message's ENVELOPE with its parentheses,
// RFC 9051 section 7.5.2.
func (m *Message) AppendEnvelope(dst []byte) []byte {
	if m.record != nil {
		return append(dst, m.record.Envelope()...)
	}
	return m.Root.Envelope.append(dst)
}

// AppendBody appends BODY: the structure without extension data.
func (m *Message) AppendBody(dst []byte) []byte {
	if m.record != nil {
		return append(dst, m.record.Body()...)
	}
	return m.Root.append(dst, false)
}

// AppendBodyStructure appends BODYSTRUCTURE.
func (m *Message) AppendBodyStructure(dst []byte) []byte {
	if m.record != nil {
		return append(dst, m.record.BodyStructure()...)
	}
	return m.Root.append(dst, true)
}

func (e *Envelope) append(dst []byte) []byte {
	dst = append(dst, '(')
	dst = appendUnfolded(dst, e.Date)
	dst = append(dst, ' ')
	dst = appendTidy(dst, e.Subject)
	from := e.From
	for _, list := range [][]Address{from, or(e.Sender, from), or(e.ReplyTo, from), e.To, e.CC, e.BCC} {
		dst = append(dst, ' ')
		dst = appendAddresses(dst, list)
	}
	dst = append(dst, ' ')
	dst = appendUnfolded(dst, e.InReplyTo)
	dst = append(dst, ' ')
	dst = appendUnfolded(dst, e.MessageID)
	return append(dst, ')')
}

// or: the server fills in Sender and Reply-To from From.
func or(list, from []Address) []Address {
	if list == nil {
		return from
	}
	return list
}

func appendAddresses(dst []byte, list []Address) []byte {
	if list == nil {
		return append(dst, "NIL"...)
	}
	dst = append(dst, '(')
	for i := range list {
		a := &list[i]
		dst = append(dst, '(')
		dst = appendTidy(dst, a.Name)
		dst = append(dst, ' ')
		dst = appendNString(dst, a.Route)
		dst = append(dst, ' ')
		dst = appendNString(dst, a.Mailbox)
		dst = append(dst, ' ')
		dst = appendNString(dst, a.Host)
		dst = append(dst, ')')
	}
	return append(dst, ')')
}

// What stands for the one part that the grammar wants in a multipart that has
// none.
const (
	emptyBody      = `("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0)`
	emptyStructure = `("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)`
)

func (p *Part) append(dst []byte, extended bool) []byte {
	dst = append(dst, '(')
	if p.Kind == Multipart {
		dst = p.appendMultipart(dst, extended)
	} else {
		dst = p.appendSingle(dst, extended)
	}
	return append(dst, ')')
}

func (p *Part) appendMultipart(dst []byte, extended bool) []byte {
	for _, c := range p.Children {
		dst = c.append(dst, extended)
	}
	if len(p.Children) == 0 {
		if extended {
			dst = append(dst, emptyStructure...)
		} else {
			dst = append(dst, emptyBody...)
		}
	}
	dst = append(dst, ' ')
	dst = appendString(dst, p.Subtype)
	if !extended {
		return dst
	}
	dst = append(dst, ' ')
	dst = appendParams(dst, p.Params, false)
	return p.appendExtension(dst)
}

func (p *Part) appendSingle(dst []byte, extended bool) []byte {
	typ, subtype := p.Type, p.Subtype
	switch {
	case p.Kind == Embedded:
		typ, subtype = p.MediaType()
	case !p.HasType:
		typ, subtype = "text", "plain"
	case equalFold(typ, "multipart") || isEmbedded(typ, subtype):
		// A part of such a type that has no parts would not fit the grammar.
		typ, subtype = "application", "octet-stream"
	}
	isText := p.IsText()
	dst = appendString(dst, typ)
	dst = append(dst, ' ')
	dst = appendString(dst, subtype)
	dst = append(dst, ' ')
	dst = appendParams(dst, p.Params, isText)
	dst = append(dst, ' ')
	dst = appendUnfolded(dst, p.ID)
	dst = append(dst, ' ')
	dst = appendUnfolded(dst, p.Description)
	dst = append(dst, ' ')
	if p.Encoding == "" {
		dst = append(dst, `"7bit"`...)
	} else {
		dst = appendString(dst, p.Encoding)
	}
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, p.Body.Size, 10)
	if p.Kind == Embedded {
		dst = append(dst, ' ')
		dst = p.Children[0].Envelope.append(dst)
		dst = append(dst, ' ')
		dst = p.Children[0].append(dst, extended)
	}
	if isText || p.Kind == Embedded {
		dst = append(dst, ' ')
		dst = strconv.AppendInt(dst, p.Lines, 10)
	}
	if !extended {
		return dst
	}
	dst = append(dst, ' ')
	dst = appendUnfolded(dst, p.MD5)
	return p.appendExtension(dst)
}

// appendExtension appends what ends the extension data of every part:
// disposition, language, location.
func (p *Part) appendExtension(dst []byte) []byte {
	dst = append(dst, ' ')
	if p.Disposition.Set {
		dst = append(dst, '(')
		dst = appendString(dst, p.Disposition.Value)
		dst = append(dst, ' ')
		dst = appendParams(dst, p.DispositionParams, false)
		dst = append(dst, ')')
	} else {
		dst = append(dst, "NIL"...)
	}
	dst = append(dst, ' ')
	if len(p.Languages) == 0 {
		dst = append(dst, "NIL"...)
	} else {
		for i, l := range p.Languages {
			dst = append(dst, "( "[min(i, 1)])
			dst = appendString(dst, l)
		}
		dst = append(dst, ')')
	}
	dst = append(dst, ' ')
	return appendUnfolded(dst, p.Location)
}

// appendParams appends a parameter list; text parts without a charset are
// said to have the default one.
func appendParams(dst []byte, ps []Param, isText bool) []byte {
	if isText {
		if _, ok := param(ps, "charset"); ok {
			isText = false
		}
	}
	if len(ps) == 0 && !isText {
		return append(dst, "NIL"...)
	}
	dst = append(dst, '(')
	for i, p := range ps {
		if i > 0 {
			dst = append(dst, ' ')
		}
		dst = appendString(dst, p.Name)
		dst = append(dst, ' ')
		dst = appendString(dst, p.Value)
	}
	if isText {
		if len(ps) > 0 {
			dst = append(dst, ' ')
		}
		dst = append(dst, `"charset" "us-ascii"`...)
	}
	return append(dst, ')')
}

func appendNString(dst []byte, s String) []byte {
	if !s.Set {
		return append(dst, "NIL"...)
	}
	return appendString(dst, s.Value)
}

// appendUnfolded appends a header value as one line: line ends go, or become a
// space where none follows, NULs become U+FFFD.
func appendUnfolded(dst []byte, s String) []byte {
	if !s.Set {
		return append(dst, "NIL"...)
	}
	return appendString(dst, unfold(s.Value))
}

func unfold(v string) string {
	v = strings.ReplaceAll(v, "\x00", "\uFFFD")
	if strings.IndexByte(v, '\n') < 0 && strings.IndexByte(v, '\r') < 0 {
		return v
	}
	b := make([]byte, 0, len(v))
	for i := 0; i < len(v); i++ {
		switch {
		case v[i] != '\n' && v[i] != '\r':
			b = append(b, v[i])
		case i+1 < len(v) && !isSpace(v[i+1]):
			b = append(b, ' ')
		}
	}
	return string(b)
}

func isSpace(c byte) bool { return isBlank(c) || c == '\n' || c == '\r' }

// appendTidy appends a header value as people read it: unfolded, white space
// made single spaces and cut off at both ends.
func appendTidy(dst []byte, s String) []byte {
	if !s.Set {
		return append(dst, "NIL"...)
	}
	return appendString(dst, tidy(s.Value))
}

func tidy(v string) string {
	v = strings.ReplaceAll(v, "\x00", "\uFFFD")
	space := true // the octet before is white space, or there is none
	for i := 0; ; i++ {
		if i == len(v) {
			if !space || i == 0 {
				return v
			}
			break
		}
		if isSpace(v[i]) && (v[i] != ' ' || space) {
			break
		}
		space = v[i] == ' '
	}
	b := make([]byte, 0, len(v))
	for i := 0; i < len(v); i++ {
		if !isSpace(v[i]) {
			b = append(b, v[i])
		} else if len(b) > 0 && b[len(b)-1] != ' ' {
			b = append(b, ' ')
		}
	}
	if n := len(b); n > 0 && b[n-1] == ' ' {
		b = b[:n-1]
	}
	return string(b)
}

// appendString appends a string of RFC 9051 section 4.3: quoted where that can
// be, a literal where there is a CR or LF or an octet that is not ASCII.
func appendString(dst []byte, s string) []byte {
	plain := true
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			plain = false
		case c >= 0x80 || c == '\r' || c == '\n' || c == 0:
			return appendLiteral(dst, s)
		}
	}
	dst = append(dst, '"')
	if plain {
		dst = append(dst, s...)
		return append(dst, '"')
	}
	for i := 0; i < len(s); i++ {
		if s[i] == '"' || s[i] == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"')
}

func appendLiteral(dst []byte, s string) []byte {
	dst = append(dst, '{')
	dst = strconv.AppendInt(dst, int64(len(s)), 10)
	dst = append(dst, "}\r\n"...)
	n := len(dst)
	dst = append(dst, s...)
	for i := n; i < len(dst); i++ {
		if dst[i] == 0 {
			dst[i] = 0x80
		}
	}
	return dst
}
