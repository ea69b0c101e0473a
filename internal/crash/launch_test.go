//go:build linux && amd64

package crash

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// launchEnv makes the test binary a launcher: it installs the filter that stops
// at calls that may write, and becomes the program named in the arguments. A
// filter stays through exec, so the server runs at full speed but for these calls.
const launchEnv = "POSTROOM_CRASH_LAUNCH"

func init() {
	if os.Getenv(launchEnv) == "" {
		return
	}
	runtime.LockOSThread()
	err := installFilter()
	if err == nil {
		os.Unsetenv(launchEnv)
		err = syscall.Exec(os.Args[1], os.Args[1:], os.Environ())
	}
	fmt.Fprintln(os.Stderr, "crash: launching:", err)
	os.Exit(120)
}

// writing are the calls that can change a file system. openat is one when it makes or empties a file.
var writing = map[uint64]string{
	unix.SYS_OPENAT: "openat", unix.SYS_WRITE: "write", unix.SYS_PWRITE64: "pwrite64",
	unix.SYS_WRITEV: "writev", unix.SYS_PWRITEV: "pwritev", unix.SYS_COPY_FILE_RANGE: "copy_file_range",
	unix.SYS_SENDFILE: "sendfile", unix.SYS_SPLICE: "splice",
	unix.SYS_RENAME: "rename", unix.SYS_RENAMEAT: "renameat", unix.SYS_RENAMEAT2: "renameat2",
	unix.SYS_LINK: "link", unix.SYS_LINKAT: "linkat", unix.SYS_SYMLINKAT: "symlinkat",
	unix.SYS_UNLINK: "unlink", unix.SYS_UNLINKAT: "unlinkat", unix.SYS_RMDIR: "rmdir",
	unix.SYS_MKDIR: "mkdir", unix.SYS_MKDIRAT: "mkdirat",
	unix.SYS_FSYNC: "fsync", unix.SYS_FDATASYNC: "fdatasync", unix.SYS_SYNC_FILE_RANGE: "sync_file_range", unix.SYS_SYNCFS: "syncfs",
	unix.SYS_FTRUNCATE: "ftruncate", unix.SYS_TRUNCATE: "truncate", unix.SYS_FALLOCATE: "fallocate",
	unix.SYS_UTIMENSAT: "utimensat", unix.SYS_FCHMOD: "fchmod", unix.SYS_FCHMODAT: "fchmodat", unix.SYS_FCHOWNAT: "fchownat",
	unix.SYS_FSETXATTR: "fsetxattr",
}

const seccompRetTrace, seccompRetAllow = 0x7ff00000, 0x7fff0000

func installFilter() error {
	const nrOffset, arg2Low = 0, 16 + 2*8 // struct seccomp_data
	stmt := func(code uint16, k uint32) unix.SockFilter { return unix.SockFilter{Code: code, K: k} }
	ld := func(off uint32) unix.SockFilter { return stmt(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, off) }
	eq := func(k uint32, t, f uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: t, Jf: f, K: k}
	}
	ret := func(k uint32) unix.SockFilter { return stmt(unix.BPF_RET|unix.BPF_K, k) }
	prog := []unix.SockFilter{
		ld(nrOffset),
		eq(unix.SYS_OPENAT, 0, 4),
		ld(arg2Low),
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, Jt: 0, Jf: 1, K: unix.O_CREAT | unix.O_TRUNC},
		ret(seccompRetTrace),
		ret(seccompRetAllow),
	}
	for nr := range writing {
		if nr != unix.SYS_OPENAT {
			prog = append(prog, eq(uint32(nr), 0, 1), ret(seccompRetTrace))
		}
	}
	prog = append(prog, ret(seccompRetAllow))
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&fprog)), 0, 0)
}
