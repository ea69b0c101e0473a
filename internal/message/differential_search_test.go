package message

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"postroom/internal/message/mailtest"
)

// TestDifferentialSearch has Dovecot and us look for words in the same
// messages.
func TestDifferentialSearch(t *testing.T) {
	haveDovecot(t)
	var msgs [][]byte
	var parsed []*Message
	for i := range searchN {
		b := mailtest.Message(*diffSeed+1000, uint64(i))
		m, err := Parse(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		msgs, parsed = append(msgs, b), append(parsed, m)
	}
	msgs, parsed = append(msgs, []byte(searchMessage)), append(parsed, must(Parse(strings.NewReader(searchMessage))))
	d := startDovecot(t, msgs)
	differ := 0
	for _, key := range []string{"BODY", "TEXT", "SUBJECT", "HEADER X-Other", "HEADER Content-Type"} {
		for _, word := range []string{"hello", "HELLO WORLD", "gr\u00fc\u00dfe", "two spaces", "fold ed", "not a header", "J\u00dcRGEN", "quoted s\u00fc\u00df", "\u3042", "inner", "opaque", "plain", "x", "a: b"} {
			got := d.search(key, word)
			n := NewNeedle(word)
			for i, m := range parsed {
				src := bytes.NewReader(msgs[i])
				var ours bool
				var err error
				switch field, isHeader := strings.CutPrefix(key, "HEADER "); {
				case key == "BODY":
					ours, err = m.SearchBody(src, n)
				case key == "TEXT":
					ours, err = m.SearchText(src, n)
				case isHeader:
					ours, err = m.SearchHeader(src, field, n)
				default:
					ours, err = m.SearchHeader(src, key, n)
				}
				if err != nil {
					t.Fatal(err)
				}
				if theirs := slices.Contains(got, d.number[i]); ours != theirs && !searchDiffers(msgs[i], word) {
					if differ++; differ < 10 {
						t.Errorf("%s %q in message %d: ours %v, Dovecot's %v\n%.1500q", key, word, i, ours, theirs, msgs[i])
					}
				}
			}
		}
	}
	t.Logf("%d differ", differ)
}

// searchDiffers tells of messages in which a search may differ on purpose: of
// several Content-Type fields the first counts for us, as in BODYSTRUCTURE, the
// last for Dovecot's search; "text" alone is text for us; a transfer encoding
// that is broken, or that MIME does not apply to, is none for us; undeclared
// octets that are no UTF-8 are windows-1252 for us, nothing for Dovecot.
func searchDiffers(msg []byte, word string) bool {
	return twoTypes.Match(msg) || bareText.Match(msg) || brokenCTE.Match(msg) ||
		!utf8.Valid(msg) && strings.ContainsFunc(word, func(r rune) bool { return r >= utf8.RuneSelf })
}

var (
	twoTypes  = regexp.MustCompile(`(?i)content-type[ \t]*:[^\n]*\n([^\n]+\n)*content-type[ \t]*:`)
	bareText  = regexp.MustCompile(`(?i)content-type[ \t]*:[ \t]*text\s*(\([^\n]*)?\n`)
	brokenCTE = regexp.MustCompile(`(?i)content-transfer-encoding: *([^\n]*junk|base64;|"|7bit\(|\(c\)|b|x-uu|\r?\n)`)
)

func must(m *Message, err error) *Message {
	if err != nil {
		panic(err)
	}
	return m
}

// search gives the numbers of the messages that Dovecot finds.
func (d *dovecot) search(key, word string) (found []int) {
	d.send(fmt.Sprintf("F SEARCH CHARSET UTF-8 %s {%d+}\r\n%s", key, len(word), word))
	for {
		l := strings.TrimSpace(d.line())
		if nums, ok := strings.CutPrefix(l, "* SEARCH"); ok {
			for _, f := range strings.Fields(nums) {
				n, _ := strconv.Atoi(f)
				found = append(found, n)
			}
		} else if strings.HasPrefix(l, "F ") {
			if !strings.HasPrefix(l, "F OK") {
				d.t.Fatal(l)
			}
			return found
		}
	}
}
