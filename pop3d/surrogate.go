package pop3d

import (
	"bytes"
	"mime"
	"strings"
	"unicode/utf8"
)

// A client that has not said UTF8 must not get a header in UTF-8 (RFC 6856
// section 2.1). It gets a surrogate (section 7), as RFC 6858 makes it: what text
// can be said in ASCII is said so, by RFC 2047 and RFC 2231; addresses that
// cannot are replaced; fields that have no such form are left out. To answer
// -ERR instead would stop clients that stop at the first error, at any message
// with a careless Subject.
//
// What is 8-bit but no UTF-8 goes out as it is: nobody knows what it says.
// Headers of parts inside the message count as its body. LIST tells the size of
// the message itself: to know the surrogate's, all headers would have to be read
// before the first answer.

const (
	maxField = 64 << 10 // longer ones go out as they are

	noAddress = "invalid@internationalized-address.invalid"
)

// surrogate stands before a messageWriter and rewrites the header on its way.
type surrogate struct {
	next  func([]byte) error
	field []byte // the field so far, with its line ends
	long  bool   // the field is longer than maxField: let it pass
	start bool   // a line begins with the next octet
	body  bool   // the header is over
}

func newSurrogate(next func([]byte) error) *surrogate { return &surrogate{next: next, start: true} }

// write takes the next octets of the file.
func (d *surrogate) write(p []byte) error {
	for len(p) > 0 && !d.body {
		if d.start && p[0] != ' ' && p[0] != '\t' {
			if err := d.flush(); err != nil {
				return err
			}
		}
		n := bytes.IndexByte(p, '\n') + 1
		d.start = n > 0
		if n == 0 {
			n = len(p)
		}
		if err := d.take(p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	if len(p) == 0 {
		return nil
	}
	return d.next(p)
}

// take adds to the field; an empty line ends the header.
func (d *surrogate) take(p []byte) error {
	if d.long {
		return d.next(p)
	}
	d.field = append(d.field, p...)
	d.body = string(d.field) == "\n" || string(d.field) == "\r\n"
	if d.body {
		return d.flush()
	}
	if len(d.field) > maxField {
		d.long = true
		p, d.field = d.field, nil
		return d.next(p)
	}
	return nil
}

// flush sends the field. It is also for the end of the message.
func (d *surrogate) flush() error {
	field := d.field
	d.field, d.long = d.field[:0], false
	if len(field) == 0 {
		return nil
	}
	if !isASCII(field) && utf8.Valid(field) {
		field = []byte(downgradeField(string(field)))
	}
	return d.next(field)
}

// downgradeField gives the field in ASCII, or "" when there is no such form.
func downgradeField(field string) string {
	name, value, ok := strings.Cut(field, ":")
	if !ok || !isASCII(name) {
		return ""
	}
	value = strings.NewReplacer("\r\n", "", "\n", "").Replace(value)
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "from", "sender", "reply-to", "to", "cc", "bcc", "disposition-notification-to",
		"resent-from", "resent-sender", "resent-reply-to", "resent-to", "resent-cc", "resent-bcc":
		value = downgradeAddresses(value)
	case "content-type", "content-disposition":
		value = downgradeParameters(value)
	case "message-id", "in-reply-to", "references", "resent-message-id", "content-id",
		"date", "resent-date", "mime-version", "content-transfer-encoding",
		"received", "return-path", "dkim-signature", "authentication-results",
		"arc-seal", "arc-message-signature", "arc-authentication-results":
		return ""
	default:
		value = downgradeText(value)
	}
	if value == "" {
		return ""
	}
	return name + ":" + value + "\r\n"
}

// downgradeText makes encoded-words of the words that need it; neighbours
// together, since the space between two encoded-words does not count.
func downgradeText(text string) string {
	var out strings.Builder
	var run []string
	flush := func() {
		if len(run) > 0 {
			out.WriteString(encodeWord(strings.Join(run, " ")))
			run = run[:0]
		}
	}
	for i, word := range strings.Split(text, " ") {
		if !isASCII(word) {
			if len(run) == 0 && i > 0 {
				out.WriteByte(' ')
			}
			run = append(run, word)
			continue
		}
		flush()
		if i > 0 {
			out.WriteByte(' ')
		}
		out.WriteString(word)
	}
	flush()
	return out.String()
}

// encodeWord is RFC 2047's form, with a line for each encoded-word.
func encodeWord(text string) string {
	return strings.ReplaceAll(mime.BEncoding.Encode("UTF-8", text), "?= =?", "?=\r\n =?")
}

// downgradeAddresses keeps an address list's structure and rewrites its parts.
func downgradeAddresses(list string) string {
	var out strings.Builder
	for len(list) > 0 {
		n := tokenLength(list)
		token := list[:n]
		list = list[n:]
		switch {
		case isASCII(token):
			out.WriteString(token)
		case token[0] == '<':
			out.WriteString("<" + noAddress + ">")
		case token[0] == '(':
			out.WriteString("(" + encodeWord(strings.Trim(token, "()")) + ")")
		case token[0] == '"' && strings.HasPrefix(list, "@"):
			// A quoted local part goes with its domain.
			list = list[1:]
			list = list[tokenLength(list):]
			out.WriteString(noAddress)
		case token[0] == '"':
			out.WriteString(encodeWord(unquote(token)))
		default:
			bare := strings.TrimSpace(token)
			text := encodeWord(bare)
			if strings.Contains(bare, "@") {
				text = noAddress
			}
			out.WriteString(strings.Replace(token, bare, text, 1))
		}
	}
	return out.String()
}

// tokenLength is that of the first part of an address list: a quoted string, a
// comment, an angle-addr, a separator, or what lies between those.
func tokenLength(s string) int {
	if s == "" {
		return 0
	}
	switch s[0] {
	case '"':
		return closing(s, '"')
	case '(':
		return closing(s, ')')
	case '<':
		return closing(s, '>')
	case ',', ';', ':':
		return 1
	}
	if n := strings.IndexAny(s[1:], `"(<,;:`); n >= 0 {
		return n + 1
	}
	return len(s)
}

// closing is the length up to the closing octet; comments nest, a backslash
// quotes. Without an end it is all.
func closing(s string, end byte) int {
	depth := 1
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && end != '>':
			i++
		case s[i] == end:
			if depth--; depth == 0 {
				return i + 1
			}
		case s[i] == '(' && end == ')':
			depth++
		}
	}
	return len(s)
}

