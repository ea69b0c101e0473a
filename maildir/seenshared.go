package maildir

import (
	"context"
	"errors"
	"io/fs"
)

// seenSharedName is an empty file in a folder's directory. It says that \Seen is of all who read the folder; where it is
// not, each of those who are not its owner has a \Seen of his own.
const seenSharedName = "postroom-shared-seen"

// SeenShared tells whether \Seen is of all who read the folder. It costs one system call.
func (f *Folder) SeenShared() (bool, error) { return seenShared(f.home) }

func seenShared(home *dir) (bool, error) {
	_, err := home.stat(seenSharedName)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, wrapSys("stat", seenSharedName, err)
}

// SetSeenShared makes \Seen of a folder that of all readers, or not, durably.
func (t *Tree) SetSeenShared(ctx context.Context, name string, shared bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	dirName, err := t.lookup(name)
	if err != nil {
		return err
	}
	home, err := t.openHome(dirName)
	if err != nil {
		return noFolder(name, wrapSys("open", t.fullPath(dirName), err))
	}
	defer home.close()
	if shared {
		err = home.makeFile(seenSharedName, nil)
	} else {
		err = home.remove(seenSharedName)
	}
	switch {
	case err == nil:
		err = home.sync()
	case errors.Is(err, fs.ErrExist), errors.Is(err, fs.ErrNotExist):
		err = home.settle()
	}
	return noFolder(name, wrapSys("write", t.fullPath(dirName)+"/"+seenSharedName, err))
}

// parentSeenShared tells whether the nearest parent of a name has a \Seen of all readers.
func (t *Tree) parentSeenShared(name string) (bool, error) {
	parent, ok := t.Parent(name)
	if !ok {
		return false, nil
	}
	dirName, err := t.lookup(parent)
	if errors.Is(err, ErrNoFolder) {
		return false, nil // removed by others just now
	}
	if err != nil {
		return false, err
	}
	home, err := t.openHome(dirName)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, wrapSys("open", t.fullPath(dirName), err)
	}
	defer home.close()
	return seenShared(home)
}
