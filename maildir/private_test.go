package maildir

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// TestPrivateLeft: the directory of a process that was killed goes, a living one's stays.
func TestPrivateLeft(t *testing.T) {
	dead := exec.Command("true")
	must(t, dead.Run())
	place := t.TempDir()
	gone := filepath.Join(place, privatePrefix+strconv.Itoa(dead.Process.Pid)+"-1")
	stays := filepath.Join(place, privatePrefix+strconv.Itoa(os.Getppid())+"-1")
	for _, dir := range []string{gone, stays} {
		must(t, os.Mkdir(dir, 0o700))
		put(t, dir+"/1", "")
	}
	removeLeft(place)
	if _, err := os.Stat(gone); !os.IsNotExist(err) {
		t.Error("a dead process's directory is there:", err)
	}
	if _, err := os.Stat(stays); err != nil {
		t.Error("a living process's directory is not there:", err)
	}
}
