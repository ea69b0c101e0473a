package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A floor is what the work on the same files costs a bare loop of system calls,
// and that no server can go below. It runs in the rounds, beside the sides, on a
// tree of its own. Its CPU is that of the one thread that makes the calls.
type floor struct {
	name  string
	fresh bool // a new tree for each round: files are taken away
	run   func(f *floorTree) (sample, error)
}

// floorTree is the tree of a floor.
type floorTree struct {
	dir   string // a Maildir
	names []string
	part  int // of how many messages the work is; 0 is all
	turn  int // rounds so far
	rig   *rig
}

// newFloorTree makes a tree of n messages.
func (r *rig) newFloorTree(n, part int, links bool) (*floorTree, error) {
	f := &floorTree{dir: filepath.Join(r.dir, "floor", "Maildir"), part: part, rig: r}
	if err := r.corpus.fill(f.dir, n, links); err != nil {
		return nil, err
	}
	return f, f.read()
}

func (f *floorTree) read() error {
	names, err := os.ReadDir(filepath.Join(f.dir, "cur"))
	f.names = nil
	for _, e := range names {
		f.names = append(f.names, e.Name())
	}
	if f.part > 0 && f.part < len(f.names) {
		f.names = f.names[:f.part]
	}
	return err
}

// refill makes the tree anew.
func (f *floorTree) refill(n int, links bool) error {
	if err := os.RemoveAll(f.dir); err != nil {
		return err
	}
	if err := f.rig.corpus.fill(f.dir, n, links); err != nil {
		return err
	}
	return f.read()
}

// onThread runs f on a thread of its own, and tells that thread's CPU time.
func onThread(f func() error) (sample, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	runtime.GC()
	before := threadCPU()
	begin := time.Now()
	err := f()
	return sample{wall: time.Since(begin), cpu: threadCPU() - before}, err
}

func threadCPU() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		panic(err) // there is no Linux without it
	}
	return time.Duration(ts.Nano())
}

// inCur runs f with the directory cur open.
func (f *floorTree) inCur(do func(fd int) error) (sample, error) {
	fd, err := unix.Open(filepath.Join(f.dir, "cur"), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return sample{}, err
	}
	defer unix.Close(fd)
	return onThread(func() error { return do(fd) })
}

// floorNames reads the names.
var floorNames = floor{name: "names", run: func(f *floorTree) (sample, error) {
	buf := make([]byte, 256<<10)
	return f.inCur(func(fd int) error {
		for {
			n, err := unix.Getdents(fd, buf)
			if n <= 0 || err != nil {
				return err
			}
		}
	})
}}

// floorStat stats each.
var floorStat = floor{name: "stat", run: func(f *floorTree) (sample, error) {
	return f.inCur(func(fd int) error {
		var st unix.Stat_t
		for _, n := range f.names {
			if err := unix.Fstatat(fd, n, &st, 0); err != nil {
				return err
			}
		}
		return nil
	})
}}

// floorRead reads each.
var floorRead = floor{name: "read", run: func(f *floorTree) (sample, error) {
	buf := make([]byte, 1<<20)
	return f.inCur(func(fd int) error {
		for _, n := range f.names {
			if _, err := readFile(fd, n, buf); err != nil {
				return err
			}
		}
		return nil
	})
}}

func readFile(dir int, name string, buf []byte) (int, error) {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	total := 0
	for {
		n, err := unix.Read(fd, buf[total:])
		if n <= 0 || err != nil {
			return total, err
		}
		total += n
	}
}

// floorReadSend reads each and sends it with CRLF.
var floorReadSend = floor{name: "read+send", run: func(f *floorTree) (sample, error) {
	sock, end, err := sink()
	if err != nil {
		return sample{}, err
	}
	defer end()
	in, out := make([]byte, 1<<20), make([]byte, 0, 2<<20)
	return f.inCur(func(fd int) error {
		for _, name := range f.names {
			n, err := readFile(fd, name, in)
			if err != nil {
				return err
			}
			if out = crlf(out, in[:n]); len(out) >= 64<<10 {
				if err := writeAll(sock, out); err != nil {
					return err
				}
				out = out[:0]
			}
		}
		return writeAll(sock, out)
	})
}}

