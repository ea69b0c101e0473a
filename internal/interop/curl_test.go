package interop

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// curl asks with curl; more are further arguments, before the address.
func curl(t *testing.T, v *server, url string, more ...string) string {
	t.Helper()
	args := append([]string{"-sS", "-m", "20", "-u", "alice:" + password, "--cacert", v.site.cert}, more...)
	return client{dir: v.site.dir}.run(t, "curl", append(args, url)...)
}

// curl shows the raw answers, so the forms of a few can be looked at here too.
func TestCurlIMAP(t *testing.T) {
	begin(t, "curl")
	s := newSite(t)
	fill(t, s.maildir("alice"), "curl test", 3, "S")
	makeMaildir(t, filepath.Join(s.maildir("alice"), ".Work"))
	v := s.serve(t)
	base := "imap://" + v.imap
	contains(t, "LIST", curl(t, v, base+"/"), `"/" INBOX`, `"/" Work`)
	contains(t, "FETCH", curl(t, v, base+"/INBOX", "-X", "FETCH 1:2 (UID FLAGS)"),
		`* 1 FETCH (UID 1 FLAGS (\Seen`, `* 2 FETCH (UID 2 FLAGS (\Seen`)
	if got, want := curl(t, v, base+"/INBOX;UID=2"), crlf(mail("curl test", 2)); got != want {
		t.Errorf("message 2 is\n%q\nwant\n%q", got, want)
	}
	contains(t, "BODY[HEADER.FIELDS]", curl(t, v, base+"/INBOX;UID=2;SECTION=HEADER.FIELDS%20(SUBJECT)"), "Subject: curl test")
	contains(t, "SEARCH", curl(t, v, base+"/INBOX?SUBJECT%20curl"), "* SEARCH 1 2 3")
	contains(t, "SEARCH TEXT", curl(t, v, base+`/INBOX?TEXT%20%22message%203%22`), "* SEARCH 3")
	contains(t, "STATUS", curl(t, v, base+"/", "-X", "STATUS Work (MESSAGES UIDNEXT)"), "* STATUS Work (MESSAGES 0 UIDNEXT 1)")
	contains(t, "STORE", curl(t, v, base+"/INBOX", "-X", `STORE 1 +FLAGS (\Flagged $Label1)`), `FLAGS (`, `\Flagged`, `$Label1`)

	// APPEND, then the same octets back.
	text := mail("appended by curl", 4)
	file := write(t, s.dir, "append.eml", crlf(text))
	curl(t, v, base+"/Work", "-T", file)
	if got := curl(t, v, base+"/Work;UID=1"); got != crlf(text) {
		t.Errorf("the appended message came back as\n%q\nwant\n%q", got, crlf(text))
	}
	contains(t, "COPY", curl(t, v, base+"/INBOX", "-X", "COPY 1 Work", "-v"), "OK", "COPYUID")
	contains(t, "STATUS", curl(t, v, base+"/", "-X", "STATUS Work (MESSAGES)"), "MESSAGES 2")
}

func TestCurlPOP3(t *testing.T) {
	begin(t, "curl")
	s := newSite(t)
	fill(t, s.maildir("alice"), "curl test", 3, "")
	v := s.serve(t)
	base := "pop3://" + v.pop3
	if got, want := curl(t, v, base+"/2"), crlf(mail("curl test", 2)); got != want {
		t.Errorf("RETR 2 gave\n%q\nwant\n%q", got, want)
	}
	list := curl(t, v, base+"/")
	for n := 1; n <= 3; n++ {
		contains(t, "LIST", list, fmt.Sprintf("%d %d", n, len(crlf(mail("curl test", n)))))
	}
	contains(t, "STAT", curl(t, v, base+"/", "-I", "-X", "STAT", "-v"), "+OK 3 ")
	contains(t, "UIDL", curl(t, v, base+"/", "-X", "UIDL"), "1 00000001", "3 00000003")
	contains(t, "TOP", curl(t, v, base+"/", "-X", "TOP 1 1"), "Subject: curl test", "This is message 1.")
	// DELE takes effect at QUIT, and IMAP sees it.
	curl(t, v, base+"/", "-I", "-X", "DELE 1")
	contains(t, "SEARCH after DELE", curl(t, v, "imap://"+v.imap+"/INBOX?ALL"), "* SEARCH 1 2")
	contains(t, "UIDL after DELE", curl(t, v, base+"/", "-X", "UIDL"), "1 00000002", "2 00000003")
}

// Both TLS forms of both protocols, with the certificate checked.
func TestCurlTLS(t *testing.T) {
	begin(t, "curl")
	s := newSite(t)
	fill(t, s.maildir("alice"), "curl test", 2, "S")
	v := s.serve(t)
	for _, form := range []struct {
		name, url string
		more      []string
	}{
		{"imaps", "imaps://localhost:" + port(v.imaps) + "/INBOX;UID=2", nil},
		{"IMAP STARTTLS", "imap://localhost:" + port(v.imap) + "/INBOX;UID=2", []string{"--ssl-reqd"}},
		{"pop3s", "pop3s://localhost:" + port(v.pop3s) + "/2", nil},
		{"POP3 STLS", "pop3://localhost:" + port(v.pop3) + "/2", []string{"--ssl-reqd"}},
	} {
		if got, want := curl(t, v, form.url, form.more...), crlf(mail("curl test", 2)); got != want {
			t.Errorf("%s gave\n%q\nwant\n%q", form.name, got, want)
		}
	}
	// SASL with an initial response, as curl does it when told.
	for _, mech := range []string{"PLAIN", "LOGIN"} {
		contains(t, "AUTH="+mech, curl(t, v, "imap://"+v.imap+"/INBOX", "--login-options", "AUTH="+mech, "-X", "NOOP", "-v"),
			"AUTHENTICATE "+mech, "OK")
		contains(t, "AUTH="+mech, curl(t, v, "pop3://"+v.pop3+"/", "--login-options", "AUTH="+mech, "-v"), "AUTH "+mech, "+OK")
	}
	out, status := client{dir: s.dir}.try(t, "curl", "-sS", "-m", "20", "-u", "alice:wrong", "imap://"+v.imap+"/")
	if status != 67 { // CURLE_LOGIN_DENIED
		t.Errorf("a wrong password: curl's exit status %d, want 67: %s", status, out)
	}
}

func crlf(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }
