package maildir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

// One fsnotify watcher serves the process. Its events are drained at once into
// the queues of the folders they belong to; what a folder makes of them is the
// folder's business. A directory is watched by its open descriptor, so events
// are of the very directory that the folder reads, whatever its path is.
//
// A barrier proves that all earlier events are in the queues: a file made in a
// private directory of the same watcher gives an event that the kernel queues
// behind them.

const (
	barrierResend = 50 * time.Millisecond
	maxQueue      = 1 << 18 // events one folder may have waiting; beyond: rescan
)

// event is what happened to one name.
type event struct {
	dir     subdir
	created bool // else it is gone
	name    string
}

// subdir is new/ or cur/.
type subdir uint8

const (
	inNew subdir = iota
	inCur
)

func (s subdir) String() string {
	if s == inNew {
		return "new"
	}
	return "cur"
}

// queue collects a folder's events until the folder takes them.
type queue struct {
	wake chan struct{} // capacity 1

	mu       sync.Mutex
	events   []event // guarded by mu
	overflow bool    // guarded by mu: events were lost
	selfGone bool    // guarded by mu: new/ or cur/ itself was removed
	look     bool    // guarded by mu: time to poll, or to see whether the folder is still there
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

func (q *queue) put(e event) {
	q.mu.Lock()
	if len(q.events) >= maxQueue {
		q.events, q.overflow = nil, true
	} else if !q.overflow {
		q.events = append(q.events, e)
	}
	q.mu.Unlock()
	q.poke()
}

func (q *queue) lost() {
	q.mu.Lock()
	q.events, q.overflow = nil, true
	q.mu.Unlock()
	q.poke()
}

func (q *queue) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// directoryGone tells the folder that a directory of its own was removed.
func (q *queue) directoryGone() {
	q.mu.Lock()
	q.selfGone = true
	q.mu.Unlock()
	q.poke()
}

// pokePoll asks the folder to look at its directories itself.
func (q *queue) pokePoll() {
	q.mu.Lock()
	q.look = true
	q.mu.Unlock()
	q.poke()
}

// takeLook tells, once, whether the folder was asked to look.
func (q *queue) takeLook() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	look := q.look || q.selfGone
	q.look, q.selfGone = false, false
	return look
}

// take gives what is waiting. buf, emptied, becomes the queue's next buffer.
func (q *queue) take(buf []event) (events []event, overflow bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	events, overflow = q.events, q.overflow
	q.events, q.overflow = buf[:0], false
	return events, overflow
}

// watched is one watched directory, and whom its events are for: the kernel has one watch for a directory,
// however many folders have opened it, under whatever names.
type watched struct {
	fd      int // our own, so that the path below stays this directory's
	path    string
	id      fileID
	targets []target
}

// target is a folder's interest in a directory.
type target struct {
	queue *queue
	dir   subdir
}

// watcher owns the fsnotify watcher and the goroutine that drains it.
type watcher struct {
	log  *slog.Logger
	fs   *fsnotify.Watcher
	done chan struct{}

	overflows atomic.Uint64 // how often events were lost

	addWatch func(path string) error // fsnotify's; tests make it fail

	changing sync.Mutex // held while watches are added and dropped; taken before mu

	mu       sync.Mutex
	byPath   map[string]*watched      // guarded by mu
	byID     map[fileID]*watched      // guarded by mu
	barriers map[uint64]chan struct{} // guarded by mu, and so is their closing
	priv     string                   // guarded by mu: directory of the barrier files
	seq      uint64                   // guarded by mu
	full     bool                     // guarded by mu: out of watches, said so
	closed   bool                     // guarded by mu
}

