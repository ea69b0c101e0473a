package wire

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

var testLimits = Limits{Line: 1 << 20, Literal: 1 << 16, Discard: 1 << 16, Depth: 10}

// decode runs fn on input, fed whole and octet by octet.
func decode(t *testing.T, input string, fn func(d *Decoder)) {
	t.Helper()
	for _, r := range []io.Reader{strings.NewReader(input), iotest.OneByteReader(strings.NewReader(input))} {
		d := NewDecoder(r, testLimits, func() error { return nil })
		if err := d.Begin(); err != nil {
			t.Fatal(err)
		}
		fn(d)
	}
}

func TestStrings(t *testing.T) {
	for _, c := range []struct{ in, want, err string }{
		{"abc\r\n", "abc", ""},
		{"a]c\r\n", "a]c", ""},
		{`"a b"` + "\r\n", "a b", ""},
		{`"a\"\\b"` + "\n", `a"\b`, ""},
		{`""` + "\r\n", "", ""},
		{"{3}\r\na\r\n\r\n", "a\r\n", ""},
		{"{3+}\r\nabc\r\n", "abc", ""},
		{"{0}\r\n\r\n", "", ""},
		{`"a\b"` + "\r\n", "", `only \ and " may follow a \ in a quoted string`},
		{"\"a\r\n", "", "command ends where the end of a quoted string is expected"},
		{"\r\n", "", "command ends where a word or a string is expected"},
		{"(\r\n", "", "expected a word or a string"},
		{"\xff\r\n", "", "octet 0xff where a word or a string is expected"},
		{"{99999999999999999999}\r\n", "", "number too large"},
		{"{70000}\r\n", "", "literal of 70000 octets exceeds the limit of 65536"},
		{"abc d\r\n", "", "expected the end of the line"},
	} {
		decode(t, c.in, func(d *Decoder) {
			var got string
			ok := d.Astring(&got) && d.CRLF()
			if c.err == "" {
				if !ok || got != c.want {
					t.Errorf("%q: %q, %v", c.in, got, d.Err())
				}
			} else if ok || d.Err().Error() != c.err {
				t.Errorf("%q: error %v, want %s", c.in, d.Err(), c.err)
			}
		})
	}
}

func TestSequenceSet(t *testing.T) {
	for _, c := range []struct {
		in   string
		max  uint32
		want string
	}{
		{"1", 9, "1"},
		{"*", 9, "9"},
		{"*", 0, ""},
		{"1:*", 9, "1:9"},
		{"*:4", 9, "4:9"},
		{"20:*", 9, "9:20"},
		{"5,4,3,1", 9, "1,3:5"},
		{"2:4,3:6,8", 9, "2:6,8"},
		{"4294967295,1:4294967294", 9, "1:4294967295"},
		{"0", 9, "error"}, {"1:", 9, "error"}, {"1,", 9, "error"}, {"a", 9, "error"}, {"4294967296", 9, "error"},
	} {
		decode(t, c.in+"\r\n", func(d *Decoder) {
			var s Set
			got := "error"
			if d.SequenceSet(&s) && d.CRLF() {
				got = string(s.Resolve(c.max).Append(nil))
			}
			if got != c.want {
				t.Errorf("%s: %s, want %s", c.in, got, c.want)
			}
		})
	}
}

// A set of a megabyte in the worst order must not take quadratic time.
func TestHugeSet(t *testing.T) {
	var b strings.Builder
	n := 0
	for i := 500000; b.Len() < 1000000; i -= 2 {
		if n++; n > 1 {
			b.WriteByte(',')
		}
		b.WriteString(itoa(i))
	}
	start := time.Now()
	d := NewDecoder(strings.NewReader(b.String()+"\r\n"), testLimits, nil)
	var s Set
	if d.Begin() != nil || !d.SequenceSet(&s) || !d.CRLF() {
		t.Fatal(d.Err())
	}
	if got := len(s.Resolve(1)); got != n {
		t.Errorf("%d ranges of %d", got, n)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
}

func itoa(i int) string { return string(AppendInOrder(nil, []uint32{uint32(i)})) }

func TestDiscardLine(t *testing.T) {
	for _, c := range []struct{ in, rest string }{
		{"(x y z\r\nnext", "next"},
		{"(x {3+}\r\nabc rest\r\nnext", "next"},
		{"(x {3+}\r\nabc {2+}\r\n\r\n\r\nnext", "next"},
		{"(x {3}\r\nnext", "next"},          // a literal that was not asked for
		{"{70000+}\r\nnext", "refused"},     // too long to skip
		{"{66000}\r\nnext", "next"},         // refused, and not sent
		{"{5+}\r\n12345 y\r\nnext", "next"}, // taken, then an error
		{"x{3+}\r\nabc\r\nnext", "next"},    // announced where no literal may stand
		{"\"abc\r\nnext", "next"},           // quoted string cut by the end of the line
		{"(x {0000000000000000003+}\r\nabc\r\nnext", "next"},
	} {
		decode(t, c.in, func(d *Decoder) {
			var s string
			if d.Astring(&s) && d.CRLF() {
				t.Errorf("%q: no error", c.in)
			}
			if err := d.DiscardLine(); err != nil {
				if c.rest != "refused" || !errors.Is(err, ErrDiscardTooLong) {
					t.Errorf("%q: %v", c.in, err)
				}
				return
			}
			rest := ""
			if d.Begin() == nil {
				d.Text(&rest)
				for d.Err() == nil { // "next" ends without a line end
					d.Text(&rest)
				}
				rest = string(d.tok)
			}
			if rest != c.rest {
				t.Errorf("%q: goes on at %q, want %q", c.in, rest, c.rest)
			}
		})
	}
}

func TestLineLimit(t *testing.T) {
	d := NewDecoder(strings.NewReader(strings.Repeat("1,", 1<<20)), testLimits, nil)
	var s Set
	if d.Begin() != nil || d.SequenceSet(&s) || !errors.Is(d.Err(), ErrLineTooLong) {
		t.Errorf("error %v", d.Err())
	}
	if err := d.DiscardLine(); !errors.Is(err, ErrLineTooLong) {
		t.Errorf("discard: %v", err)
	}
}

func TestLiteralStreams(t *testing.T) {
	body := strings.Repeat("0123456789", 100000)
	for _, one := range []bool{false, true} {
		var r io.Reader = strings.NewReader("{1000000}\r\n" + body + "\r\n")
		if one {
			r = iotest.HalfReader(r)
		}
		asked := 0
		d := NewDecoder(r, testLimits, func() error { asked++; return nil })
		var l Literal
		if d.Begin() != nil || !d.Literal(&l) || asked != 0 {
			t.Fatal(d.Err(), asked)
		}
		lr, ok := d.OpenLiteral(l)
		if !ok || asked != 1 {
			t.Fatal("not asked")
		}
		got, err := io.ReadAll(lr)
		if err != nil || string(got) != body || !d.CRLF() {
			t.Errorf("%d octets, %v, %v", len(got), err, d.Err())
		}
	}
}

func TestLiteralCut(t *testing.T) {
	d := NewDecoder(strings.NewReader("{10+}\r\nabc"), testLimits, nil)
	var l Literal
	if d.Begin() != nil || !d.Literal(&l) {
		t.Fatal(d.Err())
	}
	r, _ := d.OpenLiteral(l)
	if _, err := io.ReadAll(r); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v", err)
	}
}

