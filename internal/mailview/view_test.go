package mailview

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"postroom/internal/message"
)

const gif = "R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="

// viewOf makes the View of a message written with LF.
func viewOf(t *testing.T, raw string, path []int, opt Options) *View {
	t.Helper()
	src := strings.NewReader(raw)
	m, err := message.Parse(src)
	if err != nil {
		t.Fatal(err)
	}
	v, err := New(src, m, path, opt)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// shape says what is shown and what is attached: "html 1.2 | a.png 2".
func shape(v *View) string {
	var words []string
	for _, b := range v.Blocks {
		w := []string{"plain", "html", "enriched"}[b.Format] + " " + FormatPath(b.Path)
		if b.Other {
			w += " (other)"
		}
		words = append(words, w)
	}
	words = append(words, "|")
	for _, a := range v.Attachments {
		w := a.Name + " " + FormatPath(a.Path)
		if a.Inline {
			w += " (inline)"
		}
		words = append(words, w)
	}
	return strings.Join(words, " ")
}

// multi writes a multipart; a part is its header fields after Content-Type, an empty line, and its body.
func multi(typ string, parts ...string) string {
	b := fmt.Sprintf("b%d", len(strings.Join(parts, "")))
	var out strings.Builder
	out.WriteString("Content-Type: multipart/" + typ + "; boundary=" + b + "\n\n")
	for _, p := range parts {
		out.WriteString("--" + b + "\n" + p + "\n")
	}
	return out.String() + "--" + b + "--\n"
}

func leaf(typ, more, body string) string {
	if more != "" {
		more += "\n"
	}
	return "Content-Type: " + typ + "\n" + more + "\n" + body
}

func TestShape(t *testing.T) {
	plain, html := leaf("text/plain", "", "p"), leaf("text/html", "", "<p>h")
	png := leaf("image/png; name=a.png", "Content-ID: <a@b>", "x")
	attached := leaf("text/plain", "Content-Disposition: attachment; filename=t.txt", "x")
	calendar := leaf("text/calendar; method=REQUEST", "", "BEGIN:VCALENDAR")
	for _, c := range []struct{ name, msg, want, wantPlain string }{
		{"nothing but text", "Subject: x\n\nbody", "plain 1 |", ""},
		{"HTML alone", html, "html 1 |", ""},
		{"alternative", multi("alternative", plain, html), "html 2 (other) |", "plain 1 (other) |"},
		{"alternative the wrong way round", multi("alternative", html, plain), "html 1 (other) |", "plain 2 (other) |"},
		{"alternative of one", multi("alternative", plain), "plain 1 |", ""},
		{"alternative with an invitation", multi("alternative", plain, html, calendar), "html 2 (other) | part-3.ics 3", "plain 1 (other) | part-3.ics 3"},
		{"alternative with AMP", multi("alternative", plain, leaf("text/x-amp-html", "", "x"), html), "html 3 (other) |", "plain 1 (other) |"},
		{"related", multi("related", html, png), "html 1 | a.png 2 (inline)", ""},
		{"related with start", multi(`related; start="<r>"`, png, leaf("text/html", "Content-ID: <r>", "h")), "html 2 | a.png 1 (inline)", ""},
		{"all in all", multi("mixed", multi("alternative", plain, multi("related", html, png)), attached),
			"html 1.2.1 (other) | a.png 1.2.2 (inline) t.txt 2", "plain 1.1 (other) | a.png 1.2.2 (inline) t.txt 2"},
		{"text, picture, text", multi("mixed", plain, png, plain), "plain 1 plain 3 | a.png 2", ""},
		{"a list's footer", multi("mixed", html, plain), "html 1 plain 2 |", ""},
		{"text with a name is attached", multi("mixed", plain, leaf("text/plain; name=n.log", "", "x")), "plain 1 | n.log 2", ""},
		{"but not if it is the message", multi("mixed", leaf("text/plain; name=n.log", "", "x"), png), "plain 1 | a.png 2", ""},
		{"signed", multi("signed", plain, leaf("application/pgp-signature", "", "x")), "plain 1 | part-2.asc 2", ""},
		{"a report", multi("report", plain, leaf("message/delivery-status", "", "Status: 5.1.1"), leaf("message/rfc822", "", "Subject: s: 1\n\nx")),
			"plain 1 plain 2 | s_ 1.eml 3", ""},
		{"digest", multi("digest", "\nSubject: one\n\nx", "\nSubject: two\n\ny"), "| one.eml 1 two.eml 2", ""},
		{"embedded alone", leaf("message/rfc822", "", "Subject: in\n\nx"), "| in.eml 1", ""},
		{"nothing to show", leaf("application/pdf", "", "%PDF-"), "| part-1.pdf 1", ""},
		{"unknown multipart", multi("x-new", plain, html), "plain 1 html 2 |", ""},
		{"enriched", leaf("text/enriched", "", "<bold>x"), "enriched 1 |", ""},
		{"empty multipart", "Content-Type: multipart/mixed; boundary=x\n\nnothing", "|", ""},
	} {
		for _, want := range []struct {
			shape string
			plain bool
		}{{c.want, false}, {c.wantPlain, true}} {
			if want.shape == "" {
				want.shape = c.want
			}
			v := viewOf(t, "MIME-Version: 1.0\n"+c.msg, nil, Options{Plain: want.plain})
			if got := strings.TrimSpace(shape(v)); got != want.shape {
				t.Errorf("%s (plain %v): %q, want %q", c.name, want.plain, got, want.shape)
			}
		}
	}
}

func TestEmbedded(t *testing.T) {
	inner := "Subject: =?utf-8?q?inn=C3=A9r?=\nFrom: a@b\nMIME-Version: 1.0\n" + multi("mixed", leaf("text/plain", "", "deep text"), leaf("image/gif", "Content-Transfer-Encoding: base64", gif))
	raw := "MIME-Version: 1.0\nSubject: outer\n" + multi("mixed", leaf("text/plain", "", "x"), leaf("message/rfc822", "", inner))
	v := viewOf(t, raw, []int{2}, Options{})
	if v.Subject() != "innér" || shape(v) != "plain 2.1 | part-2.2.gif 2.2" {
		t.Errorf("subject %q, %s", v.Subject(), shape(v))
	}
	if text, err := v.PlainText(v.Blocks[0]); text != "deep text\n" || err != nil {
		t.Errorf("text %q, %v", text, err)
	}
	m, _ := message.Parse(strings.NewReader(raw))
	r, err := Open(strings.NewReader(raw), m, []int{2, 2})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); PictureType(b) != "image/gif" || err != nil {
		t.Errorf("picture %q, %v", b, err)
	}
	if a, err := Part(m, []int{2}); !a.Message || a.Name != "innér.eml" || err != nil {
		t.Errorf("embedded: %+v, %v", a, err)
	}
	for _, path := range [][]int{{1}, {3}, {2, 9}, {0}, {-1}} {
		if _, err := New(strings.NewReader(raw), m, path, Options{}); !errors.Is(err, ErrNoPart) {
			t.Errorf("New at %v: %v", path, err)
		}
	}
	if _, err := Open(strings.NewReader(raw), m, nil); !errors.Is(err, ErrNoPart) {
		t.Errorf("Open of the message: %v", err)
	}
}

