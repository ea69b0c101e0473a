package compose

import (
	"strings"
	"testing"
)

func TestParseList(t *testing.T) {
	for _, c := range []struct{ typed, want string }{
		{"", ""},
		{" , ;\n", ""},
		{"a@b.example", "a@b.example"},
		{"A@Bücher.Example; Bob <b@x.example>\nc@y.example", "A@xn--bcher-kva.example, Bob <b@x.example>, c@y.example"},
		{`"Doe, J." <j@x.example>, jörg@x.example`, `"Doe, J." <j@x.example>, jörg@x.example`},
		{"a+b.c@x.example (a, comment)", `"a, comment" <a+b.c@x.example>`},
		{`"odd local"@x.example`, `"odd local"@x.example`},
		{"a@[192.0.2.1]", "a@[192.0.2.1]"},
		{"bob", "!bob"},
		{"a@b.example, Bob Exa", "!Bob Exa"},
		{"Bob <bob>", "!Bob <bob>"},
		{"a@", "!a@"},
		{"a@-x.example", "!a@-x.example"},
		{"a b@x.example c", "!a b@x.example c"},
		{"<a@b.example> <c@d.example>", "!<a@b.example> <c@d.example>"},
		{"Bcc: a@x.example", "!Bcc: a@x.example"},
		{"\"open <a@b.example>\nb@x.example", "!\"open <a@b.example>"},
		{strings.Repeat("x", 65) + "@x.example", "!" + strings.Repeat("x", 65) + "@x.example"},
		{"a@b..example", "!a@b..example"},
		{"a\u202e@x.example", "!a\u202e@x.example"},
	} {
		list, err := ParseList(c.typed)
		got := formatList(list)
		if bad, ok := err.(*BadAddress); ok {
			got = "!" + bad.Typed
		} else if err != nil {
			t.Errorf("%q: %v", c.typed, err)
		}
		if got != c.want {
			t.Errorf("%q gives %q, want %q (%v)", c.typed, got, c.want, err)
		}
	}
}

func TestFlow(t *testing.T) {
	long := strings.Repeat("word ", 40) + "end"
	for _, line := range strings.Split(strings.TrimSuffix(flow(long+"\n> "+long), "\r\n"), "\r\n") {
		if len(line) > 78 {
			t.Errorf("a line of %d octets", len(line))
		}
	}
	for _, text := range []string{
		"a\n", "\n\na\n", "a  \n", "> a\n", ">> a\n", "> > a\n", " a\n", "From a\n", "-- \na\n", "> -- \n> a\n", long + "\n", "> " + long + "\n> next\n", long + "  two  " + long + "\n",
	} {
		want := strings.ReplaceAll(strings.ReplaceAll(text, "> > a", ">> a"), "a  \n", "a\n")
		want = strings.ReplaceAll(want, "> -- \n", "> --\n")
		if got := unflow(strings.ReplaceAll(flow(text), "\r\n", "\n"), false); got != want {
			t.Errorf("%q came back as %q", text, got)
		}
	}
	if got := unflow("a \nb\n> q \nc \n", true); got != "ab\n> q\nc\n" {
		t.Errorf("DelSp: %q", got)
	}
}

func FuzzFlow(f *testing.F) {
	f.Add("a b\n> c\n-- \n")
	f.Fuzz(func(t *testing.T, text string) {
		text = cleanText(text)
		out := flow(text)
		back := unflow(strings.ReplaceAll(out, "\r\n", "\n"), false)
		words := func(s string) string { return strings.Join(strings.Fields(strings.ReplaceAll(s, ">", " ")), " ") }
		if words(back) != words(text) {
			t.Errorf("%q came back as %q", text, back)
		}
	})
}

func TestHTMLText(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"<p class=x>One <b>two</b></p><p style='a'>three</p>", "One two\n\nthree\n"},
		{"a<br />b<BR style='x'>c<div>d</div><div>e</div>", "a\nb\nc\nd\ne\n"},
		{"<head><title>no</title><style>p{}</style></head><body>yes<script>no()</script>&amp;&nbsp;&lt;", "yes& <\n"},
		{"<ul><li>one<li>two</ul>", "- one\n- two\n"},
		{"see <a href='https://x.example/a'>this</a> and <a href='https://x.example/'>https://x.example</a> <a href='javascript:x'>no</a>", "see this <https://x.example/a> and https://x.example no\n"},
		{"top<blockquote>one<p>two</p></blockquote>end", "top\n> one\n>\n> two\n\nend\n"},
		{"<pre>a  b\n  c</pre>", "a  b\n  c\n"},
		{"<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc\n"},
		{"x<img src='cid:1' alt='logo'>y", "x [logo] y\n"},
		{"<!-- > no --><title>open", ""},
		{"unclosed <b", "unclosed\n"},
	} {
		if got := htmlText(c.in, 1000); got != c.want {
			t.Errorf("%q gives %q, want %q", c.in, got, c.want)
		}
	}
	if got := htmlText(strings.Repeat("<blockquote>x", 100000), 1000); len(got) > 1100 {
		t.Errorf("%d octets", len(got))
	}
}