func TestLiteralMinus(t *testing.T) {
	lim := testLimits
	lim.MinusOnly = true
	d := NewDecoder(strings.NewReader("{5000+}\r\n"+strings.Repeat("x", 5000)+"\r\nnext"), lim, nil)
	var s string
	if d.Begin() != nil || d.Astring(&s) {
		t.Fatal("taken")
	}
	if err := d.DiscardLine(); err != nil || d.Begin() != nil || !d.Peek('n') {
		t.Errorf("discard: %v", err)
	}
}

func TestResetForgets(t *testing.T) {
	d := NewDecoder(strings.NewReader("a STARTTLS\r\nb LOGOUT\r\n"), testLimits, nil)
	var s string
	if d.Begin() != nil || !d.Tag(&s) || !d.SP() || !d.Name(&s) || !d.CRLF() || d.Buffered() == 0 {
		t.Fatal(d.Err())
	}
	d.Reset(strings.NewReader("c NOOP\r\n"))
	if d.Begin() != nil || !d.Tag(&s) || s != "c" {
		t.Errorf("tag %q", s)
	}
}

func TestDates(t *testing.T) {
	decode(t, `" 1-Feb-2026 15:04:05 +0100"`+"\r\n", func(d *Decoder) {
		var got time.Time
		if !d.DateTime(&got) || got.UTC().Format(time.RFC3339) != "2026-02-01T14:04:05Z" {
			t.Errorf("%v %v", got, d.Err())
		}
	})
	for in, ok := range map[string]bool{"1-feb-2026": true, `"01-Feb-2026"`: true, "30-Feb-2026": false, "1-2-2026": false} {
		decode(t, in+"\r\n", func(d *Decoder) {
			var got time.Time
			if d.Date(&got) != ok {
				t.Errorf("%s: %v %v", in, got, d.Err())
			}
		})
	}
}

func TestMailbox(t *testing.T) {
	for _, c := range []struct {
		in, want string
		utf8, ok bool
	}{
		{"inbox", "INBOX", false, true},
		{"Entw&APw-rfe", "Entwürfe", false, true},
		{"Entw&APw-rfe", "Entw&APw-rfe", true, true},
		{"\"Entwürfe\"", "Entwürfe", true, true},
		{"\"Entwürfe\"", "Entwürfe", false, true}, // from clients that do not ENABLE it
		{"a&b", "", false, false},
		{"\"\xff\"", "\xff", true, false},
	} {
		decode(t, c.in+"\r\n", func(d *Decoder) {
			d.UTF8 = c.utf8
			var name string
			var valid bool
			if !d.Mailbox(&name, &valid) || name != c.want || valid != c.ok {
				t.Errorf("%s: %q %v %v", c.in, name, valid, d.Err())
			}
		})
	}
}

func TestUTF7(t *testing.T) {
	for utf8, utf7 := range map[string]string{
		"":                   "",
		"A&B":                "A&-B",
		"Entwürfe":           "Entw&APw-rfe",
		"~peter/mail/台北/日本語": "~peter/mail/&U,BTFw-/&ZeVnLIqe-",
		"é&":                 "&AOk-&-",
		"😀":                  "&2D3eAA-",
	} {
		if got := string(AppendUTF7(nil, utf8)); got != utf7 {
			t.Errorf("%q: %q, want %q", utf8, got, utf7)
		}
		if got, ok := DecodeUTF7(utf7); !ok || got != utf8 {
			t.Errorf("%q: %q %v", utf7, got, ok)
		}
	}
	for _, bad := range []string{"&", "&Jjo", "&Jjo!-", "&U,BTFw-&ZeVnLIqe-", "&AGE-", "é", "&2D0-", "&AOl-"} {
		if got, ok := DecodeUTF7(bad); ok {
			t.Errorf("%q is taken: %q", bad, got)
		}
	}
}
