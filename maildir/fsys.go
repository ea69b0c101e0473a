package maildir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Every file of a tree is opened in this file. A path below the tree's root is
// only ever walked by os.Root, so no symbolic link leads out of it; message
// files are opened without following links and without blocking, and must be
// regular, so that a FIFO or a device put in their place stops nobody.

// fileID names a file for as long as it exists.
type fileID struct{ dev, ino uint64 }

// stamp is what tells whether a file or directory was changed. It is compared
// for equality only: rsync sets mtimes back, but ctime tells.
type stamp struct {
	fileID
	mtime, ctime int64 // nanoseconds since 1970
	size         int64 // octets; 0 for directories
}

func sysStat(fi fs.FileInfo) (*syscall.Stat_t, bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return st, ok
}

func stampOf(fi fs.FileInfo) stamp {
	st, ok := sysStat(fi)
	if !ok {
		return stamp{mtime: fi.ModTime().UnixNano(), size: fi.Size()}
	}
	s := stamp{
		fileID: fileID{uint64(st.Dev), st.Ino},
		mtime:  st.Mtim.Nano(),
		ctime:  st.Ctim.Nano(),
	}
	if fi.Mode().IsRegular() {
		s.size = fi.Size()
	}
	return s
}

// dir is an open directory. It stays the same directory when somebody renames
// it or puts another in its place.
type dir struct {
	root *os.Root
	file *os.File // the same directory, for getdents, fsync and fstat
	fd   int      // file's descriptor, for the calls that take two directories
	id   fileID

	unsynced atomic.Bool // the last sync failed
}

// openTopDir opens the top of a tree by its path: the one place where a path
// from the configuration is walked.
func openTopDir(path string) (*dir, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return newDir(root)
}

// openDir opens a subdirectory, which must not be a symbolic link.
func (d *dir) openDir(name string) (*dir, error) {
	fi, err := d.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !fi.IsDir() {
		return nil, fmt.Errorf("%s: %w", name, syscall.ENOTDIR)
	}
	root, err := d.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return newDir(root)
}

func newDir(root *os.Root) (*dir, error) {
	f, err := root.Open(".")
	if err != nil {
		root.Close()
		return nil, err
	}
	fi, err := f.Stat()
	if err != nil {
		f.Close()
		root.Close()
		return nil, err
	}
	return &dir{root: root, file: f, fd: int(f.Fd()), id: stampOf(fi).fileID}, nil
}

func (d *dir) close() {
	if d == nil {
		return
	}
	d.file.Close()
	d.root.Close()
}

func (d *dir) stamp() (stamp, error) {
	fi, err := d.file.Stat()
	if err != nil {
		return stamp{}, err
	}
	return stampOf(fi), nil
}

func (d *dir) stat(name string) (fs.FileInfo, error) { return d.root.Lstat(name) }

func (d *dir) exists(name string) bool {
	_, err := d.root.Lstat(name)
	return err == nil
}

func (d *dir) rename(from, to string) error { return d.root.Rename(from, to) }
func (d *dir) remove(name string) error     { return d.root.Remove(name) }

// sync makes the names in the directory durable.
func (d *dir) sync() error {
	err := d.file.Sync()
	d.unsynced.Store(err != nil)
	return err
}

// settle syncs the directory if its last sync failed: what one command was refused for must
// not be taken for done by the next.
func (d *dir) settle() error {
	if !d.unsynced.Load() {
		return nil
	}
	return d.sync()
}

// moveTo renames a file into another directory of the same file system. It
// never replaces a file: the error is then fs.ErrExist. Names are single components, so nothing is followed.
func (d *dir) moveTo(name string, to *dir, newName string) error {
	if err := singleName(name, newName); err != nil {
		return err
	}
	err := unix.Renameat2(d.fd, name, to.fd, newName, unix.RENAME_NOREPLACE)
	if err != unix.EINVAL && err != unix.ENOSYS {
		return err
	}
	// A file system that cannot do that in one step: the caller's lock makes two do.
	if to.exists(newName) {
		return fs.ErrExist
	}
	return unix.Renameat(d.fd, name, to.fd, newName)
}

