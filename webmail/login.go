package webmail

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"postroom/internal/auth"
	"postroom/internal/connlimit"
)

// loginData is the page on which one signs in.
type loginData struct {
	User  string // that was tried
	Next  string // where to go then
	Error string // key of a text, "" for none
}

func (s *Server) loginPage(w http.ResponseWriter, r *http.Request) error {
	if n := s.find(r, originOf(r)); n != nil {
		defer n.leave()
		return seeOther(w, r, "/")
	}
	return s.askLogin(w, r, loginData{Next: localPath(r.FormValue("next"))}, http.StatusOK)
}

func (s *Server) askLogin(w http.ResponseWriter, r *http.Request, d loginData, status int) error {
	if !originOf(r).secret && d.Error == "" {
		d.Error, status = "login.clear", http.StatusForbidden
	}
	return s.render(w, r, nil, view{Name: "login", Title: "login.title", Data: d, Status: status}, false)
}

// login checks the password. Failures count with those of the other protocols.
func (s *Server) login(w http.ResponseWriter, r *http.Request) error {
	from := originOf(r)
	d := loginData{User: r.PostFormValue("user"), Next: localPath(r.PostFormValue("next"))}
	log := s.log.With("remote", from.addr, "tls", from.https)
	name, err := "", error(auth.ErrPrivacyRequired)
	if from.secret {
		name, err = s.opt.Auth.Authenticate(r.Context(), auth.Request{
			Protocol: "web", RemoteAddr: from.addr, TLS: from.https, User: d.User, Password: r.PostFormValue("password"),
		})
	}
	if err != nil {
		log.Info("web login failed", "user", auth.Tried(err), "error", err)
		f := s.failureOf(r, err)
		d.Error = f.key
		return s.askLogin(w, r, d, f.status)
	}
	token, err := s.begin(r, name, from.addr)
	if errors.Is(err, connlimit.ErrLimit) {
		log.Warn("web login refused", "user", name, "reason", err)
	}
	if err != nil {
		f := s.failureOf(r, err)
		d.Error = f.key
		return s.askLogin(w, r, d, f.status)
	}
	if n := s.find(r, from); n != nil { // another session of this browser
		n.end("login")
		n.leave()
	}
	log.Info("web login", "user", name)
	setCookie(w, from, token)
	to := d.Next
	if to == "" {
		to = "/"
	}
	return seeOther(w, r, to)
}

// localPath gives an address on this server, "" for any other.
func localPath(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" ||
		!strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") || strings.ContainsAny(s, "\\\r\n\t") {
		return ""
	}
	return s
}

func logout(w http.ResponseWriter, r *http.Request, n *session) error {
	n.end("logout")
	setCookie(w, originOf(r), "")
	w.Header().Set("Clear-Site-Data", `"cache", "storage"`)
	return seeOther(w, r, "/login")
}

// sessionsData is the page of the user's sessions.
type sessionsData struct {
	Sessions []sessionRow
}

type sessionRow struct {
	ID, Agent, From, Began, Last string
	Current                      bool
}

func sessionsPage(w http.ResponseWriter, r *http.Request, n *session) error {
	var d sessionsData
	loc := n.locale(r)
	for _, o := range n.srv.sessionsOf(n.user.Name()) {
		d.Sessions = append(d.Sessions, sessionRow{
			ID: o.id, Agent: browserName(o.agent), From: o.from.String(), Began: loc.Long(o.began), Last: loc.Short(o.lastUsed()), Current: o == n,
		})
	}
	return n.page(w, r, view{Name: "sessions", Title: "sessions.title", Data: d, Pane: "list"})
}

// endSession ends one of the user's own sessions, or all but this one.
func endSession(w http.ResponseWriter, r *http.Request, n *session) error {
	id := r.PostFormValue("id")
	found := false
	for _, o := range n.srv.sessionsOf(n.user.Name()) {
		if o.id == id || id == "others" && o != n {
			o.end("ended by the user")
			found = found || o.id == id
		}
	}
	switch {
	case id == n.id:
		setCookie(w, originOf(r), "")
		return seeOther(w, r, "/login")
	case !found && id != "others":
		return fail(http.StatusNotFound, "sessions.none")
	}
	n.say(n.locale(r).T("sessions.ended"))
	return seeOther(w, r, "/sessions")
}

// browserName makes a short name of a User-Agent: "Firefox, Linux".
func browserName(agent string) string {
	first := func(pairs ...string) string {
		for i := 0; i+1 < len(pairs); i += 2 {
			if strings.Contains(agent, pairs[i]) {
				return pairs[i+1]
			}
		}
		return ""
	}
	browser := first("Edg/", "Edge", "OPR/", "Opera", "Firefox/", "Firefox", "Chrome/", "Chrome", "Safari/", "Safari")
	system := first("Android", "Android", "iPhone", "iPhone", "iPad", "iPad", "Windows", "Windows", "Mac OS X", "macOS", "Linux", "Linux")
	switch {
	case browser == "":
		if len(agent) > 40 {
			agent = agent[:40]
		}
		return strings.ToValidUTF8(agent, "\ufffd")
	case system == "":
		return browser
	}
	return browser + ", " + system
}
