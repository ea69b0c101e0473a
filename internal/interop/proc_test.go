package interop

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// commandLimit bounds every client's run. It is far above what any needs; a
// client that hangs is killed with its children and the test fails.
const commandLimit = 2 * time.Minute

// mailUser is who owns the mail when the tests run as root. Debian always has
// it, so nothing needs to be added to a machine's users.
const (
	mailUser  = "nobody"
	mailGroup = "nogroup"
)

// mailIDs gives the ids of the mail user; ok is false when not root.
func mailIDs(t *testing.T) (uid, gid int, ok bool) {
	t.Helper()
	if os.Geteuid() != 0 {
		return 0, 0, false
	}
	u, err := user.Lookup(mailUser)
	if err != nil {
		t.Fatal(err)
	}
	uid, _ = strconv.Atoi(u.Uid)
	gid, _ = strconv.Atoi(u.Gid)
	return uid, gid, true
}

// asMailUser makes attr start a process as the owner of the mail.
func asMailUser(t *testing.T, attr *syscall.SysProcAttr) {
	t.Helper()
	if uid, gid, ok := mailIDs(t); ok {
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
}

// giveToMailUser hands a file or tree to the owner of the mail.
func giveToMailUser(t *testing.T, path string) {
	t.Helper()
	uid, gid, ok := mailIDs(t)
	if !ok {
		return
	}
	err := filepath.WalkDir(path, func(p string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(p, uid, gid)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// scratch is a new folder of the test that the mail user can reach and write.
func scratch(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	// testing makes the parent 0700.
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	giveToMailUser(t, dir)
	return dir
}

// client is one program to run to its end.
type client struct {
	dir      string   // working folder and HOME
	env      []string // added to the environment
	stdin    string
	mailUser bool // run as the owner of the mail
	status   int  // exit status that is wanted
}

// run runs a program and gives its output, standard error included. Another
// exit status than wanted, or no end in time, fails the test.
func (c client) run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, status := c.try(t, name, args...)
	if status != c.status {
		t.Fatalf("%s %s: exit status %d, want %d\n%s", name, strings.Join(args, " "), status, c.status, tail(out))
	}
	return out
}

// try is run for a caller that judges the exit status itself.
func (c client) try(t *testing.T, name string, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	c.prepare(t, cmd)
	// A client's children (an MDA, an ssh) go with it.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 2 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Stdin = strings.NewReader(c.stdin)
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, tail(out.String()))
	}
	if ctx.Err() != nil {
		t.Fatalf("%s %s: no end after %v\n%s", name, strings.Join(args, " "), commandLimit, tail(out.String()))
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

func (c client) prepare(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	cmd.Dir = c.dir
	// LC_ALL fixes what programs print; the rest keeps them from the real
	// home's configuration.
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TZ=UTC", "TERM=xterm", "HOME="+c.dir,
		"NODE_PATH="+filepath.Join(os.Getenv("POSTROOM_NPM"), "node_modules"))
	cmd.Env = append(cmd.Env, c.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if c.mailUser {
		asMailUser(t, cmd.SysProcAttr)
	}
}

// start runs a program in the background until the test ends.
func (c client) start(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	c.prepare(t, cmd)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", name, tail(out.String()))
		}
	})
}

// eventually waits for a condition; what names it in the failure. The limit is
// generous because two cores carry everything; conditions are polled often, so
// a passing test pays nothing for it.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited 30 s in vain for: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// write puts a file into the scratch folder dir; path may name folders below
// it. All that it makes belongs to the mail user.
func write(t *testing.T, dir, path, content string) string {
	t.Helper()
	full := filepath.Join(dir, path)
	mkdirs(t, filepath.Dir(full))
	// 0600: fetchmail and mpop refuse anything wider.
	if err := os.WriteFile(full, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	giveToMailUser(t, full)
	return full
}

// mkdirs makes a folder and those above it that are missing, all the mail
// user's.
func mkdirs(t *testing.T, dir string) {
	t.Helper()
	if _, err := os.Stat(dir); err == nil {
		return
	}
	mkdirs(t, filepath.Dir(dir))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	giveToMailUser(t, dir)
}
