package webmail

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"postroom/internal/account"
)

var subjects = regexp.MustCompile(`<span class="subject">(?:<span class="label[^>]*>[^<]*</span>)*([^<]*)</span>`)

// listed gives the subjects of a page, in its order.
func subjectsOf(p answer) (out []string) {
	for _, m := range subjects.FindAllStringSubmatch(p.body, -1) {
		out = append(out, m[1])
	}
	return out
}

// link gives the address that stands at a rel of a page.
func relOf(p answer, rel string) string {
	list, _, _ := strings.Cut(p.body, `id="reading"`)
	m := regexp.MustCompile(`rel="` + rel + `" href="([^"]+)"`).FindStringSubmatch(list)
	if m == nil {
		return ""
	}
	return strings.ReplaceAll(m[1], "&amp;", "&")
}

// Pages go from the newest message to the oldest and back, and hold what they held when messages come and go.
func TestPaging(t *testing.T) {
	s := newSite(t)
	var texts []string
	for i := range 120 {
		texts = append(texts, mail("carol@example.org", fmt.Sprintf("s%d", i+1), "Hi"))
	}
	_, uids := s.append("alice", inbox, 0, texts...)
	b := s.login("alice")
	want := func(p answer, from, to int, ends string) answer {
		t.Helper()
		p.want(t, http.StatusOK)
		var expect []string
		for i := from; i >= to; i-- {
			expect = append(expect, fmt.Sprintf("s%d", i))
		}
		if got := subjectsOf(p); !slices.Equal(got, expect) {
			t.Errorf("%v, want %d to %d", got, from, to)
		}
		if got := fmt.Sprint(relOf(p, "prev") != "", relOf(p, "next") != ""); got != ends {
			t.Errorf("newer and older: %s, want %s", got, ends)
		}
		return p
	}
	first := want(b.get("/"), 120, 71, "false true").want(t, 200, "1–50 of 120", "120 unread")
	second := want(b.get(relOf(first, "next")), 70, 21, "true true").want(t, 200, "51–100 of 120")
	third := want(b.get(relOf(second, "next")), 20, 1, "true false").want(t, 200, "101–120 of 120")
	want(b.get(relOf(third, "prev")), 70, 21, "true true")
	if to := relOf(second, "prev"); to != "/?box=INBOX" {
		t.Errorf("before the second page is %s", to)
	}

	s.append("alice", inbox, 0, mail("carol@example.org", "s121", "Hi"))
	u := s.open("alice")
	m, err := u.Select(t.Context(), inbox, false)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Remove(t.Context(), uids[100:110]); err != nil { // s101 to s110
		t.Fatal(err)
	}
	want(b.get(relOf(first, "next")), 70, 21, "true true").want(t, 200, "42–91 of 111")
	// A page that would go beyond the newest message is the first.
	if got, first := subjectsOf(b.get(fmt.Sprintf("/?box=INBOX&after=%d", uids[98]))), subjectsOf(b.get("/")); !slices.Equal(got, first) {
		t.Errorf("%v, want %v", got, first)
	}
	b.get("/?box=INBOX&before=1").want(t, http.StatusOK, "nothing here")
	b.get("/?box=INBOX&before=x").want(t, http.StatusOK, "1–50 of 111")
	b.get("/?box=INBOX&v=1").want(t, http.StatusNotFound, "has changed")
	b.get("/?box=Nothing").want(t, http.StatusNotFound, "no such folder")
}

