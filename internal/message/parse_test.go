package message

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
)

// cases are messages with the answers they must give, octet for octet;
// TestDifferentialDovecot asks Dovecot about them too. An empty answer is not
// checked; sections are named as in BODY[...].
var cases = []struct {
	name, msg, envelope, structure string
	sections                       map[string]string
}{
	{
		name:      "plain",
		msg:       "From: A <a@b>\nSubject: hi\n\nbody\n",
		envelope:  `(NIL "hi" (("A" NIL "a" "b")) (("A" NIL "a" "b")) (("A" NIL "a" "b")) NIL NIL NIL NIL NIL)`,
		structure: `("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 6 1 NIL NIL NIL NIL)`,
		sections: map[string]string{
			"": "From: A <a@b>\r\nSubject: hi\r\n\r\nbody\r\n", "HEADER": "From: A <a@b>\r\nSubject: hi\r\n\r\n",
			"TEXT": "body\r\n", "1": "body\r\n", "1.MIME": "From: A <a@b>\r\nSubject: hi\r\n\r\n", "2": "none", "1.1": "none",
		},
	},
	{name: "empty", msg: "", envelope: `(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)`,
		structure: `("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)`,
		sections:  map[string]string{"": "", "HEADER": "", "TEXT": "", "1": ""}},
	{name: "only an empty line", msg: "\n", sections: map[string]string{"HEADER": "\r\n", "TEXT": ""}},
	{name: "no empty line", msg: "Subject: x\nbody\n",
		envelope: `(NIL "x" NIL NIL NIL NIL NIL NIL NIL NIL)`,
		sections: map[string]string{"HEADER": "Subject: x\r\nbody\r\n", "TEXT": ""}},
	{name: "no line end", msg: "Subject: x", sections: map[string]string{"HEADER": "Subject: x", "TEXT": ""}},
	{name: "line ends of all kinds", msg: "Subject: x\r\n\nLF\nCRLF\r\nCR\rCRCRLF\r\r\n\n",
		structure: `("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 24 4 NIL NIL NIL NIL)`,
		sections:  map[string]string{"TEXT": "LF\r\nCRLF\r\nCR\rCRCRLF\r\r\n\r\n"}},
	{name: "NUL", msg: "Subject: a\x00b\n\nc\x00d\n", envelope: "(NIL {5}\r\na\uFFFDb NIL NIL NIL NIL NIL NIL NIL NIL)",
		sections: map[string]string{"TEXT": "c\x80d\r\n"}},
	{name: "mbox line", msg: "From a@b Mon Jan  1 00:00:00 2024\nFrom: c@d\n\nx",
		envelope: `(NIL NIL ((NIL NIL "c" "d")) ((NIL NIL "c" "d")) ((NIL NIL "c" "d")) NIL NIL NIL NIL NIL)`},
	{name: "broken header lines", msg: "\tfirst\nno colon\n: no name\nSubject : spaced\nDate:\nDate:  \n  folded\n\nx",
		envelope: `("   folded" "spaced" NIL NIL NIL NIL NIL NIL NIL NIL)`},
	{name: "fields twice", msg: "Subject: 1\nFrom: a@a\nTo: b@b\nSubject: 2\nTo: c@c\nContent-Type: text/html\nContent-Type: image/png\n\n",
		envelope:  `(NIL "2" ((NIL NIL "a" "a")) ((NIL NIL "a" "a")) ((NIL NIL "a" "a")) ((NIL NIL "b" "b")(NIL NIL "c" "c")) NIL NIL NIL NIL)`,
		structure: `("text" "html" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)`},
	{name: "8-bit", msg: "Subject: gr\xfc\xdfe\nFrom: G\xc3\xbc <\xfc@\xc3\xbc>\n\n",
		envelope: "(NIL {5}\r\ngr\xfc\xdfe (({3}\r\nG\xc3\xbc NIL {1}\r\n\xfc {2}\r\n\xc3\xbc)) (({3}\r\nG\xc3\xbc NIL {1}\r\n\xfc {2}\r\n\xc3\xbc)) (({3}\r\nG\xc3\xbc NIL {1}\r\n\xfc {2}\r\n\xc3\xbc)) NIL NIL NIL NIL NIL)"},
	{name: "quoting", msg: "Subject: say \"hi\" \\o/\nMessage-ID: <\"a b\"@c>\n\n",
		envelope: `(NIL "say \"hi\" \\o/" NIL NIL NIL NIL NIL NIL NIL "<\"a b\"@c>")`},
	{name: "MIME without MIME-Version", msg: "Content-Transfer-Encoding: base64\nContent-ID: <x>\n\n",
		structure: `("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)`},
	{name: "extension data", msg: "MIME-Version: 1.0\nContent-Type: image/PNG; name=\"a;b\"\nContent-Transfer-Encoding: base64 (c)\n" +
		"Content-MD5: Q2hl\nContent-ID: <i@d>\nContent-Description: a\n b\nContent-Language: en, de-CH\nContent-Location: http://x/\n" +
		"Content-Disposition: attachment; filename*0*=utf-8''%c3; filename*1*=%bc; size=3\n\nAAAA\n",
		structure: `("image" "PNG" ("name" "a;b") "<i@d>" "a b" "base64" 6 "Q2hl" ("attachment" ("size" "3" "filename*" "utf-8''%c3%bc")) ("en" "de-CH") "http://x/")`},
	{name: "multipart", msg: "Content-Type: multipart/mixed; boundary=x\n\npre\n--x\n\na\n--x\nContent-Type: text/html\n\nb\n\n--x--\nepi\n",
		structure: `(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0 NIL NIL NIL NIL)("text" "html" ("charset" "us-ascii") NIL NIL "7bit" 3 1 NIL NIL NIL NIL) "mixed" ("boundary" "x") NIL NIL NIL)`,
		sections: map[string]string{"1": "a", "1.MIME": "\r\n", "2": "b\r\n", "2.MIME": "Content-Type: text/html\r\n\r\n", "3": "none",
			"1.HEADER": "none", "1.TEXT": "none"}},
	{name: "multipart without parts", msg: "Content-Type: multipart/mixed; boundary=x\n\nnothing\n",
		structure: `(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL) "mixed" ("boundary" "x") NIL NIL NIL)`,
		sections:  map[string]string{"1": "none", "TEXT": "nothing\r\n"}},
	{name: "multipart without boundary", msg: "Content-Type: multipart/mixed\n\n--x\n\na\n",
		structure: `(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL) "mixed" NIL NIL NIL NIL)`},
	{name: "empty parts", msg: "Content-Type: multipart/mixed; boundary=x\n\n--x\n--x\n\n--x\n\n\n--x\nX: y\n--x--",
		structure: `(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL) "mixed" ("boundary" "x") NIL NIL NIL)`,
		sections:  map[string]string{"1": "", "1.MIME": "", "2.MIME": "", "3.MIME": "\r\n", "4.MIME": "X: y"}},
	{name: "prefix boundaries", msg: "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=ab\n\n--ab\n\n1\n--abc\n\n2\n--a\n\n3\n--a--\n",
		structure: `((("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0 NIL NIL NIL NIL)("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0 NIL NIL NIL NIL) "mixed" ("boundary" "ab") NIL NIL NIL)("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0 NIL NIL NIL NIL) "mixed" ("boundary" "a") NIL NIL NIL)`,
		sections:  map[string]string{"1.1": "1", "1.2": "2", "2": "3"}},
	{name: "same boundary inside", msg: "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=a\n\n--a\n\n1\n--a--\n--a\n\n2\n--a--\n",
		sections: map[string]string{"1.1": "1", "2": "2"}},
	{name: "outer boundary ends inner", msg: "Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/mixed; boundary=i\n\n--i\n\n1\n--o\n\n2\n",
		sections: map[string]string{"1.1": "1", "1": "--i\r\n\r\n1", "2": "2\r\n"}},
	{name: "unterminated boundary line", msg: "Content-Type: multipart/mixed; boundary=o\n\n--o\n\n1\n--o", sections: map[string]string{"1": "1", "2": "none"}},
	{name: "embedded", msg: "Content-Type: message/rfc822\n\nSubject: in\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\n1\n--x--\n",
		structure: `("message" "rfc822" NIL NIL NIL "7bit" 75 (NIL "in" NIL NIL NIL NIL NIL NIL NIL NIL) (("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0 NIL NIL NIL NIL) "mixed" ("boundary" "x") NIL NIL NIL) 7 NIL NIL NIL NIL)`,
		sections: map[string]string{"1": "Subject: in\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n1\r\n--x--\r\n",
			"1.HEADER": "Subject: in\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n", "1.TEXT": "--x\r\n\r\n1\r\n--x--\r\n", "1.1": "1"}},
	{name: "digest", msg: "Content-Type: multipart/digest; boundary=x\n\n--x\n\nSubject: s\n\nb\n--x\nContent-Type: text/plain\n\nt\n--x--\n",
		structure: `(("message" "rfc822" NIL NIL NIL "7bit" 15 (NIL "s" NIL NIL NIL NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0 NIL NIL NIL NIL) 2 NIL NIL NIL NIL)("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0 NIL NIL NIL NIL) "digest" ("boundary" "x") NIL NIL NIL)`,
		sections:  map[string]string{"1.1": "b", "1.HEADER": "Subject: s\r\n\r\n", "2": "t"}},
	{name: "header cut in an embedded message", msg: "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: message/rfc822\n\nSubject: s\n--x--\n",
		sections: map[string]string{"1": "Subject: s\r\n", "1.HEADER": "Subject: s", "1.TEXT": ""}},
	{name: "broken types", msg: "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text\n\n--x\nContent-Type: text/plain junk\n\n--x\nContent-Type:\n\n--x\nContent-Type: multipart\n\n--x--\n",
		structure: `(("text" "" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)("" "" NIL NIL NIL "7bit" 0 NIL NIL NIL NIL)("" "" NIL NIL NIL "7bit" 0 NIL NIL NIL NIL)("application" "octet-stream" NIL NIL NIL "7bit" 0 NIL NIL NIL NIL) "mixed" ("boundary" "x") NIL NIL NIL)`},
}

