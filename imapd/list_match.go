package imapd

import "strings"

// matcher tells which names a LIST asks for. "*" stands for any octets, "%"
// for any but the separator (RFC 9051 section 6.3.9). INBOX has no case.
type matcher struct {
	patterns []string
	sep      byte
}

func newMatcher(reference string, patterns []string, sep byte) *matcher {
	m := &matcher{sep: sep}
	for _, p := range patterns {
		// The reference is a prefix, nothing more: a name that begins with
		// "/" has no meaning of its own here.
		m.patterns = append(m.patterns, reference+p)
	}
	return m
}

func (m *matcher) match(name string) bool {
	for _, p := range m.patterns {
		if wildcard(p, name, m.sep) {
			return true
		}
		if name == "INBOX" && wildcard(strings.ToUpper(p), name, m.sep) {
			return true
		}
	}
	return false
}

// wildcard matches in time proportional to the product of both lengths: it
// keeps the set of pattern positions that the name so far can be at, so that a
// pattern of many stars costs no more than others.
func wildcard(pattern, name string, sep byte) bool {
	at, next := make([]bool, len(pattern)+1), make([]bool, len(pattern)+1)
	at[0] = true
	skipWildcards(pattern, at)
	for i := 0; i < len(name); i++ {
		c := name[i]
		clear(next)
		for j := 0; j < len(pattern); j++ {
			if !at[j] {
				continue
			}
			switch p := pattern[j]; {
			case p == '*', p == '%' && c != sep:
				next[j] = true
			case p == '%':
			case p == c:
				next[j+1] = true
			}
		}
		skipWildcards(pattern, next)
		at, next = next, at
	}
	return at[len(pattern)]
}

// skipWildcards: a wildcard may stand for nothing.
func skipWildcards(pattern string, at []bool) {
	for j := 0; j < len(pattern); j++ {
		if at[j] && (pattern[j] == '*' || pattern[j] == '%') {
			at[j+1] = true
		}
	}
}
