package maildir

import (
	"io/fs"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// fileID names a file for as long as it exists.
type fileID struct{ dev, ino uint64 }

// stamp is what tells whether a file or directory was changed. It is compared
// for equality only: rsync sets mtimes back, but ctime tells.
type stamp struct {
	fileID
	mtime, ctime int64 // nanoseconds since 1970
	size         int64 // octets; 0 for directories
}

// old tells whether a stamp is so old that any change after now must show in it, by clocks that agree within the
// margin: kernels stamp in ticks, some file systems in whole seconds.
func (s stamp) old(now time.Time) bool {
	return now.UnixNano()-max(s.mtime, s.ctime) > int64(2*time.Second)
}

// fileInfo is what fstatat says of a file.
type fileInfo struct {
	name string
	st   unix.Stat_t
}

func (fi *fileInfo) Name() string       { return fi.name }
func (fi *fileInfo) Size() int64        { return fi.st.Size }
func (fi *fileInfo) ModTime() time.Time { return time.Unix(fi.st.Mtim.Unix()) }
func (fi *fileInfo) IsDir() bool        { return fi.Mode().IsDir() }
func (fi *fileInfo) Sys() any           { return &fi.st }

func (fi *fileInfo) Mode() fs.FileMode {
	m := fs.FileMode(fi.st.Mode & 0o777)
	if fi.st.Mode&unix.S_ISGID != 0 {
		m |= fs.ModeSetgid
	}
	switch fi.st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		m |= fs.ModeDir
	case unix.S_IFLNK:
		m |= fs.ModeSymlink
	default:
		m |= fs.ModeIrregular
	}
	return m
}

func statStamp(st *unix.Stat_t) stamp {
	s := stamp{fileID: fileID{uint64(st.Dev), st.Ino}, mtime: st.Mtim.Nano(), ctime: st.Ctim.Nano()}
	if st.Mode&unix.S_IFMT == unix.S_IFREG {
		s.size = st.Size
	}
	return s
}

// stampOf is a file's stamp, whether an open file was asked or its directory.
func stampOf(fi fs.FileInfo) stamp {
	switch st := fi.Sys().(type) {
	case *unix.Stat_t:
		return statStamp(st)
	case *syscall.Stat_t:
		s := stamp{fileID: fileID{uint64(st.Dev), st.Ino}, mtime: st.Mtim.Nano(), ctime: st.Ctim.Nano()}
		if fi.Mode().IsRegular() {
			s.size = fi.Size()
		}
		return s
	}
	return stamp{mtime: fi.ModTime().UnixNano(), size: fi.Size()}
}

// linksOf is the number of names that a file has; 1 if the system does not say.
func linksOf(fi fs.FileInfo) uint64 {
	switch st := fi.Sys().(type) {
	case *unix.Stat_t:
		return uint64(st.Nlink)
	case *syscall.Stat_t:
		return uint64(st.Nlink)
	}
	return 1
}
