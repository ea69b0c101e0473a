package maildir

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"
)

const (
	fewRecords = 1024             // that many stale ones are not worth the work
	fewOctets  = 1 << 20          // as many damaged ones
	staleTemp  = 10 * time.Minute // nobody takes as long to write the cache anew
)

// compactLocked writes the cache anew if more than half of it is of no use: records of messages that are gone
// or were parsed again, and what is damaged.
func (c *cache) compactLocked(snap *Snapshot) {
	if c.file == nil || !c.writes || c.records <= 2*snap.n+fewRecords && c.junk <= max(c.scanned/2, fewOctets) {
		return
	}
	if err := c.rewriteLocked(snap); err != nil {
		if !errors.Is(err, fs.ErrExist) {
			c.failLocked(err)
		}
		// Not again for every command: as if it were all of use.
		c.records, c.junk = 0, 0
	}
}

func (c *cache) rewriteLocked(snap *Snapshot) error {
	home := c.folder.home
	file, err := home.create(cacheTemp, home.filePerm())
	if errors.Is(err, fs.ErrExist) {
		// Left over from a crash, or another process is at it.
		fi, serr := home.stat(cacheTemp)
		if serr == nil && c.folder.store.opt.Clock().Sub(fi.ModTime()) < staleTemp {
			return err
		}
		home.remove(cacheTemp)
		file, err = home.create(cacheTemp, home.filePerm())
	}
	if err != nil {
		return err
	}
	err = errors.Join(c.copyTo(file, snap), file.Close())
	if err == nil {
		err = home.rename(cacheTemp, cacheName)
	}
	if err != nil {
		home.remove(cacheTemp)
		return err
	}
	c.closeLocked()
	if err := c.openLocked(snap); err != nil {
		return err
	}
	c.scanLocked()
	return nil
}

// copyTo writes the good records of messages that are there.
func (c *cache) copyTo(file *os.File, snap *Snapshot) error {
	h := cacheHeader{uidValidity: snap.uidValidity, guid: snap.guid}
	_, _ = rand.Read(h.salt[:])
	if _, err := file.Write(h.encode()); err != nil {
		return err
	}
	var w window
	defer w.release()
	b := batch{seed: h.seed()}
	flush := func() error {
		if b.len() == 0 {
			return nil
		}
		_, err := file.Write(b.encode())
		b.reset()
		return err
	}
	for _, k := range slices.Sorted(maps.Keys(c.pages)) {
		for _, e := range c.pages[k].entries {
			uid := k*pageUIDs + e.low()
			if _, ok := snap.Find(uid); !ok {
				continue
			}
			if !b.take(&w, c.file, c.seed, uid, e) || !b.full() {
				continue
			}
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// take adds a record from another file, if it is good there.
func (b *batch) take(w *window, file *os.File, seed, uid uint32, e cacheEntry) bool {
	head := w.at(file, e.offset(), cachedHead)
	if len(head) < cachedHead {
		return false
	}
	r := leReader(head[8:])
	key := cacheKey{ino: r.u64(), disk: r.i64(), mtime: r.i64()}
	rec, ok := w.record(file, seed, e.offset(), uid, key)
	if !ok || key.check() != e.check() {
		return false
	}
	_, err := b.add(uid, key, func(dst []byte) ([]byte, error) { return append(dst, rec...), nil })
	return err == nil
}
