package wire

import (
	"encoding/base64"
	"unicode/utf16"
	"unicode/utf8"
)

// Modified UTF-7, RFC 3501 section 5.1.3: printable ASCII stands for itself,
// "&" is "&-", all else is UTF-16 in base64 with "," for "/" between "&" and "-".
var base64UTF7 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding).Strict()

func printable(c byte) bool { return c >= 0x20 && c < 0x7f }

// AppendUTF7 writes the UTF-8 string s in modified UTF-7.
func AppendUTF7(dst []byte, s string) []byte {
	for i := 0; i < len(s); {
		if c := s[i]; printable(c) {
			dst = append(dst, c)
			if c == '&' {
				dst = append(dst, '-')
			}
			i++
			continue
		}
		start := i
		for i < len(s) && !printable(s[i]) {
			i++
		}
		var raw []byte
		for _, u := range utf16.Encode([]rune(s[start:i])) {
			raw = append(raw, byte(u>>8), byte(u))
		}
		dst = append(dst, '&')
		dst = base64UTF7.AppendEncode(dst, raw)
		dst = append(dst, '-')
	}
	return dst
}

// DecodeUTF7 gives the UTF-8 of a name in modified UTF-7. It refuses what has
// a second spelling (printable ASCII in base64, two shifts in a row): such a
// name would not survive being told back to the client.
func DecodeUTF7(s string) (string, bool) {
	dst := make([]byte, 0, len(s))
	shifted := false // the octet before is the "-" of a shift
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !printable(c) {
			return "", false
		}
		if c != '&' {
			dst, shifted = append(dst, c), false
			continue
		}
		end := i + 1
		for end < len(s) && s[end] != '-' {
			end++
		}
		if end == len(s) {
			return "", false
		}
		if end == i+1 {
			dst, shifted = append(dst, '&'), false
		} else {
			if shifted {
				return "", false
			}
			var ok bool
			if dst, ok = appendShifted(dst, s[i+1:end]); !ok {
				return "", false
			}
			shifted = true
		}
		i = end
	}
	return string(dst), true
}

func appendShifted(dst []byte, b64 string) ([]byte, bool) {
	for i := 0; i < len(b64); i++ {
		if !printable(b64[i]) {
			return dst, false // the base64 package would skip CR and LF
		}
	}
	raw, err := base64UTF7.DecodeString(b64)
	if err != nil || len(raw)%2 != 0 || len(raw) == 0 {
		return dst, false
	}
	for i := 0; i < len(raw); i += 2 {
		r := rune(raw[i])<<8 | rune(raw[i+1])
		if utf16.IsSurrogate(r) {
			if i+4 > len(raw) {
				return dst, false
			}
			i += 2
			if r = utf16.DecodeRune(r, rune(raw[i])<<8|rune(raw[i+1])); r == utf8.RuneError {
				return dst, false
			}
		} else if r < 0x80 && (printable(byte(r)) || r == 0) {
			return dst, false
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst, true
}
