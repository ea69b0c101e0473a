package interop

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// Many messages are chosen by shift-click and keys, dragged to a folder, put
// back, flagged, labelled, searched and sorted; IMAP sees the same each time.
func TestWebList(t *testing.T) {
	beginWeb(t)
	s := newSite(t)
	inbox := s.maildir("alice")
	for i, subject := range []string{"apples", "bananas", "cherries", "dates", "elderberries", "figs"} {
		write(t, inbox, fmt.Sprintf("cur/%d.M%dP1.host:2,S", 1700000001+i, i), mail(subject, i+1))
	}
	makeMaildir(t, inbox)
	fill(t, filepath.Join(inbox, ".Work"), "work", 1, "S")
	makeMaildir(t, filepath.Join(inbox, ".Trash"))
	v := s.webMail(t, "")
	p := signIn(t, v, "alice")

	// From the second to the fourth, and away to Work.
	before := p.spot("#rows .row-link", "dates")
	p.click("#rows .row .check input", "elderberries")
	p.sees("button", "Move")
	if after := p.spot("#rows .row-link", "dates"); after != before {
		t.Errorf("choosing a message moves the others from %v to %v", before, after)
	}
	p.click("#rows .row .check input", "cherries", chromedp.ModifierShift)
	p.counts(3, "#rows .check input:checked", "")
	p.view("list-chosen")
	p.drag("#rows .row-link", "dates", "#folders a", "Work")
	p.sees("[role=status]", "3 messages were moved")
	p.counts(3, "#rows .row", "")
	contains(t, "STATUS", ask(t, v, "alice", "STATUS Work (MESSAGES)"), "MESSAGES 4")
	p.click("button", "Undo")
	p.counts(6, "#rows .row", "")
	contains(t, "STATUS", ask(t, v, "alice", "STATUS Work (MESSAGES)"), "MESSAGES 1")

	// By keys alone: to the second message, a flag, and another to the Trash.
	p.open("/")
	p.press("j")
	p.press("j")
	p.press("s")
	p.sees("#rows .flagged", "")
	contains(t, "flags", askIn(t, v, "alice", "INBOX", "UID SEARCH FLAGGED"), "* SEARCH ")
	p.click("#rows .row .check input", "apples")
	p.press("#")
	p.sees("[role=status]", "moved to Trash")
	p.counts(5, "#rows .row", "")
	contains(t, "STATUS", ask(t, v, "alice", "STATUS Trash (MESSAGES)"), "MESSAGES 1")
	p.press("z")
	p.counts(6, "#rows .row", "")
	contains(t, "STATUS", ask(t, v, "alice", "STATUS Trash (MESSAGES)"), "MESSAGES 0")

	// A label is a keyword.
	p.open("/")
	p.click("#rows .row .check input", "figs")
	p.fill("Label", "urgent")
	p.press("Enter")
	p.sees("#rows .label", "urgent")
	contains(t, "keywords", askIn(t, v, "alice", "INBOX", "UID FETCH 1:* (FLAGS)"), "urgent")

	p.click("#rows .row-link", "bananas")
	p.sees(".message h1", "bananas")
	p.view("list-open")

	p.press("/")
	p.typed("subject:cherries")
	p.press("Enter")
	p.counts(1, "#rows .row", "")
	p.sees("#list", "1 message found")
	p.view("search")
	p.fill("Search mail", "work")
	p.click("#search input[type=checkbox]", "All folders")
	p.click("input", "Search mail")
	p.press("Enter")
	p.sees("#rows .row", "work")

	p.open("/")
	p.click("summary[aria-label=Order]", "")
	p.choose("Sort by", "Subject")
	p.click("button", "Apply")
	p.wait("the order of the subjects", func() (bool, error) {
		list := p.texts("#rows .subject")
		return len(list) == 6 && strings.Contains(list[0], "apples") && strings.Contains(list[5], "figs"), nil
	})
}

// What a delivery, another mail program or a shell changes is shown without a
// reload, also after the server was away.
func TestWebLive(t *testing.T) {
	beginWeb(t)
	s := newSite(t)
	inbox := s.maildir("alice")
	fill(t, inbox, "live", 2, "S")
	v := s.webMail(t, "")
	p := signIn(t, v, "alice")
	p.counts(2, "#rows .row", "")
	p.do("marking the page", chromedp.Evaluate[chromedp.Void]("window.same = true"))

	deliver(t, inbox, "1710000000.M1P9.host", mail("just delivered", 3))
	p.sees("#rows .row.unseen", "just delivered")
	p.sees("#folders .count", "1")
	p.wait("the count in the title", func() (bool, error) {
		title, err := evaluate[string](p, "document.title")
		return strings.HasPrefix(title, "(1)"), err
	})
	askIn(t, v, "alice", "INBOX", `UID STORE 3 +FLAGS (\Seen \Flagged)`)
	p.lacks("#rows .row.unseen", "")
	p.sees("#rows .flagged", "")
	p.lacks("#folders .count", "")
	client{dir: s.dir}.run(t, "rm", pick(t, inbox, 1))
	p.counts(2, "#rows .row", "")
	if same, err := evaluate[bool](p, "window.same === true"); err != nil || !same {
		t.Errorf("the page was loaded anew (%v)", err)
	}
}

// drag drags one element onto another with the mouse.
func (p *webPage) drag(css, text, toCSS, toText string) {
	p.t.Helper()
	from, to := p.spot(css, text), p.spot(toCSS, toText)
	p.do(fmt.Sprintf("dragging %s to %s", named(css, text), named(toCSS, toText)),
		chromedp.DragAndDropXY(from.X, from.Y, to.X, to.Y))
}
