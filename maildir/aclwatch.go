package maildir

import (
	"context"
	"hash/maphash"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// An ACLWatch keeps an eye on the ACL files of many trees, whether anybody has them open or not. It watches each
// tree's root and each folder's directory, not new/ and cur/, by an fsnotify watcher of its own, so that
// the many events of an open folder and the few of ACL files do not push each other out of a queue.
//
// A folder costs a watch and nothing else, unless it has an ACL file. So watches are known by their paths: the
// one goroutine that drains events turns a path into a tree and a folder's directory, and puts that down as work. A few
// workers take it up, a tree at a time and no tree twice at a time: they watch first and look then, so what happens
// in between makes an event. What is told comes from what was found, never from an event.
//
// What events miss is found by a patrol: directories that could not be watched, trees that could not be found, and
// by and by all trees. It rests nine times as long as it works.
//
// A directory that is moved keeps its watch under the old path until the event of that has been seen; then fsnotify
// has dropped the watch, and the tree is scanned. When a whole tree moves, its folders' watches know nothing of it, and
// are dropped here.

const (
	aclPollEvery  = time.Second
	aclSweepEvery = 10 * time.Minute
	aclRest       = 9 // times what a round of the patrol took
	aclWorkers    = 4
	maxLooks      = 64 // folders of one tree that are looked at singly; more, and the tree is scanned
)

// ACLChange is what became of a folder's ACL file.
type ACLChange struct {
	Root string  // of the tree, as Set was given it
	Dir  string  // the folder's directory in it; "" for INBOX
	File ACLFile // its Kind is NoACL when there is none any more
	Err  error   // ErrDamaged: the file is there and cannot be read
}

// ACLWatch looks after the ACL files of trees. It is safe for concurrent use.
type ACLWatch struct {
	store   *Store
	log     *slog.Logger
	changed func(ACLChange)
	fs      *fsnotify.Watcher // nil: everything is polled
	timing  aclTiming
	seed    maphash.Seed // of aclSeen.sum

	addWatch func(path string) error // fsnotify's; tests make it fail

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	setting    sync.Mutex // held during Set; taken before rewatching
	rewatching sync.Mutex // held while watches are dropped, or a root placed, whose watches must not be; taken before mu
	telling    sync.Mutex // held while changed is called; taken before mu

	mu      sync.Mutex
	work    *sync.Cond            // on mu: there is work, or closed
	trees   map[string]*aclTree   // guarded by mu: by root
	order   []*aclTree            // guarded by mu: the same, for the patrol
	byPath  map[string][]*aclTree // guarded by mu: by the path under which the root is watched
	urgent  []*aclTree            // guarded by mu: queue of trees with work
	bulk    []*aclTree            // guarded by mu: queue of those that can wait
	stale   map[string]bool       // guarded by mu: paths of trees whose watches are to be dropped
	unseen  int                   // guarded by mu: trees not scanned yet
	ready   chan struct{}         // guarded by mu: closed when unseen is 0
	watches int                   // guarded by mu: how many there are, about
	most    int                   // guarded by mu: how many there may be
	limit   int                   // guarded by mu: the same, or fewer where the system has refused more
	retry   time.Time             // guarded by mu: when to ask for more than limit again
	said    bool                  // guarded by mu: that there are too few
	closed  bool                  // guarded by mu
}

// aclTiming is how often the patrol goes its rounds; tests make it go faster.
type aclTiming struct{ poll, sweep time.Duration }

// aclTree is a tree that is looked after.
type aclTree struct {
	root string // as given

	// Guarded by ACLWatch.mu.
	path    string          // where it stands in byPath
	queued  queuedIn        // in which queue
	busy    bool            // somebody has claimed it
	whole   bool            // work: a scan
	waiting []chan struct{} // to be closed when that has been done
	looks   map[string]bool // work: folders to look at; true if they are to be watched, too
	scanned bool
	dropped bool
	poll    bool // the patrol is to look at it in each round

	// Of whoever has claimed it.
	at        string // the root's path without links, when it was scanned
	id        fileID
	slots     int                // watches that are counted for it
	watched   int                // watches that the scan has found or made
	seen      map[string]aclSeen // folders that have an ACL file, by directory
	absent    bool               // there is no tree
	trouble   bool               // it could not be read to its end
	said      string             // why, as logged
	rootBlind bool               // the root has no watch
	blind     map[string]bool    // folders' directories that have none; empty while rootBlind
}

type queuedIn uint8

const (
	inNone queuedIn = iota
	inBulk
	inUrgent
)

// aclSeen is what was told of a folder's ACL file.
type aclSeen struct {
	version ACLVersion
	sum     uint64 // of the octets
	failure string
}

// NewACLWatch starts to look after ACL files. changed is called for each that is found by the first scan of a tree, and
// for each change from then on: by a goroutine of the watch, one call at a time, in the order in which it was so for each
// folder. It may read ACL files and call Set, not Refresh, Ready or Close. The watch must be closed.
func (s *Store) NewACLWatch(changed func(ACLChange)) *ACLWatch {
	w := s.newACLWatch(changed, aclTiming{aclPollEvery, aclSweepEvery})
	w.start()
	return w
}

func (s *Store) newACLWatch(changed func(ACLChange), timing aclTiming) *ACLWatch {
	w := &ACLWatch{
		store: s, log: s.log, changed: changed, timing: timing,
		trees:  make(map[string]*aclTree),
		byPath: make(map[string][]*aclTree),
		stale:  make(map[string]bool),
		ready:  make(chan struct{}),
		seed:   maphash.MakeSeed(),
		most:   maxACLWatches(),
	}
	w.limit = w.most
	close(w.ready)
	w.work = sync.NewCond(&w.mu)
	w.ctx, w.cancel = context.WithCancel(context.Background())
	if s.opt.NoWatch {
		return w
	}
	fw, err := fsnotify.NewWatcher()
	if err != nil {
		w.log.Warn("file system events are not to be had; ACL files are polled", "error", err)
		return w
	}
	w.fs, w.addWatch = fw, fw.Add
	return w
}

func (w *ACLWatch) start() {
	if w.fs != nil {
		w.wg.Go(w.drain)
	}
	for range aclWorkers {
		w.wg.Go(w.serve)
	}
	w.wg.Go(w.patrol)
}

// maxACLWatches is how many watches may be taken: three in four of what the system gives a user, as folders in use, and
// other programs, want theirs.
func maxACLWatches() int {
	b, err := os.ReadFile("/proc/sys/fs/inotify/max_user_watches")
	if err == nil {
		if n, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && n > 0 {
			return n - n/4
		}
	}
	return 1 << 20
}

// Close ends the watch. When it returns changed is not called any more.
func (w *ACLWatch) Close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.cancel()
	w.work.Broadcast()
	if w.fs != nil {
		w.fs.Close()
	}
	w.wg.Wait()
}

