package imapd

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A server that has forgotten the mailbox's history answers QRESYNC in full:
// what is not there has vanished, and nothing else has (RFC 7162 section 3.2.5.2).
func TestResyncAfterRestart(t *testing.T) {
	s := startServer(t, nil)
	for i := range 6 {
		s.deliver(t, "alice", fmt.Sprintf("170000000%d.a", i), 100)
	}
	c := s.login(t, "alice")
	c.do("ENABLE QRESYNC")
	first := strings.Join(c.do("SELECT INBOX"), "\n")
	validity := regexp.MustCompile(`UIDVALIDITY (\d+)`).FindStringSubmatch(first)[1]
	modSeq := regexp.MustCompile(`HIGHESTMODSEQ (\d+)`).FindStringSubmatch(first)[1]
	c.do(`STORE 2,4 +FLAGS (\Deleted)`)
	c.do("EXPUNGE")
	c.do(`STORE 3 +FLAGS (\Flagged)`)
	s.stop()
	if err := os.Remove(filepath.Join(s.root, "alice", "Maildir", "postroom.index")); err != nil {
		t.Fatal(err)
	}

	again := startServerAt(t, s.root, nil)
	c = again.login(t, "alice")
	c.do("ENABLE QRESYNC")
	for known, want := range map[string]string{
		"":                   "* VANISHED (EARLIER) 2,4",
		" 3:6":               "* VANISHED (EARLIER) 4",
		" 1:6 (1,3,5 1,3,5)": "* VANISHED (EARLIER) 2,4",
		// This client numbers its messages as they are now: it knows already.
		" 1:6 (1,3,4 1,5,6)": "",
	} {
		lines := c.do("SELECT INBOX (QRESYNC (" + validity + " " + modSeq + known + "))")
		var vanished string
		flagged := false
		for _, l := range lines {
			if strings.HasPrefix(l, "* VANISHED") {
				vanished = l
			}
			flagged = flagged || strings.HasPrefix(l, `* 3 FETCH (UID 5 FLAGS (\Flagged)`)
		}
		if vanished != want || !flagged {
			t.Errorf("known%s: %q\n%s", known, vanished, strings.Join(lines, "\n"))
		}
	}
	if lines := c.do("SELECT INBOX (QRESYNC (1 " + modSeq + "))"); strings.Contains(strings.Join(lines, " "), "VANISHED") {
		t.Error("VANISHED told for another UIDVALIDITY")
	}
}
