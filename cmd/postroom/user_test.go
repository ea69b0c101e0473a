package main

import (
	"fmt"
	"os"
	"os/user"
	"strings"
	"syscall"
	"testing"
)

// ownerOf gives owner, group and mode of a file.
func ownerOf(t *testing.T, path string) string {
	t.Helper()
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	st := fi.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d %o", st.Uid, st.Gid, fi.Mode().Perm())
}

// A users file that root makes is readable for the server, and for nobody else.
// Who owns it, and its mode, stay when it is written again.
func TestNewUsersFileIsForTheServer(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("this wants to be run as root")
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Skip(err)
	}
	forNobody := "0:" + nobody.Gid + " 640"
	for _, c := range []struct {
		name, config string // the end of c.toml
		args         []string
		owner, err   string
	}{
		{"the configuration's", "[process]\nuser = \"nobody\"\n", []string{"--config", "c.toml"}, forNobody, ""},
		{"named", "[process]\nuser = \"nobody\"\n", []string{"--config", "c.toml", "--users", "new"}, forNobody, ""},
		{"root serves", "[process]\nuser = \"root\"\n", []string{"--config", "c.toml"}, "0:0 600", ""},
		{"no configuration", "", []string{"--config", "none.toml", "--users", "new"}, "0:0 600", "none.toml: there is no such file"},
		{"a broken one", "[process]\nuser = \"no-such-user\"\n", []string{"--config", "c.toml", "--users", "new"}, "0:0 600", "no-such-user"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			dir, err := os.Getwd()
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile("c.toml", []byte("[auth]\nusers = \""+dir+"/new\"\n"+c.config), 0o600); err != nil {
				t.Fatal(err)
			}
			_, errs, status := postroom(t, "secret\n", append([]string{"user", "add", "alice", "--scheme", "PLAIN"}, c.args...)...)
			if got := ownerOf(t, "new"); status != 0 || got != c.owner {
				t.Fatalf("exit status %d, %s, want %s\n%s", status, got, c.owner, errs)
			}
			if (c.err == "") != (errs == "") || !strings.Contains(errs, c.err) || errs != "" && !strings.Contains(errs, "chgrp") {
				t.Errorf("stderr: %s", errs)
			}
			for _, mode := range []os.FileMode{0o640, 0o444} {
				if err := os.Chown("new", 12345, 54321); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod("new", mode); err != nil {
					t.Fatal(err)
				}
				want := ownerOf(t, "new")
				for _, args := range [][]string{{"passwd", "alice", "--scheme", "PLAIN"}, {"add", "bob", "--scheme", "PLAIN"}, {"remove", "bob"}} {
					args = append(append([]string{"user"}, args...), c.args...)
					if _, errs, status := postroom(t, "other\n", args...); status != 0 || errs != "" {
						t.Fatalf("%v: %d %s", args, status, errs)
					}
					if got := ownerOf(t, "new"); got != want {
						t.Errorf("%v: %s, and was %s", args, got, want)
					}
				}
			}
		})
	}
}
