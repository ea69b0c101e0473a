package main

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
)

// mailUser owns the mail and does all that touches it, on each side: servers are
// not measured as root. Debian always has it.
const (
	mailUser  = "nobody"
	mailGroup = "nogroup"
)

// owner is the mail user's ids.
type owner struct{ uid, gid int }

func mailOwner() (owner, error) {
	u, err := user.Lookup(mailUser)
	if err != nil {
		return owner{}, err
	}
	var o owner
	if o.uid, err = strconv.Atoi(u.Uid); err != nil {
		return owner{}, fmt.Errorf("uid of %s: %w", mailUser, err)
	}
	if o.gid, err = strconv.Atoi(u.Gid); err != nil {
		return owner{}, fmt.Errorf("gid of %s: %w", mailUser, err)
	}
	return o, nil
}

func (o owner) give(path string) error { return os.Lchown(path, o.uid, o.gid) }

// giveTree gives path and all below it.
func (o owner) giveTree(path string) error {
	return filepath.WalkDir(path, func(p string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return o.give(p)
	})
}
