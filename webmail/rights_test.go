package webmail

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"postroom/internal/account"
)

// walked is a request for a mailbox %M of another user, and the rights on it that it cannot do without. In it, %V is its
// UIDVALIDITY, %U the UID of its one message, which is unread, %R the user's rights. The user has all rights but one on %M, and all on %T,
// which %M lies below; %S is a mailbox below %M on which he has the rights that he has on %M.
type walked struct {
	request string // of a POST with its form: path and query; the query is the form then
	wants   string // refused without any of these; "" is never refused
	// done tells whether the request has done what it is for; nil if it only shows something.
	done func(w *walk) bool
}

var everyRequest = []walked{
	{"GET /?box=%M", "r", nil},
	{"GET /?box=%M&q=Hello&show=unread", "r", nil},
	{"GET /events?box=%M", "r", nil},
	{"POST /act?do=read&m=%V.%U.%M", "rs", func(w *walk) bool { return w.seenByBob() }},
	{"POST /act?do=flag&m=%V.%U.%M", "rw", func(w *walk) bool { return w.marked(account.Flagged, "") }},
	{"POST /act?do=label&word=work&m=%V.%U.%M", "rw", func(w *walk) bool { return w.marked(0, "work") }},
	{"POST /act?do=copy&to=%M/Sub&m=%V.%U.%M", "ri", func(w *walk) bool { return w.messagesIn("/Sub") == 1 }},
	{"POST /act?do=move&to=INBOX&m=%V.%U.%M", "rte", func(w *walk) bool { return w.messagesIn("") == 0 }},
	{"POST /act?do=delete&m=%V.%U.%M", "rte", func(w *walk) bool { return w.messagesIn("") == 0 }},
	{"POST /act?do=junk&m=%V.%U.%M", "rte", func(w *walk) bool { return w.messagesIn("") == 0 }},
	{"POST /act?do=expunge&m=%V.%U.%M", "rte", func(w *walk) bool { return w.messagesIn("") == 0 }},
	{"GET /message?box=%M&v=%V&uid=%U", "r", nil},
	{"GET /frame?box=%M&v=%V&uid=%U&block=1.2", "r", nil},
	{"GET /part?box=%M&v=%V&uid=%U&part=2", "r", nil},
	{"GET /attachments?box=%M&v=%V&uid=%U", "r", nil},
	{"GET /fields?box=%M&v=%V&uid=%U", "r", nil},
	{"GET /source?box=%M&v=%V&uid=%U", "r", nil},
	{"GET /eml?box=%M&v=%V&uid=%U", "r", nil},
	{"GET /print?box=%M&v=%V&uid=%U", "r", nil},
	{"GET /export?box=%M", "r", nil},
	{"GET /import?box=%M", "ri", nil},
	{"POST /import?box=%M", "i", func(w *walk) bool { return w.messagesIn("") == 2 }},
	{"GET /compose?do=reply&box=%M&v=%V&uid=%U", "r", nil},
	{"GET /compose?do=attached&box=%M&v=%V&uid=%U", "r", nil},
	{"POST /compose/save?sbox=%M&sv=%V&suid=%U&part=0:x&subject=%M", "r", func(w *walk) bool { return w.drafted() }},
	{"POST /compose/send?sbox=%M&sv=%V&suid=%U&part=0:x&subject=%M", "r", func(w *walk) bool { return w.drafted() }},
	{"GET /folders", "", nil},
	{"POST /folders/create?parent=%M&name=New", "k", func(w *walk) bool { return w.exists("/New") }},
	{"POST /folders/rename?box=%M/Sub&parent=%M&name=Other", "xk", func(w *walk) bool { return w.exists("/Other") && !w.exists("/Sub") }},
	{"GET /folders/rename?box=%M", "lx", nil},
	{"GET /folders/delete?box=%M", "lx", nil},
	{"POST /folders/delete?box=%M/Sub", "x", func(w *walk) bool { return !w.exists("/Sub") }},
	{"POST /folders/subscribe?box=%M&on=1", "l", func(w *walk) bool { return w.subscribed() }},
	{"POST /folders/subscribe?box=%M&on=0", "", nil},
	{"GET /sharing?box=%M", "a", nil},
	{"POST /sharing/add?box=%M&kind=user&who=carol&act=read", "a", func(w *walk) bool { return w.rightsOf("carol") == "lrs" }},
	{"POST /sharing/add?box=%M&kind=raw&who=-bob&act=letters&letters=p", "a", func(w *walk) bool { return w.rightsOf("-bob") == "p" }},
	{"POST /sharing/remove?box=%M&id=bob", "a", func(w *walk) bool { return w.rightsOf("bob") == "" }},
	{"POST /sharing/seen?box=%M&shared=1", "a", func(w *walk) bool { return w.sharedSeen() }},
	{"GET /sharing/why?box=%M&who=bob", "a", nil},
	{"GET /sharing/below?box=%M", "la", nil},
	{"POST /sharing/below?box=%M", "la", nil},
	{"POST /sharing/change?box=%M&id=bob&was=%R&act=letters&letters=lra", "a", func(w *walk) bool { return w.rightsOf("bob") == "lra" }},
}

