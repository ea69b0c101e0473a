package interop

import (
	_ "embed"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Debian's Roundcube: what a web server serves, and its database's first state.
const (
	roundcubePath = "/var/lib/roundcube"
	roundcubeSQL  = "/usr/share/roundcube/SQL/sqlite.initial.sql"
)

//go:embed testdata/roundcube.php
var roundcubeConf string

// roundcube starts Roundcube for the server, in PHP's own web server, and gives
// its address and the log of all that it and the server say.
func roundcube(t *testing.T, v *server) (url, log string) {
	t.Helper()
	dir := filepath.Join(v.site.dir, "roundcube")
	mkdirs(t, filepath.Join(dir, "temp"))
	mkdirs(t, filepath.Join(dir, "logs"))
	write(t, dir, "config/config.inc.php", strings.NewReplacer("@DIR@", dir, "@IMAP@", v.imap).Replace(roundcubeConf))
	for _, name := range []string{"defaults.inc.php", "mimetypes.php"} {
		if err := os.Symlink(filepath.Join("/etc/roundcube", name), filepath.Join(dir, "config", name)); err != nil {
			t.Fatal(err)
		}
	}
	sql, err := os.ReadFile(roundcubeSQL)
	if err != nil {
		t.Fatal(err)
	}
	c := client{dir: dir, mailUser: true, stdin: string(sql)}
	c.run(t, "sqlite3", "roundcube.db")
	addr := freeAddr(t)
	// A page asks for several files at once.
	c.env = []string{"ROUNDCUBE_CONFIG_DIR=" + filepath.Join(dir, "config"), "PHP_CLI_SERVER_WORKERS=4"}
	c.start(t, "php", "-S", addr, "-t", roundcubePath)
	eventually(t, "PHP to listen", func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return "http://" + addr, filepath.Join(dir, "logs", "imap.log")
}

// Sharing by Roundcube's dialogue, in a real browser: what it sets is in the
// file and in what others may do, and what others set is in the dialogue.
func TestRoundcubeACL(t *testing.T) {
	begin(t, "roundcube", "php", "sqlite3", "chromium", "npm:playwright-core", "curl", "python3")
	if *serverFlag != "postroom" {
		t.Skip("the sample configuration of Dovecot shares nothing")
	}
	s := newSite(t)
	fill(t, s.maildir("alice"), "roundcube", 3, "S")
	work := filepath.Join(s.maildir("alice"), ".Work")
	fill(t, work, "shared", 4, "")
	makeMaildir(t, s.maildir("bob"))
	v := s.serve(t)
	url, log := roundcube(t, v)
	b := openBrowser(t, client{dir: s.dir}, url)
	b.do(t, "login", "alice")
	same(t, "the dialogue of a folder that nobody shares", b.do(t, "folder", "Work"), "")

	// Bob may read, and does so with a plain client.
	same(t, "the dialogue after bob was added", b.do(t, "add", "bob", "read"), "bob read")
	same(t, "the file", readFile(t, work, "dovecot-acl"), "user=bob lrs\n")
	contains(t, "GETACL", ask(t, v, "alice", "GETACL Work"), "ACL Work", " bob lrs")
	contains(t, "bob's MYRIGHTS", ask(t, v, "bob", `MYRIGHTS "Other Users/alice/Work"`), `"Other Users/alice/Work" lrs`)
	contains(t, "bob's LIST", ask(t, v, "bob", `LIST "" "*"`), `"Other Users/alice/Work"`)
	readShared(t, v, "Other Users/alice/Work", "4")

	// What an editor and a mail program set, the dialogue shows, with a mark of
	// its own for a part of what it has one box for.
	write(t, work, "dovecot-acl", "# by hand\nuser=bob lrswi\nuser=carol lrp\n")
	same(t, "the dialogue after an editor", b.do(t, "folder", "Work"), "bob read write\ncarol ~read ~other")
	ask(t, v, "alice", "SETACL Work dave lrswite")
	same(t, "the dialogue after SETACL", b.do(t, "folder", "Work"), "bob read write\ncarol ~read ~other\ndave read write delete")

	// Changing one entry leaves the others, and the comment, as they were. Letters
	// are written as Dovecot does, in the order of its names for them.
	same(t, "the dialogue after bob was changed", b.do(t, "edit", "bob", "read", "delete"),
		"bob read delete\ncarol ~read ~other\ndave read write delete")
	same(t, "the file", readFile(t, work, "dovecot-acl"), "# by hand\nuser=bob elrts\nuser=carol lrp\nuser=dave eilrwts\n")
	contains(t, "bob's MYRIGHTS", ask(t, v, "bob", `MYRIGHTS "Other Users/alice/Work"`), `"Other Users/alice/Work" lrsted`)
	same(t, "the dialogue after bob was removed", b.do(t, "remove", "bob"), "carol ~read ~other\ndave read write delete")
	same(t, "the file", readFile(t, work, "dovecot-acl"), "# by hand\nuser=carol lrp\nuser=dave eilrwts\n")
	if out := ask(t, v, "bob", `LIST "" "*"`); strings.Contains(out, "alice") {
		t.Errorf("bob still lists what he was let into:\n%s", out)
	}
	refusals(t, log)
}

// ask sends one command with curl and gives all that was said: without -v curl
// leaves out answers that have another name than their command, as ACL has.
func ask(t *testing.T, v *server, user, command string) string {
	t.Helper()
	return client{dir: v.site.dir}.run(t, "curl", "-sSv", "-m", "60", "-u", user+":"+password, "imap://"+v.imap+"/", "-X", command)
}

// readShared has bob read a shared mailbox with imaplib.
func readShared(t *testing.T, v *server, mailbox, messages string) {
	t.Helper()
	script, err := filepath.Abs("testdata/shared_reader.py")
	if err != nil {
		t.Fatal(err)
	}
	if out := (client{dir: v.site.dir}).run(t, "python3", script, port(v.imap), "bob", mailbox, messages); out != "" {
		t.Errorf("shared_reader.py says:\n%s", out)
	}
}

func readFile(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var tagged = regexp.MustCompile(`S: A\d+ (\w+)`)

// refusals fails the test for each command of Roundcube's that was not carried
// out: none of them is wrong.
func refusals(t *testing.T, log string) {
	t.Helper()
	answered := 0
	text := readFile(t, filepath.Dir(log), filepath.Base(log))
	for line := range strings.Lines(text) {
		m := tagged.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		answered++
		if m[1] != "OK" {
			t.Errorf("Roundcube was answered: %s", line)
		}
	}
	if answered == 0 {
		t.Errorf("no answers in Roundcube's log:\n%s", tail(text))
	}
}
