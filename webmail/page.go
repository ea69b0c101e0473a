package webmail

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"
)

//go:embed templates/*.html
var templateFiles embed.FS

// scripts are the files of static that every page loads, in this order.
var scripts = []string{"vendor/htmx.min.js", "vendor/hx-sse.min.js", "app.js", "keys.js", "compose.js", "import.js", "list.js", "live.js"}

// pages are the templates, once for each language.
type pages struct {
	byLanguage map[string]*template.Template
}

func loadPages(texts *catalogue, static *assets) (*pages, error) {
	p := &pages{byLanguage: make(map[string]*template.Template)}
	for _, l := range texts.languages {
		t, err := template.New("").Funcs(template.FuncMap{
			"t": l.T, "n": l.N, "asset": static.path,
			"icon": func(name string) (iconRef, error) {
				sprite, err := static.path("icons.svg")
				return iconRef{sprite, name}, err
			},
			"dict": dict,
		}).ParseFS(templateFiles, "templates/*.html")
		if err != nil {
			return nil, fmt.Errorf("webmail: %w", err)
		}
		p.byLanguage[l.Tag] = t
	}
	return p, nil
}

// iconRef is an icon of the sprite, for the template "icon".
type iconRef struct{ Sprite, Name string }

// dict makes a template's argument of names and values.
func dict(pairs ...any) (map[string]any, error) {
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: %v is no name", pairs[i])
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}

// view is what a page shows. A handler fills Name, Title and Data, and what else it needs; render the rest.
type view struct {
	Name   string // of the template
	Title  string // key of a text, or with Literal the text itself
	Data   any
	Status int // of HTTP; 0 is 200

	Literal bool   // Title is no key
	Pane    string // which pane a phone shows of three: "folders", "list" or "message"
	Box     string // the mailbox that is shown, to be marked among the folders
	Query   string // what is searched for
	All     bool   // in all folders

	// set by render
	Lang    string
	User    string // "" for who has not signed in
	Folders *sidebar
	Notice  *notice
	Body    template.HTML
	Scripts []string
	Keys    []shortcut
	Heading string // Title as text
	Here    string // the address of the page
}

// notice is told once, at the top of the next page.
type notice struct {
	Text string
	Bad  bool
	Undo string // number of what can be taken back, "" if nothing can
}

// say notes what the next page of the session is to tell.
func (n *session) say(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.notice = &notice{Text: text}
}

// warn is say for what people should look at.
func (n *session) warn(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.notice = &notice{Text: text, Bad: true}
}

// sayUndo is say, with a button that takes back what was done.
func (n *session) sayUndo(text, number string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.notice = &notice{Text: text, Undo: number}
}

func (n *session) takeNotice() *notice {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.notice
	n.notice = nil
	return t
}

// isFragment tells whether htmx asks for a part of a page.
func isFragment(r *http.Request) bool {
	return r.Header.Get("HX-Request") == "true" && r.Header.Get("HX-Request-Type") == "partial"
}

// page answers with a whole page.
func (n *session) page(w http.ResponseWriter, r *http.Request, v view) error {
	return n.srv.render(w, r, n, v, false)
}

// fragment answers htmx with what the template makes of data.
func (n *session) fragment(w http.ResponseWriter, r *http.Request, name string, data any) error {
	return n.srv.render(w, r, n, view{Name: name, Data: data}, true)
}

// render makes a page whole in memory before its first octet is sent, so that an error can still become a page of its own.
// n is nil for who has not signed in.
func (s *Server) render(w http.ResponseWriter, r *http.Request, n *session, v view, fragment bool) error {
	loc := s.localeOf(r, n)
	t := s.pages.byLanguage[loc.Tag]
	var body, out bytes.Buffer
	arg := v.Data
	if !fragment {
		arg = &v
		v.Lang, v.Scripts, v.Keys = loc.Tag, scripts, shortcuts
		if v.Heading = v.Title; !v.Literal {
			v.Heading = loc.T(v.Title)
		}
		if n != nil {
			v.User = n.user.Name()
			if r.Method == http.MethodGet {
				v.Here = r.URL.RequestURI()
			}
			v.Notice = n.takeNotice()
			var err error
			if v.Folders, err = n.sidebar(r.Context(), v.Box); err != nil {
				s.log.Error("web: the folders cannot be listed", "user", v.User, "error", err)
				v.Folders = &sidebar{}
			}
		}
	} else if v.Name == "error" {
		arg = &v
	}
	if err := t.ExecuteTemplate(&body, v.Name, arg); err != nil {
		return fmt.Errorf("webmail: template %s: %w", v.Name, err)
	}
	if !fragment {
		v.Body = template.HTML(body.String()) // it was escaped when it was made
		if err := t.ExecuteTemplate(&out, "layout", &v); err != nil {
			return fmt.Errorf("webmail: template layout: %w", err)
		}
		body = out
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Add("Vary", "HX-Request, HX-Request-Type, Accept-Language, Cookie")
	if v.Status != 0 {
		w.WriteHeader(v.Status)
	}
	_, _ = w.Write(body.Bytes()) // who does not take it has gone
	return nil
}

// Initial is the first letter of the user's name, for his badge.
func (v *view) Initial() string {
	for _, r := range v.User {
		return strings.ToUpper(string(r))
	}
	return ""
}