// noMail are the routes that touch no mailbox.
var noMail = map[string]bool{
	"GET /settings": true, "POST /settings": true, "GET /sessions": true, "POST /sessions/end": true, "GET /keys": true, "GET /sharing/people": true, "POST /logout": true,
	"GET /contacts": true, "GET /contacts/show": true, "GET /contacts/edit": true, "POST /contacts/save": true, "POST /contacts/delete": true,
	"GET /contacts/import": true, "POST /contacts/import": true, "GET /contacts/export": true,
	"POST /arrange": true, "GET /searching": true,
	"POST /undo":   true, // TestUndo
	"GET /sidebar": true, // of the folders that there are: TestLive
	// These are about the user's own mailboxes alone, which the request does not name.
	"POST /compose/discard": true, "GET /complete": true, "GET /outbox": true, "POST /outbox/send": true, "POST /outbox/cancel": true,
	"POST /outbox/dismiss": true, "GET /identities": true, "POST /identities": true,
}

// rightsOf gives the letters of an entry of the mailbox's ACL, by its name in IMAP; "" for none.
func (w *walk) rightsOf(id string) string {
	acl, err := w.open("alice").GetACL(w.t.Context(), w.box)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range acl.Entries {
		if acl.Name(e) == id {
			return e.Rights.String()
		}
	}
	return ""
}

func (w *walk) sharedSeen() bool {
	shared, err := w.open("alice").SharedSeen(w.t.Context(), w.box)
	if err != nil {
		w.t.Fatal(err)
	}
	return shared
}

// walk is one request of the walk under way.
type walk struct {
	*site
	box string // of alice
	bob *browser
}

func (w *walk) exists(below string) bool {
	_, err := w.open("alice").MyRights(w.t.Context(), w.box+below)
	return err == nil
}

