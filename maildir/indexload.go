package maildir

import (
	"cmp"
	"errors"
	"io/fs"
	"slices"
)

// extent is where the records of a chunk stand in an index.
type extent struct {
	file *indexFile
	at   span
}

// load reads the records of c. When the index turns out to be no good they are
// made from the uid list and the directories, and the folder is read anew.
func (e *extent) load(c *chunk) *records {
	x := e.file
	x.mu.Lock()
	defer x.mu.Unlock()
	if r := c.loaded.Load(); r != nil {
		return r
	}
	r, err := e.read(c)
	if err != nil {
		r = x.folder.recoverChunk(c, err)
	}
	c.loaded.Store(r)
	return r
}

func (e *extent) read(c *chunk) (*records, error) {
	if e.file.file == nil {
		return nil, errIndex
	}
	b, err := e.at.read(e.file.file)
	if err != nil {
		return nil, err
	}
	r, err := decodeChunk(b, int(c.n))
	if err == nil && (r.recs[0].uid != c.firstUID || r.recs[c.n-1].uid != c.lastUID) {
		err = errIndex
	}
	return r, err
}

// close gives the file back; chunks that were not read yet cannot be any more.
func (x *indexFile) close() {
	if x == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.file != nil {
		x.file.Close()
		x.file = nil
	}
}

// recoverChunk makes records without the index: sessions were told how many messages there are, so
// there must be as many, with the UIDs that the list gives them. What is wrong in them the scan that
// follows mends, as if others had changed it. It is called with or without Folder.mu.
func (f *Folder) recoverChunk(c *chunk, cause error) *records {
	f.log.Error("the index is damaged; the folder is read anew", "error", cause)
	files := newListing(f.octets())
	if err := f.readInto(files, false, inNew, inCur); err != nil {
		f.log.Error("reading the folder", "error", err)
	}
	var here, absent []uidRecord
	seen := make(map[uint32]bool)
	_, err := readUIDList(f.home, uidlistName, func(r uidRecord) {
		if r.uid < c.firstUID || r.uid > c.lastUID || seen[r.uid] {
			return
		}
		seen[r.uid] = true
		if files.find(r.base) != nil {
			here = append(here, r)
		} else {
			absent = append(absent, r)
		}
	})
	if err != nil {
		f.log.Error("reading the uid list", "error", err)
	}
	recs := append(here, absent...)
	for uid := c.firstUID; len(recs) < int(c.n) && uid <= c.lastUID; uid++ {
		if !seen[uid] { // neither list nor index: such a message answers that it is gone
			recs = append(recs, uidRecord{uid: uid, base: noSuchName, name: noSuchName})
		}
	}
	recs = recs[:c.n]
	slices.SortFunc(recs, byUID)
	out := new(records)
	for _, r := range recs {
		m := newMessage{uid: r.uid, name: r.name + ":2,", size: -1, modSeq: maxModSeqOf(c)}
		if file := files.find(r.base); file != nil {
			p := files.presenceOf(file)
			at := p.first()
			m.name, m.flags, m.ino = at.name, flagsOf(at.name), p.ino
			if at.dir == inNew {
				m.flags |= flagNew
			}
		}
		out.append(m)
	}
	f.damaged.Store(true)
	f.queue.pokePoll()
	return out
}

// maxModSeqOf is a MODSEQ that no message of a damaged chunk is known to exceed.
func maxModSeqOf(c *chunk) uint64 { return c.stored.file.sum.modSeq }

func byUID(a, b uidRecord) int { return cmp.Compare(a.uid, b.uid) }

// prior is what the index knew when the folder must be read all the same.
type prior struct {
	file    *indexFile
	chunks  []*chunk
	history history
	words   []string
	ci, ri  int // how far find has walked
}