func TestPath(t *testing.T) {
	for in, want := range map[string][]int{"": nil, "1": {1}, "1.20.3": {1, 20, 3}} {
		if got, err := ParsePath(in); !slices.Equal(got, want) || err != nil || FormatPath(got) != in {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"0", "1.", ".1", "01", "1.x", "-1", "+1", "70000", "1..2", strings.Repeat("1.", 300) + "1"} {
		if _, err := ParsePath(in); !errors.Is(err, ErrNoPart) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestPage(t *testing.T) {
	html := `<style>p{color:red}</style><body bgcolor=#eee><p>hi <img src="cid:a@b"><img src="cid:a%40b" width=1><img src="http://x.example/t.gif">` +
		`<td background="https://x.example/b"></td><a href="https://x.example/">x</a><a href="#here">h</a><img src="cid:none">`
	raw := "MIME-Version: 1.0\n" + multi("related", leaf("text/html", "", html),
		leaf("image/x-wrong", "Content-ID: <a@b>\nContent-Transfer-Encoding: base64", gif), leaf("image/png; name=n.png", "Content-ID: <other>", "x"))
	v := viewOf(t, raw, nil, Options{})
	for _, remote := range []bool{false, true} {
		page, err := v.Page(v.Blocks[0], remote)
		if err != nil {
			t.Fatal(err)
		}
		var doc strings.Builder
		if n, err := page.WriteTo(&doc); n != int64(doc.Len()) || err != nil {
			t.Fatal(n, err)
		}
		got := doc.String()
		if n := strings.Count(got, "data:image/gif;base64,"+gif); n != 2 {
			t.Errorf("the inline picture stands there %d times in %s", n, got)
		}
		for _, want := range []string{"p{color:red;}", `<div bgcolor="#eee">`, `href="#here"`, `rel="noopener noreferrer nofollow"`, `target="_blank"`} {
			if !strings.Contains(got, want) {
				t.Errorf("no %q in %s", want, got)
			}
		}
		if strings.Contains(got, `src="http://x.example/t.gif"`) != remote || strings.Contains(got, `https://x.example/b`) != remote {
			t.Errorf("remote %v: %s", remote, got)
		}
		if want := map[bool]int{false: 2, true: 0}[remote]; page.Blocked != want {
			t.Errorf("remote %v: %d blocked, want %d", remote, page.Blocked, want)
		}
		if strings.Contains(got, page.marker) {
			t.Error("a marker is left")
		}
	}
	if left := v.Shown(); len(left) != 1 || left[0].Name != "n.png" {
		t.Errorf("attachments left: %v", left)
	}
}

// TestInlineBounded: a small mail does not become an endless page.
func TestInlineBounded(t *testing.T) {
	raw := "MIME-Version: 1.0\n" + multi("related", leaf("text/html", "", strings.Repeat(`<img src="cid:a">`, 10000)),
		leaf("image/gif", "Content-ID: <a>", "GIF89a"+strings.Repeat("x", 1<<20)))
	v := viewOf(t, raw, nil, Options{})
	page, err := v.Page(v.Blocks[0], false)
	if err != nil {
		t.Fatal(err)
	}
	n, err := page.WriteTo(io.Discard)
	if n > 50<<20 || n < 20<<20 || err != nil {
		t.Errorf("%d octets, %v", n, err)
	}
}

func TestLong(t *testing.T) {
	v := viewOf(t, "Content-Type: text/html\n\n"+strings.Repeat("<p>x&amp;</p>\n", 1<<18), nil, Options{})
	page, err := v.Page(v.Blocks[0], false)
	if err != nil || !page.Cut {
		t.Errorf("cut %v, %v", page.Cut, err)
	}
	v = viewOf(t, "Subject: x\n\n"+strings.Repeat("text with < and >\n", 1<<17), nil, Options{})
	text, cut, err := v.Text(v.Blocks[0], TextOptions{})
	if !cut || err != nil || len(text) > maxTextOut+1<<10 {
		t.Errorf("%d octets, cut %v, %v", len(text), cut, err)
	}
	v = viewOf(t, "MIME-Version: 1.0\n"+multi("mixed", slices.Repeat([]string{leaf("text/plain", "", "x")}, 1200)...), nil, Options{})
	if len(v.Blocks) != maxBlocks || len(v.Attachments) != maxAttachments || !v.Cut {
		t.Errorf("%d blocks, %d attachments, cut %v", len(v.Blocks), len(v.Attachments), v.Cut)
	}
}

func TestMetaCharset(t *testing.T) {
	for _, c := range []struct{ typ, body, want string }{
		{"text/html", `<meta charset="koi8-r">` + "\xf0", "П"},
		{"text/html", `<meta http-equiv=Content-Type content="text/html; charset=iso-8859-15">` + "\xa4", "€"},
		{"text/html; charset=utf-8", `<meta charset=koi8-r>` + "ü", "ü"},
		{"text/html", "\xfc", "ü"},
	} {
		v := viewOf(t, "Content-Type: "+c.typ+"\n\n"+c.body, nil, Options{})
		page, err := v.Page(v.Blocks[0], false)
		if err != nil || !strings.Contains(page.body, c.want) {
			t.Errorf("%s, %q: %q, %v", c.typ, c.body, page.body, err)
		}
	}
}
