package addressbook

import (
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
	"golang.org/x/text/unicode/norm"
)

// fold makes texts comparable for people: without case, and without what stands above and below letters.
func fold(s string) string {
	plain := true
	for i := range len(s) {
		if c := s[i]; c >= 0x80 || 'A' <= c && c <= 'Z' {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	t := transform.Chain(norm.NFKD, runes.Remove(runes.In(unicode.Mn)), cases.Fold(), norm.NFC)
	out, _, err := transform.String(t, s)
	if err != nil { // what is no UTF-8 is no error
		return strings.ToLower(s)
	}
	return out
}

// hay is what a contact is found by: folded words, a space before each.
type hay struct {
	name, rest string
	digits     string // of telephone numbers
}

func (c *Contact) hay() hay {
	h := hay{name: words(c.Name + " " + c.Nickname)}
	rest := []string{c.Organization, c.Department}
	for _, e := range c.Emails {
		_, domain, _ := strings.Cut(e.Value, "@")
		rest = append(rest, e.Value, domain, strings.Map(func(r rune) rune {
			if strings.ContainsRune(".@-_+", r) {
				return ' '
			}
			return r
		}, e.Value))
	}
	h.rest = words(strings.Join(rest, " "))
	for _, p := range c.Phones {
		h.digits += " " + digits(p.Value)
	}
	return h
}

func words(s string) string { return " " + strings.Join(strings.Fields(fold(s)), " ") }

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}

// queryWords takes a query apart.
func queryWords(text string) []string {
	if len(text) > maxQuery {
		text = text[:maxQuery]
	}
	words := strings.Fields(fold(strings.Map(func(r rune) rune {
		if strings.ContainsRune(`"<>,;`, r) { // of an address with its name
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, ""))))
	return words[:min(len(words), maxWords)]
}

// score tells how well words match, 0 if one of them does not.
func (h *hay) score(words []string) int {
	sum := 1
	for _, w := range words {
		at := strings.Index(h.name, " "+w)
		switch d := digits(w); {
		case at == 0:
			sum += 4
		case at > 0:
			sum += 3
		case strings.HasPrefix(h.rest, " "+w):
			sum += 2
		case strings.Contains(h.rest, " "+w):
			sum++
		case len(d) >= 4 && strings.Contains(h.digits, d): // numbers are written in many ways
			sum++
		default:
			return 0
		}
	}
	return sum
}
