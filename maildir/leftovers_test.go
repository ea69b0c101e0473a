package maildir

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestLeftovers(t *testing.T) {
	var ahead atomic.Int64 // hours
	clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load()) * time.Hour) }
	dir := filepath.Join(t.TempDir(), "Maildir")
	s := testStore(t, Options{Clock: clock, Host: "host", PollInterval: time.Hour})
	tree := testTree(t, s, dir)
	must(t, tree.Create(t.Context(), "Work", nil))
	w := open(t, tree, "Work")
	defer w.Close()
	const dead = 1 << 22 // above the highest number that Linux gives
	live := []string{
		fmt.Sprintf("1.M2P%d.host", os.Getppid()),
		s.names.mint(),
	}
	gone := []string{
		fmt.Sprintf("1.M2P%d.host", dead),
		fmt.Sprintf("1.M2P%dR00000000.host", os.Getpid()), // of an earlier process with our number
		fmt.Sprintf("1.M2P%d.elsewhere", os.Getppid()),    // of another machine
		"whatever",
	}
	for _, n := range append(live, gone...) {
		put(t, dir+"/.Work/tmp/"+n, "x")
	}
	must(t, os.MkdirAll(dir+"/"+trashPrefix+gone[0]+"/cur", 0o700))
	put(t, dir+"/"+trashPrefix+gone[0]+"/cur/1.a:2,", "x")
	must(t, os.MkdirAll(dir+"/"+makePrefix+gone[0]+"/cur", 0o700))
	must(t, os.MkdirAll(dir+"/"+makePrefix+live[1], 0o700))
	must(t, os.MkdirAll(dir+"/..other", 0o700))
	left := func() []string {
		var names []string
		for _, d := range []string{dir + "/.Work/tmp", dir} {
			entries, err := os.ReadDir(d)
			must(t, err)
			for _, e := range entries {
				if d != dir || strings.HasPrefix(e.Name(), "..") {
					names = append(names, e.Name())
				}
			}
		}
		slices.Sort(names)
		return names
	}
	all := left()
	w.sweep()
	ahead.Store(35)
	w.sweep()
	if got := left(); !slices.Equal(got, all) {
		t.Errorf("removed while young: %q of %q", got, all)
	}
	ahead.Store(58)
	w.sweep() // less than a day after the last
	if got := left(); !slices.Equal(got, all) {
		t.Errorf("swept too often: %q of %q", got, all)
	}
	ahead.Store(35 + 24)
	w.sweep()
	want := append([]string{makePrefix + live[1], "..other"}, live...)
	slices.Sort(want)
	if got := left(); !slices.Equal(got, want) {
		t.Errorf("left are %q, not %q", got, want)
	}
}
