package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestGroupParents(t *testing.T) {
	mounts := []byte(`/dev/vda / ext4 rw 0 0
cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0
cgroup /sys/fs/cgroup/cpuacct cgroup rw,relatime,cpuacct 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0
broken
`)
	own := []byte("9:name=systemd:/\n2:cpuacct:/jobs/a\n1:cpu:/other\n0::/b\n")
	got := groupParents(mounts, own)
	want := []group{{dir: "/sys/fs/cgroup/cpuacct/jobs/a"}, {dir: "/sys/fs/cgroup/unified/b", v2: true}}
	if !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	got = groupParents([]byte("cgroup /c cgroup rw,cpu,cpuacct 0 0\n"), []byte("4:cpu,cpuacct:/\n"))
	if want := []group{{dir: "/c"}}; !slices.Equal(got, want) {
		t.Errorf("joined controllers: got %+v, want %+v", got, want)
	}
}

// TestGroupUsed reads both forms of what a group has used.
func TestGroupUsed(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"cpuacct.usage": "4012522547\n",
		"cpu.stat":      "usage_usec 3956092\nuser_usec 3936588\nsystem_usec 19503\n",
		"cgroup.procs":  "12\n7\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		g    group
		want time.Duration
	}{{group{dir: dir}, 4012522547}, {group{dir: dir, v2: true}, 3956092 * time.Microsecond}} {
		if got, err := c.g.used(); err != nil || got != c.want {
			t.Errorf("%+v: %v, %v, want %v", c.g, got, err, c.want)
		}
	}
	if _, err := usageUsec([]byte("user_usec 5\n")); err == nil {
		t.Error("a cpu.stat without usage_usec passes")
	}
	g := group{dir: dir}
	if pids, err := g.pids(); err != nil || !slices.Equal(pids, []int{12, 7}) {
		t.Errorf("pids: %v, %v", pids, err)
	}
}

func TestRollupPss(t *testing.T) {
	text := "55e0-7ffc ---p 00000000 00:00 0 [rollup]\nRss:  9000 kB\nPss:  4321 kB\nPss_Dirty: 99 kB\n"
	if kib, ok := rollupPss(text); !ok || kib != 4321 {
		t.Errorf("%d, %v", kib, ok)
	}
	if _, ok := rollupPss(""); ok {
		t.Error("an empty one passes")
	}
}
