package maildir

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// The kinds of failure that leave this package. Each protocol maps them once
// to its own answers; errors.Is finds the kind behind any wrapping.
var (
	// ErrNoFolder: there is no folder of that name.
	ErrNoFolder = errors.New("no such folder")
	// ErrExists: a folder of that name is there already.
	ErrExists = errors.New("folder exists")
	// ErrBadName: the name cannot be a folder's name in this tree.
	ErrBadName = errors.New("not a usable folder name")
	// ErrReadOnly: the tree cannot be written.
	ErrReadOnly = errors.New("read-only")
	// ErrBusy: another process holds the folder's lock for too long.
	ErrBusy = errors.New("folder is locked by another process")
	// ErrGone: the open folder was deleted, renamed or made anew under us.
	ErrGone = errors.New("folder is gone")
	// ErrExpunged: the message is no longer there.
	ErrExpunged = errors.New("message is gone")
	// ErrNoSpace: the disk or the quota is full.
	ErrNoSpace = errors.New("no space left")
	// ErrDamaged: a file of the tree holds what its format forbids.
	ErrDamaged = errors.New("damaged")
	// ErrTooBig: the input is larger than the limit.
	ErrTooBig = errors.New("too big")
	// ErrTooMany: the folder is at one of its limits (UIDs, keywords).
	ErrTooMany = errors.New("limit reached")
	// ErrCannot: the operation cannot be done on this folder, INBOX for example.
	ErrCannot = errors.New("cannot be done to this folder")
	// ErrNoFile: there is no own file of that name.
	ErrNoFile = errors.New("no such file")
	// ErrClosed: the store has been closed.
	ErrClosed = errors.New("store is closed")
)

// wrapSys gives a system call's error its kind. A nil error stays nil.
func wrapSys(op, name string, err error) error {
	if err == nil {
		return nil
	}
	kind := error(nil)
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		kind = ErrNoSpace
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		kind = ErrReadOnly
	}
	if kind == nil {
		return fmt.Errorf("%s %s: %w", op, name, err)
	}
	return fmt.Errorf("%s %s: %w: %w", op, name, kind, err)
}
