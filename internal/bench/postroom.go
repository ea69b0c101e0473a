package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// buildPostroom builds the binary that is measured, as make build does.
func buildPostroom(dir string) (string, error) {
	bin := filepath.Join(dir, "postroom")
	cmd := exec.Command("go", "build", "-trimpath", "-o", bin, "postroom/cmd/postroom")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return bin, nil
}

// postroomCommand writes the configuration and gives the command. Limits are
// raised for the works with many connections; all else is as it is by default.
func (s *site) postroomCommand() ([]string, error) {
	conf := filepath.Join(s.dir, "postroom.toml")
	text := fmt.Sprintf(`[mail]
root = %q
[auth]
users = %q
[tls]
certificate = %q
key = %q
[imap]
listen = [%q]
listen_tls = [%q]
[pop3]
listen = [%q]
[web]
listen = [%q]
[process]
user = %q
[limits]
connections = 20000
connections_per_address = 20000
connections_per_user = 20000
`, s.maildir("{user}"), filepath.Join(s.dir, "users"), s.rig.cert, s.rig.key,
		s.imap, s.imaps, s.pop3, s.web, mailUser)
	return []string{s.rig.postroom, "serve", "--config", conf}, os.WriteFile(conf, []byte(text), 0o644)
}
