package maildir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// CheckOptions say what Check does beside reading.
type CheckOptions struct {
	// Repair mends what can be mended without losing a message.
	Repair bool
	// Restored says that an older copy of the tree was put back: UIDs and MODSEQs that clients
	// were told since that copy was made must not be given again. See Folder.raise.
	Restored bool
	// Progress is told how far Check is; it may be nil.
	Progress func(CheckProgress)
	// Found is called for each finding.
	Found func(Finding)
}

// CheckProgress tells which folder is being read, out of how many.
type CheckProgress struct {
	Folder         string
	Nth, Folders   int
	Files, InFiles int // messages looked at so far in this folder, and how many it has
}

// Finding is one difference between what a tree holds and what its formats say.
type Finding struct {
	Folder string `json:"folder"`
	// File is its path below the tree's root; Line is 0 where there is none.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	// Kind is a word for programs: missing, damaged, stale, unlisted, unusable, odd, unreadable, leftover, raised.
	Kind string `json:"kind"`
	Text string `json:"text"`
	// Note means that nothing is wrong: it is so in normal use, and mended by it.
	Note bool `json:"note"`
	// Repaired means that it is so no longer.
	Repaired bool `json:"repaired"`
}

// CheckResult counts.
type CheckResult struct {
	Folders  int `json:"folders"`
	Messages int `json:"messages"`
	Problems int `json:"problems"` // findings that are no notes and were not repaired
	Repaired int `json:"repaired"`
}

// Check reads a tree and names every difference between files, uid list, index
// and cache. Reading changes nothing, and may be done while the tree is served:
// what others are just doing may then be found. An error means that it could not be read to its end.
func (t *Tree) Check(ctx context.Context, opt CheckOptions) (CheckResult, error) {
	c := &checker{tree: t, opt: opt}
	names, _, err := t.listing()
	if err != nil {
		return c.res, err
	}
	order, err := t.Folders()
	if err != nil {
		return c.res, err
	}
	c.checkRoot()
	for i, name := range order {
		c.at = CheckProgress{Folder: name, Nth: i + 1, Folders: len(order)}
		if err := c.folder(ctx, name, names[name]); err != nil {
			return c.res, fmt.Errorf("folder %q: %w", name, err)
		}
	}
	return c.res, nil
}

// checker is one run of Check.
type checker struct {
	tree  *Tree
	opt   CheckOptions
	res   CheckResult
	at    CheckProgress
	found []Finding // in the folder that is being checked
}

func (c *checker) add(f Finding) { c.found = append(c.found, f) }

// report passes the findings of a folder on.
func (c *checker) report() {
	for _, f := range c.found {
		switch {
		case f.Repaired:
			c.res.Repaired++
		case !f.Note:
			c.res.Problems++
		}
		if c.opt.Found != nil {
			c.opt.Found(f)
		}
	}
	c.found = nil
}

// checkRoot looks for what a crash left in the tree's root.
func (c *checker) checkRoot() {
	var left []string
	_, err := c.tree.top.readNames(false, func(name []byte, _ direntType, _ uint64) {
		if n := string(name); strings.HasPrefix(n, "..postroom-") || strings.HasPrefix(n, uidValidityName+".postroom") {
			left = append(left, n)
		}
	})
	if err != nil {
		return // the first folder tells
	}
	for _, n := range left {
		if fi, err := c.tree.top.stat(n); err == nil && time.Since(fi.ModTime()) > time.Hour {
			c.add(Finding{Folder: Inbox, File: n, Kind: "leftover", Note: true, Text: "left by a program that was ended in the midst of making or deleting a folder"})
		}
	}
	c.report()
}

// folder checks one folder and, if asked, mends it.
func (c *checker) folder(ctx context.Context, name, dirName string) error {
	c.res.Folders++
	messages, err := c.look(ctx, name, dirName)
	if err != nil {
		return err
	}
	if c.opt.Repair && len(c.found) > 0 {
		before := c.found
		c.found = nil
		if err := c.mend(ctx, name, dirName, before); err != nil {
			return err
		}
		if messages, err = c.look(ctx, name, dirName); err != nil {
			return err
		}
		c.found = compare(before, c.found)
	}
	c.res.Messages += messages
	if c.opt.Restored {
		if err := c.raise(ctx, name, dirName); err != nil {
			return err
		}
	}
	c.report()
	return nil
}

// compare marks what is not found any more as repaired.
func compare(before, after []Finding) []Finding {
	still := make(map[Finding]bool, len(after))
	for _, f := range after {
		still[f] = true
	}
	for i, f := range before {
		if !still[f] {
			before[i].Repaired = true
		}
		delete(still, f)
	}
	for _, f := range after {
		if still[f] {
			before = append(before, f)
		}
	}
	return before
}

