package imapd

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Dovecot's imap process serves one connection on its standard input and
// output, already logged in, without a master: no port, no privilege. It
// never runs as root.
const (
	dovecotIMAP = "/usr/lib/dovecot/imap"
	nobody      = 65534
)

// haveDovecot skips or fails the test where there is no Dovecot to ask.
func haveDovecot(t *testing.T) {
	t.Helper()
	lack := ""
	if _, err := os.Stat(dovecotIMAP); err != nil {
		lack = "no " + dovecotIMAP + " (Debian package dovecot-imapd)"
	} else if os.Getuid() != 0 {
		lack = "cannot run Dovecot as another user: not root"
	}
	if lack == "" {
		return
	}
	if os.Getenv("POSTROOM_SKIP_DOVECOT") == "" {
		t.Fatalf("%s; set POSTROOM_SKIP_DOVECOT=1 to do without the comparison", lack)
	}
	t.Skipf("NOT COMPARED with Dovecot: %s", lack)
}

// dovecotConf has the separator and the names of a tree as Postroom has them.
const dovecotConf = `base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/log
ssl = no
first_valid_uid = 1
mail_location = maildir:%[1]s/Maildir
namespace inbox {
  inbox = yes
  separator = /
  prefix =
}
`

// startDovecot serves dir/Maildir; it gives that folder to the user nobody.
func startDovecot(t *testing.T, dir string) *side {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "dovecot.conf"), fmt.Appendf(nil, dovecotConf, dir), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := filepath.WalkDir(dir, func(p string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(p, nobody, nobody)
	}); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(dovecotIMAP, "-c", filepath.Join(dir, "dovecot.conf"))
	cmd.Env = []string{"USER=nobody", "HOME=" + dir, "TZ=UTC"}
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: nobody, Gid: nobody},
		Pdeathsig:  syscall.SIGKILL,
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Logf("Dovecot said:\n%.4000s", log)
		}
	})
	s := newSide("Dovecot", in, out)
	s.line(t) // greeting
	return s
}

// newPostroom serves root/alice/Maildir.
func newPostroom(t *testing.T, root string) *side {
	t.Helper()
	c := startServerAt(t, root, nil).login(t, "alice")
	s := newSide("Postroom", c.conn, c.conn)
	s.in = c.in
	return s
}

// side is a session with one of two servers under comparison.
type side struct {
	name  string
	out   io.Writer
	in    *bufio.Reader
	until interface{ SetReadDeadline(time.Time) error }

	count    int               // messages in the selected mailbox
	validity string            // its UIDVALIDITY
	modSeq   string            // the last HIGHESTMODSEQ
	marks    map[string]string // what {name} stands for in commands
	commands int
}

func newSide(name string, out io.Writer, in io.Reader) *side {
	s := &side{name: name, out: out, in: bufio.NewReader(in), marks: make(map[string]string)}
	s.until, _ = in.(interface{ SetReadDeadline(time.Time) error })
	return s
}

// line reads one response with its literals.
func (s *side) line(t *testing.T) string {
	t.Helper()
	_ = s.until.SetReadDeadline(time.Now().Add(30 * time.Second))
	var b strings.Builder
	for {
		l, err := s.in.ReadString('\n')
		b.WriteString(l)
		if err != nil {
			t.Fatalf("from %s: %v after %.300q", s.name, err, b.String())
		}
		l = strings.TrimRight(l, "\r\n")
		open := strings.LastIndexByte(l, '{')
		if open < 0 || !strings.HasSuffix(l, "}") {
			return strings.TrimRight(b.String(), "\r\n")
		}
		n, err := strconv.Atoi(l[open+1 : len(l)-1])
		if err != nil {
			return strings.TrimRight(b.String(), "\r\n")
		}
		if _, err := io.CopyN(&b, s.in, int64(n)); err != nil {
			t.Fatalf("from %s: literal: %v", s.name, err)
		}
	}
}

// run sends a command and reads up to its tagged line, which is the last.
func (s *side) run(t *testing.T, command string) []string {
	t.Helper()
	s.commands++
	tag := fmt.Sprintf("t%d", s.commands)
	for name, value := range s.marks {
		command = strings.ReplaceAll(command, "{"+name+"}", value)
	}
	if _, err := io.WriteString(s.out, tag+" "+command+"\r\n"); err != nil {
		t.Fatalf("to %s: %v", s.name, err)
	}
	var lines []string
	for {
		l := s.line(t)
		lines = append(lines, l)
		if strings.HasPrefix(l, tag+" ") || strings.HasPrefix(l, "* BYE") {
			return lines
		}
	}
}
