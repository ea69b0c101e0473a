package maildir

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// owned shows mode and group of a file.
func owned(t *testing.T, path string) string {
	t.Helper()
	fi, err := os.Lstat(path)
	must(t, err)
	return fmt.Sprintf("%v %d", fi.Mode(), fi.Sys().(*syscall.Stat_t).Gid)
}

// What is made takes mode and group from where it is made.
func TestModeAndGroup(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may give files any group")
	}
	const foreign = 54321
	for _, setgid := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "Maildir")
		tree := testTree(t, testStore(t, Options{}), dir)
		mode, shown := fs.FileMode(0o770), "drwxrwx--- 54321"
		if setgid {
			mode, shown = mode|fs.ModeSetgid, "dgrwxrwx--- 54321"
		}
		for _, sub := range []string{"", "/cur", "/new", "/tmp"} {
			must(t, os.Chown(dir+sub, 0, foreign))
			must(t, os.Chmod(dir+sub, mode))
		}
		put(t, dir+"/cur/1.a:2,", "x\n\n")
		must(t, tree.Create(t.Context(), "Work", nil))
		must(t, tree.Subscribe(t.Context(), "Work", true))
		w := open(t, tree, "Work")
		d, err := w.NewDelivery(DeliveryOptions{Keywords: numbered("k", 30)})
		must(t, err)
		_, _, err = CommitDeliveries(t.Context(), d)
		must(t, err)
		f := open(t, tree, Inbox)
		store(t, f, []uint32{1}, StoreAdd, numbered("k", 30)...)
		_, err = f.CopyTo(t.Context(), []uint32{1}, w, CopyOptions{Octets: true})
		must(t, err)
		f.Close()
		w.Close()
		err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			must(t, err)
			want := "-rw-rw---- 54321"
			switch name := e.Name(); {
			case e.IsDir():
				want = shown
			case path == dir+"/cur/1.a:2,Sabcdefghijklmnopqrstuvwxyz" || filepath.Dir(path) == dir+"/cur":
				return nil // ours not
			case len(name) > len(uidValidityName) && name[:len(uidValidityName)] == uidValidityName:
				want = "-r--r--r-- 54321"
			}
			if got := owned(t, path); got != want {
				t.Errorf("%s: %s, not %s", path, got, want)
			}
			return nil
		})
		must(t, err)
	}
}

// Who may not give the group gives the group he has nothing that not all have.
func TestGroupThatMayNotBeGiven(t *testing.T) {
	for _, c := range [][2]fs.FileMode{{0o660, 0o600}, {0o770, 0o700}, {0o775, 0o755}, {0o644, 0o644}, {0o620, 0o600}, {0o666, 0o666}, {0o642, 0o602}} {
		if got := limitGroup(c[0]); got != c[1] {
			t.Errorf("%o became %o, not %o", c[0], got, c[1])
		}
	}
	if os.Getuid() != 0 {
		t.Skip("only root may make directories of a foreign group")
	}
	top := t.TempDir()
	must(t, os.Chown(top, 12345, 54321))
	must(t, os.Chmod(top, 0o770))
	d, err := openTopDir(top)
	must(t, err)
	defer d.close()
	must(t, asUser(12345, 12345, func() error {
		f, err := d.create("file", d.filePerm())
		if err != nil {
			return err
		}
		f.Close()
		return d.mkdir("sub")
	}))
	if got := owned(t, top+"/file"); got != "-rw------- 12345" {
		t.Error(got)
	}
	if got := owned(t, top+"/sub"); got != "drwx------ 12345" {
		t.Error(got)
	}
}

// asUser calls do on a thread of its own that has another user's rights to files.
func asUser(uid, gid int, do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never given back: the thread ends with the goroutine
		syscall.RawSyscall(syscall.SYS_SETGROUPS, 0, 0, 0)
		syscall.RawSyscall(syscall.SYS_SETFSGID, uintptr(gid), 0, 0)
		syscall.RawSyscall(syscall.SYS_SETFSUID, uintptr(uid), 0, 0)
		done <- do()
	}()
	return <-done
}
