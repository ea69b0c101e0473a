package interop

import (
	"path/filepath"
	"strings"
	"testing"
)

// A message is answered to all, and forwarded; both are marked, and go to whom
// they should. Then it is junk, and thrown away for ever.
func TestWebAnswer(t *testing.T) {
	beginWeb(t)
	s := newSite(t)
	inbox := s.maildir("alice")
	makeMaildir(t, inbox)
	for _, folder := range []string{".Sent", ".Junk", ".Trash"} {
		makeMaildir(t, filepath.Join(inbox, folder))
	}
	text := strings.Replace(letter("Ben <ben@example.org>", "Lunch", plainText+"At noon?\n"), "\nSubject:", "\nCc: Carol <carol@example.org>\nSubject:", 1)
	write(t, inbox, "cur/1700000001.M1P1.host:2,S", text)
	addr := freeAddr(t)
	mails := openPost(t, addr)
	v := s.webMail(t, submission(addr))
	p := signIn(t, v, "alice")
	sent := func(n int) string {
		t.Helper()
		eventually(t, "the submission server to be given the message", func() bool { return len(mails.all()) == n })
		return mails.all()[n-1]
	}

	p.opens("Lunch")
	p.press("a")
	p.sees("#compose", "")
	p.press("Ctrl+Enter")
	p.sees("[role=status]", "on its way")
	contains(t, "the answer to all", sent(1), "alice@example.org to ben@example.org,carol@example.org\n", "Subject: Re: Lunch", "> At noon?")

	p.opens("Lunch")
	p.press("f")
	p.sees("#compose", "")
	p.fill("To", "dora@example.org")
	p.press("Ctrl+Enter")
	p.sees("[role=status]", "on its way")
	contains(t, "what was forwarded", sent(2), "alice@example.org to dora@example.org\n", "Subject: Fwd: Lunch", "At noon?")
	eventually(t, "both marks", func() bool {
		flags := askIn(t, v, "alice", "INBOX", "UID FETCH 1 (FLAGS)")
		return strings.Contains(flags, `\Answered`) && strings.Contains(flags, `$Forwarded`)
	})

	p.opens("Lunch")
	p.click("#reading button", "Junk")
	p.lacks(".row-link", "Lunch")
	contains(t, "Junk", ask(t, v, "alice", "STATUS Junk (MESSAGES)"), "MESSAGES 1")
	p.click("#folders a", "Junk")
	p.opens("Lunch")
	p.click("#reading button", "Not junk")
	p.lacks(".row-link", "Lunch")
	contains(t, "Junk", ask(t, v, "alice", "STATUS Junk (MESSAGES)"), "MESSAGES 0")
	p.click("#folders a", "Inbox")
	p.opens("Lunch")
	p.click("#reading button", "Delete")
	p.lacks(".row-link", "Lunch")
	contains(t, "Trash", ask(t, v, "alice", "STATUS Trash (MESSAGES)"), "MESSAGES 1")
	p.click("#folders a", "Trash")
	p.opens("Lunch")
	p.click("#reading button", "Delete for ever")
	p.sees("h1", "Delete messages for ever")
	contains(t, "Trash before it was confirmed", ask(t, v, "alice", "STATUS Trash (MESSAGES)"), "MESSAGES 1")
	p.click("button.danger", "Delete for ever")
	p.sees("#list h1", "Trash")
	contains(t, "Trash", ask(t, v, "alice", "STATUS Trash (MESSAGES)"), "MESSAGES 0")
}

// Conversations are grouped when that is asked for, and the order chosen holds
// in the next session.
func TestWebConversations(t *testing.T) {
	beginWeb(t)
	s := newSite(t)
	inbox := s.maildir("alice")
	makeMaildir(t, inbox)
	answer := strings.Replace(letter("Carol <carol@example.org>", "Re: Lunch", plainText+"No.\n"), "\nMIME-Version", "\nIn-Reply-To: <Lunch@example.org>\nMIME-Version", 1)
	for i, text := range []string{letter("Ben <ben@example.org>", "Lunch", plainText+"At noon?\n"), letter("Dora <dora@example.org>", "Invoice", plainText+"-\n"), answer} {
		write(t, inbox, "cur/170000000"+string(rune('1'+i))+".M1P1.host:2,S", text)
	}
	v := s.webMail(t, "")
	p := signIn(t, v, "alice")
	order := func() string { return strings.Join(p.texts(".row .subject"), "|") }
	same(t, "the newest first", order(), "Re: Lunch|Invoice|Lunch")
	p.click("summary", "Order")
	p.click("label", "Group conversations")
	p.view("order")
	p.click("button", "Apply")
	p.lacks("button", "Apply")
	same(t, "conversations", order(), "Lunch|Re: Lunch|Invoice")
	same(t, "conversations in another session", func() string {
		q := signIn(t, v, "alice")
		return strings.Join(q.texts(".row .subject"), "|")
	}(), "Lunch|Re: Lunch|Invoice")
}
