package webmail

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"postroom/internal/account"
	"postroom/internal/auth"
)

// The names of the cookie. The first one browsers take only over TLS, from this host alone, for all of it; over plain HTTP
// on this machine they would not take it at all.
const (
	secureCookie = "__Host-postroom"
	plainCookie  = "postroom"
)

// tokenHash is all that is kept of a session's token: who reads the memory of the server, or a core of it, cannot use it.
type tokenHash [sha256.Size]byte

// book is all sessions that are open.
type book struct {
	mu      sync.Mutex             // guards byToken; no other lock is taken while it is held
	byToken map[tokenHash]*session // those that have not ended
	over    bool                   // guarded by mu: none begins any more
	closed  sync.WaitGroup         // one for each session until it has closed
}

// session is one login of one browser. It keeps the account open, and the last mailbox, so that its snapshot stays in memory
// between two requests. Requests of one session run at once; each selects for itself.
//
//	begin --> open --(logout, time over, user gone, password changed, Shutdown)--> ended --(last request done)--> closed
type session struct {
	srv     *Server
	user    *account.User
	id      string // what the page of sessions knows it by; it opens nothing
	token   tokenHash
	mark    auth.Mark
	from    netip.Addr
	agent   string // User-Agent, bounded
	began   time.Time
	release func() // gives back the place of the user

	ctx    context.Context // ends with the session
	cancel context.CancelFunc

	mu        sync.Mutex // guards all below
	last      time.Time  // of the last request
	running   int        // requests under way
	ended     bool
	held      *account.Mailbox // keeps the last folder loaded; nil before the first
	notice    *notice          // to be shown on the next page
	addresses *seenAddresses   // guarded by mu; nil: not collected yet
	result    *result          // the list that was arranged last; not to be changed
	undos     []numberedUndo   // what can be taken back, the last behind
	undone    int              // the number of the last of them
	streams   []*stream        // pages that listen, the oldest first
}

// maxAgent bounds what is kept of a browser's name.
const maxAgent = 256

// begin opens a session for an authenticated user, and gives the token for the cookie.
func (s *Server) begin(r *http.Request, user string, from netip.Addr) (token string, err error) {
	mark, ok := s.opt.Auth.Mark(user)
	if !ok {
		return "", auth.ErrFailed // gone in this moment
	}
	release, err := s.conns.AcquireUser(user)
	if err != nil {
		return "", err
	}
	u, err := s.opt.Accounts.Open(r.Context(), user)
	if err != nil {
		release()
		return "", err
	}
	var secret [32]byte
	var id [8]byte
	rand.Read(secret[:])
	rand.Read(id[:])
	token = base64.RawURLEncoding.EncodeToString(secret[:])
	agent := r.UserAgent()
	now := s.clock()
	n := &session{
		srv: s, user: u, id: hex.EncodeToString(id[:]), token: sha256.Sum256([]byte(token)), mark: mark, from: from,
		agent: agent[:min(len(agent), maxAgent)], began: now, last: now, release: release,
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	s.book.mu.Lock()
	over := s.book.over
	if !over {
		s.book.byToken[n.token] = n
		s.book.closed.Add(1)
	}
	s.book.mu.Unlock()
	if over {
		n.cancel()
		u.Close()
		release()
		return "", errors.New("webmail: the server is shutting down")
	}
	return token, nil
}

// find gives the session of a request, and enters the request in it: the caller must leave it. nil if there is none.
func (s *Server) find(r *http.Request, o origin) *session {
	c, err := r.Cookie(cookieName(o))
	if err != nil || len(c.Value) > 64 {
		return nil
	}
	s.book.mu.Lock()
	n := s.book.byToken[sha256.Sum256([]byte(c.Value))]
	s.book.mu.Unlock()
	if n == nil {
		return nil
	}
	if why := n.over(); why != "" {
		n.end(why)
		return nil
	}
	// What a page does by itself is no sign that somebody is there.
	if !n.enter(r.URL.Path != "/events" && r.Header.Get("Postroom-Live") == "") {
		return nil
	}
	return n
}

// over tells why the session is to end, "" if it is not.
func (n *session) over() string {
	now := n.srv.clock()
	n.mu.Lock()
	last := n.last
	n.mu.Unlock()
	mark, known := n.srv.opt.Auth.Mark(n.user.Name())
	switch {
	case now.Sub(n.began) >= n.srv.lim.SessionTimeout:
		return "time"
	case now.Sub(last) >= n.srv.lim.IdleTimeout:
		return "idle"
	case !known:
		return "user gone"
	case mark != n.mark:
		return "password changed"
	}
	return ""
}

func (n *session) enter(somebody bool) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ended {
		return false
	}
	n.running++
	if somebody {
		n.last = n.srv.clock()
	}
	return true
}

