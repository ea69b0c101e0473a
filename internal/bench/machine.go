package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// machine is where and with what a run was made; it stands at the head of the tables.
type machine struct {
	Date       string `json:"date"`
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"`
	MemoryGiB  int    `json:"memory_gib"`
	Kernel     string `json:"kernel"`
	FileSystem string `json:"file_system"`
	Go         string `json:"go"`
	Dovecot    string `json:"dovecot"`
	Rounds     int    `json:"rounds"`
	Load       string `json:"load"` // before the run
}

func newMachine(dir string, rounds int) machine {
	m := machine{Date: date(time.Now()), Cores: runtime.NumCPU(), Go: runtime.Version(), Rounds: rounds, CPU: "unknown CPU"}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
				m.CPU = strings.TrimSpace(v)
			}
		}
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		m.MemoryGiB = int((uint64(info.Totalram)*uint64(info.Unit) + 1<<29) >> 30)
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _, _ = strings.Cut(string(b), " ")
	}
	m.FileSystem = fileSystem(dir)
	m.Dovecot, _ = dovecotVersion()
	return m
}

// fileSystem names the kinds a bench is likely to run on.
func fileSystem(dir string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return err.Error()
	}
	names := map[int64]string{unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs",
		unix.TMPFS_MAGIC: "tmpfs", unix.OVERLAYFS_SUPER_MAGIC: "overlayfs"}
	if n := names[int64(st.Type)]; n != "" {
		return n
	}
	return fmt.Sprintf("file system %#x", st.Type)
}

// String is a line of Markdown.
func (m machine) String() string {
	return fmt.Sprintf("%s: %d cores (%s), %d GiB, Linux %s, %s, %s, Dovecot %s; medians of %d rounds; load average before the run %s.",
		m.Date, m.Cores, m.CPU, m.MemoryGiB, m.Kernel, m.FileSystem, m.Go, m.Dovecot, m.Rounds, m.Load)
}