// find gives the record of a UID, nil if the index has none. UIDs are asked for ascending.
func (p *prior) find(uid uint32) (*records, int) {
	if p == nil {
		return nil, 0
	}
	for p.ci < len(p.chunks) && p.chunks[p.ci].last() < uid {
		p.ci, p.ri = p.ci+1, 0
	}
	if p.ci == len(p.chunks) || uid < p.chunks[p.ci].first() {
		return nil, 0
	}
	r := p.chunks[p.ci].get()
	for p.ri < len(r.recs) && r.recs[p.ri].uid < uid {
		p.ri++
	}
	if p.ri == len(r.recs) || r.recs[p.ri].uid != uid {
		return nil, 0
	}
	return r, p.ri
}

// readIndex gives what the index knows; nil where it is missing or no good.
func (f *Folder) readIndex() *prior {
	x, chunks, past, words, err := f.openIndex()
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			f.log.Warn("the index is no good; the folder is read without", "error", err)
		}
		return nil
	}
	return &prior{file: x, chunks: chunks, history: past, words: words}
}

// warmLocked opens the folder from the index alone, if the directories, the uid list and the
// keywords look as they did when it was saved.
func (f *Folder) warmLocked(p *prior) bool {
	s := &p.file.sum
	now, err := f.stamps()
	if err != nil || s.dirs != now || s.dirs[inNew] == (stamp{}) || s.dirs[inCur] == (stamp{}) {
		return false
	}
	if s.list == (stamp{}) || s.list != f.stampOf(uidlistName) || s.more != f.stampOf(moreKeywordsName) {
		return false
	}
	f.writable, f.sticky = f.home.writable() && f.new.writable() && f.cur.writable(), true
	f.list = uidList{
		uidHeader: uidHeader{uidValidity: s.uidValidity, uidNext: s.uidNext, guid: s.guid, modSeqMark: s.modSeqMark},
		stamp:     s.list, consumed: s.consumed, lines: int(s.lines), lastUID: s.lastUID, persisted: true, pop3: s.pop3,
	}
	f.pinListLocked()
	f.state = builder{chunks: p.chunks, n: int(s.n)}
	f.history, f.scanned, f.proved = p.history, now, true
	f.kw = f.kw.withUnknown(s.letters).withMore(p.words)
	f.more = moreFile{seen: s.more, unread: true}
	f.firstModSeqLocked(s.modSeq)
	f.index = p.file
	f.publishLocked()
	f.saved = f.Snapshot()
	return true
}

// stampOf is a file's stamp, zero if it is not there.
func (f *Folder) stampOf(name string) stamp {
	fi, err := f.home.stat(name)
	if err != nil {
		return stamp{}
	}
	return stampOf(fi)
}

// rememberLocked goes on with the history that the index kept: what it knew and is not there any more is
// expunged. recs are the messages found, ascending by UID; next is the next UID.
func (f *Folder) rememberLocked(p *prior, recs []found, next uint32, fresh func() uint64) {
	f.history = p.history
	have := func(uid uint32) bool {
		_, ok := slices.BinarySearchFunc(recs, uid, func(r found, uid uint32) int { return cmp.Compare(r.uid, uid) })
		return ok
	}
	var gone []uint32
	for _, c := range p.chunks {
		for _, m := range c.get().recs {
			if !have(m.uid) {
				gone = append(gone, m.uid)
			}
		}
	}
	// What came and went after the index was saved.
	if next-p.file.sum.uidNext > maxHistory {
		f.history = history{floor: fresh()}
		return
	}
	for uid := p.file.sum.uidNext; uid < next; uid++ {
		if !have(uid) {
			gone = append(gone, uid)
		}
	}
	if len(gone) > 0 {
		f.history.add(fresh(), gone)
	}
}

// completeIndex reads the chunks that nobody has asked for yet, so that the first change does
// not have to wait for it, and closes the file.
func (f *Folder) completeIndex(x *indexFile) {
	for _, c := range f.Snapshot().chunks {
		c.get()
	}
	x.close()
}
