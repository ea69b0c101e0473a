package mailview

import (
	"bytes"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"postroom/internal/mailview/hostile"
	"postroom/internal/message"
	"postroom/internal/message/mailtest"
)

const beacon = "http://127.0.0.1:1/beacon-"

// mailElements are those that a page of mail may have, its own among them.
var mailElements = names(`html head body meta title style a abbr acronym address area article aside b bdi bdo big blockquote br
	caption center cite code col colgroup dd del details dfn dir div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6
	header hr i img ins kbd li main map mark menu nav nobr ol p pre q rp rt ruby s samp section small span strike strong sub
	summary sup table tbody td tfoot th thead time tr tt u ul var wbr`)

// checkPage reads a document as a browser does and looks for what could run, fetch or lead somewhere.
func checkPage(t *testing.T, doc string) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(doc))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type == html.CommentNode {
			t.Errorf("comment %.80q", n.Data)
		}
		if n.Type != html.ElementNode {
			continue
		}
		if n.Namespace != "" || !mailElements[n.Data] {
			t.Errorf("element %q", n.Data)
		}
		if n.Data == "style" && n.FirstChild != nil {
			checkSheet(t, n.FirstChild.Data)
		}
		for _, a := range n.Attr {
			v := strings.ToLower(strings.TrimSpace(a.Val))
			switch {
			case strings.HasPrefix(a.Key, "on"), a.Key == "srcset", a.Key == "action", a.Key == "ping", a.Key == "srcdoc":
				t.Errorf("attribute %s of %s", a.Key, n.Data)
			case a.Key == "src", a.Key == "background":
				if v != "" && !dataPicture.MatchString(a.Val) {
					t.Errorf("%s=%.80q of %s", a.Key, a.Val, n.Data)
				}
			case a.Key == "href":
				if !linkScheme(v) && !strings.HasPrefix(v, "#") {
					t.Errorf("href %.80q", a.Val)
				}
			case a.Key == "style":
				checkSheet(t, a.Val)
			}
		}
	}
}

// cssText is a quoted string that is no address.
var cssText = regexp.MustCompile(`(^|[^(]|[^l]\()("[^"]*"|'[^']*')`)

// checkSheet wants nothing in a sheet that fetches, not even as an escape. What a string says does not matter, but where
// an address stands.
func checkSheet(t *testing.T, sheet string) {
	t.Helper()
	low := cssText.ReplaceAllString(strings.ToLower(sheet), "$1")
	for _, bad := range []string{"beacon", "\\", "@import", "@font", "expression", "behavior", "binding", "position:fixed", "position:sticky", "image-set",
		"/*", "javascript", "var(", "src("} {
		if strings.Contains(low, bad) {
			t.Errorf("%q in the sheet %.300q", bad, sheet)
		}
	}
	if strings.Contains(sheet, "<") {
		t.Errorf("markup in the sheet %.300q", sheet)
	}
	for rest := low; ; {
		before, after, ok := strings.Cut(rest, "url(")
		if strings.ContainsAny(before, `"'`) && !strings.HasPrefix(before, `"data:image/`) {
			t.Errorf("an open string in %.300q", sheet)
		}
		if !ok {
			return
		}
		if rest = after; !strings.HasPrefix(rest, `"data:image/`) {
			t.Errorf("url(%.60q", rest)
		}
	}
}

// showAll makes all that there is to show of a message and what it embeds, and checks it.
func showAll(t *testing.T, raw []byte, path []int, depth int) {
	t.Helper()
	src := bytes.NewReader(raw)
	m, err := message.Parse(src)
	if err != nil {
		t.Fatal(err)
	}
	for _, plain := range []bool{false, true} {
		v, err := New(src, m, path, Options{Plain: plain})
		if err != nil {
			t.Fatal(err)
		}
		checkLine(t, v.Subject())
		for _, a := range message.DisplayAddresses(v.Envelope.From) {
			checkLine(t, a.Name)
			checkLine(t, a.Addr)
		}
		for _, b := range v.Blocks {
			text, _, err := v.Text(b, TextOptions{Summary: func(int) string { return "…" }})
			if err != nil {
				t.Fatal(err)
			}
			checkText(t, string(text))
			if b.Format != HTML {
				continue
			}
			page, err := v.Page(b, false)
			if err != nil {
				t.Fatal(err)
			}
			var doc strings.Builder
			if _, err := page.WriteTo(&doc); err != nil {
				t.Fatal(err)
			}
			checkPage(t, doc.String())
		}
		for _, a := range v.Attachments {
			checkName(t, a.Name)
			checkLine(t, a.Type)
			r, err := Open(src, m, a.Path)
			if err == nil {
				_, err = io.Copy(io.Discard, r)
			}
			if err != nil {
				t.Errorf("part %v: %v", a.Path, err)
			}
			if a.Message && !plain && depth < 3 {
				showAll(t, raw, a.Path, depth+1)
			}
		}
	}
}

