package maildir

import (
	"errors"
	"hash/maphash"
	"io/fs"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// The part of ACLWatch that looks at trees. Who calls these functions has claimed the tree.

// scan looks at a whole tree: each folder's directory is watched, and then looked at.
func (w *ACLWatch) scan(t *aclTree) {
	var dirs []string
	top, err := w.enter(t)
	if err == nil {
		defer top.close()
		dirs, err = folderDirs(top)
	}
	if notThere(err) {
		w.leave(t)
		return
	}
	t.absent, t.trouble = false, false
	if err != nil {
		w.troubled(t, err)
		return
	}
	clear(t.blind)
	w.lookIn(t, top, inboxDir)
	for _, name := range dirs {
		if w.ctx.Err() != nil {
			return
		}
		w.watchFolder(t, name)
		w.lookIn(t, top, name)
	}
	for name := range t.seen {
		if _, there := slices.BinarySearch(dirs, name); !there && name != inboxDir {
			w.gone(t, name)
		}
	}
	if !t.trouble {
		t.said = ""
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if t.watched < t.slots {
		w.watches -= t.slots - t.watched
		t.slots = t.watched
	}
}

// enter watches a tree's root and opens it. The watches of another tree that was there before are dropped.
func (w *ACLWatch) enter(t *aclTree) (*dir, error) {
	path, err := filepath.EvalSymlinks(t.root)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return nil, err
	}
	other := false
	if t.id != (fileID{}) {
		now, err := openTopDir(path)
		if err != nil {
			return nil, err
		}
		other = now.id != t.id
		now.close()
	}
	w.place(t, path, other)
	t.at, t.watched = path, 0
	t.rootBlind = !w.watch(t, path)
	top, err := openTopDir(path)
	if err == nil {
		t.id = top.id
	}
	return top, err
}

// leave notes that there is no tree.
func (w *ACLWatch) leave(t *aclTree) {
	w.mu.Lock()
	w.unplaceLocked(t)
	w.freeSlotsLocked(t)
	w.mu.Unlock()
	t.absent, t.trouble, t.said, t.blind, t.id, t.at = true, false, "", nil, fileID{}, ""
	for name := range t.seen {
		w.gone(t, name)
	}
}

// troubled notes that not all of a tree can be read, and that it is to be tried again: what was told of it is still
// what is known.
func (w *ACLWatch) troubled(t *aclTree, err error) {
	t.trouble = true
	if s := err.Error(); s != t.said {
		t.said = s
		w.log.Warn("a tree cannot be searched for ACL files", "tree", t.root, "error", err)
	}
}

// glance looks at those of a tree's folders that have no watch.
func (w *ACLWatch) glance(t *aclTree) {
	if t.absent { // as those of all users are who never had mail: no more than one call for each
		top, err := openTopDir(t.root)
		if notThere(err) {
			return
		}
		top.close()
	}
	if t.absent || t.trouble || t.rootBlind {
		w.scan(t)
		return
	}
	top, ok := w.reenter(t)
	if !ok {
		return
	}
	defer top.close()
	for name := range t.blind {
		w.lookIn(t, top, name)
	}
}

// lookAt looks at some folders of a tree; at those marked after watching them.
func (w *ACLWatch) lookAt(t *aclTree, looks map[string]bool) {
	top, ok := w.reenter(t)
	if !ok {
		return
	}
	defer top.close()
	for name, watch := range looks {
		if watch {
			if fi, err := top.stat(name); err == nil && fi.IsDir() { // else a file, which could be watched, too
				w.watchFolder(t, name)
			} else {
				delete(t.blind, name)
			}
		}
		w.lookIn(t, top, name)
	}
}

// reenter opens the root of a tree that has been scanned. It scans the tree again where another has taken its place.
func (w *ACLWatch) reenter(t *aclTree) (*dir, bool) {
	top, err := openTopDir(t.root)
	if err == nil && top.id == t.id {
		return top, true
	}
	if err == nil {
		top.close()
	}
	w.scan(t)
	return nil, false
}

// lookIn reads a folder's ACL file and tells what is new.
func (w *ACLWatch) lookIn(t *aclTree, top *dir, dirName string) {
	was, had := t.seen[dirName]
	if !had && dirName != inboxDir && top.lacks(dirName, aclName) && top.lacks(dirName, courierACLName) {
		return // as most folders
	}
	home := top
	var f ACLFile
	var same bool
	var err error
	if dirName != inboxDir {
		home, err = top.openDir(dirName)
		if notThere(err) {
			delete(t.blind, dirName)
			w.gone(t, dirName)
			return
		}
		defer home.close()
	}
	if err != nil {
		err = aclError(filepath.Join(t.root, dirName), err)
	} else {
		f, same, err = readACL(home, t.root, dirName, was.version, w.store.opt.Clock())
	}
	if err != nil && !errors.Is(err, ErrDamaged) {
		w.troubled(t, err)
		return
	}
	if same || !had && err == nil && f.Kind == NoACL {
		return
	}
	if err == nil && f.Kind == NoACL {
		w.gone(t, dirName)
		return
	}
	now := aclSeen{version: f.Version, sum: maphash.Bytes(w.seed, f.Data)}
	if err != nil {
		now.failure = err.Error()
	}
	if t.seen == nil {
		t.seen = make(map[string]aclSeen)
	}
	t.seen[dirName] = now
	if !had || was.version.stamp != now.version.stamp || was.sum != now.sum || was.failure != now.failure {
		w.tell(t, dirName, f, err)
	}
}

// gone tells that a folder has no ACL file any more, if it had one.
func (w *ACLWatch) gone(t *aclTree, dirName string) {
	if _, had := t.seen[dirName]; !had {
		return
	}
	delete(t.seen, dirName)
	w.tell(t, dirName, ACLFile{Version: ACLVersion{looked: true}}, nil)
}

// notThere tells whether an error says that there is no such directory. A link in the place of a folder is none.
func notThere(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP)
}

