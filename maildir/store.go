package maildir

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// Options configure a Store; the zero value of each field is usable.
type Options struct {
	Logger *slog.Logger
	Clock  func() time.Time
	// Host is this machine's name in lock files and new message names.
	Host string
	// PollInterval is how often folders that cannot be watched are looked at.
	PollInterval time.Duration
	// NoWatch makes the store poll everything, as where the system gives no events.
	NoWatch bool
	// Linger is how long a folder that nobody has open is kept in memory.
	Linger time.Duration
	// MaxLinger bounds how many such folders are kept.
	MaxLinger int
}

const (
	defaultPoll      = 2 * time.Second
	defaultLinger    = time.Minute
	defaultMaxLinger = 64
)

// Store serves Maildir trees to one process: it owns the watcher, the table of
// open trees and folders, and a goroutine that polls and tidies. It is safe for
// concurrent use.
type Store struct {
	log   *slog.Logger
	opt   Options
	lock  *locker
	names *names
	watch *watcher // nil: everything is polled

	parsed *parsedCache
	memory giveBack
	making treeMaker
	boot   uint64 // see counter.go

	cancel context.CancelFunc
	ctx    context.Context // ends with Close
	wg     sync.WaitGroup

	mu      sync.Mutex
	trees   map[fileID]*Tree     // guarded by mu
	folders map[*Folder]bool     // guarded by mu: all that are loaded
	idle    *list.List           // guarded by mu: *Folder nobody has open, the longest idle first
	swept   map[fileID]time.Time // guarded by mu: when leftovers were last looked for
	closed  bool                 // guarded by mu
}

// NewStore starts a store. Without inotify it polls, and says so in the log.
func NewStore(opt Options) *Store {
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	if opt.Clock == nil {
		opt.Clock = time.Now
	}
	if opt.Host == "" {
		if opt.Host, _ = os.Hostname(); opt.Host == "" {
			opt.Host = "localhost"
		}
	}
	if opt.PollInterval <= 0 {
		opt.PollInterval = defaultPoll
	}
	if opt.Linger <= 0 {
		opt.Linger = defaultLinger
	}
	if opt.MaxLinger <= 0 {
		opt.MaxLinger = defaultMaxLinger
	}
	s := &Store{
		log: opt.Logger, opt: opt,
		lock:    &locker{host: opt.Host, pid: os.Getpid(), clock: opt.Clock, held: make(map[heldLock]bool)},
		names:   newNames(opt.Clock, opt.Host),
		parsed:  newParsedCache(maxParsed),
		memory:  giveBack{free: debug.FreeOSMemory},
		making:  newTreeMaker(makeTree),
		boot:    bootID(),
		trees:   make(map[fileID]*Tree),
		folders: make(map[*Folder]bool),
		idle:    list.New(),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if !opt.NoWatch {
		w, err := newWatcher(s.log)
		if err != nil {
			s.log.Warn("file system events are not to be had; folders are polled", "error", err)
		}
		s.watch = w
	}
	s.wg.Go(s.tidy)
	return s
}

// Close ends the store's goroutines and closes its files. No folder may be used afterwards.
func (s *Store) Close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	folders := make([]*Folder, 0, len(s.folders))
	for f := range s.folders {
		folders = append(folders, f)
	}
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
	for _, f := range folders {
		f.unload()
	}
	if s.watch != nil {
		s.watch.close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.trees {
		t.top.close()
	}
	s.trees = nil
}

// tidy looks at folders every PollInterval: polls those without events, sees whether a folder
// was replaced, unloads what nobody has used for long, and gives back what that has freed. What readers have seen is
// looked at, too.
func (s *Store) tidy() {
	tick := time.NewTicker(s.opt.PollInterval)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		s.sweep()
	}
}

// sweep is one look.
func (s *Store) sweep() {
	for _, f := range s.expired() {
		f.unload()
	}
	s.mu.Lock()
	var used []*Folder
	loaded := 0
	for f := range s.folders {
		if f.idleElem == nil {
			used = append(used, f)
		}
		if snap := f.snap.Load(); snap != nil {
			loaded += snap.Len()
		}
	}
	trees := slices.Collect(maps.Values(s.trees))
	s.mu.Unlock()
	for _, t := range trees {
		t.seen.look()
	}
	for _, f := range used {
		f.queue.pokePoll()
	}
	s.memory.look(s.opt.Clock(), loaded)
}

// expired takes the folders out of the table whose time is up.
func (s *Store) expired() []*Folder {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*Folder
	for e := s.idle.Front(); e != nil; e = s.idle.Front() {
		f := e.Value.(*Folder)
		if s.idle.Len() <= s.opt.MaxLinger && s.opt.Clock().Sub(f.idleSince) < s.opt.Linger {
			break
		}
		s.forgetLocked(f)
		out = append(out, f)
	}
	return out
}

// forgetLocked takes a folder out of all tables.
func (s *Store) forgetLocked(f *Folder) {
	if f.idleElem != nil {
		s.idle.Remove(f.idleElem)
		f.idleElem = nil
	}
	if f.tree.folders[f.dirName] == f {
		delete(f.tree.folders, f.dirName)
	}
	delete(s.folders, f)
	s.releaseTreeLocked(f.tree)
}

// TreeOptions are what a tree does not say itself.
type TreeOptions struct {
	// Separator divides the parts of folder names; '/' if zero.
	Separator byte
	// Create makes the tree, and its missing parents, when it is not there.
	Create bool
}

// OpenTree opens the Maildir++ tree at path. Opening it again gives the same
// Tree; each OpenTree wants one Close. ErrNoFolder if there is none.
func (s *Store) OpenTree(path string, opt TreeOptions) (*Tree, error) {
	if opt.Separator == 0 {
		opt.Separator = '/'
	}
	path = filepath.Clean(path)
	top, err := s.making.open(path, opt.Create)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", path, ErrNoFolder)
	}
	if err != nil {
		return nil, wrapSys("open", path, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		top.close()
		return nil, ErrClosed
	}
	if t := s.trees[top.id]; t != nil {
		top.close()
		t.refs++
		return t, nil
	}
	t := &Tree{store: s, path: path, top: top, sep: opt.Separator, refs: 1, folders: make(map[string]*Folder)}
	t.seen.tree = t
	s.trees[top.id] = t
	return t, nil
}

func (s *Store) releaseTreeLocked(t *Tree) {
	if t.refs--; t.refs == 0 {
		delete(s.trees, t.top.id)
		t.top.close()
	}
}
