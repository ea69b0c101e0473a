package maildir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// mend puts right what was found in a folder. Derived files that are damaged go; names that no client
// can be shown are changed; opening the folder does the rest, by the same code as when it is served.
func (c *checker) mend(ctx context.Context, name, dirName string, found []Finding) error {
	f, err := c.open(name, dirName)
	if err != nil {
		return err
	}
	c.found = nil // open says again what is missing
	err = c.mendFiles(ctx, f, found)
	f.closeDirs()
	if err != nil {
		return err
	}
	g, err := c.tree.Open(ctx, name) // makes what is missing, and writes the list anew if need be
	if err != nil {
		return err
	}
	defer g.Close()
	_, err = g.Sync(ctx)
	return err
}

func (c *checker) mendFiles(ctx context.Context, f *Folder, found []Finding) error {
	lock, err := f.lockList(ctx)
	if err != nil {
		return err
	}
	defer lock.unlock()
	for _, d := range found {
		switch d.File {
		case c.path(f.dirName, indexName), c.path(f.dirName, cacheName):
			if err := f.home.remove(d.File[len(c.path(f.dirName, "")):]); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return wrapSys("remove", d.File, err)
			}
			continue
		case c.path(f.dirName, maildirFolder):
			file, err := f.home.create(maildirFolder, f.home.filePerm())
			if err != nil && !errors.Is(err, fs.ErrExist) {
				return wrapSys("make", d.File, err)
			}
			if err == nil {
				file.Close()
			}
			continue
		}
		if d.Kind == "unusable" || d.Kind == "odd" && !d.Note {
			if err := c.mendName(f, d); err != nil {
				return err
			}
		}
		if d.Kind == "leftover" && d.File != c.path(f.dirName, uidlistName+lockSuffix) {
			if err := f.home.remove(d.File[len(c.path(f.dirName, "")):]); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return wrapSys("remove", d.File, err)
			}
		}
	}
	return nil
}

// mendName gives a file that cannot be shown, or that shares its name with another, a name of its own in the same directory.
func (c *checker) mendName(f *Folder, d Finding) error {
	for _, s := range []subdir{inNew, inCur} {
		if f.dirOf(s) == nil {
			continue
		}
		prefix := c.path(f.dirName, s.String(), "")
		if len(d.File) <= len(prefix) || d.File[:len(prefix)] != prefix {
			continue
		}
		name := d.File[len(prefix):]
		fi, err := f.dirOf(s).stat(name)
		if err != nil || !fi.Mode().IsRegular() {
			return nil
		}
		to := f.store.names.mint() + sizesOf(name)
		if s == inCur {
			to = withFlags(to, flagsOf(name))
		}
		return wrapSys("rename", d.File, f.dirOf(s).moveTo(name, f.dirOf(s), to))
	}
	return nil
}

// How far --restored raises numbers: more messages than a folder gets between a backup and its
// restoration, and more MODSEQs than they and their flags can have used.
const (
	restoredUIDs    = 1_000_000
	restoredModSeqs = 1 << 32
)

// raise makes sure that no UID and no MODSEQ that was told after the tree was copied is given again. The index goes, since
// it may be newer or older than what was put back.
func (c *checker) raise(ctx context.Context, name, dirName string) error {
	f, err := c.open(name, dirName)
	if err != nil {
		return err
	}
	defer f.closeDirs()
	lock, err := f.lockList(ctx)
	if err != nil {
		return err
	}
	defer lock.unlock()
	var recs []uidRecord
	l, err := readUIDList(f.home, uidlistName, func(r uidRecord) { recs = append(recs, r) })
	if err != nil {
		return fmt.Errorf("%w; run check --repair first", err)
	}
	if !l.persisted {
		return nil // it will get a UIDVALIDITY of its own
	}
	told := max(l.modSeqMark, f.givenByOthers())
	if x, _, _, _, err := f.openIndex(); err == nil {
		told = max(told, x.sum.modSeq)
		if x.sum.uidValidity == l.uidValidity {
			l.uidNext = max(l.uidNext, x.sum.uidNext)
		}
		x.close()
	}
	next := uint64(l.next()) + restoredUIDs
	if next > maxUID {
		return fmt.Errorf("UIDNEXT is %d and cannot be raised: %w", l.next(), ErrTooMany)
	}
	l.uidNext, l.modSeqMark = uint32(next), min(told+restoredModSeqs, maxModSeq-restoredModSeqs)
	slices.SortStableFunc(recs, byUID)
	w := l.begin(0)
	for i := range recs {
		w.add(&recs[i])
	}
	if err := l.replace(f.home, w); err != nil {
		return err
	}
	for _, derived := range []string{indexName, counterName, cacheName} {
		if err := f.home.remove(derived); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return wrapSys("remove", derived, err)
		}
	}
	c.add(Finding{Folder: name, File: c.path(dirName, uidlistName), Kind: "raised", Note: true,
		Text: fmt.Sprintf("the next UID is %d, MODSEQs go on above %d", l.uidNext, l.modSeqMark)})
	return nil
}
