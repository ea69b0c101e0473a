package maildir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"slices"
	"strings"
)

// postroom-keywords holds what the 26 letters of file names have no room for: the
// keywords of a message that have no letter, a line each message:
//
//	<keyword> <keyword> ... :<base name>
//
// A base name has no colon, so the last one divides. Lines are appended, the last
// one of a base name counts, and one without keywords says that the message has none. A last
// line without LF is not there: it is cut off before the next is written. When stale lines
// outweigh, the file is written anew, without those of messages that are gone.
// Every change is made holding the uid list's lock, and synced once a command.
const (
	moreKeywordsName = "postroom-keywords"
	moreKeywordsTemp = "postroom-keywords.tmp"

	maxMoreNames     = 1000     // keywords without a letter, a folder
	maxMoreOfMessage = 500      // of them, a message
	maxMoreFile      = 64 << 20 // octets
	moreSlack        = 1000     // stale lines that are not worth a rewrite
	maxBadLines      = 10       // told one by one in the log, a reading
)

// moreFile is what a folder knows of its postroom-keywords. Folder.mu guards it.
type moreFile struct {
	seen      stamp               // of the file as last read or written; zero: there is none
	consumed  int64               // octets up to and including the last LF
	sum       uint32              // CRC-32C of those
	torn      bool                // there are more octets, without LF
	lines     int                 // whole lines, stale or not
	limit     int                 // lines at which it is written anew
	unread    bool                // opened from the index: the lines of those who are no messages are not known
	unclaimed map[string][]string // keywords of base names that are no message's, or not yet
	names     map[string]string   // in lower case, to the one spelling that is shared
	unsynced  bool
	broken    bool // a sync failed: what was written may be lost, though it can be read
}

// intern gives the spelling that the folder has for a keyword; a new one is told.
func (m *moreFile) intern(word string, told func(string)) string {
	low := strings.ToLower(word)
	if w, ok := m.names[low]; ok {
		return w
	}
	word = strings.Clone(word)
	if m.names == nil {
		m.names = make(map[string]string)
	}
	m.names[low] = word
	told(word)
	return word
}

// claim gives, once, the keywords noted for a base name that becomes a message's.
func (m *moreFile) claim(base string) []string {
	words := m.unclaimed[base]
	if words != nil {
		delete(m.unclaimed, base)
	}
	return words
}

// release keeps the keywords of a message that goes: it may come again, with another UID.
func (m *moreFile) release(base string, words []string) {
	if len(words) == 0 {
		return
	}
	if m.unclaimed == nil {
		m.unclaimed = make(map[string][]string)
	}
	m.unclaimed[base] = words
}

// doubt has the whole file read and compared again.
func (m *moreFile) doubt() {
	m.unread, m.seen.size = true, -1
}

// appendMoreLine formats a message's line at the end of b.
func appendMoreLine(b []byte, words []string, base string) []byte {
	for _, w := range words {
		b = append(b, w...)
		b = append(b, ' ')
	}
	b = append(b, ':')
	b = append(b, base...)
	return append(b, '\n')
}

// parseMoreLine gives what a line says.
func parseMoreLine(line string) (words []string, base string, ok bool) {
	line = strings.TrimSuffix(line, "\r")
	colon := strings.LastIndexByte(line, ':')
	if colon < 0 {
		return nil, "", false
	}
	head, name := line[:colon], line[colon+1:]
	if base = baseOf(name); !usable([]byte(base)) || strings.Contains(base, "/") {
		return nil, "", false
	}
	if head == "" {
		return nil, base, true
	}
	head, ok = strings.CutSuffix(head, " ")
	if !ok {
		return nil, "", false
	}
	for w := range strings.SplitSeq(head, " ") {
		if !validKeyword(w) {
			return nil, "", false
		}
		words = append(words, w)
	}
	return words, base, true
}

