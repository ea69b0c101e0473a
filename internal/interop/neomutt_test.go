package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// muttrc has what mutt and neomutt share: no questions, a line a message that a
// test can read, and a look at the mailbox every second.
const muttrc = `
set delete=yes quit=yes confirmappend=no confirmcreate=no mark_old=no wait_key=no
set mail_check=1 timeout=1 sort=mailbox-order beep=no move=no sleep_time=0
set index_format="%C %Z %i %s"
set from=alice@example.org realname=Alice
`

// neomutt works over IMAP while mutt works on the same Maildir: whatever one
// does, the other shows.
func TestNeomuttAndMutt(t *testing.T) {
	begin(t, "tmux", "neomutt", "mutt")
	s := newSite(t)
	root := s.maildir("alice")
	fill(t, root, "mutt", 6, "S")
	makeMaildir(t, filepath.Join(root, ".Work"))
	v := s.serve(t)
	work := filepath.Join(root, ".Work")

	far := scratch(t)
	rc := write(t, far, "neomuttrc", muttrc+fmt.Sprintf(`
set imap_user=alice imap_pass=%s ssl_starttls=no ssl_force_tls=no
set folder=imap://127.0.0.1:%s/ spoolfile=+INBOX record=""
set imap_check_subscribed=no imap_idle=yes imap_condstore=yes imap_qresync=yes
`, password, port(v.imap)))
	imap := openTerminal(t, client{dir: far}, "neomutt", "-n", "-F", rc)
	imap.shows(t, "6", "<mutt.6@example.org>")

	near := scratch(t)
	rc = write(t, near, "muttrc", muttrc+fmt.Sprintf("\nset mbox_type=Maildir folder=%s spoolfile=%[1]s record=\"\"\n", root))
	local := openTerminal(t, client{dir: near, mailUser: true}, "mutt", "-n", "-F", rc)
	local.shows(t, "6", "<mutt.6@example.org>")

	// neomutt flags; the file's name has it and mutt shows it.
	imap.keys(t, "1", "Enter", "F", "$")
	eventually(t, "message 1 to be flagged on disk", func() bool { return systemFlags(pick(t, root, 1)) == "FS" })
	local.shows(t, "!", "<mutt.1@example.org>")
	// mutt flags; neomutt shows it.
	local.keys(t, "2", "Enter", "F", "$")
	imap.shows(t, "!", "<mutt.2@example.org>")
	// mutt deletes.
	local.keys(t, "3", "Enter", "d", "$")
	imap.hides(t, "<mutt.3@example.org>")
	// neomutt deletes.
	imap.keys(t, "1", "Enter", "d", "$")
	local.hides(t, "<mutt.1@example.org>")
	// neomutt moves: 4 is now its second message.
	imap.keys(t, "2", "Enter")
	imap.shows(t, "<mutt.4@example.org>")
	imap.keys(t, "s", "C-a", "C-k", "=Work", "Enter")
	imap.shows(t, "D", "<mutt.4@example.org>")
	imap.keys(t, "$")
	local.hides(t, "<mutt.4@example.org>")
	if got := systemFlags(pick(t, work, 4)); got != "S" {
		t.Errorf("message 4 came to Work with the flags %q, want S", got)
	}
	// mutt moves message 5, and mail comes in.
	local.keys(t, "2", "Enter")
	local.keys(t, "s", "C-a", "C-k", work, "Enter")
	local.shows(t, "D", "<mutt.5@example.org>")
	local.keys(t, "$")
	imap.hides(t, "<mutt.5@example.org>")
	deliver(t, root, "1710000000.M1P9.host", mail("delivered", 9))
	imap.shows(t, "<delivered.9@example.org>")
	local.shows(t, "<delivered.9@example.org>")
	// neomutt goes to Work and finds both; then reads the new mail in INBOX.
	imap.keys(t, "c", "=Work", "Enter")
	imap.shows(t, "<mutt.4@example.org>")
	imap.shows(t, "<mutt.5@example.org>")
	imap.keys(t, "c", "=INBOX", "Enter")
	imap.shows(t, "<delivered.9@example.org>")
	imap.keys(t, "3", "Enter", "Enter")
	imap.shows(t, "This is message 9.")
	imap.keys(t, "q")
	imap.shows(t, "<delivered.9@example.org>")
	imap.quit(t, "q")
	local.quit(t, "q")
	if got := infos(t, root); got["S"] != 2 || got["FS"] != 1 || len(got) != 2 {
		t.Errorf("INBOX at the end: %v, want 3 messages, all seen, one of them flagged", got)
	}
}

// neomutt keeps headers between sessions and, with QRESYNC, asks only for what
// has changed; here over both forms of TLS.
func TestNeomuttQRESYNC(t *testing.T) {
	for _, form := range []string{"imaps", "starttls"} {
		t.Run(form, func(t *testing.T) {
			begin(t, "tmux", "neomutt")
			s := newSite(t)
			root := s.maildir("alice")
			fill(t, root, "resync", 9, "S")
			v := s.serve(t)
			dir := scratch(t)
			url, starttls := "imap://localhost:"+port(v.imap), "yes"
			if form == "imaps" {
				url, starttls = "imaps://localhost:"+port(v.imaps), "no"
			}
			mkdirs(t, filepath.Join(dir, "cache"))
			rc := write(t, dir, "neomuttrc", muttrc+fmt.Sprintf(`
set imap_user=alice imap_pass=%s ssl_starttls=%s ssl_force_tls=yes
set certificate_file=%s
set folder=%s/ spoolfile=+INBOX header_cache=%s/cache record=""
set imap_idle=yes imap_condstore=yes imap_qresync=yes
set debug_level=2 debug_file=%[5]s/debug
`, password, starttls, s.cert, url, dir))
			open := func() *terminal {
				return openTerminal(t, client{dir: dir}, "neomutt", "-n", "-F", rc)
			}
			term := open()
			term.shows(t, "9", "<resync.9@example.org>")
			term.quit(t, "q")

			setInfo(t, pick(t, root, 2), "FS")
			if err := os.Remove(pick(t, root, 4)); err != nil {
				t.Fatal(err)
			}
			deliver(t, root, "1710000000.M1P9.host", mail("delivered", 10))
			term = open()
			term.shows(t, "<delivered.10@example.org>")
			term.shows(t, "!", "<resync.2@example.org>")
			term.hides(t, "<resync.4@example.org>")
			term.quit(t, "q")
			// It asks by UID FETCH with VANISHED, not at SELECT.
			contains(t, "neomutt's dialogue", debugLog(t, dir), "CHANGEDSINCE", "VANISHED)", "Handling VANISHED",
				"Message UID 2 updated", "Expunging message UID 4")
		})
	}
}

// debugLog is the newest of neomutt's debug files; it numbers them from 0, the
// newest.
func debugLog(t *testing.T, dir string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "debug*"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no debug file in %s: %v", dir, err)
	}
	text, err := os.ReadFile(sorted(names)[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
