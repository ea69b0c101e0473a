package webmail

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"postroom/internal/account"
	"postroom/internal/mailview/hostile"
)

const onePixel = "R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="

// richMail has text in two forms, a picture inside it, a picture, a PDF and a message attached.
const richMail = "From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\r\nReply-To: other@example.org\r\nTo: alice@example.org\r\n" +
	"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nDate: Fri, 27 Nov 2026 09:00:00 +0100\r\nMIME-Version: 1.0\r\n" +
	"Content-Type: multipart/mixed; boundary=b\r\n\r\n" +
	"--b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n" +
	"--c\r\n\r\nplain text\r\n" +
	"--c\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>rich text <img src=\"cid:dot\"><img src=\"http://127.0.0.1:1/t.gif\"><script>bad()</script></p>\r\n--c--\r\n" +
	"--b\r\nContent-Type: image/gif\r\nContent-Transfer-Encoding: base64\r\nContent-ID: <dot>\r\nContent-Disposition: attachment; filename*=utf-8''p%C3%BCnkt.gif\r\n\r\n" + onePixel + "\r\n" +
	"--b\r\nContent-Type: image/gif; name=\"page.gif\"\r\n\r\n<script>bad()</script>\r\n" +
	"--b\r\nContent-Type: application/pdf; name=\"a.pdf\"\r\n\r\n%PDF-1.4\r\n" +
	"--b\r\nContent-Type: application/pdf; name=\"a.pdf\"\r\n\r\n<script>bad()</script>\r\n" +
	"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nFrom: i@example.org\r\n\r\ninner text\r\n" +
	"--b--\r\n"

// upload posts files as a form does.
func (b *browser) upload(path string, files ...string) answer {
	b.t.Helper()
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	for i, f := range files {
		w, err := m.CreateFormFile("file", fmt.Sprintf("%d.eml", i))
		if err != nil {
			b.t.Fatal(err)
		}
		io.WriteString(w, f)
	}
	m.Close()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.base+path, &body)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", m.FormDataContentType())
	return b.do(r)
}

func about(v uint32, uid uint32, path string, more string) string {
	return fmt.Sprintf("%s?box=INBOX&v=%d&uid=%d%s", path, v, uid, more)
}

func TestReadRich(t *testing.T) {
	s := newSite(t)
	v, uids := s.append("alice", inbox, 0, richMail)
	b := s.login("alice")
	p := b.get(about(v, uids[0], "/message", "")).want(t, http.StatusOK, "Grüße", "Jürgen", "other@example.org", "page.gif", "a.pdf", "inner.eml",
		"1 picture from elsewhere", "Show as plain text", `sandbox="allow-popups allow-popups-to-escape-sandbox"`, "!rich text", "!bad()", "!pünkt.gif")
	frame := html.UnescapeString(p.find(t, `<iframe class="mail" src="([^"]+)"`))
	f := b.get(frame).want(t, http.StatusOK, "rich text", "data:image/gif;base64,"+onePixel, "!bad()", "!127.0.0.1")
	if csp := f.header.Get("Content-Security-Policy"); csp != framePolicy || f.header.Get("X-Frame-Options") != "SAMEORIGIN" {
		t.Error(csp)
	}
	f = b.get(frame+"&pictures=1").want(t, http.StatusOK, "http://127.0.0.1:1/t.gif", "!bad()")
	if csp := f.header.Get("Content-Security-Policy"); csp != picturesPolicy {
		t.Error(csp)
	}
	b.get(about(v, uids[0], "/message", "&pictures=1")).want(t, http.StatusOK, "pictures=1", "!picture from elsewhere")
	b.get(about(v, uids[0], "/message", "&plain=1")).want(t, http.StatusOK, "plain text", "Show as HTML", "!<iframe", "pünkt.gif")
	b.get(about(v, uids[0], "/message", "&part=5")).want(t, http.StatusNotFound, "no such part")
	b.get(about(v, uids[0], "/message", "&part=1.x")).want(t, http.StatusNotFound)
	b.get(about(v, uids[0], "/frame", "&block=1.1")).want(t, http.StatusNotFound)
	b.get(about(v+1, uids[0], "/frame", "&block=1.2")).want(t, http.StatusNotFound, "changed")
	b.get(about(v, uids[0], "/fields", "")).want(t, http.StatusOK, "Reply-To", "Grüße")
	b.get(about(v, uids[0], "/print", "")).want(t, http.StatusOK, "rich text", "Grüße", "page.gif", "!bad()")
}

