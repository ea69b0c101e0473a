package maildir

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func ownFiles(t testing.TB) (*OwnFiles, string) {
	dir := filepath.Join(t.TempDir(), "Maildir")
	return testTree(t, testStore(t, Options{}), dir).OwnFiles(OwnContacts), filepath.Join(dir, "postroom-contacts")
}

// holds makes a function for Edit.
func holds(text string) func([]byte) ([]byte, error) {
	return func([]byte) ([]byte, error) { return []byte(text), nil }
}

func nameList(t *testing.T, o *OwnFiles) string {
	t.Helper()
	list, err := o.List()
	must(t, err)
	var names []string
	for _, f := range list {
		names = append(names, fmt.Sprintf("%s %d", f.Name, f.Size))
	}
	return strings.Join(names, ", ")
}

func TestOwnFiles(t *testing.T) {
	o, dir := ownFiles(t)
	ctx := t.Context()
	if got := nameList(t, o); got != "" {
		t.Errorf("before anything was written: %s", got)
	}
	if _, _, err := o.Read("a.vcf"); !errors.Is(err, ErrNoFile) {
		t.Errorf("Read of nothing: %v", err)
	}
	must(t, o.Edit(ctx, "b ü.vcf", holds("bee")))
	must(t, o.Edit(ctx, "a.vcf", func(old []byte) ([]byte, error) {
		if old != nil {
			t.Errorf("a new file holds %q", old)
		}
		return []byte("one"), nil
	}))
	_, first, err := o.Read("a.vcf")
	must(t, err)
	must(t, o.Edit(ctx, "a.vcf", func(old []byte) ([]byte, error) { return append(old, "+two"...), nil }))
	data, second, err := o.Read("a.vcf")
	if string(data) != "one+two" || err != nil || first == second {
		t.Errorf("read %q, %v; the version differs: %v", data, err, first != second)
	}
	must(t, o.Edit(ctx, "a.vcf", func(old []byte) ([]byte, error) { return old, nil }))
	if _, same, _ := o.Read("a.vcf"); same != second {
		t.Error("what did not change was written again")
	}

	// What others put there, and what is none of them.
	put(t, dir+"/from outside.vcf", "x")
	put(t, dir+"/.hidden", "x")
	must(t, os.Mkdir(dir+"/sub", 0o700))
	must(t, os.Symlink("/etc/passwd", dir+"/link"))
	must(t, unix.Mkfifo(dir+"/fifo", 0o600))
	if got, want := nameList(t, o), "a.vcf 7, b ü.vcf 3, from outside.vcf 1"; got != want {
		t.Errorf("List gives %s, not %s", got, want)
	}
	for _, name := range []string{"link", "fifo", "sub"} {
		if _, _, err := o.Read(name); err == nil {
			t.Errorf("%s was read", name)
		}
		if err := o.Edit(ctx, name, holds("mine")); err == nil {
			t.Errorf("%s was written", name)
		}
	}

	must(t, o.Edit(ctx, "a.vcf", func([]byte) ([]byte, error) { return nil, nil }))
	must(t, o.Edit(ctx, "a.vcf", func([]byte) ([]byte, error) { return nil, nil }))
	if _, err := os.Stat(dir + "/a.vcf"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after it was removed: %v", err)
	}
	if left, _ := filepath.Glob(dir + "/" + ownTempPrefix + "*"); len(left) > 0 {
		t.Errorf("left over: %s", left)
	}
}

func TestOwnFileNames(t *testing.T) {
	o, _ := ownFiles(t)
	for _, name := range []string{
		"", ".", "..", ".hidden", "../x", "a/b", "/etc/passwd", "a\nb", "a\x00b", "\xff", strings.Repeat("n", maxOwnName+1), "\u0085",
	} {
		if err := o.Edit(t.Context(), name, holds("x")); !errors.Is(err, ErrBadName) {
			t.Errorf("Edit of %q: %v", name, err)
		}
		if _, _, err := o.Read(name); !errors.Is(err, ErrBadName) {
			t.Errorf("Read of %q: %v", name, err)
		}
	}
	twice := func(string, []byte) ([]byte, error) { return []byte("x"), nil }
	if err := o.EditAll(t.Context(), []string{"a", "a"}, twice); !errors.Is(err, ErrBadName) {
		t.Errorf("one file twice: %v", err)
	}
}

