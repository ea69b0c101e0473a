package maildir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
)

// list holds the uid list against the files. trusted is false when it says nothing.
func (c *checker) list(f *Folder, files *listing) (l uidList, trusted bool) {
	found := Finding{Folder: f.name, File: c.path(f.dirName, uidlistName)}
	stale, line := 0, 1
	uids := make(map[uint32]int)
	last := uint32(0)
	l, err := readUIDList(f.home, uidlistName, func(r uidRecord) {
		line++
		d := found
		d.Line, d.Kind = line, "damaged"
		if first := uids[r.uid]; first != 0 {
			d.Text = fmt.Sprintf("UID %d is in line %d already", r.uid, first)
			c.add(d)
		} else if r.uid <= last {
			d.Text = fmt.Sprintf("UID %d comes after %d", r.uid, last)
			c.add(d)
		}
		uids[r.uid] = line
		last = max(last, r.uid)
		file := files.find(r.base)
		switch {
		case file == nil:
			stale++
		case file.uid != 0:
			d.Text = fmt.Sprintf("%s has UID %d already", r.name, file.uid)
			c.add(d)
			fallthrough
		default:
			file.uid = r.uid
		}
	})
	if err != nil {
		found.Kind, found.Text = "damaged", err.Error()+"; all messages will get new UIDs, under a new UIDVALIDITY, unless the index tells them"
		if errors.Is(err, fs.ErrPermission) {
			found.Kind, found.Text = "unreadable", unwrapped(err).Error()
		}
		c.add(found)
		return l, false
	}
	if !l.persisted {
		found.Kind, found.Note, found.Text = "missing", true, "nobody has opened the folder yet"
		if f.home.exists(courierUIDDB) {
			found.Text = "the folder was served by Courier only; its UIDs are taken over at the first opening"
		}
		c.add(found)
		return l, false
	}
	if fi, err := f.home.stat(uidlistName); err == nil && fi.Size() > l.consumed {
		found.Line, found.Kind, found.Text = line+1, "damaged", "the last line has no end"
		c.add(found)
	}
	c.counts(f, files, stale)
	return l, true
}

// counts notes what normal use leaves.
func (c *checker) counts(f *Folder, files *listing, stale int) {
	unlisted := 0
	files.each(func(file *listed) {
		if file.uid == 0 {
			unlisted++
		}
	})
	found := Finding{Folder: f.name, File: c.path(f.dirName, uidlistName), Note: true}
	if unlisted > 0 {
		found.Kind, found.Text = "unlisted", fmt.Sprintf("%d messages have no UID yet", unlisted)
		c.add(found)
	}
	if stale > 0 {
		found.Kind, found.Text = "stale", fmt.Sprintf("%d UIDs are of messages that are gone", stale)
		c.add(found)
	}
}

// keywords looks for letters that nobody named.
func (c *checker) keywords(f *Folder, files *listing) {
	table, _, err := readKeywords(f.home)
	if err != nil {
		c.add(Finding{Folder: f.name, File: c.path(f.dirName, keywordsName), Kind: "unreadable", Text: unwrapped(err).Error()})
		return
	}
	var used Flags
	files.each(func(file *listed) { used |= flagsOf(files.firstName(file)) })
	for i := range table.names {
		if table.missing(used)&(1<<(letterShift+i)) != 0 {
			c.add(Finding{Folder: f.name, File: c.path(f.dirName, keywordsName), Kind: "missing", Note: true,
				Text: fmt.Sprintf("the letter %c is used, and has no keyword; it is shown as unknown-%d", 'a'+i, i)})
		}
	}
}

// index holds postroom.index against the list and the files.
func (c *checker) index(f *Folder, files *listing, l *uidList) {
	found := Finding{Folder: f.name, File: c.path(f.dirName, indexName), Kind: "damaged"}
	x, chunks, _, _, err := f.openIndex()
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		found.Text = "it is not whole: " + err.Error()
		c.add(found)
		return
	}
	defer x.close()
	s := &x.sum
	if s.uidValidity != l.uidValidity || s.guid != l.guid {
		found.Kind, found.Text = "stale", "it is of another uid list"
		c.add(found)
		return
	}
	if s.uidNext > l.next() {
		found.Kind = "stale"
		found.Text = fmt.Sprintf("it knows of UIDs up to %d, the uid list of none above %d: was an older list put back? see --restored", s.uidNext-1, l.next()-1)
		c.add(found)
	}
	now, err := f.stamps()
	quiet := err == nil && now == s.dirs
	for _, ch := range chunks {
		b, err := ch.stored.at.read(x.file)
		var r *records
		if err == nil {
			r, err = decodeChunk(b, int(ch.n))
		}
		if err != nil {
			found.Kind, found.Text = "damaged", fmt.Sprintf("the messages from UID %d to %d cannot be read", ch.firstUID, ch.lastUID)
			c.add(found)
			continue
		}
		for j := range r.recs {
			c.indexed(f, files, r, j, quiet)
		}
	}
}

