package maildir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A user's own files, such as his address book, lie in directories in the root of his tree whose names do not begin with
// a dot, so that no program takes them for mailboxes. Other programs may read and write them too: each file is replaced
// whole, by renaming one that was written and synced, and what begins with a dot is not looked at. Who changes files holds
// the directory's dot lock, which lies in the root: postroom-web.lock. Temporary files are of whoever holds the lock; those
// that a crash left are removed by the next who does.

// OwnDir is a directory of a user's own files.
type OwnDir uint8

// The directories that there may be. They are made when something is first written to them.
const (
	OwnWeb      OwnDir = iota // postroom-web: what the web mail keeps
	OwnContacts               // postroom-contacts: a vCard a file
)

var ownDirNames = [...]string{OwnWeb: "postroom-web", OwnContacts: "postroom-contacts"}

// Bounds of what is read and written.
const (
	MaxOwnFile  = 1 << 20 // octets of one file
	MaxOwnFiles = 20_000  // in one directory

	maxOwnName    = 200 // octets
	ownTempPrefix = ".postroom-"
	ownTempSuffix = ".tmp"
)

// OwnFiles gives access to one of the tree's directories of own files. It is safe for concurrent use, as long as the tree is open.
type OwnFiles struct {
	tree *Tree
	name string
}

// OwnFiles gives the files of one kind; nothing is made or read yet.
func (t *Tree) OwnFiles(d OwnDir) *OwnFiles { return &OwnFiles{tree: t, name: ownDirNames[d]} }

// OwnFile is a file as a listing has it.
type OwnFile struct {
	Name    string
	Size    int64 // octets
	Version OwnVersion
}

// OwnVersion differs when a file was changed. It may be compared.
type OwnVersion struct{ stamp stamp }

// List gives all regular files, sorted by name; none where the directory is not there. ErrTooMany beyond MaxOwnFiles.
func (o *OwnFiles) List() ([]OwnFile, error) {
	d, err := o.tree.top.openDir(o.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, o.wrap("open", "", err)
	}
	defer d.close()
	names, _, err := o.names(d)
	if err != nil {
		return nil, err
	}
	list := make([]OwnFile, 0, len(names))
	for _, name := range names {
		fi, err := d.stat(name)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !fi.Mode().IsRegular() {
			continue
		}
		if err != nil {
			return nil, o.wrap("stat", name, err)
		}
		list = append(list, OwnFile{Name: name, Size: fi.Size(), Version: OwnVersion{stampOf(fi)}})
	}
	return list, nil
}

// names lists the usable names in the directory, sorted, and what is left over of changes that were not finished.
func (o *OwnFiles) names(d *dir) (names, left []string, err error) {
	_, err = d.readNames(false, func(name []byte, _ direntType, _ uint64) {
		switch n := string(name); {
		case strings.HasPrefix(n, ownTempPrefix) && strings.HasSuffix(n, ownTempSuffix):
			left = append(left, n)
		case checkOwnName(n) == nil && len(names) <= MaxOwnFiles:
			names = append(names, n)
		}
	})
	if err == nil && len(names) > MaxOwnFiles {
		err = fmt.Errorf("more than %d files: %w", MaxOwnFiles, ErrTooMany)
	}
	if err != nil {
		return nil, nil, o.wrap("read", "", err)
	}
	slices.Sort(names)
	return names, left, nil
}

// checkOwnName refuses what cannot be, or should not be, the name of an own file with ErrBadName.
func checkOwnName(name string) error {
	bad := name == "" || len(name) > maxOwnName || name[0] == '.' || strings.Contains(name, "/") ||
		!utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl)
	if bad {
		return fmt.Errorf("file %q: %w", name, ErrBadName)
	}
	return nil
}

// Read gives a file's contents and the version that they have. ErrNoFile if it is not there, ErrTooBig beyond MaxOwnFile.
func (o *OwnFiles) Read(name string) ([]byte, OwnVersion, error) {
	if err := checkOwnName(name); err != nil {
		return nil, OwnVersion{}, err
	}
	d, err := o.tree.top.openDir(o.name)
	if err != nil {
		return nil, OwnVersion{}, o.wrap("open", "", err)
	}
	defer d.close()
	data, at, err := d.readFile(name, MaxOwnFile)
	if err != nil {
		return nil, OwnVersion{}, o.wrap("read", name, err)
	}
	return data, OwnVersion{at}, nil
}

// Edit changes one file while nobody else does who holds the lock. edit gets what it holds, nil if it is not there, and gives what
// it shall hold, nil for no file; both are at most MaxOwnFile octets. When Edit returns nil the change lasts. If edit fails nothing
// is changed and its error is returned; after another error the file is as it was or as it was to be, and whole.
// ErrBusy if another process keeps the lock for 10 s.
func (o *OwnFiles) Edit(ctx context.Context, name string, edit func(old []byte) ([]byte, error)) error {
	return o.EditAll(ctx, []string{name}, func(_ string, old []byte) ([]byte, error) { return edit(old) })
}

