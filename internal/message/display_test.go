package message

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"
)

func TestDecodeText(t *testing.T) {
	for _, c := range []struct{ raw, want string }{
		{"", ""},
		{"plain", "plain"},
		{"=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"},
		{"=?UTF-8?B?R3LDvMOfZQ==?= an alle", "Grüße an alle"},
		{"=?utf-8?q?a?=  \r\n =?utf-8?q?b?=", "ab"},
		{"=?utf-8?q?a?= - =?utf-8?q?b?=", "a - b"},
		{"=?utf-8?b?w7w=?= =?iso-8859-1?q?=FC?=", "üü"},
		{"=?utf-8?q?=C3?= =?utf-8?q?=BC?=", "ü"},                         // cut in two
		{"=?iso-2022-jp?b?GyRCRnxLXDhsGyhC?=", "日本語"},                    // escapes
		{"=?utf-7?q?+AOQ-?=", "ä"},                                       // RFC 1642
		{"=?iso-8859-1*de?q?=FC?=", "ü"},                                 // RFC 2231 section 5
		{"=?x-none?q?caf=E9?=", "café"},                                  // unknown: guessed
		{"caf\xe9 \xc3\xbc", "café ü"},                                   // raw, of both kinds
		{"=?us-ascii?q?=C3=BC?=", "ü"},                                   // not what it says
		{"=?utf-8?x?a?= =?utf-8?q?open", "=?utf-8?x?a?= =?utf-8?q?open"}, // no words
		{"=??q?a?=", "=??q?a?="},
		{"a=?utf-8?q?b?=c", "abc"},
		{"=?utf-8?q?=00=0A?=", "\x00\n"}, // Printable's to remove
	} {
		if got := DecodeText(c.raw); got != c.want {
			t.Errorf("DecodeText(%q) = %q, want %q", c.raw, got, c.want)
		}
	}
}

// TestDecodeTextBounded: headers made to be slow are not.
func TestDecodeTextBounded(t *testing.T) {
	for _, s := range []string{"=?a?q?x", "=?a?b??=", "=?", "=?utf-8?q?=C3?= "} {
		began := time.Now()
		if got := DecodeText(strings.Repeat(s, maxField/len(s))); !utf8.ValidString(got) {
			t.Errorf("many of %q: not UTF-8", s)
		}
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("many of %q: %v", s, d)
		}
	}
}