// watchFolder watches a folder's directory, or notes that it is to be polled.
func (w *ACLWatch) watchFolder(t *aclTree, dirName string) {
	if t.rootBlind {
		return // the whole tree is polled
	}
	if w.watch(t, t.at+"/"+dirName) {
		delete(t.blind, dirName)
		return
	}
	if t.blind == nil {
		t.blind = make(map[string]bool)
	}
	t.blind[dirName] = true
}

// watch asks for the events of a directory. A tree has its slots for the watches that its last scan found.
func (w *ACLWatch) watch(t *aclTree, path string) bool {
	if w.fs == nil {
		return false
	}
	taken := t.watched >= t.slots
	if taken && !w.takeSlot(t) {
		return false
	}
	err := w.addWatch(path)
	if err == nil {
		t.watched++
		return true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if taken {
		t.slots--
		w.watches--
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.ENOMEM) {
		w.refusedLocked(err)
	}
	return notThere(err) // there is nothing to poll
}

// takeSlot counts a new watch, if there may be more.
func (w *ACLWatch) takeSlot(t *aclTree) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.watches >= w.limit && w.limit < w.most && time.Now().After(w.retry) {
		w.limit = w.most
	}
	if w.watches >= w.limit {
		w.outOfWatchesLocked(errTooManyWatches)
		return false
	}
	w.watches++
	t.slots++
	return true
}

var errTooManyWatches = errors.New("three in four of the watches that there may be are taken")

// refusedLocked notes that the system gives no more watches: for a while nobody asks for one.
func (w *ACLWatch) refusedLocked(err error) {
	w.limit, w.retry = w.watches, time.Now().Add(w.timing.sweep)
	w.outOfWatchesLocked(err)
}

// outOfWatchesLocked says so, once.
func (w *ACLWatch) outOfWatchesLocked(err error) {
	if !w.said {
		w.said = true
		w.log.Warn("no more directories can be watched for their ACL files; the others are polled", "error", err, "hint", "raise fs.inotify.max_user_watches")
	}
}

// freeSlotsLocked gives back what a tree has taken.
func (w *ACLWatch) freeSlotsLocked(t *aclTree) {
	w.watches -= t.slots
	t.slots, t.watched = 0, 0
}

// place notes under which path a tree's root is watched. What other trees have left there is dropped: clear tells that
// there must be some.
func (w *ACLWatch) place(t *aclTree, path string, clear bool) {
	w.rewatching.Lock()
	defer w.rewatching.Unlock()
	w.mu.Lock()
	if t.path != path && !t.dropped {
		w.unplaceLocked(t)
		t.path = path
		w.byPath[path] = append(w.byPath[path], t)
	}
	clear = clear || w.stale[path]
	delete(w.stale, path)
	w.mu.Unlock()
	if clear {
		w.unwatch(map[string]bool{path: true})
	}
}

// unplaceLocked notes that a tree's root is not watched.
func (w *ACLWatch) unplaceLocked(t *aclTree) {
	others := slices.DeleteFunc(w.byPath[t.path], func(o *aclTree) bool { return o == t })
	if len(others) > 0 {
		w.byPath[t.path] = others
	} else {
		delete(w.byPath, t.path)
	}
	w.staleLocked(t.path)
	t.path = ""
}

// staleLocked has the watches of a root's path dropped, unless it is some tree's.
func (w *ACLWatch) staleLocked(path string) {
	if path != "" && len(w.byPath[path]) == 0 {
		w.stale[path] = true
	}
}

// dropStale drops the watches of trees that are not looked after any more, or are gone.
func (w *ACLWatch) dropStale() {
	w.rewatching.Lock()
	defer w.rewatching.Unlock()
	w.mu.Lock()
	stale := w.stale
	w.stale = make(map[string]bool)
	w.mu.Unlock()
	w.unwatch(stale)
}

// unwatch drops the watches of roots and of what is directly in them, but for other roots. fsnotify alone knows which
// those are. The caller holds rewatching.
func (w *ACLWatch) unwatch(roots map[string]bool) {
	if w.fs == nil || len(roots) == 0 {
		return
	}
	for _, p := range w.fs.WatchList() {
		if parent, _, _ := cutPath(p); roots[p] || roots[parent] && !w.isRoot(p) {
			w.fs.Remove(p) // an error means that it is gone by itself
		}
	}
}

// isRoot tells whether a path is that of a tree's root.
func (w *ACLWatch) isRoot(path string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.byPath[path]) > 0
}
