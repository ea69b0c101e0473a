package maildir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// treeWithWork makes a tree with a folder Work.
func treeWithWork(t *testing.T, opt Options) (tree *Tree, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "Maildir")
	tree = testTree(t, testStore(t, opt), dir)
	must(t, tree.Create(t.Context(), "Work", nil))
	return tree, dir
}

// setACL edits a folder's ACL file to be data.
func setACL(t testing.TB, tree *Tree, name string, data []byte) {
	t.Helper()
	must(t, tree.EditACL(t.Context(), name, func(ACLFile) ([]byte, error) { return data, nil }))
}

// later is a clock by which what is written now is old.
func later() time.Time { return time.Now().Add(time.Minute) }

func TestReadACL(t *testing.T) {
	tree, dir := treeWithWork(t, Options{Clock: later})
	work := open(t, tree, "Work")
	defer work.Close()
	var known ACLVersion
	read := func(wantSame bool, want string) {
		t.Helper()
		f, same, err := tree.ReadACL("Work", known)
		must(t, err)
		if got := fmt.Sprintf("%d %s", f.Kind, f.Data); same != wantSame || !same && got != want {
			t.Errorf("%v %q, want %v %q", same, got, wantSame, want)
		}
		if g, s, err := work.ReadACL(known); err != nil || s != same || g.Version != f.Version || !bytes.Equal(g.Data, f.Data) {
			t.Errorf("of the open folder: %v %v %v", g, s, err)
		}
		known = f.Version
	}
	read(false, "0 ")
	for range 2 { // names looked for, then the directory alone
		read(true, "")
		put(t, dir+"/.Work/another", "")
		read(true, "")
		read(true, "")
		if known.home == (stamp{}) {
			t.Error("the directory is not known")
		}
		time.Sleep(20 * time.Millisecond) // kernels stamp in ticks
	}
	put(t, dir+"/.Work/courierimapacl", "owner aceilrstwx\n")
	read(false, "2 owner aceilrstwx\n")
	read(true, "")
	put(t, dir+"/.Work/dovecot-acl", "owner lr\n")
	read(false, "1 owner lr\n")
	read(true, "")
	// The same length, the same time: only the time of the change of the inode differs.
	fi, err := os.Stat(dir + "/.Work/dovecot-acl")
	must(t, err)
	put(t, dir+"/.Work/dovecot-acl", "owner la\n")
	must(t, os.Chtimes(dir+"/.Work/dovecot-acl", fi.ModTime(), fi.ModTime()))
	read(false, "1 owner la\n")
	must(t, os.Remove(dir+"/.Work/dovecot-acl"))
	read(false, "2 owner aceilrstwx\n")
	must(t, os.Remove(dir+"/.Work/courierimapacl"))
	read(false, "0 ")
	put(t, dir+"/.Work/dovecot-acl", "")
	read(false, "1 ")

	put(t, dir+"/dovecot-acl", "anyone l\n")
	if f, _, err := tree.ReadACL(Inbox, ACLVersion{}); err != nil || string(f.Data) != "anyone l\n" {
		t.Errorf("INBOX: %q %v", f.Data, err)
	}
	if _, _, err := tree.ReadACL("Nowhere", ACLVersion{}); !errors.Is(err, ErrNoFolder) {
		t.Errorf("no folder: %v", err)
	}
}

// A file that was changed just now is read although its stamp is the same.
func TestReadACLYoung(t *testing.T) {
	tree, dir := treeWithWork(t, Options{})
	put(t, dir+"/.Work/dovecot-acl", "owner lr\n")
	future := time.Now().Add(time.Hour) // it stays young, however slow the test is
	must(t, os.Chtimes(dir+"/.Work/dovecot-acl", future, future))
	f, _, err := tree.ReadACL("Work", ACLVersion{})
	must(t, err)
	if g, same, err := tree.ReadACL("Work", f.Version); err != nil || same || g.Version != f.Version || string(g.Data) != "owner lr\n" {
		t.Errorf("%v %v %v", g, same, err)
	}
}

