package aclfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Bounds of a file. Nobody reads on beyond them.
const (
	MaxSize  = 256 << 10 // octets
	MaxLines = 4096
)

// SyntaxError is why a file cannot be used: its first bad line.
type SyntaxError struct {
	Line   int // from 1; 0 if the file as a whole is at fault
	Reason string
	More   []*SyntaxError // the bad lines after it
}

func (e *SyntaxError) Error() string {
	switch {
	case e.Line == 0:
		return e.Reason
	case len(e.More) == 0:
		return fmt.Sprintf("line %d: %s", e.Line, e.Reason)
	default:
		return fmt.Sprintf("line %d: %s (and %d more bad lines)", e.Line, e.Reason, len(e.More))
	}
}

// Parse reads a file. The error is a *SyntaxError; there is no File then, but
// Broken makes one that says what a bad file means.
func Parse(data []byte) (*File, error) {
	if len(data) > MaxSize {
		return nil, &SyntaxError{Reason: fmt.Sprintf("larger than %d octets", MaxSize)}
	}
	f := New()
	var bad []*SyntaxError
	for text := range strings.Lines(string(data)) {
		if len(f.lines) == MaxLines {
			return nil, &SyntaxError{Reason: fmt.Sprintf("more than %d lines", MaxLines)}
		}
		l, err := parseLine(text)
		f.lines = append(f.lines, l)
		if err != nil {
			bad = append(bad, &SyntaxError{Line: len(f.lines), Reason: err.Error()})
		}
	}
	if len(bad) > 0 {
		bad[0].More = bad[1:]
		return nil, bad[0]
	}
	f.compile()
	return f, nil
}

// parseLine reads a line with its end.
func parseLine(text string) (line, error) {
	l := line{}
	l.text, l.end = cutEnd(text)
	if l.text == "" || l.text[0] == '#' {
		return l, nil
	}
	signed, rest, err := cutIdentifier(l.text)
	if err != nil {
		return l, err
	}
	e := &Entry{}
	signed, e.Negative = strings.CutPrefix(signed, "-")
	if e.Identifier, err = ParseIdentifier(signed); err != nil {
		return l, err
	}
	if e.Rights, e.Private, err = parseGrant(rest); err != nil {
		return l, err
	}
	l.entry = e
	return l, nil
}

// cutEnd parts a line from its LF or CR LF, the last one also from CR alone.
func cutEnd(text string) (body, end string) {
	body = strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
	return body, text[len(body):]
}

// cutIdentifier parts the identifier, unquoted, from what follows the space after it.
func cutIdentifier(text string) (id, rest string, err error) {
	if text[0] != '"' {
		id, rest, _ = strings.Cut(text, " ")
		if id == "" {
			return "", "", errors.New("begins with a space")
		}
		return id, rest, nil
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"' && (i+1 == len(text) || text[i+1] == ' '):
			return b.String(), strings.TrimPrefix(text[i+1:], " "), nil
		case c == '"':
			return "", "", errors.New("no space after the closing quote")
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", errors.New("no closing quote")
}

// parseGrant reads letters, and names after a colon. Private names come back
// sorted, each once.
func parseGrant(s string) (r Rights, private []string, err error) {
	s = strings.TrimLeft(s, " \t")
	end := strings.IndexAny(s, " \t:")
	if end < 0 {
		end = len(s)
	}
	if r, err = ParseRights(s[:end]); err != nil {
		return 0, nil, err
	}
	s = strings.TrimLeft(s[end:], " \t")
	if s == "" {
		return r, nil, nil
	}
	names, ok := strings.CutPrefix(s, ":")
	if !ok {
		return 0, nil, fmt.Errorf("%q after the rights: names of rights begin with a colon", s)
	}
	for name := range strings.FieldsFuncSeq(names, func(c rune) bool { return c == ' ' || c == '\t' || c == ',' }) {
		if err := checkText(name); err != nil {
			return 0, nil, err
		}
		if std, ok := rightNames[name]; ok {
			r |= std
		} else {
			private = append(private, name)
		}
	}
	slices.Sort(private)
	return r, slices.Compact(private), nil
}
