package order

import (
	"strings"
)

// refwd are the words that say before a colon that a subject is another's. RFC 5256 section 2.1 knows "re", "fw" and "fwd"; the
// others are what mail programs in other languages write for them.
var refwd = map[string]bool{
	"re": true, "fw": true, "fwd": true,
	"aw": true, "wg": true, "antw": true, "sv": true, "vs": true, "vb": true, "tr": true, "rv": true, "rif": true,
}

// BaseSubject gives the base subject of RFC 5256 section 2.1 of a subject that is decoded, and tells whether it is that of a
// reply or of a forwarded message.
func BaseSubject(s string) (base string, reply bool) {
	s = strings.Join(strings.Fields(s), " ")
	for {
		for { // step 2
			t := strings.TrimSuffix(s, " ")
			if n := len(t) - len("(fwd)"); n >= 0 && strings.EqualFold(t[n:], "(fwd)") {
				t, reply = t[:n], true
			}
			if len(t) == len(s) {
				break
			}
			s = t
		}
		for { // steps 3 to 5
			t, cut := s, false
			if rest, ok := leader(s); ok {
				t, cut, reply = rest, true, true
			}
			if rest, ok := blob(t); ok && rest != "" {
				t, cut = rest, true
			}
			if !cut {
				break
			}
			s = t
		}
		// step 6
		if n := len("[fwd:"); len(s) > n && strings.EqualFold(s[:n], "[fwd:") && s[len(s)-1] == ']' {
			s, reply = strings.TrimLeft(s[n:len(s)-1], " "), true
			continue
		}
		return s, reply
	}
}

// leader takes (*subj-blob subj-refwd) or white space off the beginning.
func leader(s string) (rest string, ok bool) {
	rest = strings.TrimLeft(s, " ")
	for {
		next, ok := blob(rest)
		if !ok {
			break
		}
		rest = next
	}
	n := 0
	for n < len(rest) && isLetter(rest[n]) {
		n++
	}
	if n == 0 || n > 4 || !refwd[strings.ToLower(rest[:n])] {
		return s, false
	}
	rest = strings.TrimLeft(rest[n:], " ")
	if next, ok := blob(rest); ok {
		rest = next
	}
	if !strings.HasPrefix(rest, ":") {
		return s, false
	}
	return strings.TrimLeft(rest[1:], " "), true
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// blob takes "[" *BLOBCHAR "]" *WSP off the beginning.
func blob(s string) (rest string, ok bool) {
	if !strings.HasPrefix(s, "[") {
		return s, false
	}
	end := strings.IndexAny(s[1:], "[]") + 1
	if end < 1 || s[end] != ']' {
		return s, false
	}
	return strings.TrimLeft(s[end+1:], " "), true
}
