package message

import (
	"bytes"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/transform"
)

// maxWord bounds how far behind "=?" the end of an encoded word is looked for. RFC 2047 section 2 allows 75 octets;
// senders that put a whole subject into one word are many.
const maxWord = 8 << 10

// DecodeText makes text for people of an unstructured header field's value: encoded words are decoded (RFC 2047), white
// space between two of them dropped, and octets beyond ASCII outside of them taken for UTF-8, those that are none for
// windows-1252. The result is valid UTF-8. What it says is the sender's: Printable makes it fit for a line of a page.
func DecodeText(raw string) string {
	v := []byte(raw)
	var out strings.Builder
	var run []byte // decoded octets of adjacent words in one charset: senders cut characters in two
	var charset string
	flush := func() {
		if len(run) > 0 {
			// What a bytes.Reader yields cannot fail but in its encoding, and then what came before counts.
			_, _ = io.Copy(&out, NewTextReader(bytes.NewReader(run), charset))
			run = run[:0]
		}
	}
	plain := func(b []byte) {
		if len(b) > 0 {
			flush()
			out.WriteString(guess(b))
		}
	}
	for len(v) > 0 {
		i := bytes.Index(v, []byte("=?"))
		if i < 0 {
			break
		}
		w, n, ok := cutWord(v[i:min(len(v), i+maxWord)])
		if !ok {
			plain(v[:i+2])
			v = v[i+2:]
			continue
		}
		if between := v[:i]; len(run) == 0 || len(bytes.Trim(between, " \t\r\n")) > 0 {
			plain(between)
		}
		if w.charset != charset {
			flush()
			charset = w.charset
		}
		run = append(run, w.decode()...)
		v = v[i+n:]
	}
	flush()
	plain(v)
	return out.String()
}

// guess reads octets as UTF-8, and those that are none as windows-1252.
func guess(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var out strings.Builder
	for len(b) > 0 {
		r, n := guessRune(b)
		out.WriteRune(r)
		b = b[n:]
	}
	return out.String()
}

func guessRune(b []byte) (r rune, n int) {
	if r, n = utf8.DecodeRune(b); r == utf8.RuneError && n == 1 {
		r = charmap.Windows1252.DecodeByte(b[0])
	}
	return r, n
}

