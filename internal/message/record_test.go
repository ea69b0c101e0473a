package message

import (
	"bytes"
	"io"
	"testing"
	"time"

	"postroom/internal/message/mailtest"
)

func recordOf(t testing.TB, m *Message, b []byte) Record {
	t.Helper()
	out, err := AppendRecord([]byte("before"), m, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	r, err := ParseRecord(out[len("before"):])
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRecord asks messages and their records the same questions.
func TestRecord(t *testing.T) {
	n := uint64(3000)
	if testing.Short() {
		n = 300
	}
	for i := range n {
		b := mailtest.Message(7, i)
		checkRecord(t, b)
		checkRecord(t, mailtest.Damaged(i, b))
	}
	for _, c := range cases {
		checkRecord(t, []byte(c.msg))
	}
	checkRecord(t, mailtest.Nested(150, true))
	checkRecord(t, mailtest.Nested(150, false))
	checkRecord(t, bytes.Repeat([]byte("X-Long: "+string(bytes.Repeat([]byte("y"), 90))+"\n References: <a@b>\nTo: a@b\nreferences : <c@d>\n"), 200))
	checkRecord(t, benchMessage(3000, "\n")) // has marks
}

var recordSets = [][]string{
	{"From"}, {"SUBJECT", "date", "To", "cc", "Message-ID", "Content-Type"}, {"X-Other"}, {"from", "X-Other"},
	{"References"}, {"Received"}, {""}, {"MIME-Version", "From "},
}

func checkRecord(t *testing.T, b []byte) {
	t.Helper()
	src := bytes.NewReader(b)
	m, err := Parse(src)
	if err != nil {
		t.Fatal(err)
	}
	r := recordOf(t, m, b)
	same := func(what string, got, want []byte) {
		t.Helper()
		if !bytes.Equal(got, want) {
			t.Fatalf("%s from the record:\n%q\nparsed:\n%q\nmessage:\n%.3000q", what, got, want, b)
		}
	}
	same("ENVELOPE", r.Envelope(), m.AppendEnvelope(nil))
	same("BODYSTRUCTURE", r.BodyStructure(), m.AppendBodyStructure(nil))
	same("BODY", r.Body(), m.AppendBody(nil))
	sent, ok := m.SentDate()
	kept, keptOK := r.SentDate()
	if ok != keptOK || ok && (!sent.Equal(kept) || sent.Format(time.RFC3339) != kept.Format(time.RFC3339)) {
		t.Fatalf("sent %v, by the record %v", sent, kept)
	}
	if day := r.SentDay(); ok != (day != NoDay) || ok && !sameDay(sent, day) {
		t.Fatalf("sent %v, by the record on day %d", sent, day)
	}
	if r.Size() != m.Size || r.RawSize() != m.RawSize {
		t.Fatalf("sizes %d, %d; parsed %d, %d", r.Size(), r.RawSize(), m.Size, m.RawSize)
	}
	sketch := r.Sketch()
	for _, names := range recordSets {
		set := NewFieldSet(names)
		want, err := HeaderFields(src, m, m.Root.Head, names, false)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := r.AppendFields([]byte("x"), set); ok {
			same("fields", got[1:], want)
		} else if r.Has(set) {
			t.Fatal("not answered")
		}
		for _, word := range []string{"o", "", "fold ed", "two spaces", "\u00fc", "HELLO", "a b", "example."} {
			needle := NewNeedle(word)
			found, known := r.SearchHeader(NewFieldSet(names[:1]), needle)
			if want, _ := m.SearchHeader(src, names[0], needle); known && found != want {
				t.Fatalf("search of %s for %q: %v, parsed %v in\n%q", names[0], word, found, want, b)
			} else if want && sketch.Lacks(NewFieldSet(names[:1]), needle) {
				t.Fatalf("by the sketch %q is not in %s of\n%q", word, names[0], b)
			}
		}
	}
	checkSketch(t, b, m, sketch)
	again, ok := r.Message()
	if !ok {
		t.Fatalf("the parts cannot be read back:\n%.3000q", b)
	}
	checkSame(t, b, m, again)
}

func sameDay(sent time.Time, day int32) bool {
	y, mon, d := sent.Date()
	return time.Unix(int64(day)*86400, 0).UTC().Equal(time.Date(y, mon, d, 0, 0, 0, 0, time.UTC))
}

// checkSame compares what two forms of a message answer.
func checkSame(t *testing.T, b []byte, m, r *Message) {
	t.Helper()
	src := bytes.NewReader(b)
	if !bytes.Equal(m.AppendBodyStructure(nil), r.AppendBodyStructure(nil)) || !bytes.Equal(m.AppendEnvelope(nil), r.AppendEnvelope(nil)) {
		t.Fatal("answers differ")
	}
	var walk func(p *Part, path []int)
	walk = func(p *Part, path []int) {
		for _, spec := range []Spec{Whole, Header, Text, Mime} {
			want, ok := m.Section(path, spec)
			got, gotOK := r.Section(path, spec)
			if ok != gotOK || want != got {
				t.Fatalf("section %v %d: %v, parsed %v in\n%.3000q", path, spec, got, want, b)
			}
		}
		wantR, wantErr := OpenDecoded(src, m, path)
		gotR, gotErr := OpenDecoded(src, r, path)
		if wantErr != gotErr {
			t.Fatalf("decoding %v: %v, parsed %v", path, gotErr, wantErr)
		}
		if wantErr == nil && m.RawSize < 1<<16 {
			want, _ := io.ReadAll(wantR)
			got, _ := io.ReadAll(gotR)
			if !bytes.Equal(got, want) {
				t.Fatalf("part %v decodes to %q, parsed %q", path, got, want)
			}
		}
		if p.Kind == Leaf && len(path) < 8 {
			walk(&Part{Kind: Multipart}, append(path[:len(path):len(path)], 1))
		}
		if p.Kind == Embedded && p.Children[0].Kind != Multipart {
			walk(p.Children[0], append(path[:len(path):len(path)], 1))
			return
		}
		if p.Kind == Embedded {
			p = p.Children[0]
		}
		for i, c := range p.Children {
			walk(c, append(path[:len(path):len(path)], i+1))
		}
	}
	walk(m.Root, nil)
	for _, word := range []string{"hello", "o", "\u00fc", "not there"} {
		n := NewNeedle(word)
		for _, search := range []func(*Message, io.ReaderAt, *Needle) (bool, error){(*Message).SearchBody, (*Message).SearchText} {
			want, _ := search(m, src, n)
			if got, _ := search(r, src, n); got != want {
				t.Fatalf("search for %q: %v, parsed %v", word, got, want)
			}
		}
	}
	whole, _ := m.Section(nil, Whole)
	for _, skip := range []int64{0, 1, whole.Size / 2, whole.Size - 1} {
		one := func(m *Message) byte {
			var c [1]byte
			rd := NewReader(src, m, whole)
			if skip < 0 || rd.Skip(skip) != nil {
				return 0
			}
			io.ReadFull(rd, c[:])
			return c[0]
		}
		if want, got := one(m), one(r); got != want {
			t.Fatalf("octet %d: %q, parsed %q", skip, got, want)
		}
	}
}

// TestRecordBounds: a field that is too large is not kept, and known to be missing.
func TestRecordBounds(t *testing.T) {
	b := []byte("From: a@b\nReferences: " + string(bytes.Repeat([]byte("<a@b> "), 1000)) + "\nreferences: <x@y>\nTo: c@d\n\nx")
	m, _ := Parse(bytes.NewReader(b))
	r := recordOf(t, m, b)
	if _, ok := r.AppendFields(nil, NewFieldSet([]string{"From", "References"})); ok {
		t.Error("a field that is not whole was answered")
	}
	if got, ok := r.AppendFields(nil, NewFieldSet([]string{"to", "from"})); !ok || string(got) != "From: a@b\r\nTo: c@d\r\n\r\n" {
		t.Errorf("%q, %v", got, ok)
	}
	if len(r) > 8000 {
		t.Errorf("the record has %d octets", len(r))
	}
}

// FuzzRecord: octets that are no record, or a damaged one, harm nobody.
func FuzzRecord(f *testing.F) {
	for i := range uint64(20) {
		b := mailtest.Message(99, i)
		m, _ := Parse(bytes.NewReader(b))
		f.Add([]byte(recordOf(f, m, b)))
	}
	src := bytes.NewReader(bytes.Repeat([]byte("From: a\n\nb\n"), 1000))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRecord(b)
		if err != nil {
			return
		}
		r.AppendFields(nil, NewFieldSet([]string{"From"}))
		r.SentDay()
		r.SentDate()
		m, ok := r.Message()
		if !ok {
			return
		}
		m.SearchText(src, NewNeedle("zzz"))
		s, _ := m.Section([]int{1}, Whole)
		io.Copy(io.Discard, NewReader(src, m, s))
	})
}

func BenchmarkRecord(b *testing.B) {
	msg := benchMessage(10, "\n")
	m, _ := Parse(bytes.NewReader(msg))
	src := bytes.NewReader(msg)
	rec := recordOf(b, m, msg)
	var dst []byte
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			dst, _ = AppendRecord(dst[:0], m, src)
		}
	})
	set := NewFieldSet([]string{"DATE", "FROM", "TO", "CC", "SUBJECT", "MESSAGE-ID", "REFERENCES", "CONTENT-TYPE"})
	b.Run("fields", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			dst, _ = rec.AppendFields(dst[:0], set)
		}
	})
	n, subject, from := NewNeedle("not there"), NewFieldSet([]string{"Subject"}), NewFieldSet([]string{"From"})
	b.Run("search plain", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			rec.SearchHeader(from, n)
		}
	})
	b.Run("search encoded", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			rec.SearchHeader(subject, n)
		}
	})
	b.Run("message", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			rec.Message()
		}
	})
	b.Logf("record of %d octets", len(rec))
}
