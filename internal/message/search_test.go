package message

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestNeedle(t *testing.T) {
	for _, c := range []struct {
		needle, text string
		want         bool
	}{
		{"", "", true},
		{"", "x", true},
		{"x", "", false},
		{"HELLO", "say hello", true},
		{"hello", "HELL0", false},
		{"gr\u00dc\u00dfe", "Gr\u00fc\u00dfe", true},
		{"u\u0308", "\u00fc", true},
		{"\u00fc", "U\u0308", true},
		{"fi", "\ufb01n", true},
		{"\u03c3", "\u03c2", true},
		{"\u4f60", "\u4f60\u597d", true},
		{"\ud55c", "\u1112\u1161\u11ab", true},
		{"soft", "so\u00adft", true},
		{"\u00fc", "\xfc", true},
		{"\u20ac", "\x80", true},
		{"k", "\u212a", true}, // Kelvin sign
	} {
		if got := NewNeedle(c.needle).Match(c.text); got != c.want {
			t.Errorf("%q in %q: %v", c.needle, c.text, got)
		}
	}
}

// A match is found wherever the pieces of a text end.
func TestNeedlePieces(t *testing.T) {
	text := strings.Repeat("x", 50) + "n\u00f6\u00f6dle \U0001F600 \u20ac" + strings.Repeat("y", 50)
	for _, needle := range []string{"N\u00d6\u00d6DLE", "\U0001F600 \u20ac", "x" + "n\u00f6"} {
		n := NewNeedle(needle)
		for i := range len(text) {
			for j := i; j <= len(text); j += 3 {
				f := newFinder(n)
				f.write([]byte(text[:i]))
				f.write([]byte(text[i:j]))
				f.write([]byte(text[j:]))
				f.flush()
				if !f.found {
					t.Fatalf("%q not found in pieces ending at %d, %d", needle, i, j)
				}
				f.free()
			}
		}
	}
}

const searchMessage = "From: =?iso-8859-1?q?J=FCrgen?= <j@example.org>\n" +
	"Subject: =?utf-8?b?Z3LDvA==?=\n =?utf-8?b?w59l?= and\n\tmore\n" +
	"X-Cut: =?utf-8?q?=C3?= =?utf-8?q?=BC?=\nX-Odd: =?x-none?q?a_b?= =?bad\nX-Raw: \xfc\nX-Empty:\nX-Two: first\nX-Two: second\n" +
	"Content-Type: multipart/mixed; boundary=x\n\npreamble\n" +
	"--x\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\nX-Part: parthead\n\nquoted=20s=C3=BC=\n=C3=9F\n" +
	"--x\nContent-Type: text/html; charset=iso-2022-jp\nContent-Transfer-Encoding: base64\n\nGyRCJCIbKEI=\n" +
	"--x\nContent-Type: application/octet-stream\n\nopaque\n" +
	"--x\nContent-Type: text/plain\nContent-Transfer-Encoding: x-uuencode\n\nuuencoded\n" +
	"--x\nContent-Type: message/rfc822\n\nSubject: inner subject\n\ninner body\n" +
	"--x\nContent-Type: message/delivery-status\n\nStatus: 5.1.1\n--x--\n"

func TestSearch(t *testing.T) {
	m, err := Parse(strings.NewReader(searchMessage))
	if err != nil {
		t.Fatal(err)
	}
	src := strings.NewReader(searchMessage)
	for _, c := range []struct {
		needle     string
		body, text bool
	}{
		{"quoted s\u00fc\u00df", true, true},
		{"\u3042", true, true},
		{"inner body", true, true},
		{"inner subject", false, true},
		{"status: 5.1", true, true},
		{"parthead", false, true},
		{"opaque", false, false},
		{"uuencoded", false, false},
		{"preamble", false, false},
		{"j\u00fcrgen", false, true},
		{"subject: gr\u00fc\u00dfe and more", false, true},
		{"", true, true},
	} {
		n := NewNeedle(c.needle)
		if got, err := m.SearchBody(src, n); got != c.body || err != nil {
			t.Errorf("BODY %q: %v, %v", c.needle, got, err)
		}
		if got, err := m.SearchText(src, n); got != c.text || err != nil {
			t.Errorf("TEXT %q: %v, %v", c.needle, got, err)
		}
	}
	for _, c := range []struct {
		field, needle string
		want          bool
	}{
		{"from", "J\u00dcRGEN <", true},
		{"From", "example.net", false},
		{"SUBJECT", "gr\u00fc\u00dfe and more", true},
		{"X-Cut", "\u00fc", true},
		{"X-Odd", "a b", true},
		{"X-Odd", "=?bad", true},
		{"X-Raw", "\u00dc", true},
		{"X-Two", "second", true},
		{"X-Two", "firstsecond", false},
		{"X-Empty", "", true},
		{"X-None", "", false},
		{"X-Part", "", false},
	} {
		if got, err := m.SearchHeader(src, c.field, NewNeedle(c.needle)); got != c.want || err != nil {
			t.Errorf("HEADER %s %q: %v, %v", c.field, c.needle, got, err)
		}
	}
}

// What lies across the blocks in which a body is read is found.
func TestSearchLarge(t *testing.T) {
	for _, at := range []int{0, 1, 8190, 8191, 8192, 32766, 32768, 100000} {
		msg := "\n" + strings.Repeat("a", at) + "n\u00e4\u00e4dle" + strings.Repeat("b", 40000)
		m, _ := Parse(strings.NewReader(msg))
		if ok, err := m.SearchBody(strings.NewReader(msg), NewNeedle("N\u00c4\u00c4DLE")); !ok || err != nil {
			t.Errorf("at %d: %v, %v", at, ok, err)
		}
	}
	// The file's errors are told.
	msg := "\n" + strings.Repeat("a\n", 100000)
	m, _ := Parse(strings.NewReader(msg))
	if _, err := m.SearchBody(bytes.NewReader([]byte(msg[:100])), NewNeedle("z")); err == nil {
		t.Error("no error of a file that is too short")
	}
}

func TestSentDate(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"Mon, 1 Jan 2024 12:34:56 +0100", "2024-01-01T12:34:56+01:00"},
		{"1 Jan 2024 12:34 -0330", "2024-01-01T12:34:00-03:30"},
		{"Mon, 01 January 24 12:34:56 EST (comment)", "2024-01-01T12:34:56-05:00"},
		{"Mon 1 Jan 99 1:2:3 GMT", "1999-01-01T01:02:03Z"},
		{"Thu, 29 Feb 2024 23:59:60 Z", "2024-03-01T00:00:00Z"},
		{"(c) Fri (c), (c) 1 (c) Mar 2024\n\t00:00 (c) +0000", "2024-03-01T00:00:00Z"},
		{"1 Jan 2024 12 : 34 : 56", "2024-01-01T12:34:56Z"},
		{"30 Feb 2024 00:00:00 +0000", ""},
		{"2024-01-01 12:00", ""},
		{"", ""},
		{"Mon, Jan", ""},
		{"1 Foo 2024 00:00", ""},
		{"1 Jan 2024 25:00", ""},
	} {
		m, _ := Parse(strings.NewReader("Date: " + c.in + "\n\n"))
		d, ok := m.SentDate()
		got := ""
		if ok {
			got = d.Format(time.RFC3339)
		}
		if got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
}
