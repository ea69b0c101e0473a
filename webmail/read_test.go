package webmail

import (
	"fmt"
	"net/http"
	"testing"

	"postroom/internal/account"
)

func TestRead(t *testing.T) {
	s := newSite(t)
	v, uids := s.append("alice", inbox, 0,
		mail("=?utf-8?q?J=C3=BCrgen?= <j@example.org>", "First", "one"),
		mail("carol@example.org", "Second", "<b>two</b> & more"),
		mail("carol@example.org", "Third", "three"))
	b := s.login("alice")
	at := func(i int) string { return fmt.Sprintf("/message?box=INBOX&uid=%d&v=%d", uids[i], v) }
	b.get(at(1)).want(t, http.StatusOK, "<title>(2) Second – Postroom", "&lt;b&gt;two&lt;/b&gt; &amp; more", `data-pane="message"`, `rel="prev" href="`, `rel="next" href="`, "1–3 of 3")
	b.fragment(at(0)).want(t, http.StatusOK, "<b>Jürgen</b>", "&lt;j@example.org&gt;", "one", `!rel="next"`, "!<html", "Fri, 27 Nov 2026")
	if st, err := s.open("alice").Status(t.Context(), inbox, account.StatusOptions{}); err != nil || st.Unseen != 1 {
		t.Errorf("%d unseen, %v: what was read is to be seen, and nothing else", st.Unseen, err)
	}
	b.get("/").want(t, http.StatusOK, "1 unread", "(1) Inbox")
	for _, path := range []string{
		fmt.Sprintf("/message?box=INBOX&uid=%d&v=%d", uids[2]+1, v), fmt.Sprintf("/message?box=INBOX&v=%d", v), "/message?box=INBOX&uid=-1",
		"/message?box=INBOX&uid=99999999999", "/message?box=INBOX&uid=0",
	} {
		b.get(path).want(t, http.StatusNotFound, "no such message")
	}
	b.get(fmt.Sprintf("/message?box=INBOX&uid=%d&v=%d", uids[0], v+1)).want(t, http.StatusNotFound, "has changed")
}

// What is of the mail stands in pages as text.
func TestReadHostile(t *testing.T) {
	s := newSite(t)
	v, uids := s.append("alice", inbox, 0, mail(`"<script>alert(1)</script>" <"<img src=x>"@b.c>`, "<script>alert(2)</script>", "</pre><script>alert(3)</script>"))
	s.login("alice").get(fmt.Sprintf("/message?box=INBOX&uid=%d&v=%d", uids[0], v)).
		want(t, http.StatusOK, "&lt;script&gt;alert(3)", "!<script>", "!<img src=x")
}
