package maildir

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"io"
	"os"

	"postroom/internal/message"
)

// postroom.cache keeps the records of parsed messages (message.Record). It is
// derived, and may be deleted, cut or overwritten at any time.
//
//	file:   head, then batches, which are only ever appended, each by one write
//	head:   magic 8, RecordVersion 4, UIDVALIDITY 4, GUID 16, salt 8, sum 4
//	batch:  magic 8, octets of the batch 4, records in it 4, sum of these and the table 4, 0 4,
//	        the table, the records
//	table:  of each record: UID 4, octets 4, offset in the batch 4, day of the Date field 4,
//	        inode 8, octets of the file 8, mtime 8, message.Sketch 20
//	record: sum 4, UID 4, inode 8, octets of the file 8, mtime 8, octets of what follows 4, message.Record
//
// Numbers are little-endian, sums are CRC-32C, begun with the salt: what looks
// like a batch because somebody mailed it is none. What is damaged is passed
// over, up to the next batch. Of several records of a UID the last counts.
const (
	cacheName  = "postroom.cache"
	cacheTemp  = "postroom.cache.tmp"
	cacheMagic = "PRcache2"
	batchMagic = "PR\nbatch"

	cacheHead  = 44
	batchHead  = 24
	batchEntry = 60
	cachedHead = 36

	maxCached       = 256 << 10 // octets of one record; what needs more is parsed each time
	maxBatch        = 256 << 10 // octets of records in a batch, but for the last of them
	maxBatchRecords = 1024
	maxCacheFile    = 16 << 30 // octets
)

// cacheKey names the content of a message file.
type cacheKey struct {
	ino         uint64
	disk, mtime int64 // octets; nanoseconds since 1970
}

// check is a digest of the key, to tell stale records without reading them.
func (k cacheKey) check() uint32 {
	h := (k.ino*0x9e3779b97f4a7c15 ^ uint64(k.disk)) * 0xff51afd7ed558ccd
	h = (h ^ h>>32 ^ uint64(k.mtime)) * 0xc4ceb9fe1a85ec53
	return uint32(h>>40) & checkMask
}

// cacheHeader names what a cache belongs to.
type cacheHeader struct {
	uidValidity uint32
	guid        string
	salt        [8]byte
}

func (h *cacheHeader) seed() uint32 { return crc32.Checksum(h.salt[:], castagnoli) }

func (h *cacheHeader) encode() []byte {
	w := append(make(leWriter, 0, cacheHead), cacheMagic...)
	w.u32(message.RecordVersion)
	w.u32(h.uidValidity)
	guid, _ := hex.DecodeString(h.guid)
	w = append(w, append(guid, make([]byte, 16)...)[:16]...)
	w = append(w, h.salt[:]...)
	w.u32(crc32.Checksum(w, castagnoli))
	return w
}

// adopt takes over the salt of a header that is that of the same folder.
func (h *cacheHeader) adopt(b []byte) bool {
	if len(b) < cacheHead {
		return false
	}
	other := *h
	copy(other.salt[:], b[32:])
	if !bytes.Equal(b[:cacheHead], other.encode()) {
		return false
	}
	*h = other
	return true
}

// batch gathers records to be appended together.
type batch struct {
	table   leWriter
	records leWriter
	seed    uint32
}

func (b *batch) len() int { return len(b.table) / batchEntry }

func (b *batch) full() bool { return len(b.records) >= maxBatch || b.len() >= maxBatchRecords }

func (b *batch) reset() { b.table, b.records = b.table[:0], b.records[:0] }

// add adds the record that fill appends, and gives it.
func (b *batch) add(uid uint32, k cacheKey, fill func([]byte) ([]byte, error)) (message.Record, error) {
	start := len(b.records)
	b.records = append(b.records, make([]byte, cachedHead)...)
	out, err := fill(b.records)
	if err != nil {
		b.records = b.records[:start]
		return nil, err
	}
	b.records = out
	raw := b.records[start:]
	rec := message.Record(raw[cachedHead:])
	if len(raw) > maxCached {
		rec = bytes.Clone(rec)
		b.records = b.records[:start:start] // so much room is not held for the next
		return rec, nil
	}
	h := leWriter(raw[:4])
	h.u32(uid)
	h.u64(k.ino)
	h.u64(uint64(k.disk))
	h.u64(uint64(k.mtime))
	h.u32(uint32(len(rec)))
	b.put(uid, k, rec, start)
	return rec, nil
}

// put notes the record, which begins at start.
func (b *batch) put(uid uint32, k cacheKey, rec message.Record, start int) {
	b.table.u32(uid)
	b.table.u32(uint32(len(b.records) - start))
	b.table.u32(uint32(start))
	b.table.u32(uint32(rec.SentDay()))
	b.table.u64(k.ino)
	b.table.u64(uint64(k.disk))
	b.table.u64(uint64(k.mtime))
	for _, word := range rec.Sketch() {
		b.table.u32(word)
	}
}

