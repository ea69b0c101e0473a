package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// freshMachine, in the environment, makes the test binary run the quick start; it is a directory to write to.
const freshMachine = "POSTROOM_FRESH_MACHINE"

// changedByQuickStart are the directories in which the quick start makes or changes files.
var changedByQuickStart = []string{"/etc", "/usr/local/bin", "/var/mail", "/var/log"}

// quickStart gives the commands of the README's section "Serve your own mail".
func quickStart() ([]string, error) {
	data, err := os.ReadFile("../../README.md")
	if err != nil {
		return nil, err
	}
	_, section, _ := strings.Cut(string(data), "\n## Serve your own mail\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var out []string
	for line := range strings.Lines(section) {
		if command, ok := strings.CutPrefix(line, "    "); ok {
			out = append(out, strings.TrimSuffix(command, "\n"))
		} else if len(out) > 0 {
			break
		}
	}
	if len(out) < 3 {
		return nil, errors.New("no quick start is found in README.md")
	}
	return out, nil
}

// The README's quick start and its walk-through of sharing, word for word, as root of a machine that has never seen
// Postroom: what it changes lies in overlays, and its network is its own.
func TestQuickStart(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("this wants to be run as root")
	}
	for _, program := range []string{"useradd", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	for _, path := range []string{"/etc/postroom", "/usr/local/bin/postroom", "/var/mail/alice"} {
		if _, err := os.Lstat(path); err == nil {
			t.Skipf("this machine has a %s", path)
		}
	}
	if _, err := user.Lookup("postroom"); err == nil {
		t.Skip("this machine has a user postroom")
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), freshMachine+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == notIsolated, errors.Is(err, syscall.EPERM):
		t.Skipf("no machine of its own to be had here: %v %s", err, out)
	case err != nil:
		t.Fatalf("%v\n%s", err, out)
	}
}

// notIsolated is the exit status where the kernel gives no overlays and no network of its own.
const notIsolated = 77

// runQuickStart is what the child of TestQuickStart does, in name spaces of its own; it gives its exit status.
func runQuickStart(dir string) int {
	if err := isolate(dir); err != nil {
		fmt.Println(err)
		return notIsolated
	}
	if err := followQuickStart(); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// isolate lets nothing that is written from now on reach the machine.
func isolate(dir string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("tmpfs: %w", err)
	}
	for i, lower := range changedByQuickStart {
		upper, work := filepath.Join(dir, fmt.Sprint("upper", i)), filepath.Join(dir, fmt.Sprint("work", i))
		if err := errors.Join(copyDir(lower, upper), os.Mkdir(work, 0o755)); err != nil {
			return err
		}
		if err := syscall.Mount("overlay", lower, "overlay", 0, "lowerdir="+lower+",upperdir="+upper+",workdir="+work); err != nil {
			return fmt.Errorf("overlay on %s: %w", lower, err)
		}
	}
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	return os.NewSyscallError("loopback", unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo))
}

// copyDir makes a directory of the owner and the mode of another.
func copyDir(from, to string) error {
	fi, err := os.Stat(from)
	if err != nil {
		return err
	}
	st := fi.Sys().(*syscall.Stat_t)
	return errors.Join(os.Mkdir(to, 0o755), os.Chown(to, int(st.Uid), int(st.Gid)), syscall.Chmod(to, st.Mode&0o7777))
}

// followQuickStart types the commands; the last one serves.
func followQuickStart() error {
	commands, err := quickStart()
	if err != nil {
		return err
	}
	last := len(commands) - 1
	for _, c := range commands[:last] {
		if err := shell(c, "secret\n").Run(); err != nil {
			return fmt.Errorf("%s: %w", c, err)
		}
	}
	if err := whileServing(commands[last], func(pid int) error {
		return errors.Join(walkThrough("\n## Sharing folders\n"), tryOut(pid))
	}); err != nil {
		return err
	}
	if err := shell(`sed -i 's|^#public = ""|public = "/var/mail/public"|' /etc/postroom/config.toml`, "").Run(); err != nil {
		return err
	}
	if err := shell("postroom user passwd alice", "secret\n").Run(); err != nil {
		return err
	}
	return whileServing(commands[last], func(int) error { return walkThrough("\n### Groups and public folders\n") })
}

// whileServing does something while a command serves.
func whileServing(command string, do func(pid int) error) error {
	server := shell("exec "+command, "")
	if err := server.Start(); err != nil {
		return err
	}
	err := converse("127.0.0.1:110", "QUIT", "+OK")
	if err == nil {
		err = do(server.Process.Pid)
	}
	_ = server.Process.Signal(syscall.SIGTERM)
	if werr := server.Wait(); werr != nil {
		err = errors.Join(err, fmt.Errorf("%s: %w", command, werr))
	}
	return err
}

// dialogue is a command of the README and what it must print.
type dialogue struct{ command, output string }

