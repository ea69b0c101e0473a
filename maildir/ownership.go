package maildir

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// What Postroom makes takes mode and group from the directory it is made in,
// whatever the umask, so that all who share a tree go on sharing it. Where the user may
// not give a file that group, the group it has gets no right that not everybody has.

// rights are those of a directory that what is made in it takes.
type rights struct {
	mode   fs.FileMode // permissions
	gid    uint32
	setgid bool // the system gives what is made here the group by itself
}

func (d *dir) rights() (rights, error) {
	var st unix.Stat_t
	if err := unix.Fstat(d.fd, &st); err != nil {
		return rights{}, err
	}
	return rights{mode: fs.FileMode(st.Mode & 0o777), gid: st.Gid, setgid: st.Mode&unix.S_ISGID != 0}, nil
}

// limitGroup takes from the group what others do not have.
func limitGroup(mode fs.FileMode) fs.FileMode { return mode &^ (0o070 &^ (mode & 0o007 << 3)) }

// beforehand is the mode to make a file with: until it has its group no other may
// have that one's rights.
func (r rights) beforehand(perm fs.FileMode) fs.FileMode {
	if !r.setgid && r.gid != uint32(os.Getegid()) {
		return limitGroup(perm)
	}
	return perm
}

// settle gives a new file the directory's group and the mode perm.
func (r rights) settle(f *os.File, perm fs.FileMode) error {
	fi, err := f.Stat() // by the file: its descriptor's number is not to be had without system calls
	if err != nil {
		return err
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok && st.Gid != r.gid && f.Chown(-1, int(r.gid)) != nil {
		perm = limitGroup(perm)
	}
	if fi.Mode().Perm() == perm {
		return nil
	}
	return f.Chmod(perm)
}

// settleDir does the same for a new directory, which also hands on setgid.
func (d *dir) settleDir(name string, r rights) error {
	perm := r.mode
	made, err := d.openDir(name) // just made by us: by its descriptor, whatever has the name now
	if err != nil {
		return err
	}
	defer made.close()
	has, err := made.rights()
	if err != nil {
		return err
	}
	if has.gid != r.gid && unix.Fchown(made.fd, -1, int(r.gid)) != nil {
		perm, r.setgid = limitGroup(perm), false
	}
	mode := uint32(perm)
	if r.setgid {
		mode |= unix.S_ISGID
	}
	return os.NewSyscallError("fchmod", unix.Fchmod(made.fd, mode))
}
