package interop

import (
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const dovecotPath = "/usr/sbin/dovecot"

//go:embed testdata/dovecot.conf
var dovecotConf string

// dovecot starts Debian's Dovecot on the site's trees. Its master runs as root
// and everything that touches mail as the mail user.
func (s *site) dovecot(t *testing.T) *server {
	t.Helper()
	if !present("dovecot") {
		lack(t, "dovecot is not installed, or not root")
	}
	v := s.newServer(t, "dovecot")
	// Its run folder has to be root's, and two may serve one site.
	run, err := os.MkdirTemp(s.dir, "run")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(run, 0o755); err != nil {
		t.Fatal(err)
	}
	conf := strings.NewReplacer("@DIR@", s.dir, "@RUN@", run, "@USER@", mailUser, "@GROUP@", mailGroup,
		"@IMAP@", port(v.imap), "@IMAPS@", port(v.imaps),
		"@POP3@", port(v.pop3), "@POP3S@", port(v.pop3s)).Replace(dovecotConf)
	path := write(t, s.dir, filepath.Base(run)+".conf", conf)
	cmd := exec.Command(dovecotPath, "-F", "-c", path)
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	v.start(t, cmd)
	return v
}
