//go:build linux && amd64

package crash

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// call is one system call that writes below the mail root.
type call struct {
	n     int    // its number in the case, from 1, over all threads and servers
	name  string // "write"
	path  string // what it changes
	path2 string // of two names the second
	size  int    // octets it wants to write
	errno syscall.Errno
}

func (c call) String() string {
	s := fmt.Sprintf("call %d: %s %s", c.n, c.name, c.path)
	if c.path2 != "" {
		s += " " + c.path2
	}
	return s
}

// fate is what the supervisor does with a call.
type fate int

const (
	letGo  fate = iota
	kill        // SIGKILL before the call is made
	tear        // half of the write is made, then SIGKILL
	refuse      // the call fails with the errno
	halve       // a write writes only half of what it should
)

// judge decides the fate of calls. Its methods are called by one goroutine at a
// time, while the calling thread of the server stands still.
type judge interface {
	before(c call) (fate, syscall.Errno)
	after(c call) // only if wantAfter; errno tells how it ended
	wantAfter() bool
}

// tracer supervises the servers of one case; the numbers of the calls go on from one to the next.
type tracer struct {
	root  string // only calls below it count
	judge judge

	mu     sync.Mutex
	calls  int    // guarded by mu
	killed bool   // guarded by mu: the judge had a server killed
	last   call   // guarded by mu: the last that met another fate than letGo
	trail  []call // guarded by mu: the last few calls, for reports
}

// traced is one server process.
type traced struct {
	t    *tracer
	pid  int
	done chan struct{} // closed when all its threads are gone
	err  error         // of the supervisor; valid after done
}

