package maildir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// Inbox is the folder that every tree has: its root.
const Inbox = "INBOX"

// inboxDir stands for the root where a directory's name is wanted.
const inboxDir = ""

const maildirFolder = "maildirfolder" // empty file that marks a subfolder

// Tree is one Maildir++ tree: INBOX at its root, folder a/b in ".a.b". It is
// safe for concurrent use.
type Tree struct {
	store *Store
	path  string
	top   *dir
	sep   byte

	refs    int                // guarded by store.mu: openings and loaded folders
	folders map[string]*Folder // guarded by store.mu: loaded, by directory name

	subMu  sync.Mutex // held while subscriptions are written
	makeMu sync.Mutex // held while folders are made, renamed, deleted
	seen   seenFile
}

// Close gives back one OpenTree.
func (t *Tree) Close() {
	t.store.mu.Lock()
	defer t.store.mu.Unlock()
	if t.store.trees != nil {
		t.store.releaseTreeLocked(t)
	}
}

// Path is where the tree lies, for messages to people.
func (t *Tree) Path() string { return t.path }

// dirs lists the directories of all folders but INBOX.
func (t *Tree) dirs() ([]string, error) {
	dirs, err := folderDirs(t.top)
	return dirs, wrapSys("read", t.path, err)
}

// folderDirs lists the directories of folders in a tree's root, sorted.
func folderDirs(top *dir) ([]string, error) {
	var out []string
	_, err := top.readNames(false, func(name []byte, typ direntType, _ uint64) {
		if !isFolderDir(view(name)) {
			return
		}
		if typ != direntDir {
			if typ != direntUnknown {
				return
			}
			if fi, err := top.stat(string(name)); err != nil || !fi.IsDir() {
				return
			}
		}
		out = append(out, string(name))
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(out)
	return out, nil
}

// isFolderDir tells whether a directory of that name in a tree's root is a folder.
func isFolderDir(name string) bool { return len(name) >= 2 && name[0] == '.' && name[1] != '.' }

// listing maps names to directories. A name that two directories could
// have goes to the one that this tree would make; the other is shown as it stands.
func (t *Tree) listing() (names map[string]string, enc encoding, err error) {
	dirs, err := t.dirs()
	if err != nil {
		return nil, 0, err
	}
	enc = guessEncoding(dirs)
	names = make(map[string]string, len(dirs)+1)
	names[Inbox] = inboxDir
	for _, d := range dirs {
		name := t.decodeDir(d, enc)
		if strings.EqualFold(name, Inbox) {
			continue // INBOX is the root, whatever a directory is called
		}
		if _, err := t.splitName(name); err != nil {
			continue // an empty part or a control character: no client could name it
		}
		other, taken := names[name]
		if taken {
			if canon, err := t.dirName(name, enc); err != nil || canon != d {
				name = escapeRaw(strings.ReplaceAll(d[1:], ".", string(t.sep)))
			} else {
				names[escapeRaw(strings.ReplaceAll(other[1:], ".", string(t.sep)))] = other
			}
		}
		names[name] = d
	}
	return names, enc, nil
}

func (t *Tree) encoding() encoding {
	dirs, err := t.dirs()
	if err != nil {
		return modifiedUTF7
	}
	return guessEncoding(dirs)
}

// Folders lists the names of all folders, INBOX first, then sorted by parts.
func (t *Tree) Folders() ([]string, error) {
	names, _, err := t.listing()
	if err != nil {
		return nil, err
	}
	out := make([]string, 0, len(names))
	for n := range names {
		out = append(out, n)
	}
	sep := string(t.sep)
	slices.SortFunc(out, func(a, b string) int {
		switch {
		case a == b:
			return 0
		case a == Inbox:
			return -1
		case b == Inbox:
			return 1
		}
		return slices.Compare(strings.Split(a, sep), strings.Split(b, sep))
	})
	return out, nil
}

// NamesOf gives the names of the folders that have these directories, sorted; "" is INBOX's. Those that are not
// there are left out.
func (t *Tree) NamesOf(dirs []string) ([]string, error) {
	names, _, err := t.listing()
	if err != nil {
		return nil, err
	}
	wanted := make(map[string]bool, len(dirs))
	for _, d := range dirs {
		wanted[d] = true
	}
	var out []string
	for name, d := range names {
		if wanted[d] {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out, nil
}

// lookup gives the directory of an existing folder.
func (t *Tree) lookup(name string) (string, error) {
	if name == Inbox {
		return inboxDir, nil
	}
	if _, err := t.splitName(name); err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoFolder, err)
	}
	// The usual case needs no listing: the name as this kind of tree writes it.
	if d, err := t.dirName(name, modifiedUTF7); err == nil && isASCII(name) && !strings.Contains(name, "&") {
		if fi, err := t.top.stat(d); err == nil && fi.IsDir() && d[1] != '.' {
			return d, nil
		}
	}
	names, _, err := t.listing()
	if err != nil {
		return "", err
	}
	if d, ok := names[name]; ok {
		return d, nil
	}
	return "", fmt.Errorf("%q: %w", name, ErrNoFolder)
}

// Exists tells whether there is such a folder.
func (t *Tree) Exists(name string) bool {
	_, err := t.lookup(name)
	return err == nil
}

// GUID gives what names a folder for ever, as its uid list has it, without opening the folder.
func (t *Tree) GUID(name string) (string, error) {
	dirName, err := t.lookup(name)
	if err != nil {
		return "", err
	}
	home, err := t.openHome(dirName)
	if err != nil {
		return "", noFolder(name, wrapSys("open", t.fullPath(dirName), err))
	}
	defer home.close()
	h, err := readUIDListHeader(home)
	return h.guid, wrapSys("read", t.fullPath(dirName)+"/"+uidlistName, err)
}

// Create makes a folder. Its UIDVALIDITY is one that no folder of this tree
// ever had. Missing parents are not made: in Maildir++ they need not exist. acl is what its dovecot-acl
// holds from the first moment; nil for none. Whose \Seen is follows the nearest parent.
func (t *Tree) Create(ctx context.Context, name string, acl []byte) error {
	t.makeMu.Lock()
	defer t.makeMu.Unlock()
	dirName, err := t.vacant(name)
	if err != nil {
		return err
	}
	shared, err := t.parentSeenShared(name)
	if err != nil {
		return err
	}
	t.forgetUse(ctx, dirName) // of a folder that others removed
	if acl == nil {
		return t.build(dirName, nil, shared)
	}
	return t.changeACLs(func() error { return t.build(dirName, acl, shared) })
}

// vacant gives the directory for a name that no folder has yet.
func (t *Tree) vacant(name string) (string, error) {
	if strings.EqualFold(name, Inbox) {
		return "", fmt.Errorf("%q: %w", name, ErrExists)
	}
	names, enc, err := t.listing()
	if err != nil {
		return "", err
	}
	if _, ok := names[name]; ok {
		return "", fmt.Errorf("%q: %w", name, ErrExists)
	}
	dirName, err := t.dirName(name, enc)
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(dirName, "..") {
		return "", fmt.Errorf("%q: %w", name, ErrBadName)
	}
	if t.top.exists(dirName) {
		return "", fmt.Errorf("%q: %w", name, ErrExists)
	}
	return dirName, nil
}

// build makes the folder's directory under another name, complete with its uid
// list and its ACL, and renames it into place: nobody sees half a folder.
func (t *Tree) build(dirName string, acl []byte, seenShared bool) (err error) {
	uidValidity, err := nextUIDValidity(t.top, t.store.opt.Clock())
	if err != nil {
		return err
	}
	temp := makePrefix + t.store.names.mint()
	if err := t.top.mkdir(temp); err != nil {
		return wrapSys("make", dirName, err)
	}
	defer func() {
		if err != nil {
			t.top.removeAll(temp)
		}
	}()
	d, err := t.top.openDir(temp)
	if err != nil {
		return wrapSys("open", dirName, err)
	}
	defer d.close()
	if err := furnish(d, acl, seenShared); err != nil {
		return err
	}
	l := uidList{uidHeader: uidHeader{uidValidity: uidValidity, uidNext: 1}}
	if err := l.replace(d, l.begin(0)); err != nil {
		return err
	}
	if err := t.top.rename(temp, dirName); err != nil {
		if errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.ENOTEMPTY) {
			return fmt.Errorf("%s: %w", dirName, ErrExists)
		}
		return wrapSys("rename", dirName, err)
	}
	return wrapSys("sync", t.path, t.top.sync())
}

// furnish makes what a new folder has beside its uid list.
func furnish(d *dir, acl []byte, seenShared bool) error {
	for _, sub := range []string{"tmp", "new", "cur"} {
		if err := d.mkdir(sub); err != nil {
			return wrapSys("make", sub, err)
		}
	}
	f, err := d.create(maildirFolder, d.filePerm())
	if err != nil {
		return wrapSys("make", maildirFolder, err)
	}
	f.Close()
	if acl != nil {
		if err := d.makeFile(aclName, acl); err != nil {
			return wrapSys("write", aclName, err)
		}
	}
	if seenShared {
		return wrapSys("make", seenSharedName, d.makeFile(seenSharedName, nil))
	}
	return nil
}

// Delete removes a folder and its messages; its children stay.
func (t *Tree) Delete(ctx context.Context, name string) error {
	t.makeMu.Lock()
	defer t.makeMu.Unlock()
	dirName, err := t.lookup(name)
	if err != nil {
		return err
	}
	if dirName == inboxDir {
		return fmt.Errorf("INBOX cannot be deleted: %w", ErrCannot)
	}
	if t.hasACL(dirName) {
		err = t.changeACLs(func() error { return t.discard(ctx, dirName) })
	} else {
		err = t.discard(ctx, dirName)
	}
	return wrapSys("delete", name, err)
}

// discard removes a folder's directory and what the root holds of it.
func (t *Tree) discard(ctx context.Context, dirName string) error {
	trash := trashPrefix + t.store.names.mint()
	if err := t.top.rename(dirName, trash); err != nil {
		return err
	}
	t.markGone(dirName)
	if err := t.top.sync(); err != nil {
		return err
	}
	err := t.top.removeAll(trash)
	t.forgetUse(ctx, dirName)
	return err
}

// markGone tells the sessions of a folder that its directory was taken away.
func (t *Tree) markGone(dirName string) {
	t.store.mu.Lock()
	f := t.folders[dirName]
	t.store.mu.Unlock()
	if f != nil {
		f.vanish()
	}
}

// Rename gives a folder and all its children another name. The messages keep
// their UIDs. INBOX cannot be renamed here: its messages can only be moved.
func (t *Tree) Rename(ctx context.Context, from, to string) error {
	t.makeMu.Lock()
	defer t.makeMu.Unlock()
	if from == Inbox || strings.EqualFold(to, Inbox) {
		return fmt.Errorf("%q to %q: %w", from, to, ErrCannot)
	}
	if strings.HasPrefix(to, from+string(t.sep)) {
		return fmt.Errorf("%q lies below %q: %w", to, from, ErrCannot)
	}
	names, enc, err := t.listing()
	if err != nil {
		return err
	}
	var steps []step
	for name, d := range names {
		if name != from && !strings.HasPrefix(name, from+string(t.sep)) {
			continue
		}
		target := to + name[len(from):]
		if _, ok := names[target]; ok {
			return fmt.Errorf("%q: %w", target, ErrExists)
		}
		nd, err := t.dirName(target, enc)
		if err != nil {
			return err
		}
		if strings.HasPrefix(nd, "..") {
			return fmt.Errorf("%q: %w", target, ErrBadName)
		}
		if t.top.exists(nd) {
			return fmt.Errorf("%q: %w", target, ErrExists)
		}
		steps = append(steps, step{d, nd})
	}
	if len(steps) == 0 {
		return fmt.Errorf("%q: %w", from, ErrNoFolder)
	}
	slices.SortFunc(steps, func(a, b step) int { return strings.Compare(a.from, b.from) })
	if slices.ContainsFunc(steps, func(s step) bool { return t.hasACL(s.from) }) {
		err = t.changeACLs(func() error { return t.renameAll(ctx, steps) })
	} else {
		err = t.renameAll(ctx, steps)
	}
	return wrapSys("rename", from, err)
}

// renameAll gives directories their new names, all or none.
func (t *Tree) renameAll(ctx context.Context, steps []step) error {
	if err := t.copyUses(ctx, steps); err != nil {
		return err
	}
	for i, s := range steps {
		if err := t.top.rename(s.from, s.to); err != nil {
			for _, u := range steps[:i] { // back to where it was: all or nothing
				t.top.rename(u.to, u.from)
			}
			return err
		}
		t.markGone(s.from)
	}
	err := t.top.sync()
	for _, s := range steps {
		t.forgetUse(ctx, s.from)
	}
	return err
}

// Open opens a folder; each Open wants one Close. Sessions of one folder share
// it. ErrNoFolder if there is none.
func (t *Tree) Open(ctx context.Context, name string) (*Folder, error) {
	for range 8 {
		dirName, err := t.lookup(name)
		if err != nil {
			return nil, err
		}
		f, fresh := t.acquire(name, dirName)
		if f == nil {
			return nil, ErrClosed
		}
		if fresh {
			f.loadOnce(t.store.ctx) // others wait for it too: no single client ends it
		}
		select {
		case <-f.loaded:
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		}
		if f.loadErr != nil {
			f.Close()
			return nil, f.loadErr
		}
		if f.stillThere() {
			return f, nil
		}
		f.vanish() // another directory has taken its place: open that
		f.Close()
	}
	return nil, fmt.Errorf("%q: %w: it keeps being replaced", name, ErrBusy)
}

// acquire gives the folder's one object, new or not, with one more user.
func (t *Tree) acquire(name, dirName string) (f *Folder, fresh bool) {
	s := t.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, false
	}
	f = t.folders[dirName]
	if f == nil {
		f = newFolder(t, name, dirName)
		t.folders[dirName] = f
		s.folders[f] = true
		t.refs++
		fresh = true
	}
	f.refs++
	if f.idleElem != nil {
		s.idle.Remove(f.idleElem)
		f.idleElem = nil
	}
	return f, fresh
}

// identity gives the directory that the folder's path leads to now.
func (t *Tree) identity(dirName string) (fileID, error) {
	var fi fs.FileInfo
	var err error
	if dirName == inboxDir {
		fi, err = os.Stat(t.path)
	} else {
		fi, err = t.top.stat(dirName)
	}
	if err != nil {
		return fileID{}, err
	}
	return stampOf(fi).fileID, nil
}

// fullPath is a folder's path, for messages to people.
func (t *Tree) fullPath(dirName string) string { return filepath.Join(t.path, dirName) }
