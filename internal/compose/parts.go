package compose

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"postroom/internal/message"
)

// content is what a message says: one text, and all else as attachments.
type content struct {
	text        *message.Part // nil if there is none
	path        []int         // of text
	html        bool          // text is HTML, or there was some beside it
	attachments []Attachment
}

// maxParts bounds how many attachments of a message are taken along.
const maxParts = MaxAttachments

// contentOf finds the text of a message and its attachments, whose Open reads src.
func contentOf(src io.ReaderAt, m *message.Message) content {
	w := walker{src: src, m: m}
	w.walk(m.Root, nil, true)
	return w.content
}

type walker struct {
	content
	src io.ReaderAt
	m   *message.Message
}

// walk looks at a part. body tells that its text may be the message's.
func (w *walker) walk(p *message.Part, path []int, body bool) {
	typ, sub := p.MediaType()
	switch {
	case p.Kind == message.Multipart && sub == "alternative" && body && w.text == nil:
		w.alternative(p, path)
	case p.Kind == message.Multipart:
		for i, child := range p.Children {
			// Of multipart/related the first one is the text (RFC 2387 section 3.2), of others each may be.
			w.walk(child, append(path[:len(path):len(path)], i+1), body && (sub != "related" || i == 0))
		}
	case body && w.text == nil && p.IsText() && (sub == "plain" || sub == "html") && !strings.EqualFold(p.Disposition.Value, "attachment"):
		w.setText(p, path)
	case typ == "application" && (sub == "pgp-signature" || sub == "pkcs7-signature" || sub == "x-pkcs7-signature"):
		// It signs what is not kept as it was.
	default:
		w.attach(p, path)
	}
}

func (w *walker) setText(p *message.Part, path []int) {
	_, sub := p.MediaType()
	w.text, w.path, w.html = p, path, sub == "html"
}

// alternative takes the plain text if there is one, and what comes with the HTML as attachments.
func (w *walker) alternative(p *message.Part, path []int) {
	best := -1
	for i, child := range p.Children {
		typ, sub := child.MediaType()
		if typ == "text" && sub == "plain" {
			best = i
			break
		}
		if best < 0 && (typ == "text" && sub == "html" || child.Kind == message.Multipart) {
			best = i
		}
	}
	for i, child := range p.Children {
		at := append(path[:len(path):len(path)], i+1)
		typ, sub := child.MediaType()
		switch {
		case i == best:
			w.walk(child, at, true)
		case child.Kind == message.Multipart:
			w.html = true
			for j, inner := range child.Children {
				if _, sub := inner.MediaType(); sub != "html" {
					w.walk(inner, append(at[:len(at):len(at)], j+1), false)
				}
			}
		case typ == "text":
			w.html = w.html || sub == "html"
		default:
			w.attach(child, at) // an invitation, say
		}
	}
}

func (w *walker) attach(p *message.Part, path []int) {
	if len(w.attachments) == maxParts {
		return
	}
	if len(path) == 0 {
		path = []int{1}
	}
	typ, sub := p.MediaType()
	a := Attachment{Name: partName(p), Type: typ + "/" + sub, Size: -1, Part: formatPath(path)}
	if a.Message = p.Kind == message.Embedded; a.Message {
		a.Size = p.Body.Size
		if a.Name == "" {
			a.Name = "message.eml"
		}
	}
	if a.Name == "" {
		a.Name = "attachment" + extensions[a.Type]
	}
	if a.Size < 0 {
		a.Size = sizeOf(p)
	}
	src, m := w.src, w.m
	a.Open = func() (io.ReadCloser, error) {
		r, err := message.OpenDecoded(src, m, path)
		if err != nil {
			return nil, fmt.Errorf("part %s: %w", formatPath(path), err)
		}
		return io.NopCloser(r), nil
	}
	w.attachments = append(w.attachments, a)
}

// extensions are for parts without a name.
var extensions = map[string]string{
	"image/png": ".png", "image/jpeg": ".jpg", "image/gif": ".gif", "application/pdf": ".pdf", "text/calendar": ".ics",
	"text/plain": ".txt", "text/html": ".html", "text/vcard": ".vcf",
}

// sizeOf tells how large a part is without its encoding, nearly.
func sizeOf(p *message.Part) int64 {
	if !strings.EqualFold(p.Encoding, "base64") {
		return p.Body.Size
	}
	return max(0, p.Body.Size-2*p.Lines) / 4 * 3
}

func formatPath(path []int) string {
	parts := make([]string, len(path))
	for i, n := range path {
		parts[i] = strconv.Itoa(n)
	}
	return strings.Join(parts, ".")
}

// partName is the file name of a part, cleaned; "" if it has none.
func partName(p *message.Part) string {
	for _, list := range []struct {
		params []message.Param
		name   string
	}{{p.DispositionParams, "filename"}, {p.Params, "name"}} {
		for _, param := range list.params {
			switch strings.ToLower(param.Name) {
			case list.name:
				return cleanName(message.DecodeText(param.Value))
			case list.name + "*":
				return cleanName(extended(param.Value))
			}
		}
	}
	if p.Kind == message.Embedded && p.Children[0].Envelope != nil {
		if s := message.DecodeText(p.Children[0].Envelope.Subject.Value); s != "" {
			return cleanName(s + ".eml")
		}
	}
	return ""
}

// extended reads charset'language'percent-encoded (RFC 2231 section 4).
func extended(v string) string {
	charset, rest, ok := strings.Cut(v, "'")
	if _, value, ok2 := strings.Cut(rest, "'"); ok && ok2 {
		rest = value
	} else {
		return message.DecodeText(v)
	}
	var raw strings.Builder
	for i := 0; i < len(rest); i++ {
		if rest[i] == '%' && i+2 < len(rest) {
			if n, err := strconv.ParseUint(rest[i+1:i+3], 16, 8); err == nil {
				raw.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		raw.WriteByte(rest[i])
	}
	out, err := io.ReadAll(message.NewTextReader(strings.NewReader(raw.String()), charset))
	if err != nil {
		return raw.String()
	}
	return string(out)
}

// words gives the text of a message, at most max octets of it, as plain text with LF.
func (c *content) words(src io.ReaderAt, m *message.Message, max int64) (string, error) {
	if c.text == nil {
		return "", nil
	}
	path := c.path
	if len(path) == 0 {
		path = []int{1}
	}
	r, err := message.OpenDecoded(src, m, path)
	if err != nil {
		return "", fmt.Errorf("text of a message: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(message.NewTextReader(r, c.text.Charset()), max))
	if err != nil {
		return "", fmt.Errorf("text of a message: %w", err)
	}
	text := strings.ToValidUTF8(strings.ReplaceAll(string(b), "\r\n", "\n"), "\ufffd") // the limit may cut a character
	if _, sub := c.text.MediaType(); sub == "html" {
		return htmlText(text, int(max)), nil
	}
	if format, _ := c.text.Param("format"); strings.EqualFold(format, "flowed") {
		delsp, _ := c.text.Param("delsp")
		text = unflow(text, strings.EqualFold(delsp, "yes"))
	}
	return cleanText(text), nil
}
