package message

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"postroom/internal/message/mailtest"
)

// FuzzParse: any octets have a structure, whose parts lie within each other,
// whose sizes are what a Reader yields, whose answers fit the grammar.
func FuzzParse(f *testing.F) {
	for _, c := range cases {
		f.Add([]byte(c.msg))
	}
	for i := range uint64(20) {
		f.Add(mailtest.Message(99, i))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		whole := naive(b)
		if m.RawSize != int64(len(b)) || m.Size != int64(len(whole)) {
			t.Fatalf("sizes %d and %d of %d and %d", m.RawSize, m.Size, len(b), len(whole))
		}
		all, _ := m.Section(nil, Whole)
		if !bytes.Equal(readSection(t, m, b, all), whole) {
			t.Fatal("BODY[] differs")
		}
		checkPart(t, m, m.Root, b, whole, Section{End: m.RawSize, Size: m.Size}, 1)
		checkWire(t, m)
		checkAnswers(t, m, b, whole)
		m2, err := Parse(iotest.OneByteReader(bytes.NewReader(b)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(m.AppendBodyStructure(nil), m2.AppendBodyStructure(nil)) {
			t.Fatal("octet by octet the structure differs")
		}
	})
}

func checkPart(t *testing.T, m *Message, p *Part, b, whole []byte, in Section, depth int) {
	t.Helper()
	if depth > maxDepth {
		t.Fatal("too deep")
	}
	if p.Head.Off < in.Off || p.Body.End > in.End || p.Head.End != p.Body.Off || p.Head.Off > p.Head.End || p.Body.Off > p.Body.End {
		t.Fatalf("head %+v body %+v in %+v", p.Head, p.Body, in)
	}
	for _, s := range []Section{p.Head, p.Body} {
		if s.Size < 0 || s.Pos+s.Size > int64(len(whole)) ||
			!bytes.Equal(readSection(t, m, b, s), whole[s.Pos:s.Pos+s.Size]) {
			t.Fatalf("section %+v", s)
		}
	}
	if n := int64(bytes.Count(b[p.Body.Off:p.Body.End], []byte("\n"))); n != p.Lines {
		t.Fatalf("%d lines, counted %d", p.Lines, n)
	}
	if (p.Kind == Embedded) != (len(p.Children) == 1 && p.Children[0].Envelope != nil) || p.Kind == Leaf && len(p.Children) > 0 {
		t.Fatalf("kind %d with %d children", p.Kind, len(p.Children))
	}
	in = p.Body
	for _, c := range p.Children {
		checkPart(t, m, c, b, whole, in, depth+1)
		in.Off = c.Body.End
	}
}

// checkWire reads the answers as a client does.
func checkWire(t *testing.T, m *Message) {
	t.Helper()
	for _, b := range [][]byte{m.AppendEnvelope(nil), m.AppendBody(nil), m.AppendBodyStructure(nil)} {
		r := bufio.NewReader(bytes.NewReader(b))
		value(t, r)
		if rest, _ := io.ReadAll(r); len(rest) > 0 {
			t.Fatalf("%q follows in %q", rest, b)
		}
		if bytes.IndexByte(b, 0) >= 0 {
			t.Fatalf("NUL in %q", b)
		}
	}
}

func checkAnswers(t *testing.T, m *Message, b, whole []byte) {
	t.Helper()
	src := bytes.NewReader(b)
	fields, err := HeaderFields(src, m, m.Root.Head, []string{"Subject", "To"}, false)
	if err != nil {
		t.Fatal(err)
	}
	others, err := HeaderFields(src, m, m.Root.Head, []string{"Subject", "To"}, true)
	if err != nil {
		t.Fatal(err)
	}
	if d := int64(len(fields)+len(others)) - m.Root.Head.Size; d < 0 || d > 2 {
		t.Fatalf("%d and %d octets of fields in a header of %d", len(fields), len(others), m.Root.Head.Size)
	}
	all, _ := m.Section(nil, Whole)
	off := int64(len(b)) * 2 / 3
	r := NewReader(src, m, all)
	if err := r.Skip(off); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(rest, whole[min(off, int64(len(whole))):]) {
		t.Fatalf("behind %d: %d octets, %v", off, len(rest), err)
	}
	for _, path := range paths(m) {
		if _, err := DecodedSize(src, m, path); err != nil && !errors.Is(err, ErrUnknownCTE) && !errors.Is(err, ErrNoPart) {
			t.Fatal(err)
		}
	}
	n := NewNeedle("\u00fc\u3042 x")
	if _, err := m.SearchText(src, n); err != nil {
		t.Fatal(err)
	}
	if _, err := m.SearchHeader(src, "Subject", n); err != nil {
		t.Fatal(err)
	}
	m.SentDate()
}

// FuzzAddress: any value gives addresses in which groups open and close and
// nothing is missing.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{
		"a@b", "A B <a@b>", "\"A\" <a@b>, c@d", "g: a@b, c@d;, e@f", "<@r,@s:a@b>", "a@b (N)", "a . b@c . d", "=?utf-8?q?x?= <a@b>",
		"<>", "\"open", "(open", "a@[b", "g:;", ",,", "a\x00b@c", "\"a\\\x00\"@b", "\xff <\xff@\xff>",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, v string) {
		group := false
		for i, a := range parseAddresses(v) {
			switch {
			case !a.Host.Set && a.Mailbox.Set && !group && !a.Name.Set && !a.Route.Set:
				group = true
			case a == Address{} && group:
				group = false
			case !a.Host.Set || !a.Mailbox.Set:
				t.Fatalf("address %d of %q is %+v", i, v, a)
			}
		}
		if group {
			t.Fatalf("%q leaves a group open", v)
		}
		m := Message{Root: &Part{Envelope: &Envelope{From: parseAddresses(v)}}}
		r := bufio.NewReader(bytes.NewReader(m.AppendEnvelope(nil)))
		value(t, r)
		if _, err := r.ReadByte(); err != io.EOF {
			t.Fatal("not one value")
		}
	})
}

// FuzzNeedle: a text holds every stretch of itself, however it is cut up, and
// folding is done once and for all.
func FuzzNeedle(f *testing.F) {
	for _, s := range []string{"hello", "Gr\u00fc\u00dfe", "\u4f60\u597d", "\ud55c", "\ufb01", "\xff\xfe", "a\u0308", "\U0001F600"} {
		f.Add(s, 1, 3)
	}
	f.Fuzz(func(t *testing.T, s string, i, j int) {
		if len(s) > 10000 {
			return
		}
		i, j = cut0(s, i), cut0(s, j)
		if i > j {
			i, j = j, i
		}
		n := NewNeedle(s[i:j])
		if !n.Match(s) {
			t.Fatalf("%q not in %q", s[i:j], s)
		}
		fd := newFinder(n)
		defer fd.free()
		for k := 0; k < len(s); k += 3 {
			fd.write([]byte(s[k:min(k+3, len(s))]))
		}
		fd.flush()
		if !fd.found {
			t.Fatalf("%q not in the pieces of %q", s[i:j], s)
		}
		if again := NewNeedle(string(n.folded)); !bytes.Equal(again.folded, n.folded) {
			t.Fatalf("%q folds to %q, that to %q", s[i:j], n.folded, again.folded)
		}
	})
}

// cut0 makes a place where s can be cut of any number: not within a character.
func cut0(s string, i int) int {
	if i < 0 {
		i = -(i + 1)
	}
	i %= len(s) + 1
	for i < len(s) && i > 0 && !utf8.RuneStart(s[i]) {
		i--
	}
	return i
}
