package pop3d

import (
	"context"
	"errors"

	"postroom/internal/account"
	"postroom/internal/auth"
)

// refusal is a negative answer, after which the session goes on. code is one of
// RFC 2449 section 8 or RFC 3206, or empty; bad counts against the limit of
// failed commands.
type refusal struct {
	code, text string
	bad        bool
}

func (r *refusal) Error() string { return r.text }

func refuse(code, text string) *refusal { return &refusal{code: code, text: text} }

func badCommand(text string) *refusal { return &refusal{text: text, bad: true} }

// mapError is where errors from below become answers. What a user can do
// nothing about is logged in full and answered blandly. A refusal passes.
func (s *session) mapError(doing string, err error) error {
	var no *refusal
	switch {
	case errors.As(err, &no):
		return no
	case errors.Is(err, account.ErrExpunged):
		return refuse("", "Message is gone.")
	case errors.Is(err, account.ErrBusy):
		return refuse("IN-USE", "The maildrop is in use, try again.")
	case errors.Is(err, account.ErrTooMany):
		return refuse("IN-USE", "Too many connections.")
	case errors.Is(err, account.ErrGone):
		return refuse("SYS/TEMP", "The maildrop was replaced, log in again.")
	case errors.Is(err, account.ErrNoRight):
		return refuse("SYS/PERM", "The access control list of the maildrop does not allow that.")
	}
	s.log.Error("command failed", "doing", doing, "error", err)
	switch {
	case errors.Is(err, account.ErrReadOnly):
		return refuse("SYS/PERM", "The maildrop cannot be changed.")
	case errors.Is(err, account.ErrDamaged):
		return refuse("SYS/PERM", "The maildrop is damaged.")
	case errors.Is(err, context.DeadlineExceeded):
		return refuse("SYS/TEMP", "It took too long, try again.")
	}
	return refuse("SYS/TEMP", "Internal error, try again later.")
}

// mapAuthError is mapError for a login (RFC 3206): AUTH asks the user for other
// credentials, SYS/TEMP must not. Unknown users and wrong passwords come as the
// same error and get the same answer.
func (s *session) mapAuthError(method string, err error) error {
	user := auth.Tried(err)
	if errors.Is(err, auth.ErrTemporary) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		s.log.Error("authentication not possible", "user", user, "method", method, "error", err)
		return &refusal{code: "SYS/TEMP", text: "Authentication is not possible now, try again later.", bad: true}
	}
	s.log.Warn("authentication failed", "user", user, "method", method, "error", err)
	if errors.Is(err, auth.ErrPrivacyRequired) {
		return errNoPlainText
	}
	return &refusal{code: "AUTH", text: "Authentication failed.", bad: true}
}

var errNoPlainText = &refusal{code: "AUTH", text: "No login in plain text here: start TLS first.", bad: true}
