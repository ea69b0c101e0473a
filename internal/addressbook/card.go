package addressbook

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// Bounds of what is read.
const (
	maxCardLines = 5000 // of one card; more are left out, and such a card is not changed
	maxFileCards = 5000 // of one file
)

// card is one vCard.
type card struct {
	version string
	lines   []line // without BEGIN, END and VERSION
	cut     bool   // there were more lines than are kept
}

// readCards reads the vCards of a file; none if it holds nothing of the kind. A card that does not end ends where the next
// begins. more tells that there were more than limit.
func readCards(data []byte, limit int) (cards []*card, more bool) {
	s := newScanner(data)
	for {
		_, text, ok := s.next()
		if !ok {
			return cards, false
		}
		for ok && isMark(text, "BEGIN") {
			if len(cards) == limit {
				return cards, true
			}
			var c *card
			c, text, ok = readCard(s)
			cards = append(cards, c)
		}
	}
}

// isMark tells whether a line is BEGIN:VCARD or END:VCARD.
func isMark(text, which string) bool {
	name, value, ok := strings.Cut(text, ":")
	return ok && strings.EqualFold(strings.TrimSpace(name), which) && strings.EqualFold(strings.TrimSpace(value), "VCARD")
}

// readCard reads a card behind its BEGIN, up to its END, to the BEGIN of another, which is text then, or to the end.
func readCard(s *scanner) (c *card, text string, ok bool) {
	c = &card{version: s.peekVersion()}
	for {
		raw, text, ok := s.next()
		switch {
		case !ok || isMark(text, "BEGIN"):
			return c, text, ok
		case isMark(text, "END"):
			return c, "", true
		case strings.TrimSpace(text) == "":
			continue
		}
		l := parseLine(text, c.version)
		if l.name == "VERSION" {
			continue
		}
		l.raw = raw
		if l.name == "AGENT" && strings.TrimSpace(l.value) == "" {
			l.value, l.raw = escape(s.nested()), ""
		}
		if len(c.lines) >= maxCardLines {
			c.cut = true
			continue
		}
		c.lines = append(c.lines, l)
	}
}

// format writes the card; lines that were not changed stand as they were.
func (c *card) format() []byte {
	version, anew := c.version, false
	if version != "3.0" && version != "4.0" {
		version, anew = "3.0", true
	}
	var b strings.Builder
	b.WriteString("BEGIN:VCARD\r\nVERSION:" + version + "\r\n")
	for i := range c.lines {
		c.lines[i].append(&b, anew)
	}
	b.WriteString("END:VCARD\r\n")
	return []byte(b.String())
}

// digest tells one state of the card from another.
func (c *card) digest() string {
	sum := sha256.Sum256(c.format())
	return hex.EncodeToString(sum[:16])
}

// first gives the first line of a property; nil if there is none.
func (c *card) first(name string) *line {
	for i := range c.lines {
		if c.lines[i].name == name {
			return &c.lines[i]
		}
	}
	return nil
}

// text is the value of the first line of a property.
func (c *card) text(name string) string {
	if l := c.first(name); l != nil {
		return unescape(l.value)
	}
	return ""
}

// all gives the lines of a property, those that are preferred first.
func (c *card) all(name string) (out []*line) {
	for i := range c.lines {
		if c.lines[i].name == name {
			out = append(out, &c.lines[i])
		}
	}
	slices.SortStableFunc(out, func(a, b *line) int { return a.preferred() - b.preferred() })
	return out
}

// label is what Apple's programs call the lines of a group.
func (c *card) label(group string) string {
	for i := range c.lines {
		if l := &c.lines[i]; group != "" && l.name == "X-ABLABEL" && strings.EqualFold(l.group, group) {
			return strings.TrimSuffix(strings.TrimPrefix(unescape(l.value), "_$!<"), ">!$_")
		}
	}
	return ""
}

// uid is what names the card for ever; "" if it has no name.
func (c *card) uid() string { return strings.TrimSpace(c.text("UID")) }

