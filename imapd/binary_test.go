package imapd

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"postroom/internal/message"
	"postroom/internal/message/mailtest"
)

var binaryN = flag.Int("binary.n", 150, "messages whose decoded parts are compared with Dovecot")

// encodedMails have parts encoded in every way, and wrongly.
func encodedMails(r *rand.Rand, n int) []string {
	var out []string
	part := func(cte, body string) {
		out = append(out, "From: a@example.org\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"=_b\"\n\n--=_b\nContent-Type: application/octet-stream\n"+cte+"\n"+body+"\n--=_b--\n",
			"From: a@example.org\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"+cte+"\n"+body+"\n")
	}
	for _, body := range []string{
		"AAECAw==", "AAEC", "", "QQ==\nQQ==", "QUJD\n\nREVG", " Q U J D ", "QUJ", "QU", "Q", "QUJDRA=", "QUJDRA", "QUJD!REVG", "QUJD=", "=QUJD", "QUJD--\nx", "QUJD\nREVG\n--", "\tQUJD\r\nREVG",
	} {
		part("Content-Transfer-Encoding: base64\n", body)
	}
	for _, body := range []string{
		"a=20b", "a=\nb", "a=3", "a=", "=3D=3d=3D", "=zz", "a=4", "a \nb\t\nc", "a=0Ab=00c", "a= \nb", "===", "=C3=BC", "a=\n", "a\n=\n=\nb", "=20\n",
	} {
		part("Content-Transfer-Encoding: quoted-printable\n", body)
	}
	part("Content-Transfer-Encoding: x-none\n", "abc")
	part("Content-Transfer-Encoding: 8bit\n", "b\xc3\xbcro")
	part("Content-Transfer-Encoding: binary\n", "a\x00b")
	part("Content-Transfer-Encoding: 7bit\n", "a b")
	part("Content-Transfer-Encoding: BASE64 \n", "QUJD")
	part("Content-Transfer-Encoding: \"base64\"\n", "QUJD")
	part("Content-Transfer-Encoding: base64 (comment)\n", "QUJD")
	part("Content-Transfer-Encoding:\n", "QUJD")
	part("", "QUJD")
	for range n { // octets changed in what was right
		cte, body := "base64", []byte(strings.Repeat("SGVsbG8gd29ybGQsIGhlbGxv\n", 4))
		if r.IntN(2) == 0 {
			cte, body = "quoted-printable", []byte(strings.Repeat("b=C3=BCro =\nand so on =3D\n", 4))
		}
		for range r.IntN(4) {
			body[r.IntN(len(body))] = "=A \n-z5\x00"[r.IntN(8)]
		}
		part("Content-Transfer-Encoding: "+cte+"\n", string(body))
	}
	return out
}

var eightBit = regexp.MustCompile(`BINARY\[[0-9.]*\](?:<\d+>)? (~?)\{(\d+)\}\r\n`)

// twoEncodings finds a header with two fields, or three.
var twoEncodings = regexp.MustCompile(`(?i)content-transfer-encoding[ \t]*:[^\n]*\n([^\r\n]+\r?\n)*content-transfer-encoding[ \t]*:`)