// A row shows what the message and its flags say.
func TestRows(t *testing.T) {
	s := newSite(t)
	mixed := func(parts string) string {
		return "From: a@b.c\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + parts + "--b--\r\n"
	}
	const text = "--b\r\n\r\nHi\r\n"
	for name, c := range map[string]struct {
		mail  string
		flags account.Flags
		has   []string
	}{
		"plain":      {mail("=?utf-8?q?J=C3=BCrgen?= <j@example.org>", "=?iso-8859-1?q?Gr=FC=DFe?=", "x"), 0, []string{">Jürgen<", "Grüße", `class="dot"`, "!#star", "!#clip", "!#reply"}},
		"flags":      {mail("a@b.c", "x", "x"), account.Seen | account.Flagged | account.Answered | account.Draft, []string{"a@b.c", "#star", "#reply", "Draft", `!class="dot"`}},
		"hostile":    {mail(`"<script>alert(1)</script>" <a@b.c>`, "</span><img src=x onerror=alert(1)>\u202Egpj", "x"), 0, []string{"&lt;script&gt;", "&lt;img src", "!<img src=x", "!\u202e"}},
		"nothing":    {"X: y\r\n\r\n", 0, []string{"(nobody)", "(no subject)"}},
		"attachment": {mixed(text + "--b\r\nContent-Disposition: attachment; filename=x.txt\r\n\r\nx\r\n"), 0, []string{"#clip"}},
		"picture":    {mixed(text + "--b\r\nContent-Type: image/png\r\n\r\nx\r\n"), 0, []string{"#clip"}},
		"forwarded":  {mixed(text + "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\nx\r\n"), 0, []string{"#clip"}},
		"signed": {strings.Replace(mixed(text+"--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n"), "mixed", "signed", 1), 0,
			[]string{"!#clip"}},
		"related": {strings.Replace(mixed("--b\r\nContent-Type: text/html\r\n\r\nx\r\n--b\r\nContent-Type: image/png\r\nContent-ID: <x>\r\n\r\nx\r\n"), "mixed", "related", 1), 0,
			[]string{"!#clip"}},
		"long header": {"X-A: " + strings.Repeat("y", 9000) + "\r\nFrom: Ann <a@b.c>\r\nSubject: far\r\n below\r\n\r\n", 0, []string{">Ann<", ">far below<"}},
	} {
		t.Run(name, func(t *testing.T) {
			user := "alice"
			s.append(user, inbox, c.flags, c.mail)
			b := s.login(user)
			page := b.get("/").want(t, http.StatusOK)
			row := answer{body: page.find(t, `(?s)<li class="row(.*?)</li>`)}
			row.want(t, 0, c.has...)
		})
	}
}

// In Sent rows name who it was sent to.
func TestSentNamesRecipients(t *testing.T) {
	s := newSite(t)
	s.folder("alice", "Sent")
	s.append("alice", "Sent", account.Seen, "From: alice@example.org\r\nTo: Bob <bob@example.org>, c@example.org\r\nSubject: x\r\n\r\n")
	s.login("alice").get("/?box=Sent").want(t, http.StatusOK, ">Bob, c@example.org<", "!>alice@example.org<")
}

// Keywords are labels; those for programs are not shown.
func TestLabels(t *testing.T) {
	s := newSite(t)
	v, uids := s.append("alice", inbox, 0, mail("a@b.c", "x", "x"))
	m, err := s.open("alice").Select(t.Context(), inbox, false)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := m.Store(t.Context(), uids, account.Change{Op: account.StoreAdd, Keywords: []string{"Work", "$Forwarded", "NonJunk"}}); err != nil {
		t.Fatal(err)
	}
	b := s.login("alice")
	b.get("/").want(t, http.StatusOK, fmt.Sprintf(`<span class="label c%d">Work</span>`, labelOf("Work").Colour), "!$Forwarded", "!NonJunk")
	b.get(fmt.Sprintf("/message?box=INBOX&v=%d&uid=%d", v, uids[0])).want(t, http.StatusOK, ">Work</span>")
	if labelOf("work").Colour != labelOf("WORK").Colour {
		t.Error("the colour depends on case, which keywords do not")
	}
}

// What a shell puts into the Maildir is on the next page.
func TestListSeesOthers(t *testing.T) {
	s := newSite(t)
	b := s.login("alice")
	b.get("/").want(t, http.StatusOK, "nothing here")
	for i := range 3 {
		name := filepath.Join(s.root("alice"), "new", fmt.Sprintf("180000000%d.1.x", i))
		if err := os.WriteFile(name, []byte(mail("a@b.c", fmt.Sprintf("s%d", i), "x")), 0o600); err != nil {
			t.Fatal(err)
		}
		b.get("/").want(t, http.StatusOK, fmt.Sprintf("s%d<", i))
	}
}