// parseMoreLocked reads whole lines; those that are no good are told and passed over. again gives the base names
// that had several.
func (f *Folder) parseMoreLocked(data []byte) (entries map[string][]string, again []string, consumed int64) {
	m := &f.more
	entries = make(map[string][]string)
	var fresh []string
	bad := 0
	for {
		end := bytes.IndexByte(data, '\n')
		if end < 0 {
			break
		}
		line := string(data[:end])
		data = data[end+1:]
		consumed += int64(end + 1)
		m.lines++
		words, base, ok := parseMoreLine(line)
		if !ok {
			if bad++; bad <= maxBadLines {
				f.log.Warn("a line is no good and is passed over", "file", moreKeywordsName, "line", m.lines)
			}
			continue
		}
		kept := words[:0]
		for _, w := range words {
			if w = m.intern(w, func(w string) { fresh = append(fresh, w) }); !slices.Contains(kept, w) {
				kept = append(kept, w)
			}
		}
		if _, had := entries[base]; had {
			again = append(again, base)
		}
		entries[base] = slices.Clip(kept)
	}
	if bad > maxBadLines {
		f.log.Warn("lines are no good and are passed over", "file", moreKeywordsName, "count", bad)
	}
	f.kw = f.kw.withMore(fresh)
	return entries, again, consumed
}

// readMoreLocked brings the state up to what the file says. whole has the file read that the index stood for until
// now. It tells whether the file was lost: then what is known is the truth.
func (f *Folder) readMoreLocked(whole bool) (lost bool, err error) {
	m := &f.more
	fi, err := f.home.stat(moreKeywordsName)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return m.seen != (stamp{}), nil
	case err != nil:
		return false, wrapSys("stat", moreKeywordsName, err)
	}
	if stampOf(fi) == m.seen && !(whole && m.unread) {
		return false, nil
	}
	data, st, err := f.home.readFile(moreKeywordsName, maxMoreFile)
	if err != nil {
		return false, wrapSys("read", moreKeywordsName, err)
	}
	tail := !m.unread && st.fileID == m.seen.fileID && int64(len(data)) >= m.consumed &&
		crc32.Checksum(data[:m.consumed], castagnoli) == m.sum
	if !tail {
		m.consumed, m.sum, m.lines, m.unclaimed = 0, 0, 0, nil
	}
	entries, again, n := f.parseMoreLocked(data[m.consumed:])
	end := m.consumed + n
	m.sum = crc32.Update(m.sum, castagnoli, data[m.consumed:end])
	m.seen, m.consumed, m.torn, m.unread = st, end, end < int64(len(data)), false
	f.applyMoreLocked(entries, !tail)
	if !tail {
		m.limit = 2*len(entries) + moreSlack
		return false, nil
	}
	for _, base := range again { // another process may have told its clients what an earlier line says
		if uid, _, _, ok := f.lookupBase(base); ok {
			f.touchLocked([]uint32{uid})
		}
	}
	return false, nil
}

// applyMoreLocked gives messages the keywords that lines say. all means that who has no line has none.
func (f *Folder) applyMoreLocked(entries map[string][]string, all bool) {
	if f.state.n == 0 { // loading: messages claim theirs
		for base, words := range entries {
			f.more.setUnclaimed(base, words)
		}
		return
	}
	if all {
		f.eachMoreLocked(func(r *records, i int, _ []string) {
			if base := r.base(i); entries[base] == nil {
				entries[base] = []string{}
			}
		})
	}
	var changed []uint32
	for base, words := range entries {
		uid, ci, ri, ok := f.lookupBase(base)
		if !ok {
			f.more.setUnclaimed(base, words)
			continue
		}
		if !sameWords(f.state.chunks[ci].get().extra[uid], words) {
			f.state.own(ci).setExtra(f.state.chunks[ci].get().recs[ri].uid, words)
			changed = append(changed, uid)
		}
	}
	f.touchLocked(changed)
}

func (m *moreFile) setUnclaimed(base string, words []string) {
	delete(m.unclaimed, base)
	m.release(base, words)
}

