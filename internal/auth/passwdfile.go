package auth

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode/utf8"
)

// The users file has the lines of a Dovecot passwd-file:
//
//	name:{SCHEME}hash:uid:gid:gecos:home:shell:extra fields
//
// Only name and password are needed. Comments (#), empty lines, the order of lines, and fields that are not
// ours are kept, octet by octet, when the file is written.
const maxUsersFile = 256 << 20 // octets

// Entry is one user.
type Entry struct {
	Name     string
	Scheme   string
	Extra    string // the eighth field
	password password
	access   access
}

// File is a users file as it was read. Reading is safe for concurrent use;
// Set and Remove are not.
type File struct {
	path   string
	lines  []string
	byName map[string]int      // line of a user
	groups map[string][]string // of users who are in any
	bad    []error
	decoys Entry

	scram scramUse
}

// ReadFile reads a users file. Lines that cannot be understood are in Problems.
func ReadFile(path string) (*File, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("users file: %w", err)
	}
	if !fi.Mode().IsRegular() || fi.Size() > maxUsersFile {
		return nil, fmt.Errorf("users file %s: not a regular file of a sensible size", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("users file: %w", err)
	}
	return parseFile(path, data), nil
}

func parseFile(path string, data []byte) *File {
	f := &File{path: path, byName: make(map[string]int), groups: make(map[string][]string)}
	text, ended := strings.CutSuffix(string(data), "\n")
	if text != "" || ended {
		f.lines = strings.Split(text, "\n")
	}
	for i, line := range f.lines {
		name, ok, err := userOf(line)
		if err == nil && ok {
			if first, twice := f.byName[name]; twice {
				err = fmt.Errorf("user %q stands in line %d already", name, first+1)
			} else {
				f.byName[name] = i
				if groups := groupsOf(extraOf(line)); groups != nil {
					f.groups[name] = groups
				}
			}
		}
		if err != nil {
			f.bad = append(f.bad, fmt.Errorf("%s:%d: %w", path, i+1, err))
		}
	}
	f.countSchemes()
	return f
}

// userOf checks a line; ok is false for a comment.
func userOf(line string) (name string, ok bool, err error) {
	line = strings.TrimSuffix(line, "\r")
	if line == "" || strings.HasPrefix(line, "#") {
		return "", false, nil
	}
	name, rest, ok := strings.Cut(line, ":")
	if !ok {
		return "", false, errors.New("no password: a line is name:{SCHEME}hash")
	}
	if err := CheckName(name); err != nil {
		return "", false, err
	}
	pw, _, _ := strings.Cut(rest, ":")
	p, err := parsePassword(pw)
	if err == nil {
		err = p.wellFormed()
	}
	if err != nil {
		return "", false, fmt.Errorf("user %q: %w", name, err)
	}
	if _, err := parseAccess(extraOf(line)); err != nil {
		return "", false, fmt.Errorf("user %q: %w", name, err)
	}
	return name, true, nil
}

// extraOf gives the eighth field of a line.
func extraOf(line string) string {
	if f := strings.SplitN(strings.TrimSuffix(line, "\r"), ":", 8); len(f) == 8 {
		return f[7]
	}
	return ""
}

// groupsField is the extra field that names a user's groups.
const groupsField = "userdb_acl_groups"

// groupsOf gives the groups that an eighth field names: userdb_acl_groups=a,b as for Dovecot's ACL plugin.
func groupsOf(extra string) (groups []string) {
	for f := range strings.FieldsSeq(extra) {
		if list, ok := strings.CutPrefix(f, groupsField+"="); ok {
			for name := range strings.SplitSeq(list, ",") {
				if name != "" {
					groups = append(groups, name)
				}
			}
		}
	}
	return groups
}

// CheckName tells whether a user can have this name. It becomes part of a path.
func CheckName(name string) error {
	bad := func(why string) error { return fmt.Errorf("%.64q cannot be a user's name: %s", name, why) }
	switch {
	case name == "":
		return bad("it is empty")
	case len(name) > 255:
		return bad("it is longer than 255 octets")
	case !utf8.ValidString(name):
		return bad("it is not UTF-8")
	case strings.HasPrefix(name, "."), strings.HasPrefix(name, "-"), strings.HasPrefix(name, "#"):
		return bad("of its first character")
	case strings.ContainsAny(name, "/\\:"):
		return bad("it holds a slash or a colon")
	}
	for _, r := range name {
		if r <= ' ' || r >= 0x7f && r < 0xa0 {
			return bad("it holds a space or a control character")
		}
	}
	return nil
}