// A directory that was changed just now is no sign that there is still no file.
func TestReadNoACLYoung(t *testing.T) {
	tree, dir := treeWithWork(t, Options{Clock: func() time.Time { return time.Now().Add(-time.Hour) }})
	var known ACLVersion
	for n := range 3 {
		f, same, err := tree.ReadACL("Work", known)
		if must(t, err); same != (n > 0) || f.Version.home != (stamp{}) {
			t.Errorf("%v %v", f, same)
		}
		known = f.Version
	}
	put(t, dir+"/.Work/dovecot-acl", "owner lr\n")
	if f, same, err := tree.ReadACL("Work", known); err != nil || same || string(f.Data) != "owner lr\n" {
		t.Errorf("%v %v %v", f, same, err)
	}
}

// What is no file that can be read is an error that names it, and holds nobody up.
func TestReadACLDamaged(t *testing.T) {
	if notAsRoot(t) { // root may read everything
		return
	}
	tree, dir := treeWithWork(t, Options{})
	path := dir + "/.Work/dovecot-acl"
	for name, make := range map[string]func() error{
		"FIFO":      func() error { return syscall.Mkfifo(path, 0o600) },
		"directory": func() error { return os.Mkdir(path, 0o700) },
		"link":      func() error { return os.Symlink("/etc/passwd", path) },
		"too large": func() error { return os.WriteFile(path, bytes.Repeat([]byte("#\n"), maxACLFile/2+1), 0o600) },
		"no right":  func() error { return os.WriteFile(path, []byte("owner lr\n"), 0) },
	} {
		must(t, make())
		f, same, err := tree.ReadACL("Work", ACLVersion{})
		if !errors.Is(err, ErrDamaged) || same || !strings.Contains(fmt.Sprint(err), path) || f.Kind != DovecotACL {
			t.Errorf("%s: %v %v %v", name, f, same, err)
		}
		if g, same, err := tree.ReadACL("Work", f.Version); !errors.Is(err, ErrDamaged) || same || g.Version != f.Version {
			t.Errorf("%s, known: %v %v %v", name, g, same, err)
		}
		err = tree.EditACL(t.Context(), "Work", func(ACLFile) ([]byte, error) { t.Error("edited"); return nil, nil })
		if !errors.Is(err, ErrDamaged) {
			t.Errorf("%s, edit: %v", name, err)
		}
		must(t, os.Remove(path))
	}
	put(t, dir+"/.Work/courierimapacl", "owner a\n")
	must(t, os.Chmod(dir+"/.Work/courierimapacl", 0))
	if f, _, err := tree.ReadACL("Work", ACLVersion{}); !errors.Is(err, ErrDamaged) || f.Kind != CourierACL || !strings.Contains(err.Error(), "/.Work/courierimapacl") {
		t.Errorf("Courier's: %v %v", f, err)
	}
}

