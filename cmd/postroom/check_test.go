package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckCommand(t *testing.T) {
	dir := t.TempDir()
	config, users := filepath.Join(dir, "config.toml"), filepath.Join(dir, "users")
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	process := ""
	if os.Getuid() == 0 {
		process = "[process]\nuser = \"root\"\n"
	}
	write(config, "[mail]\nroot = \""+dir+"/mail/{user}\"\n[auth]\nusers = \""+users+"\"\n"+process)
	write(users, "alice:{PLAIN}x\nbob:{PLAIN}x\n")
	for _, sub := range []string{"cur", "new", "tmp"} {
		write(dir+"/mail/alice/"+sub+"/.keep", "")
	}
	write(dir+"/mail/alice/cur/1000.a.host:2,S", "Subject: a\n\nb\n")
	check := func(status int, args ...string) string {
		t.Helper()
		out, errs, got := postroom(t, "", append([]string{"check", "--config", config}, args...)...)
		if got != status {
			t.Fatalf("%v: status %d, want %d\n%s%s", args, got, status, out, errs)
		}
		return out + errs
	}
	if out := check(0); !strings.Contains(out, "alice: 1 folders, 1 messages, 0 problems") || !strings.Contains(out, "bob: 0 folders") {
		t.Error(out)
	}
	check(2, "--user", "carol")
	write(dir+"/mail/alice/cur/:2,S", "Subject: b\n\nb\n")
	if out := check(1, "--user", "alice"); !strings.Contains(out, "alice: cur/:2,S: unusable:") {
		t.Error(out)
	}
	var res []struct {
		User     string
		Problems int
		Findings []struct{ File, Kind string }
	}
	out, _, _ := postroom(t, "", "check", "--config", config, "--user", "alice", "--json")
	if err := json.Unmarshal([]byte(out), &res); err != nil || len(res) != 1 || res[0].Problems != 1 || len(res[0].Findings) == 0 {
		t.Error(err, out)
	}
	if out := check(0, "--repair"); !strings.Contains(out, "(repaired)") || !strings.Contains(out, "2 messages, 0 problems, ") {
		t.Error(out)
	}
	if out := check(0, "--restored", "--user", "alice"); !strings.Contains(out, "the next UID is 1000003") {
		t.Error(out)
	}
}
