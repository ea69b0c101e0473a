package aclfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWhereDovecotDiffers holds what ARCHITECTURE.md says of Dovecot, where Postroom follows RFC 4314 instead, against
// Dovecot. The numbers are the points of that table.
func TestWhereDovecotDiffers(t *testing.T) {
	haveDovecot(t)
	dir := dovecotTree(t, []string{
		"user=bob lr\n", "user=bob r\n", "user=bob lrt\n", "user=bob lre\n", "user=bob lrs\n", "user=bob l\n",
	})
	for _, n := range []string{"0", "2", "3"} {
		text := []byte("Subject: x\n\nx\n")
		if err := os.WriteFile(filepath.Join(dir, "Maildir", ".f"+n, "cur", "1.x:2,T"), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	d := startDovecot(t, dir, filepath.Join(dir, "own"), Subject{User: "bob"})
	const f = "other/Maildir/f"
	ask := []struct{ point, command, begins, holds string }{
		{"16", "LISTRIGHTS " + f + "0 bob", "OK", "LISTRIGHTS"},
		{"20", "MYRIGHTS " + f + "4", "OK", "MYRIGHTS"},
		{"26", "SUBSCRIBE " + f + "1", "OK", ""},
		{"", "SELECT " + f + "0", "OK", ""},
		{"38", `STORE 1 +FLAGS (\Flagged)`, "OK", ""},
		{"38", "FETCH 1 FLAGS", "OK", `FLAGS (\Deleted`},
		{"", "SELECT " + f + "2", "OK", ""},
		{"42", "EXPUNGE", "OK", ""},
		{"42", "FETCH 1 FLAGS", "OK", `\Deleted`},
		{"", "CREATE mine", "OK", ""},
		{"", "SELECT " + f + "3", "OK", ""},
		{"44", "MOVE 1 mine", "OK", "EXPUNGE"},
	}
	for _, q := range ask {
		lines := d.ask(t, []string{q.command})[0] // one after another: this imap process stalls on some that are sent ahead
		all, last := strings.Join(lines, "\n"), lines[len(lines)-1]
		if !strings.HasPrefix(last, q.begins) || !strings.Contains(all, q.holds) {
			t.Errorf("%s: %s: Dovecot says\n%s", q.point, q.command, all)
		}
	}
}
