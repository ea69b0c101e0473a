package maildir

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

// aclEar keeps what an ACLWatch told.
type aclEar struct {
	watch *ACLWatch

	mu    sync.Mutex
	state map[string]string // by path of the folder's directory: kind and octets, or an error
	calls int
}

func (e *aclEar) hear(c ACLChange) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls++
	key := filepath.Join(c.Root, c.Dir)
	switch {
	case c.Err != nil:
		e.state[key] = "damaged"
	case c.File.Kind == NoACL:
		delete(e.state, key)
	default:
		e.state[key] = fmt.Sprintf("%d %s", c.File.Kind, c.File.Data)
	}
}

func (e *aclEar) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.calls
}

func (e *aclEar) says(path string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.state[path]
}

// wait polls until the watch has told what is wanted of a folder's directory; "" is that there is no file.
func (e *aclEar) wait(t *testing.T, path, want string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); e.says(path) != want; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: %q was told, not %q", path, e.says(path), want)
		}
	}
}

// listen starts a watch and waits until it has scanned the roots. tweak may change it before.
func listen(t testing.TB, s *Store, timing aclTiming, tweak func(*ACLWatch), roots ...string) *aclEar {
	t.Helper()
	e := &aclEar{state: make(map[string]string)}
	e.watch = s.newACLWatch(e.hear, timing)
	if tweak != nil {
		tweak(e.watch)
	}
	e.watch.start()
	t.Cleanup(e.watch.Close)
	e.watch.Set(roots)
	must(t, e.watch.Ready(t.Context()))
	return e
}

var (
	never = aclTiming{time.Hour, time.Hour}                    // what is told comes from events
	often = aclTiming{time.Millisecond, time.Hour}             // or from polling
	swept = aclTiming{time.Millisecond, 20 * time.Millisecond} // or from the sweep
)

// eachWay runs a test with events, and without.
func eachWay(t *testing.T, do func(t *testing.T, s *Store, timing aclTiming, tweak func(*ACLWatch))) {
	none := func(*ACLWatch) {}
	t.Run("watched", func(t *testing.T) { do(t, testStore(t, Options{}), never, none) })
	t.Run("polled", func(t *testing.T) { do(t, testStore(t, Options{NoWatch: true}), often, none) })
	t.Run("no watch left", func(t *testing.T) {
		do(t, testStore(t, Options{Logger: discard}), often, func(w *ACLWatch) {
			w.addWatch = func(string) error { return syscall.ENOSPC }
		})
	})
	t.Run("one watch", func(t *testing.T) {
		do(t, testStore(t, Options{Logger: discard}), often, func(w *ACLWatch) { w.most, w.limit = 1, 1 })
	})
	t.Run("swept", func(t *testing.T) {
		do(t, testStore(t, Options{}), swept, func(w *ACLWatch) {
			w.addWatch = func(string) error { return nil } // and nothing ever comes
		})
	})
}

func TestACLWatch(t *testing.T) {
	eachWay(t, func(t *testing.T, s *Store, timing aclTiming, tweak func(*ACLWatch)) {
		dir := filepath.Join(t.TempDir(), "Maildir")
		tree := testTree(t, s, dir)
		for _, name := range []string{"Work", "Other", "Plain"} {
			must(t, tree.Create(t.Context(), name, nil))
		}
		work, other := dir+"/.Work", dir+"/.Other"
		put(t, work+"/dovecot-acl", "owner lr\n")
		put(t, other+"/courierimapacl", "owner a\n")
		e := listen(t, s, timing, tweak, dir)
		if a, b, c := e.says(work), e.says(other), e.says(dir); a != "1 owner lr\n" || b != "2 owner a\n" || c != "" {
			t.Errorf("at first: %q %q %q", a, b, c)
		}
		// In place, by a rename, and away.
		put(t, work+"/dovecot-acl", "owner lrs\n")
		e.wait(t, work, "1 owner lrs\n")
		put(t, work+"/new-acl", "owner a\n")
		must(t, os.Rename(work+"/new-acl", work+"/dovecot-acl"))
		e.wait(t, work, "1 owner a\n")
		must(t, os.Remove(work+"/dovecot-acl"))
		e.wait(t, work, "")
		put(t, dir+"/dovecot-acl", "anyone l\n")
		e.wait(t, dir, "1 anyone l\n")
		setACL(t, tree, "Other", []byte("owner lr\n"))
		e.wait(t, other, "1 owner lr\n")
		must(t, os.Rename(other+"/dovecot-acl", other+"/x"))
		e.wait(t, other, "2 owner a\n")
		// A FIFO in its place, and the rights taken away, which only its owner may not mind.
		must(t, syscall.Mkfifo(work+"/dovecot-acl", 0o600))
		e.wait(t, work, "damaged")
		must(t, os.Remove(work+"/dovecot-acl"))
		e.wait(t, work, "")
		// Folders come, move and go.
		must(t, tree.Create(t.Context(), "Fresh", []byte("user=bob l\n")))
		e.wait(t, dir+"/.Fresh", "1 user=bob l\n")
		setACL(t, tree, "Fresh", []byte("user=bob lr\n"))
		e.wait(t, dir+"/.Fresh", "1 user=bob lr\n")
		must(t, tree.Rename(t.Context(), "Fresh", "Stale"))
		e.wait(t, dir+"/.Fresh", "")
		e.wait(t, dir+"/.Stale", "1 user=bob lr\n")
		setACL(t, tree, "Stale", []byte("user=bob a\n"))
		e.wait(t, dir+"/.Stale", "1 user=bob a\n")
		must(t, tree.Delete(t.Context(), "Stale"))
		e.wait(t, dir+"/.Stale", "")
		must(t, tree.Create(t.Context(), "Stale", nil))
		setACL(t, tree, "Stale", []byte("user=bob r\n"))
		e.wait(t, dir+"/.Stale", "1 user=bob r\n")
	})
}

