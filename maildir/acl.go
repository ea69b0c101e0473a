package maildir

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Who may do what in a folder stands in a file of its directory: dovecot-acl or, in trees that come from
// Courier and only where there is no dovecot-acl, courierimapacl. Of INBOX it is the file in the root. What is
// in the files is octets to this package. Files are read here, changed in acledit.go and watched in aclwatch.go.
const (
	aclName        = "dovecot-acl"
	courierACLName = "courierimapacl"
	maxACLFile     = 1 << 20 // octets
)

// ACLKind tells the format of a folder's ACL file.
type ACLKind uint8

const (
	NoACL ACLKind = iota // there is no file
	DovecotACL
	CourierACL
)

// aclNames are the files by kind, in the order in which they are looked for.
var aclNames = [...]string{DovecotACL: aclName, CourierACL: courierACLName}

// ACLVersion is a state of a folder's ACL file, or that there was none. Two that are equal are of the same octets. Two
// that differ need not be of different ones. The zero value is of no state: nobody has looked.
type ACLVersion struct {
	kind    ACLKind
	looked  bool
	settled bool // any later change has another stamp
	stamp   stamp
	home    stamp // of the directory while there was no file, if any later change has another; else zero
}

// ACLFile is a folder's ACL file as it was read.
type ACLFile struct {
	Kind    ACLKind
	Data    []byte // nil when there is no file
	Version ACLVersion
}

// ReadACL reads a folder's ACL file. If the file is still that of known, which an earlier call gave, same is true and
// Data nil. A file that was changed within the last moments is read in any case, as its stamp cannot
// tell two changes apart. A file that cannot be read is ErrDamaged, with its path and the reason; Kind and
// Version are of that file then, and same is false. ErrNoFolder if there is no such folder.
func (t *Tree) ReadACL(name string, known ACLVersion) (f ACLFile, same bool, err error) {
	dirName, err := t.lookup(name)
	if err != nil {
		return ACLFile{}, false, err
	}
	home, err := t.openHome(dirName)
	if errors.Is(err, fs.ErrNotExist) {
		return ACLFile{}, false, fmt.Errorf("%q: %w", name, ErrNoFolder)
	}
	if err != nil {
		return ACLFile{}, false, wrapSys("open", t.fullPath(dirName), err)
	}
	defer home.close()
	return readACL(home, t.path, dirName, known, t.store.opt.Clock())
}

// ACLPath gives the path of a folder's ACL file, for messages to people, and its kind; of NoACL it is where one would be.
func (t *Tree) ACLPath(name string) (path string, kind ACLKind, err error) {
	dirName, err := t.lookup(name)
	if err != nil {
		return "", NoACL, err
	}
	home, err := t.openHome(dirName)
	if err != nil {
		return "", NoACL, noFolder(name, wrapSys("open", t.fullPath(dirName), err))
	}
	defer home.close()
	for kind := DovecotACL; kind <= CourierACL; kind++ {
		if home.exists(aclNames[kind]) {
			return filepath.Join(t.fullPath(dirName), aclNames[kind]), kind, nil
		}
	}
	return filepath.Join(t.fullPath(dirName), aclName), NoACL, nil
}

// ReadACL is Tree.ReadACL of an open folder, whatever has its name by now. Where there is a dovecot-acl that is known
// it costs one system call, and so does none where the directory has not changed.
func (f *Folder) ReadACL(known ACLVersion) (ACLFile, bool, error) {
	return readACL(f.home, f.tree.path, f.dirName, known, f.store.opt.Clock())
}

// openHome opens a folder's directory.
func (t *Tree) openHome(dirName string) (*dir, error) {
	if dirName == inboxDir {
		return t.top.openDir(".")
	}
	return t.top.openDir(dirName)
}

// errUnsteady tells that a file was changed while it was read.
var errUnsteady = errors.New("it keeps being changed")

// readACL reads the ACL file in d, whose path, root and directory, is for messages to people.
func readACL(d *dir, root, dirName string, known ACLVersion, now time.Time) (f ACLFile, same bool, err error) {
	for range 8 { // others may be writing it, or be putting another in its place
		if f, same, err = tryACL(d, known, now); err != errUnsteady {
			break
		}
	}
	if err != nil {
		return f, false, aclError(filepath.Join(root, dirName, aclNames[f.Kind]), err)
	}
	return f, same, nil
}

// aclError says why the file of that path, or any in a directory of that path, cannot be read. It is ErrDamaged, unless
// it may well be read in a moment.
func aclError(path string, err error) error {
	for _, short := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM} {
		if errors.Is(err, short) {
			return wrapSys("read", path, err)
		}
	}
	return fmt.Errorf("%s: %w: %v", path, ErrDamaged, unwrapped(err))
}

// tryACL is one attempt of readACL; after an error the file's Kind tells which file it is about.
func tryACL(d *dir, known ACLVersion, now time.Time) (f ACLFile, same bool, err error) {
	hadNone := known.looked && known.kind == NoACL
	var home stamp
	if hadNone {
		// A name that comes changes the directory. It is asked before names are looked for, so that what comes between is seen next.
		if home, err = d.stamp(); err == nil && home == known.home {
			return ACLFile{Version: known}, true, nil
		}
	}
	for kind := DovecotACL; kind <= CourierACL; kind++ {
		var st unix.Stat_t
		err := d.lstat(aclNames[kind], &st)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		f := ACLFile{Kind: kind, Version: ACLVersion{kind: kind, looked: true, stamp: statStamp(&st)}}
		if err != nil {
			return f, false, err
		}
		if known.kind == kind && known.settled && known.stamp == f.Version.stamp {
			f.Version = known
			return f, true, nil
		}
		if st.Mode&unix.S_IFMT != unix.S_IFREG {
			return f, false, errNotRegular // and is not opened: that may do something, to a device
		}
		f.Data, err = readSteady(d, aclNames[kind], f.Version.stamp)
		f.Version.settled = err == nil && f.Version.stamp.old(now)
		return f, false, err
	}
	f.Version.looked = true
	if home.old(now) {
		f.Version.home = home
	}
	return f, hadNone, nil
}

// readSteady reads a file whose stamp is as before, and still is when all was read.
func readSteady(d *dir, name string, before stamp) ([]byte, error) {
	data, st, err := d.readFile(name, maxACLFile)
	if errors.Is(err, fs.ErrNotExist) || err == nil && st != before {
		return nil, errUnsteady
	}
	if err != nil {
		return nil, err
	}
	if fi, err := d.stat(name); err != nil || stampOf(fi) != before {
		return nil, errUnsteady
	}
	return data, nil
}

// Parent gives the nearest of a name's parents that is a folder; ok is false if none is. It is what a new folder
// begins like.
func (t *Tree) Parent(name string) (parent string, ok bool) {
	names, _, err := t.listing()
	if err != nil {
		return "", false
	}
	for i := strings.LastIndexByte(name, t.sep); i > 0; i = strings.LastIndexByte(name, t.sep) {
		if name = name[:i]; strings.EqualFold(name, Inbox) {
			return Inbox, true
		}
		if _, ok := names[name]; ok {
			return name, true
		}
	}
	return "", false
}