// newWatcher starts the watcher. Where the system gives none the error says
// why, and the store polls.
func newWatcher(log *slog.Logger) (*watcher, error) {
	fw, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("inotify: %w", err)
	}
	priv, err := newPrivate()
	if err == nil {
		err = fw.Add(priv)
	}
	if err != nil {
		fw.Close()
		if priv != "" {
			os.Remove(priv)
		}
		return nil, fmt.Errorf("inotify: %w", err)
	}
	w := &watcher{
		log: log, fs: fw, priv: priv, addWatch: fw.Add,
		done:     make(chan struct{}),
		byPath:   make(map[string]*watched),
		byID:     make(map[fileID]*watched),
		barriers: make(map[uint64]chan struct{}),
	}
	go w.drain()
	return w, nil
}

func (w *watcher) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.fs.Close()
	<-w.done
	w.mu.Lock()
	defer w.mu.Unlock()
	os.RemoveAll(w.priv)
}

// drain runs until the watcher is closed.
func (w *watcher) drain() {
	defer close(w.done)
	for {
		select {
		case ev, ok := <-w.fs.Events:
			if !ok {
				return
			}
			w.dispatch(ev)
		case err, ok := <-w.fs.Errors:
			if !ok {
				return
			}
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				w.log.Error("watching the file system", "error", err)
			}
			w.overflow()
		}
	}
}

const eventsOfInterest = fsnotify.Create | fsnotify.Remove | fsnotify.Rename

func (w *watcher) dispatch(ev fsnotify.Event) {
	if ev.Op&eventsOfInterest == 0 {
		return
	}
	dirPath, name := filepath.Split(ev.Name)
	dirPath = strings.TrimSuffix(dirPath, "/")
	w.mu.Lock()
	defer w.mu.Unlock()
	if dirPath == w.priv {
		if ev.Has(fsnotify.Create) {
			w.passBarrierLocked(name)
		}
		return
	}
	if d := w.byPath[dirPath]; d != nil {
		for _, t := range d.targets {
			if usable([]byte(name)) {
				t.queue.put(event{dir: t.dir, created: ev.Has(fsnotify.Create), name: name})
			}
		}
		return
	}
	if d := w.byPath[ev.Name]; d != nil { // it happened to the directory itself
		for _, t := range d.targets {
			t.queue.directoryGone()
		}
	}
}

func (w *watcher) overflow() {
	w.overflows.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range w.byID {
		for _, t := range d.targets {
			t.queue.lost()
		}
	}
}

var errNoWatch = errors.New("no watch to be had")

// add begins to watch d; its events go to q.
func (w *watcher) add(d *dir, q *queue, s subdir) error {
	w.changing.Lock()
	defer w.changing.Unlock()
	w.mu.Lock()
	if have := w.byID[d.id]; have != nil {
		have.targets = append(have.targets, target{q, s})
		w.mu.Unlock()
		return nil
	}
	w.mu.Unlock()
	fd, err := unix.FcntlInt(uintptr(d.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoWatch, err)
	}
	own := &watched{fd: fd, path: fmt.Sprintf("/proc/self/fd/%d", fd), id: d.id, targets: []target{{q, s}}}
	w.mu.Lock()
	w.byPath[own.path], w.byID[own.id] = own, own
	w.mu.Unlock()
	if err = w.addWatch(own.path); err == nil {
		return nil
	}
	w.mu.Lock()
	delete(w.byPath, own.path)
	delete(w.byID, own.id)
	say := !w.full && !w.closed
	w.full = true
	w.mu.Unlock()
	unix.Close(fd)
	if say {
		hint := ""
		if errors.Is(err, syscall.ENOSPC) {
			hint = "raise fs.inotify.max_user_watches"
		}
		w.log.Warn("no more directories can be watched; these folders are polled", "error", err, "hint", hint)
	}
	return fmt.Errorf("%w: %w", errNoWatch, err)
}