func TestEditACL(t *testing.T) {
	tree, dir := treeWithWork(t, Options{})
	path, list := dir+"/.Work/dovecot-acl", dir+"/dovecot-acl-list"
	content := func(want string) {
		t.Helper()
		data, err := os.ReadFile(path)
		if want == "" && os.IsNotExist(err) {
			err = nil
		}
		if err != nil || string(data) != want {
			t.Errorf("%q %v, want %q", data, err, want)
		}
		if _, err := os.Lstat(path + ".lock"); !os.IsNotExist(err) {
			t.Errorf("the lock: %v", err)
		}
	}
	listed := func(want bool) {
		t.Helper()
		if _, err := os.Lstat(list); (err == nil) != want {
			t.Errorf("dovecot-acl-list: %v", err)
		}
		put(t, list, "1795466778 Work\n")
	}
	edit := func(give []byte, want string) {
		t.Helper()
		must(t, tree.EditACL(t.Context(), "Work", func(f ACLFile) ([]byte, error) {
			if got := fmt.Sprintf("%d %s", f.Kind, f.Data); got != want {
				t.Errorf("edit is given %q, want %q", got, want)
			}
			return give, nil
		}))
	}
	second := func() int64 {
		t.Helper()
		fi, err := os.Stat(path)
		must(t, err)
		return fi.ModTime().Unix()
	}
	put(t, list, "1795466778 Work\n")
	edit(nil, "0 ")
	content("")
	listed(true)
	edit([]byte("owner lr\n"), "0 ")
	content("owner lr\n")
	listed(false)
	before, stamp := second(), inode(t, path)
	edit([]byte("owner lr\n"), "1 owner lr\n")
	listed(true)
	if inode(t, path) != stamp {
		t.Error("written although nothing is new")
	}
	edit([]byte("owner la\n"), "1 owner lr\n")
	listed(false)
	edit([]byte("owner ls\n"), "1 owner la\n")
	if after := second(); after < before+2 {
		t.Errorf("the second goes from %d to %d in two changes", before, after)
	}
	refused := errors.New("no right")
	if err := tree.EditACL(t.Context(), "Work", func(ACLFile) ([]byte, error) { return []byte("x"), refused }); !errors.Is(err, refused) {
		t.Error(err)
	}
	content("owner ls\n")
	edit([]byte{}, "1 owner ls\n")
	content("")
	if _, err := os.Stat(path); err != nil {
		t.Error("no octets are a file:", err)
	}
	// Courier's is replaced though the octets be the same, and does not come back.
	must(t, os.Remove(path))
	put(t, dir+"/.Work/courierimapacl", "user=bob lr\n")
	edit([]byte("user=bob lr\n"), "2 user=bob lr\n")
	content("user=bob lr\n")
	edit(nil, "1 user=bob lr\n")
	content("")
	if f, _, err := tree.ReadACL("Work", ACLVersion{}); err != nil || f.Kind != NoACL {
		t.Errorf("after its removal: %v %v", f, err)
	}
	if err := tree.EditACL(t.Context(), "Nowhere", nil); !errors.Is(err, ErrNoFolder) {
		t.Error(err)
	}
}

func inode(t testing.TB, path string) uint64 {
	t.Helper()
	fi, err := os.Lstat(path)
	must(t, err)
	return fi.Sys().(*syscall.Stat_t).Ino
}

// Changes made at the same time by two stores, as by two processes, are all made.
func TestEditACLTogether(t *testing.T) {
	tree, dir := treeWithWork(t, Options{})
	other := testTree(t, testStore(t, Options{}), dir)
	const each = 25
	errs := make(chan error)
	for _, who := range []*Tree{tree, tree, other} {
		go func() {
			var err error
			for range each {
				err = errors.Join(err, who.EditACL(t.Context(), "Work", func(f ACLFile) ([]byte, error) { return append(f.Data, '#', '\n'), nil }))
			}
			errs <- err
		}()
	}
	for range 3 {
		must(t, <-errs)
	}
	data, err := os.ReadFile(dir + "/.Work/dovecot-acl")
	must(t, err)
	if n := bytes.Count(data, []byte("#\n")); n != 3*each {
		t.Errorf("%d changes of %d", n, 3*each)
	}
}

