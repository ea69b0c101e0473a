package mailview

import (
	"net/url"
	"strings"
	"unicode"
)

const maxLink = 4096 // octets of an address that is made a link

// findLink finds the first address of the web or of mail in a text. Only schemes that lead out of here are links.
func findLink(s string) (from, to int, ok bool) {
	for at := 0; at < len(s); {
		i := strings.IndexByte(s[at:], ':')
		if i < 0 {
			return 0, 0, false
		}
		i += at
		at = i + 1
		for _, scheme := range [...]string{"http", "https", "mailto"} {
			from := i - len(scheme)
			if from < 0 || !strings.EqualFold(s[from:i], scheme) || from > 0 && isLetter(s[from-1]) {
				continue
			}
			to := linkEnd(s, i+1)
			if scheme != "mailto" && !strings.HasPrefix(s[i:to], "://") {
				continue
			}
			if u, err := url.Parse(s[from:to]); err != nil || u.Host == "" && scheme != "mailto" || u.Opaque == "" && scheme == "mailto" {
				continue
			}
			return from, to, true
		}
	}
	return 0, 0, false
}

func isLetter(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// linkEnd gives where an address ends: at a space, a quote, an angle bracket or a mark that is not seen. What ends the
// sentence around it is not part of it, nor is a bracket that was opened before it.
func linkEnd(s string, start int) int {
	end := len(s)
	for i, r := range s[start:] {
		if unicode.IsSpace(r) || strings.ContainsRune("<>\"`{}|\\^", r) || unicode.In(r, unicode.C) || i > maxLink {
			end = start + i
			break
		}
	}
	for end > start {
		switch c := s[end-1]; c {
		case '.', ',', ';', ':', '!', '?', '\'', '*', '_':
			end--
			continue
		case ')', ']':
			open := map[byte]string{')': "(", ']': "["}[c]
			if link := s[start:end]; strings.Count(link, open) < strings.Count(link, string(c)) {
				end--
				continue
			}
		}
		break
	}
	return end
}
