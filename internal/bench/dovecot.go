package main

import (
	_ "embed"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const dovecotPath = "/usr/sbin/dovecot"

//go:embed dovecot.conf
var dovecotConf string

// Dovecot's best for Maildir, of what its documentation offers.
const dovecotBest = `
maildir_very_dirty_syncs = yes
maildir_copy_with_hardlinks = yes
default_vsz_limit = 1G
service imap {
  service_count = 100
}
`

// dovecotCommand writes the configuration and gives the command. Its master runs
// as root and everything that touches mail as the mail user.
func (s *site) dovecotCommand() ([]string, error) {
	run, err := os.MkdirTemp(s.dir, "run")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(run, 0o755); err != nil {
		return nil, err
	}
	fsync := "optimized" // the default
	if s.durable {
		fsync = "always"
	}
	conf := strings.NewReplacer("@DIR@", s.dir, "@MAIL@", s.mail, "@RUN@", run, "@USER@", mailUser, "@GROUP@", mailGroup,
		"@CERT@", s.rig.cert, "@KEY@", s.rig.key, "@FSYNC@", fsync,
		"@IMAP@", port(s.imap), "@IMAPS@", port(s.imaps), "@POP3@", port(s.pop3)).Replace(dovecotConf)
	if s.side.best {
		conf += dovecotBest
	}
	path := filepath.Join(run, "dovecot.conf")
	return []string{dovecotPath, "-F", "-c", path}, os.WriteFile(path, []byte(conf), 0o644)
}

func port(addr string) string {
	_, p, _ := net.SplitHostPort(addr)
	return p
}

func dovecotVersion() (string, error) {
	out, err := exec.Command(dovecotPath, "--version").Output()
	return strings.TrimSpace(string(out)), err
}