// A lock that another program has just made is respected, whatever is in it by now; one that nobody has touched for
// two minutes is broken, as Dovecot breaks it.
func TestACLLock(t *testing.T) {
	tree, dir := treeWithWork(t, Options{})
	path := dir + "/.Work/dovecot-acl"
	edit := func(ctx context.Context) error {
		return tree.EditACL(ctx, "Work", func(ACLFile) ([]byte, error) { return []byte("owner lr\n"), nil })
	}
	for _, content := range []string{"", "user=bob lr", fmt.Sprintf("%d:%s", os.Getpid(), tree.store.opt.Host)} {
		put(t, path+".lock", content)
		ago := time.Now().Add(-lockStale / 2)
		must(t, os.Chtimes(path+".lock", ago, ago))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if err := edit(ctx); !errors.Is(err, ErrBusy) {
			t.Errorf("locked with %q: %v", content, err)
		}
		cancel()
		ago = time.Now().Add(-lockStale - time.Second)
		must(t, os.Chtimes(path+".lock", ago, ago))
		must(t, edit(t.Context()))
		must(t, os.Remove(path))
	}
	// The guarded file was changed a moment ago: who did that may be at it still.
	put(t, path, "owner l\n")
	put(t, path+".lock", "")
	ago := time.Now().Add(-lockStale - time.Second)
	must(t, os.Chtimes(path+".lock", ago, ago))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := edit(ctx); !errors.Is(err, ErrBusy) {
		t.Error("with a new file:", err)
	}
}

// Who loses his lock to another program does not write over what that one wrote.
func TestACLLockLost(t *testing.T) {
	tree, dir := treeWithWork(t, Options{})
	path := dir + "/.Work/dovecot-acl"
	err := tree.EditACL(t.Context(), "Work", func(ACLFile) ([]byte, error) {
		must(t, os.Remove(path+".lock"))
		put(t, path+".lock", "theirs")
		put(t, path, "owner lrwstipekxa\n")
		return []byte("owner l\n"), nil
	})
	if !errors.Is(err, ErrBusy) {
		t.Error(err)
	}
	for name, want := range map[string]string{path: "owner lrwstipekxa\n", path + ".lock": "theirs"} {
		if data, err := os.ReadFile(name); err != nil || string(data) != want {
			t.Errorf("%s: %q %v", name, data, err)
		}
	}
}

func TestEditACLReadOnly(t *testing.T) {
	if notAsRoot(t) {
		return
	}
	tree, dir := treeWithWork(t, Options{})
	must(t, os.Chmod(dir+"/.Work", 0o500))
	defer os.Chmod(dir+"/.Work", 0o700)
	err := tree.EditACL(t.Context(), "Work", func(ACLFile) ([]byte, error) { return []byte("owner lr\n"), nil })
	if !errors.Is(err, ErrReadOnly) {
		t.Error(err)
	}
	if err := tree.SetSeenShared(t.Context(), "Work", true); !errors.Is(err, ErrReadOnly) {
		t.Error(err)
	}
}

// On a full disk the file stays as it was, and no lock stays.
func TestEditACLNoSpace(t *testing.T) {
	top := t.TempDir()
	if err := syscall.Mount("tmpfs", top, "tmpfs", 0, "size=256k"); err != nil {
		t.Skip("no file system to fill:", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(top, 0)) })
	dir := top + "/Maildir"
	s := NewStore(Options{Logger: discard})
	t.Cleanup(s.Close)
	tree, err := s.OpenTree(dir, TreeOptions{Create: true})
	must(t, err)
	t.Cleanup(tree.Close)
	must(t, tree.Create(t.Context(), "Work", []byte("owner lr\n")))
	big := bytes.Repeat([]byte("#"), 512<<10)
	err = tree.EditACL(t.Context(), "Work", func(ACLFile) ([]byte, error) { return big, nil })
	if !errors.Is(err, ErrNoSpace) {
		t.Error(err)
	}
	if err := tree.Create(t.Context(), "Big", big); !errors.Is(err, ErrNoSpace) || tree.Exists("Big") {
		t.Error(err)
	}
	if f, _, err := tree.ReadACL("Work", ACLVersion{}); err != nil || string(f.Data) != "owner lr\n" {
		t.Errorf("%q %v", f.Data, err)
	}
	setACL(t, tree, "Work", []byte("owner l\n")) // no lock is in the way
}