// Set says which trees are to be looked after, by the paths of their roots; they need not exist. Of trees that are not among them
// any more nothing more is told, but for a call of changed that has begun already.
func (w *ACLWatch) Set(roots []string) {
	w.setting.Lock()
	defer w.setting.Unlock()
	want := make(map[string]bool, len(roots))
	for _, r := range roots {
		want[filepath.Clean(r)] = true
	}
	w.dropOthers(want)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range roots {
		root := filepath.Clean(r)
		if w.trees[root] != nil {
			continue
		}
		t := &aclTree{root: root}
		w.trees[root] = t
		w.order = append(w.order, t)
		if w.unseen++; w.unseen == 1 {
			w.ready = make(chan struct{})
		}
		w.scanLocked(t, inBulk)
	}
}

// dropOthers drops the trees that are not wanted, and their watches: one that has been moved may be wanted under its new
// path, and a directory has one watch.
func (w *ACLWatch) dropOthers(want map[string]bool) {
	w.mu.Lock()
	for root, t := range w.trees {
		if want[root] {
			continue
		}
		delete(w.trees, root)
		t.dropped = true
		for _, told := range t.waiting {
			close(told)
		}
		t.waiting = nil
		w.unplaceLocked(t)
		if !t.busy {
			w.freeSlotsLocked(t)
		}
		if !t.scanned {
			w.scannedLocked(t)
		}
	}
	w.order = slices.DeleteFunc(w.order, func(t *aclTree) bool { return t.dropped })
	w.mu.Unlock()
	w.dropStale()
}

// Ready returns when each tree of the last Set has been scanned once, and what was found has been told.
func (w *ACLWatch) Ready(ctx context.Context) error {
	for {
		w.mu.Lock()
		ready, all := w.ready, w.unseen == 0
		w.mu.Unlock()
		if all {
			return nil
		}
		select {
		case <-ready:
		case <-ctx.Done():
			return ctx.Err()
		case <-w.ctx.Done():
			return ErrClosed
		}
	}
}

