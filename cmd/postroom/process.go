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
	name := cfg.Process.Account()
	if name == "root" {
		log.Warn("serving mail as root, as process.user says: a user of its own is safer")
		return nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return fmt.Errorf("%s: started as root, Postroom wants a user to become: %w; useradd --system makes one", cfg.Where("process.user"), err)
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
			return fmt.Errorf("becoming %s: %w", name, err)
		}
	}
	if syscall.Setuid(0) == nil {
		return fmt.Errorf("becoming %s: root's rights could be had back", name)
	}
	return readableByUs(cfg, name, gid)
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

// readableByUs: what SIGHUP reads again must be readable by the user we are now, name of group gid.
func readableByUs(cfg *config.Config, name string, gid int) error {
	var wrong []error
	group := strconv.Itoa(gid)
	if g, err := user.LookupGroupId(group); err == nil {
		group = g.Name
	}
	for _, c := range []struct{ key, path string }{
		{"auth.users", cfg.Auth.Users}, {"tls.certificate", cfg.TLS.Certificate}, {"tls.key", cfg.TLS.Key}, {"tls.client_ca", cfg.TLS.ClientCA},
	} {
		if c.path == "" {
			continue
		}
		f, err := os.Open(c.path)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w, as user %s: it is read again while serving; where its directories let that user in, do: chgrp %s %[5]s && chmod g+r %[5]s",
				cfg.Where(c.key), err, name, group, c.path))
			continue
		}
		f.Close()
	}
	return errors.Join(wrong...)
}