// A tree that comes, moves away, and is replaced by another.
func TestACLWatchTrees(t *testing.T) {
	eachWay(t, func(t *testing.T, s *Store, timing aclTiming, tweak func(*ACLWatch)) {
		top := t.TempDir()
		a, b := top+"/a", top+"/b"
		make := func(path, acl string) {
			t.Helper()
			must(t, os.MkdirAll(path+"/.Work", 0o700))
			put(t, path+"/.Work/dovecot-acl", acl)
		}
		e := listen(t, s, timing, tweak, a, b)
		make(a, "one")
		must(t, os.Mkdir(a+"/.Extra", 0o700))
		e.watch.Refresh(context.Background(), a)
		e.wait(t, a+"/.Work", "1 one")
		must(t, os.Rename(a, top+"/c"))
		e.wait(t, a+"/.Work", "")
		make(a, "two")
		e.watch.Refresh(context.Background(), a)
		e.wait(t, a+"/.Work", "1 two")
		put(t, a+"/.Work/dovecot-acl", "three")
		e.wait(t, a+"/.Work", "1 three")
		// What has moved is looked after under its new path, if anybody wants it.
		put(t, top+"/c/.Work/dovecot-acl", "four")
		e.watch.Set([]string{a, b, top + "/c"})
		must(t, e.watch.Ready(t.Context()))
		put(t, top+"/c/.Extra/dovecot-acl", "extra")
		e.wait(t, top+"/c/.Extra", "1 extra")
		e.watch.Set([]string{b, top + "/c"})
		must(t, e.watch.Ready(t.Context()))
		e.wait(t, top+"/c/.Work", "1 four")
		put(t, top+"/c/.Work/dovecot-acl", "five")
		e.wait(t, top+"/c/.Work", "1 five")
		if got := e.says(a + "/.Work"); got != "1 three" {
			t.Errorf("of a tree that is not wanted: %q", got)
		}
		// Two paths to one tree.
		must(t, os.Symlink(top+"/c", top+"/d"))
		e.watch.Set([]string{top + "/c", top + "/d"})
		must(t, e.watch.Ready(t.Context()))
		put(t, top+"/c/.Work/dovecot-acl", "six")
		e.wait(t, top+"/c/.Work", "1 six")
		e.wait(t, top+"/d/.Work", "1 six")
		e.watch.Set([]string{top + "/d"})
		put(t, top+"/c/.Work/dovecot-acl", "seven")
		e.wait(t, top+"/d/.Work", "1 seven")
		if got := e.says(top + "/c/.Work"); got != "1 six" {
			t.Errorf("of a tree that is not wanted: %q", got)
		}
	})
}

// A tree that is not there when the watch begins is found without being asked for.
func TestACLWatchNewTree(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Maildir")
	e := listen(t, testStore(t, Options{}), often, nil, dir)
	must(t, os.Mkdir(dir, 0o700))
	put(t, dir+"/dovecot-acl", "anyone l\n")
	e.wait(t, dir, "1 anyone l\n")
}

