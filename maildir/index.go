package maildir

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"sort"
	"sync"
)

// postroom.index keeps what a scan of the folder and its history taught: names,
// flags, sizes, dates, inodes and MODSEQs of all messages, and what was
// expunged. It is derived and may be deleted, cut or overwritten at any time: the
// uid list and the directories are the truth, and a folder whose index is no
// good is opened by reading those, its messages with a MODSEQ above every one
// told (uidlist.go, counter.go).
//
//	0     summary, in the slot of the even generations
//	512   summary, in the slot of the odd ones
//	1024  extents: chunks of records, the table of chunks, the expunged UIDs
//
// All numbers are little-endian; the summary, the table, the history and each
// chunk carry a CRC-32C. Extents are never overwritten: a save appends the
// chunks that changed, a new table and the history, and then writes the other
// slot of the summary; when more than half of the file is stale it is written
// anew and renamed over. Nothing is synced: after a power loss the sums tell.
// Saving and looking whether another process saved meanwhile is done holding
// the counter's lock.
//
// The summary tells how the directories and the uid list looked when the
// records were true. If they still look so nothing of them is read, and the
// records themselves only when somebody asks for one: opening a folder of a
// million messages costs the same as one of a thousand, but for the table.
const (
	indexName    = "postroom.index"
	indexTemp    = "postroom.index.tmp"
	indexMagic   = "PRindex1"
	summarySize  = 512
	extentsStart = 2 * summarySize

	tableEntry    = 40 // octets of a chunk in the table
	recordSize    = 24 // octets of a record, without its name
	factsSize     = 32
	historyEntry  = 12
	maxIndexTable = 1 << 28 // octets
	maxExtent     = 1 << 22 // octets of one chunk
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errIndex = errors.New("the index is no good")

// span is a run of octets in the index and their sum.
type span struct {
	off  int64
	size uint32
	sum  uint32
}

// indexSummary is what an opened folder must know before any record is read.
type indexSummary struct {
	generation uint64
	guid       string
	// The uid list as it was, and how far it had been read; the stamp is zero
	// where it must be read again.
	uidValidity, uidNext uint32
	modSeq, modSeqMark   uint64
	list                 stamp
	consumed             int64
	lines                int64
	lastUID              uint32
	// new/ and cur/; zero where they must be read again.
	dirs [2]stamp
	// more is postroom-keywords'.
	more    stamp
	letters Flags // that any message has
	floor   uint64
	n       uint32

	pop3 pop3Noted

	table, history span
	words          span // the keywords in use that have no letter
}

// leWriter and leReader put and take numbers.
type leWriter []byte

func (w *leWriter) u32(v uint32)  { *w = binary.LittleEndian.AppendUint32(*w, v) }
func (w *leWriter) u64(v uint64)  { *w = binary.LittleEndian.AppendUint64(*w, v) }
func (w *leWriter) span(s span)   { w.u64(uint64(s.off)); w.u32(s.size); w.u32(s.sum) }
func (w *leWriter) stamp(s stamp) { w.u64(s.dev); w.u64(s.ino); w.times(s) }
func (w *leWriter) times(s stamp) {
	w.u64(uint64(s.mtime))
	w.u64(uint64(s.ctime))
	w.u64(uint64(s.size))
}

type leReader []byte

func (r *leReader) u32() (v uint32) { v = binary.LittleEndian.Uint32(*r); *r = (*r)[4:]; return v }
func (r *leReader) u64() (v uint64) { v = binary.LittleEndian.Uint64(*r); *r = (*r)[8:]; return v }
func (r *leReader) i64() int64      { return int64(r.u64()) }
func (r *leReader) span() span      { return span{off: r.i64(), size: r.u32(), sum: r.u32()} }
func (r *leReader) stamp() stamp {
	return stamp{fileID: fileID{r.u64(), r.u64()}, mtime: r.i64(), ctime: r.i64(), size: r.i64()}
}

func (s *indexSummary) encode() []byte {
	w := make(leWriter, 0, summarySize)
	w = append(w, indexMagic...)
	w.u64(s.generation)
	guid, _ := hex.DecodeString(s.guid)
	w = append(w, append(guid, make([]byte, 16)...)[:16]...)
	w.u32(s.uidValidity)
	w.u32(s.uidNext)
	w.u64(s.modSeq)
	w.u64(s.modSeqMark)
	w.stamp(s.list)
	w.u64(uint64(s.consumed))
	w.u64(uint64(s.lines))
	w.u32(s.lastUID)
	w.stamp(s.dirs[inNew])
	w.stamp(s.dirs[inCur])
	w.stamp(s.more)
	w.u32(uint32(s.letters))
	w.u64(s.floor)
	w.u32(s.n)
	w.span(s.table)
	w.span(s.history)
	w.span(s.words)
	w.u32(uint32(s.pop3))
	w = w[:summarySize-4]
	w.u32(crc32.Checksum(w, castagnoli))
	return w
}

func decodeSummary(b []byte) (s indexSummary, ok bool) {
	if len(b) < summarySize || string(b[:len(indexMagic)]) != indexMagic ||
		crc32.Checksum(b[:summarySize-4], castagnoli) != binary.LittleEndian.Uint32(b[summarySize-4:]) {
		return s, false
	}
	r := leReader(b[len(indexMagic):])
	s.generation = r.u64()
	s.guid = hex.EncodeToString(r[:16])
	r = r[16:]
	s.uidValidity, s.uidNext = r.u32(), r.u32()
	s.modSeq, s.modSeqMark = r.u64(), r.u64()
	s.list = r.stamp()
	s.consumed, s.lines = r.i64(), r.i64()
	s.lastUID = r.u32()
	s.dirs[inNew], s.dirs[inCur] = r.stamp(), r.stamp()
	s.more = r.stamp()
	s.letters = Flags(r.u32())
	s.floor = r.u64()
	s.n = r.u32()
	s.table, s.history, s.words = r.span(), r.span(), r.span()
	s.pop3 = pop3Noted(r.u32())
	return s, true
}

// tableEntryOf appends a chunk's line of the table.
func appendTableEntry(w leWriter, c *chunk, at span) leWriter {
	w.span(at)
	w.u32(uint32(c.n))
	w.u32(c.firstUID)
	w.u32(c.lastUID)
	w.u32(uint32(c.unseen))
	w.u32(uint32(c.deleted))
	w.u32(uint32(c.inNew))
	return w[:len(w):len(w)]
}

// decodeTable makes the chunks of a table, ascending by UID, n messages in all.
func decodeTable(b []byte, n uint32, from *indexFile) ([]*chunk, error) {
	if len(b)%tableEntry != 0 {
		return nil, errIndex
	}
	chunks := make([]chunk, len(b)/tableEntry)
	extents := make([]extent, len(chunks))
	out := make([]*chunk, len(chunks))
	var sum uint64
	var last uint32
	r := leReader(b)
	for i := range chunks {
		c, e := &chunks[i], &extents[i]
		e.file, e.at = from, r.span()
		size := r.u32()
		c.firstUID, c.lastUID = r.u32(), r.u32()
		c.unseen, c.deleted, c.inNew = int32(r.u32()), int32(r.u32()), int32(r.u32())
		if size == 0 || size > chunkMax || c.firstUID <= last || c.lastUID-c.firstUID < size-1 || c.lastUID < c.firstUID || e.at.size > maxExtent {
			return nil, errIndex
		}
		c.n, c.stored, last = int32(size), e, c.lastUID
		sum += uint64(size)
		out[i] = c
	}
	if sum != uint64(n) {
		return nil, errIndex
	}
	return out, nil
}

// appendRecords appends a chunk's records as they stand in the file: records,
// facts, the length of the names and the names, then per message with keywords
// that have no letter its UID, their number, and each with its length.
func appendChunk(b []byte, r *records) []byte {
	w := leWriter(b)
	for i := range r.recs {
		m := &r.recs[i]
		w.u64(m.modSeq)
		w.u32(m.uid)
		w.u32(uint32(m.flags))
		w.u32(m.nameOff)
		w.u32(uint32(m.nameLen) | uint32(m.baseLen)<<16)
	}
	for i := range r.facts {
		k := &r.facts[i]
		w.u64(uint64(k.size.Load()))
		w.u64(uint64(k.date.Load()))
		w.u64(uint64(k.disk.Load()))
		w.u64(k.ino.Load())
	}
	w.u32(uint32(len(r.names)))
	w = append(w, r.names...)
	uids := make([]uint32, 0, len(r.extra))
	for uid := range r.extra {
		uids = append(uids, uid)
	}
	sort.Slice(uids, func(i, j int) bool { return uids[i] < uids[j] })
	for _, uid := range uids {
		w.u32(uid)
		w.u32(uint32(len(r.extra[uid])))
		for _, k := range r.extra[uid] {
			w.u32(uint32(len(k)))
			w = append(w, k...)
		}
	}
	return w
}

// decodeChunk reads n records. Every number in them is held against its bounds,
// though a sum was right already.
func decodeChunk(b []byte, n int) (*records, error) {
	if len(b) < n*(recordSize+factsSize)+4 {
		return nil, errIndex
	}
	c := &records{recs: make([]record, n), facts: make([]facts, n)}
	r := leReader(b)
	for i := range c.recs {
		m := &c.recs[i]
		m.modSeq, m.uid, m.flags, m.nameOff = r.u64(), r.u32(), Flags(r.u32()), r.u32()
		lens := r.u32()
		m.nameLen, m.baseLen = uint16(lens), uint16(lens>>16)
	}
	for i := range c.facts {
		k := &c.facts[i]
		k.size.Store(r.i64())
		k.date.Store(r.i64())
		k.disk.Store(r.i64())
		k.ino.Store(r.u64())
	}
	size := int(r.u32())
	if size > len(r) {
		return nil, errIndex
	}
	c.names = append([]byte(nil), r[:size]...)
	r = r[size:]
	for i := range c.recs {
		m := &c.recs[i]
		if uint64(m.nameOff)+uint64(m.nameLen) > uint64(size) || m.baseLen > m.nameLen || m.baseLen == 0 || i > 0 && m.uid <= c.recs[i-1].uid {
			return nil, errIndex
		}
	}
	return c, c.decodeExtra(r)
}

func (c *records) decodeExtra(r leReader) error {
	for len(r) > 0 {
		if len(r) < 8 {
			return errIndex
		}
		uid, n := r.u32(), r.u32()
		var words []string
		for range n {
			if len(r) < 4 {
				return errIndex
			}
			size := r.u32()
			if uint64(size) > uint64(len(r)) {
				return errIndex
			}
			words = append(words, string(r[:size]))
			r = r[size:]
		}
		c.setExtra(uid, words)
	}
	return nil
}

func encodeHistory(h *history) []byte {
	w := make(leWriter, 0, len(h.expunged)*historyEntry)
	for _, e := range h.expunged {
		w.u64(e.modSeq)
		w.u32(e.uid)
	}
	return w
}

func decodeHistory(b []byte, floor uint64) history {
	h := history{floor: floor, expunged: make([]expungedUID, len(b)/historyEntry)}
	r := leReader(b)
	for i := range h.expunged {
		h.expunged[i] = expungedUID{modSeq: r.u64(), uid: r.u32()}
	}
	return h
}

// indexFile is an index as it is on disk.
type indexFile struct {
	folder *Folder
	id     fileID
	sum    indexSummary
	size   int64 // octets in the file
	stale  int64 // octets of extents that are not used any more

	mu   sync.Mutex // a leaf, held while a chunk is read
	file *os.File   // guarded by mu; nil when all chunks have been read
}

// openIndex reads and checks the summary, the table and the history. The error
// is fs.ErrNotExist where there is no index.
func (f *Folder) openIndex() (x *indexFile, chunks []*chunk, past history, words []string, err error) {
	fail := func(cause error) (*indexFile, []*chunk, history, []string, error) {
		err = cause // for the deferred close
		return nil, nil, history{}, nil, cause
	}
	file, err := f.home.open(indexName)
	if err != nil {
		return fail(err)
	}
	x = &indexFile{folder: f, file: file}
	opened := x
	defer func() {
		if err != nil {
			opened.close()
		}
	}()
	fi, err := file.Stat()
	if err != nil {
		return fail(err)
	}
	x.id, x.size = stampOf(fi).fileID, fi.Size()
	if x.sum, err = readSummary(file); err != nil {
		return fail(err)
	}
	if x.sum.table.size > maxIndexTable || x.sum.history.size > maxHistory*historyEntry || x.sum.words.size > maxExtent {
		return fail(errIndex)
	}
	table, err := x.sum.table.read(file)
	if err != nil {
		return fail(err)
	}
	gone, err := x.sum.history.read(file)
	if err != nil {
		return fail(err)
	}
	if chunks, err = decodeTable(table, x.sum.n, x); err != nil {
		return fail(err)
	}
	more, err := x.sum.words.read(file)
	if err != nil {
		return fail(err)
	}
	if words, err = decodeWords(more); err != nil {
		return fail(err)
	}
	live := int64(extentsStart) + int64(len(table)) + int64(len(gone)) + int64(len(more))
	for _, c := range chunks {
		live += int64(c.stored.at.size)
	}
	x.stale = x.size - live
	return x, chunks, decodeHistory(gone, x.sum.floor), words, nil
}

// readerAt is what an index is read from.
type readerAt interface {
	ReadAt(p []byte, off int64) (int, error)
}

// readSummary gives the newer of the two that are whole.
func readSummary(file readerAt) (indexSummary, error) {
	var b [2 * summarySize]byte
	if _, err := file.ReadAt(b[:], 0); err != nil {
		return indexSummary{}, fmt.Errorf("%w: %w", errIndex, err)
	}
	even, ok0 := decodeSummary(b[:summarySize])
	odd, ok1 := decodeSummary(b[summarySize:])
	switch {
	case ok0 && (!ok1 || even.generation > odd.generation):
		return even, nil
	case ok1:
		return odd, nil
	}
	return indexSummary{}, errIndex
}

// read gives the octets of a span if their sum is right.
func (s span) read(file readerAt) ([]byte, error) {
	if s.size == 0 {
		return nil, nil
	}
	if s.off < extentsStart || s.off > math.MaxInt64-int64(s.size) {
		return nil, errIndex
	}
	b := make([]byte, s.size)
	if _, err := file.ReadAt(b, s.off); err != nil {
		return nil, fmt.Errorf("%w: %w", errIndex, err)
	}
	if crc32.Checksum(b, castagnoli) != s.sum {
		return nil, errIndex
	}
	return b, nil
}