// countSchemes prepares the decoy: the password of a user there is not, in the
// commonest scheme of the file, so that refusing it takes as long as refusing any other.
func (f *File) countSchemes() {
	count := make(map[string]int)
	best := ""
	for i, line := range f.lines {
		name, rest, _ := strings.Cut(line, ":")
		if at, known := f.byName[name]; !known || at != i {
			continue
		}
		pw, _, _ := strings.Cut(rest, ":")
		p, err := parsePassword(strings.TrimSuffix(pw, "\r"))
		if err != nil {
			continue
		}
		count[p.scheme]++
		f.scram.add(p)
		// Any user's stored password costs what its verification costs.
		if best == "" || count[p.scheme] > count[best] || p.scheme == best {
			best, f.decoys.password = p.scheme, p
		}
	}
	if best == "" {
		f.decoys.password = password{"PLAIN", "\x00"}
	}
}

func (f *File) decoy() Entry { return f.decoys }

// Problems lists the lines that could not be understood.
func (f *File) Problems() []error { return f.bad }

// Lookup finds a user.
func (f *File) Lookup(name string) (Entry, bool) {
	i, ok := f.byName[name]
	if !ok {
		return Entry{}, false
	}
	fields := strings.SplitN(strings.TrimSuffix(f.lines[i], "\r"), ":", 8)
	p, err := parsePassword(fields[1])
	if err != nil {
		return Entry{}, false
	}
	e := Entry{Name: name, Scheme: p.scheme, password: p}
	if len(fields) == 8 {
		e.Extra = fields[7]
	}
	if e.access, err = parseAccess(e.Extra); err != nil {
		return Entry{}, false // it was a problem when the file was read
	}
	return e, true
}

// Users lists all users in the order of the file.
func (f *File) Users() []Entry {
	var out []Entry
	for i, line := range f.lines {
		if name, _, ok := strings.Cut(line, ":"); ok {
			if at, known := f.byName[name]; known && at == i {
				e, _ := f.Lookup(name)
				out = append(out, e)
			}
		}
	}
	return out
}

// Set gives a user a stored password (see Hash), adding the user if need be.
func (f *File) Set(name, stored string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if i, ok := f.byName[name]; ok {
		line, cr := strings.CutSuffix(f.lines[i], "\r")
		fields := strings.SplitN(line, ":", 3)
		fields[1] = stored
		f.lines[i] = strings.Join(fields, ":")
		if cr {
			f.lines[i] += "\r"
		}
		return nil
	}
	f.lines = append(f.lines, name+":"+stored)
	f.byName[name] = len(f.lines) - 1
	return nil
}

// Remove drops a user; it tells whether there was one.
func (f *File) Remove(name string) bool {
	i, ok := f.byName[name]
	if !ok {
		return false
	}
	f.lines = append(f.lines[:i], f.lines[i+1:]...)
	delete(f.byName, name)
	for n, at := range f.byName {
		if at > i {
			f.byName[n] = at - 1
		}
	}
	return true
}

// Update changes a users file under a lock that all who use it respect: change gets the file as it is, and it is
// written when change returns nil, with the owner and the mode it had. If there is none, create gets the
// file that will be it, mode 0600, to set both; without create that is an error.
func Update(path string, create func(*os.File) error, change func(*File) error) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // the file is replaced, not the link to it
	}
	// The lock is on the directory, which stays when the file is replaced.
	lock, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("users file: %w", err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	f, err := ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && create != nil {
		f, err = parseFile(path, nil), nil
	} else {
		create = sameOwner(path)
	}
	if err != nil {
		return err
	}
	if err := change(f); err != nil {
		return err
	}
	return f.write(create)
}

// sameOwner gives a new file the owner and the mode that another has.
func sameOwner(path string) func(*os.File) error {
	return func(w *os.File) error {
		fi, err := os.Stat(path)
		if err != nil {
			return err
		}
		if err := w.Chmod(fi.Mode().Perm()); err != nil {
			return err
		}
		if st, ok := fi.Sys().(*syscall.Stat_t); ok && (int(st.Uid) != os.Getuid() || int(st.Gid) != os.Getgid()) {
			return w.Chown(int(st.Uid), int(st.Gid))
		}
		return nil
	}
}

// write replaces the file as a whole; prepare gets the new one while it is empty.
func (f *File) write(prepare func(*os.File) error) error {
	var b bytes.Buffer
	for _, l := range f.lines {
		b.WriteString(l)
		b.WriteByte('\n')
	}
	w, err := os.CreateTemp(filepath.Dir(f.path), "."+filepath.Base(f.path)+".")
	if err != nil {
		return fmt.Errorf("users file: %w", err)
	}
	defer os.Remove(w.Name()) // gone when all went well
	if err = prepare(w); err == nil {
		_, err = w.Write(b.Bytes())
	}
	if err == nil {
		err = w.Sync()
	}
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(w.Name(), f.path)
	}
	if err != nil {
		return fmt.Errorf("users file: %w", err)
	}
	dir, err := os.Open(filepath.Dir(f.path))
	if err != nil {
		return fmt.Errorf("users file: %w", err)
	}
	defer dir.Close()
	return dir.Sync()
}

func inode(fi fs.FileInfo) any {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return [2]uint64{uint64(st.Dev), st.Ino}
	}
	return nil
}
