package interop

import (
	"os"
	"path/filepath"
	"testing"
)

// Contacts are made by hand and from a mail, imported and exported, completed
// while one writes, and are vCard files in the user's tree.
func TestWebContacts(t *testing.T) {
	beginWeb(t)
	s := newSite(t)
	inbox := s.maildir("alice")
	makeMaildir(t, inbox)
	write(t, inbox, "cur/1700000001.M1P1.host:2,S", letter("Ben Baker <ben@example.org>", "Hello", plainText+"Hi.\n"))
	v := s.webMail(t, "")
	p := signIn(t, v, "alice")

	p.click("#folders a", "Contacts")
	p.click("a", "New contact")
	p.fill("Name", "Zoë Young")
	p.click("input[name=email]", "")
	p.typed("zoe@example.org")
	p.click("button", "Save")
	p.sees("[role=status]", "saved")
	files := client{dir: s.dir}.run(t, "grep", "-rl", "zoe@example.org", filepath.Join(inbox, "postroom-contacts"))
	contains(t, "the contact's file", files, ".vcf")

	p.open("/contacts")
	p.click("a", "Import")
	p.upload("input[type=file]", write(t, t.TempDir(), "more.vcf",
		"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:carol-1\r\nFN:Carol Clark\r\nEMAIL:carol@example.org\r\nX-SHOE:42\r\nEND:VCARD\r\n"))
	p.click("main button", "Import")
	p.sees("[role=status]", "1")
	p.open("/contacts")
	p.sees(".people", "Carol Clark")
	p.view("contacts")
	p.save("a", "Save all", "*.vcf")

	// What is written in "To" is completed, by keys.
	p.click("#folders a", "Write")
	p.click("#to", "")
	p.press("c")
	p.press("a")
	p.press("r")
	p.sees(".completions li", "carol@example.org")
	p.press("Enter")
	if got, err := find[string](p, "#to", "", "(l) => l[0].value"); err != nil || got != "Carol Clark <carol@example.org>, " {
		t.Errorf("completed to %q (%v)", got, err)
	}
	p.click("#subject", "")
	p.typed("For Carol")
	p.click("button", "Save draft")
	p.sees("#saved", "Saved")

	p.open("/")
	p.click(".row-link", "Hello")
	p.click(".message summary[aria-label=More]", "")
	p.click(".message a", "Add sender to contacts")
	p.click("button", "Save")
	p.sees("[role=status]", "saved")
	p.open("/contacts?q=ben")
	p.sees(".people", "Ben Baker")
}

// A contact that another program wrote is found, changed and deleted: what that
// program wrote beside it stays, and the file goes with the contact.
func TestWebContactOfOthers(t *testing.T) {
	beginWeb(t)
	s := newSite(t)
	inbox := s.maildir("alice")
	makeMaildir(t, inbox)
	card := "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:phone-1\r\nFN:Zoë Zimmer\r\nEMAIL;TYPE=HOME:zoe@example.net\r\nX-PHONE;A=\"b:c\":kept\r\nEND:VCARD\r\n"
	file := write(t, inbox, "postroom-contacts/phone.vcf", card)
	v := s.webMail(t, "")
	p := signIn(t, v, "alice")

	p.open("/contacts")
	p.fill("Search contacts", "ZIM")
	p.press("Enter")
	p.counts(1, ".people li", "")
	p.click(".people a", "Zoë")
	p.sees("main", "1 more entry of this contact is kept")
	p.click("a", "Edit contact")
	p.fill("Job title", "Painter")
	p.view("contact-edit")
	p.click("button", "Save")
	p.sees("main", "Painter")
	p.view("contact")
	edited := readFile(t, filepath.Dir(file), filepath.Base(file))
	for _, line := range []string{"EMAIL;TYPE=HOME:zoe@example.net\r\n", "X-PHONE;A=\"b:c\":kept\r\n", "TITLE:Painter\r\n"} {
		contains(t, "the edited vCard", edited, line)
	}

	p.click("summary", "Delete…")
	p.click("button", "Delete")
	p.sees("[role=status]", "deleted")
	p.lacks(".people li", "Zoë")
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the vCard is there still: %v", err)
	}
}
