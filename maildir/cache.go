package maildir

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"postroom/internal/message"
)

// cache is a folder's postroom.cache, as far as this process knows it: for each
// UID where its last record stands and what it is about, 32 octets of memory. Its lock is a leaf. Whatever fails here only
// means that messages are parsed again.
type cache struct {
	folder *Folder

	mu      sync.Mutex
	file    *os.File // guarded by mu, as is all that follows; nil when there is none
	id      fileID
	seed    uint32
	writes  bool             // file may be appended to
	scanned int64            // where batches begin that have not been looked at
	seen    int64            // the file's size when that was found
	junk    int64            // octets of the file that are damaged
	records int              // in the file, as far as known
	pages   map[uint32]*page // by UID / pageUIDs
	retryAt time.Time        // after a failure: nothing is written before
	said    bool             // the failure was logged
}

const (
	pageUIDs  = 512
	checkMask = 1<<23 - 1
	maxOffset = 1<<40 - 1
	noDay     = 1<<24 - 1 // there is no Date field that can be read
	dayZero   = 1 << 23   // 1 January 1970
	cacheRest = time.Minute
)

// page is the entries of up to pageUIDs messages.
type page struct {
	entries entries
	lent    bool // a Reading has them: they are copied before they change
}

// entries are ascending by UID.
type entries []cacheEntry

// ownLocked makes the entries changeable.
func (p *page) ownLocked() {
	if p.lent {
		p.entries, p.lent = slices.Clone(p.entries), false
	}
}

// cacheEntry is what is known of a record without reading it.
type cacheEntry struct {
	packed [3]uint32 // the UID's low 9 bits and 23 of the key's check; 40 bits of the offset, 24 of the sent day
	sketch message.Sketch
}

func makeEntry(c cached) cacheEntry {
	day := uint32(noDay)
	if d := int64(c.day) + dayZero; c.day != message.NoDay && d >= 0 && d < noDay {
		day = uint32(d)
	}
	return cacheEntry{[3]uint32{c.uid%pageUIDs<<23 | c.key.check(), uint32(c.off), uint32(c.off>>32)<<24 | day}, c.sketch}
}

func (e *cacheEntry) low() uint32   { return e.packed[0] >> 23 }
func (e *cacheEntry) check() uint32 { return e.packed[0] & checkMask }
func (e *cacheEntry) offset() int64 { return int64(e.packed[2]>>24)<<32 | int64(e.packed[1]) }

func (e *cacheEntry) day() int32 {
	if d := e.packed[2] & noDay; d != noDay {
		return int32(d) - dayZero
	}
	return message.NoDay
}

func (p entries) search(low uint32) (int, bool) {
	lo, hi := 0, len(p)
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); p[mid].low() < low {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < len(p) && p[lo].low() == low
}

// setLocked notes where a record stands.
func (c *cache) setLocked(r cached) {
	c.records++
	if r.off > maxOffset {
		return
	}
	p := c.pages[r.uid/pageUIDs]
	if p == nil {
		p = new(page)
		c.pages[r.uid/pageUIDs] = p
	}
	p.ownLocked()
	e := makeEntry(r)
	i, ok := p.entries.search(e.low())
	if ok {
		p.entries[i] = e
	} else {
		p.entries = slices.Insert(p.entries, i, e)
	}
}

func (c *cache) findLocked(uid uint32, check uint32) (cacheEntry, bool) {
	p := c.pages[uid/pageUIDs]
	if p == nil {
		return cacheEntry{}, false
	}
	i, ok := p.entries.search(uid % pageUIDs)
	if !ok || p.entries[i].check() != check {
		return cacheEntry{}, false
	}
	return p.entries[i], true
}

// knows tells whether there is any record of the UID.
func (c *cache) knows(uid uint32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.pages[uid/pageUIDs]; p != nil {
		_, ok := p.entries.search(uid % pageUIDs)
		return ok
	}
	return false
}

// get reads the record of a message through w, in which it stays valid until the next call.
func (c *cache) get(w *window, uid uint32, key cacheKey) (message.Record, bool) {
	c.mu.Lock()
	e, ok := c.findLocked(uid, key.check())
	file, seed := c.file, c.seed
	c.mu.Unlock()
	if !ok {
		return nil, false
	}
	rec, ok := w.record(file, seed, e.offset(), uid, key)
	if !ok {
		c.drop(file, uid, e)
	}
	return rec, ok
}

// drop forgets an entry that led to no good record.
func (c *cache) drop(file *os.File, uid uint32, e cacheEntry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pages[uid/pageUIDs]
	if c.file != file || p == nil {
		return
	}
	if i, ok := p.entries.search(uid % pageUIDs); ok && p.entries[i] == e {
		p.ownLocked()
		p.entries = slices.Delete(p.entries, i, i+1)
	}
}

// knownPage is what a Reading knows of a page, so that it need not lock the cache for each message.
type knownPage struct {
	entries entries // not to be changed
	of      uint32  // which page
	at      int     // of the entry used last
	valid   bool
	file    *os.File
	seed    uint32
}