// Printable makes text fit for one line of a page: runs of line ends and the white space around them become one space,
// other control characters go, and so do the characters that change the direction of what follows (a file name
// "gpj.exe" can look like "exe.jpg" with them). What is not UTF-8 becomes U+FFFD.
func Printable(s string) string {
	clean := true
	for _, r := range s {
		if r == utf8.RuneError || unprintable(r) || isLineEnd(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var out []byte
	folding := false
	for _, r := range s {
		switch {
		case isLineEnd(r):
			out = bytes.TrimRight(out, " ")
			folding = true
		case folding && (r == ' ' || r == '\t'):
		case r == '\t':
			out = append(out, ' ')
		case unprintable(r):
		default:
			if folding && len(out) > 0 {
				out = append(out, ' ')
			}
			folding = false
			out = utf8.AppendRune(out, r)
		}
	}
	return string(out)
}

func isLineEnd(r rune) bool {
	return r == '\n' || r == '\r' || r == '\v' || r == '\f' || r == 0x85 || r == 0x2028 || r == 0x2029
}

// unprintable are control characters, those that turn the direction of text or embed one in another (Unicode Standard
// Annex 9), and marks that are seen nowhere but make two texts differ.
func unprintable(r rune) bool {
	switch {
	case r < 0x20 || r >= 0x7f && r < 0xa0:
		return true
	case r < 0x61c:
		return r == 0xad
	case r == 0x61c, r == 0x200b, r == 0x200e, r == 0x200f, r == 0x2060, r == 0xfeff,
		0x202a <= r && r <= 0x202e, 0x2066 <= r && r <= 0x206f, 0xfff9 <= r && r <= 0xfffb:
		return true
	}
	return unicode.Is(unicode.Noncharacter_Code_Point, r)
}

// DisplayAddress is one address as it is shown: Name decoded, Addr as it is written in mail (local-part quoted where it
// must be); both Printable, each may be "".
type DisplayAddress struct{ Name, Addr string }

// String is the address as it stands in a field that people write: Name <Addr>.
func (a DisplayAddress) String() string {
	switch {
	case a.Name == "":
		return a.Addr
	case a.Addr == "":
		return a.Name
	}
	name := a.Name
	if strings.ContainsAny(name, `"(),.:;<>@[\]`) {
		name = quote(name)
	}
	return name + " <" + a.Addr + ">"
}

// ParseAddresses reads the value of a field of addresses (RFC 5322 section 3.4). Groups are flattened, what is no
// address is left out; of what is half one, the half is shown.
func ParseAddresses(v string) []DisplayAddress { return DisplayAddresses(parseAddresses(v)) }

// DisplayAddresses makes addresses of an Envelope fit to be shown, as ParseAddresses does.
func DisplayAddresses(list []Address) []DisplayAddress {
	var out []DisplayAddress
	for _, a := range list {
		if !a.Host.Set {
			continue // a group's beginning or end
		}
		d := DisplayAddress{Name: strings.TrimSpace(Printable(DecodeText(a.Name.Value)))}
		local, host := a.Mailbox.Value, a.Host.Value
		if local != missingMailbox && local != "" {
			d.Addr = quoteLocal(Printable(guess([]byte(local))))
			if host != missingDomain && host != syntaxError {
				d.Addr += "@" + Printable(guess([]byte(host)))
			}
		}
		if d != (DisplayAddress{}) {
			out = append(out, d)
		}
	}
	return out
}

// quoteLocal quotes a local-part that is no dot-atom (RFC 5322 section 3.4.1). Dots wherever they stand are let be.
func quoteLocal(s string) string {
	for i := range len(s) {
		if classes[s[i]]&isAtext == 0 && s[i] != '.' {
			return quote(s)
		}
	}
	return s
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// NewTextReader yields the text that r has in a charset as valid UTF-8. A charset that is unknown, or says nothing, is
// taken for UTF-8, what of it is none for windows-1252. Its errors are r's.
func NewTextReader(r io.Reader, charset string) io.Reader {
	in := &errorKeeper{r: r}
	decoded := toUTF8(in, lower(strings.TrimSpace(charset)))
	return &textReader{in: in, r: transform.NewReader(decoded, guessUTF8{})}
}

// textReader ends where its charset's decoder gives up, but tells of errors of what it reads.
type textReader struct {
	in *errorKeeper
	r  io.Reader
}

func (t *textReader) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if err != nil && err != io.EOF {
		if err = t.in.err; err == nil {
			err = io.EOF
		}
	}
	return n, err
}

// guessUTF8 is guess for streams.
type guessUTF8 struct{ transform.NopResetter }

func (guessUTF8) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		if !atEOF && !utf8.FullRune(src[nSrc:]) {
			return nDst, nSrc, transform.ErrShortSrc
		}
		r, n := guessRune(src[nSrc:])
		if nDst+utf8.RuneLen(r) > len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		nDst += utf8.EncodeRune(dst[nDst:], r)
		nSrc += n
	}
	return nDst, nSrc, nil
}

// EachField calls f for each field of a header section, in order, until it returns false: its name, and its value
// unfolded and otherwise as it stands. Of values longer than 256 KiB the beginning counts; a line without a colon
// is told of under no name. The only errors are src's.
func EachField(src io.ReaderAt, m *Message, s Section, f func(name, value string) bool) error {
	lines := func(g func([]byte, bool) bool) error { return headerLines(src, m, s, g) }
	return eachField(lines, func(name, value []byte) bool { return f(guess(name), string(value)) })
}
