package maildir

import (
	"context"
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"slices"
	"time"
)

// saveInterval is how often the index of a folder in use is brought up to date: what came after, a
// crash makes the next opening find out again.
const saveInterval = time.Minute

// saveIndexLocked brings the index up to date. Its failure costs time later, nothing else.
func (f *Folder) saveIndexLocked(ctx context.Context) {
	snap := f.Snapshot()
	if snap == nil || snap == f.saved || snap.gone || f.untold.any || !f.writable || !f.sticky || f.damaged.Load() {
		return
	}
	if err := f.writeIndexLocked(ctx, snap); err != nil {
		if !errors.Is(err, context.Canceled) {
			f.fail("saving the index", err)
		}
		return
	}
	f.saved = snap
	f.savedAt = f.store.opt.Clock()
}

func (f *Folder) writeIndexLocked(ctx context.Context, snap *Snapshot) error {
	lock, err := f.openCounter(ctx) // keeps other processes from saving at the same time
	if err != nil {
		return err
	}
	defer lock.close()
	sum := f.summaryLocked(ctx, snap)
	if err := f.appendIndexLocked(snap, sum); err == nil || !errors.Is(err, errIndex) {
		return err
	}
	return f.rewriteIndexLocked(snap, sum)
}

// summaryLocked describes the folder as the snapshot has it. The directories' stamps are
// noted only if nothing can have happened to them that the snapshot lacks.
func (f *Folder) summaryLocked(ctx context.Context, snap *Snapshot) indexSummary {
	l := &f.list
	s := indexSummary{
		guid: l.guid, uidValidity: l.uidValidity, uidNext: l.next(), modSeq: f.modSeq, modSeqMark: l.modSeqMark,
		consumed: l.consumed, lines: int64(l.lines), lastUID: l.lastUID,
		letters: f.lettersNamed(), floor: f.history.floor, n: uint32(snap.n), more: f.more.seen, pop3: l.pop3,
	}
	for _, r := range f.adopted {
		s.uidNext = min(s.uidNext, r.uid) // from here on there may be messages that the index lacks
	}
	if l.persisted && !l.untidy && len(l.others) == 0 && len(f.adopted) == 0 {
		s.list = l.stamp
	}
	s.dirs = f.settledDirsLocked(ctx)
	return s
}

// settledDirsLocked gives the stamps of directories whose every change the state has. A stamp
// proves nothing as long as another change may get the same.
func (f *Folder) settledDirsLocked(ctx context.Context) (none [2]stamp) {
	now, err := f.stamps()
	if err != nil {
		return none
	}
	if !f.watched.Load() {
		if now != f.scanned {
			return none
		}
	} else if f.barrier(ctx) != nil {
		return none
	}
	f.drainLocked()
	if f.dirty || f.untold.any || len(f.fresh)+len(f.odd) > 0 {
		return none
	}
	clock, err := f.fileClock()
	if err != nil || !settled(now[inNew], clock) || !settled(now[inCur], clock) {
		return none
	}
	return now
}

// fileClock tells the time as the file system stamps it: that of the counter, which was just written.
func (f *Folder) fileClock() (int64, error) {
	if err := f.home.setTimesNow(counterName); err != nil {
		return 0, err
	}
	fi, err := f.home.stat(counterName)
	if err != nil {
		return 0, err
	}
	return stampOf(fi).ctime, nil
}

// settled tells whether any change after the moment now must get another stamp: kernels stamp in ticks, some
// file systems in whole seconds.
func settled(s stamp, now int64) bool {
	tick := int64(100 * time.Millisecond)
	if s.mtime%1e9 == 0 || s.ctime%1e9 == 0 {
		tick = int64(2 * time.Second)
	}
	return now-max(s.mtime, s.ctime) > tick
}

// lettersNamed are the letters that have a keyword.
func (f *Folder) lettersNamed() (l Flags) {
	for i, n := range f.kw.names {
		if n != "" {
			l |= 1 << (letterShift + i)
		}
	}
	return l
}

// indexWriter appends extents.
type indexWriter struct {
	file *os.File
	off  int64 // where buf belongs
	buf  []byte
	err  error
}

const indexBuffer = 1 << 20

// add appends an extent and says where it stands.
func (w *indexWriter) add(b []byte) span {
	at := span{off: w.off + int64(len(w.buf)), size: uint32(len(b)), sum: crc32.Checksum(b, castagnoli)}
	w.buf = append(w.buf, b...)
	if len(w.buf) >= indexBuffer {
		w.flush()
	}
	return at
}

func (w *indexWriter) flush() {
	if w.err == nil {
		_, w.err = w.file.WriteAt(w.buf, w.off)
	}
	w.off += int64(len(w.buf))
	w.buf = w.buf[:0]
}

