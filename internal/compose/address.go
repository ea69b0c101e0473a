package compose

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"postroom/internal/message"
)

// BadAddress says that something in a list is no address.
type BadAddress struct {
	Typed string
	Err   error
}

func (e *BadAddress) Error() string { return fmt.Sprintf("%.200q is no address: %v", e.Typed, e.Err) }

// Unwrap gives what is wrong with it.
func (e *BadAddress) Unwrap() error { return e.Err }

// ParseList reads addresses as people type them, divided by commas, semicolons or line ends. All that
// it gives can be sent to. The error is a *BadAddress, or ErrTooLarge.
func ParseList(typed string) ([]Address, error) {
	if len(typed) > maxList {
		return nil, fmt.Errorf("%w: a list of addresses has more than %d octets", ErrTooLarge, maxList)
	}
	var out []Address
	for _, piece := range splitList(typed) {
		a, err := parseOne(piece)
		if err != nil {
			return nil, &BadAddress{piece, err}
		}
		out = append(out, a)
	}
	return out, nil
}

// splitList cuts a list where no quotes, brackets or comments are open.
func splitList(typed string) []string {
	var out []string
	start, quoted, angle, comment, escaped := 0, false, false, 0, false
	add := func(s string) {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	for i, r := range typed {
		switch {
		case escaped:
			escaped = false
		case r == '\\' && (quoted || comment > 0):
			escaped = true
		case r == '\n' || r == '\r':
			// No address goes on in the next line: what was left open ends here.
			add(typed[start:i])
			start, quoted, angle, comment = i+1, false, false, 0
		case r == '"' && comment == 0:
			quoted = !quoted
		case quoted:
		case r == '(':
			comment++
		case r == ')' && comment > 0:
			comment--
		case comment > 0:
		case r == '<':
			angle = true
		case r == '>':
			angle = false
		case !angle && (r == ',' || r == ';'):
			add(typed[start:i])
			start = i + 1
		}
	}
	add(typed[start:])
	return out
}

var errNoAddress = errors.New("an address is name@domain")

func parseOne(piece string) (Address, error) {
	if !utf8.ValidString(piece) {
		return Address{}, errors.New("it is not UTF-8")
	}
	list := message.ParseAddresses(piece)
	if !oneMailbox(piece) || len(list) != 1 || list[0].Addr == "" {
		return Address{}, errNoAddress
	}
	addr, err := CheckAddr(list[0].Addr)
	if err != nil {
		return Address{}, err
	}
	if !strings.Contains(strings.ToLower(piece), strings.ToLower(list[0].Addr)) {
		return Address{}, errNoAddress // it was guessed from something else
	}
	return Address{Name: list[0].Name, Addr: addr}, nil
}

// oneMailbox tells that a piece of a list is not more than one address, and no group (RFC 5322 section 3.4).
func oneMailbox(piece string) bool {
	quoted, escaped, comment, angle, ended := false, false, 0, false, false
	for _, r := range piece {
		switch {
		case escaped:
			escaped = false
		case r == '\\' && (quoted || comment > 0):
			escaped = true
		case r == '"' && comment == 0:
			quoted = !quoted
		case quoted:
		case r == '(':
			comment++
		case r == ')' && comment > 0:
			comment--
		case comment > 0 || r == ' ' || r == '\t':
		case ended || r == '<' && angle:
			return false
		case r == '<':
			angle = true
		case r == '>':
			ended = true
		case r == '[':
			angle = true // a colon may stand in an address of the net
		case r == ':' && !angle:
			return false
		}
	}
	return true
}

// CheckAddr tells whether mail can be sent to an address, and gives it the form in which it is sent: its domain in
// small letters and ASCII (RFC 5890).
func CheckAddr(addr string) (string, error) {
	at := strings.LastIndexByte(addr, '@')
	if at <= 0 || at == len(addr)-1 {
		return "", errNoAddress
	}
	local, domain := addr[:at], addr[at+1:]
	if len(local) > 64 {
		return "", errors.New("more than 64 octets stand before the @") // RFC 5321 section 4.5.3.1.1
	}
	if err := checkLocal(local); err != nil {
		return "", err
	}
	domain, err := checkDomain(domain)
	if err != nil {
		return "", err
	}
	return local + "@" + domain, nil
}

func checkLocal(local string) error {
	quoted := len(local) >= 2 && local[0] == '"' && local[len(local)-1] == '"'
	for _, r := range local {
		switch {
		case r == utf8.RuneError, unicode.IsControl(r):
			return errors.New("it holds a control character")
		case r > 0x7f && !unicode.IsGraphic(r):
			return errors.New("it holds a character that cannot be seen")
		case !quoted && strings.ContainsRune(` ()<>[]:;@\,"`, r):
			return fmt.Errorf("%q cannot stand before the @", r)
		}
	}
	if quoted {
		escaped := false
		for _, c := range []byte(local[1 : len(local)-1]) {
			if c == '"' && !escaped {
				return errNoAddress
			}
			escaped = c == '\\' && !escaped
		}
		if escaped {
			return errNoAddress
		}
	}
	return nil
}

func checkDomain(domain string) (string, error) {
	if literal, ok := strings.CutPrefix(domain, "["); ok { // RFC 5321 section 4.1.3
		literal, closed := strings.CutSuffix(literal, "]")
		_, err := netip.ParseAddr(strings.TrimPrefix(literal, "IPv6:"))
		if !closed || err != nil {
			return "", fmt.Errorf("%q is no network address", domain)
		}
		return domain, nil
	}
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil || ascii == "" || len(ascii) > 253 || strings.HasSuffix(ascii, ".") || strings.HasPrefix(ascii, ".") || strings.Contains(ascii, "..") {
		return "", fmt.Errorf("%q is no domain", domain)
	}
	return ascii, nil
}

// foldAddr makes addresses comparable: nearly nobody tells small from capital letters before the @ either.
func foldAddr(addr string) string { return strings.ToLower(addr) }

// formatList writes addresses as people do.
func formatList(list []Address) string {
	out := make([]string, len(list))
	for i, a := range list {
		out[i] = a.String()
	}
	return strings.Join(out, ", ")
}

// needsUTF8 tells whether an address can only be sent by SMTPUTF8 (RFC 6531).
func needsUTF8(addr string) bool {
	return strings.ContainsFunc(addr, func(r rune) bool { return r > 0x7f })
}
