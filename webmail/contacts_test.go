package webmail

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postroom/internal/addressbook"
)

// uploadContacts sends a file of vCards as the form does.
func (b *browser) uploadContacts(text string, replace bool) answer {
	b.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	if replace {
		if err := form.WriteField("replace", "1"); err != nil {
			b.t.Fatal(err)
		}
	}
	file, err := form.CreateFormFile("file", "contacts.vcf")
	if err == nil {
		_, err = file.Write([]byte(text))
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		b.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.base+"/contacts/import", &body)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", form.FormDataContentType())
	return b.do(r)
}

func TestContacts(t *testing.T) {
	s := newSite(t)
	b := s.login("alice")
	b.get("/contacts").want(t, http.StatusOK, "There are no contacts yet", "!Shared contacts")

	// Adding a sender begins with what the message says.
	b.get("/contacts/edit?name=Bob+%3Cb%3E&email=bob%40example.org").want(t, http.StatusOK, "New contact", `value="Bob &lt;b&gt;"`, `value="bob@example.org"`)
	p := b.post("/contacts/save", "name", "Bob", "email", "bob@example.org", "emaillabel", "work", "emailwas", "", "email", "", "emaillabel", "", "emailwas", "",
		"street", "Way 1\r\n2nd floor", "city", "Town", "code", "", "region", "", "country", "", "addresslabel", "home", "addresswas", "", "note", "a\r\nb")
	if p.status != http.StatusSeeOther {
		t.Fatalf("%d\n%s", p.status, p.body)
	}
	show := p.to()
	b.get(show).want(t, http.StatusOK, "The contact was saved", "Bob", "bob@example.org", "/compose?to=Bob&#43;%3Cbob%40example.org%3E", "Way 1\n2nd floor\nTown", "a\nb")
	b.get("/contacts?q=BOB").want(t, http.StatusOK, "bob@example.org")
	b.get("/contacts?q=carol").want(t, http.StatusOK, "Nobody was found")

	// The form as it comes back changes nothing but what is typed, and what was changed meanwhile is not overwritten unseen.
	edit := strings.Replace(show, "/show", "/edit", 1)
	form := b.get(edit).want(t, http.StatusOK, "Edit contact")
	id, version := form.find(t, `name="id" value="([^"]+)"`), form.find(t, `name="version" value="([^"]+)"`)
	fields := []string{"id", id, "version", version, "name", "Robert", "email", "bob@example.org", "emaillabel", "work", "emailwas", "bob@example.org",
		"street", "Way 1\r\n2nd floor", "city", "Town", "code", "", "region", "", "country", "", "addresslabel", "home", "addresswas", "Way 1\r\n2nd floor\r\nTown\r\n\r\n\r\n"}
	b.post("/contacts/save", fields...).redirects(t, show)
	again := b.post("/contacts/save", fields...).want(t, http.StatusConflict, "changed elsewhere meanwhile", `value="Robert"`)
	fields[3] = again.find(t, `name="version" value="([^"]+)"`)
	b.post("/contacts/save", fields...).redirects(t, show)
	card := b.get(strings.Replace(show, "/show", "/export", 1)).want(t, http.StatusOK, "FN:Robert\r\n", "ADR;TYPE=home:;;Way 1\\n2nd floor;Town;;;\r\n", "EMAIL;TYPE=work:bob@example.org\r\n", "!NOTE")
	if ct := card.header.Get("Content-Type"); ct != "text/vcard; charset=utf-8" || !strings.HasPrefix(card.header.Get("Content-Disposition"), "attachment") {
		t.Errorf("%s, %s", ct, card.header.Get("Content-Disposition"))
	}
	b.post("/contacts/save", "name", "X", "email", "no address", "emaillabel", "", "emailwas", "").want(t, http.StatusUnprocessableEntity, "cannot be so: E-mail", `value="no address"`)
	b.post("/contacts/save", "name", "").want(t, http.StatusUnprocessableEntity, "cannot be so: Name")

	b.post("/contacts/delete", "id", id, "version", version).want(t, http.StatusConflict, "changed elsewhere")
	b.post("/contacts/delete", "id", id, "version", b.get(edit).find(t, `name="version" value="([^"]+)"`)).redirects(t, "/contacts")
	for _, path := range []string{show, edit, "/contacts/show?id=../x", "/contacts/show?id=x.vcf&from=shared", "/contacts?from=none"} {
		b.get(path).want(t, http.StatusNotFound, "no such contact")
	}
	// Nobody sees another's.
	s.login("bob").get("/contacts").want(t, http.StatusOK, "There are no contacts yet")
}

