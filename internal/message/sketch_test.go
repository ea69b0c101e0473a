package message

import (
	"bytes"
	"mime"
	"testing"

	"postroom/internal/message/mailtest"
)

// checkSketch looks in a message for pieces of what its fields hold, decoded and not: the sketch may deny none that
// a search finds.
func checkSketch(t *testing.T, b []byte, m *Message, k Sketch) {
	t.Helper()
	src := bytes.NewReader(b)
	for _, set := range sketched {
		name := set.names[0]
		text, err := HeaderFields(src, m, m.Root.Head, set.names, false)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > 400 {
			text = text[:400]
		}
		pieces := []string{string(text)}
		if decoded, err := new(mime.WordDecoder).DecodeHeader(string(text)); err == nil && decoded != string(text) {
			pieces = append(pieces, decoded)
		}
		for _, piece := range pieces {
			for from := 0; from < len(piece); from += 1 + len(piece)/40 {
				n := NewNeedle(piece[from:min(from+3+from%9, len(piece))])
				if found, err := m.SearchHeader(src, name, n); err != nil || found && k.Lacks(set, n) {
					t.Fatalf("by the sketch %q is not in %s of\n%.3000q: %v", n.folded, name, b, err)
				}
			}
		}
	}
}

// TestSketchDenies: texts that are not there are mostly denied, those in other fields as well; nothing is said of what is
// too short or too large, nor of fields that no sketch is made of.
func TestSketchDenies(t *testing.T) {
	denied, asked := 0, 0
	words := []string{"quarterly", "xylophone", "no such text", "invoice 4711", "p\u00e9tanque", "@nowhere.example"}
	for i := range uint64(500) {
		b := mailtest.Message(3, i)
		m, err := Parse(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		k := recordOf(t, m, b).Sketch()
		for _, w := range words {
			n := NewNeedle(w)
			for _, set := range sketched[:2] {
				if found, _ := m.SearchHeader(bytes.NewReader(b), set.names[0], n); found {
					continue
				}
				if asked++; k.Lacks(set, n) {
					denied++
				}
			}
		}
	}
	if asked < 5000 || denied < asked*9/10 {
		t.Errorf("of %d texts that are not there %d are denied", asked, denied)
	}
	subject, from, other := sketched[0], sketched[1], NewFieldSet([]string{"References"})
	b := []byte("From: a@b\nSubject: what it is about\nReferences: <x@y>\n\nx\n")
	m, _ := Parse(bytes.NewReader(b))
	k := recordOf(t, m, b).Sketch()
	for _, c := range []struct {
		set  *FieldSet
		text string
		want bool
	}{
		{subject, "about", false}, {subject, "ABOUT", false}, {subject, "zz", false}, {subject, "", false},
		{subject, "elsewhere", true}, {from, "about", true}, {from, "@b", false}, {other, "elsewhere", false},
	} {
		if got := k.Lacks(c.set, NewNeedle(c.text)); got != c.want {
			t.Errorf("%s lacks %q: %v", c.set.names[0], c.text, got)
		}
	}
	large := []byte("From: a@b\nSubject: " + string(bytes.Repeat([]byte("word "), 2000)) + "\n\nx\n")
	m, _ = Parse(bytes.NewReader(large))
	if k := recordOf(t, m, large).Sketch(); k.Lacks(subject, NewNeedle("elsewhere")) || !k.Lacks(from, NewNeedle("elsewhere")) {
		t.Error("of a Subject that is not kept something is said, or nothing of the others")
	}
}

// FuzzSketch: what a search finds in a header no sketch denies.
func FuzzSketch(f *testing.F) {
	f.Add([]byte("Subject: =?utf-8?q?sch=C3=B6n?=\n =?utf-8?q?er?= text\nTo: A <a@b>\n\n"), "n er")
	f.Add([]byte("Subject:\t two  spaces \nsubject : \xff\xfe8 bit\nFrom: b\n"), "two s")
	f.Fuzz(func(t *testing.T, b []byte, text string) {
		m, err := Parse(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		out, err := AppendRecord(nil, m, bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		r, err := ParseRecord(out)
		if err != nil {
			t.Fatal(err)
		}
		k, n := r.Sketch(), NewNeedle(text)
		for _, set := range sketched {
			if found, err := m.SearchHeader(bytes.NewReader(b), set.names[0], n); err == nil && found && k.Lacks(set, n) {
				t.Errorf("by the sketch %q is not in %s", text, set.names[0])
			}
			if found, known := r.SearchHeader(set, n); known && found && k.Lacks(set, n) {
				t.Errorf("by the sketch %q is not in %s of the record", text, set.names[0])
			}
		}
	})
}
