package pop3d

import (
	"bytes"
	"mime"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

var surrogateCases = []struct{ name, in, want string }{
	{"ASCII as it is", "Subject: x\n\tfolded\r\nTo: a@x\n\nbödy: ü\n", "Subject: x\n\tfolded\r\nTo: a@x\n\nbödy: ü\n"},
	{"unknown 8-bit as it is", "Subject: gr\xfc\xdfe\n\n", "Subject: gr\xfc\xdfe\n\n"},
	{"text", "Subject: Grüße an alle\n\nx", "Subject: =?UTF-8?b?R3LDvMOfZQ==?= an alle\r\n\nx"},
	{"neighbours", "Subject: viele schöne Grüße\n\n", "Subject: viele =?UTF-8?b?c2Now7ZuZSBHcsO8w59l?=\r\n\n"},
	{"folded text", "Subject: ein\n Gruß\n\n", "Subject: ein =?UTF-8?b?R3J1w58=?=\r\n\n"},
	{"names", "From: Jürgen Ö <j@x>, \"Ü, A\" <u@x>\n\n", "From: =?UTF-8?b?SsO8cmdlbiDDlg==?= <j@x>, =?UTF-8?b?w5wsIEE=?= <u@x>\r\n\n"},
	{"addresses", "To: Jo <jö@x>, ü@ü.example, a@x\n\n", "To: Jo <" + noAddress + ">, " + noAddress + ", a@x\r\n\n"},
	{"quoted local part", "To: \"ü ü\"@x.example, b@x\n\n", "To: " + noAddress + ", b@x\r\n\n"},
	{"comments and groups", "Cc: Gruppe für alle: a@x (ä(b)), b@x;\n\n", "Cc: =?UTF-8?b?R3J1cHBlIGbDvHIgYWxsZQ==?=: a@x (=?UTF-8?b?w6QoYg==?=), b@x;\r\n\n"},
	{"parameters", "Content-Type: text/plain; charset=utf-8; name=\"ü;\\\" 1.txt\"\n\n", "Content-Type: text/plain; charset=utf-8;\r\n name*=UTF-8''%C3%BC%3B%22%201.txt\r\n\n"},
	{"a type that is none", "Content-Type: tëxt/plain\nA: b\n\n", "A: b\n\n"},
	{"left out", "A: b\nMessage-ID: <ü@x>\nRéceived: x\nC: d\n\n", "A: b\nC: d\n\n"},
	{"no blank line", "Subject: ü", "Subject: =?UTF-8?b?w7w=?=\r\n"},
	{"begins with a fold", " ü\nA: b\n\n", "A: b\n\n"},
	{"no header", "\nSubject: ü\n", "\nSubject: ü\n"},
}

func throughSurrogate(file string, size int) string {
	var out bytes.Buffer
	d := newSurrogate(func(p []byte) error { out.Write(p); return nil })
	for rest := file; rest != ""; {
		n := min(size, len(rest))
		_ = d.write([]byte(rest[:n]))
		rest = rest[n:]
	}
	_ = d.flush()
	return out.String()
}

func TestSurrogate(t *testing.T) {
	for _, c := range surrogateCases {
		for size := 1; size <= len(c.in); size++ {
			if got := throughSurrogate(c.in, size); got != c.want {
				t.Errorf("%s, chunks of %d:\ngot  %q\nwant %q", c.name, size, got, c.want)
				break
			}
		}
	}
}

// What the surrogate says is what the message said.
func TestSurrogateReadsBack(t *testing.T) {
	subject := "Ein langer Gruß an alle, die dies lesen: " + strings.Repeat("äöü ß ", 40) + "Ende"
	in := "From: Jürgen \"J\" Müller <j@x.example>\nSubject: " + subject + "\n\nbody\n"
	msg, err := mail.ReadMessage(strings.NewReader(throughSurrogate(in, 100)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject")); err != nil || got != subject {
		t.Errorf("subject %q, %v", got, err)
	}
	from, err := msg.Header.AddressList("From")
	if err != nil || len(from) != 1 || from[0].Address != "j@x.example" || !strings.Contains(from[0].Name, "Müller") {
		t.Errorf("from %v, %v", from, err)
	}
	for line := range strings.Lines(throughSurrogate(in, 100)) {
		if len(line) > 500 {
			t.Errorf("a line of %d octets", len(line))
		}
	}
}

// A field beyond the bound is not held in memory, and what follows it is again looked at.
func TestSurrogateLongField(t *testing.T) {
	long := "X-Long: ü" + strings.Repeat("x", maxField) + "\n more\n"
	in := long + "Subject: ü\n\nü\n"
	if got, want := throughSurrogate(in, 1000), long+"Subject: =?UTF-8?b?w7w=?=\r\n\nü\n"; got != want {
		t.Errorf("got %.20q... of %d octets, want %d", got, len(got), len(want))
	}
}

func TestUTF8Mode(t *testing.T) {
	f := start(t)
	f.deliver("alice", "1000.M1.h", "Subject: Grüße\n\nbödy\n")
	c := f.login("alice")
	want := []string{"Subject: =?UTF-8?b?R3LDvMOfZQ==?=", "", "bödy"}
	if got := c.multi("RETR 1"); !slices.Equal(got, want) {
		t.Errorf("without UTF8: %q", got)
	}
	if got := c.multi("TOP 1 0"); !slices.Equal(got, want[:2]) {
		t.Errorf("TOP without UTF8: %q", got)
	}
	c = f.dial()
	c.script("C: UTF8\nS: +OK*\nC: USER alice\nS: +OK*\nC: PASS " + password + "\nS: +OK*")
	if got := c.multi("RETR 1"); got[0] != "Subject: Grüße" {
		t.Errorf("with UTF8: %q", got)
	}
}

func FuzzSurrogate(f *testing.F) {
	for _, c := range surrogateCases {
		f.Add(c.in, 7)
	}
	f.Fuzz(func(t *testing.T, file string, size int) {
		got := throughSurrogate(file, max(size, 1))
		if whole := throughSurrogate(file, len(file)+1); got != whole {
			t.Fatalf("chunks of %d: %q\nin one: %q", size, got, whole)
		}
		header, body := splitMail(file)
		gotHeader, gotBody := splitMail(got)
		switch {
		case body != gotBody && body != "":
			t.Fatalf("body %q became %q", body, gotBody)
		case isASCII(header) && header != gotHeader:
			t.Fatalf("header %q became %q", header, gotHeader)
		case utf8.ValidString(header) && len(header) < maxField && !isASCII(gotHeader):
			t.Fatalf("header %q became %q", header, gotHeader)
		}
	})
}

// splitMail cuts before the first empty line.
func splitMail(file string) (header, body string) {
	n := 0
	for line := range strings.Lines(file) {
		if line == "\n" || line == "\r\n" {
			break
		}
		n += len(line)
	}
	return file[:n], file[n:]
}