func TestContactsImportExport(t *testing.T) {
	s := newSite(t)
	b := s.login("alice")
	b.get("/contacts/import").want(t, http.StatusOK, "vCard files")
	two := "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:1\r\nFN:<script>x</script>\r\nURL:javascript:alert(1)\r\nX-KEPT:y\r\nEND:VCARD\r\n" +
		"BEGIN:VCARD\r\nVERSION:2.1\r\nN;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;J=C3=B6rg\r\nEND:VCARD\r\n"
	b.uploadContacts(two, false).redirects(t, "/contacts")
	b.get("/contacts").want(t, http.StatusOK, "2 contacts were added", "&lt;script&gt;x", "!<script>x", "Jörg Müller")
	b.get("/contacts/show?id=1.vcf").want(t, http.StatusOK, "javascript:alert(1)", `!href="javascript`, "1 more entry of this contact is kept")
	b.uploadContacts(strings.Replace(two, "<script>x</script>", "One", 1), false).redirects(t, "/contacts")
	b.get("/contacts").want(t, http.StatusOK, "0 contacts were added. 2 were there already.")
	b.uploadContacts(strings.Replace(two, "<script>x</script>", "One", 1), true).redirects(t, "/contacts")
	b.get("/contacts").want(t, http.StatusOK, "1 was replaced. 1 was there already.", "One")
	b.uploadContacts("no card", false).want(t, http.StatusUnprocessableEntity, "no contacts in that file")
	b.post("/contacts/import").want(t, http.StatusBadRequest)
	p := b.get("/contacts/export").want(t, http.StatusOK, "FN:One\r\n", "X-KEPT:y\r\n", "Jörg")
	if n := strings.Count(p.body, "BEGIN:VCARD"); n != 2 {
		t.Errorf("%d cards were exported", n)
	}
	if p := s.login("bob").get("/contacts/export").want(t, http.StatusOK); p.body != "" {
		t.Error(p.body)
	}
}

func TestSharedContacts(t *testing.T) {
	dir := t.TempDir()
	text := "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Help Desk\r\nEMAIL:help@example.org\r\nEND:VCARD\r\n"
	if err := os.WriteFile(filepath.Join(dir, "all.vcf"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSite(t, func(o *Options) { o.Contacts = addressbook.NewDirectory(dir, slog.New(slog.DiscardHandler)) })
	b := s.login("alice")
	b.get("/contacts").want(t, http.StatusOK, "Shared contacts", "!Help Desk")
	b.get("/contacts?from=shared").want(t, http.StatusOK, "Help Desk", "!New contact")
	b.get("/contacts/show?id=all.vcf&from=shared").want(t, http.StatusOK, "help@example.org", "!/contacts/edit", "!/contacts/delete")
	b.get("/contacts/export?id=all.vcf&from=shared").want(t, http.StatusOK, text)
	b.get("/contacts/edit?id=all.vcf&from=shared").want(t, http.StatusNotFound)

	// Completion knows own contacts, then those of all, then mail that was seen; none twice.
	b.post("/contacts/save", "name", "Helga", "email", "helga@example.org", "emaillabel", "", "emailwas", "")
	s.append("alice", "INBOX", 0, mail("HELP@example.org", "Hi", "x"), mail("helmut@example.org", "Hi", "x"))
	var found []string
	if err := json.Unmarshal([]byte(b.get("/complete?q=hel").want(t, http.StatusOK).body), &found); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(found, "; "); got != "Helga <helga@example.org>; Help Desk <help@example.org>; helmut@example.org" {
		t.Errorf("completed: %s", got)
	}
}
