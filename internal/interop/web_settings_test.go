package interop

import (
	"strings"
	"testing"
)

// The settings are kept: language, time zone, how much is on a page.
func TestWebSettings(t *testing.T) {
	beginWeb(t)
	s := newSite(t)
	inbox := s.maildir("alice")
	fill(t, inbox, "settings", 30, "S")
	v := s.webMail(t, "")
	p := signIn(t, v, "alice")
	p.click("summary[aria-label=Account]", "")
	p.click("a", "Settings")
	p.choose("Language", "Deutsch")
	p.fill("Time zone", "Asia/Tokyo")
	p.choose("Messages on a page", "25")
	p.view("settings")
	p.click("button", "Save")
	p.sees("h1", "Einstellungen")

	// Another browser has them too.
	q := openPage(t, v.web)
	q.open("/login")
	q.fill("User name", "alice")
	q.fill("Password", password)
	q.press("Enter")
	q.sees("#list h1", "Posteingang")
	if lang := q.attribute("html", "", "lang"); lang != "de" {
		t.Errorf("the page's language is %q", lang)
	}
	q.counts(25, "#rows .row", "")
	q.click("#rows .row-link", "settings")
	// The messages were written at 00:01 and later, which is nine hours later in Tokyo.
	q.wait("the time in Tokyo", func() (bool, error) {
		return strings.Contains(strings.Join(q.texts(".addresses"), " "), " 09:"), nil
	})
	q.press("?")
	q.sees("dialog", "Tastenkürzel")
	q.view("keys-german")
	q.press("Escape")
	q.lacks("dialog", "")
}