// EditAll is Edit for many files, of different names, at the cost of few syncs. No file is changed before
// all are written beside them; a crash or a failing disk right then may change some and leave others.
func (o *OwnFiles) EditAll(ctx context.Context, names []string, edit func(name string, old []byte) ([]byte, error)) error {
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		if err := checkOwnName(name); err != nil {
			return err
		}
		if seen[name] {
			return fmt.Errorf("file %q: %w: named twice", name, ErrBadName)
		}
		seen[name] = true
	}
	top := o.tree.top
	lock, err := o.tree.store.lock.lockBy(ctx, top, o.name, lockRules{wait: lockWait, named: true})
	if err != nil {
		return err
	}
	defer lock.unlock()
	d, err := o.openOrMake()
	if err != nil {
		return o.wrap("make", "", err)
	}
	defer d.close()
	e := ownEdit{files: o, dir: d, lock: lock}
	defer e.discard()
	if err := e.prepare(names, edit); err != nil {
		return err
	}
	return e.commit()
}

// openOrMake opens the directory, and makes it if it is not there. Its name lasts before anything in it can be counted on.
func (o *OwnFiles) openOrMake() (*dir, error) {
	top := o.tree.top
	d, err := top.openDir(o.name)
	if errors.Is(err, fs.ErrNotExist) {
		if err := top.mkdir(o.name); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		if err := top.sync(); err != nil {
			return nil, err
		}
		return top.openDir(o.name)
	}
	if err == nil {
		if err = top.settle(); err != nil {
			d.close()
			return nil, err
		}
	}
	return d, err
}

// ownEdit is one change of own files. The lock is held as long as it is.
type ownEdit struct {
	files *OwnFiles
	dir   *dir
	lock  *dotlock
	steps []ownStep
}

// ownStep puts temp in the place of name; "" removes it.
type ownStep struct{ name, temp string }

// prepare asks what the files shall hold, and writes it beside them, synced.
func (e *ownEdit) prepare(names []string, edit func(name string, old []byte) ([]byte, error)) error {
	have, left, err := e.files.names(e.dir)
	if err != nil {
		return err
	}
	for _, n := range left {
		if err := e.dir.remove(n); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return e.files.wrap("remove", n, err)
		}
	}
	count := len(have)
	for _, name := range names {
		old, _, err := e.dir.readFile(name, MaxOwnFile)
		there := err == nil
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return e.files.wrap("read", name, err)
		}
		data, err := edit(name, old)
		switch {
		case err != nil:
			return err
		case len(data) > MaxOwnFile:
			return e.files.wrap("write", name, fmt.Errorf("%d octets: %w", len(data), ErrTooBig))
		case data == nil && !there, data != nil && there && bytes.Equal(data, old):
			continue
		case data == nil:
			count--
			e.steps = append(e.steps, ownStep{name: name})
			continue
		}
		if !there {
			if count++; count > MaxOwnFiles {
				return e.files.wrap("write", name, fmt.Errorf("more than %d files: %w", MaxOwnFiles, ErrTooMany))
			}
		}
		s := ownStep{name, ownTempPrefix + strconv.Itoa(len(e.steps)) + ownTempSuffix}
		e.steps = append(e.steps, s)
		if err := e.write(s.temp, data); err != nil {
			return e.files.wrap("write", name, err)
		}
	}
	return e.syncAll()
}

// write makes a file whose octets are on their way to the disk.
func (e *ownEdit) write(name string, data []byte) error {
	f, err := e.dir.create(name, e.dir.filePerm())
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		startWriting(f)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// syncAll waits until all that was written is on the disk: the first sync takes most of the others along.
func (e *ownEdit) syncAll() error {
	for _, s := range e.steps {
		if s.temp == "" {
			continue
		}
		f, err := e.dir.openUpdate(s.temp)
		if err == nil {
			err = f.Sync()
			f.Close()
		}
		if err != nil {
			return e.files.wrap("sync", s.name, err)
		}
	}
	return nil
}

// commit makes the change.
func (e *ownEdit) commit() error {
	if len(e.steps) == 0 {
		return e.files.wrap("sync", "", e.dir.settle())
	}
	if !e.lock.ours() {
		return fmt.Errorf("%s was taken away by another process: %w", e.lock.name, ErrBusy)
	}
	for i, s := range e.steps {
		var err error
		if s.temp != "" {
			err = e.dir.rename(s.temp, s.name)
		} else if err = e.dir.remove(s.name); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		if err != nil {
			e.dir.sync()
			return e.files.wrap("write", s.name, err)
		}
		e.steps[i].temp = ""
	}
	return e.files.wrap("sync", "", e.dir.sync())
}

// discard removes what was written for nothing.
func (e *ownEdit) discard() {
	for _, s := range e.steps {
		if s.temp != "" {
			e.dir.remove(s.temp)
		}
	}
}

// wrap gives an error its kind and says of which file it is; name is "" for the directory itself.
func (o *OwnFiles) wrap(op, name string, err error) error {
	path := o.name
	if name != "" {
		path += "/" + name
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s %s: %w: %w", op, path, ErrNoFile, err)
	}
	return wrapSys(op, path, err)
}
