package maildir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// modSeqStep is how far the mark in the uid list is set ahead of the highest
// MODSEQ, so that it is rarely written.
const modSeqStep = 1 << 20

// loadOnce reads the folder for the first time and starts its pump.
func (f *Folder) loadOnce(ctx context.Context) {
	f.once.Do(func() {
		f.mu.Lock()
		f.loadErr = f.loadLocked(ctx)
		f.mu.Unlock()
		if f.loadErr != nil {
			f.store.mu.Lock()
			if f.tree.folders[f.dirName] == f {
				delete(f.tree.folders, f.dirName) // the next Open tries again
			}
			f.store.mu.Unlock()
		} else {
			var pctx context.Context
			pctx, f.stop = context.WithCancel(f.store.ctx)
			f.done = make(chan struct{})
			f.store.memory.moved.Add(int64(f.Snapshot().Len()))
			go f.pump(pctx)
		}
		close(f.loaded)
	})
}

func (f *Folder) loadLocked(ctx context.Context) error {
	if err := f.openDirs(); err != nil {
		return err
	}
	f.savedAt = f.store.opt.Clock() // nothing to save for a while
	kw, seen, err := readKeywords(f.home)
	if err != nil {
		return err
	}
	f.kw, f.kwSeen = kw, seen
	past := f.readIndex()
	if past != nil {
		if f.warmLocked(past) {
			f.lateWatch = f.store.watch != nil
			return nil
		}
		defer past.file.close()
	}
	// Locked before the scan: whoever records a UID has its file in place before, so every
	// record that the list then has is of a file that the scan sees, or of one that is gone.
	f.writable, f.sticky = true, true
	lock, err := f.lockList(ctx)
	switch {
	case errors.Is(err, ErrReadOnly):
		f.writable = false
	case err != nil:
		return err
	default:
		defer lock.unlock()
	}
	files, err := f.readQuiet()
	if err != nil {
		return err
	}
	if files != nil {
		f.lateWatch = f.store.watch != nil
	} else {
		f.watched.Store(f.watch())
		if files, err = f.readFiles(ctx); err != nil {
			return err
		}
	}
	err = f.adoptLocked(ctx, files, past)
	f.pinListLocked()
	if f.lockless {
		f.list.stamp = stamp{} // read without the lock: it must be read again with it
	}
	return err
}

// lockList takes the uid list's lock. A full disk keeps nobody from deleting mail: where the lock cannot be made for
// want of space, files may be renamed and removed, which are single steps, but the list is left alone.
func (f *Folder) lockList(ctx context.Context) (*dotlock, error) {
	lock, err := f.store.lock.lockOrNone(ctx, f.home, uidlistName, &f.lockFile)
	f.lockless = err == nil && lock.none()
	return lock, err
}

// listWritable tells whether the lock that is held is one under which the list may be written.
func (f *Folder) listWritable() error {
	if f.lockless {
		return fmt.Errorf("lock %s: %w", uidlistName, ErrNoSpace)
	}
	return nil
}

// openDirs opens the folder's directories; missing ones are made.
func (f *Folder) openDirs() (err error) {
	if f.home, err = f.tree.openHome(f.dirName); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%q: %w", f.name, ErrNoFolder)
		}
		return wrapSys("open", f.name, err)
	}
	for _, sub := range []struct {
		name string
		dir  **dir
	}{{"tmp", &f.tmp}, {"new", &f.new}, {"cur", &f.cur}} {
		*sub.dir, err = f.home.openDir(sub.name)
		if errors.Is(err, fs.ErrNotExist) {
			if err = f.home.mkdir(sub.name); err == nil || errors.Is(err, fs.ErrExist) {
				*sub.dir, err = f.home.openDir(sub.name)
			}
		}
		if err != nil {
			return wrapSys("open", f.tree.fullPath(f.dirName)+"/"+sub.name, err)
		}
	}
	f.lockFile = keptLock{dir: f.tmp, mint: f.store.names.mint}
	return nil
}

// startWatchingLocked asks for events of a folder that was read while nothing happened in it: when
// it is to be changed, or somebody stays. The kernel takes its time over a large directory, which
// nobody who only looks in should wait for.
func (f *Folder) startWatchingLocked() {
	if !f.lateWatch {
		return
	}
	f.lateWatch = false
	if !f.watch() {
		return
	}
	f.watched.Store(true)
	if now, err := f.stamps(); err != nil || now != f.scanned || !f.proved {
		f.dirty = true // what happened before the watch no event tells
	}
}

// watch asks for events; without them the folder is polled.
func (f *Folder) watch() bool {
	w := f.store.watch
	if w == nil || w.add(f.new, f.queue, inNew) != nil {
		return false
	}
	if w.add(f.cur, f.queue, inCur) != nil {
		w.drop(f.new, f.queue)
		return false
	}
	return true
}

// unixNano is a time in nanoseconds since 1970.
func unixNano(n int64) time.Time { return time.Unix(0, n) }
