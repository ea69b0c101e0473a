package maildir

import (
	"os"
	"slices"
	"time"
)

// twinRest is how long two files with one base name are left alone: a program
// that renames by link and unlink has both for a moment.
const twinRest = 30 * time.Second

// separateTwinsLocked deals with files that have shared a base name for long.
// Two links to one file are one message, so one link goes; another file is another
// message, which gets a name of its own in new/, keeping flags and sizes. The
// caller holds the list's lock. It tells whether it did anything.
func (f *Folder) separateTwinsLocked() bool {
	did := false
	for base, p := range f.odd {
		if len(p.places) < 2 {
			continue
		}
		_, ci, ri, ok := f.lookupBase(base)
		if !ok {
			continue
		}
		kept := f.currentPlace(ci, ri)
		first, err := f.dirOf(kept.dir).stat(kept.name)
		if err != nil {
			continue
		}
		for _, at := range slices.Clone(p.places) {
			if at != kept && f.restedLocked(at) && f.separateLocked(at, first) {
				did = true
			}
		}
	}
	return did
}

// restedLocked tells whether a file has been left as it is for long.
func (f *Folder) restedLocked(at place) bool {
	fi, err := f.dirOf(at.dir).stat(at.name)
	return err == nil && f.store.opt.Clock().Sub(unixNano(stampOf(fi).ctime)) >= twinRest
}

// separateLocked takes a second file of a base name out of the way of the first.
func (f *Folder) separateLocked(at place, first os.FileInfo) bool {
	fi, err := f.dirOf(at.dir).stat(at.name)
	if err != nil {
		return false
	}
	if stampOf(fi).fileID == stampOf(first).fileID {
		if err := f.dirOf(at.dir).remove(at.name); err != nil {
			f.fail("removing a second link", err)
			return false
		}
		f.setPresentLocked(at, false)
		f.expectLocked(at.dir, at.name, false)
		return true
	}
	to := place{inNew, f.store.names.mint() + sizesOf(at.name)}
	if flags := flagsOf(at.name); flags != 0 {
		to = place{inCur, withFlags(to.name, flags)}
	}
	if err := f.dirOf(at.dir).moveTo(at.name, f.dirOf(to.dir), to.name); err != nil {
		f.fail("renaming a second file of one base name", err)
		return false
	}
	f.log.Warn("two files had one base name; the second was renamed", "from", at.name, "to", to.name)
	f.expectLocked(at.dir, at.name, false)
	f.expectLocked(to.dir, to.name, true)
	f.setPresentLocked(at, false)
	f.setPresentLocked(to, true)
	return true
}

// hasTwins tells whether any base has more than one file.
func (f *Folder) hasTwins() bool {
	for _, p := range f.odd {
		if len(p.places) > 1 {
			return true
		}
	}
	return false
}