func (n *session) leave() {
	n.mu.Lock()
	n.running--
	last := n.ended && n.running == 0
	n.mu.Unlock()
	if last {
		n.close()
	}
}

// end ends the session; what is under way is cancelled. It may be called more than once.
func (n *session) end(why string) {
	b := &n.srv.book
	b.mu.Lock()
	delete(b.byToken, n.token)
	b.mu.Unlock()
	n.mu.Lock()
	first := !n.ended
	n.ended = true
	idle := n.running == 0
	n.mu.Unlock()
	if !first {
		return
	}
	n.cancel()
	n.srv.log.Info("web logout", "user", n.user.Name(), "reason", why, "seconds", int(n.srv.clock().Sub(n.began).Seconds()))
	if idle {
		n.close()
	}
}

// close gives back what the session holds; once, when no request uses it any more.
func (n *session) close() {
	if n.held != nil {
		n.held.Close()
	}
	n.user.Close()
	n.release()
	n.srv.book.closed.Done()
}

// keep holds the folder of m loaded until another one is kept, or the session ends.
func (n *session) keep(ctx context.Context, m *account.Mailbox) {
	n.mu.Lock()
	same := n.held != nil && n.held.Name() == m.Name() && !n.held.Gone()
	n.mu.Unlock()
	if same {
		return
	}
	held, err := n.user.Select(ctx, m.Name(), true)
	if err != nil {
		return // it went in this moment; nothing is kept of it
	}
	n.mu.Lock()
	held, n.held = n.held, held
	n.mu.Unlock()
	if held != nil {
		held.Close()
	}
}

// all lists the open sessions of a user, the newest request first; those of everybody for "".
func (b *book) all(user string) []*session {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []*session
	for _, n := range b.byToken {
		if user == "" || n.user.Name() == user {
			out = append(out, n)
		}
	}
	return out
}

// sessionsOf lists the open sessions of a user, the last used first.
func (s *Server) sessionsOf(user string) []*session {
	list := s.book.all(user)
	slices.SortFunc(list, func(a, b *session) int {
		return cmp.Or(b.lastUsed().Compare(a.lastUsed()), cmp.Compare(a.id, b.id))
	})
	return list
}

func (n *session) lastUsed() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.last
}

// endOver ends the sessions that are over.
func (s *Server) endOver() {
	for _, n := range s.book.all("") {
		if why := n.over(); why != "" {
			n.end(why)
		}
	}
}

// endAll ends all sessions, for good.
func (s *Server) endAll() {
	s.book.mu.Lock()
	s.book.over = true
	s.book.mu.Unlock()
	for _, n := range s.book.all("") {
		n.end("shutdown")
	}
}

func cookieName(o origin) string {
	if o.https {
		return secureCookie
	}
	return plainCookie
}

// setCookie gives the browser its token; "" takes it away. The cookie ends with the browser, if not with the session.
func setCookie(w http.ResponseWriter, o origin, token string) {
	c := &http.Cookie{
		Name: cookieName(o), Value: token, Path: "/", Secure: o.https, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	if token == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}