func TestParse(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m, err := Parse(strings.NewReader(c.msg))
			if err != nil {
				t.Fatal(err)
			}
			if got := string(m.AppendEnvelope(nil)); c.envelope != "" && got != c.envelope {
				t.Errorf("ENVELOPE\n got %s\nwant %s", got, c.envelope)
			}
			if got := string(m.AppendBodyStructure(nil)); c.structure != "" && got != c.structure {
				t.Errorf("BODYSTRUCTURE\n got %s\nwant %s", got, c.structure)
			}
			for name, want := range c.sections {
				if got := sectionByName(t, m, c.msg, name); got != want {
					t.Errorf("BODY[%s]\n got %q\nwant %q", name, got, want)
				}
			}
		})
	}
}

// sectionByName reads a section named as in FETCH.
func sectionByName(t *testing.T, m *Message, msg, name string) string {
	t.Helper()
	spec := Whole
	var path []int
	for _, f := range strings.FieldsFunc(name, func(r rune) bool { return r == '.' }) {
		switch f {
		case "HEADER":
			spec = Header
		case "TEXT":
			spec = Text
		case "MIME":
			spec = Mime
		default:
			n, err := strconv.Atoi(f)
			if err != nil {
				t.Fatal(err)
			}
			path = append(path, n)
		}
	}
	s, ok := m.Section(path, spec)
	if !ok {
		return "none"
	}
	return string(readSection(t, m, []byte(msg), s))
}