// When events were lost everything is looked at again.
func TestACLWatchOverflow(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Maildir")
	s := testStore(t, Options{})
	testTree(t, s, dir)
	e := listen(t, s, never, func(w *ACLWatch) { w.addWatch = func(string) error { return nil } }, dir)
	put(t, dir+"/dovecot-acl", "anyone l\n")
	e.watch.fs.Errors <- fsnotify.ErrEventOverflow
	e.wait(t, dir, "1 anyone l\n")
}

// What is deleted by a rename and a removal gives fsnotify an error: no events were lost by that.
func TestACLWatchNoOverflow(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Maildir")
	s := testStore(t, Options{})
	testTree(t, s, dir)
	e := listen(t, s, never, func(w *ACLWatch) { w.addWatch = func(string) error { return nil } }, dir)
	put(t, dir+"/dovecot-acl", "anyone l\n")
	for range 2 { // when the second is taken the first has been handled
		e.watch.fs.Errors <- syscall.EINVAL
	}
	e.watch.mu.Lock()
	defer e.watch.mu.Unlock()
	if tr := e.watch.trees[dir]; tr.whole || tr.busy || e.count() != 0 {
		t.Error("everything is scanned")
	}
}

// changed may use the watch and the store.
func TestACLWatchFromChanged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Maildir")
	s := testStore(t, Options{})
	tree := testTree(t, s, dir)
	must(t, tree.Create(t.Context(), "Work", []byte("owner lr\n")))
	var w *ACLWatch
	told := make(chan string, 10)
	w = s.newACLWatch(func(c ACLChange) {
		w.Set([]string{dir, dir + "/none"})
		f, _, err := tree.ReadACL("Work", ACLVersion{})
		told <- fmt.Sprint(string(f.Data), err)
	}, never)
	w.start()
	defer w.Close()
	w.Set([]string{dir})
	if got := <-told; got != "owner lr\n<nil>" {
		t.Errorf("%q", got)
	}
	must(t, w.Ready(t.Context()))
}

// Where there are too few watches it is said once, and asked for again later.
func TestACLWatchTooFew(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Maildir")
	log := &logLines{}
	s := testStore(t, Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
	tree := testTree(t, s, dir)
	for _, name := range []string{"a", "b", "c"} {
		must(t, tree.Create(t.Context(), name, nil))
	}
	var mu sync.Mutex
	full := true
	e := listen(t, s, swept, func(w *ACLWatch) {
		add := w.addWatch
		w.addWatch = func(path string) error {
			mu.Lock()
			defer mu.Unlock()
			if full && path != dir {
				return syscall.ENOSPC
			}
			return add(path)
		}
	}, dir)
	put(t, dir+"/.a/dovecot-acl", "owner lr\n")
	e.wait(t, dir+"/.a", "1 owner lr\n")
	mu.Lock()
	full = false
	mu.Unlock()
	for end := time.Now().Add(20 * time.Second); len(e.watch.fs.WatchList()) < 4; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("watches are not asked for again")
		}
	}
	if n := strings.Count(log.String(), "max_user_watches"); n != 1 {
		t.Errorf("said %d times: %s", n, log)
	}
}

// logLines is a log that is read while it is written.
type logLines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A tree, or a folder, that may not be searched is tried again; what was told of it stays.
func TestACLWatchTrouble(t *testing.T) {
	if notAsRoot(t) { // root may search everything
		return
	}
	dir := filepath.Join(t.TempDir(), "Maildir")
	log := &logLines{}
	s := testStore(t, Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
	tree := testTree(t, s, dir)
	must(t, tree.Create(t.Context(), "Work", []byte("owner lr\n")))
	must(t, tree.Create(t.Context(), "Shut", []byte("owner a\n")))
	must(t, os.Chmod(dir+"/.Shut", 0))
	e := listen(t, s, swept, nil, dir)
	e.wait(t, dir+"/.Shut", "damaged")
	e.wait(t, dir+"/.Work", "1 owner lr\n")
	must(t, os.Chmod(dir, 0))
	for end := time.Now().Add(20 * time.Second); !strings.Contains(log.String(), "cannot be searched"); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nothing is said")
		}
	}
	e.wait(t, dir+"/.Work", "1 owner lr\n")
	must(t, os.Chmod(dir, 0o700))
	must(t, os.Chmod(dir+"/.Shut", 0o700))
	e.wait(t, dir+"/.Shut", "1 owner a\n")
	put(t, dir+"/.Work/dovecot-acl", "owner lrs\n")
	e.wait(t, dir+"/.Work", "1 owner lrs\n")
}

