package compose

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"postroom/internal/message"
)

// encodeText makes the value of an unstructured field: as it is where it is plain ASCII, else encoded words (RFC 2047).
// It is one line.
func encodeText(s string) string {
	s = strings.TrimSpace(message.Printable(strings.ToValidUTF8(s, "\ufffd")))
	if plain(s) {
		return s
	}
	return encodeWords(s)
}

// plain tells whether text may stand in a field as it is: it can be folded, and is not mistaken for encoded words.
func plain(s string) bool {
	word := 0
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
		if word++; s[i] == ' ' {
			word = 0
		}
		if word > 70 {
			return false
		}
	}
	return !strings.Contains(s, "=?") && !strings.Contains(s, "  ")
}

// wordText is how many octets of text an encoded word of 75 octets can hold in base64.
const wordText = (75 - len("=?utf-8?B??=")) / 4 * 3

func encodeWords(s string) string {
	var words []string
	for s != "" {
		n := min(wordText, len(s))
		for n < len(s) && !utf8.RuneStart(s[n]) {
			n--
		}
		words = append(words, "=?utf-8?B?"+base64.StdEncoding.EncodeToString([]byte(s[:n]))+"?=")
		s = s[n:]
	}
	return strings.Join(words, " ")
}

// encodeAddress writes one address as it stands in a header.
func encodeAddress(a Address) string {
	name := strings.TrimSpace(message.Printable(strings.ToValidUTF8(a.Name, "\ufffd")))
	switch {
	case name == "":
		return "<" + a.Addr + ">"
	case !plain(name):
		name = encodeWords(name)
	default:
		name = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
	}
	return name + " <" + a.Addr + ">"
}

func encodeAddresses(list []Address) string {
	out := make([]string, len(list))
	for i, a := range list {
		out[i] = encodeAddress(a)
	}
	return strings.Join(out, ", ")
}

// NewMessageID makes a message id, without < >, in the domain of an address.
func NewMessageID(rand io.Reader, from string) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return "", fmt.Errorf("message id: %w", err)
	}
	domain := "localhost"
	if i := strings.LastIndexByte(from, '@'); i >= 0 && !needsUTF8(from[i:]) && !strings.ContainsAny(from[i:], "[]<> ") && i < len(from)-1 {
		domain = from[i+1:]
	}
	return hex.EncodeToString(b[:]) + "@" + domain, nil
}

// MessageIDs reads message ids, without < >, of a field's value; what is none is passed over. Of many the
// first and the last ones are kept.
func MessageIDs(v string) []string {
	var ids []string
	for {
		_, rest, ok := strings.Cut(v, "<")
		if !ok {
			break
		}
		id, after, ok := strings.Cut(rest, ">")
		if !ok {
			break
		}
		if goodID(id) {
			ids = append(ids, id)
		}
		v = after
	}
	return trimIDs(ids)
}

func trimIDs(ids []string) []string {
	if len(ids) <= maxReferences {
		return ids
	}
	return append(append([]string(nil), ids[0]), ids[len(ids)-maxReferences+1:]...)
}

// goodID tells whether a message id can be written into a header: printable ASCII without spaces, of a sensible length.
func goodID(id string) bool {
	if id == "" || len(id) > 250 {
		return false
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' || id[i] == '<' || id[i] == '>' {
			return false
		}
	}
	return true
}

// FormatIDs is MessageIDs reversed.
func FormatIDs(ids []string) string {
	var out []string
	for _, id := range ids {
		if goodID(id) {
			out = append(out, "<"+id+">")
		}
	}
	return strings.Join(out, " ")
}
