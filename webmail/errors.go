package webmail

import (
	"context"
	"errors"
	"net/http"

	"postroom/internal/account"
	"postroom/internal/addressbook"
	"postroom/internal/auth"
	"postroom/internal/connlimit"
)

// failure is an error that says itself how it is to be answered.
type failure struct {
	status int
	key    string // of the text
}

func (f *failure) Error() string { return f.key }

// fail makes an error of a status and the key of a text.
func fail(status int, key string) error { return &failure{status, key} }

// What handlers return for what a request names and is not there.
var (
	errChanged   = fail(http.StatusNotFound, "error.changed")
	errNoMessage = fail(http.StatusNotFound, "error.message")
)

// kinds maps what can go wrong below to a status and a text, once for all handlers. What one may not look up is answered
// like what does not exist, which account sees to; the texts name nothing.
var kinds = []struct {
	err    error
	status int
	key    string
}{
	{account.ErrNoFolder, http.StatusNotFound, "error.folder"},
	{account.ErrGone, http.StatusNotFound, "error.folder"},
	{account.ErrExpunged, http.StatusNotFound, "error.message"},
	{account.ErrExists, http.StatusConflict, "error.exists"},
	{account.ErrBadName, http.StatusUnprocessableEntity, "error.name"},
	{account.ErrCannot, http.StatusUnprocessableEntity, "error.cannot"},
	{account.ErrReadOnly, http.StatusForbidden, "error.readonly"},
	{account.ErrNoRight, http.StatusForbidden, "error.right"},
	{account.ErrPolicy, http.StatusForbidden, "error.policy"},
	{account.ErrACLChanged, http.StatusConflict, "sharing.changed"},
	{account.ErrBadACL, http.StatusConflict, "error.acl"},
	{account.ErrBusy, http.StatusServiceUnavailable, "error.busy"},
	{account.ErrNoSpace, http.StatusInsufficientStorage, "error.space"},
	{account.ErrDamaged, http.StatusInternalServerError, "error.damaged"},
	{account.ErrTooBig, http.StatusRequestEntityTooLarge, "error.large"},
	{account.ErrTooMany, http.StatusInsufficientStorage, "error.many"},
	{addressbook.ErrNoContact, http.StatusNotFound, "contacts.none"},
	{addressbook.ErrChanged, http.StatusConflict, "contacts.changed"},
	{addressbook.ErrCannotEdit, http.StatusUnprocessableEntity, "contacts.cannot"},
	{addressbook.ErrNoCards, http.StatusUnprocessableEntity, "contacts.nocards"},
	{addressbook.ErrTooBig, http.StatusRequestEntityTooLarge, "error.large"},
	{auth.ErrFailed, http.StatusForbidden, "login.failed"},
	{auth.ErrTemporary, http.StatusServiceUnavailable, "login.later"},
	{auth.ErrPrivacyRequired, http.StatusForbidden, "login.clear"},
	{connlimit.ErrLimit, http.StatusTooManyRequests, "login.limit"},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, "error.busy"},
	{context.Canceled, http.StatusServiceUnavailable, "error.over"},
}

// failureOf gives the answer to an error. What is not foreseen goes to the log in full and to the user as nothing but its kind.
func (s *Server) failureOf(r *http.Request, err error) *failure {
	var f *failure
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &large):
		return &failure{http.StatusRequestEntityTooLarge, "error.large"}
	}
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			s.log.Debug("web request refused", "method", r.Method, "path", r.URL.Path, "error", err)
			return &failure{k.status, k.key}
		}
	}
	s.log.Error("web request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	return &failure{http.StatusInternalServerError, "error.internal"}
}

// answerError makes an error a page, or the part of one that htmx asked for; n is nil for who has not signed in.
func (s *Server) answerError(w http.ResponseWriter, r *http.Request, n *session, err error) {
	f := s.failureOf(r, err)
	v := view{Name: "error", Title: f.key, Status: f.status, Data: errorData{f.status, f.key}}
	if isFragment(r) {
		s.render(w, r, n, v, true)
		return
	}
	s.render(w, r, n, v, false)
}

type errorData struct {
	Status int
	Key    string
}