// indexed holds one record of the index against its file. quiet means that nothing happened
// since the index was saved.
func (c *checker) indexed(f *Folder, files *listing, r *records, i int, quiet bool) {
	found := Finding{Folder: f.name, File: c.path(f.dirName, indexName), Kind: "damaged"}
	m := &r.recs[i]
	file := files.find(r.base(i))
	switch {
	case file == nil:
		if quiet {
			found.Text = fmt.Sprintf("UID %d: %s is not there", m.uid, r.name(i))
			c.add(found)
		}
	case file.uid != 0 && file.uid != m.uid:
		found.Text = fmt.Sprintf("%s has UID %d, and %d in the uid list", r.name(i), m.uid, file.uid)
		c.add(found)
	case quiet && !file.odd && files.firstName(file) != r.name(i):
		found.Text = fmt.Sprintf("UID %d: %s is called %s", m.uid, r.name(i), files.firstName(file))
		c.add(found)
	}
}

// cache reads all records of postroom.cache.
func (c *checker) cache(f *Folder, l *uidList) {
	found := Finding{Folder: f.name, File: c.path(f.dirName, cacheName), Kind: "damaged"}
	file, err := f.home.open(cacheName)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		found.Kind, found.Text = "unreadable", unwrapped(err).Error()
		c.add(found)
		return
	}
	defer file.Close()
	bad, junk, err := readCache(file, cacheHeader{uidValidity: l.uidValidity, guid: l.guid})
	switch {
	case errors.Is(err, errIndex):
		found.Kind, found.Text = "stale", "it is of another uid list, or an older version"
	case err != nil:
		found.Kind, found.Text = "unreadable", err.Error()
	case bad > 0 || junk > 0:
		found.Text = fmt.Sprintf("%d records are not whole, %d octets are no records", bad, junk)
	default:
		return
	}
	c.add(found)
}

// readCache counts the records that are not whole. errIndex if the file is of another folder.
func readCache(file *os.File, h cacheHeader) (bad int, junk int64, err error) {
	head := make([]byte, cacheHead)
	if _, err := file.ReadAt(head, 0); err != nil || !h.adopt(head) {
		return 0, 0, errIndex
	}
	fi, err := file.Stat()
	if err != nil {
		return 0, 0, err
	}
	var b []byte
	next, junk, err := scanBatches(file, h.seed(), cacheHead, fi.Size(), func(r cached) {
		b = slices.Grow(b[:0], int(r.size))[:r.size]
		if _, err := file.ReadAt(b, r.off); err != nil {
			bad++
		} else if _, ok := decodeCached(b, h.seed(), r.uid, r.key); !ok {
			bad++
		}
	})
	return bad, junk + fi.Size() - next, err
}

// leftovers looks for locks and temporary files that nobody can be using any more.
func (c *checker) leftovers(f *Folder) {
	_, err := f.home.readNames(false, func(name []byte, _ direntType, _ uint64) {
		n := string(name)
		if !isLeftover(n) {
			return
		}
		if fi, err := f.home.stat(n); err == nil && time.Since(fi.ModTime()) > time.Hour {
			c.add(Finding{Folder: f.name, File: c.path(f.dirName, n), Kind: "leftover", Note: true, Text: "left by a program that was ended; it is in nobody's way"})
		}
	})
	if err != nil {
		c.add(Finding{Folder: f.name, File: c.path(f.dirName), Kind: "unreadable", Text: unwrapped(err).Error()})
	}
}

func isLeftover(name string) bool {
	for _, of := range []string{uidlistName, keywordsName, moreKeywordsName, subscriptionsName, aclName, seenName} {
		if name == of+lockSuffix || name == of+".tmp" {
			return true
		}
	}
	return strings.HasPrefix(name, "postroom.") && strings.HasSuffix(name, ".tmp")
}
