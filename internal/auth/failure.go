package auth

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// Failure is a login that was refused: a kind of refusal, the name that was
// tried, and a reason that is for the log alone.
type Failure struct {
	Name   string // as the client gave it: not bounded, not escaped
	Reason string // "" for no such user, or not the password
	Err    error  // wraps ErrFailed, ErrTemporary or ErrPrivacyRequired
}

func (f *Failure) Error() string {
	if f.Reason != "" {
		return f.Err.Error() + ": " + f.Reason
	}
	return f.Err.Error()
}

func (f *Failure) Unwrap() error { return f.Err }

// maxLogged bounds a name in the log, in octets.
const maxLogged = 64

// Tried gives the name that a refused login was for, fit for a log: of bounded
// length, in UTF-8, without control characters. It is empty if there was none.
func Tried(err error) string {
	var f *Failure
	if !errors.As(err, &f) {
		return ""
	}
	name := f.Name
	if len(name) > maxLogged {
		cut := maxLogged
		for cut > 0 && !utf8.RuneStart(name[cut]) {
			cut--
		}
		name = name[:cut] + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(name, "\ufffd"))
}
