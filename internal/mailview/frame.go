package mailview

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net/url"
	"strings"
)

const (
	maxInline     = 32 << 20 // octets of pictures that a page of HTML mail shows inside itself, each time one is shown
	maxInlineUses = 200      // times that one is shown
)

// Page is a block of HTML mail as a document of its own. It is to be served under a content policy that lets nothing run
// and, unless pictures were asked for, nothing be fetched.
type Page struct {
	Blocked int  // pictures that are not shown since they would have to be fetched
	Cut     bool // the mail is too long, and its end is left out

	view        *View
	sheet, body string
	marker      string // stands in body and sheet before the number of an inline part
}

// cleaning bounds how much HTML is cleaned at once: each takes some tens of MiB at worst, for less than a second.
var cleaning = make(chan struct{}, 4)

// Page makes the document of a block of HTML. With remote, pictures on the web are shown, and their senders learn of it.
// The only errors are those of reading the message.
func (v *View) Page(b Block, remote bool) (*Page, error) {
	r, err := htmlReader(v.open(b.part, b.Path), b.part.Charset())
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(r, maxHTML+1))
	if err != nil {
		return nil, err
	}
	page := &Page{view: v, marker: "part-" + rand.Text() + "-"}
	cleaning <- struct{}{}
	defer func() { <-cleaning }()
	uses := 0
	c := newCleaner(func(address string) (string, bool) {
		i := v.findInline(address)
		if i < 0 || uses == maxInlineUses {
			return "", false
		}
		uses++
		v.refs[i].used = true
		return fmt.Sprintf("%s%04d", page.marker, i), true
	}, remote)
	page.sheet, page.body = c.clean(string(raw))
	page.Blocked, page.Cut = c.blocked, c.cut
	return page, nil
}

// findInline finds a picture of the mail by "cid:" and its Content-ID (RFC 2392) or by its Content-Location.
func (v *View) findInline(address string) int {
	id, isID := strings.CutPrefix(address, "cid:")
	if isID {
		if s, err := url.PathUnescape(id); err == nil {
			id = s
		}
	}
	for i, ref := range v.refs {
		if isID && ref.id != "" && ref.id == id || !isID && ref.location != "" && ref.location == address {
			return i
		}
	}
	return -1
}

// Shown lists the attachments but for those that pages made of the View so far show inside themselves.
func (v *View) Shown() []Attachment {
	used := make(map[string]bool)
	for _, ref := range v.refs {
		if ref.used {
			used[FormatPath(ref.path)] = true
		}
	}
	var list []Attachment
	for _, a := range v.Attachments {
		if !used[FormatPath(a.Path)] {
			list = append(list, a)
		}
	}
	return list
}

// FrameStyle is what a mail looks like that says nothing.
const FrameStyle = `html{color-scheme:light;background:#fff;color:#1a1a1a}
body{margin:18px 24px;font:15px/1.5 system-ui,sans-serif;overflow-wrap:break-word}
@media (max-width:719px){body{margin:14px 16px}}
img{max-width:100%;height:auto}pre{white-space:pre-wrap}
blockquote{margin:0 0 0 .5em;padding-left:.8em;border-left:2px solid #c4c8d0}
img[data-blocked]{min-width:1em;min-height:1em;background:#eef0f3;outline:1px dashed #b5bac4}
`

// WriteTo writes the document. Pictures of the mail are put into it while it is written, as data: addresses, so that the
// frame needs no cookie to show them.
func (p *Page) WriteTo(w io.Writer) (int64, error) {
	out := counter{w: w}
	out.text(`<!DOCTYPE html><html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
		`<meta name="referrer" content="no-referrer"><title></title><style>` + FrameStyle + `</style>`)
	out.text("<style>")
	left := p.expand(&out, p.sheet, maxInline)
	out.text(`</style></head><body>`)
	p.expand(&out, p.body, left)
	out.text(`</body></html>`)
	return out.n, out.err
}

// WriteSection writes the mail as a part of a larger document under the same policy. Its sheet holds for that part alone: a
// mail could else hide what stands around it, or make it look like something else.
func (p *Page) WriteSection(w io.Writer) error {
	out := counter{w: w}
	out.text("<style>@scope(.mail){")
	left := p.expand(&out, p.sheet, maxInline)
	out.text(`}</style><div class="mail">`)
	p.expand(&out, p.body, left)
	out.text("</div>")
	return out.err
}

// expand writes text with the parts in it, as long as they fit.
func (p *Page) expand(out *counter, text string, left int64) int64 {
	for {
		before, after, ok := strings.Cut(text, p.marker)
		out.text(before)
		if !ok || out.err != nil {
			return left
		}
		i := 0
		for _, c := range after[:4] {
			i = i*10 + int(c-'0')
		}
		text = after[4:]
		left -= p.inlinePicture(out, p.view.refs[i], left)
	}
}

// inlinePicture writes a picture as a data: address; nothing if it is none, or too large. It returns the octets it has.
func (p *Page) inlinePicture(out *counter, ref inlinePart, left int64) int64 {
	if ref.part.Body.Size > left {
		return 0
	}
	r := p.view.open(ref.part, ref.path)
	head := make([]byte, 64)
	n, err := io.ReadFull(r, head)
	typ := PictureType(head[:n])
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF || typ == "" {
		return 0
	}
	out.text("data:" + typ + ";base64,")
	enc := base64.NewEncoder(base64.StdEncoding, out)
	_, _ = enc.Write(head[:n]) // out remembers its errors
	size, err := io.Copy(enc, r)
	if err != nil && out.err == nil {
		out.err = err
	}
	_ = enc.Close()
	return size + int64(n)
}

// counter counts what was written, and writes nothing after an error.
type counter struct {
	w   io.Writer
	n   int64
	err error
}

func (c *counter) Write(b []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.w.Write(b)
	c.n += int64(n)
	c.err = err
	return n, err
}

func (c *counter) text(s string) { _, _ = io.WriteString(c, s) }
