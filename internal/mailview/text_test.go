package mailview

import (
	"strconv"
	"strings"
	"testing"
)

func textOf(t *testing.T, raw string) string {
	t.Helper()
	v := viewOf(t, raw, nil, Options{})
	text, _, err := v.Text(v.Blocks[0], TextOptions{Summary: func(n int) string { return strconv.Itoa(n) + " <lines>" }})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestText(t *testing.T) {
	link := func(s string) string {
		return `<a href="` + s + `" target="_blank" rel="noopener noreferrer nofollow">` + s + `</a>`
	}
	flowed := "Content-Type: text/plain; format=flowed\n\n"
	for _, c := range []struct{ name, raw, want string }{
		{"escaped", "\n<b>&\"'\n", "&lt;b&gt;&amp;&#34;&#39;\n"},
		{"links", "\nsee http://a.example/x?y=1&z, (https://b.example/w_(x)) <mailto:a@b>.\n",
			"see " + strings.ReplaceAll(link("http://a.example/x?y=1&z"), "&z", "&amp;z") + ", (" + link("https://b.example/w_(x)") + ") &lt;" +
				link("mailto:a@b") + "&gt;.\n"},
		{"no links", "\njavascript:alert(1) xhttp://a http:/a https:// mailto: data:x ftp://a file:///x\n",
			"javascript:alert(1) xhttp://a http:/a https:// mailto: data:x ftp://a file:///x\n"},
		{"short quote", "\nhi\n> a\n>> b\n> c\nbye\n", "hi\n" + `<div class="q q1">a` + "\n" + `</div><div class="q q2">b` + "\n" +
			`</div><div class="q q1">c` + "\n</div>bye\n"},
		{"long quote", "\n" + strings.Repeat("> x\n", 6), `<details class="quote"><summary>6 &lt;lines&gt;</summary><div class="q q1">` +
			strings.Repeat("x\n", 6) + "</div></details>"},
		{"signature", "\na\n-- \nme\n> q\n", "a\n" + `<div class="signature">-- ` + "\nme\n" + `<div class="q q1">q` + "\n</div></div>"},
		{"flowed", flowed + "one \ntwo\n>  three \n> four\n > five\n-- \nsix\n", "one two\n" + `<div class="q q1"> three four` + "\n</div>" +
			"&gt; five\n" + `<div class="signature">-- ` + "\nsix\n</div>"},
		{"flowed, delsp", strings.Replace(flowed, "flowed", "flowed; delsp=yes", 1) + "o \nne\n", "one\n"},
		{"control characters", "\na\x1b[1mb\tc\x00\u202ed\n", "a[1mb\tc\u202ed\n"},
		{"latin1 unlabelled", "\ncaf\xe9\n", "café\n"},
		{"enriched", "Content-Type: text/enriched\n\n<bold>a</bold> <<b>\nc\n\nd<param>no</param>\n", "a &lt;b&gt; c\nd\n"},
		{"richtext", "Content-Type: text/richtext\n\n<bold>a</bold>\n<lt>b<nl>c\n", "a &lt;b\nc\n"},
	} {
		if !strings.HasPrefix(c.raw, "\n") {
			c.raw = "MIME-Version: 1.0\n" + c.raw
		} else {
			c.raw = "Subject: x\n" + c.raw
		}
		if got := textOf(t, c.raw); got != c.want {
			t.Errorf("%s:\n%q, want\n%q", c.name, got, c.want)
		}
	}
}

func TestSafeName(t *testing.T) {
	for in, want := range map[string]string{
		"a.txt": "a.txt", "Grüße 日本.pdf": "Grüße 日本.pdf", "../../etc/passwd": "passwd", `C:\x\y.exe`: "y.exe", "..": "", "": "", "/": "",
		".hidden": "hidden", "a\r\nb.txt": "a b.txt", "gpj\u202eexe.txt": "gpjexe.txt", `a"b<c>d|e?f*g:h`: "a_b_c_d_e_f_g_h", "CON.txt": "_CON.txt",
		"com1": "_com1", "common": "common", "x. . ": "x", "???": "", "a\x00b": "ab", "-rf": "rf", "~": "",
		strings.Repeat("ü", 300) + ".html": strings.Repeat("ü", 97) + ".html",
	} {
		if got := SafeName(in); got != want {
			t.Errorf("SafeName(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestStyles(t *testing.T) {
	s := styler{picture: func(a string) (string, bool) { return a, strings.HasPrefix(a, "ok:") }}
	for _, c := range []struct{ in, want string }{
		{"p{color:red}", "p{color:red;}\n"},
		{"p , b.c > #d:hover::before{margin:0 auto!important;}", "p,b.c>#d:hover::before{margin:0 auto!important;}\n"},
		{"@media screen and (max-width:600px){td[class=x]{width:100%!important}}", "@media screen and (max-width:600px){td[class=x]{width:100%!important;}\n}\n"},
		{"p{background:#fff url(ok:1) no-repeat}", "p{background:#fff url(\"ok:1\") no-repeat;}\n"},
		{"p{background:url( 'ok:a)b' )}", "p{background:url(\"ok:a%29b\");}\n"},
		{"p{background:#fff url(http://x)}", "p{background:#fff none;}\n"},
		{"p{color:red;behavior:url(ok:1);width:calc(1px + 2px)}", "p{color:red;width:calc(1px  +  2px);}\n"},
		{"p{position:fixed} b{position:relative}", "b{position:relative;}\n"},
		{"@import 'x'; @font-face{src:url(ok:1)} b{color:blue}", "b{color:blue;}\n"},
		{"<!-- b{color:blue} -->", "b{color:blue;}\n"},
		{"b{font-family:\"A B\",'C'}", "b{font-family:\"A B\",'C';}\n"},
		{"b{color:r\\65 d} i{color:red", "i{color:red;}\n"},
	} {
		if got := s.sheet(c.in); strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(c.want, " ", "") {
			t.Errorf("%q:\n%q, want\n%q", c.in, got, c.want)
		}
	}
	if got := s.style("color:red;x:y;background:url(ok:2);border-image:url(ok:3)"); got != `color:red;background:url("ok:2");` {
		t.Errorf("style %q", got)
	}
}