// A folder that is renamed may lose its watch after it was asked for under the new name, which no event tells: so each
// rename has all folders of the tree watched again.
func TestACLWatchAfterRename(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Maildir")
	s := testStore(t, Options{})
	tree := testTree(t, s, dir)
	must(t, tree.Create(t.Context(), "Work", nil))
	asked := make(chan string, 100)
	e := listen(t, s, never, func(w *ACLWatch) {
		w.addWatch = func(path string) error { asked <- path; return nil }
	}, dir)
	for len(asked) > 0 {
		<-asked
	}
	e.watch.dispatch(fsnotify.Event{Name: dir + "/.Before", Op: fsnotify.Rename})
	for _, want := range []string{dir, dir + "/.Work"} {
		select {
		case got := <-asked:
			if got != want {
				t.Errorf("%s is watched, want %s", got, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s is not watched again", want)
		}
	}
}

// Other files of a folder make no work.
func TestACLWatchOtherFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Maildir")
	s := testStore(t, Options{})
	tree := testTree(t, s, dir)
	must(t, tree.Create(t.Context(), "Work", []byte("owner lr\n")))
	e := listen(t, s, never, nil, dir)
	w := e.watch
	for _, name := range []string{"/dovecot-uidlist.lock", "/.Work/dovecot-uidlist.lock", "/.Work/dovecot-acl.lock", "/..postroom-make.x", "/.Work/.x"} {
		for _, op := range []fsnotify.Op{fsnotify.Create, fsnotify.Write, fsnotify.Remove, fsnotify.Rename, fsnotify.Chmod} {
			w.dispatch(fsnotify.Event{Name: dir + name, Op: op})
		}
	}
	w.mu.Lock()
	tr := w.trees[dir]
	if tr.whole || tr.looks != nil || tr.busy {
		t.Error("work was put down")
	}
	w.mu.Unlock()
	if n := e.count(); n != 1 {
		t.Errorf("%d calls", n)
	}
}

// Dropping trees drops their watches, and the count of watches is right.
func TestACLWatchDropsWatches(t *testing.T) {
	top := t.TempDir()
	s := testStore(t, Options{})
	var roots []string
	for i := range 10 {
		root := fmt.Sprintf("%s/%d", top, i)
		must(t, os.MkdirAll(root+"/.Work", 0o700))
		must(t, os.MkdirAll(root+"/.Other", 0o700))
		roots = append(roots, root)
	}
	e := listen(t, s, never, nil, roots...)
	count := func(want int) {
		t.Helper()
		e.watch.mu.Lock()
		defer e.watch.mu.Unlock()
		if got := len(e.watch.fs.WatchList()); got != want || e.watch.watches != want {
			t.Errorf("%d watches, %d counted, want %d", got, e.watch.watches, want)
		}
	}
	count(30)
	e.watch.Set(roots[:4])
	count(12)
	e.watch.Set(roots[3:])
	must(t, e.watch.Ready(t.Context()))
	count(21)
	e.watch.Set(nil)
	count(0)
	must(t, e.watch.Ready(t.Context()))
}

// Changes while the watch starts, changes its trees and ends: the last state of each file is told.
func TestACLWatchTogether(t *testing.T) {
	top := t.TempDir()
	s := testStore(t, Options{})
	var roots []string
	for i := range 20 {
		root := fmt.Sprintf("%s/%d", top, i)
		must(t, os.MkdirAll(root+"/.Work", 0o700))
		roots = append(roots, root)
	}
	e := &aclEar{state: make(map[string]string)}
	e.watch = s.newACLWatch(e.hear, never)
	e.watch.start()
	t.Cleanup(e.watch.Close)
	var wg sync.WaitGroup
	for i, root := range roots {
		wg.Go(func() {
			for n := range 50 {
				put(t, root+"/.Work/dovecot-acl", fmt.Sprint(n))
				if n%10 == i%10 {
					must(t, os.Rename(root+"/.Work", root+"/.Else"))
					must(t, os.Rename(root+"/.Else", root+"/.Work"))
				}
			}
		})
	}
	for n := range 20 {
		e.watch.Set(roots[:n])
		e.watch.Refresh(context.Background(), roots[n])
	}
	e.watch.Set(roots)
	wg.Wait()
	for _, root := range roots {
		e.wait(t, root+"/.Work", "1 49")
		e.wait(t, root+"/.Else", "")
	}
}