// encode gives the batch as it stands in a file.
func (b *batch) encode() []byte {
	n := b.len()
	w := make(leWriter, 0, batchHead+len(b.table)+len(b.records))
	w = append(w, batchMagic...)
	w.u32(uint32(cap(w)))
	w.u32(uint32(n))
	w.u64(0)
	w = append(w, b.table...)
	base := len(w)
	w = append(w, b.records...)
	for i := range n {
		e := w[batchHead+batchEntry*i:]
		size, off := binary.LittleEndian.Uint32(e[4:]), base+int(binary.LittleEndian.Uint32(e[8:]))
		binary.LittleEndian.PutUint32(e[8:], uint32(off))
		r := w[off : off+int(size)]
		binary.LittleEndian.PutUint32(r, crc32.Update(b.seed, castagnoli, r[4:]))
	}
	binary.LittleEndian.PutUint32(w[16:], batchSum(b.seed, w[:base]))
	return w
}

// batchSum is that of a batch's head and table.
func batchSum(seed uint32, w []byte) uint32 {
	return crc32.Update(crc32.Update(seed, castagnoli, w[8:16]), castagnoli, w[batchHead:])
}

// cached is an entry of a batch's table, with its place in the file.
type cached struct {
	uid    uint32
	key    cacheKey
	day    int32
	off    int64
	size   uint32
	sketch message.Sketch
}

// scanBatches calls each for every record of the batches in file from off on. It
// gives where the next batch begins that is not whole yet, and how many octets it passed over because
// they were damaged.
func scanBatches(file *os.File, seed uint32, off, end int64, each func(cached)) (next, junk int64, err error) {
	next = off
	var table []byte
	for off+batchHead <= end {
		var head [batchHead]byte
		if _, err := file.ReadAt(head[:], off); err != nil {
			return next, junk, eofIsEnd(err)
		}
		total := int64(binary.LittleEndian.Uint32(head[8:]))
		n := int64(binary.LittleEndian.Uint32(head[12:]))
		tableEnd := batchHead + n*batchEntry
		good := string(head[:8]) == batchMagic && n > 0 && n <= maxBatchRecords &&
			total >= tableEnd && total <= maxBatch+maxCached+tableEnd && off+total <= end
		if good {
			table = append(table[:0], make([]byte, tableEnd)...)
			if _, err := file.ReadAt(table, off); err != nil {
				return next, junk, eofIsEnd(err)
			}
			good = batchSum(seed, table) == binary.LittleEndian.Uint32(head[16:]) && endsWhole(file, table, off, seed)
		}
		if !good {
			found, err := findBatch(file, off+1, end)
			if err != nil || found < 0 {
				return next, junk, err
			}
			off = found
			continue
		}
		junk += off - next
		eachEntry(table, off, total, each)
		off += total
		next = off
	}
	return next, junk, nil
}

// endsWhole tells whether the last record of a batch is good. If not, the batch was not written to its
// end, and what follows it there is another.
func endsWhole(file *os.File, table []byte, base int64, seed uint32) bool {
	r := leReader(table[len(table)-batchEntry:])
	uid, size, off := r.u32(), r.u32(), r.u32()
	_ = r.u32()
	key := cacheKey{ino: r.u64(), disk: r.i64(), mtime: r.i64()}
	if size > maxCached {
		return false
	}
	b := make([]byte, size)
	if _, err := file.ReadAt(b, base+int64(off)); err != nil {
		return false
	}
	_, ok := decodeCached(b, seed, uid, key)
	return ok
}

func eofIsEnd(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

func eachEntry(table []byte, base, total int64, each func(cached)) {
	for r := leReader(table[batchHead:]); len(r) >= batchEntry; {
		c := cached{uid: r.u32(), size: r.u32(), off: int64(r.u32()), day: int32(r.u32())}
		c.key = cacheKey{ino: r.u64(), disk: r.i64(), mtime: r.i64()}
		for i := range c.sketch {
			c.sketch[i] = r.u32()
		}
		if c.off < int64(len(table)) || c.off+int64(c.size) > total || c.size < cachedHead || c.uid == 0 {
			continue
		}
		c.off += base
		each(c)
	}
}

// findBatch looks for the next octets that look like the beginning of a batch; -1 if there are none.
func findBatch(file *os.File, off, end int64) (int64, error) {
	buf := make([]byte, 64<<10)
	for off < end {
		n, err := file.ReadAt(buf[:min(int64(len(buf)), end-off)], off)
		if i := bytes.Index(buf[:n], []byte(batchMagic)); i >= 0 {
			return off + int64(i), nil
		}
		if err != nil || n < len(batchMagic) {
			return -1, eofIsEnd(err)
		}
		off += int64(n - len(batchMagic) + 1)
	}
	return -1, nil
}

// decodeCached gives the record in b, which begins with it, if it is whole and that of the message.
func decodeCached(b []byte, seed, uid uint32, key cacheKey) (message.Record, bool) {
	n, ok := cachedSize(b)
	if !ok || len(b) < n {
		return nil, false
	}
	b = b[:n]
	r := leReader(b)
	if r.u32() != crc32.Update(seed, castagnoli, b[4:]) || r.u32() != uid ||
		(cacheKey{ino: r.u64(), disk: r.i64(), mtime: r.i64()}) != key {
		return nil, false
	}
	rec, err := message.ParseRecord(b[cachedHead:])
	return rec, err == nil && rec.RawSize() == key.disk
}

// cachedSize is the number of octets of the record at the beginning of b, as far as its head tells.
func cachedSize(b []byte) (int, bool) {
	if len(b) < cachedHead {
		return cachedHead, false
	}
	n := binary.LittleEndian.Uint32(b[32:])
	return cachedHead + int(n), n <= maxCached-cachedHead
}
