package message

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// naive is what a Reader must yield of a whole message.
func naive(b []byte) []byte {
	var out []byte
	for i, c := range b {
		if c == '\n' && (i == 0 || b[i-1] != '\r') {
			out = append(out, '\r')
		}
		if c == 0 {
			c = 0x80
		}
		out = append(out, c)
	}
	return out
}

// large is a message of some 400 KB with line ends as given.
func large(seed uint64, eols ...string) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	b := []byte("Subject: x\n\n")
	for len(b) < 400<<10 {
		n := r.IntN(100)
		if r.IntN(200) == 0 {
			n = r.IntN(100000)
		}
		b = append(b, strings.Repeat("abcdefghi\r", n/10+1)[:n]...)
		b = append(b, eols[r.IntN(len(eols))]...)
	}
	return b
}

func TestReaderSkip(t *testing.T) {
	for name, msg := range map[string][]byte{
		"LF": large(1, "\n"), "CRLF": large(2, "\r\n"), "mixed": large(3, "\n", "\r\n", "\r\r\n", "\n\n", "\x00\n"),
	} {
		m, err := Parse(bytes.NewReader(msg))
		if err != nil {
			t.Fatal(err)
		}
		want := naive(msg)
		if m.Size != int64(len(want)) {
			t.Fatalf("%s: size %d, want %d", name, m.Size, len(want))
		}
		s, _ := m.Section(nil, Whole)
		r := rand.New(rand.NewPCG(4, 0))
		for range 300 {
			off := r.Int64N(m.Size + 10)
			rd := NewReader(bytes.NewReader(msg), m, s)
			first := r.Int64N(off + 1)
			if r.IntN(2) == 0 { // read a little between two skips
				if err := rd.Skip(first); err != nil {
					t.Fatal(err)
				}
				n, _ := io.ReadFull(rd, make([]byte, min(off-first, 100)))
				first += int64(n)
			} else {
				first = 0
			}
			if err := rd.Skip(off - first); err != nil {
				t.Fatal(err)
			}
			n := min(int64(r.IntN(5000)), max(0, m.Size-off))
			got := make([]byte, n)
			if _, err := io.ReadFull(rd, got); err != nil {
				t.Fatalf("%s: %d at %d: %v", name, n, off, err)
			}
			if n > 0 && !bytes.Equal(got, want[off:off+n]) {
				t.Fatalf("%s: octets at %d differ", name, off)
			}
			if left := max(0, m.Size-off-n); rd.Len() != left {
				t.Fatalf("%s: %d left, want %d", name, rd.Len(), left)
			}
			rd.release()
		}
	}
}

// counter counts what is read of a file.
type counter struct {
	io.ReaderAt
	n int
}

func (c *counter) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, off)
	c.n += n
	return n, err
}

// A partial fetch reads no more than what lies between two marks.
func TestReaderSkipIsCheap(t *testing.T) {
	msg := []byte("Subject: x\n\n" + strings.Repeat("line\n", 1<<20))
	m, err := Parse(bytes.NewReader(msg))
	if err != nil {
		t.Fatal(err)
	}
	s, _ := m.Section(nil, Whole)
	for _, off := range []int64{1000, 1 << 20, m.Size - 50} {
		c := &counter{ReaderAt: bytes.NewReader(msg)}
		r := NewReader(c, m, s)
		if err := r.Skip(off); err != nil {
			t.Fatal(err)
		}
		if c.n > 2*markEvery {
			t.Errorf("skipping to %d reads %d octets", off, c.n)
		}
	}
}

func TestReaderWriteTo(t *testing.T) {
	msg := large(5, "\n", "\r\n")
	m, _ := Parse(bytes.NewReader(msg))
	var b bytes.Buffer
	s, _ := m.Section(nil, Whole)
	if n, err := NewReader(bytes.NewReader(msg), m, s).WriteTo(&b); n != m.Size || err != nil {
		t.Fatal(n, err)
	}
	if !bytes.Equal(b.Bytes(), naive(msg)) {
		t.Error("octets differ")
	}
}

// A file that has become shorter is an error, never a short section.
func TestReaderTruncated(t *testing.T) {
	for _, eol := range []string{"\n", "\r\n"} {
		msg := large(6, eol)
		m, _ := Parse(bytes.NewReader(msg))
		s, _ := m.Section(nil, Whole)
		if _, err := io.Copy(io.Discard, NewReader(bytes.NewReader(msg[:1000]), m, s)); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("error %v", err)
		}
		r := NewReader(bytes.NewReader(msg[:1000]), m, s)
		if err := r.Skip(m.Size - 10); err == nil {
			if _, err = r.Read(make([]byte, 5)); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("error %v after Skip", err)
			}
		}
		// Another file with more line ends: still no more than Size.
		b, err := io.ReadAll(NewReader(bytes.NewReader(bytes.Repeat([]byte("\n"), len(msg))), m, s))
		if int64(len(b)) > s.Size {
			t.Errorf("%d octets of %d, %v", len(b), s.Size, err)
		}
	}
}

func TestHeaderFields(t *testing.T) {
	msg := "From: a\n\tfolded\nSubject : s\nno colon\nFROM: b\nX:\n\nbody\n"
	m, err := Parse(strings.NewReader(msg))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		fields []string
		not    bool
		want   string
	}{
		{[]string{"from"}, false, "From: a\r\n\tfolded\r\nFROM: b\r\n\r\n"},
		{[]string{"Subject", "X"}, false, "Subject : s\r\nX:\r\n\r\n"},
		{[]string{"Date"}, false, "\r\n"},
		{[]string{"From", "x"}, true, "Subject : s\r\nno colon\r\n\r\n"},
	} {
		got, err := HeaderFields(strings.NewReader(msg), m, m.Root.Head, c.fields, c.not)
		if err != nil || string(got) != c.want {
			t.Errorf("%q not %v: %q, %v; want %q", c.fields, c.not, got, err, c.want)
		}
	}
	long := "A: 1\nFrom: " + strings.Repeat("x", 100000) + "\n y\nB: 2\n\n"
	m, _ = Parse(strings.NewReader(long))
	got, err := HeaderFields(strings.NewReader(long), m, m.Root.Head, []string{"From"}, false)
	if want := "From: " + strings.Repeat("x", 100000) + "\r\n y\r\n\r\n"; err != nil || string(got) != want {
		t.Errorf("a long field: %d octets, %v", len(got), err)
	}
}
