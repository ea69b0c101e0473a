package message

import (
	"io"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/emersion/go-message/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
	"golang.org/x/text/transform"
)

// Charsets that mail names and the library's tables do not know.
func init() {
	charset.RegisterEncoding("utf-7", utf7{})
	charset.RegisterEncoding("unicode-1-1-utf-7", utf7{})
	charset.RegisterEncoding("cp932", japanese.ShiftJIS)
	charset.RegisterEncoding("ms932", japanese.ShiftJIS)
	charset.RegisterEncoding("utf-32", utf32.UTF32(utf32.BigEndian, utf32.UseBOM))
	charset.RegisterEncoding("utf-32be", utf32.UTF32(utf32.BigEndian, utf32.IgnoreBOM))
	charset.RegisterEncoding("utf-32le", utf32.UTF32(utf32.LittleEndian, utf32.IgnoreBOM))
	charset.RegisterEncoding("utf-16", unicode.UTF16(unicode.BigEndian, unicode.UseBOM))
}

// toUTF8 wraps r so that it yields UTF-8. Text in a charset that says nothing
// or is unknown comes as it is: whoever reads it takes octets that are no UTF-8
// for windows-1252.
func toUTF8(r io.Reader, name string) io.Reader {
	if i := indexAny(name, '*'); i >= 0 {
		name = name[:i] // RFC 2231 section 5: charset*language
	}
	if asItIs(name) {
		return r
	}
	if d, err := charset.Reader(name, r); err == nil {
		return d
	}
	return r
}

// asItIs tells whether text in a charset is searched as it comes.
func asItIs(name string) bool {
	switch name {
	case "", "us-ascii", "ascii", "utf-8", "utf8", "unknown-8bit", "x-unknown", "unknown", "8bit", "default":
		return true
	}
	return false
}

func indexAny(s string, c byte) int {
	for i := 0; i < len(s); i++ {
		if s[i] == c {
			return i
		}
	}
	return -1
}

// utf7 is RFC 2152's encoding, to be read only.
type utf7 struct{}

func (utf7) NewDecoder() *encoding.Decoder { return &encoding.Decoder{Transformer: &utf7Decoder{}} }
func (utf7) NewEncoder() *encoding.Encoder { return encoding.Replacement.NewEncoder() }

type utf7Decoder struct {
	inside bool // between "+" and its end
	first  bool // nothing has followed the "+"
	bits   uint32
	n      int
	high   rune // first half of a surrogate pair
}

func (d *utf7Decoder) Reset() { *d = utf7Decoder{} }

func (d *utf7Decoder) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for _, c := range src {
		if len(dst)-nDst < 2*utf8.UTFMax {
			return nDst, nSrc, transform.ErrShortDst
		}
		nSrc++
		if !d.inside {
			if c == '+' {
				*d = utf7Decoder{inside: true, first: true}
				continue
			}
			nDst += utf8.EncodeRune(dst[nDst:], plainRune(c))
			continue
		}
		v := base64Value[c]
		if v < 0 {
			switch {
			case c == '-' && d.first:
				dst[nDst] = '+'
				nDst++
			case c != '-':
				nDst += utf8.EncodeRune(dst[nDst:], plainRune(c))
			}
			*d = utf7Decoder{}
			continue
		}
		d.first = false
		d.bits = d.bits<<6 | uint32(v)
		if d.n += 6; d.n >= 16 {
			d.n -= 16
			nDst += d.unit(dst[nDst:], rune(d.bits>>d.n&0xffff))
		}
	}
	return nDst, nSrc, nil
}

func plainRune(c byte) rune {
	if c >= utf8.RuneSelf {
		return utf8.RuneError
	}
	return rune(c)
}

// unit takes one unit of UTF-16.
func (d *utf7Decoder) unit(dst []byte, u rune) int {
	if d.high != 0 {
		r := utf16.DecodeRune(d.high, u)
		d.high = 0
		return utf8.EncodeRune(dst, r)
	}
	if 0xd800 <= u && u < 0xdc00 {
		d.high = u
		return 0
	}
	return utf8.EncodeRune(dst, u)
}