// eachMoreLocked calls each for the messages that have keywords without a letter.
func (f *Folder) eachMoreLocked(each func(r *records, i int, words []string)) {
	for _, c := range f.state.chunks {
		r := c.get()
		if len(r.extra) == 0 {
			continue
		}
		for i := range r.recs {
			if words := r.extra[r.recs[i].uid]; len(words) > 0 {
				each(r, i, words)
			}
		}
	}
}

// followMoreLocked is readMoreLocked for a caller who holds the list's lock: a file that was lost is
// written again.
func (f *Folder) followMoreLocked(whole bool) error {
	lost, err := f.readMoreLocked(whole)
	if err != nil || !lost {
		return err
	}
	return f.recoverMoreLocked()
}

// recoverMoreLocked writes a file again that is not there any more.
func (f *Folder) recoverMoreLocked() error {
	any := len(f.more.unclaimed) > 0
	f.eachMoreLocked(func(*records, int, []string) { any = true })
	if !any {
		f.more = moreFile{names: f.more.names}
		return nil
	}
	f.log.Warn("the file was lost; it is written anew", "file", moreKeywordsName)
	f.more.unread = false
	return f.rewriteMoreLocked()
}

// checkMoreLocked sees whether another program changed the file, and follows. It takes the list's lock
// if it must write.
func (f *Folder) checkMoreLocked(ctx context.Context) {
	lost, err := f.readMoreLocked(false)
	if err == nil && lost && f.writable {
		var lock *dotlock
		if lock, err = f.lockList(ctx); err == nil {
			err = f.followMoreLocked(false)
			lock.unlock()
		}
	}
	if err != nil {
		f.fail("following "+moreKeywordsName, err)
	}
}

// loadMoreLocked reads the file before messages are taken into an empty state. What keeps it from
// being read keeps nobody from reading mail. What the index knows of a file that is lost
// is written again at the first occasion.
func (f *Folder) loadMoreLocked(past *prior) {
	if _, err := f.readMoreLocked(true); err != nil {
		f.fail("reading "+moreKeywordsName, err)
	}
	if f.more.seen != (stamp{}) {
		return
	}
	if past == nil && f.kwSeen == (stamp{}) {
		if err := f.adoptCourierLocked(); err != nil {
			f.fail("reading "+courierKeywordsDir, err)
		}
		return
	}
	if past == nil || past.file.sum.more == (stamp{}) {
		return
	}
	entries := make(map[string][]string)
	var names []string
	for _, c := range past.chunks {
		r := c.get()
		for i := range r.recs {
			words := slices.Clone(r.extra[r.recs[i].uid])
			for k, w := range words {
				words[k] = f.more.intern(w, func(w string) { names = append(names, w) })
			}
			if len(words) > 0 {
				entries[r.base(i)] = words
			}
		}
	}
	f.kw = f.kw.withMore(names)
	f.applyMoreLocked(entries, false)
	f.more.doubt()
}

// rewriteMoreLocked writes the file anew: the lines of all messages that have any, and of those on their
// way in. The caller holds the list's lock and has read the whole file.
func (f *Folder) rewriteMoreLocked() error {
	m := &f.more
	var b []byte
	lines := 0
	names := make(map[string]string)
	var table []string
	note := func(words []string, base string) {
		b = appendMoreLine(b, words, base)
		lines++
		for _, w := range words {
			if low := strings.ToLower(w); names[low] == "" {
				names[low] = w
				table = append(table, w)
			}
		}
	}
	f.eachMoreLocked(func(r *records, i int, words []string) { note(words, r.base(i)) })
	kept := make(map[string][]string)
	for base := range f.fresh {
		if words := m.unclaimed[base]; len(words) > 0 {
			note(words, base)
			kept[base] = words
		}
	}
	if _, err := f.home.replaceFile(moreKeywordsTemp, moreKeywordsName, b); err != nil {
		return wrapSys("write", moreKeywordsName, err)
	}
	*m = moreFile{
		seen: f.stampOf(moreKeywordsName), consumed: int64(len(b)), sum: crc32.Checksum(b, castagnoli),
		lines: lines, limit: 2*lines + moreSlack, unclaimed: kept, names: names,
	}
	kw := *f.kw
	kw.more = nil
	f.kw = kw.withMore(table)
	return nil
}

