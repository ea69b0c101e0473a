package interop

import (
	"archive/zip"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"postroom/internal/mailview/hostile"
)

const report = `Content-Type: multipart/mixed; boundary="=_m"

--=_m
Content-Type: multipart/alternative; boundary="=_a"

--=_a
Content-Type: text/plain; charset=utf-8

The figures of the quarter, in plain.
--=_a
Content-Type: text/html; charset=utf-8

<h2 style="color:#2754c5">The figures</h2><p>Better than <b>last year</b>.</p>
<img src="https://pictures.example/open.png" alt="chart" width="300" height="120">
--=_a--
--=_m
Content-Type: text/csv; name="figures.csv"
Content-Disposition: attachment; filename="figures.csv"

a,b
1,2
--=_m
Content-Type: image/png; name="dot.png"
Content-Disposition: attachment; filename="dot.png"
Content-Transfer-Encoding: base64

iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==
--=_m
Content-Type: message/rfc822

From: Zo <zo@example.org>
Subject: The letter inside
Content-Type: text/plain

Inner words.
--=_m--
`

// Reading by mouse: quotes, HTML in its frame, pictures only when asked for,
// attachments, what is inside, and the files that can be saved.
func TestWebRead(t *testing.T) {
	beginWeb(t)
	s := newSite(t)
	inbox := s.maildir("alice")
	makeMaildir(t, inbox)
	write(t, inbox, "cur/1700000001.M1P1.host:2,S", letter("Ben <ben@example.org>", "A long conversation",
		plainText+"I agree, see https://example.org/plan?a=1&b=2 for more.\n\nOn Monday Zoë wrote:\n> Shall we?\n"+strings.Repeat("> And on it goes.\n", 12)))
	write(t, inbox, "cur/1700000002.M2P1.host:2,", letter("=?utf-8?q?Zo=C3=AB?= <zoe@example.org>", "The report", report))
	v := s.webMail(t, "")
	p := signIn(t, v, "alice")

	p.opens("A long conversation")
	p.lacks(".message", "Shall we?")
	p.click(".message summary", "quoted lines")
	p.sees(".message", "Shall we?")
	if got := p.attribute(".message a", "example.org/plan", "href"); got != "https://example.org/plan?a=1&b=2" {
		t.Errorf("the link leads to %s", got)
	}
	p.view("read-plain")

	p.click(".row-link", "The report")
	f := p.frame("/frame")
	f.sees("h2", "The figures")
	p.sees(".message", "1 picture from elsewhere")
	p.lacks(".row.unseen", "")
	contains(t, "FETCH", askIn(t, v, "alice", "INBOX", "UID FETCH 1:* (FLAGS)"), `FLAGS (\Seen)`)
	p.view("read-html")
	attachment, err := os.ReadFile(p.save(".message a", "figures.csv", "figures.csv"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the attachment", strings.ReplaceAll(string(attachment), "\r\n", "\n"), "a,b\n1,2")
	checkZip(t, p.save(".message a", "Save all", "*.zip"), 3)
	p.click(".message a", "The letter inside")
	p.sees(".message", "Inner words.")
	p.click(".message a", "Outer message")
	p.click(".message summary[aria-label=More]", "")
	eml, err := os.ReadFile(p.save(".message a", "Save as EML", "*.eml"))
	if err != nil {
		t.Fatal(err)
	}
	contains(t, "the EML file", string(eml), "Subject: The report")
	p.click("#list summary", "More about this folder")
	checkZip(t, p.save("#list a", "Save all as mbox", "*INBOX*.zip"), 1)

	// Pictures are fetched once they are asked for, and not before.
	p.expect("pictures.example")
	p.click(".message a", "Show pictures")
	p.wait("the picture to be asked for", func() (bool, error) {
		chromium.trap.mu.Lock()
		defer chromium.trap.mu.Unlock()
		return strings.Contains(strings.Join(chromium.trap.in, " "), "pictures.example"), nil
	})
}

func checkZip(t *testing.T, path string, files int) {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if len(z.File) != files {
		t.Errorf("%s has %d files, want %d", path, len(z.File), files)
	}
}

// Mail files dropped onto a list are messages there, for IMAP too.
func TestWebImport(t *testing.T) {
	beginWeb(t)
	s := newSite(t)
	fill(t, s.maildir("alice"), "before", 1, "S")
	v := s.webMail(t, "")
	p := signIn(t, v, "alice")
	dir := t.TempDir()
	p.drop("#list", "", write(t, dir, "one.eml", mail("dropped one", 1)), write(t, dir, "two.eml", mail("dropped two", 2)))
	p.sees(".row", "dropped one")
	p.sees(".row", "dropped two")
	contains(t, "STATUS", ask(t, v, "alice", "STATUS INBOX (MESSAGES)"), "MESSAGES 3")
}

// Everything in the corpus of hostile mail is shown as a person sees it, with
// its pictures and without, and nothing of it runs or is fetched.
func TestWebHostile(t *testing.T) {
	beginWeb(t)
	s := newSite(t)
	inbox := s.maildir("alice")
	makeMaildir(t, inbox)
	// The beacon is the one address besides the server's that a page can reach.
	beacon, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { beacon.Close() })
	go func() {
		for {
			c, err := beacon.Accept()
			if err != nil {
				return
			}
			chromium.trap.note(c)
		}
	}()
	mails := hostile.Mails("http://" + beacon.Addr().String() + "/")
	for i, m := range mails {
		write(t, inbox, fmt.Sprintf("cur/%d.M%dP1.host:2,S", 1700000001+i, i), string(m.Raw))
	}
	v := s.webMail(t, "")
	status := ask(t, v, "alice", "STATUS INBOX (UIDVALIDITY)")
	_, validity, _ := strings.Cut(status, "UIDVALIDITY ")
	validity, _, _ = strings.Cut(validity, ")")
	const pages = 4 // at a time: each mail has a process of its own to be started
	for n := range pages {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			p := signIn(t, v, "alice")
			for i := n; i < len(mails); i += pages {
				p.open(fmt.Sprintf("/message?box=INBOX&v=%s&uid=%d", validity, i+1))
				p.sees(".message h1", "")
				title, err := evaluate[string](p, "document.title")
				if err != nil || strings.Contains(title, "pwned") {
					t.Errorf("%s: the page is called %q (%v)", mails[i].Name, title, err)
				}
			}
		})
	}
	if len(mails) < 50 {
		t.Errorf("only %d mails in the corpus", len(mails))
	}
}
