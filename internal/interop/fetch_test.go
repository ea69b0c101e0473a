package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Programs that fetch mail from a server and deliver it elsewhere.

// fetched reads what was delivered as one text, with LF line ends.
func fetched(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}

// body is a message's text after its header: what a fetching program passes on
// unchanged, while it may add header lines.
func body(message string) string {
	_, rest, _ := strings.Cut(message, "\n\n")
	return rest
}

// fetchmail keeps the mail on the server, then takes it away, over both
// protocols, with and without TLS.
func TestFetchmail(t *testing.T) {
	for _, form := range []struct {
		name, protocol string
		tls            bool
	}{{"imap", "IMAP", false}, {"imaps", "IMAP", true}, {"pop3", "POP3", false}, {"pop3s", "POP3", true}} {
		t.Run(form.name, func(t *testing.T) {
			begin(t, "fetchmail")
			s := newSite(t)
			root := s.maildir("alice")
			fill(t, root, "fetched", 4, "")
			for n := range 3 {
				deliver(t, root, fmt.Sprintf("1710000000.M%dP9.host", n), mail("fetched", 5+n))
			}
			v := s.serve(t)
			cl := scratch(t)
			addr := map[string]string{"imap": v.imap, "imaps": v.imaps, "pop3": v.pop3, "pop3s": v.pop3s}[form.name]
			secure := `sslproto ""`
			if form.tls {
				secure = fmt.Sprintf("ssl sslcertck sslcertfile %q", s.cert)
			}
			fetch := func(status int, how string) string {
				rc := write(t, cl, "fetchmailrc", fmt.Sprintf("poll localhost protocol %s port %s auth password %s\n user \"alice\" password %q %s %s mda \"/bin/cat >> %s/mbox\"\n",
					form.protocol, port(addr), map[bool]string{true: "uidl", false: ""}[form.protocol == "POP3"], password, secure, how, cl))
				// fetchmail wants its file to be its own.
				if err := os.Chown(rc, os.Geteuid(), os.Getegid()); err != nil {
					t.Fatal(err)
				}
				return client{dir: cl, env: []string{"FETCHMAILHOME=" + cl}, status: status}.run(t, "fetchmail", "-v", "-f", rc, "-i", cl+"/ids", "--pidfile", cl+"/pid")
			}
			fetch(0, "keep")
			box := fetched(t, cl+"/mbox")
			for n := 1; n <= 7; n++ {
				contains(t, "the fetched mail", box, body(mail("fetched", n)))
			}
			fetch(1, "keep") // 1: nothing new
			deliver(t, root, "1710000001.M1P9.host", mail("fetched", 8))
			fetch(0, "keep")
			contains(t, "the fetched mail", fetched(t, cl+"/mbox"), body(mail("fetched", 8)))
			if err := os.Remove(cl + "/mbox"); err != nil {
				t.Fatal(err)
			}
			fetch(0, "fetchall nokeep")
			if n := strings.Count(fetched(t, cl+"/mbox"), "This is message"); n != 8 {
				t.Errorf("fetchall delivered %d messages, want 8", n)
			}
			if left := infos(t, root); len(left) != 0 {
				t.Errorf("fetchmail left on the server: %v", left)
			}
		})
	}
}

// getmailMDA is what getmail gives each message to. getmail 6.18 waits a minute
// and more for a delivery that is over before it has begun to wait, so this one
// first sees its parent asleep.
const getmailMDA = `#!/bin/sh
until read -r _ _ state _ <"/proc/$PPID/stat" && [ "$state" = S ]; do :; done
exec cat >>"$1"
`

// getmail fetches what is new, by POP3's UIDLs and by IMAP's UIDs.
func TestGetmail(t *testing.T) {
	for _, form := range []string{"pop3", "imaps"} {
		t.Run(form, func(t *testing.T) {
			begin(t, "getmail")
			s := newSite(t)
			root := s.maildir("alice")
			fill(t, root, "fetched", 9, "")
			v := s.serve(t)
			cl := scratch(t)
			retriever := fmt.Sprintf("type = SimplePOP3Retriever\nserver = 127.0.0.1\nport = %s\nuse_apop = False\n", port(v.pop3))
			if form == "imaps" {
				retriever = fmt.Sprintf("type = SimpleIMAPSSLRetriever\nserver = localhost\nport = %s\nmailboxes = (\"INBOX\",)\nca_certs = %s\n", port(v.imaps), s.cert)
			}
			mda := write(t, cl, "mda", getmailMDA)
			if err := os.Chmod(mda, 0o700); err != nil {
				t.Fatal(err)
			}
			rc := write(t, cl, "getmailrc", "[retriever]\n"+retriever+"username = alice\npassword = "+password+
				fmt.Sprintf("\n[destination]\ntype = MDA_external\npath = %s\narguments = (%q,)\n[options]\nread_all = false\ndelete = false\n", mda, cl+"/mbox"))
			get := func(count int) {
				t.Helper()
				// getmail refuses to run as root.
				client{dir: cl, mailUser: true}.run(t, "getmail", "--getmaildir", cl, "-r", rc)
				if n := strings.Count(fetched(t, cl+"/mbox"), "This is message"); n != count {
					t.Errorf("%d messages were fetched in all, want %d", n, count)
				}
			}
			get(9)
			for n := 1; n <= 9; n++ {
				contains(t, "the fetched mail", fetched(t, cl+"/mbox"), strings.TrimRight(body(mail("fetched", n)), "\n"))
			}
			get(9)
			deliver(t, root, "1710000001.M1P9.host", mail("fetched", 10))
			get(10)
		})
	}
}

// mpop downloads what its UIDLs say is new, over all three forms.
func TestMpop(t *testing.T) {
	for _, form := range []string{"plain", "stls", "pop3s"} {
		t.Run(form, func(t *testing.T) {
			begin(t, "mpop")
			s := newSite(t)
			root := s.maildir("alice")
			fill(t, root, "fetched", 9, "S")
			v := s.serve(t)
			cl := scratch(t)
			makeMaildir(t, filepath.Join(cl, "got"))
			addr, secure := v.pop3, "tls off"
			switch form {
			case "stls":
				secure = "tls on\ntls_starttls on\ntls_trust_file " + s.cert
			case "pop3s":
				addr, secure = v.pop3s, "tls on\ntls_starttls off\ntls_trust_file "+s.cert
			}
			rc := write(t, cl, "mpoprc", fmt.Sprintf("account a\nhost localhost\nport %s\nuser alice\npassword %s\nauth user\n%s\nkeep on\nuidls_file %s/uidls\nreceived_header off\ndelivery maildir %[4]s/got\n",
				port(addr), password, secure, cl))
			get := func() { client{dir: cl, mailUser: true}.run(t, "mpop", "-C", rc, "a") }
			get()
			want := readTree(t, map[string]string{"INBOX": root})
			got := readTree(t, map[string]string{"INBOX": filepath.Join(cl, "got")})
			for i := range want["INBOX"] {
				want["INBOX"][i] = strings.TrimSuffix(want["INBOX"][i], "S")
			}
			same(t, "the downloaded mail", got.String(), want.String())
			get()
			if n := infos(t, filepath.Join(cl, "got"))["new"]; n != 9 {
				t.Errorf("second run: %d messages, want the same 9", n)
			}
			deliver(t, root, "1710000001.M1P9.host", mail("fetched", 10))
			get()
			if n := infos(t, filepath.Join(cl, "got"))["new"]; n != 10 {
				t.Errorf("after a delivery: %d messages, want 10", n)
			}
		})
	}
}