// linkTo makes a hard link in another directory; it fails if newName is there.
func (d *dir) linkTo(name string, to *dir, newName string) error {
	if err := singleName(name, newName); err != nil {
		return err
	}
	return unix.Linkat(d.fd, name, to.fd, newName, 0)
}

func singleName(names ...string) error {
	for _, n := range names {
		if n == "" || n == "." || n == ".." || strings.Contains(n, "/") {
			return fmt.Errorf("%q: %w", n, fs.ErrInvalid)
		}
	}
	return nil
}

// open opens a regular file for reading.
func (d *dir) open(name string) (*os.File, error) {
	return regular(d.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0))
}

// create makes a new file for writing, with the directory's group; it must not exist.
func (d *dir) create(name string, perm fs.FileMode) (*os.File, error) {
	return d.make(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
}

// make opens a file that it makes.
func (d *dir) make(name string, mode int, perm fs.FileMode) (*os.File, error) {
	r, err := d.rights()
	if err != nil {
		return nil, err
	}
	f, err := d.root.OpenFile(name, mode, r.beforehand(perm))
	if err != nil {
		return nil, err
	}
	if err := r.settle(f, perm); err != nil {
		f.Close()
		d.remove(name)
		return nil, err
	}
	return f, nil
}

// openAppend opens an existing regular file for appending.
func (d *dir) openAppend(name string) (*os.File, error) {
	return regular(d.root.OpenFile(name, os.O_RDWR|os.O_APPEND|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0))
}

// openOrCreate opens a regular file for reading and writing, empty if it was not there.
func (d *dir) openOrCreate(name string) (*os.File, error) {
	return d.openOrMake(name, os.O_RDWR)
}

// openOrMake opens a regular file, and makes it if it was not there.
func (d *dir) openOrMake(name string, mode int) (*os.File, error) {
	mode |= syscall.O_NONBLOCK | syscall.O_NOFOLLOW
	var f *os.File
	var err error
	for range 8 { // others may make and remove it meanwhile
		if f, err = regular(d.root.OpenFile(name, mode, 0)); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		if f, err = d.make(name, mode|os.O_CREATE|os.O_EXCL, d.filePerm()); !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	return f, err
}

// openUpdate opens an existing regular file for reading and writing.
func (d *dir) openUpdate(name string) (*os.File, error) {
	return regular(d.root.OpenFile(name, os.O_RDWR|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0))
}

// openCache opens a regular file for reading and, where it may be written, for appending; it is then made if it
// was not there.
func (d *dir) openCache(name string, write bool) (*os.File, error) {
	if write {
		return d.openOrMake(name, os.O_RDWR|os.O_APPEND)
	}
	return d.open(name)
}

// openMessage opens a message file for reading and says what it is like. It is a bare descriptor: tens of
// thousands are opened by one command, and an os.File each costs as much as the calls themselves.
func (d *dir) openMessage(name string, st *unix.Stat_t) (fd int, err error) {
	if err := singleName(name); err != nil {
		return -1, err
	}
	for {
		fd, err = unix.Openat(d.fd, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return -1, err
	}
	if err = unix.Fstat(fd, st); err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = errNotRegular
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// statMessage says what a message file is like, without following links.
func (d *dir) statMessage(name string, st *unix.Stat_t) error {
	if err := singleName(name); err != nil {
		return err
	}
	return unix.Fstatat(d.fd, name, st, unix.AT_SYMLINK_NOFOLLOW)
}

// readMessage reads from a descriptor of openMessage as io.ReaderAt does.
func readMessage(fd int, p []byte, off int64) (n int, err error) {
	for n < len(p) {
		k, err := unix.Pread(fd, p[n:], off+int64(n))
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return n, os.NewSyscallError("pread64", err)
		case k == 0:
			return n, io.EOF
		}
		n += k
	}
	return n, nil
}

func closeMessage(fd int) { _ = unix.Close(fd) }

// writable tells whether files can be made here.
func (d *dir) writable() bool {
	return unix.Faccessat(d.fd, ".", unix.W_OK|unix.X_OK, unix.AT_EACCESS) == nil
}

var errNotRegular = errors.New("not a regular file")

func regular(f *os.File, err error) (*os.File, error) {
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w", f.Name(), errNotRegular)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// readFile reads a whole small file, up to limit octets, and the stamp it had.
func (d *dir) readFile(name string, limit int64) ([]byte, stamp, error) {
	f, err := d.open(name)
	if err != nil {
		return nil, stamp{}, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, stamp{}, err
	}
	if fi.Size() > limit {
		return nil, stamp{}, fmt.Errorf("%s: %d octets: %w", name, fi.Size(), ErrTooBig)
	}
	data, err := io.ReadAll(io.LimitReader(f, limit))
	return data, stampOf(fi), err
}

// replaceFile puts a file with these contents in the place of name, whole:
// temp is written and synced, renamed over it, and the directory synced.
// An existing temp is left over from a crash; the caller holds the lock.
func (d *dir) replaceFile(temp, name string, data []byte) (stamp, error) {
	if err := d.remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return stamp{}, err
	}
	f, err := d.create(temp, d.filePerm())
	if err != nil {
		return stamp{}, err
	}
	st, err := writeSynced(f, data)
	if err == nil {
		err = d.rename(temp, name)
	}
	if err != nil {
		d.remove(temp)
		return stamp{}, err
	}
	return st, d.sync()
}

func writeSynced(f *os.File, data []byte) (stamp, error) {
	_, err := f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	var st stamp
	if err == nil {
		var fi fs.FileInfo
		if fi, err = f.Stat(); err == nil {
			st = stampOf(fi)
		}
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return st, err
}

// perm is the directory's own mode: what is made in it takes the same rights.
func (d *dir) perm() fs.FileMode {
	fi, err := d.file.Stat()
	if err != nil {
		return 0o700
	}
	return fi.Mode().Perm()
}

func (d *dir) filePerm() fs.FileMode { return d.perm() & 0o666 }

// mkdir makes a subdirectory with this directory's mode and group.
func (d *dir) mkdir(name string) error {
	r, err := d.rights()
	if err != nil {
		return err
	}
	if err := d.root.Mkdir(name, r.mode&0o700); err != nil {
		return err
	}
	return d.settleDir(name, r)
}

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
	f, err := d.root.Open(".") // an offset of its own: others may read at the same time
	if err != nil {
		return false, err
	}
	defer f.Close()
	bp := direntBufs.Get().(*[]byte)
	defer direntBufs.Put(bp)
	buf := *bp
	if !atomic {
		_, err := readDirents(f, buf, each)
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
		calls, err := readDirents(f, buf, func(name []byte, typ direntType, ino uint64) {
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
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return false, err
		}
	}
	return false, nil
}

// readDirents reads f to its end and counts the getdents calls that gave names.
func readDirents(f *os.File, buf []byte, each func([]byte, direntType, uint64)) (calls int, err error) {
	for {
		n, err := syscall.ReadDirent(int(f.Fd()), buf)
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

// setTimesNow sets a file's times to the file system's own idea of now.
func (d *dir) setTimesNow(name string) error {
	if err := singleName(name); err != nil {
		return err
	}
	return unix.UtimesNanoAt(d.fd, name, []unix.Timespec{{Nsec: unix.UTIME_NOW}, {Nsec: unix.UTIME_NOW}}, unix.AT_SYMLINK_NOFOLLOW)
}

// setTimes sets a file's modification time: INTERNALDATE lives there.
func (d *dir) setTimes(name string, t time.Time) error { return d.root.Chtimes(name, t, t) }