// TestDifferentialBinary asks Dovecot for decoded parts and compares them with
// ours, to the octet.
func TestDifferentialBinary(t *testing.T) {
	haveDovecot(t)
	mails := encodedMails(rand.New(rand.NewPCG(*sequenceSeed, 1)), *binaryN/4)
	for n := uint64(0); len(mails) < *binaryN+80; n++ {
		m := mailtest.Message(*sequenceSeed, n)
		if cr := bytes.Count(m, []byte("\r")); cr == 0 || cr == bytes.Count(m, []byte("\r\n")) && cr == bytes.Count(m, []byte("\n")) {
			mails = append(mails, string(m)) // see internal/message of Dovecot and mixed line ends
		}
	}
	p := startPair(t, func(t *testing.T, root string) {
		makeFolder(t, root)
		list := fmt.Sprintf("3 V1 N%d G%032x\n", len(mails)+1, 1)
		for i, m := range mails {
			name := fmt.Sprintf("17%08d.x", i)
			list += fmt.Sprintf("%d :%s\n", i+1, name)
			write(t, filepath.Join(root, "cur", name+":2,S"), m)
		}
		write(t, filepath.Join(root, "dovecot-uidlist"), list)
	})
	p.run("SELECT INBOX")
	wrong, damaged, ambiguous := 0, 0, 0
	for i, text := range mails {
		for path, leaf := range leaves(t, text) {
			items := fmt.Sprintf("(BINARY.SIZE[%[1]s] BINARY.PEEK[%[1]s] BINARY.PEEK[%[1]s]<2.5>)", path)
			ours := p.us.run(t, fmt.Sprintf("FETCH %d %s", i+1, items))
			checkLiteral8(t, ours[0])
			theirs := p.it.run(t, fmt.Sprintf("FETCH %d %s", i+1, items))
			switch last := theirs[len(theirs)-1]; {
			case strings.HasPrefix(last, "* BYE"):
				p.it = startDovecot(t, p.dir)
				p.it.read(t, p.it.run(t, "SELECT INBOX"))
				fallthrough
			case strings.Contains(last, "[PARSE]"):
				// What is damaged is decoded as far as it goes (RFC 2045 section 6.8
				// tells to ignore what is no base64); Dovecot gives none of it.
				damaged++
				if !strings.Contains(ours[len(ours)-1], " OK ") {
					t.Errorf("message %d: %s", i+1, ours)
				}
				continue
			}
			if len(theirs) == 2 && !strings.Contains(theirs[0], "BINARY") {
				theirs = theirs[1:] // a FETCH with nothing but the UID precedes Dovecot's NO
			}
			a, b := p.us.read(t, ours).texts(), p.it.read(t, theirs).texts()
			switch {
			case slices.Equal(a, b):
			case leaf.Encoding == "" || twoEncodings.MatchString(text):
				// Both tell the same encoding in BODYSTRUCTURE; Dovecot decodes by another
				// where there are two fields, one that names none, or no MIME-Version.
				ambiguous++
			default:
				t.Errorf("message %d %s:\nPostroom %.700q\nDovecot  %.700q\n%.800q", i+1, items, a, b, text)
				if wrong++; wrong > 5 {
					return
				}
			}
		}
	}
	t.Logf("%d messages; Dovecot refuses %d damaged parts, %d are ambiguous", len(mails), damaged, ambiguous)
}

// checkLiteral8 sees that a literal with NUL is one that may have it (RFC 9051
// section 4.3.1).
func checkLiteral8(t *testing.T, line string) {
	t.Helper()
	for _, m := range eightBit.FindAllStringSubmatch(line, -1) {
		n, _ := strconv.Atoi(m[2])
		if _, value, _ := strings.Cut(line, m[0]); m[1] == "" && strings.Contains(value[:n], "\x00") {
			t.Errorf("a NUL in a literal that is not literal8: %.200q", line)
		}
	}
}

// leaves gives the parts of a mail that hold no parts, by their numbers.
func leaves(t *testing.T, text string) map[string]*message.Part {
	m, err := message.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]*message.Part)
	var walk func(p *message.Part, path string)
	walk = func(p *message.Part, path string) {
		switch {
		case p.Kind == message.Multipart:
			for i, c := range p.Children {
				walk(c, fmt.Sprintf("%s.%d", path, i+1))
			}
		case p.Kind == message.Embedded && p.Children[0].Kind == message.Multipart:
			walk(p.Children[0], path)
		case p.Kind == message.Embedded:
			walk(p.Children[0], path+".1")
		case len(out) < 6:
			out[strings.TrimPrefix(path, ".")] = p
		}
	}
	if m.Root.Kind == message.Multipart {
		walk(m.Root, "")
	} else {
		walk(m.Root, ".1")
	}
	return out
}
