package mailview

import (
	"bytes"
	"io"
	"regexp"
	"strings"

	"golang.org/x/net/html"

	"postroom/internal/message"
)

const (
	maxHTML    = 2 << 20 // octets of UTF-8 that are looked at
	maxCleaned = 8 << 20 // octets that come out
	sniffHTML  = 1024    // where a document may name its charset
)

// cleaner makes of a sender's HTML a document that shows the same and does nothing. Three steps: what styles there are is
// gathered; the policy leaves elements and attributes that cannot act; addresses and styles in what remains are rewritten.
type cleaner struct {
	styler
	// inline gives the address of a part that the mail shows inside itself, by its Content-ID or, for other schemes,
	// its Content-Location.
	inline func(address string) (string, bool)
	remote bool // pictures may be fetched
	// blocked counts the pictures that would have been fetched.
	blocked int
	out     strings.Builder
	cut     bool
}

func newCleaner(inline func(string) (string, bool), remote bool) *cleaner {
	c := &cleaner{inline: inline, remote: remote}
	c.picture = c.pictureAddress
	return c
}

// clean reads HTML in UTF-8 and gives the sheet of its style elements and its body.
func (c *cleaner) clean(text string) (sheet, body string) {
	if len(text) > maxHTML {
		text, c.cut = text[:maxHTML], true
	}
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "\uFFFD")
	sheet = c.sheet(styleElements(text))
	c.rewrite(policy.SanitizeReader(strings.NewReader(text)))
	return sheet, c.out.String()
}

// styleElements gives the content of all style elements.
func styleElements(text string) string {
	var out strings.Builder
	z := html.NewTokenizer(strings.NewReader(text))
	inside := false
	for out.Len() < maxSheet {
		switch z.Next() {
		case html.ErrorToken:
			return out.String()
		case html.StartTagToken:
			name, _ := z.TagName()
			inside = string(name) == "style"
		case html.TextToken:
			if inside {
				raw := z.Raw()
				out.Write(raw[:min(len(raw), maxSheet-out.Len())])
				out.WriteByte('\n')
			}
		default:
			inside = false
		}
	}
	return out.String()
}

// rewrite reads what the policy left and writes it with its addresses and styles made harmless.
func (c *cleaner) rewrite(r io.Reader) {
	z := html.NewTokenizer(r)
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			return
		}
		t := z.Token()
		if c.out.Len() > maxCleaned {
			c.cut = true
			return
		}
		switch kind {
		case html.StartTagToken, html.SelfClosingTagToken:
			c.attributes(&t)
			fallthrough
		case html.EndTagToken:
			if t.Data == "body" {
				t.Data = "div" // the frame has its own, in which this one's look goes on
			}
			c.out.WriteString(t.String())
		case html.TextToken:
			c.out.WriteString(t.String())
		}
	}
}

func (c *cleaner) attributes(t *html.Token) {
	kept := t.Attr[:0]
	isLink := t.Data == "a" || t.Data == "area"
	for _, a := range t.Attr {
		ok := a.Namespace == ""
		switch a.Key {
		case "style":
			a.Val = c.style(a.Val[:min(len(a.Val), maxStyle)])
			ok = ok && a.Val != ""
		case "src", "background":
			var shown bool
			if a.Val, shown = c.pictureAddress(a.Val); !shown {
				a = html.Attribute{Key: "data-blocked"}
			}
		case "href":
			if strings.HasPrefix(a.Val, "#") {
				break
			}
			if ok = ok && isLink && linkScheme(a.Val); ok {
				kept = append(kept, html.Attribute{Key: "target", Val: "_blank"},
					html.Attribute{Key: "rel", Val: "noopener noreferrer nofollow"})
			}
		case "usemap":
			ok = ok && strings.HasPrefix(a.Val, "#")
		}
		if ok {
			kept = append(kept, a)
		}
	}
	t.Attr = kept
}

// pictureAddress gives the address under which a picture may be shown.
func (c *cleaner) pictureAddress(address string) (string, bool) {
	scheme, rest, _ := strings.Cut(address, ":")
	switch strings.ToLower(scheme) {
	case "cid":
		return c.inline("cid:" + rest)
	case "data":
		return address, dataPicture.MatchString(address)
	case "http", "https":
		if shown, ok := c.inline(address); ok {
			return shown, true // Content-Location
		}
		if !strings.HasPrefix(rest, "//") {
			return "", false
		}
		if !c.remote {
			c.blocked++
		}
		return address, c.remote
	}
	if shown, ok := c.inline(address); ok {
		return shown, true
	}
	if strings.HasPrefix(address, "//") { // of the scheme that the mail came by: none
		c.blocked++
	}
	return "", false
}

var metaCharset = regexp.MustCompile(`(?i)<meta[^>]{0,200}charset\s*=\s*["']?([a-z0-9_:.-]{1,40})`)

// htmlReader reads HTML of a charset as UTF-8. One that the header does not name is looked for in the document.
func htmlReader(r io.Reader, charset string) (io.Reader, error) {
	switch charset {
	case "", "us-ascii", "ascii":
		head := make([]byte, sniffHTML)
		n, err := io.ReadFull(r, head)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return nil, err
		}
		head = head[:n]
		if m := metaCharset.FindSubmatch(head); m != nil {
			charset = string(m[1])
		}
		if strings.HasPrefix(strings.ToLower(charset), "utf-16") || strings.EqualFold(charset, "utf-7") {
			charset = "" // a document that can be read so far is in neither
		}
		r = io.MultiReader(bytes.NewReader(head), r)
	}
	return message.NewTextReader(r, charset), nil
}