// appendIndexLocked adds what changed to the index that was read or saved last. errIndex when there
// is no such index any more, or when it is better written anew.
func (f *Folder) appendIndexLocked(snap *Snapshot, sum indexSummary) error {
	x := f.index
	if x == nil || x.stale > x.size/2 {
		return errIndex
	}
	file, err := f.home.openUpdate(indexName)
	if errors.Is(err, fs.ErrNotExist) {
		return errIndex
	}
	if err != nil {
		return err
	}
	defer file.Close()
	fi, err := file.Stat()
	if err != nil {
		return err
	}
	now, err := readSummary(file)
	if err != nil || stampOf(fi).fileID != x.id || now.generation != x.sum.generation || fi.Size() != x.size {
		return errIndex // deleted, damaged, or another process saved
	}
	w := &indexWriter{file: file, off: x.size}
	fresh := f.writeExtents(w, snap, &sum, func(c *chunk) bool {
		return c.stored != nil && c.stored.file == x && !c.learnt()
	})
	sum.generation = x.sum.generation + 1
	if w.flush(); w.err != nil {
		return w.err
	}
	if _, err := file.WriteAt(sum.encode(), int64(sum.generation%2)*summarySize); err != nil {
		return err
	}
	x.sum, x.size = sum, w.off
	return f.storedIn(x, snap, fresh)
}

// rewriteIndexLocked writes the index anew, in place of whatever is there.
func (f *Folder) rewriteIndexLocked(snap *Snapshot, sum indexSummary) error {
	for _, c := range snap.chunks {
		c.get() // what is still in the old file must be read before it goes
	}
	if err := f.home.remove(indexTemp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := f.home.create(indexTemp, f.home.filePerm())
	if err != nil {
		return err
	}
	defer file.Close()
	w := &indexWriter{file: file, off: extentsStart}
	fresh := f.writeExtents(w, snap, &sum, func(*chunk) bool { return false })
	w.flush()
	if w.err == nil {
		_, w.err = file.WriteAt(append(sum.encode(), make([]byte, summarySize)...), 0)
	}
	var fi fs.FileInfo
	if w.err == nil {
		fi, w.err = file.Stat()
	}
	if w.err == nil {
		w.err = f.home.rename(indexTemp, indexName)
	}
	if w.err != nil {
		f.home.remove(indexTemp)
		return w.err
	}
	f.index.close()
	f.index = &indexFile{folder: f, id: stampOf(fi).fileID, sum: sum, size: w.off}
	return f.storedIn(f.index, snap, fresh)
}

// writeExtents writes the chunks that are not in the file yet, the table, the history and
// the keywords, and gives the place of every chunk.
func (f *Folder) writeExtents(w *indexWriter, snap *Snapshot, sum *indexSummary, kept func(*chunk) bool) []span {
	places := make([]span, len(snap.chunks))
	var table leWriter
	var b []byte
	for i, c := range snap.chunks {
		if kept(c) {
			places[i] = c.stored.at
		} else {
			r := c.get()
			r.learnt.Store(false)
			b = appendChunk(b[:0], r)
			places[i] = w.add(b)
		}
		table = appendTableEntry(table, c, places[i])
	}
	sum.table = w.add(table)
	sum.history = w.add(encodeHistory(&f.history))
	sum.words = w.add(encodeWords(snap.keywords.more))
	return places
}

// storedIn notes where the chunks of the snapshot stand now.
func (f *Folder) storedIn(x *indexFile, snap *Snapshot, places []span) error {
	live := int64(extentsStart) + int64(x.sum.table.size) + int64(x.sum.history.size) + int64(x.sum.words.size)
	for i, c := range snap.chunks {
		if c.stored == nil || c.stored.file != x || c.stored.at != places[i] {
			c.stored = &extent{file: x, at: places[i]}
		}
		live += int64(places[i].size)
	}
	x.stale = x.size - live
	return nil
}

// learnt tells whether facts were learnt since the chunk was saved.
func (c *chunk) learnt() bool {
	r := c.loaded.Load()
	return r != nil && r.learnt.Load()
}

func encodeWords(words []string) []byte {
	var w leWriter
	for _, s := range words {
		w.u32(uint32(len(s)))
		w = append(w, s...)
	}
	return w
}

func decodeWords(b []byte) ([]string, error) {
	var words []string
	for r := leReader(b); len(r) > 0; {
		if len(r) < 4 {
			return nil, errIndex
		}
		n := r.u32()
		if uint64(n) > uint64(len(r)) {
			return nil, errIndex
		}
		words = append(words, string(r[:n]))
		r = r[n:]
	}
	return slices.Clip(words), nil
}
