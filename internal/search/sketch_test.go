package search

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"postroom/internal/message"
)

// parlance is what random subjects and texts are made of.
var parlance = strings.Fields("plan Budget re: invoice 4711 a of the [list] meeting caf\u00e9 Gr\u00fc\u00dfe \u00c5ngstr\u00f6m na\u00efve " +
	"\u039f\u03b4\u03cc\u03c2 \u03a3\u03cd\u03bd\u03bf\u03b4\u03bf\u03c2 \u043f\u043b\u0430\u043d \u041c\u043e\u0441\u043a\u0432\u0430 \u4f1a\u8bae \u65e5\u672c\u8a9e \ud55c\uad6d\uc5b4 \U0001f600 \ufb01n = ? _ x=3d")

// phrase is n words between single spaces.
func phrase(r *rand.Rand, n int) string {
	words := make([]string, n)
	for i := range words {
		words[i] = parlance[r.IntN(len(parlance))]
	}
	return strings.Join(words, " ")
}

// encoded writes text as encoded words, which may cut characters in two, one a line.
func encoded(r *rand.Rand, text string) string {
	var words []string
	for len(text) > 0 {
		k := min(len(text), 1+r.IntN(30))
		if piece := text[:k]; r.IntN(2) == 0 {
			words = append(words, "=?utf-8?B?"+base64.StdEncoding.EncodeToString([]byte(piece))+"?=")
		} else {
			var q strings.Builder
			for _, c := range []byte(piece) {
				if c == ' ' {
					q.WriteByte('_')
				} else if 'a' <= c && c <= 'z' {
					q.WriteByte(c)
				} else {
					fmt.Fprintf(&q, "=%02X", c)
				}
			}
			words = append(words, "=?UTF-8?q?"+q.String()+"?=")
		}
		text = text[k:]
	}
	return strings.Join(words, "\n ")
}

// written is a phrase as some sender has it in a header field.
func written(r *rand.Rand, text string) string {
	switch words := strings.Split(text, " "); r.IntN(4) {
	case 0:
		return encoded(r, text)
	case 1: // the end of it
		if k := r.IntN(len(words)); k > 0 {
			return strings.Join(words[:k], " ") + " " + encoded(r, strings.Join(words[k:], " "))
		}
		return text
	case 2: // folded
		return strings.Join(words, []string{"\n ", "\n\t"}[r.IntN(2)])
	}
	return text
}

// asked is a text that somebody types: often a piece of one that is there, in letters of any case, composed or not.
func asked(r *rand.Rand, there []string) string {
	text := phrase(r, 1+r.IntN(2))
	if r.IntN(3) > 0 {
		text = there[r.IntN(len(there))]
	}
	letters := []rune(text)
	from := r.IntN(len(letters))
	letters = letters[from:min(len(letters), from+1+r.IntN(12))]
	for i, c := range letters {
		switch r.IntN(4) {
		case 0:
			letters[i] = unicode.ToUpper(c)
		case 1:
			letters[i] = unicode.ToLower(c)
		}
	}
	if text = string(letters); r.IntN(3) == 0 {
		text = norm.NFD.String(text)
	}
	return text
}

// folded is a text as RFC 5051 compares it, by other means than the search's.
func folded(s string) string {
	return norm.NFKD.String(strings.ToTitle(norm.NFKD.String(strings.ToTitle(s))))
}

// TestSketch: what is in a decoded field a search finds, and nothing else, though a sketch denies without a look at the
// field; it denies most of what is not there.
func TestSketch(t *testing.T) {
	const seed, mails, texts = 1, 60, 300
	r := rand.New(rand.NewPCG(seed, seed))
	box := make([]letter, mails)
	there, forms := map[string][]string{}, map[string][]string{}
	for i := range box {
		subject, to := phrase(r, 1+r.IntN(9)), phrase(r, 1+r.IntN(4))
		if i == 9 {
			subject = phrase(r, 500) // more than is kept
		}
		for field, text := range map[string]string{"Subject": subject, "To": to} {
			there[field], forms[field] = append(there[field], text), append(forms[field], folded(text))
		}
		box[i] = letter{name: fmt.Sprint(i), arrived: at(1, 0, 0),
			text: "Subject: " + written(r, subject) + "\nTo: " + written(r, to) + "\nX-Pad: " + strings.Repeat("x", r.IntN(2)*800) + "\n\n"}
	}
	b := newBox(t, box...)
	b.find(b.mbox.Current(), Header("Subject", "x")) // the sketches are made
	absent, denied := 0, 0
	for n := range texts {
		if n == texts/2 {
			b.open() // the sketches are read
		}
		for _, field := range []string{"Subject", "To"} {
			text := asked(r, there[field])
			form := folded(text)
			// Each message says of itself whether the text is known to be absent; all are found that do not.
			needle, set := message.NewNeedle(text), message.NewFieldSet([]string{field})
			lacks := b.names(Test(CostHeader, func(m *Candidate) (bool, error) { return m.Read().Lacks(set, needle), nil }))
			found := b.names(Header(field, text))
			for i, v := range forms[field] {
				holds := strings.Contains(v, form)
				if holds && lacks[i] || holds != found[i] {
					t.Fatalf("%s %q (seed %d) in %.300q: %v, found %v, denied %v of\n%.900s", field, text, seed, there[field][i], holds, found[i], lacks[i], box[i].text)
				}
				if short := len(form) < 3; short && lacks[i] {
					t.Fatalf("%q is too short to be denied", text)
				}
				if !holds && utf8.RuneCountInString(text) >= 6 {
					absent++
					if lacks[i] {
						denied++
					}
				}
			}
		}
	}
	if absent < 1000 || denied < absent*3/4 {
		t.Errorf("of %d texts that are not there %d were denied", absent, denied)
	}
}

// names tells of each message whether it matches.
func (b *box) names(key Key) []bool {
	b.t.Helper()
	told := b.mbox.Current()
	found := make([]bool, told.Len())
	must(b.t, Run(b.t.Context(), b.mbox, told, told.Walk(told), key, func(m *Candidate) bool {
		found[m.Index()] = true
		return true
	}, func(uid uint32, err error) { b.t.Errorf("UID %d: %v", uid, err) }))
	return found
}
