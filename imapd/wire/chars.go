package wire

// Classes of octets, RFC 9051 section 9. Only 7-bit octets are in any class.
const (
	classAtom    = 1 << iota // ATOM-CHAR
	classAstring             // ASTRING-CHAR: ATOM-CHAR and "]"
	classTag                 // ASTRING-CHAR but "+"
	classList                // list-char: ATOM-CHAR, wildcards and "]"
	classItem                // letters, digits, "." and "-": what names a FETCH item or a section
)

var classes = func() (t [256]uint8) {
	for c := 0x21; c < 0x7f; c++ {
		switch c {
		case '(', ')', '{', '"', '\\':
		case '%', '*':
			t[c] = classList
		case ']':
			t[c] = classAstring | classTag | classList
		case '+':
			t[c] = classAtom | classAstring | classList
		default:
			t[c] = classAtom | classAstring | classTag | classList
		}
		if isDigit(byte(c)) || byte(c)|0x20-'a' < 26 || c == '.' || c == '-' {
			t[c] |= classItem
		}
	}
	return t
}()

func isDigit(c byte) bool { return c-'0' < 10 }

// IsAtom tells whether s can go out as an atom.
func IsAtom(s string) bool {
	for i := 0; i < len(s); i++ {
		if classes[s[i]]&classAtom == 0 {
			return false
		}
	}
	return s != ""
}