// messages counts those in the mailbox.
func (w *walk) messagesIn(below string) int {
	st, err := w.open("alice").Status(w.t.Context(), w.box+below, account.StatusOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return st.Messages
}

func (w *walk) seenByBob() bool {
	st, err := w.open("bob").Status(w.t.Context(), "Other Users/alice/"+w.box, account.StatusOptions{})
	return err == nil && st.Unseen == 0
}

// marked tells whether the message has a flag or a keyword.
func (w *walk) marked(f account.Flags, keyword string) bool {
	m, err := w.open("alice").Select(w.t.Context(), w.box, true)
	if err != nil {
		w.t.Fatal(err)
	}
	defer m.Close()
	s, err := m.Sync(w.t.Context())
	if err != nil || s.Len() != 1 {
		w.t.Fatal(s, err)
	}
	return s.Flags(0)&f != 0 || keyword != "" && s.HasKeyword(0, keyword)
}

func (w *walk) subscribed() bool {
	names, err := w.open("bob").Subscriptions(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.Contains(strings.Join(names, "\n")+"\n", w.box+"\n")
}

// drafted tells whether bob has a draft that names the mailbox, with the message of the mailbox attached.
func (w *walk) drafted() bool {
	m, err := w.open("bob").Select(w.t.Context(), "Drafts", true)
	if err != nil {
		return false
	}
	defer m.Close()
	snap := m.Current()
	for i := range snap.Len() {
		msg, err := m.Message(w.t.Context(), snap, i)
		if err != nil {
			w.t.Fatal(err)
		}
		text := strings.ReplaceAll(string(msg.Text()), "\r\n", "\n")
		msg.Close()
		if strings.Contains(text, w.box+"\n") && strings.Contains(text, "J=C3=BCrgen") {
			return true
		}
	}
	return false
}

// TestMissingRights walks all routes with each single right missing: what wants it is refused and has changed nothing, all else works.
func TestMissingRights(t *testing.T) {
	for _, rt := range routes {
		pattern := strings.TrimSuffix(rt.pattern, "{$}")
		in := false
		for _, step := range everyRequest {
			path, _, _ := strings.Cut(step.request, "?")
			in = in || path == pattern
		}
		if in == noMail[pattern] {
			t.Errorf("%s: walked %v", pattern, in)
		}
	}
	for _, missing := range "-lrswipkxtea" {
		t.Run(string(missing), func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.folder("alice", "Top")
			bob := s.login("bob")
			for i, step := range everyRequest {
				w := &walk{s, fmt.Sprintf("Top/M%d", i), bob}
				w.step(step, strings.Trim(string(missing), "-"))
			}
		})
	}
}

func (w *walk) step(step walked, missing string) {
	w.t.Helper()
	w.folder("alice", w.box)
	w.folder("alice", w.box+"/Sub")
	v, uids := w.append("alice", w.box, 0, richMail)
	rights := "lrswipkxtea"
	if missing != "" {
		rights = strings.Replace(rights, missing, "", 1)
	}
	w.grant("alice", "Top", "bob", "lrswipkxtea")
	w.grant("alice", w.box, "bob", rights)
	w.grant("alice", w.box+"/Sub", "bob", rights)
	name := "Other Users/alice/" + w.box
	request := strings.NewReplacer("%M", name, "%V", fmt.Sprint(v), "%U", fmt.Sprint(uids[0]), "%R", rights).Replace(step.request)
	p := w.bob.request(request)
	refused := missing != "" && strings.Contains(step.wants, missing)
	if got := p.status >= 400; got != refused {
		w.t.Errorf("%s without %q: status %d", request, missing, p.status)
	}
	if step.done != nil && step.done(w) == refused {
		w.t.Errorf("%s without %q: done %v", request, missing, !refused)
	}
	if step.request == "GET /message?box=%M&v=%V&uid=%U" && !refused {
		// It is marked as seen by whoever may.
		if st, err := w.open("bob").Status(w.t.Context(), name, account.StatusOptions{}); err != nil || (st.Unseen == 0) == (missing == "s") {
			w.t.Errorf("%s without %q: %d unseen, %v", request, missing, st.Unseen, err)
		}
	}
}

// request sends "GET path?query", or "POST path?form".
func (b *browser) request(s string) answer {
	b.t.Helper()
	method, target, _ := strings.Cut(s, " ")
	path, query, _ := strings.Cut(target, "?")
	var pairs []string
	for pair := range strings.SplitSeq(query, "&") {
		k, v, _ := strings.Cut(pair, "=")
		pairs = append(pairs, k, v)
	}
	switch {
	case path == "/import" && method == http.MethodPost:
		return b.upload(boxQuery(path, pairs...), mail("carol@example.org", "Imported", "Hi"))
	case method == http.MethodPost:
		return b.post(path, pairs...)
	}
	return b.get(boxQuery(path, pairs...))
}

// Who may not look a folder up gets octet by octet the answer that he gets for one that is not there.
func TestHiddenIsMissing(t *testing.T) {
	s := newSite(t)
	s.folder("alice", "Secret")
	s.folder("alice", "Seen")
	s.grant("alice", "Seen", "bob", "l")
	v, uids := s.append("alice", "Secret", 0, mail("carol@example.org", "Hello", "Hi"))
	b := s.login("bob")
	for _, step := range everyRequest {
		if !strings.Contains(step.request, "%M") || strings.Contains(step.request, "subscribe?box=%M&on=0") {
			continue
		}
		ask := func(name string) answer {
			return b.request(strings.NewReplacer("%M", "Other Users/alice/"+name, "%V", fmt.Sprint(v), "%U", fmt.Sprint(uids[0])).Replace(step.request))
		}
		hidden, missing := ask("Secret"), ask("Nothing")
		if hidden.status != missing.status || hidden.body != missing.body || hidden.status != http.StatusNotFound {
			t.Errorf("%s: hidden %d, missing %d\n%s\n%s", step.request, hidden.status, missing.status, hidden.body, missing.body)
		}
	}
	b.get("/?box=Other+Users/alice/Seen").want(t, http.StatusForbidden, "right")
}