// drop ends what add began; the kernel's watch goes with the last interest in d.
func (w *watcher) drop(d *dir, q *queue) {
	w.changing.Lock()
	defer w.changing.Unlock()
	w.mu.Lock()
	own := w.byID[d.id]
	if own == nil {
		w.mu.Unlock()
		return
	}
	own.targets = slices.DeleteFunc(own.targets, func(t target) bool { return t.queue == q })
	last := len(own.targets) == 0
	if last {
		delete(w.byPath, own.path)
		delete(w.byID, own.id)
	}
	w.mu.Unlock()
	if last {
		w.fs.Remove(own.path) // an error means that the directory is gone: so is the watch
		unix.Close(own.fd)
	}
}

func (w *watcher) passBarrierLocked(name string) {
	n, err := strconv.ParseUint(name, 10, 64)
	if err != nil {
		return
	}
	passed, ok := w.barriers[n]
	if !ok {
		return
	}
	for k, p := range w.barriers { // its other sendings are of no use any more
		if p == passed {
			delete(w.barriers, k)
		}
	}
	select {
	case <-passed: // by an earlier sending, while this one was being registered
	default:
		close(passed)
	}
}

// newPrivate makes the directory for barriers, in memory where the system has a place for that: on a
// disk's file system each barrier costs three times as much. What processes left that were killed goes.
func newPrivate() (string, error) {
	for _, place := range []string{"/dev/shm", os.TempDir()} {
		removeLeft(place)
		if priv, err := os.MkdirTemp(place, privatePrefix+strconv.Itoa(os.Getpid())+"-"); err == nil {
			return priv, nil
		}
	}
	return os.MkdirTemp("", privatePrefix)
}

const privatePrefix = "postroom-barrier-" // then the process, a hyphen, and what makes it unique

// removeLeft removes private directories of processes that are no more. One that is taken from a living
// process by mistake, because it counts processes otherwise, is made again.
func removeLeft(place string) {
	left, _ := filepath.Glob(filepath.Join(place, privatePrefix+"*-*")) // the pattern is right
	for _, dir := range left {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), privatePrefix), "-")
		if n, err := strconv.Atoi(pid); err == nil && n > 0 && unix.Kill(n, 0) == unix.ESRCH {
			os.RemoveAll(dir)
		}
	}
}

// barrier returns when every event of what happened before the call is in its
// queue. It needs no lock of the caller's and takes none that drain waits for.
func (w *watcher) barrier(ctx context.Context) error {
	passed := make(chan struct{})
	var sent []uint64
	defer func() { w.forget(sent) }()
	t := time.NewTicker(barrierResend)
	defer t.Stop()
	for {
		n, priv, err := w.register(passed)
		if err != nil {
			return err
		}
		sent = append(sent, n)
		path := filepath.Join(priv, strconv.FormatUint(n, 10))
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if errors.Is(err, fs.ErrNotExist) {
			if err := w.renewPrivate(priv); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("barrier: %w", err)
		}
		f.Close()
		os.Remove(path)
		select {
		case <-passed:
			return nil
		case <-t.C: // lost in an overflow, or only slow: both may still come
		case <-w.done:
			return ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (w *watcher) register(passed chan struct{}) (n uint64, priv string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return 0, "", ErrClosed
	}
	w.seq++
	w.barriers[w.seq] = passed
	return w.seq, w.priv, nil
}

// renewPrivate makes another directory for the barrier files: somebody who
// tidies up has removed the old one.
func (w *watcher) renewPrivate(old string) error {
	w.changing.Lock()
	defer w.changing.Unlock()
	w.mu.Lock()
	renewed := w.priv != old || w.closed
	w.mu.Unlock()
	if renewed {
		return nil
	}
	priv, err := newPrivate()
	if err == nil {
		err = w.fs.Add(priv)
	}
	if err != nil {
		return fmt.Errorf("barrier: %w", err)
	}
	w.mu.Lock()
	w.priv = priv
	w.mu.Unlock()
	return nil
}

func (w *watcher) forget(sent []uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range sent {
		delete(w.barriers, n)
	}
}
