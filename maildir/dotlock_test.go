package maildir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A process that is killed between making a lock and writing its name into it
// must not keep others out; one that lives, and could not write it, must.
func TestLockWithoutName(t *testing.T) {
	path := t.TempDir()
	d, err := openTopDir(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	later := func() time.Time { return time.Now().Add(lockYoung + time.Second) }
	l := &locker{host: "here", pid: os.Getpid(), clock: later, held: make(map[heldLock]bool)}
	file := filepath.Join(path, "list.lock")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := l.lock(context.Background(), d, "list", nil)
	if err != nil {
		t.Fatalf("a dead process's lock without a name: %v", err)
	}
	if err := os.Truncate(file, 0); err != nil { // as on a full disk
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(file, old, old); err != nil {
		t.Fatal(err)
	}
	other := &locker{host: "here", pid: os.Getpid() + 1, clock: later, held: make(map[heldLock]bool)}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := other.lock(ctx, d, "list", nil); !errors.Is(err, ErrBusy) {
		t.Fatalf("a living process's lock without a name: %v, want ErrBusy", err)
	}
	k.unlock()
	if k, err = other.lock(context.Background(), d, "list", nil); err != nil {
		t.Fatal(err)
	}
	k.unlock()
}

// TestKeptLock: a lock that is taken again is the same file, which is out of the way as long as nobody holds it, and
// excludes others as any lock does.
func TestKeptLock(t *testing.T) {
	path := t.TempDir()
	d, err := openTopDir(path)
	must(t, err)
	defer d.close()
	must(t, d.mkdir("tmp"))
	tmp, err := d.openDir("tmp")
	must(t, err)
	defer tmp.close()
	names := 0
	kept := &keptLock{dir: tmp, mint: func() string { names++; return fmt.Sprint(names) }}
	l := &locker{host: "here", pid: os.Getpid(), clock: time.Now, held: make(map[heldLock]bool)}
	other := &locker{host: "elsewhere", pid: 1, clock: time.Now, held: make(map[heldLock]bool)}
	lock := func() *dotlock {
		t.Helper()
		k, err := l.lock(t.Context(), d, "list", kept)
		must(t, err)
		if text, err := os.ReadFile(filepath.Join(path, "list.lock")); err != nil || string(text) != fmt.Sprintf("%d:here", os.Getpid()) {
			t.Errorf("the lock says %q, %v", text, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if _, err := other.lock(ctx, d, "list", nil); !errors.Is(err, ErrBusy) {
			t.Errorf("another process has the lock, too: %v", err)
		}
		return k
	}
	free := func(inTmp int) {
		t.Helper()
		entries, err := os.ReadDir(filepath.Join(path, "tmp"))
		must(t, err)
		if len(entries) != inTmp || d.exists("list.lock") {
			t.Errorf("%d files are kept, want %d; the lock is there: %t", len(entries), inTmp, d.exists("list.lock"))
		}
		k, err := other.lock(t.Context(), d, "list", nil)
		must(t, err)
		k.unlock()
	}
	lock().unlock()
	free(0) // one that was used once is not worth it
	k := lock()
	id := k.id
	k.unlock()
	free(1)
	k = lock()
	if k.id != id {
		t.Error("another file was made")
	}
	k.unlock()
	free(1)
	must(t, os.Remove(filepath.Join(path, "tmp", "1"))) // somebody tidies up
	k = lock()
	k.unlock()
	free(1)
	k = lock()
	must(t, os.Remove(filepath.Join(path, "list.lock"))) // somebody breaks it, and takes it
	theirs, err := other.lock(t.Context(), d, "list", nil)
	must(t, err)
	k.unlock()
	if !d.exists("list.lock") {
		t.Error("the lock of another process was removed")
	}
	theirs.unlock()
	kept.drop()
	free(0)
}
