package maildir

import (
	"io"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// direntType says what a name is, as far as getdents knows.
type direntType uint8

const (
	direntUnknown direntType = 0
	direntDir     direntType = 4
	direntRegular direntType = 8
)

const (
	minDirentBuf = 64 << 10
	maxDirentBuf = 1 << 30
)

var direntBufs = sync.Pool{New: func() any { b := make([]byte, minDirentBuf); return &b }}

// readNames calls each for every entry but "." and "..". The name is only valid
// during the call. whole tells whether all came in one getdents call, which holds the directory's
// lock; a caller who asks for atomic gets a buffer grown until they do, or whole false
// after a few tries.
func (d *dir) readNames(atomic bool, each func(name []byte, typ direntType, ino uint64)) (whole bool, err error) {
	fd, err := openat(d.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0) // an offset of its own: others may read at the same time
	if err != nil {
		return false, os.NewSyscallError("openat", err)
	}
	defer unix.Close(fd)
	bp := direntBufs.Get().(*[]byte)
	defer direntBufs.Put(bp)
	buf := *bp
	if !atomic {
		_, err := readDirents(fd, buf, each)
		return false, err
	}
	type entry struct {
		off, end int
		typ      direntType
		ino      uint64
	}
	for try := 0; try < 24; try++ {
		var names []byte
		var entries []entry
		calls, err := readDirents(fd, buf, func(name []byte, typ direntType, ino uint64) {
			off := len(names)
			names = append(names, name...)
			entries = append(entries, entry{off, len(names), typ, ino})
		})
		if err != nil {
			return false, err
		}
		if calls <= 1 || try == 23 {
			for _, e := range entries {
				each(names[e.off:e.end], e.typ, e.ino)
			}
			if cap(buf) <= 4<<20 {
				*bp = buf
			}
			return calls <= 1, nil
		}
		if need := len(names)*2 + len(entries)*64; need > len(buf) && need <= maxDirentBuf {
			buf = make([]byte, need)
		}
		if _, err := unix.Seek(fd, 0, io.SeekStart); err != nil {
			return false, os.NewSyscallError("lseek", err)
		}
	}
	return false, nil
}

// readDirents reads a directory to its end and counts the getdents calls that gave names.
func readDirents(fd int, buf []byte, each func([]byte, direntType, uint64)) (calls int, err error) {
	for {
		n, err := syscall.ReadDirent(fd, buf)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return calls, os.NewSyscallError("getdents64", err)
		}
		if n <= 0 {
			return calls, nil
		}
		calls++
		parseDirents(buf[:n], each)
	}
}

// parseDirents walks linux_dirent64 records: ino u64, off i64, reclen u16,
// type u8, name.
func parseDirents(b []byte, each func([]byte, direntType, uint64)) {
	const nameOff = 19
	for len(b) > nameOff {
		reclen := int(*(*uint16)(unsafe.Pointer(&b[16])))
		if reclen < nameOff || reclen > len(b) {
			return
		}
		name := b[nameOff:reclen]
		for i, c := range name {
			if c == 0 {
				name = name[:i]
				break
			}
		}
		if self := len(name) == 1 && name[0] == '.'; !self && !(len(name) == 2 && name[0] == '.' && name[1] == '.') {
			each(name, direntType(b[18]), *(*uint64)(unsafe.Pointer(&b[0])))
		}
		b = b[reclen:]
	}
}