// A directory whose sync failed is synced before a later command that finds nothing to do is answered.
func TestEditACLFailedSync(t *testing.T) {
	tree, _ := treeWithWork(t, Options{})
	setACL(t, tree, "Work", []byte("owner l\n"))
	home, err := tree.openHome(".Work")
	must(t, err)
	defer home.close()
	home.failed.Store(home.id, true)
	setACL(t, tree, "Work", []byte("owner l\n"))
	if _, still := home.failed.Load(home.id); still {
		t.Error("answered without a sync")
	}
}

func TestFolderACLs(t *testing.T) {
	ctx := t.Context()
	tree, dir := treeWithWork(t, Options{})
	list := dir + "/dovecot-acl-list"
	listed := func(what string, want bool) {
		t.Helper()
		if _, err := os.Lstat(list); (err == nil) != want {
			t.Errorf("%s: dovecot-acl-list: %v", what, err)
		}
		put(t, list, "1795466778 Work\n")
	}
	put(t, list, "")
	must(t, tree.Create(ctx, "Plain", nil))
	listed("create without", true)
	must(t, tree.Create(ctx, "Work/Shared", []byte("user=bob lr\n")))
	listed("create with", false)
	if f, _, err := tree.ReadACL("Work/Shared", ACLVersion{}); err != nil || string(f.Data) != "user=bob lr\n" {
		t.Errorf("%q %v", f.Data, err)
	}
	must(t, tree.Rename(ctx, "Plain", "Flat"))
	listed("rename without", true)
	must(t, tree.Rename(ctx, "Work", "Job"))
	listed("rename with", false)
	if f, _, err := tree.ReadACL("Job/Shared", ACLVersion{}); err != nil || string(f.Data) != "user=bob lr\n" {
		t.Errorf("after the rename: %q %v", f.Data, err)
	}
	must(t, tree.Delete(ctx, "Flat"))
	listed("delete without", true)
	must(t, tree.Delete(ctx, "Job/Shared"))
	listed("delete with", false)
	must(t, tree.Create(ctx, "Job/Shared", nil))
	if f, _, err := tree.ReadACL("Job/Shared", ACLVersion{}); err != nil || f.Kind != NoACL {
		t.Errorf("made again: %v %v", f, err)
	}
}

func TestParent(t *testing.T) {
	ctx := t.Context()
	tree, _ := treeWithWork(t, Options{})
	must(t, tree.Create(ctx, "Work/a/b", nil))
	for name, want := range map[string]string{
		"Work/a/b/c": "Work/a/b", "Work/a/b": "Work", "Work/a": "Work", "Work/x/y": "Work",
		"Work": "", "Other": "", "Other/a": "", "Inbox/a/b": Inbox, Inbox: "", "": "", "/": "", "/a": "",
	} {
		if got, ok := tree.Parent(name); ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q %v", name, got, ok)
		}
	}
}

func TestSeenShared(t *testing.T) {
	ctx := t.Context()
	tree, _ := treeWithWork(t, Options{})
	seen := func(name string, want bool) {
		t.Helper()
		f := open(t, tree, name)
		defer f.Close()
		if got, err := f.SeenShared(); err != nil || got != want {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
	seen("Work", false)
	for range 2 {
		must(t, tree.SetSeenShared(ctx, "Work", true))
		seen("Work", true)
	}
	must(t, tree.Create(ctx, "Work/a/b", nil))
	seen("Work/a/b", true)
	must(t, tree.Create(ctx, "Other", nil))
	seen("Other", false)
	for range 2 {
		must(t, tree.SetSeenShared(ctx, "Work", false))
		seen("Work", false)
	}
	seen("Work/a/b", true)
	must(t, tree.SetSeenShared(ctx, Inbox, true))
	must(t, tree.Create(ctx, "INBOX/x", nil))
	seen("INBOX/x", true)
	if err := tree.SetSeenShared(ctx, "Nowhere", true); !errors.Is(err, ErrNoFolder) {
		t.Error(err)
	}
}
