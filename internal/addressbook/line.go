package addressbook

import (
	"io"
	"mime/quotedprintable"
	"slices"
	"strings"
	"unicode/utf8"

	"postroom/internal/message"
)

// line is a content line of a vCard (RFC 6350 section 3.3). A line of version 2.1 is turned into what 3.0 has as it is
// read: types have their names, text is UTF-8, and commas are escaped.
type line struct {
	group  string
	name   string // in capitals; "" of a line that nobody understands
	params []param
	value  string // escaped, as it stands in a vCard 3.0
	raw    string // what was read, folded, lines ended by CRLF; "" where the line was made or changed
}

type param struct {
	name   string // in capitals
	values []string
}

const version21 = "2.1"

// parseLine takes an unfolded line apart. Octets that are no UTF-8 may be in it.
func parseLine(text, version string) line {
	head, value, ok := cutValue(text)
	if !ok {
		return line{}
	}
	name, rest, _ := strings.Cut(head, ";")
	var l line
	if group, n, ok := strings.Cut(name, "."); ok {
		l.group, name = group, n
	}
	l.name = strings.ToUpper(strings.TrimSpace(name))
	if !token(l.name) || l.group != "" && !token(l.group) {
		return line{}
	}
	encoding, charset := "", ""
	for _, p := range splitParams(rest) {
		switch p.name {
		case "ENCODING":
			encoding = strings.ToUpper(p.values[0])
		case "CHARSET":
			charset = p.values[0]
		default:
			l.params = append(l.params, p)
		}
	}
	switch encoding {
	case "QUOTED-PRINTABLE":
		// What is no quoted-printable ends it; the reader has no other errors.
		decoded, _ := io.ReadAll(quotedprintable.NewReader(strings.NewReader(value)))
		value = string(decoded)
	case "BASE64", "B":
		l.params = append(l.params, param{"ENCODING", []string{"b"}})
		l.value = strings.Map(dropSpace, value)
		return l
	}
	value = toUTF8(value, charset)
	if version == version21 || encoding == "QUOTED-PRINTABLE" {
		value = escape21(value)
	}
	l.value = value
	return l
}

// cutValue cuts a line at the first colon outside of quotes, or at the first one if the quotes do not end.
func cutValue(text string) (head, value string, ok bool) {
	quoted := false
	for i := range len(text) {
		switch {
		case text[i] == '"':
			quoted = !quoted
		case text[i] == ':' && !quoted:
			return text[:i], text[i+1:], true
		}
	}
	return strings.Cut(text, ":")
}

// token tells whether a name can be a group's or a property's.
func token(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c != '-' && c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return s != ""
}

// splitParams reads parameters; each has a value. Those of 2.1 that have no name are types or encodings.
func splitParams(s string) (out []param) {
	for _, p := range splitOutside(s, ';') {
		name, value, named := strings.Cut(p, "=")
		name = strings.ToUpper(strings.TrimSpace(name))
		if !named {
			switch name {
			case "":
				continue
			case "QUOTED-PRINTABLE", "BASE64", "8BIT", "7BIT":
				name, value = "ENCODING", name
			default:
				name, value = "TYPE", strings.TrimSpace(p)
			}
		}
		if !token(name) {
			continue
		}
		var values []string
		for _, v := range splitOutside(value, ',') {
			values = append(values, paramUnescape.Replace(toUTF8(strings.Trim(v, `"`), "")))
		}
		out = append(out, param{name, values})
	}
	return out
}

// RFC 6868.
var (
	paramUnescape = strings.NewReplacer("^n", "\n", "^'", `"`, "^^", "^")
	paramEscape   = strings.NewReplacer("\n", "^n", `"`, "^'", "^", "^^")
)

// splitOutside splits at a separator that is not in quotes. The result is never empty.
func splitOutside(s string, sep byte) (out []string) {
	quoted, start := false, 0
	for i := range len(s) {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			out = append(out, s[start:i])
			start = i + 1
		}
	}
	return append(out, s[start:])
}

func dropSpace(r rune) rune {
	if r == ' ' || r == '\t' {
		return -1
	}
	return r
}

// toUTF8 is text in a charset; one that is unknown or "" is guessed.
func toUTF8(s, charset string) string {
	if charset == "" && utf8.ValidString(s) {
		return s
	}
	// A strings.Reader does not fail, and what is in no charset ends the text.
	out, _ := io.ReadAll(message.NewTextReader(strings.NewReader(s), charset))
	return string(out)
}

