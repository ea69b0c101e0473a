package maildir

import (
	"errors"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

// The parts of ACLWatch that find out where to look: from events, and by going round.

// drain takes events and errors until the watcher is closed. It waits for nothing but mu.
func (w *ACLWatch) drain() {
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
			if errors.Is(err, unix.EINVAL) {
				continue // the watch of a directory that was moved and removed was gone already; its event comes, too
			}
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				w.log.Error("watching ACL files", "error", err)
			}
			w.scanAll()
		}
	}
}

// dispatch puts down the work that an event makes: most make none.
func (w *ACLWatch) dispatch(ev fsnotify.Event) {
	parent, name, ok := cutPath(ev.Name)
	if !ok {
		return
	}
	if name == aclName || name == courierACLName {
		w.fileChanged(parent)
		return
	}
	if ev.Op&eventsOfInterest == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if isFolderDir(name) {
		for _, t := range w.byPath[parent] {
			if ev.Has(fsnotify.Rename) {
				// Its watch is dropped, perhaps only after it was asked for under the new name.
				w.scanLocked(t, inUrgent)
			} else {
				w.lookLocked(t, name, true)
			}
		}
	}
	if !ev.Has(fsnotify.Create) {
		for _, t := range w.byPath[ev.Name] { // the root itself
			w.scanLocked(t, inUrgent)
		}
	}
}

// fileChanged has the ACL file in a directory looked at.
func (w *ACLWatch) fileChanged(path string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.byPath[path] {
		w.lookLocked(t, inboxDir, false)
	}
	if parent, name, ok := cutPath(path); ok && isFolderDir(name) {
		for _, t := range w.byPath[parent] {
			w.lookLocked(t, name, false)
		}
	}
}

// cutPath cuts a path before its last part.
func cutPath(path string) (parent, name string, ok bool) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 || i+1 == len(path) {
		return "", "", false
	}
	return path[:i], path[i+1:], true
}

// scanAll has all trees scanned: events were lost.
func (w *ACLWatch) scanAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.order {
		w.scanLocked(t, inBulk)
	}
}

// patrol looks after what events do not tell of, until the watch is closed.
func (w *ACLWatch) patrol() {
	last, rest := time.Now(), w.timing.poll
	from, due := 0, 0.0 // where the sweep of all trees stands in order, and which part of them it owes
	for {
		select {
		case <-w.ctx.Done():
			return
		case <-time.After(rest):
		}
		start := time.Now()
		due = min(due+float64(start.Sub(last))/float64(w.timing.sweep), 1)
		last = start
		w.dropStale()
		polled, swept, all := w.beat(from, due)
		for _, t := range polled {
			w.visit(t, w.glance)
		}
		for _, t := range swept {
			w.visit(t, w.scan)
		}
		if all > 0 {
			from = (from + len(swept)) % all
			due -= float64(len(swept)) / float64(all)
		}
		rest = max(w.timing.poll, aclRest*time.Since(start))
	}
}

// beat gives the trees for a round of the patrol, and how many there are in all.
func (w *ACLWatch) beat(from int, due float64) (polled, swept []*aclTree, all int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	all = len(w.order)
	for i := range int(due * float64(all)) {
		swept = append(swept, w.order[(from+i)%all])
	}
	for _, t := range w.order {
		if t.poll {
			polled = append(polled, t)
		}
	}
	return polled, swept, all
}

// visit does something with a tree, unless somebody else is at it.
func (w *ACLWatch) visit(t *aclTree, do func(*aclTree)) {
	if !w.claim(t) {
		return
	}
	do(t)
	w.mu.Lock()
	w.releaseLocked(t, true)
	w.mu.Unlock()
}
