package mailview

import (
	"io"
	"strings"

	"postroom/internal/message"
)

// Attachment is a part that is not text of the message.
type Attachment struct {
	Path []int
	Name string // a file name that is safe anywhere; never ""
	Type string // type/subtype in small letters, as the sender says
	Size int64  // octets once decoded, nearly: it is reckoned, not counted
	// Picture: a browser can show it in a page. It is so by its type; the octets are to be looked at when it is served.
	Picture bool
	Message bool // an embedded message, to be opened by New with its Path
	// Inline: it belongs to HTML of the message, which may show it inside itself.
	Inline bool
}

// attach lists a part.
func (v *View) attach(p *message.Part, path []int, related bool) {
	if len(v.Attachments) == maxAttachments {
		v.Cut = true
		return
	}
	v.Attachments = append(v.Attachments, newAttachment(p, path, related))
	if p.Kind == message.Leaf && (p.ID.Set || p.Location.Set) {
		ref := inlinePart{path: path, part: p, location: strings.TrimSpace(p.Location.Value)}
		if p.ID.Set {
			ref.id = contentID(p.ID.Value)
		}
		v.refs = append(v.refs, ref)
	}
}

func newAttachment(p *message.Part, path []int, related bool) Attachment {
	typ, subtype := p.MediaType()
	a := Attachment{
		Path:    path,
		Name:    SafeName(fileName(p)),
		Type:    mediaType(typ, subtype),
		Size:    p.Body.Size,
		Message: p.Kind == message.Embedded,
		Inline:  related && p.ID.Set,
	}
	a.Picture = pictureTypes[a.Type]
	if strings.EqualFold(p.Encoding, "base64") {
		a.Size = p.Body.Size / 78 * 57 // lines of 76 digits and their ends
		if p.Body.Size < 78 {
			a.Size = p.Body.Size * 3 / 4
		}
	}
	if a.Message && a.Name == "" {
		a.Name = SafeName(subject(p.Children[0].Envelope))
		if a.Name != "" {
			a.Name += ".eml"
		}
	}
	if a.Name == "" {
		a.Name = "part-" + FormatPath(path) + extensions[a.Type]
	}
	return a
}

// Part finds any part of the message by its path, as an attachment.
func Part(m *message.Message, path []int) (Attachment, error) {
	p, ok := m.Part(path)
	if !ok || len(path) == 0 || p.Kind == message.Multipart {
		return Attachment{}, ErrNoPart
	}
	return newAttachment(p, path, false), nil
}

// Open reads the octets of a part, its transfer encoding removed; what is encoded in no known way comes as it is, and an
// embedded message with CRLF line ends.
func Open(src io.ReaderAt, m *message.Message, path []int) (io.Reader, error) {
	p, ok := m.Part(path)
	if !ok || len(path) == 0 || p.Kind == message.Multipart {
		return nil, ErrNoPart
	}
	r, err := message.OpenDecoded(src, m, path)
	if err != nil {
		return message.NewReader(src, m, p.Body), nil
	}
	return r, nil
}

// pictureTypes are what browsers show and what can hold nothing but a picture.
var pictureTypes = map[string]bool{
	"image/png": true, "image/jpeg": true, "image/jpg": true, "image/gif": true, "image/webp": true, "image/avif": true,
	"image/bmp": true,
}

// PictureType looks at the first octets of a file and gives the media type under which a browser may show it as a picture;
// "" if it is none. What the sender calls it does not count.
func PictureType(head []byte) string {
	has := func(at int, magic string) bool {
		return len(head) >= at+len(magic) && string(head[at:at+len(magic)]) == magic
	}
	switch {
	case has(0, "\x89PNG\r\n\x1a\n"):
		return "image/png"
	case has(0, "\xff\xd8\xff"):
		return "image/jpeg"
	case has(0, "GIF87a"), has(0, "GIF89a"):
		return "image/gif"
	case has(0, "RIFF") && has(8, "WEBP"):
		return "image/webp"
	case has(4, "ftypavif"):
		return "image/avif"
	case has(0, "BM") && has(6, "\x00\x00\x00\x00"):
		return "image/bmp"
	}
	return ""
}

// IsPDF tells whether a file begins as a PDF does.
func IsPDF(head []byte) bool { return strings.HasPrefix(string(head), "%PDF-") }

// mediaType gives a type that can stand in a header of HTTP: what is none is application/octet-stream.
func mediaType(typ, subtype string) string {
	for _, s := range []string{typ, subtype} {
		if s == "" || len(s) > 100 || strings.IndexFunc(s, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$&-^_.+", r))
		}) >= 0 {
			return "application/octet-stream"
		}
	}
	return typ + "/" + subtype
}

// contentID gives the id without its brackets.
func contentID(s string) string {
	s = strings.TrimSpace(s)
	return strings.TrimSuffix(strings.TrimPrefix(s, "<"), ">")
}
