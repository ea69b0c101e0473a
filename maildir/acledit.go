package maildir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// dovecot-acl is written as Dovecot writes it: dovecot-acl.lock is made, gets the new contents, is synced and renamed
// over the file. So a process that ends at any moment leaves the old file or the new one, and at worst a lock that
// keeps writers, never readers, out for two minutes.
//
// Dovecot lists the folders of a tree that have an ACL in dovecot-acl-list, and does not notice by itself that one
// was added. The list is derived: it is removed before a change, so that none which lacks the change is
// there if we end in the midst of it, and after it, in case Dovecot has made one in between.
const (
	aclListName = "dovecot-acl-list"
	aclLockWait = 30 * time.Second // Dovecot's
)

// EditACL changes a folder's ACL file, so that a Dovecot on the same tree sees it. edit gets the file as it is, which may be
// Courier's or none, and gives the octets that dovecot-acl shall have; nobody who takes the lock changes the file meanwhile.
// Nil means that the folder shall have no ACL file, of neither kind. What is in dovecot-acl already is not written again;
// what comes of Courier's file always is, as the same octets mean something else there. Where edit fails nothing is
// changed, and its error is returned. After any other error the change may have been made, and may not last. ErrBusy when
// another program keeps the lock for 30 s.
func (t *Tree) EditACL(ctx context.Context, name string, edit func(ACLFile) ([]byte, error)) error {
	dirName, err := t.lookup(name)
	if err != nil {
		return err
	}
	home, err := t.openHome(dirName)
	if err != nil {
		return noFolder(name, wrapSys("open", t.fullPath(dirName), err))
	}
	defer home.close()
	lock, err := t.store.lock.lockBy(ctx, home, aclName, lockRules{wait: aclLockWait})
	if err != nil {
		return noFolder(name, err)
	}
	defer lock.unlock()
	now, _, err := readACL(home, t.fullPath(dirName), ACLVersion{}, t.store.opt.Clock())
	if err != nil {
		return err
	}
	data, err := edit(now)
	if err != nil {
		return err
	}
	if data == nil && now.Kind == NoACL || now.Kind == DovecotACL && data != nil && bytes.Equal(data, now.Data) {
		return wrapSys("sync", t.fullPath(dirName), home.settle())
	}
	return t.changeACLs(func() error {
		if data == nil {
			err = removeACL(home)
		} else {
			err = lock.replace(aclName, data, now.Version.stamp)
		}
		return wrapSys("write", t.fullPath(dirName)+"/"+aclName, err)
	})
}

// changeACLs does what changes which ACLs the tree's folders have.
func (t *Tree) changeACLs(do func() error) error {
	if err := t.dropACLList(); err != nil {
		return err
	}
	err := do()
	if lerr := t.dropACLList(); err == nil {
		err = lerr
	}
	return err
}

// noFolder is err, unless it says that the folder's directory is not there.
func noFolder(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%q: %w", name, ErrNoFolder)
	}
	return err
}

// removeACL removes a folder's ACL files, Courier's first: it must not come into force again.
func removeACL(home *dir) error {
	for _, name := range []string{courierACLName, aclName} {
		if err := home.remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return home.sync()
}

// replace puts data in the place of the file that the lock guards, durably, by renaming the lock: it is released then.
// The file's time is a later second than before's: that, and the size, is what Dovecot knows it by.
func (k *dotlock) replace(name string, data []byte, before stamp) error {
	if _, err := k.file.Write(data); err != nil {
		return err
	}
	fi, err := k.file.Stat()
	if err != nil {
		return err
	}
	if was := unixNano(before.mtime); fi.ModTime().Unix() <= was.Unix() {
		if err := k.dir.setTimes(k.name, was.Add(time.Second)); err != nil {
			return err
		}
	}
	if err := k.file.Sync(); err != nil {
		return err
	}
	if !k.ours() {
		return fmt.Errorf("%s was taken away by another process: %w", k.name, ErrBusy)
	}
	if err := k.dir.rename(k.name, name); err != nil {
		return err
	}
	return k.dir.sync()
}

// dropACLList removes dovecot-acl-list, durably.
func (t *Tree) dropACLList() error {
	err := t.top.remove(aclListName)
	if errors.Is(err, fs.ErrNotExist) {
		err = t.top.settle()
	} else if err == nil {
		err = t.top.sync()
	}
	return wrapSys("remove", t.fullPath(aclListName), err)
}

// hasACL tells whether a folder's directory has an ACL file, or may have one.
func (t *Tree) hasACL(dirName string) bool {
	home, err := t.openHome(dirName)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	defer home.close()
	return home.exists(aclName) || home.exists(courierACLName)
}
