package maildir

import (
	"errors"
	"io/fs"
	"os"
)

// keptLock is the file of a dot lock between its uses. A lock that is released and will be taken again soon is not
// deleted but renamed into tmp/, and when it is taken the next time it gets a second name, which is the lock. So no inode is
// made for each hold, which on ext4 was most of what a delivery cost: an inode number that was
// deleted is not given again for a minute, and the search for another passes all of these. Dovecot itself makes locks
// by links where it is told to. Who has the lock in the locker's table is who may touch this.
type keptLock struct {
	dir  *dir          // tmp/, on the same file system as the lock
	mint func() string // a new name in it, which tells that this process is alive

	uses int      // how often the lock was released; once is not worth it
	name string   // in dir; "" if none is kept
	file *os.File // has a flock
	id   fileID
}

// take makes the kept file the lock, name in d; nil without an error if there is none to take.
func (kept *keptLock) take(l *locker, d *dir, name string) (*dotlock, error) {
	if kept == nil || kept.name == "" {
		return nil, nil
	}
	err := kept.dir.setTimesNow(kept.name) // who judges its age looks at that
	if err == nil {
		err = kept.dir.linkTo(kept.name, d, name)
	}
	switch {
	case err == nil:
		return &dotlock{by: l, dir: d, name: name, file: kept.file, id: kept.id, kept: kept}, nil
	case errors.Is(err, fs.ErrExist):
		return nil, err
	}
	kept.drop() // somebody has tidied up tmp/, or there are no links here
	return nil, nil
}

// keep releases k, whose file is the one of its name still, and keeps the file; false if that is not to be.
func (kept *keptLock) keep(k *dotlock) bool {
	if kept == nil {
		return false
	}
	if k.file == kept.file {
		return k.dir.remove(k.name) == nil
	}
	if kept.uses++; kept.uses < 2 {
		return false
	}
	name := kept.mint()
	if k.dir.moveTo(k.name, kept.dir, name) != nil {
		return false
	}
	kept.name, kept.file, kept.id = name, k.file, k.id
	return true
}

// drop deletes the kept file. It is not the lock now.
func (kept *keptLock) drop() {
	if kept.name != "" {
		kept.dir.remove(kept.name)
		kept.file.Close()
		kept.name, kept.file = "", nil
	}
}