func crlf(out, in []byte) []byte {
	for {
		i := bytes.IndexByte(in, '\n')
		if i < 0 {
			return append(out, in...)
		}
		out = append(append(out, in[:i]...), '\r', '\n')
		in = in[i+1:]
	}
}

// floorSend sends as many octets as an answer has.
func floorSend(octets func(s sample) float64) floor {
	return floor{name: "send", run: func(f *floorTree) (sample, error) {
		sock, end, err := sink()
		if err != nil {
			return sample{}, err
		}
		defer end()
		buf := make([]byte, 64<<10)
		left := int(octets(f.rig.last))
		return onThread(func() error {
			for left > 0 {
				k := min(left, len(buf))
				if err := writeAll(sock, buf[:k]); err != nil {
					return err
				}
				left -= k
			}
			return nil
		})
	}}
}

// sink is a blocking loopback socket whose other end reads and forgets.
func sink() (fd int, end func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, nil, err
	}
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return 0, nil, err
	}
	far, err := l.Accept()
	if err != nil {
		near.Close()
		return 0, nil, err
	}
	file, err := near.(*net.TCPConn).File()
	near.Close()
	if err != nil {
		far.Close()
		return 0, nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{far}, make([]byte, 256<<10))
		far.Close()
	}()
	fd = int(file.Fd())
	return fd, func() { file.Close(); <-done }, unix.SetNonblock(fd, false)
}

func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err != nil && err != unix.EINTR {
			return err
		}
		b = b[max(n, 0):]
	}
	return nil
}

// floorRename gives each file another name, and its old one in the next round.
var floorRename = floor{name: "rename", run: func(f *floorTree) (sample, error) {
	to := make([]string, len(f.names))
	for i, n := range f.names {
		if base, flagged := strings.CutSuffix(n, "X"); flagged {
			to[i] = base
		} else {
			to[i] = n + "X"
		}
	}
	s, err := f.inCur(func(fd int) error {
		for i, n := range f.names {
			if err := unix.Renameat(fd, n, fd, to[i]); err != nil {
				return err
			}
		}
		return unix.Fsync(fd)
	})
	f.names = to
	return s, err
}}

// floorLink links each into another directory.
var floorLink = floor{name: "link", run: func(f *floorTree) (sample, error) {
	dir := filepath.Join(f.dir, "tmp", fmt.Sprint("link", f.turn))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return sample{}, err
	}
	defer os.RemoveAll(dir)
	to, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return sample{}, err
	}
	defer unix.Close(to)
	return f.inCur(func(fd int) error {
		for _, n := range f.names {
			if err := unix.Linkat(fd, n, to, n, 0); err != nil {
				return err
			}
		}
		return unix.Fsync(to)
	})
}}

// floorUnlink takes each away.
var floorUnlink = floor{name: "unlink", fresh: true, run: func(f *floorTree) (sample, error) {
	return f.inCur(func(fd int) error {
		for _, n := range f.names {
			if err := unix.Unlinkat(fd, n, 0); err != nil {
				return err
			}
		}
		return unix.Fsync(fd)
	})
}}

// floorAppend makes n durable files, one after another.
func floorAppend(n int) floor {
	return floor{name: "append", run: func(f *floorTree) (sample, error) {
		tmp, cur := filepath.Join(f.dir, "tmp"), filepath.Join(f.dir, "cur")
		texts := make([][]byte, n)
		for i := range texts {
			var err error
			if texts[i], err = os.ReadFile(f.rig.corpus.path(i)); err != nil {
				return sample{}, err
			}
		}
		return f.inCur(func(fd int) error {
			for i, text := range texts {
				name := fmt.Sprintf("appended-%d-%d", f.turn, i)
				if err := durable(filepath.Join(tmp, name), filepath.Join(cur, name), text, fd); err != nil {
					return err
				}
			}
			return nil
		})
	}}
}

// durable writes a file, syncs it, gives it its name and syncs that.
func durable(from, to string, text []byte, dir int) error {
	fd, err := unix.Open(from, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := writeAll(fd, text); err != nil {
		return err
	}
	if err := unix.Fsync(fd); err != nil {
		return err
	}
	if err := unix.Rename(from, to); err != nil {
		return err
	}
	return unix.Fsync(dir)
}
