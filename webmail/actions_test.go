package webmail

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"postroom/internal/account"
)

// count is how many messages a mailbox of alice has.
func (s *site) count(box string) int {
	s.t.Helper()
	st, err := s.open("alice").Status(s.t.Context(), box, account.StatusOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	return st.Messages
}

// TestSearchSortThreads asks for lists of one mailbox in all ways, and reads the subjects in their order.
func TestSearchSortThreads(t *testing.T) {
	s := newSite(t)
	text := func(from, subject, date, id, refs, body string) string {
		m := "From: " + from + "\r\nSubject: " + subject + "\r\nDate: " + date + "\r\nMessage-ID: <" + id + "@x>\r\n"
		if refs != "" {
			m += "References: <" + refs + "@x>\r\n"
		}
		return m + "\r\n" + body + "\r\n"
	}
	s.append("alice", "INBOX", 0,
		text("Zoe <z@example.org>", "Plan", "Fri, 06 Nov 2026 09:00:00 +0000", "1", "", "walrus"),
		text("Bob <b@example.org>", "Alpha", "Sun, 01 Nov 2026 09:00:00 +0000", "2", "", strings.Repeat("long ", 3000)),
		text("Ann <a@example.org>", "Re: Plan", "Mon, 02 Nov 2026 09:00:00 +0000", "3", "1", "yes"))
	s.append("alice", "INBOX", account.Seen|account.Flagged, text("Carl <c@example.org>", "Beta", "Tue, 03 Nov 2026 09:00:00 +0000", "4", "", "no"))
	s.folder("alice", "Work")
	s.append("alice", "Work", 0, text("Bob <b@example.org>", "Gamma", "Tue, 03 Nov 2026 09:00:00 +0000", "5", "", "walrus too"))
	b := s.login("alice")
	order := func(p answer) string {
		p.want(t, http.StatusOK)
		var out []string
		for _, subject := range []string{"Re: Plan", "Plan", "Alpha", "Beta", "Gamma"} {
			if at := strings.Index(p.body, `aria-label="Choose: `+subject+`"`); at >= 0 {
				out = append(out, fmt.Sprintf("%08d %s", at, subject))
			}
		}
		slices.Sort(out)
		for i := range out {
			out[i] = out[i][9:]
		}
		return strings.Join(out, ", ")
	}
	for _, c := range []struct{ sort, threads, query, want string }{
		{"", "", "", "Beta, Re: Plan, Alpha, Plan"},
		{"oldest", "", "", "Plan, Alpha, Re: Plan, Beta"},
		{"sent", "", "", "Plan, Beta, Re: Plan, Alpha"},
		{"from", "", "", "Re: Plan, Alpha, Beta, Plan"},
		{"subject", "", "", "Alpha, Beta, Plan, Re: Plan"},
		{"size", "", "", "Alpha, Re: Plan, Plan, Beta"},
		{"", "1", "", "Beta, Plan, Re: Plan, Alpha"},
		{"", "1", "q=plan", "Plan, Re: Plan"},
		{"", "", "show=unread", "Re: Plan, Alpha, Plan"},
		{"", "", "show=flagged", "Beta"},
		{"", "", "q=walrus", "Plan"},
		{"from", "", "q=-from:ann", "Alpha, Beta, Plan"},
		{"", "", "q=before:2026-11-03", "Re: Plan, Alpha"},
		{"", "", "q=from:bob+OR+from:carl", "Beta, Alpha"},
		{"", "", "q=walrus&all=1", "Plan, Gamma"},
		{"", "", "q=subject:%22re:+plan%22", "Re: Plan"},
		{"", "", "q=larger:10k", "Alpha"},
	} {
		b.post("/arrange", "sort", c.sort, "threads", c.threads, "back", "/?box=INBOX").redirects(t, "/?box=INBOX")
		got := order(b.get("/?box=INBOX&" + c.query))
		if strings.Contains(c.query, "all=1") && got == "Gamma, Plan" {
			got = c.want // they came in one moment
		}
		if got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
	b.get("/?box=INBOX&q=before:soon").want(t, http.StatusOK, "That is no date", "before:soon")
	b.get("/searching").want(t, http.StatusOK, "has:attachment")
}

// TestUndo: what a form moved or deleted is moved back once, with the right to.
func TestUndo(t *testing.T) {
	s := newSite(t)
	v, uids := s.append("alice", "INBOX", 0, mail("bob@example.org", "One", "1"), mail("bob@example.org", "Two", "2"))
	b := s.login("alice")
	key := func(uid uint32) string { return keyOf("INBOX", v, uid) }
	b.post("/act", "do", "delete", "m", key(uids[0]), "m", key(uids[1]), "back", "/?box=INBOX").redirects(t, "/?box=INBOX")
	if s.count("INBOX") != 0 || s.count("Trash") != 2 {
		t.Fatal("deleting did not move to Trash")
	}
	p := b.get("/?box=INBOX").want(t, http.StatusOK, "2 messages were moved to Trash")
	number := p.find(t, `name="number" value="([0-9]+)"`)
	b.post("/undo", "number", number, "back", "//evil.example/").redirects(t, "/")
	if s.count("INBOX") != 2 || s.count("Trash") != 0 {
		t.Error("undo did not move back")
	}
	b.post("/undo", "number", number).want(t, http.StatusNotFound)

	// In Trash it is for ever, and asked before.
	b.get("/?box=INBOX")
	tv, tuids := s.append("alice", "Trash", 0, mail("bob@example.org", "Old", "3"))
	b.post("/act", "do", "delete", "m", keyOf("Trash", tv, tuids[0])).want(t, http.StatusOK, "1 message will be lost", "Delete for ever")
	if s.count("Trash") != 1 {
		t.Fatal("it was not asked first")
	}
	b.post("/act", "do", "expunge", "m", keyOf("Trash", tv, tuids[0]), "back", "/?box=Trash").redirects(t, "/?box=Trash")
	if s.count("Trash") != 0 {
		t.Error("it is still there")
	}

	// Who lost the right to put messages back is refused, and they stay.
	s.folder("alice", "Shared")
	s.grant("alice", "Shared", "bob", "lrswite")
	sv, suids := s.append("alice", "Shared", 0, mail("carol@example.org", "Three", "3"))
	bob := s.login("bob")
	bob.post("/act", "do", "delete", "m", keyOf("Other Users/alice/Shared", sv, suids[0])).redirects(t, "/")
	number = bob.get("/").find(t, `name="number" value="([0-9]+)"`)
	s.grant("alice", "Shared", "bob", "lrswte")
	bob.post("/undo", "number", number).want(t, http.StatusForbidden)
	if s.count("Shared") != 0 {
		t.Error("undo without the right to insert")
	}
}

// TestActRefuses: what no form of ours sends.
func TestActRefuses(t *testing.T) {
	s := newSite(t)
	v, uids := s.append("alice", "INBOX", 0, mail("bob@example.org", "One", "1"))
	b := s.login("alice")
	key := keyOf("INBOX", v, uids[0])
	for _, c := range []struct {
		status int
		form   []string
	}{
		{http.StatusUnprocessableEntity, []string{"do", "nothing", "m", key}},
		{http.StatusUnprocessableEntity, []string{"do", "read"}},
		{http.StatusNotFound, []string{"do", "read", "m", "1.2"}},
		{http.StatusNotFound, []string{"do", "read", "m", keyOf("INBOX", v+1, uids[0])}},
		{http.StatusNotFound, []string{"do", "read", "m", keyOf("Nothing", v, uids[0])}},
		{http.StatusUnprocessableEntity, []string{"do", "move", "m", key}},
		{http.StatusNotFound, []string{"do", "move", "to", "Nothing", "m", key}},
		{http.StatusUnprocessableEntity, []string{"do", "label", "word", "two words", "m", key}},
		{http.StatusUnprocessableEntity, []string{"do", "label", "word", `\Seen`, "m", key}},
	} {
		b.post("/act", c.form...).want(t, c.status)
	}
	if s.count("INBOX") != 1 {
		t.Error("the message is gone")
	}
}