func checkLine(t *testing.T, s string) {
	t.Helper()
	if message.Printable(s) != s {
		t.Errorf("%q is not fit for a line", s)
	}
}

func checkName(t *testing.T, s string) {
	t.Helper()
	checkLine(t, s)
	if s == "" || len(s) > 255 || strings.ContainsAny(s, `/\<>:"|?*`) || s[0] == '.' {
		t.Errorf("file name %q", s)
	}
}

// checkText wants nothing but what textWriter writes.
func checkText(t *testing.T, text string) {
	t.Helper()
	z := html.NewTokenizer(strings.NewReader(text))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return
		case html.StartTagToken, html.SelfClosingTagToken, html.CommentToken, html.DoctypeToken:
			tok := z.Token()
			switch tok.Data {
			case "div", "details", "summary":
				for _, a := range tok.Attr {
					if a.Key != "class" {
						t.Errorf("attribute %s in text", a.Key)
					}
				}
			case "a":
				if len(tok.Attr) != 3 || !linkScheme(tok.Attr[0].Val) {
					t.Errorf("link %v", tok.Attr)
				}
			default:
				t.Errorf("element %.80q in text", tok.Data)
			}
		}
	}
}

func TestHostile(t *testing.T) {
	mails := hostile.Mails(beacon)
	if len(mails) < 150 {
		t.Fatalf("%d mails", len(mails))
	}
	for _, mail := range mails {
		t.Run(mail.Name, func(t *testing.T) {
			began := time.Now()
			showAll(t, mail.Raw, nil, 0)
			if d := time.Since(began); d > 20*time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
}

// TestChecksWork: what TestHostile looks for it would find.
func TestChecksWork(t *testing.T) {
	for _, doc := range []string{`<script>x</script>`, `<img src="http://x/">`, `<p onclick=x>`, `<a href="javascript:x">x</a>`, `<svg></svg>`,
		`<style>p{background:url("http://x")}</style>`, `<p style="position:fixed">`, `<!--x-->`, `<form action=x></form>`, `<p style="\75rl(x)">`} {
		var inner testing.T
		checkPage(&inner, doc)
		if !inner.Failed() {
			t.Errorf("%q passes", doc)
		}
	}
}

func FuzzShow(f *testing.F) {
	for _, mail := range hostile.Mails(beacon) {
		if len(mail.Raw) < 20<<10 {
			f.Add(mail.Raw)
		}
	}
	for i := range uint64(50) {
		f.Add(mailtest.Message(7, i))
	}
	f.Fuzz(func(t *testing.T, raw []byte) { showAll(t, raw, nil, 0) })
}

func FuzzHTML(f *testing.F) {
	for _, mail := range hostile.Mails(beacon) {
		if _, body, ok := bytes.Cut(mail.Raw, []byte("\r\n\r\n")); ok && len(body) < 4<<10 {
			f.Add(string(body))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := newCleaner(func(string) (string, bool) { return "", false }, false)
		sheet, body := c.clean(text)
		checkPage(t, "<!DOCTYPE html><html><head><style>"+sheet+"</style></head><body>"+body+"</body></html>")
		if t.Failed() {
			t.Logf("of %q", text)
		}
	})
}

// TestSlowHTML: mail made to be dear to clean is not.
func TestSlowHTML(t *testing.T) {
	for _, s := range []string{"<", "<a ", "<a href=x ", "<div>", "<p style='a:b;", "<svg>", "</p>", "<b><table>", "&", "<!--", "<style>a{",
		"<style>a{b:(", "<p style='color:(((('>", "<img src=data:image/png;base64,", "<a href='http://x/%'>", "<title>", "<nosuch>", "a=\"",
		"<style>@media x{", "<p style=\"background:url(", "<font color=a>", "<![CDATA["} {
		for _, text := range []string{strings.Repeat(s, maxHTML/len(s)), "<a " + strings.Repeat(s, maxHTML/len(s)), "<style>" + strings.Repeat(s, maxHTML/len(s))} {
			began := time.Now()
			c := newCleaner(func(string) (string, bool) { return "", false }, false)
			sheet, body := c.clean(text)
			if d := time.Since(began); d > 15*time.Second || len(sheet) > maxCleaned || len(body) > maxCleaned+maxHTML*6 {
				t.Errorf("many of %q: %v, %d and %d octets", s, d, len(sheet), len(body))
			}
			if d := time.Since(began); d > time.Second {
				t.Logf("many of %q: %v", text[:30], d)
			}
		}
	}
}