func unquote(s string) string {
	s = strings.TrimSuffix(strings.TrimPrefix(s, `"`), `"`)
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

// downgradeParameters writes parameters that need it in RFC 2231's form.
func downgradeParameters(value string) string {
	parts := splitParameters(value)
	if !isASCII(parts[0]) {
		return ""
	}
	var out strings.Builder
	out.WriteString(parts[0])
	for _, part := range parts[1:] {
		if isASCII(part) {
			out.WriteString(";" + part)
			continue
		}
		name, text, _ := strings.Cut(strings.TrimSpace(part), "=")
		name = strings.TrimSpace(name)
		if name == "" || !isASCII(name) || strings.Contains(name, "*") {
			continue
		}
		text = strings.TrimSpace(text)
		if strings.HasPrefix(text, `"`) {
			text = unquote(text)
		}
		out.WriteString(";\r\n " + name + "*=UTF-8''" + percent(text))
	}
	return out.String()
}

// splitParameters cuts at semicolons outside of quotes.
func splitParameters(value string) []string {
	var parts []string
	begin := 0
	for i := 0; i < len(value); i++ {
		switch value[i] {
		case '"':
			i += closing(value[i:], '"') - 1
		case ';':
			parts = append(parts, value[begin:i])
			begin = i + 1
		}
	}
	return append(parts, value[begin:])
}

// percent is RFC 2231's encoding, of all but letters and digits and a few more.
func percent(text string) string {
	const hex = "0123456789ABCDEF"
	var out strings.Builder
	for i := range len(text) {
		c := text[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._", c) >= 0:
			out.WriteByte(c)
		default:
			out.WriteString(string([]byte{'%', hex[c>>4], hex[c&15]}))
		}
	}
	return out.String()
}

func isASCII[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
