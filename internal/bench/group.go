package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// group is the control group that one server's processes are in. What it has
// used counts nanoseconds (v1) or microseconds (v2) of all its threads, also
// of those that ended, from the same clock as schedstat.
type group struct {
	dir string
	v2  bool
}

var groupSeq int

// newGroup makes one below the group that this process is in.
func newGroup() (*group, error) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, p := range groupParents(mounts, own) {
		groupSeq++
		g := &group{dir: filepath.Join(p.dir, fmt.Sprintf("bench-%d-%d", os.Getpid(), groupSeq)), v2: p.v2}
		if err := os.Mkdir(g.dir, 0o755); err != nil {
			errs = append(errs, err)
			continue
		}
		if _, err := g.used(); err == nil {
			return g, nil
		}
		errs = append(errs, err)
		os.Remove(g.dir)
	}
	return nil, fmt.Errorf("CPU is measured by control groups, and none could be made (cpuacct or cgroup2, mounted writable): %w", errors.Join(errs...))
}

// groupParents lists where a group can be made: cpuacct first, which counts
// nanoseconds. mounts and own are /proc/self/mounts and /proc/self/cgroup.
func groupParents(mounts, own []byte) []group {
	path := map[string]string{} // controllers to this process's group; "" is v2
	for line := range strings.Lines(string(own)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) == 3 {
			for c := range strings.SplitSeq(f[1], ",") {
				path[c] = f[2]
			}
		}
	}
	var v1, v2 []group
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if len(f) < 4 {
			continue
		}
		switch {
		case f[2] == "cgroup" && strings.Contains(","+f[3]+",", ",cpuacct,"):
			v1 = append(v1, group{dir: filepath.Join(f[1], path["cpuacct"])})
		case f[2] == "cgroup2":
			v2 = append(v2, group{dir: filepath.Join(f[1], path[""]), v2: true})
		}
	}
	return append(v1, v2...)
}

// used is the CPU time of all threads so far.
func (g *group) used() (time.Duration, error) {
	if !g.v2 {
		b, err := os.ReadFile(filepath.Join(g.dir, "cpuacct.usage"))
		if err != nil {
			return 0, err
		}
		n, err := strconv.ParseInt(string(bytes.TrimSpace(b)), 10, 64)
		return time.Duration(n), err
	}
	b, err := os.ReadFile(filepath.Join(g.dir, "cpu.stat"))
	if err != nil {
		return 0, err
	}
	return usageUsec(b)
}

// usageUsec finds usage_usec in a cpu.stat.
func usageUsec(stat []byte) (time.Duration, error) {
	s := bufio.NewScanner(bytes.NewReader(stat))
	for s.Scan() {
		if v, ok := strings.CutPrefix(s.Text(), "usage_usec "); ok {
			n, err := strconv.ParseInt(v, 10, 64)
			return time.Duration(n) * time.Microsecond, err
		}
	}
	return 0, errors.New("cpu.stat has no usage_usec")
}

// procs is the file that takes a pid into the group.
func (g *group) procs() string { return filepath.Join(g.dir, "cgroup.procs") }

// pids are the processes that are in the group now.
func (g *group) pids() ([]int, error) {
	b, err := os.ReadFile(g.procs())
	if err != nil {
		return nil, err
	}
	var out []int
	for _, f := range strings.Fields(string(b)) {
		pid, err := strconv.Atoi(f)
		if err != nil {
			return nil, err
		}
		out = append(out, pid)
	}
	return out, nil
}

// remove takes the empty group away; the kernel needs a moment after the last process.
func (g *group) remove() error {
	var err error
	for range 200 {
		if err = os.Remove(g.dir); err == nil || os.IsNotExist(err) {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}