// start runs a program under the supervisor. Its output goes to log.
func (t *tracer) start(log *os.File, argv ...string) (*traced, error) {
	p := &traced{t: t, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// ptrace belongs to the thread that started the process.
		runtime.LockOSThread()
		defer close(p.done)
		self, err := os.Executable()
		if err == nil {
			p.pid, err = syscall.ForkExec(self, append([]string{self}, argv...), &syscall.ProcAttr{
				Env:   append(os.Environ(), launchEnv+"=1"),
				Files: []uintptr{0, log.Fd(), log.Fd()},
				Sys:   &syscall.SysProcAttr{Ptrace: true, Setpgid: true},
			})
		}
		started <- err
		if err == nil {
			p.err = p.supervise()
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

func (p *traced) signal(s syscall.Signal) { syscall.Kill(p.pid, s) }

// stop kills the process and waits for its end.
func (p *traced) stop(s syscall.Signal) error {
	p.signal(s)
	<-p.done
	return p.err
}

const traceOptions = unix.PTRACE_O_TRACESECCOMP | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEEXEC |
	unix.PTRACE_O_EXITKILL | unix.PTRACE_O_TRACESYSGOOD

func (p *traced) supervise() error {
	var ws syscall.WaitStatus
	if _, err := syscall.Wait4(p.pid, &ws, syscall.WALL, nil); err != nil {
		return err
	}
	if err := unix.PtraceSetOptions(p.pid, traceOptions); err != nil {
		unix.Kill(p.pid, unix.SIGKILL)
		return fmt.Errorf("options: %w", err)
	}
	known := map[int]bool{p.pid: true}
	inCall := map[int]call{} // by thread: waiting for the end of it
	unix.PtraceCont(p.pid, 0)
	for {
		tid, err := syscall.Wait4(-p.pid, &ws, syscall.WALL, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if errors.Is(err, syscall.ECHILD) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("wait: %w", err)
		}
		if !ws.Stopped() {
			continue
		}
		sig := 0
		switch s := ws.StopSignal(); {
		case s == syscall.SIGTRAP|0x80: // the end of a call
			if c, ok := inCall[tid]; ok {
				delete(inCall, tid)
				p.ended(tid, c)
			}
		case s == syscall.SIGTRAP && ws.TrapCause() == unix.PTRACE_EVENT_SECCOMP:
			if c, wait := p.began(tid); wait {
				inCall[tid] = c
				unix.PtraceSyscall(tid, 0)
				continue
			}
		case s == syscall.SIGTRAP:
		case s == syscall.SIGSTOP && !known[tid]: // a new thread
		default:
			sig = int(s)
		}
		known[tid] = true
		unix.PtraceCont(tid, sig) // an error means that the thread was killed
	}
}

// began meets a thread that is about to make a call; wait tells that its end is wanted.
func (p *traced) began(tid int) (c call, wait bool) {
	var regs unix.PtraceRegs
	if unix.PtraceGetRegs(tid, &regs) != nil {
		return c, false
	}
	c, ok := p.describe(&regs)
	if !ok {
		return c, false
	}
	t := p.t
	t.mu.Lock()
	t.calls++
	c.n = t.calls
	t.trail = append(t.trail, c)
	if len(t.trail) > 12 {
		t.trail = t.trail[1:]
	}
	t.mu.Unlock()
	f, errno := t.judge.before(c)
	if f != letGo {
		t.mu.Lock()
		t.last = c
		t.killed = t.killed || f == kill || f == tear
		t.mu.Unlock()
	}
	switch f {
	case kill:
		unix.Kill(p.pid, unix.SIGKILL)
		return c, false
	case refuse:
		regs.Orig_rax = ^uint64(0)
		regs.Rax = uint64(-int64(errno))
		unix.PtraceSetRegs(tid, &regs)
		return c, false
	case tear, halve:
		regs.Rdx /= 2
		unix.PtraceSetRegs(tid, &regs)
		c.size = -1
		return c, f == tear
	}
	return c, t.judge.wantAfter()
}

func (p *traced) ended(tid int, c call) {
	if c.size == -1 { // torn
		unix.Kill(p.pid, unix.SIGKILL)
		return
	}
	var regs unix.PtraceRegs
	if unix.PtraceGetRegs(tid, &regs) != nil {
		return
	}
	if r := int64(regs.Rax); r < 0 {
		c.errno = syscall.Errno(-r)
	}
	p.t.judge.after(c)
}

// describe tells what a call is about; ok is false for what is not below the root.
func (p *traced) describe(regs *unix.PtraceRegs) (c call, ok bool) {
	c.name = writing[regs.Orig_rax]
	a := [5]uint64{regs.Rdi, regs.Rsi, regs.Rdx, regs.R10, regs.R8}
	switch c.name {
	case "write", "pwrite64":
		c.path, c.size = p.fd(a[0]), int(a[2])
	case "writev", "pwritev", "fsync", "fdatasync", "sync_file_range", "syncfs", "ftruncate", "fallocate", "fchmod", "fsetxattr":
		c.path = p.fd(a[0])
	case "copy_file_range", "splice":
		c.path = p.fd(a[2])
	case "sendfile":
		c.path = p.fd(a[0])
	case "rename", "link":
		c.path, c.path2 = p.at(atCwd, a[0]), p.at(atCwd, a[1])
	case "renameat", "renameat2", "linkat":
		c.path, c.path2 = p.at(a[0], a[1]), p.at(a[2], a[3])
	case "symlinkat":
		c.path = p.at(a[1], a[2])
	case "unlink", "rmdir", "mkdir", "truncate":
		c.path = p.at(atCwd, a[0])
	default: // openat, unlinkat, mkdirat, utimensat, fchmodat, fchownat
		c.path = p.at(a[0], a[1])
	}
	below := func(s string) bool { return strings.HasPrefix(s, p.t.root+"/") || s == p.t.root }
	return c, below(c.path) || below(c.path2)
}

const atCwd = uint64(0xffffffffffffff9c)

func (p *traced) fd(fd uint64) string {
	s, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", p.pid, int32(fd)))
	return s
}

func (p *traced) at(dirfd, addr uint64) string {
	name := ""
	if addr != 0 {
		name = p.text(addr)
	}
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	if int32(dirfd) == unix.AT_FDCWD {
		cwd, _ := os.Readlink(fmt.Sprintf("/proc/%d/cwd", p.pid))
		return filepath.Join(cwd, name)
	}
	return filepath.Join(p.fd(dirfd), name)
}

// text reads a C string of the process.
func (p *traced) text(addr uint64) string {
	var out []byte
	buf := make([]byte, 256)
	for len(out) < unix.PathMax {
		n := 256 - int(addr%256) // stays within a page
		local := []unix.Iovec{{Base: &buf[0], Len: uint64(n)}}
		remote := []unix.RemoteIovec{{Base: uintptr(addr), Len: n}}
		got, err := unix.ProcessVMReadv(p.pid, local, remote, 0)
		if err != nil || got <= 0 {
			break
		}
		if i := bytes.IndexByte(buf[:got], 0); i >= 0 {
			return string(append(out, buf[:i]...))
		}
		out = append(out, buf[:got]...)
		addr += uint64(got)
	}
	return string(out)
}
