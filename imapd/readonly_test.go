package imapd

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"postroom/internal/transcript"
)

const readOnlyScript = "rfc9051-7.1-read-only.txt"

// A tree that may be read and not written is served all the same. Root may
// write anything, so as root the test runs itself once more as nobody.
func TestReadOnlyTree(t *testing.T) {
	script := filepath.Join("testdata/read-only", readOnlyScript)
	if os.Getuid() == 0 {
		asNobody(t, script)
		return
	}
	if at := os.Getenv("POSTROOM_TEST_SCRIPT"); at != "" {
		script = at
	}
	root := t.TempDir()
	tree := filepath.Join(root, "alice", "Maildir")
	makeTree(t, tree)
	// Work has no uid list: its UIDs are good for one opening.
	if err := os.Remove(filepath.Join(tree, ".Work", "dovecot-uidlist")); err != nil {
		t.Fatal(err)
	}
	protect(t, tree, 0o500)
	t.Cleanup(func() { protect(t, tree, 0o700) })
	if os.WriteFile(filepath.Join(tree, "x"), nil, 0o600) == nil {
		t.Skip("this user writes where it may not")
	}
	s := startServerAt(t, root, nil)
	env := transcript.Env{Root: root, Dial: s.dial, TLS: s.client}
	if *record {
		env.Record = os.Stderr
	}
	transcript.Run(t, script, env)
}

// protect sets the mode of every folder below dir.
func protect(t *testing.T, dir string, mode os.FileMode) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return os.Chmod(p, mode)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// asNobody runs this test in a process of the user nobody, from a folder that
// nobody can reach, which neither the build's nor the source need to be.
func asNobody(t *testing.T, script string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "postroom-nobody")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	binary, copied := filepath.Join(dir, "test"), filepath.Join(dir, readOnlyScript)
	copyFile(t, "/proc/self/exe", binary)
	copyFile(t, script, copied)
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	args := []string{"-test.run=^TestReadOnlyTree$", "-test.v"}
	if *record {
		args = append(args, "-record")
	}
	cmd := exec.Command(binary, args...)
	cmd.Dir = dir
	cmd.Env = []string{"TMPDIR=" + dir, "POSTROOM_TEST_SCRIPT=" + copied}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}, Pdeathsig: syscall.SIGKILL}
	if out, err := cmd.CombinedOutput(); err != nil || *record {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
