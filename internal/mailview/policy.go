package mailview

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/microcosm-cc/bluemonday"
)

// policy is the list of what of HTML mail may show. There is no script in it, no form, no frame, no element with a grammar
// of its own (svg, math, style, title, xmp, noscript, template): so the text that comes out is read by every browser in
// the one way in which it was written.
var policy = func() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	elements := []string{
		"a", "abbr", "acronym", "address", "area", "article", "aside", "b", "bdi", "bdo", "big", "blockquote", "body", "br",
		"caption", "center", "cite", "code", "col", "colgroup", "dd", "del", "details", "dfn", "dir", "div", "dl", "dt", "em",
		"figcaption", "figure", "font", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "i", "img", "ins", "kbd",
		"li", "main", "map", "mark", "menu", "nav", "nobr", "ol", "p", "pre", "q", "rp", "rt", "ruby", "s", "samp", "section",
		"small", "span", "strike", "strong", "sub", "summary", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "time",
		"tr", "tt", "u", "ul", "var", "wbr",
	}
	p.AllowElements(elements...)
	p.AllowNoAttrs().OnElements(elements...)
	p.AllowAttrs("class", "dir", "id", "lang", "style", "title").Globally()
	p.AllowAttrs("role").Matching(regexp.MustCompile(`^(presentation|none)$`)).Globally()
	p.AllowAttrs("align", "valign", "width", "height", "bgcolor", "background", "nowrap", "border", "bordercolor").
		OnElements("body", "caption", "col", "colgroup", "div", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "img", "p", "pre",
			"table", "tbody", "td", "tfoot", "th", "thead", "tr")
	p.AllowAttrs("cellpadding", "cellspacing", "rules", "frame").OnElements("table")
	p.AllowAttrs("colspan", "rowspan", "headers", "scope", "abbr").OnElements("td", "th")
	p.AllowAttrs("span").OnElements("col", "colgroup")
	p.AllowAttrs("color", "face", "size").OnElements("font", "hr")
	p.AllowAttrs("text").OnElements("body")
	p.AllowAttrs("src", "alt", "hspace", "vspace", "usemap").OnElements("img")
	p.AllowAttrs("href", "name").OnElements("a")
	p.AllowAttrs("href", "alt", "shape", "coords").OnElements("area")
	p.AllowAttrs("name").OnElements("map")
	p.AllowAttrs("start", "type", "value", "compact", "reversed").OnElements("ol", "ul", "li", "dl")
	p.AllowAttrs("open").OnElements("details")
	p.AllowAttrs("clear").OnElements("br")
	p.AllowAttrs("noshade").OnElements("hr")
	p.AllowAttrs("datetime").OnElements("time", "del", "ins")
	p.SkipElementsContent("svg", "math", "template", "select", "textarea", "audio", "video", "canvas", "applet", "xml")

	p.RequireParseableURLs(true)
	p.AllowRelativeURLs(true) // places in the mail itself, and parts named by Content-Location; rewrite drops all others
	p.AllowURLSchemes("http", "https", "mailto", "cid")
	p.AllowURLSchemeWithCustomPolicy("data", func(u *url.URL) bool { return dataPicture.MatchString(u.String()) })
	return p
}()

// dataPicture is a picture that stands in its own address (RFC 2397). SVG is a document and not among them.
var dataPicture = regexp.MustCompile(`^data:image/(png|jpe?g|gif|webp|avif|bmp);base64,[A-Za-z0-9+/]+={0,2}$`)

// linkScheme tells whether an address leads to where a link in a mail may lead.
func linkScheme(address string) bool {
	scheme, _, ok := strings.Cut(address, ":")
	if !ok {
		return false
	}
	switch strings.ToLower(scheme) {
	case "http", "https", "mailto":
		return true
	}
	return false
}
