package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain lets the test binary be postroom itself, for tests of the command line.
func TestMain(m *testing.M) {
	if os.Getenv("POSTROOM_COMMAND") != "" {
		os.Exit(run(os.Args[1:]))
	}
	if dir := os.Getenv(freshMachine); dir != "" {
		os.Exit(runQuickStart(dir))
	}
	os.Exit(m.Run())
}

// postroom runs a command line and gives what it printed and its exit status.
func postroom(t *testing.T, stdin string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "POSTROOM_COMMAND=1")
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, ok := err.(*exec.ExitError); err != nil && !ok {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestCommandLine(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir()) // other demos that run on this machine are not this test's
	dir := t.TempDir()
	users := filepath.Join(dir, "users")
	good := filepath.Join(dir, "good.toml")
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	config := "[mail]\nroot = \"" + dir + "/{user}\"\n[auth]\nusers = \"" + users + "\"\n[imap]\nlisten = [\"" + busy.Addr().String() + "\"]\n" + asRoot()
	if err := os.WriteFile(good, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, stdin string
		args        []string
		status      int
		out, err    string // parts
	}{
		{"help", "", []string{"--help"}, 0, "Available Commands:", ""},
		{"no command", "", nil, 0, "Available Commands:", ""},
		{"serve help", "", []string{"serve", "--help"}, 0, "--config FILE", ""},
		{"demo help", "", []string{"demo", "--help"}, 0, "--imap ADDR", ""},
		{"version", "", []string{"version"}, 0, "postroom ", ""},
		{"version flag", "", []string{"--version"}, 0, "postroom ", ""},
		{"unknown command", "", []string{"sreve"}, 2, "", "sreve"},
		{"unknown flag", "", []string{"serve", "--confg", "x"}, 2, "", "--confg"},
		{"too many arguments", "", []string{"user", "add", "a", "b", "--users", users}, 2, "", "arg"},
		{"no configuration", "", []string{"serve", "--config", dir + "/none.toml"}, 2, "", "config.toml.example"},
		{"no users yet", "", []string{"serve", "--config", good}, 2, "", ":4: auth.users: "},
		{"add, by the configuration", "secret\n", []string{"user", "add", "alice", "--config", good}, 0, "", ""},
		{"add, by the file", "secret", []string{"user", "add", "bob@example.org", "--users", users, "--scheme", "sha512-crypt"}, 0, "", ""},
		{"add again", "x\n", []string{"user", "add", "alice", "--users", users}, 1, "", "there already"},
		{"no password", "", []string{"user", "add", "carol", "--users", users}, 2, "", "standard input"},
		{"empty password", "\n", []string{"user", "add", "carol", "--users", users}, 2, "", "empty"},
		{"bad scheme", "x\n", []string{"user", "add", "carol", "--users", users, "--scheme", "rot13"}, 2, "", "ROT13"},
		{"bad name", "x\n", []string{"user", "add", "../x", "--users", users}, 2, "", "../x"},
		{"list", "", []string{"user", "list", "--users", users}, 0, "alice\tARGON2ID\nbob@example.org\tSHA512-CRYPT\n", ""},
		{"list for scripts", "", []string{"user", "list", "--users", users, "--json"}, 0, `"name": "alice"`, ""},
		{"passwd", "other\n", []string{"user", "passwd", "alice", "--users", users, "--scheme", "PLAIN"}, 0, "", ""},
		{"passwd of nobody", "x\n", []string{"user", "passwd", "carol", "--users", users}, 1, "", "user add"},
		{"remove", "", []string{"user", "remove", "bob@example.org", "--users", users}, 0, "", ""},
		{"remove again", "", []string{"user", "remove", "bob@example.org", "--users", users}, 1, "", "no user"},
		{"address in use", "", []string{"serve", "--config", good}, 2, "", "good.toml:6: imap.listen: "},
		{"demo, address in use", "", []string{"demo", "--imap", busy.Addr().String(), "--pop3", "127.0.0.1:0"}, 2, "", "another address"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, errs, status := postroom(t, c.stdin, c.args...)
			if status != c.status || !strings.Contains(out, c.out) || !strings.Contains(errs, c.err) || (status == 0) != (errs == "") {
				t.Errorf("exit status %d, want %d\nstdout: %s\nstderr: %s", status, c.status, out, errs)
			}
			if status != 0 && !strings.HasPrefix(errs, "postroom: ") {
				t.Errorf("stderr: %s", errs)
			}
		})
	}
	data, _ := os.ReadFile(users)
	if string(data) != "alice:{PLAIN}other\n" {
		t.Errorf("users file in the end: %q", data)
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "postroom-demo-*")); len(left) > 0 {
		t.Error("the demo that did not start left", left)
	}
}