// dialogues gives the commands of one section of the README that stand behind a "$", with the lines below them.
func dialogues(heading string) ([]dialogue, error) {
	data, err := os.ReadFile("../../README.md")
	if err != nil {
		return nil, err
	}
	_, section, _ := strings.Cut(string(data), heading)
	section, _, _ = strings.Cut(section, "\n##")
	var out []dialogue
	for line := range strings.Lines(section) {
		text, indented := strings.CutPrefix(line, "    ")
		if command, ok := strings.CutPrefix(text, "$ "); indented && ok {
			out = append(out, dialogue{command: strings.TrimSuffix(command, "\n")})
		} else if indented && len(out) > 0 {
			out[len(out)-1].output += text
		}
	}
	if len(out) < 3 {
		return nil, fmt.Errorf("README.md: no walk-through under %q", heading)
	}
	return out, nil
}

// walkThrough types the commands of a section and holds what they print against it.
func walkThrough(heading string) error {
	all, err := dialogues(heading)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "postroom-walk-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, d := range all {
		if err := d.run(dir); err != nil {
			return err
		}
	}
	return nil
}

// run types a command, and again while it prints something else than it should: what one program changes
// the server has to notice first.
func (d dialogue) run(dir string) error {
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		cmd := exec.Command("sh", "-c", d.command)
		cmd.Dir = dir
		var errs strings.Builder
		cmd.Stderr = &errs
		out, err := cmd.Output()
		got := strings.ReplaceAll(string(out), "\r\n", "\n")
		switch {
		case err != nil || errs.Len() > 0:
			return fmt.Errorf("%s: %v\n%s", d.command, err, &errs)
		case got == d.output:
			return nil
		case time.Since(began) > patience:
			return fmt.Errorf("%s: it prints\n%sand not\n%s", d.command, got, d.output)
		}
	}
}

// shell is a command at the top of the source, with something to read.
func shell(command, stdin string) *exec.Cmd {
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir = "../.."
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), os.Stdout, os.Stdout
	return cmd
}

// tryOut logs in by both protocols, appends a message by IMAP and counts it by POP3, and
// changes the password under the server.
func tryOut(pid int) error {
	if err := converse("127.0.0.1:143", "a LOGIN alice secret", "a OK", "b APPEND INBOX {12+}\r\nSubject: x\r\n", "b OK",
		"c SELECT INBOX", "* 1 EXISTS", "d LOGOUT", "d OK"); err != nil {
		return err
	}
	if err := converse("127.0.0.1:110", "USER alice", "+OK", "PASS secret", "+OK", "STAT", "+OK 1 12", "QUIT", "+OK"); err != nil {
		return err
	}
	if err := shell("postroom user passwd alice", "other\n").Run(); err != nil {
		return err
	}
	// The server looks for another users file once a second.
	deadline := time.Now().Add(20 * time.Second)
	err := converse("127.0.0.1:110", "USER alice", "+OK", "PASS other", "+OK", "QUIT", "+OK")
	for err != nil && time.Now().Before(deadline) {
		time.Sleep(200 * time.Millisecond)
		err = converse("127.0.0.1:110", "USER alice", "+OK", "PASS other", "+OK", "QUIT", "+OK")
	}
	if err != nil {
		return fmt.Errorf("the password was changed: %w", err)
	}
	u, err := user.Lookup("postroom")
	if err != nil {
		return err
	}
	for _, path := range []string{fmt.Sprintf("/proc/%d", pid), "/var/mail/alice/Maildir"} {
		fi, err := os.Stat(path)
		if err != nil {
			return err
		}
		if owner := fmt.Sprint(fi.Sys().(*syscall.Stat_t).Uid); owner != u.Uid {
			return fmt.Errorf("%s is of user %s, not %s", path, owner, u.Uid)
		}
	}
	return nil
}

// converse sends commands, each once the answer to the one before has begun a line.
func converse(addr string, lines ...string) error {
	conn, err := net.Dial("tcp", addr)
	for began := time.Now(); err != nil && time.Since(began) < patience; conn, err = net.Dial("tcp", addr) {
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	in := bufio.NewScanner(conn)
	in.Scan() // the greeting
	for i := 0; i < len(lines); i += 2 {
		if _, err := fmt.Fprintf(conn, "%s\r\n", lines[i]); err != nil {
			return err
		}
		var got []string
		for {
			if !in.Scan() {
				return fmt.Errorf("%s: %s: %q, and no %s: %v", addr, lines[i], got, lines[i+1], in.Err())
			}
			if got = append(got, in.Text()); strings.HasPrefix(in.Text(), lines[i+1]) {
				break
			}
			if tag, _, _ := strings.Cut(lines[i+1], " "); strings.HasPrefix(in.Text(), "-ERR") || tag != "*" && strings.HasPrefix(in.Text(), tag+" ") {
				return fmt.Errorf("%s: %s: %s", addr, lines[i], in.Text())
			}
		}
	}
	return nil
}