// Refresh has a tree looked at, and returns when all that was so before has been told, or ctx ends: the caller has changed
// an ACL file or a folder's name, or has made the tree, and is going to say so.
func (w *ACLWatch) Refresh(ctx context.Context, root string) {
	w.mu.Lock()
	t := w.trees[filepath.Clean(root)]
	if t == nil || w.closed {
		w.mu.Unlock()
		return
	}
	told := make(chan struct{})
	t.waiting = append(t.waiting, told)
	w.scanLocked(t, inUrgent)
	w.mu.Unlock()
	select {
	case <-told:
	case <-ctx.Done():
	case <-w.ctx.Done():
	}
}

// scanLocked puts down that a tree is to be scanned.
func (w *ACLWatch) scanLocked(t *aclTree, q queuedIn) {
	t.whole = true
	w.queueLocked(t, q)
}

// lookLocked puts down a folder to look at.
func (w *ACLWatch) lookLocked(t *aclTree, dirName string, watch bool) {
	if t.looks == nil {
		t.looks = make(map[string]bool)
	}
	t.looks[dirName] = t.looks[dirName] || watch
	t.whole = t.whole || len(t.looks) > maxLooks
	w.queueLocked(t, inUrgent)
}

// queueLocked queues a tree that has work, unless somebody is at it: releaseLocked does it then.
func (w *ACLWatch) queueLocked(t *aclTree, q queuedIn) {
	if t.busy || t.queued >= q {
		return
	}
	t.queued = q
	if q == inUrgent {
		w.urgent = append(w.urgent, t)
	} else {
		w.bulk = append(w.bulk, t)
	}
	w.work.Signal()
}

// serve is a worker: it does what is put down, until the watch is closed.
func (w *ACLWatch) serve() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for !w.closed {
		t := w.nextLocked()
		if t == nil {
			w.work.Wait()
			continue
		}
		whole, looks, waiting := t.whole, t.looks, t.waiting
		t.busy, t.whole, t.looks, t.waiting = true, false, nil, nil
		w.mu.Unlock()
		if whole {
			w.scan(t)
		} else {
			w.lookAt(t, looks)
		}
		for _, told := range waiting {
			close(told)
		}
		w.mu.Lock()
		w.releaseLocked(t, whole)
	}
}

// nextLocked takes a tree out of the queues. An entry of a tree that is in another queue by now, or claimed, is void.
func (w *ACLWatch) nextLocked() *aclTree {
	for _, q := range []struct {
		queue *[]*aclTree
		is    queuedIn
	}{{&w.urgent, inUrgent}, {&w.bulk, inBulk}} {
		for len(*q.queue) > 0 {
			t := (*q.queue)[0]
			(*q.queue)[0] = nil
			*q.queue = (*q.queue)[1:]
			if t.queued != q.is {
				continue
			}
			t.queued = inNone
			if !t.busy && !t.dropped {
				return t
			}
		}
	}
	return nil
}

// claim gives the tree to the caller, unless somebody has it.
func (w *ACLWatch) claim(t *aclTree) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t.busy || t.dropped || w.closed {
		return false
	}
	t.busy = true
	return true
}

// releaseLocked ends what claim or a worker began; whole if the tree was scanned.
func (w *ACLWatch) releaseLocked(t *aclTree, whole bool) {
	t.busy = false
	t.poll = t.absent || t.trouble || t.rootBlind || len(t.blind) > 0
	if t.dropped {
		w.staleLocked(t.at) // watches may have been added since it was dropped
		w.freeSlotsLocked(t)
		return
	}
	if whole && !t.scanned {
		w.scannedLocked(t)
	}
	if t.whole || t.looks != nil {
		w.queueLocked(t, inUrgent)
	}
}

func (w *ACLWatch) scannedLocked(t *aclTree) {
	t.scanned = true
	if w.unseen--; w.unseen == 0 {
		close(w.ready)
	}
}

// tell calls changed.
func (w *ACLWatch) tell(t *aclTree, dirName string, f ACLFile, err error) {
	w.telling.Lock()
	defer w.telling.Unlock()
	w.mu.Lock()
	void := t.dropped || w.closed
	w.mu.Unlock()
	if !void {
		w.changed(ACLChange{Root: t.root, Dir: dirName, File: f, Err: err})
	}
}
