package webmail

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/url"
	"runtime/debug"
)

// handler answers one request of a session; what it returns becomes a page of errors.go. It must not have written anything then.
type handler func(w http.ResponseWriter, r *http.Request, s *session) error

// route is a way in.
type route struct {
	pattern string // method and path, as http.ServeMux has them
	serve   handler
	// body bounds the octets of a request; 0 is formBody, and then the form is parsed already. With upload the handler reads
	// the body itself.
	body   int64
	upload bool
}

// formBody bounds a form without files, in octets.
const formBody = 1 << 20

// routes are all that is there for who has signed in, but for static files.
var routes = []route{
	{pattern: "GET /{$}", serve: listPage},
	{pattern: "POST /act", serve: act},
	{pattern: "POST /undo", serve: undoMove},
	{pattern: "POST /arrange", serve: arrangeList},
	{pattern: "GET /searching", serve: searchHelp},
	{pattern: "GET /sidebar", serve: sidebarPart},
	{pattern: "GET /events", serve: events},
	{pattern: "GET /message", serve: onMessage(messagePage)},
	{pattern: "GET /frame", serve: onMessage(framePage)},
	{pattern: "GET /part", serve: onMessage(partPage)},
	{pattern: "GET /attachments", serve: onMessage(attachmentsZip)},
	{pattern: "GET /fields", serve: onMessage(fieldsPage)},
	{pattern: "GET /source", serve: sourcePage},
	{pattern: "GET /eml", serve: emlFile},
	{pattern: "GET /print", serve: onMessage(printPage)},
	{pattern: "GET /export", serve: exportFolder},
	{pattern: "GET /import", serve: importPage},
	{pattern: "POST /import", serve: importMessages, body: maxImport, upload: true},
	{pattern: "GET /folders", serve: foldersPage},
	{pattern: "POST /folders/create", serve: createFolder},
	{pattern: "GET /folders/rename", serve: renameFolderPage},
	{pattern: "POST /folders/rename", serve: renameFolder},
	{pattern: "GET /folders/delete", serve: deleteFolderPage},
	{pattern: "POST /folders/delete", serve: deleteFolder},
	{pattern: "POST /folders/subscribe", serve: subscribeFolder},
	{pattern: "GET /compose", serve: composePage},
	{pattern: "POST /compose/save", serve: saveDraftForm, upload: true, body: math.MaxInt64}, // the handler bounds it by limits.message_size
	{pattern: "POST /compose/send", serve: sendDraft, upload: true, body: math.MaxInt64},
	{pattern: "POST /compose/discard", serve: discardDraft, upload: true, body: math.MaxInt64},
	{pattern: "GET /complete", serve: completePage},
	{pattern: "GET /outbox", serve: outboxPage},
	{pattern: "POST /outbox/send", serve: outboxSend},
	{pattern: "POST /outbox/cancel", serve: outboxCancel},
	{pattern: "POST /outbox/dismiss", serve: outboxDismiss},
	{pattern: "GET /identities", serve: identitiesPage},
	{pattern: "POST /identities", serve: saveIdentities},
	{pattern: "GET /sharing", serve: sharingPage},
	{pattern: "GET /sharing/people", serve: sharingPeople},
	{pattern: "POST /sharing/add", serve: addSharing},
	{pattern: "POST /sharing/change", serve: changeSharing},
	{pattern: "POST /sharing/remove", serve: removeSharing},
	{pattern: "POST /sharing/seen", serve: shareSeen},
	{pattern: "GET /sharing/why", serve: whyPage},
	{pattern: "GET /sharing/below", serve: belowPage},
	{pattern: "POST /sharing/below", serve: shareBelow},
	{pattern: "GET /contacts", serve: contactsPage},
	{pattern: "GET /contacts/show", serve: contactPage},
	{pattern: "GET /contacts/edit", serve: editContactPage},
	{pattern: "POST /contacts/save", serve: saveContact},
	{pattern: "POST /contacts/delete", serve: deleteContact},
	{pattern: "GET /contacts/import", serve: importContactsPage},
	{pattern: "POST /contacts/import", serve: importContacts, body: maxContactUpload, upload: true},
	{pattern: "GET /contacts/export", serve: exportContacts},
	{pattern: "GET /settings", serve: settingsPage},
	{pattern: "POST /settings", serve: saveSettings},
	{pattern: "GET /sessions", serve: sessionsPage},
	{pattern: "POST /sessions/end", serve: endSession},
	{pattern: "GET /keys", serve: keysPage},
	{pattern: "POST /logout", serve: logout},
}

