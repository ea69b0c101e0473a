package interop

import (
	"path/filepath"
	"testing"
)

// Without JavaScript mail is read, folders are made and shared, and a message is
// written, with a file.
func TestWebNoScript(t *testing.T) {
	beginWeb(t)
	s := newSite(t)
	fill(t, s.maildir("alice"), "plain", 60, "")
	makeMaildir(t, filepath.Join(s.maildir("alice"), ".Sent"))
	makeMaildir(t, s.maildir("bob"))
	addr := freeAddr(t)
	mails := openPost(t, addr)
	v := s.webMail(t, submission(addr))
	p := openPage(t, v.web)
	p.scripts(false)
	p.open("/")
	p.fill("User name", "alice")
	p.fill("Password", password)
	p.click("button", "Sign in")
	p.sees("#list h1", "Inbox")
	p.click("a[rel=next]", "")
	p.sees("#list", "51–60 of 60")
	p.click(".row-link", "plain")
	p.sees(".message", "This is message")

	p.open("/folders")
	p.fill("New folder", "Made")
	p.click("button", "Create")
	p.sees("#folders a", "Made")
	contains(t, "LIST", ask(t, v, "alice", `LIST "" "*"`), "Made")
	p.click("main li a[href*=sharing][href*=Made]", "")
	p.fill("Name", "bob")
	p.click("button", "Read and write")
	p.sees(".acl-row", "bob")
	contains(t, "GETACL", ask(t, v, "alice", "GETACL Made"), " bob ")

	p.click("a", "Write")
	p.fill("To", "ben@example.org")
	p.fill("Subject", "By hand")
	p.click("#text", "")
	p.typed("No script wrote this.")
	p.upload("#file", write(t, t.TempDir(), "note.txt", "noted"))
	p.click("button", "Send")
	p.sees("[role=status]", "on its way")
	eventually(t, "the message to be sent", func() bool { return len(mails.all()) == 1 })
	contains(t, "what was sent", mails.all()[0], "Subject: By hand", "No script wrote this.", "note.txt")
}

// On a phone one pane is shown at a time, and a finger gets from one to the next.
func TestWebPhone(t *testing.T) {
	beginWeb(t)
	s := newSite(t)
	fill(t, s.maildir("alice"), "pocket", 3, "")
	fill(t, filepath.Join(s.maildir("alice"), ".Work"), "desk", 2, "S")
	v := s.webMail(t, "")
	p := signIn(t, v, "alice")
	p.look(narrow)
	p.tap("header a[aria-label=Folders]", "")
	p.sees("#folders a", "Work")
	p.shoot("folders-phone")
	p.tap("#folders a", "Work")
	p.sees("#list h1", "Work")
	p.lacks("#folders a", "Work")
	p.tap(".row-link", "desk")
	p.sees(".message h1", "desk")
	p.lacks(".row-link", "")
	p.tap("a[aria-label='Back to the list']", "")
	p.sees(".row-link", "desk")
	p.lacks(".message h1", "")
}