// message/global is not Dovecot's to ask: it knows no such part.
func TestParseGlobal(t *testing.T) {
	msg := "Content-Type: message/global\n\nSubject: \u00fc\n\nx"
	m, err := Parse(strings.NewReader(msg))
	if err != nil {
		t.Fatal(err)
	}
	want := "(\"message\" \"global\" NIL NIL NIL \"7bit\" 16 (NIL {2}\r\n\u00fc NIL NIL NIL NIL NIL NIL NIL NIL) " +
		"(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0) 2)"
	if got := string(m.AppendBody(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// The answer does not depend on how the octets arrive.
func TestParseReaders(t *testing.T) {
	for _, c := range cases {
		want, err := Parse(strings.NewReader(c.msg))
		if err != nil {
			t.Fatal(err)
		}
		for name, r := range map[string]io.Reader{
			"one byte": iotest.OneByteReader(strings.NewReader(c.msg)),
			"data+EOF": iotest.DataErrReader(strings.NewReader(c.msg)),
			"halves":   iotest.HalfReader(strings.NewReader(c.msg)),
		} {
			got, err := Parse(r)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.AppendBodyStructure(nil), want.AppendBodyStructure(nil)) || got.Size != want.Size {
				t.Errorf("%s: %s differs", c.name, name)
			}
		}
	}
	if _, err := Parse(iotest.ErrReader(io.ErrClosedPipe)); err != io.ErrClosedPipe {
		t.Errorf("a reader's error is not told: %v", err)
	}
	if _, err := Parse(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("Subject: x")))); err != iotest.ErrTimeout {
		t.Errorf("a reader's late error is not told: %v", err)
	}
}

// A header's size, the number of parts and nesting have bounds.
func TestParseBounds(t *testing.T) {
	long := "Subject: " + strings.Repeat("x", maxField+1000) + "\n"
	m, err := Parse(strings.NewReader(strings.Repeat(long, 100) + "To: a@b\n\nbody"))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(m.Root.Envelope.Subject.Value); n != maxField {
		t.Errorf("kept %d octets of a field", n)
	}
	if m.Root.Envelope.To != nil {
		t.Error("fields beyond the bound are kept")
	}
	if m.Root.Body.Size != 4 {
		t.Errorf("body of %d octets", m.Root.Body.Size)
	}
	m, err = Parse(strings.NewReader("To: " + strings.Repeat("a@b,", maxAddresses+10)))
	if err != nil || len(m.Root.Envelope.To) > maxAddresses {
		t.Errorf("%d addresses, %v", len(m.Root.Envelope.To), err)
	}
	deep := strings.Repeat("Content-Type: message/rfc822\n\n", 20000)
	if m, err = Parse(strings.NewReader(deep)); err != nil {
		t.Fatal(err)
	}
	depth := 0
	for p := m.Root; len(p.Children) > 0; p = p.Children[0] {
		depth++
	}
	if depth != maxDepth-1 {
		t.Errorf("nested %d levels", depth)
	}
}