// escape21 makes of a value of version 2.1, where only semicolons are escaped, one of 3.0. Other escapes are
// believed, since programs write them all the same.
func escape21(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s) && strings.IndexByte(`\;,nN`, s[i+1]) >= 0:
			b.WriteString(s[i : i+2])
			i++
		case c == '\\':
			b.WriteString(`\\`)
		case c == ',':
			b.WriteString(`\,`)
		case c == '\r' && i+1 < len(s) && s[i+1] == '\n':
		case c == '\n', c == '\r':
			b.WriteString(`\n`)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

var textEscape = strings.NewReplacer(`\`, `\\`, "\r\n", `\n`, "\n", `\n`, "\r", `\n`, ",", `\,`, ";", `\;`)

// escape makes a value, or a part of one, of text.
func escape(text string) string { return textEscape.Replace(text) }

// unescape gives the text of a value or a part of one.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		switch i++; s[i] {
		case 'n', 'N':
			b.WriteByte('\n')
		case '\\', ',', ';', ':':
			b.WriteByte(s[i])
		default:
			b.WriteByte('\\')
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// split splits a value at a separator that is not escaped; the parts stay escaped. The result is never empty.
func split(value string, sep byte) (out []string) {
	start := 0
	for i := 0; i < len(value); i++ {
		switch value[i] {
		case '\\':
			i++
		case sep:
			out = append(out, value[start:i])
			start = i + 1
		}
	}
	return append(out, value[start:])
}

// part gives the text of the nth part of a structured value; "" if there are fewer.
func (l *line) part(n int) string {
	if parts := split(l.value, ';'); n < len(parts) {
		return unescape(parts[n])
	}
	return ""
}

// setPart changes the nth part of a structured value, unless its text is that already.
func (l *line) setPart(n int, text string) {
	if l.part(n) == text {
		return
	}
	parts := split(l.value, ';')
	for len(parts) <= n {
		parts = append(parts, "")
	}
	parts[n] = escape(text)
	l.value, l.raw = strings.Join(parts, ";"), ""
}

// set changes the value to a text, unless it is that already.
func (l *line) set(text string) {
	if unescape(l.value) != text {
		l.value, l.raw = escape(text), ""
	}
}

// types lists the values of TYPE, in small letters.
func (l *line) types() (out []string) {
	for _, p := range l.params {
		if p.name != "TYPE" {
			continue
		}
		for _, v := range p.values {
			for t := range strings.SplitSeq(v, ",") { // "HOME,VOICE" in quotes
				out = append(out, strings.ToLower(strings.TrimSpace(t)))
			}
		}
	}
	return out
}

// setTypes replaces the values of TYPE.
func (l *line) setTypes(types []string) {
	l.raw = ""
	l.params = slices.DeleteFunc(l.params, func(p param) bool { return p.name == "TYPE" })
	if len(types) > 0 {
		l.params = append(l.params, param{"TYPE", types})
	}
}

// preferred tells how much a line is preferred to others: from 1, most, to 101.
func (l *line) preferred() int {
	for _, p := range l.params {
		if p.name == "PREF" {
			if n := atoi(p.values[0]); n >= 1 && n <= 100 {
				return n
			}
		}
	}
	if slices.Contains(l.types(), "pref") {
		return 1
	}
	return 101
}

// atoi reads a small number; 0 for what is none.
func atoi(s string) (n int) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' || n > 1000 {
			return 0
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// maxFold is how long a line may be before it is folded (RFC 6350 section 3.2), in octets.
const maxFold = 75

// append writes the line, as it was read or, if it was changed or anew is set, as it is.
func (l *line) append(b *strings.Builder, anew bool) {
	if l.raw != "" && !anew && utf8.ValidString(l.raw) {
		b.WriteString(l.raw)
		return
	}
	if l.name == "" {
		return // nobody knows what it would be
	}
	var s strings.Builder
	if l.group != "" {
		s.WriteString(l.group + ".")
	}
	s.WriteString(l.name)
	for _, p := range l.params {
		s.WriteString(";" + p.name + "=")
		for i, v := range p.values {
			if i > 0 {
				s.WriteByte(',')
			}
			if v = paramEscape.Replace(v); strings.ContainsAny(v, ":;,") {
				v = `"` + v + `"`
			}
			s.WriteString(v)
		}
	}
	s.WriteString(":" + l.value)
	foldLine(b, s.String())
}

// foldLine writes a line in pieces that cut no character in two.
func foldLine(b *strings.Builder, s string) {
	for room := maxFold; len(s) > room; room = maxFold - 1 {
		n := room
		for n > room-utf8.UTFMax && !utf8.RuneStart(s[n]) {
			n--
		}
		b.WriteString(s[:n])
		b.WriteString("\r\n ")
		s = s[n:]
	}
	b.WriteString(s)
	b.WriteString("\r\n")
}