// lend gives a page as it is now.
func (c *cache) lend(of uint32) knownPage {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := knownPage{of: of, valid: true, file: c.file, seed: c.seed}
	if p := c.pages[of]; p != nil {
		p.lent = true
		k.entries = p.entries
	}
	return k
}

// refresh opens the cache, also when another has taken its place, and looks at what others have appended.
func (c *cache) refresh(snap *Snapshot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refreshLocked(snap)
}

func (c *cache) refreshLocked(snap *Snapshot) {
	if !snap.sticky || snap.gone {
		c.closeLocked()
		return
	}
	fi, err := c.folder.home.stat(cacheName)
	if c.file != nil && (err != nil || stampOf(fi).fileID != c.id || fi.Size() < c.scanned) {
		c.closeLocked()
	}
	if c.file == nil {
		if err := c.openLocked(snap); err != nil {
			c.failLocked(err)
			return
		}
	}
	c.scanLocked()
	c.compactLocked(snap)
}

// openLocked opens the file, and makes it where it can.
func (c *cache) openLocked(snap *Snapshot) error {
	if c.folder.store.opt.Clock().Before(c.retryAt) {
		return nil
	}
	home := c.folder.home
	for range 3 {
		file, err := home.openCache(cacheName, snap.writable)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) && !snap.writable {
				err = nil
			}
			return err
		}
		whole, err := c.startLocked(file, snap)
		if err != nil || whole {
			return err
		}
		// Not this folder's, of an older version, or damaged.
		if err := home.remove(cacheName); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return errors.New("somebody keeps spoiling it")
}

// startLocked begins to use a file that was opened; it is false, and the file closed, if it is none of this folder's.
func (c *cache) startLocked(file *os.File, snap *Snapshot) (bool, error) {
	h := cacheHeader{uidValidity: snap.uidValidity, guid: snap.guid}
	fi, err := file.Stat()
	if err == nil && fi.Size() == 0 && snap.writable {
		// Another process may do so, too: the first header counts.
		_, _ = rand.Read(h.salt[:])
		_, err = file.Write(h.encode())
	}
	head, n := make([]byte, cacheHead), 0
	if err == nil {
		n, err = file.ReadAt(head, 0)
		err = eofIsEnd(err)
	}
	// Only what was read: where a head was cut, zeros in its place could make it look whole, and batches
	// would stand where nobody looks for them.
	if err != nil || !h.adopt(head[:n]) {
		return false, errors.Join(err, file.Close())
	}
	c.file, c.id, c.seed, c.writes = file, stampOf(fi).fileID, h.seed(), snap.writable
	c.scanned, c.seen, c.junk, c.records, c.pages = cacheHead, 0, 0, 0, make(map[uint32]*page)
	return true, nil
}

// scanLocked looks at the batches that have not been seen yet.
func (c *cache) scanLocked() {
	if c.file == nil {
		return
	}
	fi, err := c.file.Stat()
	if err == nil && fi.Size() > c.scanned && fi.Size() != c.seen {
		var junk int64
		c.seen = fi.Size()
		c.scanned, junk, err = scanBatches(c.file, c.seed, c.scanned, fi.Size(), c.setLocked)
		c.junk += junk
	}
	if err != nil {
		c.failLocked(err)
	}
}

// append writes a batch at the end of the file. The batch is empty then.
func (c *cache) append(b *batch, snap *Snapshot) {
	if b.len() == 0 {
		return
	}
	defer b.reset()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refreshLocked(snap)
	if c.file == nil || !c.writes || c.scanned > maxCacheFile || c.folder.store.opt.Clock().Before(c.retryAt) {
		return
	}
	b.seed = c.seed
	data := b.encode()
	n, err := c.file.Write(data)
	if err != nil {
		c.failLocked(fmt.Errorf("after %d of %d octets: %w", n, len(data), err))
		return
	}
	end, err := c.file.Seek(0, io.SeekCurrent) // where the write left it, whoever else appends
	if err != nil {
		c.failLocked(err)
		return
	}
	if at := end - int64(len(data)); at == c.scanned {
		eachEntry(data[:batchHead+b.len()*batchEntry], at, int64(len(data)), c.setLocked)
		c.scanned = end
	} else {
		c.scanLocked()
	}
}

// failLocked says, once, that there is a cache no more, and rests.
func (c *cache) failLocked(err error) {
	c.retryAt = c.folder.store.opt.Clock().Add(cacheRest)
	if !c.said {
		c.said = true
		c.folder.log.Warn("the cache of parsed messages cannot be used; they are parsed each time", "error", err)
	}
}

func (c *cache) closeLocked() {
	if c.file != nil {
		c.file.Close()
	}
	c.file, c.pages, c.scanned, c.records, c.junk = nil, nil, 0, 0, 0
}

// close ends the use of the cache; later uses find nothing.
func (c *cache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeLocked()
}
