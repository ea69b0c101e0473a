package maildir

import (
	"errors"
	"os"
	"path/filepath"
	"sync"

	gomaildir "github.com/emersion/go-maildir"
)

// treeMaker makes the Maildirs of new users. Nobody gets to see one, or a tree below a parent made for another, before it
// is durable: what he is answered OK for would be lost with it.
type treeMaker struct {
	make func(path string) error // makeTree
	turn sync.Mutex              // held while a tree is made: two may have a new parent in common

	mu    sync.Mutex
	under map[string]chan struct{} // guarded by mu: paths whose tree is being made; closed when that is over
}

func newTreeMaker(how func(path string) error) treeMaker {
	return treeMaker{make: how, under: make(map[string]chan struct{})}
}

// open opens the directory of a tree, and makes the tree before if that is asked for and it is not there.
func (m *treeMaker) open(path string, create bool) (*dir, error) {
	for {
		top, err := openTopDir(path)
		// It is looked at after the directory was opened: whoever makes one says so before.
		if over := m.underWay(path); over != nil {
			if err == nil {
				top.close()
			}
			<-over
			continue
		}
		if !create || !errors.Is(err, os.ErrNotExist) {
			return top, err
		}
		if err := m.create(path); err != nil {
			return nil, err
		}
	}
}

// underWay gives what is closed when the tree that is being made there is made, nil if there is none.
func (m *treeMaker) underWay(path string) chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.under[path]
}

func (m *treeMaker) create(path string) error {
	m.mu.Lock()
	if m.under[path] != nil {
		m.mu.Unlock()
		return nil // the caller waits for it
	}
	over := make(chan struct{})
	m.under[path] = over
	m.mu.Unlock()
	m.turn.Lock()
	defer m.turn.Unlock()
	defer func() {
		m.mu.Lock()
		delete(m.under, path)
		m.mu.Unlock()
		close(over)
	}()
	if top, err := openTopDir(path); err == nil {
		top.close()
		return nil // made by the one before
	}
	return m.make(path)
}

// makeTree makes an empty Maildir, and its missing parents, durably: the first message that comes must not be
// lost with the directory that it is in. What cannot be made durable is removed again, else the next one would
// find a tree that is there, and sync nothing.
func makeTree(path string) (err error) {
	made := []string{path}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(dir); err == nil || dir == filepath.Dir(dir) {
			made = append(made, dir) // holds the name of the topmost that is made
			break
		}
		made = append(made, dir)
	}
	defer func() {
		if err != nil {
			unmakeTree(path, made[:len(made)-1])
		}
	}()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return wrapSys("make", path, err)
	}
	if err := gomaildir.Dir(path).Init(); err != nil {
		return wrapSys("make", path, err)
	}
	for _, dir := range made {
		if err := syncDir(dir); err != nil {
			return wrapSys("sync", dir, err)
		}
	}
	return nil
}

// unmakeTree removes the empty directories of a tree, and the parents that were made for it, innermost first. What
// somebody has put something into meanwhile stays.
func unmakeTree(path string, made []string) {
	for _, sub := range []string{"tmp", "new", "cur"} {
		os.Remove(filepath.Join(path, sub))
	}
	for _, dir := range made {
		os.Remove(dir)
	}
}
