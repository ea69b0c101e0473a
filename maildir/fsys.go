package maildir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Every file of a tree is opened in this file. The path of a tree's root is
// walked once; below it all calls name a directory's descriptor and a single
// component, and follow no link, so nothing leads out of the tree. Files are
// opened without blocking and must be regular, so that a FIFO or a device put in
// their place stops nobody.

// dir is an open directory. It stays the same directory when somebody renames
// it or puts another in its place. It is safe for concurrent use until closed.
type dir struct {
	fd int
	id fileID

	// failed has the fileIDs of the tree's directories whose last sync failed. The tree's
	// directories share it, so that it is not forgotten with a folder that is closed or renamed.
	failed *sync.Map
}

// openTopDir opens the top of a tree by its path: the one place where a path
// from the configuration is walked.
func openTopDir(path string) (*dir, error) {
	return newDir(unix.AT_FDCWD, path, 0, new(sync.Map))
}

// syncDir makes the names in a directory at or above a tree's root durable, if we may read it: else nobody can ask for it.
func syncDir(path string) error {
	d, err := openTopDir(path)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.close()
	return d.sync()
}

// openDir opens a subdirectory, which must not be a symbolic link.
func (d *dir) openDir(name string) (*dir, error) {
	if name != "." {
		if err := singleName(name); err != nil {
			return nil, err
		}
	}
	return newDir(d.fd, name, unix.O_NOFOLLOW, d.failed)
}

func newDir(at int, name string, flags int, failed *sync.Map) (*dir, error) {
	fd, err := openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY|flags, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return &dir{fd: fd, id: fileID{uint64(st.Dev), st.Ino}, failed: failed}, nil
}

// openat is the system call, made again when a signal interrupts it.
func openat(at int, name string, flags int, perm fs.FileMode) (fd int, err error) {
	for {
		fd, err = unix.Openat(at, name, flags|unix.O_CLOEXEC, uint32(perm))
		if err != unix.EINTR {
			return fd, err
		}
	}
}

func (d *dir) close() {
	if d != nil && d.fd >= 0 {
		unix.Close(d.fd)
		d.fd = -1
	}
}

func (d *dir) stamp() (stamp, error) {
	var st unix.Stat_t
	if err := unix.Fstat(d.fd, &st); err != nil {
		return stamp{}, os.NewSyscallError("fstat", err)
	}
	return statStamp(&st), nil
}

// octets is how large the directory is, a rough measure of its names; 0 if the system does not say.
func (d *dir) octets() int64 {
	var st unix.Stat_t
	if unix.Fstat(d.fd, &st) != nil {
		return 0
	}
	return st.Size
}

func (d *dir) stat(name string) (fs.FileInfo, error) {
	fi := &fileInfo{name: name}
	err := singleName(name)
	if err == nil {
		err = unix.Fstatat(d.fd, name, &fi.st, unix.AT_SYMLINK_NOFOLLOW)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return fi, nil
}

// lacks tells that a subdirectory has no entry of that name, or is not there, without opening it. It is the one call
// that names two components, and so would follow a link in the place of the subdirectory, which openDir
// does not take for one either.
func (d *dir) lacks(sub, name string) bool {
	var st unix.Stat_t
	return singleName(sub, name) == nil && unix.Fstatat(d.fd, sub+"/"+name, &st, unix.AT_SYMLINK_NOFOLLOW) == unix.ENOENT
}

func (d *dir) exists(name string) bool {
	_, err := d.stat(name)
	return err == nil
}

// rename replaces what has the new name, within the directory.
func (d *dir) rename(from, to string) error {
	err := singleName(from, to)
	if err == nil {
		err = unix.Renameat(d.fd, from, d.fd, to)
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// remove removes a file or an empty directory.
func (d *dir) remove(name string) error {
	err := singleName(name)
	if err == nil {
		if err = unix.Unlinkat(d.fd, name, 0); err == unix.EISDIR {
			err = unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR)
		}
	}
	if err != nil {
		return &fs.PathError{Op: "remove", Path: name, Err: err}
	}
	return nil
}

// removeAll removes a file, or a directory and all in it; it is no error that it is not there. Links are not followed.
func (d *dir) removeAll(name string) error {
	err := d.remove(name)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EEXIST) {
		return err
	}
	sub, oerr := d.openDir(name)
	if oerr != nil {
		return err
	}
	defer sub.close()
	for try := 0; ; try++ {
		var names []string
		if _, err := sub.readNames(false, func(n []byte, _ direntType, _ uint64) { names = append(names, string(n)) }); err != nil {
			return err
		}
		for _, n := range names {
			if err := sub.removeAll(n); err != nil {
				return err
			}
		}
		err := d.remove(name)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if try == 8 || !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EEXIST) {
			return err // else somebody who has it open has just made a file in it
		}
	}
}

// sync makes the names in the directory durable.
func (d *dir) sync() error {
	err := unix.Fsync(d.fd)
	if err != nil {
		d.failed.Store(d.id, true)
	} else {
		d.failed.Delete(d.id)
	}
	return os.NewSyscallError("fsync", err)
}