// writeMoreLocked appends lines. They are not synced yet. The caller holds the list's lock.
func (f *Folder) writeMoreLocked(b []byte, lines int) error {
	m := &f.more
	if err := f.followMoreLocked(true); err != nil {
		return err
	}
	if m.consumed+int64(len(b)) > maxMoreFile || m.lines+lines > m.limit && m.seen != (stamp{}) {
		if err := f.rewriteMoreLocked(); err != nil {
			return err
		}
		m.limit += 2 * lines
	}
	if m.consumed+int64(len(b)) > maxMoreFile {
		return fmt.Errorf("%s: %w", moreKeywordsName, ErrTooMany)
	}
	if m.seen == (stamp{}) {
		if _, err := f.home.replaceFile(moreKeywordsTemp, moreKeywordsName, b); err != nil {
			return wrapSys("write", moreKeywordsName, err)
		}
		m.seen, m.limit = f.stampOf(moreKeywordsName), 2*lines+moreSlack
		m.consumed, m.sum, m.lines = int64(len(b)), crc32.Checksum(b, castagnoli), lines
		return nil
	}
	return f.appendMoreLocked(b, lines)
}

func (f *Folder) appendMoreLocked(b []byte, lines int) error {
	m := &f.more
	file, err := f.home.openAppend(moreKeywordsName)
	if err != nil {
		return wrapSys("open", moreKeywordsName, err)
	}
	defer file.Close()
	if m.torn {
		if err := file.Truncate(m.consumed); err != nil {
			return wrapSys("truncate", moreKeywordsName, err)
		}
		m.torn = false
	}
	if _, err = file.Write(b); err != nil {
		file.Truncate(m.consumed) // what cannot be cut off now is read, or cut off, later
		m.doubt()
		return wrapSys("write", moreKeywordsName, err)
	}
	m.unsynced = true
	m.consumed += int64(len(b))
	m.sum = crc32.Update(m.sum, castagnoli, b)
	m.lines += lines
	fi, err := file.Stat()
	if err != nil {
		m.doubt()
		return nil
	}
	m.seen = stampOf(fi)
	return nil
}

// syncMore makes appended lines durable.
func (f *Folder) syncMore() error {
	file, err := f.home.openUpdate(moreKeywordsName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // whoever finds it missing writes it again, synced
	}
	if err == nil {
		err = file.Sync()
		file.Close()
	}
	return wrapSys("sync", moreKeywordsName, err)
}

// moreEdit is a message that gets other keywords.
type moreEdit struct {
	uid   uint32
	words []string
}

// editMoreLocked writes the lines for messages and gives the UIDs of those that have the keywords now.
func (f *Folder) editMoreLocked(edits []moreEdit) (done []uint32, err error) {
	var b []byte
	for _, e := range edits {
		if ci, ri, ok := f.state.locate(e.uid); ok {
			b = appendMoreLine(b, e.words, f.state.chunks[ci].get().base(ri))
			done = append(done, e.uid)
		}
	}
	if len(done) == 0 {
		return nil, nil
	}
	if err := f.writeMoreLocked(b, len(done)); err != nil {
		return nil, err
	}
	for _, e := range edits {
		if ci, _, ok := f.state.locate(e.uid); ok {
			f.state.own(ci).setExtra(e.uid, e.words)
		}
	}
	return done, nil
}

// sameWords tells whether two sets of keywords are equal.
func sameWords(a, b []string) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(w string) bool { return !hasWord(b, w) })
}

func hasWord(words []string, w string) bool {
	return slices.ContainsFunc(words, func(x string) bool { return strings.EqualFold(x, w) })
}
