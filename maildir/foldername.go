package maildir

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Folder names. In the API a name is UTF-8, its parts divided by the tree's
// separator; INBOX is the root itself. On disk folder a/b is the directory
// ".a.b", each part in modified UTF-7 (RFC 3501 section 5.1.3) or, in trees that
// hold any such name, in plain UTF-8. In modified UTF-7 the characters that a
// part cannot hold, '.' and '/', are shifted like any other, as Courier does.
//
// A directory whose name is neither still gets a name: octets that are not
// UTF-8 are shown as U+F780..U+F7FF, and the listing remembers the directory.

const (
	maxNameOctets = 255 // of a directory's name
	maxNameParts  = 64
	rawOctetBase  = 0xF700
)

// encoding is how a tree writes folder names.
type encoding uint8

const (
	modifiedUTF7 encoding = iota
	plainUTF8
)

var mutf7Base64 = base64.NewEncoding(
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding)

// dirName gives the directory of a folder that is not in the listing.
func (t *Tree) dirName(name string, enc encoding) (string, error) {
	parts, err := t.splitName(name)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, p := range parts {
		b.WriteByte('.')
		s, err := encodePart(p, enc)
		if err != nil {
			return "", fmt.Errorf("%q: %w: %w", name, ErrBadName, err)
		}
		b.WriteString(s)
	}
	if b.Len() > maxNameOctets {
		return "", fmt.Errorf("%q: %w: longer than %d octets on disk", name, ErrBadName, maxNameOctets)
	}
	return b.String(), nil
}

// splitName checks a name and gives its parts.
func (t *Tree) splitName(name string) ([]string, error) {
	bad := func(why string) error { return fmt.Errorf("%q: %w: %s", name, ErrBadName, why) }
	if !utf8.ValidString(name) {
		return nil, bad("not UTF-8")
	}
	for _, r := range name {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 {
			return nil, bad("control characters")
		}
	}
	parts := strings.Split(name, string(t.sep))
	if len(parts) > maxNameParts {
		return nil, bad("too deep")
	}
	for _, p := range parts {
		if p == "" {
			return nil, bad("an empty part")
		}
	}
	return parts, nil
}

// encodePart gives a part of a name as it stands in a directory's name. decodeDir makes the same name of it again.
func encodePart(p string, enc encoding) (string, error) {
	if strings.IndexFunc(p, isRawOctet) >= 0 {
		return encodeRaw(p)
	}
	var b strings.Builder
	var shifted []uint16
	var raw []byte
	flush := func() {
		if len(shifted) == 0 {
			return
		}
		for _, u := range shifted {
			raw = append(raw, byte(u>>8), byte(u))
		}
		b.WriteByte('&')
		b.WriteString(mutf7Base64.EncodeToString(raw))
		b.WriteByte('-')
		shifted, raw = shifted[:0], raw[:0]
	}
	for _, r := range p {
		special := r == '.' || r == '/'
		switch {
		case enc == plainUTF8 && special:
			return "", fmt.Errorf("%q in a part of a name in a UTF-8 tree", r)
		case enc == plainUTF8:
			b.WriteRune(r)
		case r == '&':
			flush()
			b.WriteString("&-")
		case r < 0x7f && !special:
			flush()
			b.WriteRune(r)
		default:
			shifted = utf16.AppendRune(shifted, r)
		}
	}
	flush()
	return b.String(), nil
}

func isRawOctet(r rune) bool { return r >= rawOctetBase+0x80 && r <= rawOctetBase+0xff }

// encodeRaw is escapeRaw's reverse: a part with octets that are no text is no text as a whole, and stands for
// itself.
func encodeRaw(p string) (string, error) {
	var b strings.Builder
	for _, r := range p {
		switch {
		case isRawOctet(r):
			b.WriteByte(byte(r - rawOctetBase))
		case r == '.' || r == '/':
			return "", fmt.Errorf("%q in a part of a name that is not text", r)
		default:
			b.WriteRune(r)
		}
	}
	if escapeRaw(b.String()) != p {
		return "", errors.New("octets that are text after all")
	}
	return b.String(), nil
}

// decodeMUTF7 decodes one part; ok is false when it is not modified UTF-7.
func decodeMUTF7(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < 0x20 || c > 0x7e {
			return "", false
		}
		if c != '&' {
			b.WriteByte(c)
			continue
		}
		end := strings.IndexByte(s[i:], '-')
		if end < 0 {
			return "", false
		}
		run := s[i+1 : i+end]
		i += end
		if run == "" {
			b.WriteByte('&')
			continue
		}
		raw, err := mutf7Base64.DecodeString(run)
		if err != nil || len(raw)%2 != 0 {
			return "", false
		}
		units := make([]uint16, len(raw)/2)
		for j := range units {
			units[j] = uint16(raw[2*j])<<8 | uint16(raw[2*j+1])
		}
		runes := utf16.Decode(units)
		if !slices.Equal(utf16.Encode(runes), units) {
			return "", false // half a surrogate pair; U+FFFD itself is a character like others
		}
		for _, r := range runes {
			if r < 0x20 {
				return "", false
			}
			b.WriteRune(r)
		}
	}
	return b.String(), true
}

// decodeDir gives the name of a directory ".a.b" as this tree writes names.
// What cannot be decoded is shown as it stands.
func (t *Tree) decodeDir(dirName string, enc encoding) string {
	return t.decodeParts(strings.Split(dirName[1:], "."), enc)
}

// decodeParts gives the name whose parts are written like that.
func (t *Tree) decodeParts(written []string, enc encoding) string {
	parts := make([]string, len(written))
	for i, p := range written {
		if enc == modifiedUTF7 {
			if s, ok := decodeMUTF7(p); ok && !strings.ContainsRune(s, rune(t.sep)) {
				parts[i] = s
				continue
			}
		}
		parts[i] = escapeRaw(p)
	}
	return strings.Join(parts, string(t.sep))
}

// escapeRaw makes any octets UTF-8, reversibly.
func escapeRaw(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			r = rawOctetBase + rune(s[i])
		}
		b.WriteRune(r)
		i += n
	}
	return b.String()
}

// guessEncoding tells how the names of a tree's directories are written: one
// name with octets beyond ASCII and none in modified UTF-7 makes it a UTF-8 tree.
func guessEncoding(dirs []string) encoding {
	eight := false
	for _, d := range dirs {
		for _, p := range strings.Split(d, ".") {
			if !isASCII(p) {
				eight = true
			} else if s, ok := decodeMUTF7(p); ok && !isASCII(s) {
				return modifiedUTF7
			}
		}
	}
	if eight {
		return plainUTF8
	}
	return modifiedUTF7
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
