package message

import (
	"slices"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/unicode/norm"
)

// upperASCII is the form in which ASCII is compared.
var upperASCII = func() (t [utf8.RuneSelf]byte) {
	for i := range t {
		t[i] = byte(unicode.ToUpper(rune(i)))
	}
	return t
}()

// foldedTable holds the forms of the characters below foldTable: all alphabets
// that have letter case, and kana. It is made when it is first needed.
const foldTable = 0x3400

var foldedTable = sync.OnceValue(func() *[foldTable]string {
	t := new([foldTable]string)
	var b []byte
	for r := range t {
		b = foldRune(b[:0], rune(r))
		t[r] = string(b)
	}
	return t
})

// AppendFolded appends text in the form in which searches compare it, letters without their case and decomposed, which is
// also an order to sort by.
func AppendFolded(dst []byte, s string) []byte {
	dst, _ = appendFold(dst, []byte(s), true)
	return dst
}

// appendFold appends text in the form in which it is compared. Octets that
// are no UTF-8 are taken for windows-1252, what undeclared 8-bit text most
// often is. Without last, the beginning of a character that is not all there is
// left over; rest tells how much.
func appendFold(dst, s []byte, last bool) (out []byte, rest int) {
	dst = slices.Grow(dst, len(s))
	for i := 0; i < len(s); {
		w := len(dst)
		run := dst[w : w+min(cap(dst)-w, len(s)-i)]
		k := 0
		for k < len(run) && s[i+k] < utf8.RuneSelf {
			run[k] = upperASCII[s[i+k]]
			k++
		}
		dst = dst[:w+k]
		if i += k; i == len(s) {
			break
		}
		if k == len(run) {
			dst = slices.Grow(dst, len(s)-i)
			continue
		}
		r, n := utf8.DecodeRune(s[i:])
		if r == utf8.RuneError && n == 1 {
			if !last && len(s)-i < utf8.UTFMax && !utf8.FullRune(s[i:]) {
				return dst, len(s) - i
			}
			r = charmap.Windows1252.DecodeByte(s[i])
		}
		dst = appendFoldRune(dst, r)
		i += n
	}
	return dst, 0
}

func appendFoldRune(dst []byte, r rune) []byte {
	switch {
	case r < foldTable:
		return append(dst, foldedTable()[r]...)
	case 0x3400 <= r && r < 0xa000 || 0x20000 <= r && r < 0x2f800:
		return utf8.AppendRune(dst, r) // ideographs are as they are
	case 0xac00 <= r && r < 0xd7a4:
		return appendHangul(dst, r-0xac00)
	}
	return foldRune(dst, r)
}

// appendHangul appends the letters of a syllable, Unicode section 3.12.
func appendHangul(dst []byte, s rune) []byte {
	dst = utf8.AppendRune(dst, 0x1100+s/588)
	dst = utf8.AppendRune(dst, 0x1161+s%588/28)
	if t := s % 28; t != 0 {
		dst = utf8.AppendRune(dst, 0x11a7+t)
	}
	return dst
}

// foldRune appends one character: titlecase, decomposed, and titlecase again
// for what decomposition brings to light (a ligature's letters).
func foldRune(dst []byte, r rune) []byte {
	if r == 0xfeff || r == 0xad {
		return dst // byte order mark, soft hyphen: not to be seen
	}
	var b [utf8.UTFMax]byte
	n := utf8.EncodeRune(b[:], unicode.ToTitle(r))
	for _, d := range string(norm.NFKD.Append(nil, b[:n]...)) {
		dst = utf8.AppendRune(dst, unicode.ToTitle(d))
	}
	return dst
}
