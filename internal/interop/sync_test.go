package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// thousand fills alice's tree with 1,000 messages in four folders, flags of all
// kinds among them.
func thousand(t *testing.T, s *site) {
	t.Helper()
	root := s.maildir("alice")
	fill(t, root, "inbox", 400, "S")
	fill(t, filepath.Join(root, ".Work"), "work", 300, "")
	fill(t, filepath.Join(root, ".Archive.2024"), "archive", 290, "RS")
	fill(t, filepath.Join(root, ".Archive"), "parent", 5, "FS")
	makeMaildir(t, filepath.Join(root, ".Empty"))
	for n := range 5 {
		deliver(t, root, fmt.Sprintf("1710000000.M%dP9.host", n), mail("delivered", 401+n))
	}
}

// synchroniser runs one of the programs that keep a local copy in step.
type synchroniser struct {
	run   func() string            // one run, giving its output
	local func() map[string]string // the local Maildirs by folder name
	mkdir func(name string) string // where a new local folder goes
	work  *regexp.Regexp           // what its output shows when it changes anything
}

// roundTrip is the same for every synchroniser: pull all, change both sides,
// synchronise, and then there is nothing left to do.
func roundTrip(t *testing.T, s *site, y synchroniser) {
	t.Helper()
	remote := func() map[string]string { return mailFolders(t, s.maildir("alice")) }
	compare := func(when string) {
		t.Helper()
		same(t, when+": the local copy", readTree(t, y.local()).String(), readTree(t, remote()).String())
	}
	y.run()
	compare("after the first run")

	local := y.local()
	work := remote()["Work"]
	setInfo(t, pick(t, local["INBOX"], 7), "FS") // local flag
	setInfo(t, pick(t, local["Work"], 8), "RS")  // and another
	if err := os.Remove(pick(t, local["INBOX"], 9)); err != nil {
		t.Fatal(err)
	}
	setInfo(t, pick(t, remote()["INBOX"], 10), "FRS") // by another program on the server's tree
	if err := os.Remove(pick(t, work, 11)); err != nil {
		t.Fatal(err)
	}
	deliver(t, work, "1710000000.M1P10.host", mail("delivered later", 301))
	for n := 1; n <= 3; n++ {
		write(t, local["Archive/2024"], fmt.Sprintf("cur/1720000000.%d_1.local:2,FS", n), mail("local", 600+n))
	}
	fresh := y.mkdir("Fresh")
	makeMaildir(t, fresh)
	write(t, fresh, "cur/1720000000.9_1.local:2,S", mail("local", 700))
	y.run()
	compare("after changes on both sides")
	at := remote()
	for name, count := range map[string]int{"INBOX": 404, "Work": 300, "Archive/2024": 293, "Archive": 5, "Fresh": 1} {
		if n := len(readTree(t, at)[name]); n != count {
			t.Errorf("%s has %d messages, want %d", name, n, count)
		}
	}
	for _, w := range []struct {
		n    int
		dir  string
		want string
	}{{7, at["INBOX"], "FS"}, {8, at["Work"], "RS"}, {10, y.local()["INBOX"], "FRS"}, {601, at["Archive/2024"], "FS"}} {
		if got := systemFlags(pick(t, w.dir, w.n)); got != w.want {
			t.Errorf("message %d has flags %q, want %q", w.n, got, w.want)
		}
	}

	before := fileNames(t, s.maildir("alice")) + fileNames(t, filepath.Dir(y.local()["INBOX"]))
	if out := y.run(); y.work.MatchString(out) {
		t.Errorf("a run with nothing to do did something: %q in\n%s", y.work.FindString(out), tail(out))
	}
	same(t, "after a run with nothing to do: the files", fileNames(t, s.maildir("alice"))+fileNames(t, filepath.Dir(y.local()["INBOX"])), before)
}

func TestMbsync(t *testing.T) {
	for _, form := range []struct{ name, tls string }{{"plain", "None"}, {"imaps", "IMAPS"}, {"starttls", "STARTTLS"}} {
		t.Run(form.name, func(t *testing.T) {
			begin(t, "mbsync")
			s := newSite(t)
			if form.tls == "None" {
				thousand(t, s)
			} else {
				fill(t, s.maildir("alice"), "inbox", 20, "S")
			}
			v := s.serve(t)
			cl := scratch(t)
			addr := v.imap
			if form.tls == "IMAPS" {
				addr = v.imaps
			}
			rc := write(t, cl, "mbsyncrc", fmt.Sprintf(`IMAPAccount a
Host localhost
Port %s
User alice
Pass %s
SSLType %s
CertificateFile %s
AuthMechs LOGIN

IMAPStore far
Account a

MaildirStore near
Path %[5]s/mail/
Inbox %[5]s/mail/INBOX
SubFolders Verbatim

Channel a
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
SyncState *
`, port(addr), password, form.tls, s.cert, cl))
			// The store's folders must be there before the first run.
			if err := os.Mkdir(filepath.Join(cl, "mail"), 0o700); err != nil {
				t.Fatal(err)
			}
			y := synchroniser{
				run:   func() string { return client{dir: cl}.run(t, "mbsync", "-Dn", "-c", rc, "-a") },
				local: func() map[string]string { return plainFolders(t, filepath.Join(cl, "mail")) },
				mkdir: func(name string) string { return filepath.Join(cl, "mail", name) },
				work:  regexp.MustCompile(`(?m)^.*> \d+ (APPEND|UID STORE|UID COPY|UID MOVE|EXPUNGE|CREATE|DELETE|UID FETCH \d+ \(BODY).*$`),
			}
			if form.tls == "None" {
				roundTrip(t, s, y)
				return
			}
			y.run()
			same(t, "the local copy", readTree(t, y.local()).String(), readTree(t, mailFolders(t, s.maildir("alice"))).String())
		})
	}
}

func TestOfflineimap(t *testing.T) {
	begin(t, "offlineimap")
	s := newSite(t)
	thousand(t, s)
	v := s.serve(t)
	cl := scratch(t)
	rc := write(t, cl, "offlineimaprc", fmt.Sprintf(`[general]
accounts = a
ui = basic
metadata = %[1]s/meta
[Account a]
localrepository = l
remoterepository = r
[Repository l]
type = Maildir
localfolders = %[1]s/mail
sep = /
[Repository r]
type = IMAP
remotehost = localhost
remoteport = %[2]s
remoteuser = alice
remotepass = %[3]s
ssl = yes
sslcacertfile = %[4]s
auth_mechanisms = PLAIN, LOGIN
`, cl, port(v.imaps), password, s.cert))
	roundTrip(t, s, synchroniser{
		run: func() string {
			out := client{dir: cl}.run(t, "offlineimap", "-c", rc, "-o")
			if strings.Contains(out, "ERROR") {
				t.Errorf("offlineimap says:\n%s", tail(out))
			}
			return out
		},
		local: func() map[string]string { return plainFolders(t, filepath.Join(cl, "mail")) },
		mkdir: func(name string) string { return filepath.Join(cl, "mail", name) },
		work:  regexp.MustCompile(`(?m)^.*(Copy message|Adding flags|Deleting flags|Deleting \d+|Creating folder).*$`),
	})
}
