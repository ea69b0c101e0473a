package webmail

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"postroom/internal/account"
)

func TestFolders(t *testing.T) {
	s := newSite(t)
	b := s.login("alice")
	u := s.open("alice")
	has := func(names ...string) {
		t.Helper()
		entries, err := u.Mailboxes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range entries {
			if !e.NonExistent && e.Name != inbox {
				got = append(got, e.Name)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, names) {
			t.Errorf("folders beside INBOX %q, want %q", got, names)
		}
	}
	subscribed := func(names ...string) {
		t.Helper()
		if got, err := u.Subscriptions(t.Context()); err != nil || !slices.Equal(got, names) {
			t.Errorf("subscribed to %q, %v; want %q", got, err, names)
		}
	}
	b.post("/folders/create", "name", "Work", "parent", "").redirects(t, "/folders")
	b.get("/folders").want(t, http.StatusOK, "was created", `value="Work"`)
	b.get("/folders").want(t, http.StatusOK, "!was created") // it is said once
	b.post("/folders/create", "name", " Übung & <b> ", "parent", "Work").redirects(t, "/folders")
	has("Work", "Work/Übung & <b>")
	subscribed("Work", "Work/Übung & <b>")
	b.get("/").want(t, http.StatusOK, "Übung &amp; &lt;b&gt;", `box=Work%2F%C3%9Cbung&#43;%26&#43;%3Cb%3E`)

	b.post("/folders/create", "name", "Work").want(t, http.StatusConflict, "already")
	b.post("/folders/create", "name", "a/b").want(t, http.StatusUnprocessableEntity, "cannot have that name")
	b.post("/folders/create", "name", " ").want(t, http.StatusUnprocessableEntity)
	b.post("/folders/create", "name", "x", "parent", "Other Users").want(t, http.StatusNotFound)

	b.post("/folders/rename", "box", "Work", "name", "Job", "parent", "").redirects(t, "/folders")
	has("Job", "Job/Übung & <b>")
	subscribed("Job", "Job/Übung & <b>")
	b.post("/folders/rename", "box", "Job/Übung & <b>", "name", "Exercise", "parent", "").redirects(t, "/folders")
	has("Exercise", "Job")
	b.post("/folders/rename", "box", "Job", "name", "Job", "parent", "").redirects(t, "/folders")
	b.post("/folders/rename", "box", "inbox", "name", "Old", "parent", "").want(t, http.StatusUnprocessableEntity)
	b.post("/folders/rename", "box", "Job", "name", "Exercise", "parent", "").want(t, http.StatusConflict)
	has("Exercise", "Job")

	b.post("/folders/subscribe", "box", "Job", "on", "0").redirects(t, "/folders")
	subscribed("Exercise")
	b.post("/folders/subscribe", "box", "Job", "on", "1").redirects(t, "/folders")
	subscribed("Exercise", "Job")

	s.append("alice", "Job", 0, mail("a@b.c", "x", "x"), mail("a@b.c", "x", "x"))
	b.get("/folders/delete?box=Job").want(t, http.StatusOK, "“Job”", "2 messages", "!below it stay")
	has("Exercise", "Job")
	b.post("/folders/delete", "box", "Job").redirects(t, "/folders")
	has("Exercise")
	subscribed("Exercise")
	b.get("/folders/delete?box=INBOX").want(t, http.StatusForbidden)
	b.post("/folders/delete", "box", "INBOX").want(t, http.StatusUnprocessableEntity)
	b.get("/folders/delete?box=Nothing").want(t, http.StatusNotFound)
}

// The pane has INBOX first, then special uses, then others with their children behind them; what others share has headings.
func TestSidebar(t *testing.T) {
	s := newSite(t)
	for _, name := range []string{"Apples", "Apples/Red", "Archive", "Drafts", "Sent", "Trash", "Junk", "Only/Child"} {
		s.folder("alice", name)
	}
	s.folder("bob", "Plans")
	s.grant("bob", "Plans", "alice", "lr")
	s.append("bob", "Plans", 0, mail("a@b.c", "x", "x"))
	s.append("alice", "Apples/Red", 0, mail("a@b.c", "x", "x"))
	s.append("alice", "Apples/Red", account.Seen, mail("a@b.c", "x", "x"))
	b := s.login("alice")
	page := b.get("/?box=Apples/Red").want(t, http.StatusOK, `aria-current="page" data-box="Apples/Red" class="unread"`, "Other users", `title="1 unread">1<`)
	nav, _, _ := strings.Cut(page.body, "</nav>\n\n")
	last := -1
	for _, title := range []string{"INBOX", "Drafts", "Sent", "Archive", "Junk", "Trash", "Apples", "Apples/Red", "Only", "Only/Child", "Other Users/bob", "Other Users/bob/Plans"} {
		at := strings.Index(nav, `title="`+title+`"`)
		if at <= last {
			t.Errorf("%s is not where it belongs", title)
		}
		last = at
	}
	if strings.Contains(nav, `box=Only"`) {
		t.Error("a folder that is only a name can be opened")
	}
	// What rights do not allow is not offered.
	manage := b.get("/folders").want(t, http.StatusOK)
	if !strings.Contains(manage.body, `name="box" value="Apples"`) || strings.Contains(manage.body, `href="/folders/delete?box=Other%20Users%2fbob%2fPlans"`) {
		t.Error("offered:\n" + manage.body)
	}
	if n := strings.Count(manage.body, `href="/folders/rename?`); n != 8 {
		t.Errorf("%d folders can be renamed, want alice's 8", n)
	}
	if strings.Contains(manage.body, `<option value="Other Users/bob/Plans"`) {
		t.Error("a folder is offered below one where none may be made")
	}
	b.get("/folders/rename?box=Apples").want(t, http.StatusOK, `value="Apples"`, `<option value="">`, `<option value="Archive">`, `!<option value="Apples`, `!<option value="Other`)
	b.get("/folders/rename?box=Apples/Red").want(t, http.StatusOK, `value="Red"`, `<option value="Apples" selected>`)
	s.folder("bob", "Plans/A")
	s.grant("bob", "Plans", "alice", "lrk")
	s.grant("bob", "Plans/A", "alice", "lrx")
	b.get("/folders/rename?box=Other+Users/bob/Plans/A").want(t, http.StatusOK, `<option value="Other Users/bob/Plans" selected>`, `!<option value="">`, `!<option value="Archive"`)
	b.get("/folders/rename?box=Other+Users/bob/Plans").want(t, http.StatusForbidden)
}
