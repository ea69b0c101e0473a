package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"postroom/internal/config"
)

// becomeUser gives up root's rights for good. It sees first that what is read again later can be read then.
func becomeUser(cfg *config.Config, log *slog.Logger) error {
	if os.Geteuid() != 0 {
		if cfg.Process.User != "" {
			if u, err := user.Lookup(cfg.Process.User); err == nil && u.Uid != strconv.Itoa(os.Geteuid()) {
				return fmt.Errorf("%s: only root can become %q", cfg.Where("process.user"), cfg.Process.User)
			}
		}
		return nil
	}
	if cfg.Process.User == "" {
		return fmt.Errorf("%s: started as root, Postroom wants the name of a user to become", cfg.Where("process.user"))
	}
	if cfg.Process.User == "root" {
		log.Warn("serving mail as root, as process.user says: a user of its own is safer")
		return nil
	}
	u, err := user.Lookup(cfg.Process.User)
	if err != nil {
		return fmt.Errorf("%s: %w", cfg.Where("process.user"), err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	groups, err3 := groupsOf(u)
	if err := errors.Join(err1, err2, err3); err != nil {
		return fmt.Errorf("%s: %w", cfg.Where("process.user"), err)
	}
	// The order matters: after setuid the others are not allowed any more.
	for _, step := range []func() error{
		func() error { return syscall.Setgroups(groups) },
		func() error { return syscall.Setgid(gid) },
		func() error { return syscall.Setuid(uid) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("becoming %s: %w", cfg.Process.User, err)
		}
	}
	if syscall.Setuid(0) == nil {
		return fmt.Errorf("becoming %s: root's rights could be had back", cfg.Process.User)
	}
	return readableByUs(cfg)
}

func groupsOf(u *user.User) ([]int, error) {
	ids, err := u.GroupIds()
	if err != nil {
		return nil, err
	}
	var out []int
	for _, id := range ids {
		n, err := strconv.Atoi(id)
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

// readableByUs: what SIGHUP reads again must be readable by the user we are now.
func readableByUs(cfg *config.Config) error {
	var wrong []error
	for _, c := range []struct{ key, path string }{
		{"auth.users", cfg.Auth.Users}, {"tls.certificate", cfg.TLS.Certificate}, {"tls.key", cfg.TLS.Key}, {"tls.client_ca", cfg.TLS.ClientCA},
	} {
		if c.path == "" {
			continue
		}
		f, err := os.Open(c.path)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w, as user %s: it is read again while serving; change its owner or mode", cfg.Where(c.key), err, cfg.Process.User))
			continue
		}
		f.Close()
	}
	return errors.Join(wrong...)
}
