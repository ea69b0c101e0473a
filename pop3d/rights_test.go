package pop3d

import (
	"encoding/base64"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// wants tells for each verb which rights on INBOX it cannot do without, "" for none. What POP3 does not do with the
// others (keywords, folders, posting) it does not miss.
var wants = map[string]string{
	"CAPA": "", "QUIT": "te", "LANG": "", "USER": "", "PASS": "r", "AUTH": "r", "STLS": "", "UTF8": "",
	"STAT": "r", "LIST": "r", "UIDL": "r", "RETR": "r", "TOP": "r", "DELE": "rte", "RSET": "", "NOOP": "",
}

const pop3Rights = "lrswipkxtea"

// inboxACL gives alice all rights on her INBOX but one; l and a are the owner's for ever.
func (f *fixture) inboxACL(missing rune) {
	f.t.Helper()
	rights := strings.ReplaceAll(pop3Rights, string(missing), "")
	if err := os.WriteFile(filepath.Join(f.tree, "alice", "Maildir", "dovecot-acl"), []byte("owner "+rights+"\n"), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func TestEveryVerbIsInTheWalk(t *testing.T) {
	verbs := slices.Sorted(maps.Keys(commandTable()))
	if known := slices.Sorted(maps.Keys(wants)); !slices.Equal(verbs, known) {
		t.Errorf("verbs %q, and what they want is known of %q", verbs, known)
	}
}

// TestMissingRights walks every verb with each single right missing: at the login, and taken away from a session.
func TestMissingRights(t *testing.T) {
	const noRight = "-ERR [SYS/PERM] The access control list of the maildrop does not allow that."
	for _, right := range pop3Rights {
		t.Run(string(right), func(t *testing.T) {
			f := start(t)
			f.deliver("alice", "1.host", "Subject: x\n\ntext\n")
			f.deliver("alice", "2.host", "Subject: y\n\ntext\n")
			f.inboxACL(right)
			fails := func(verb string) bool { return strings.ContainsRune(wants[verb], right) }
			c := f.dial()
			c.send("USER alice\r\n")
			c.want("+OK*")
			c.send("PASS " + password + "\r\n")
			if fails("PASS") {
				c.want(noRight)
				c = f.dial()
				c.send("AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00alice\x00"+password)) + "\r\n")
				c.want(noRight)
				f.inboxACL(' ') // now with all rights, to lose one afterwards
				c = f.dial()
				c.send("USER alice\r\n")
				c.want("+OK*")
				c.send("PASS " + password + "\r\n")
			}
			c.want("+OK*")
			f.inboxACL(right)
			for _, cmd := range []string{"STAT", "LIST 1", "UIDL 1", "NOOP", "RSET", "DELE 1"} {
				c.send(cmd + "\r\n")
				if fails(strings.Fields(cmd)[0]) {
					c.want(noRight)
				} else {
					c.want("+OK*")
				}
			}
			for _, cmd := range []string{"RETR 2", "TOP 2 0"} {
				if fails(strings.Fields(cmd)[0]) {
					c.send(cmd + "\r\n")
					c.want(noRight)
				} else {
					c.multi(cmd)
				}
			}
			c.send("QUIT\r\n")
			c.want("+OK*")
			if left := len(f.files()); left != 1 && !fails("DELE") || left != 2 && fails("DELE") {
				t.Errorf("%d messages are left", left)
			}

			// Marked while that was allowed, and not any more at QUIT.
			if !fails("QUIT") {
				return
			}
			f.inboxACL(' ')
			c = f.dial()
			c.send("USER alice\r\n")
			c.want("+OK*")
			c.send("PASS " + password + "\r\n")
			c.want("+OK*")
			c.send("DELE 1\r\n")
			c.want("+OK*")
			f.inboxACL(right)
			c.send("QUIT\r\n")
			c.want("-ERR [SYS/PERM]*")
			if left := len(f.files()); left != 2 {
				t.Errorf("%d messages are left", left)
			}
		})
	}
}