// open gives a Folder that has its directories and nothing else: nothing is made, watched or locked.
func (c *checker) open(name, dirName string) (*Folder, error) {
	f := newFolder(c.tree, name, dirName)
	var err error
	if f.home, err = c.tree.openHome(dirName); err != nil {
		return nil, wrapSys("open", c.tree.fullPath(dirName), err)
	}
	for _, sub := range []struct {
		name string
		dir  **dir
	}{{"tmp", &f.tmp}, {"new", &f.new}, {"cur", &f.cur}} {
		if *sub.dir, err = f.home.openDir(sub.name); err != nil {
			c.add(Finding{Folder: name, File: c.path(dirName, sub.name), Kind: "missing", Text: fmt.Sprintf("%s/ cannot be opened: %v", sub.name, unwrapped(err))})
			*sub.dir = nil
		}
	}
	return f, nil
}

// unwrapped is a system call's error without the path, which a finding names by itself.
func unwrapped(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// path is below the tree's root.
func (c *checker) path(dirName string, parts ...string) string {
	if dirName != inboxDir {
		parts = append([]string{dirName}, parts...)
	}
	return strings.Join(parts, "/")
}

// look reads a folder and gives the number of its messages.
func (c *checker) look(ctx context.Context, name, dirName string) (int, error) {
	f, err := c.open(name, dirName)
	if err != nil {
		return 0, err
	}
	defer f.closeDirs()
	if dirName != inboxDir && !f.home.exists(maildirFolder) {
		c.add(Finding{Folder: name, File: c.path(dirName, maildirFolder), Kind: "missing", Note: true, Text: "the file that marks a subfolder for delivery agents is not there"})
	}
	files := newListing(0)
	for _, s := range []subdir{inCur, inNew} { // of two files with one name the one in cur/ is the message
		if f.dirOf(s) == nil {
			continue
		}
		if err := c.names(ctx, f, s, files); err != nil {
			return 0, err
		}
	}
	list, trusted := c.list(f, files)
	c.keywords(f, files)
	if trusted {
		c.index(f, files, &list)
		c.cache(f, &list)
	}
	c.leftovers(f)
	n := 0
	files.each(func(*listed) { n++ })
	return n, nil
}

// names reads a directory of messages.
func (c *checker) names(ctx context.Context, f *Folder, s subdir, files *listing) error {
	d := f.dirOf(s)
	type entry struct {
		name string
		ino  uint64
	}
	var entries []entry
	_, err := d.readNames(false, func(name []byte, _ direntType, ino uint64) {
		if name[0] != '.' {
			entries = append(entries, entry{string(name), ino})
		}
	})
	if err != nil {
		return wrapSys("read", c.tree.fullPath(f.dirName)+"/"+s.String(), err)
	}
	c.at.Files, c.at.InFiles = 0, len(entries)
	for i, e := range entries {
		if i%1000 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if c.at.Files = i; c.opt.Progress != nil {
				c.opt.Progress(c.at)
			}
		}
		if c.file(f, s, e.name) {
			if old := files.find(baseOf(e.name)); old != nil {
				c.add(Finding{Folder: f.name, File: c.path(f.dirName, s.String(), e.name), Kind: "odd", Text: "another file has the same name but for the flags: " + files.firstName(old)})
			}
			files.add(s, []byte(e.name), e.ino)
		}
	}
	return nil
}

// file looks at one file and tells whether it is a message.
func (c *checker) file(f *Folder, s subdir, name string) bool {
	found := Finding{Folder: f.name, File: c.path(f.dirName, s.String(), name)}
	fi, err := f.dirOf(s).stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false // renamed or removed just now
	}
	switch {
	case err != nil:
		found.Kind, found.Text = "unreadable", unwrapped(err).Error()
	case !fi.Mode().IsRegular():
		found.Kind, found.Text = "odd", "not a regular file; it is passed over"
	case !usable([]byte(name)):
		found.Kind, found.Text = "unusable", "no client can be shown a message of that name; --repair gives it another"
	case unix.Faccessat(f.dirOf(s).fd, name, unix.R_OK, unix.AT_EACCESS) != nil:
		found.Kind, found.Text = "unreadable", "its mode does not let it be read"
		c.add(found)
		return true
	default:
		if n := sizeField(name, 'S'); n >= 0 && n != fi.Size() {
			found.Kind, found.Note = "odd", true
			found.Text = fmt.Sprintf("it has %d octets, its name says %d", fi.Size(), n)
			c.add(found)
		}
		return true
	}
	c.add(found)
	return false
}