// An embedded message is opened inside the one that holds it, wherever its parts lie.
func TestReadEmbedded(t *testing.T) {
	s := newSite(t)
	inner := strings.ReplaceAll(richMail, "boundary=b", "boundary=d")
	inner = strings.ReplaceAll(strings.ReplaceAll(inner, "--b", "--d"), "=c\r\n", "=e\r\n")
	inner = strings.ReplaceAll(inner, "--c", "--e")
	v, uids := s.append("alice", inbox, 0, "Subject: outer\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n"+
		"--o\r\n\r\nhere it is\r\n--o\r\nContent-Type: message/rfc822\r\n\r\n"+inner+"--o--\r\n")
	b := s.login("alice")
	p := b.get(about(v, uids[0], "/message", "")).want(t, http.StatusOK, "here it is")
	p = b.get(html.UnescapeString(p.find(t, `<a href="([^"]+)">Grüße.eml`))).want(t, http.StatusOK, "Jürgen", "Outer message", "inner.eml")
	b.get(html.UnescapeString(p.find(t, `<iframe class="mail" src="([^"]+)"`))).want(t, http.StatusOK, "rich text")
	b.get(html.UnescapeString(p.find(t, `<a href="([^"]+)">inner.eml`))).want(t, http.StatusOK, "inner text", "i@example.org")
	e := b.get(about(v, uids[0], "/eml", "&part=2"))
	if e.body != strings.TrimSuffix(inner, "\r\n") && e.body != inner {
		t.Errorf("the embedded message: %q", e.body)
	}
}

func TestParts(t *testing.T) {
	s := newSite(t)
	v, uids := s.append("alice", inbox, 0, richMail)
	b := s.login("alice")
	gif, _ := base64.StdEncoding.DecodeString(onePixel)
	for _, c := range []struct{ part, how, typ, policy, name, body string }{
		{"2", "attachment", "image/gif", filePolicy, "pünkt.gif", string(gif)},
		{"2&show=1", "inline", "image/gif", filePolicy, "pünkt.gif", string(gif)},
		{"3&show=1", "attachment", "image/gif", filePolicy, "page.gif", "<script>bad()</script>"}, // no picture
		{"4&show=1", "inline", "application/pdf", pdfPolicy, "a.pdf", "%PDF-1.4"},
		{"5&show=1", "attachment", "application/pdf", filePolicy, "a.pdf", "<script>bad()</script>"}, // no PDF
		{"1.2&show=1", "attachment", "text/html", filePolicy, "part-1.2.html", ""},
		{"6", "attachment", "message/rfc822", filePolicy, "inner.eml", "Subject: inner\r\nFrom: i@example.org\r\n\r\ninner text"},
	} {
		p := b.get(about(v, uids[0], "/part", "&part="+c.part))
		how, params, err := mime.ParseMediaType(p.header.Get("Content-Disposition"))
		if p.status != http.StatusOK || err != nil || how != c.how || params["filename"] != c.name || p.header.Get("Content-Type") != c.typ ||
			p.header.Get("Content-Security-Policy") != c.policy || p.header.Get("X-Content-Type-Options") != "nosniff" || c.body != "" && p.body != c.body {
			t.Errorf("part %s: %d %v %q", c.part, p.status, p.header, p.body)
		}
	}
	for _, part := range []string{"", "7", "1", "0", "2.2", "x"} {
		b.get(about(v, uids[0], "/part", "&part="+part)).want(t, http.StatusNotFound)
	}
	p := b.get(about(v, uids[0], "/attachments", "")).want(t, http.StatusOK)
	got := unzip(t, p.body)
	if len(got) != 5 || got["pünkt.gif"] != string(gif) || got["a (2).pdf"] != "<script>bad()</script>" || got["a.pdf"] != "%PDF-1.4" {
		t.Errorf("zip: %q", got)
	}
	b.get(about(v, uids[0], "/eml", "")).want(t, http.StatusOK, "Subject:")
	src := b.get(about(v, uids[0], "/source", ""))
	if src.body != richMail || src.header.Get("Content-Type") != "text/plain; charset=utf-8" || src.header.Get("Content-Security-Policy") != filePolicy {
		t.Errorf("source: %v", src.header)
	}
}

func unzip(t *testing.T, body string) map[string]string {
	t.Helper()
	z, err := zip.NewReader(strings.NewReader(body), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]string)
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name] = string(b)
	}
	return files
}

