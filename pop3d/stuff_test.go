package pop3d

import (
	"bytes"
	"strings"
	"testing"
)

// What Dovecot 2.3.19 answers for the same files, byte for byte.
var sendCases = []struct {
	name, file string
	lines      int64
	want       string
}{
	{"dots and no last line end", "Subject: one\n\nline1\n.dot\n..two\nlast", wholeBody, "Subject: one\r\n\r\nline1\r\n..dot\r\n...two\r\nlast\r\n.\r\n"},
	{"CR at the end", "Subject: crlf\r\n\r\nline1\r\n.dot\r\nlast\r", wholeBody, "Subject: crlf\r\n\r\nline1\r\n..dot\r\nlast\r\r\n.\r\n"},
	{"header cut off", "From: a@x\nSubject: noblank", wholeBody, "From: a@x\r\nSubject: noblank\r\n.\r\n"},
	{"no octets", "", wholeBody, "\r\n.\r\n"},
	{"NUL, CR, empty lines", "Subject: nul\n\na\x00b\rc\nl2\n\n\n", wholeBody, "Subject: nul\r\n\r\na\x00b\rc\r\nl2\r\n\r\n\r\n.\r\n"},
	{"only a dot", ".", wholeBody, "..\r\n.\r\n"},
	{"dot after CR", "\r\n\r.\r\n", wholeBody, "\r\n\r.\r\n.\r\n"},
	{"dots in the header", ".a\n.\n\n.\n", wholeBody, "..a\r\n..\r\n\r\n..\r\n.\r\n"},

	{"TOP 0", "A: b\n\nl1\nl2\n", 0, "A: b\r\n\r\n.\r\n"},
	{"TOP 1", "A: b\n\nl1\nl2\n", 1, "A: b\r\n\r\nl1\r\n.\r\n"},
	{"TOP of all", "A: b\n\nl1\nl2", 2, "A: b\r\n\r\nl1\r\nl2\r\n.\r\n"},
	{"TOP of more", "A: b\n\nl1\nl2", 9, "A: b\r\n\r\nl1\r\nl2\r\n.\r\n"},
	{"TOP with CRLF", "A: b\r\n\r\n.l1\r\n.l2\r\n", 1, "A: b\r\n\r\n..l1\r\n.\r\n"},
	{"TOP without a body", "A: b\n", 3, "A: b\r\n.\r\n"},
	{"TOP of no octets", "", 0, "\r\n.\r\n"},
	{"TOP counts empty lines", "A: b\n\n\n\nl3\n", 2, "A: b\r\n\r\n\r\n\r\n.\r\n"},
	{"a line of one CR more is not empty", "A: b\r\n\r\r\nc\r\n\r\nd\r\n", 0, "A: b\r\n\r\r\nc\r\n\r\n.\r\n"},
}

func TestMessageWriter(t *testing.T) {
	for _, c := range sendCases {
		// In every size of chunk, so that each octet is once at a border.
		for size := 1; size <= len(c.file)+1; size++ {
			if got := throughWriter(c.file, c.lines, size); got != c.want {
				t.Errorf("%s, chunks of %d:\ngot  %q\nwant %q", c.name, size, got, c.want)
			}
		}
	}
}

func throughWriter(file string, lines int64, size int) string {
	var out bytes.Buffer
	w := newMessageWriter(&out, lines)
	defer w.release()
	for rest := file; rest != "" && !w.done(); {
		n := min(size, len(rest))
		_ = w.write([]byte(rest[:n]))
		rest = rest[n:]
	}
	_ = w.finish()
	return out.String()
}

// Whatever the message is, the client gets its octets and sees where it ends.
func FuzzMessageWriter(f *testing.F) {
	for _, c := range sendCases {
		f.Add(c.file, c.lines, 3)
	}
	f.Fuzz(func(t *testing.T, file string, lines int64, size int) {
		lines, size = max(lines, 0), max(size, 1)
		got := throughWriter(file, lines, size)
		if whole := throughWriter(file, lines, len(file)+1); got != whole {
			t.Fatalf("chunks of %d: %q\nin one: %q", size, got, whole)
		}
		body, ok := strings.CutSuffix(got, ".\r\n")
		if !ok || strings.Contains("\n"+body, "\n.\r\n") || strings.Contains(strings.ReplaceAll(body, "\r\n", ""), "\n") {
			t.Fatalf("not one message of CRLF lines: %q", got)
		}
		back := strings.ReplaceAll("\n"+body, "\n..", "\n.")[1:]
		crlf := strings.ReplaceAll(strings.ReplaceAll(file, "\r\n", "\n"), "\n", "\r\n")
		if crlf == "" || !strings.HasSuffix(crlf, "\n") {
			crlf += "\r\n"
		}
		if lines == wholeBody && back != crlf || !strings.HasPrefix(crlf, back) {
			t.Fatalf("octets differ:\ngot  %q\nwant %q", back, crlf)
		}
	})
}