// settle syncs the directory if its last sync failed: what one command was refused for must
// not be taken for done by the next.
func (d *dir) settle() error {
	if _, failed := d.failed.Load(d.id); failed {
		return d.sync()
	}
	return nil
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

// openFile opens a file by its name in the directory, following no link and waiting for nobody.
func (d *dir) openFile(name string, flags int, perm fs.FileMode) (*os.File, error) {
	err := singleName(name)
	var fd int
	if err == nil {
		fd, err = openat(d.fd, name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK, perm)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// open opens a regular file for reading.
func (d *dir) open(name string) (*os.File, error) {
	return regular(d.openFile(name, os.O_RDONLY, 0))
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
	f, err := d.openFile(name, mode, r.beforehand(perm))
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
	return regular(d.openFile(name, os.O_RDWR|os.O_APPEND, 0))
}

// openOrCreate opens a regular file for reading and writing, empty if it was not there.
func (d *dir) openOrCreate(name string) (*os.File, error) {
	return d.openOrMake(name, os.O_RDWR)
}

// openOrMake opens a regular file, and makes it if it was not there.
func (d *dir) openOrMake(name string, mode int) (*os.File, error) {
	var f *os.File
	var err error
	for range 8 { // others may make and remove it meanwhile
		if f, err = regular(d.openFile(name, mode, 0)); !errors.Is(err, fs.ErrNotExist) {
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
	return regular(d.openFile(name, os.O_RDWR, 0))
}

// openCache opens a regular file for reading and, where it may be written, for appending; it is then made if it
// was not there.
func (d *dir) openCache(name string, write bool) (*os.File, error) {
	if write {
		return d.openOrMake(name, os.O_RDWR|os.O_APPEND)
	}
	return d.open(name)
}

// openMessage opens a regular file for reading and says what it is like. It is a bare descriptor: tens of
// thousands of messages are opened by one command, and an os.File each costs as much as the calls themselves.
func (d *dir) openMessage(name string, st *unix.Stat_t) (fd int, err error) {
	if err := singleName(name); err != nil {
		return -1, err
	}
	if fd, err = openat(d.fd, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0); err != nil {
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

// lstat is stat without making anything.
func (d *dir) lstat(name string, st *unix.Stat_t) error {
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

// readFile reads a whole small file, up to limit octets, and the stamp it had. It does so by a bare descriptor, since
// every SELECT reads some.
func (d *dir) readFile(name string, limit int64) ([]byte, stamp, error) {
	var st unix.Stat_t
	fd, err := d.openMessage(name, &st)
	if err != nil {
		return nil, stamp{}, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	defer closeMessage(fd)
	if st.Size > limit {
		return nil, stamp{}, fmt.Errorf("%s: %d octets: %w", name, st.Size, ErrTooBig)
	}
	data := make([]byte, min(st.Size+1, limit)) // one more, to see that this is the end
	for n := 0; ; {
		k, err := readMessage(fd, data[n:], int64(n))
		n += k
		if err == io.EOF || int64(n) == limit {
			return data[:n], statStamp(&st), nil
		}
		if err != nil {
			return data[:n], statStamp(&st), err
		}
		data = append(data, make([]byte, min(int64(n), limit-int64(n)))...) // it grows meanwhile
	}
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

// makeFile makes a file with these contents, synced; that its name lasts is the caller's business. It must not exist.
func (d *dir) makeFile(name string, data []byte) error {
	f, err := d.create(name, d.filePerm())
	if err != nil {
		return err
	}
	if _, err = writeSynced(f, data); err != nil {
		d.remove(name)
	}
	return err
}

// startWriting has the system begin to write a file's octets to the disk. It is a hint: the sync that follows
// tells of failures.
func startWriting(f *os.File) {
	if c, err := f.SyscallConn(); err == nil {
		_ = c.Control(func(fd uintptr) { _ = unix.SyncFileRange(int(fd), 0, 0, unix.SYNC_FILE_RANGE_WRITE) })
	}
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
	var st unix.Stat_t
	if unix.Fstat(d.fd, &st) != nil {
		return 0o700
	}
	return fs.FileMode(st.Mode & 0o777)
}

func (d *dir) filePerm() fs.FileMode { return d.perm() & 0o666 }

// mkdir makes a subdirectory with this directory's mode and group.
func (d *dir) mkdir(name string) error {
	r, err := d.rights()
	if err != nil {
		return err
	}
	if err = singleName(name); err == nil {
		err = unix.Mkdirat(d.fd, name, uint32(r.mode&0o700))
	}
	if err != nil {
		return &fs.PathError{Op: "mkdir", Path: name, Err: err}
	}
	return d.settleDir(name, r)
}

// setTimesNow sets a file's times to the file system's own idea of now.
func (d *dir) setTimesNow(name string) error {
	if err := singleName(name); err != nil {
		return err
	}
	return unix.UtimesNanoAt(d.fd, name, []unix.Timespec{{Nsec: unix.UTIME_NOW}, {Nsec: unix.UTIME_NOW}}, unix.AT_SYMLINK_NOFOLLOW)
}

// setTimes sets a file's modification time: INTERNALDATE lives there.
func (d *dir) setTimes(name string, t time.Time) error {
	if err := singleName(name); err != nil {
		return err
	}
	ts, err := unix.TimeToTimespec(t)
	if err != nil {
		return err
	}
	return unix.UtimesNanoAt(d.fd, name, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
}