// Where one of many files cannot be changed, none is.
func TestOwnFilesAllOrNone(t *testing.T) {
	o, dir := ownFiles(t)
	ctx := t.Context()
	must(t, o.Edit(ctx, "b", holds("before")))
	put(t, dir+"/"+ownTempPrefix+"7"+ownTempSuffix, "of a process that was killed")
	refused := errors.New("refused")
	for _, c := range []struct {
		last string
		err  error
		want error
	}{
		{"", refused, refused},
		{strings.Repeat("x", MaxOwnFile+1), nil, ErrTooBig},
	} {
		err := o.EditAll(ctx, []string{"a", "b", "c"}, func(name string, _ []byte) ([]byte, error) {
			if name == "c" {
				return []byte(c.last), c.err
			}
			return []byte("after"), nil
		})
		if !errors.Is(err, c.want) {
			t.Errorf("EditAll: %v, not %v", err, c.want)
		}
		if got := nameList(t, o); got != "b 6" {
			t.Errorf("after %v there is %s", c.want, got)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left over: %v, %v", entries, err)
	}
	put(t, dir+"/big", strings.Repeat("x", MaxOwnFile+1))
	if _, _, err := o.Read("big"); !errors.Is(err, ErrTooBig) {
		t.Errorf("Read of a big file: %v", err)
	}
}

// A disk that is full keeps its name on the way up, and the file as it was.
func TestOwnFilesFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=128k"); err != nil {
		t.Skip("a small file system cannot be mounted: ", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	o := testTree(t, testStore(t, Options{}), dir+"/Maildir").OwnFiles(OwnWeb)
	must(t, o.Edit(t.Context(), "settings", holds("before")))
	if err := o.Edit(t.Context(), "settings", holds(strings.Repeat("x", 256<<10))); !errors.Is(err, ErrNoSpace) {
		t.Errorf("on a full disk: %v", err)
	}
	if data, _, err := o.Read("settings"); string(data) != "before" || err != nil {
		t.Errorf("it holds %.20q, %v", data, err)
	}
}

// Two processes, each with many goroutines, count in one file: no step is lost.
func TestOwnFilesTogether(t *testing.T) {
	const env, workers, steps = "POSTROOM_OWN_CHILD", 4, 25
	add := func(old []byte) ([]byte, error) {
		n := 0
		if old != nil {
			var err error
			if n, err = strconv.Atoi(string(old)); err != nil {
				return nil, err
			}
		}
		return []byte(strconv.Itoa(n + 1)), nil
	}
	count := func(o *OwnFiles) {
		var all sync.WaitGroup
		for range workers {
			all.Go(func() {
				for range steps {
					if err := o.Edit(t.Context(), "count", add); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
	}
	if dir := os.Getenv(env); dir != "" {
		count(testTree(t, testStore(t, Options{}), dir).OwnFiles(OwnContacts))
		return
	}
	o, dir := ownFiles(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestOwnFilesTogether$")
	cmd.Env = append(os.Environ(), env+"="+filepath.Dir(dir))
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	must(t, cmd.Start())
	count(o)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("the other process: %v\n%s", err, out.String())
	}
	if data, _, err := o.Read("count"); string(data) != strconv.Itoa(2*workers*steps) || err != nil {
		t.Errorf("it holds %q, %v; %d steps were made", data, err, 2*workers*steps)
	}
}

// Own files are no mailboxes, and nothing that Check has to say anything about.
func TestOwnFilesAreNoFolders(t *testing.T) {
	bothWays(t, func(t *testing.T, opt Options) {
		tree := testTree(t, testStore(t, opt), filepath.Join(t.TempDir(), "Maildir"))
		f := open(t, tree, Inbox)
		defer f.Close()
		for _, kind := range []OwnDir{OwnWeb, OwnContacts} {
			must(t, tree.OwnFiles(kind).Edit(t.Context(), "1700000000.a.host:2,S", holds("Subject: no mail\n\n")))
		}
		snap, err := f.Sync(t.Context())
		must(t, err)
		folders, err := tree.Folders()
		must(t, err)
		if snap.Len() != 0 || !slices.Equal(folders, []string{Inbox}) {
			t.Errorf("%d messages in %q", snap.Len(), folders)
		}
		res, err := tree.Check(t.Context(), CheckOptions{Found: func(f Finding) { t.Errorf("found: %+v", f) }})
		must(t, err)
		if res.Folders != 1 || res.Messages != 0 {
			t.Errorf("Check counts %d folders and %d messages", res.Folders, res.Messages)
		}
	})
}