func TestPrintable(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"as it is, ü 日本 👩‍👩‍👧", "as it is, ü 日本 👩‍👩‍👧"},
		{"a\r\n b\tc", "a b c"},
		{"\n a  \n\n ", "a"},
		{"a\u2028b\u0085c", "a b c"},
		{"x\x00\x1b[31m\x7f\u009by", "x[31my"},
		{"invoice\u202egpj.exe", "invoicegpj.exe"},
		{"\u2066a\u2069\u200e\u200f\u061c", "a"},
		{"pay\u200bpal\ufeff\u00ad", "paypal"},
		{"a\xffb", "a\uFFFDb"},
		{"a\U0001fffeb\ufdd0", "ab"},
	} {
		if got := Printable(c.in); got != c.want {
			t.Errorf("Printable(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestParseAddresses(t *testing.T) {
	type list = []DisplayAddress
	for _, c := range []struct {
		in   string
		want list
	}{
		{"", nil},
		{"a@b", list{{"", "a@b"}}},
		{"=?utf-8?q?J=C3=BCrgen?= <j@x.example>, \"B, C\" <b@c>", list{{"Jürgen", "j@x.example"}, {"B, C", "b@c"}}},
		{"b@c (Bob)", list{{"Bob", "b@c"}}},
		{"Team: a@b, c@d;, e@f", list{{"", "a@b"}, {"", "c@d"}, {"", "e@f"}}},
		{"undisclosed-recipients:;", nil},
		{"J\xfcrgen <j\xfc@x>", list{{"Jürgen", "jü@x"}}},
		{`"a b"@c, "q\"q"@c`, list{{"", `"a b"@c`}, {"", `"q\"q"@c`}}},
		{"only a name", list{{"only a name", ""}}},
		{"root", list{{"", "root"}}},
		{"<@a,@b:c@d>", list{{"", "c@d"}}},
		{"a\u202e <\u202ea@b>", list{{"a", "a@b"}}},
		{"=?utf-8?q?a=0D=0ABcc=3A_x=40y?= <a@b>", list{{"a Bcc: x@y", "a@b"}}},
	} {
		if got := ParseAddresses(c.in); !slices.Equal(got, c.want) {
			t.Errorf("ParseAddresses(%q) = %q, want %q", c.in, got, c.want)
		}
	}
	for _, c := range []struct {
		a    DisplayAddress
		want string
	}{
		{DisplayAddress{"", "a@b"}, "a@b"},
		{DisplayAddress{"A", ""}, "A"},
		{DisplayAddress{"A B", "a@b"}, "A B <a@b>"},
		{DisplayAddress{`B, "C"`, "a@b"}, `"B, \"C\"" <a@b>`},
	} {
		if got := c.a.String(); got != c.want {
			t.Errorf("String of %q = %q, want %q", c.a, got, c.want)
		}
	}
}

func TestNewTextReader(t *testing.T) {
	for _, c := range []struct{ charset, in, want string }{
		{"", "caf\xe9 ü", "café ü"},
		{"UTF-8", "ü\xfc\xe2\x82", "üüâ‚"},
		{" Iso-8859-1 ", "\xfc", "ü"},
		{"windows-1252", "\x80", "€"},
		{"koi8-r", "\xf0\xd2\xc9", "При"},
		{"utf-7", "+ADw-b+AD4-", "<b>"},
		{"utf-16", "\xff\xfea\x00", "a"},
		{"utf-32be", "\x00\x01\xf6\x00", "😀"},
		{"gb2312", "\xc4\xe3", "你"},
		{"x-no-such", "\xe9", "é"},
		{"\"'<>", "\xe9", "é"},
	} {
		// An octet at a time, so that characters are cut everywhere.
		got, err := io.ReadAll(NewTextReader(iotest.OneByteReader(strings.NewReader(c.in)), c.charset))
		if string(got) != c.want || err != nil {
			t.Errorf("%q in %q: %q, %v; want %q", c.in, c.charset, got, err, c.want)
		}
	}
	broken := errors.New("broken")
	for _, charset := range []string{"", "iso-8859-1"} {
		if _, err := io.ReadAll(NewTextReader(iotest.ErrReader(broken), charset)); !errors.Is(err, broken) {
			t.Errorf("%q: error %v, want the reader's", charset, err)
		}
	}
}

func TestEachField(t *testing.T) {
	const msg = "A: 1\nb :\t2\r\n 3\nno colon\nC\xfc: \n\nbody: no\n"
	m, err := Parse(strings.NewReader(msg))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	err = EachField(strings.NewReader(msg), m, m.Root.Head, func(name, value string) bool {
		got = append(got, name+"="+value)
		return true
	})
	want := []string{"A=1", "b=2 3", "=no colon", "Cü="}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("fields %q, %v; want %q", got, err, want)
	}
	n := 0
	_ = EachField(strings.NewReader(msg), m, m.Root.Head, func(string, string) bool { n++; return n < 2 })
	if n != 2 {
		t.Errorf("called %d times after false", n)
	}
}

func FuzzDisplay(f *testing.F) {
	for _, s := range []string{"=?utf-8?q?=C3?= =?utf-7?b?KzAA?=", "a (b) <c@d>, e: f@g;", "\u202e\n\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text := DecodeText(s)
		if !utf8.ValidString(text) {
			t.Errorf("DecodeText(%q) = %q: not UTF-8", s, text)
		}
		check := func(p string) {
			if Printable(p) != p || strings.ContainsAny(p, "\r\n\x00\u202e") || !utf8.ValidString(p) {
				t.Errorf("of %q: %q is not printable", s, p)
			}
		}
		check(Printable(text))
		for _, a := range ParseAddresses(s) {
			check(a.Name)
			check(a.Addr)
		}
	})
}