// handler makes the table one handler. The order is: protection against other sites' forms, headers, who it is, what is wanted.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /static/{sum}/{name...}", s.static.serve)
	mux.HandleFunc("GET /favicon.ico", s.static.icon)
	mux.HandleFunc("GET /login", s.anybody(s.loginPage))
	mux.HandleFunc("POST /login", s.anybody(s.login))
	for _, rt := range routes {
		mux.HandleFunc(rt.pattern, s.signedIn(rt))
	}
	mux.HandleFunc("/", s.anybody(func(w http.ResponseWriter, r *http.Request) error { return fail(http.StatusNotFound, "error.page") }))
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.answerError(w, r, nil, fail(http.StatusForbidden, "error.origin"))
	}))
	inner := guard.Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctl := http.NewResponseController(w)
		w = &patient{w, ctl, s.lim.WriteTimeout}
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = &patientBody{r.Body, ctl, s.lim.StallTimeout}
		}
		secure(w.Header())
		from := s.proxies.origin(r)
		if from.https {
			w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		}
		defer s.rescue(w, r)
		inner.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), originKey{}, from)))
	})
}

// contentPolicy lets pages load nothing from elsewhere, and run nothing but our own files.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
	"connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// secure sets the headers of every answer; handlers of files and frames change what must be otherwise.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	h.Set("Cache-Control", "no-store")
}

type originKey struct{}

// originOf tells where a request comes from.
func originOf(r *http.Request) origin {
	o, _ := r.Context().Value(originKey{}).(origin)
	return o
}

// rescue keeps a panic within its request.
func (s *Server) rescue(w http.ResponseWriter, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler {
		panic(v)
	}
	s.log.Error("web panic", "method", r.Method, "path", r.URL.Path, "panic", v, "stack", string(debug.Stack()))
	panic(http.ErrAbortHandler) // who knows what of the answer is out
}

// anybody serves who has not signed in.
func (s *Server) anybody(serve func(w http.ResponseWriter, r *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := readForm(w, r, formBody)
		if err == nil {
			err = serve(w, r)
		}
		if err != nil {
			s.answerError(w, r, nil, err)
		}
	}
}

// signedIn serves a route for a session, and sends who has none to the login.
func (s *Server) signedIn(rt route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n := s.find(r, originOf(r))
		if n == nil {
			toLogin(w, r)
			return
		}
		defer n.leave()
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(n.ctx, cancel)()
		r = r.WithContext(ctx)
		var err error
		switch {
		case rt.upload:
			r.Body = http.MaxBytesReader(w, r.Body, rt.body)
		default:
			err = readForm(w, r, max(rt.body, formBody))
		}
		if err == nil {
			err = rt.serve(w, r, n)
		}
		if err != nil {
			s.answerError(w, r, n, err)
		}
	}
}

// readForm parses a form of bounded size.
func readForm(w http.ResponseWriter, r *http.Request, limit int64) error {
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	err := r.ParseForm()
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return fail(http.StatusRequestEntityTooLarge, "error.large")
	case err != nil:
		return fail(http.StatusBadRequest, "error.form")
	}
	return nil
}

// toLogin sends somebody without a session to the login, and back after it. htmx follows HX-Redirect with the whole page.
func toLogin(w http.ResponseWriter, r *http.Request) {
	to := "/login"
	if r.Method == http.MethodGet && r.URL.RequestURI() != "/" && !isFragment(r) {
		to += "?next=" + url.QueryEscape(r.URL.RequestURI())
	}
	if isFragment(r) {
		w.Header().Set("HX-Redirect", to)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// seeOther ends a POST: the browser gets the page at to, which is one of ours.
func seeOther(w http.ResponseWriter, r *http.Request, to string) error {
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}
