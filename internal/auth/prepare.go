package auth

import (
	"errors"
	"strings"

	"github.com/xdg-go/stringprep"
)

// saslPrep is RFC 4013 for query strings, in which code points that were not
// assigned in Unicode 3.2 are allowed.
var saslPrep = func() stringprep.Profile {
	p := stringprep.SASLprep
	p.Prohibits = p.Prohibits[1:] // table A.1 of RFC 3454
	return p
}()

// ErrProhibited: a name or a password has a character that RFC 4013 section 2.3 forbids.
var ErrProhibited = errors.New("a character that RFC 4013 forbids")

// Prepare is SASLprep (RFC 4013) of what a client sent. What breaks only the
// rules for texts of both directions is left as it is.
func Prepare(s string) (string, error) {
	if isPlainASCII(s) {
		return s, nil
	}
	out, err := saslPrep.Prepare(s)
	if err == nil {
		return out, nil
	}
	profile := saslPrep
	profile.CheckBiDi = false
	if _, err := profile.Prepare(s); err != nil {
		return "", ErrProhibited
	}
	return s, nil
}

// prepared is Prepare without the refusal.
func prepared(s string) string {
	if out, err := Prepare(s); err == nil {
		return out
	}
	return s
}

func isPlainASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f })
}

// find looks a user up by the name a client gave: as it stands, else prepared,
// so that one name typed in two ways is one user.
func (f *File) find(name string) (Entry, bool) {
	if e, ok := f.Lookup(name); ok {
		return e, true
	}
	if p := prepared(name); p != name {
		return f.Lookup(p)
	}
	return Entry{}, false
}
