package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/BurntSushi/toml"

	"postroom/internal/config"
	"postroom/internal/demo"
)

// demoConfigName is a configuration file for other commands that are to work on the demo's mail.
const demoConfigName = "config.toml"

// writeDemoConfig writes the file, unless there is one.
func writeDemoConfig(path string, cfg *config.Config) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	tables := map[string]map[string]any{
		"mail": {"root": cfg.Mail.Root},
		"auth": {"users": cfg.Auth.Users},
		"imap": {"listen": cfg.IMAP.Listen},
		"pop3": {"listen": cfg.POP3.Listen},
		"web":  {"listen": cfg.Web.Listen},
	}
	if os.Geteuid() == 0 {
		tables["process"] = map[string]any{"user": "root"} // as the demo is
	}
	return errors.Join(toml.NewEncoder(f).Encode(tables), f.Close())
}

// ownCommand is how this program is called by a shell.
func ownCommand() string {
	path, err := os.Executable()
	if err != nil {
		return "postroom"
	}
	if found, err := exec.LookPath("postroom"); err == nil && sameFile(found, path) {
		return "postroom"
	}
	return path
}

func sameFile(a, b string) bool {
	fa, errA := os.Stat(a)
	fb, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(fa, fb)
}

// howToShare tells of the shared folder; "" where mail was there before that has none.
func howToShare(dir string) string {
	share := demo.Shared()
	file := filepath.Join(dir, share.File)
	if _, err := os.Stat(file); err != nil {
		return ""
	}
	return fmt.Sprintf(`%[1]s shares a folder with %[2]s, at first for reading only; he has it as "Other Users/%[1]s/%[3]s".
Let him write as well:

  %[4]s acl set --config %[5]s --user %[1]s %[3]s %[2]s write

or change the file that says it, with any editor: %[6]s

`, share.Owner, share.Reader, share.Folder, ownCommand(), filepath.Join(dir, demoConfigName), file)
}