func TestExportImport(t *testing.T) {
	s := newSite(t)
	tricky := "Subject: tricky\r\n\r\nFrom here\r\n>From there\r\n" + strings.Repeat("x", 16<<10-1) + "\r\nFrom end"
	s.append("alice", inbox, 0, mail("a@example.org", "one", "body"), tricky)
	b := s.login("alice")
	files := unzip(t, b.get("/export?box=INBOX").want(t, http.StatusOK).body)
	mbox := files["INBOX.mbox"]
	when := "From MAILER-DAEMON Fri Nov 27 12:00:00 2026\n"
	want := when + strings.ReplaceAll(mail("a@example.org", "one", "body"), "\r\n", "\n") + "\n" +
		when + "Subject: tricky\n\n>From here\n>>From there\n" + strings.Repeat("x", 16<<10-1) + "\n>From end\n\n"
	if mbox != want {
		t.Errorf("mbox:\n%.300q\nwant\n%.300q", mbox, want)
	}
	s.folder("alice", "In")
	b.get("/?box=In").want(t, http.StatusOK, "/import?box=In")
	b.upload("/import?box=In", mail("a@example.org", "first", "1"), "\x00\x01 no mail", mail("a@example.org", "second", "2")).redirects(t, "/?box=In")
	b.get("/?box=In").want(t, http.StatusOK, "2 messages were imported.", "1 file was left out", "first", "second")
	u := s.open("alice")
	m, err := u.Select(t.Context(), "In", true)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	snap, err := m.Sync(t.Context())
	if err != nil || snap.Len() != 2 {
		t.Fatal(snap.Len(), err)
	}
	if date, err := m.Date(t.Context(), snap, 0); err != nil || !date.Equal(time.Date(2026, 11, 27, 8, 0, 0, 0, time.UTC)) {
		t.Errorf("INTERNALDATE %v, %v", date, err)
	}
	b.post("/import?box=In").want(t, http.StatusBadRequest)
	b.upload("/import?box=None", mail("a@b", "x", "y")).want(t, http.StatusNotFound)
	b.upload("/import?box=In").redirects(t, "/?box=In")
}

// A message beyond limits.message_size is not imported, the others are.
func TestImportBounded(t *testing.T) {
	s := newSite(t, func(o *Options) {
		o.Limits.Message = 64 << 10
		o.Clock = nil // as in the real server
	})
	b := s.login("alice")
	b.upload("/import?box=INBOX", mail("a@b", "small", "x"), mail("a@b", "enormous", strings.Repeat("x", 64<<10)), mail("a@b", "last", "x")).redirects(t, "/?box=INBOX")
	b.get("/").want(t, http.StatusOK, "2 messages were imported.", "1 file was left out", "small", "last", "!enormous")
	b.get("/export?box=INBOX").want(t, http.StatusOK)
	files := make([]string, importOnce+3)
	for i := range files {
		files[i] = mail("a@b", fmt.Sprint("no ", i), "x")
	}
	b.upload("/import?box=INBOX", files...).redirects(t, "/?box=INBOX")
	st, err := s.open("alice").Status(t.Context(), inbox, account.StatusOptions{})
	if err != nil || st.Messages != len(files)+2 {
		t.Errorf("%+v, %v", st, err)
	}
}

// Nothing of a hostile mail is on a page but as text, and its frame has nothing that acts.
func TestHostileMail(t *testing.T) {
	s := newSite(t)
	b := s.login("alice")
	const beacon = "http://127.0.0.1:1/beacon-"
	var texts []string
	for _, m := range hostile.Mails(beacon) {
		texts = append(texts, string(m.Raw))
	}
	v, uids := s.append("alice", inbox, 0, texts...)
	own := strings.Count(b.get("/").body, "<script")
	for i, uid := range uids {
		for _, more := range []string{"", "&plain=1"} {
			p := b.get(about(v, uid, "/message", more))
			if p.status != http.StatusOK {
				t.Fatalf("mail %d: %d\n%.500s", i, p.status, texts[i])
			}
			checkOwnPage(t, p.body, own, beacon)
			if t.Failed() {
				t.Fatalf("mail %d%s\n%.1000s", i, more, texts[i])
			}
		}
		for _, path := range []string{"/fields", "/print"} {
			p := b.get(about(v, uid, path, "")).want(t, http.StatusOK)
			if path == "/fields" {
				checkOwnPage(t, p.body, own, beacon)
			}
		}
		b.get(about(v, uid, "/attachments", "")).want(t, http.StatusOK)
	}
}

// checkOwnPage wants nothing on a page that a template of ours did not put there.
func checkOwnPage(t *testing.T, page string, scripts int, beacon string) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if n.Data == "script" {
			scripts--
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "srcdoc" {
				t.Errorf("%s has %s", n.Data, a.Key)
			}
			if a.Key == "href" || a.Key == "src" {
				u, err := url.Parse(a.Val)
				ours := err == nil && u.Scheme == "" && u.Host == ""
				if !ours && (a.Key == "src" || n.Data != "a" || u == nil || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "mailto") {
					t.Errorf("%s of %s: %q", a.Key, n.Data, a.Val)
				}
				if a.Key == "src" && strings.Contains(a.Val, beacon) {
					t.Errorf("src %q", a.Val)
				}
			}
		}
	}
	if scripts != 0 {
		t.Errorf("%d scripts fewer than there should be", scripts)
	}
}
