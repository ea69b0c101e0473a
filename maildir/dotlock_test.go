package maildir

import (
	"context"
	"errors"
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