// setText changes the text of the first line of a property: it is made, or all of its lines are removed, as is needed.
func (c *card) setText(name, text string) {
	l := c.first(name)
	switch {
	case text == "":
		c.lines = slices.DeleteFunc(c.lines, func(l line) bool { return l.name == name })
	case l == nil:
		c.lines = append(c.lines, line{name: name, value: escape(text)})
	default:
		l.set(text)
	}
}

// scanner gives the lines of a file, unfolded.
type scanner struct{ rest string }

func newScanner(data []byte) *scanner {
	// UTF-16 has a byte order mark; nothing fails but the end of what was cut in two.
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		data, _ = io.ReadAll(transform.NewReader(bytes.NewReader(data), unicode.BOMOverride(transform.Nop)))
	}
	text := strings.TrimPrefix(string(data), "\ufeff")
	if !strings.Contains(text, "\n") {
		text = strings.ReplaceAll(text, "\r", "\n")
	}
	return &scanner{rest: text}
}

// physical gives one line as it stands, without its end.
func (s *scanner) physical() (string, bool) {
	if s.rest == "" {
		return "", false
	}
	text, rest, _ := strings.Cut(s.rest, "\n")
	s.rest = rest
	return strings.TrimRight(text, "\r"), true
}

// peek is physical, but leaves the line there.
func (s *scanner) peek() (string, bool) {
	before := s.rest
	text, ok := s.physical()
	s.rest = before
	return text, ok
}

// next gives one line unfolded, and as it was read, with CRLFs.
func (s *scanner) next() (raw, text string, ok bool) {
	first, ok := s.physical()
	if !ok {
		return "", "", false
	}
	head, _, _ := strings.Cut(first, ":")
	head = strings.ToUpper(head)
	quoted := strings.Contains(head, "QUOTED-PRINTABLE")
	base64 := strings.Contains(head, "BASE64") || strings.Contains(head, "ENCODING=B")
	var r, t strings.Builder
	r.WriteString(first + "\r\n")
	last := first
	for {
		following, ok := s.peek()
		switch {
		case quoted && strings.HasSuffix(last, "="):
			t.WriteString(strings.TrimSuffix(last, "="))
			last = following
		case ok && following != "" && (following[0] == ' ' || following[0] == '\t'):
			t.WriteString(last)
			last = following[1:]
		case ok && base64 && following != "" && !strings.Contains(following, ":"):
			t.WriteString(last)
			last = following
		default:
			ok = false
		}
		if !ok {
			t.WriteString(last)
			return r.String(), t.String(), true
		}
		r.WriteString(following + "\r\n")
		s.physical()
	}
}

// peekVersion looks for the card's VERSION, which need not come first; 2.1 has none now and then.
func (s *scanner) peekVersion() string {
	for line := range strings.SplitSeq(s.rest, "\n") {
		name, value, _ := strings.Cut(line, ":")
		switch {
		case strings.EqualFold(strings.TrimSpace(name), "VERSION"):
			return strings.TrimSpace(value)
		case isMark(line, "END"), isMark(line, "BEGIN"):
			return version21
		}
	}
	return version21
}

// nested gives the card that follows an AGENT of version 2.1; "" if none does.
func (s *scanner) nested() string {
	if text, _ := s.peek(); !isMark(text, "BEGIN") {
		return ""
	}
	var b strings.Builder
	for depth := 0; ; {
		text, ok := s.physical()
		if !ok {
			return b.String()
		}
		b.WriteString(text + "\n")
		if isMark(text, "BEGIN") {
			depth++
		} else if isMark(text, "END") {
			if depth--; depth == 0 {
				return b.String()
			}
		}
	}
}

// errCut says why a card is not changed.
var errCut = errors.New("it has too many lines")

// oneOf gives the nth card of a file, from 0, to be changed.
func oneOf(cards []*card, n int) (*card, error) {
	switch {
	case n >= len(cards):
		return nil, ErrNoContact
	case cards[n].cut:
		return nil, fmt.Errorf("%w: %w", ErrCannotEdit, errCut)
	}
	return cards[n], nil
}

// formatAll writes a file.
func formatAll(cards []*card) []byte {
	var b bytes.Buffer
	for _, c := range cards {
		b.Write(c.format())
	}
	return b.Bytes()
}
