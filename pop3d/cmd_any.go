package pop3d

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"

	"postroom/internal/account"
)

// capa: RFC 2449 section 5. Both states. The list is the same in both, but for
// STLS (RFC 2595 section 4) and what TLS has made possible.
func (s *session) capa(string) error {
	s.ok("Capability list follows.")
	for _, name := range capabilityOrder {
		if line := s.server.commands[name].capability(s); line != "" {
			s.line(line)
		}
	}
	// Without a command of their own. Nothing is ever removed because of its age,
	// so EXPIRE is NEVER (RFC 2449 section 6.7).
	for _, line := range []string{"PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "EXPIRE NEVER"} {
		s.line(line)
	}
	if delay := s.server.opt.LoginDelay; delay > 0 {
		s.line("LOGIN-DELAY " + strconv.Itoa(seconds(delay)))
	}
	// No version: it would help who looks for old ones, and nobody else.
	s.line("IMPLEMENTATION Postroom")
	s.line(".")
	return nil
}

// lang: RFC 6856 section 3. Both states. All texts are in plain English, which is
// i-default as well (RFC 2277 section 4.5).
func (s *session) lang(arg string) error {
	switch tag := strings.ToLower(arg); {
	case tag != "" && !languageRange.MatchString(tag):
		return badCommand("en Not a language range.")
	case tag == "":
		s.ok("Language listing follows:")
		s.line("en English")
		s.line("i-default Default language")
		s.line(".")
	case tag == "*" || tag == "i-default":
		s.ok("i-default Default language it is.")
	case tag == "en" || strings.HasPrefix(tag, "en-"):
		s.ok("en English it is.")
	default:
		return refuse("", "en This language is not on offer.")
	}
	return nil
}

// languageRange is the basic one of RFC 4647 section 2.1. A range that is narrower
// than a language there is gets that language (its section 3.4).
var languageRange = regexp.MustCompile(`^(\*|[a-z]{1,8}(-[a-z0-9]{1,8})*)$`)

// noop: RFC 1939 section 5.
func (s *session) noop(string) error {
	s.ok("Nothing done.")
	return nil
}

// updateTimeout bounds the UPDATE state. It is more than the store waits for its
// own lock, so that the store's answer comes first.
const updateTimeout = time.Minute

// quit: RFC 1939 section 4 in the AUTHORIZATION state; section 6 in TRANSACTION,
// where it goes through UPDATE and removes what DELE marked. The session ends
// either way; the answer tells whether all of it was removed. The client may be
// gone already: QUIT was said, so that stops nothing. A message that another
// session removed counts as removed.
func (s *session) quit(string) error {
	if s.state == authorization || s.drop.deleted() == 0 {
		s.ok("Logging out.")
		return quitEnding
	}
	ctx, cancel := context.WithTimeout(s.server.ctx, updateTimeout)
	defer cancel()
	n, err := s.drop.remove(ctx)
	s.counts.expunged = n
	if err != nil {
		s.log.Error("messages not removed", "dele", s.drop.deleted(), "removed", n, "error", err)
		code := "SYS/TEMP"
		if errors.Is(err, account.ErrReadOnly) || errors.Is(err, account.ErrNoRight) {
			code = "SYS/PERM"
		}
		s.fail(refuse(code, "Some deleted messages not removed."))
		return quitEnding
	}
	s.ok("Logging out, %d messages removed.", n)
	return quitEnding
}

var quitEnding = ending{reason: "quit"}

// line writes one line of an answer of several.
func (s *session) line(text string) {
	_, _ = s.conn.w.WriteString(text)
	_, _ = s.conn.w.WriteString("\r\n")
}

// seconds rounds up.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
