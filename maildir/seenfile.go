package maildir

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// postroom-seen in the root of a reader's tree says what he has seen in folders where \Seen is not shared, his own or
// others'. After a first line, "postroom-seen 1", come lines of
//
//	<GUID> <UIDVALIDITY> <MODSEQ> <UIDs> ["<where>"]
//
// UIDs are written as in IMAP, "1:5,7", or "-" for none. All lines of one folder count together: what any of them names
// has been seen, and the highest MODSEQ is that of the last change. <where> is for people and for finding out
// whether the folder still exists; it is quoted as in Go, and the last one counts.
//
// So marking appends a line, by one write and before the client hears OK, and a file that lost its end shows messages as unread
// again, never the other way round. What is to be unread again is taken out by writing the file anew, synced, as is a
// file with many lines. A last line without LF is not there, and cut off. Lines that are no good are told and passed over. All
// changes are made holding postroom-seen.lock. Marks are synced when the file is written anew, and when a folder is closed.
//
// UIDs that are no message's are in the set or not, as makes it shorter. Where a folder would need too many runs the lowest
// are dropped, where the file would be too large the folders that were marked longest ago: that mail looks unread.
const (
	seenName   = "postroom-seen"
	seenTemp   = "postroom-seen.tmp"
	seenHeader = "postroom-seen 1"

	maxSeenFile    = 8 << 20 // octets
	maxSeenWritten = 6 << 20 // octets of a file that was just written anew
	maxSeenFolders = 10_000
	maxSeenRuns    = 1 << 14 // of UIDs, a folder
	maxSeenHint    = 1024    // octets
	seenSlack      = 1000    // lines that are not worth writing the file anew
)

// seenID names a folder for ever.
type seenID struct {
	guid        string
	uidValidity uint32
}

// seenEntry is what the file says of one folder.
type seenEntry struct {
	seen    uidSet
	highest uint64
	hint    string
	age     int // ascends with the place of the last line
}

// seenFile is what is known of a tree's postroom-seen.
type seenFile struct {
	tree *Tree // constant

	// mu guards what follows, and keeps this process's goroutines off the dot lock.
	mu       sync.Mutex
	states   map[seenID]*SeenState // that are open
	entries  map[seenID]*seenEntry
	stamp    stamp  // of the file as last read or written; zero: there is none
	consumed int64  // octets up to and including the last LF
	sum      uint32 // CRC-32C of those
	lines    int
	age      int   // the last that was given
	torn     bool  // there are more octets, without LF
	anew     bool  // it must be written anew before anything is appended
	refused  error // why it must not be written
	unsynced bool
	said     string // the last failure logged, so that a lasting one is logged once
}

// lock takes the file's dot lock and reads what others wrote. The caller holds mu.
func (s *seenFile) lock(ctx context.Context) (*dotlock, error) {
	lock, err := s.tree.store.lock.lock(ctx, s.tree.top, seenName, nil)
	if err != nil {
		return nil, err
	}
	if err = s.followLocked(); err == nil {
		err = wrapSys("sync", s.tree.path, s.tree.top.settle())
	}
	if err != nil {
		lock.unlock()
		return nil, err
	}
	return lock, nil
}

// followLocked reads the file if it is not as it was, and tells the states what is new.
func (s *seenFile) followLocked() error {
	fi, err := s.tree.top.stat(seenName)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if s.stamp != (stamp{}) || s.entries == nil {
			s.forget()
			s.tellStates(true)
		}
		return nil
	case err != nil:
		return wrapSys("stat", seenName, err)
	case stampOf(fi) == s.stamp:
		return s.refused
	}
	data, whole, err := s.read()
	if err != nil {
		return wrapSys("read", seenName, err)
	}
	if whole {
		at := s.stamp
		s.forget()
		s.stamp = at
	}
	s.parse(data[s.consumed:])
	s.tellStates(whole)
	return s.refused
}

// look is followLocked for whoever must not wait, and only if anybody cares.
func (s *seenFile) look() {
	if !s.mu.TryLock() {
		return // whoever has it looks himself
	}
	defer s.mu.Unlock()
	if len(s.states) == 0 {
		return // the tree may be closed
	}
	if err := s.followLocked(); err != nil {
		s.fail(err)
	}
}

// forget is what is known of a file that is not there.
func (s *seenFile) forget() {
	s.entries = make(map[seenID]*seenEntry)
	s.stamp, s.consumed, s.sum, s.lines, s.age = stamp{}, 0, 0, 0, 0
	s.torn, s.anew, s.refused = false, true, nil
}

// distrust has the whole file read before anything is believed: a change that was refused may stand in it or not, and
// in what is known.
func (s *seenFile) distrust() { s.stamp, s.entries = stamp{}, nil }

// read gives the file's octets and its stamp; whole unless it is only longer than it was. What lies
// beyond the largest size is not looked at.
func (s *seenFile) read() (data []byte, whole bool, err error) {
	file, err := s.tree.top.open(seenName)
	if err != nil {
		return nil, false, err
	}
	defer file.Close()
	fi, err := file.Stat()
	if err != nil {
		return nil, false, err
	}
	if data, err = io.ReadAll(io.LimitReader(file, maxSeenFile)); err != nil {
		return nil, false, err
	}
	if fi.Size() > maxSeenFile {
		s.fail(fmt.Errorf("%s: %d octets, the end is passed over: %w", seenName, fi.Size(), ErrTooBig))
	}
	whole = s.stamp == (stamp{}) || s.stamp.fileID != stampOf(fi).fileID || int64(len(data)) < s.consumed ||
		crc32.Checksum(data[:s.consumed], castagnoli) != s.sum
	s.stamp = stampOf(fi)
	return data, whole, nil
}

// parse takes in whole lines from where the last reading ended.
func (s *seenFile) parse(data []byte) {
	if s.refused != nil {
		return
	}
	end := bytes.LastIndexByte(data, '\n') + 1
	s.torn = end < len(data)
	s.sum = crc32.Update(s.sum, castagnoli, data[:end])
	bad := 0
	for line := range strings.Lines(string(data[:end])) {
		line = strings.TrimRight(line, "\r\n")
		if s.lines++; s.consumed == 0 && s.lines == 1 {
			if s.anew = line != seenHeader; !s.anew {
				continue
			}
			if strings.HasPrefix(line, "postroom-seen ") {
				s.refused = fmt.Errorf("%s: %q is a version that is not known: %w", seenName, line, ErrDamaged)
				break
			}
		}
		if !s.parseLine(line) {
			if bad++; bad <= maxBadLines {
				s.tree.store.log.Warn("a line is no good and is passed over", "tree", s.tree.path, "file", seenName, "line", s.lines)
			}
		}
	}
	if bad > maxBadLines {
		s.tree.store.log.Warn("lines are no good and are passed over", "tree", s.tree.path, "file", seenName, "count", bad)
	}
	s.consumed += int64(end)
}

func (s *seenFile) parseLine(line string) bool {
	fields := strings.SplitN(line, " ", 5)
	if len(fields) < 4 {
		return false
	}
	id, err := newSeenID(fields[0], fields[1])
	modSeq, err2 := strconv.ParseUint(fields[2], 10, 63)
	if err != nil || err2 != nil {
		return false
	}
	var set uidSet
	if fields[3] != "-" {
		var ok bool
		if set, ok = parseUIDSet(fields[3]); !ok {
			return false
		}
	}
	hint := ""
	if len(fields) == 5 {
		if hint, err = strconv.Unquote(fields[4]); err != nil || len(hint) > maxSeenHint {
			return false
		}
	}
	s.note(id, set, modSeq, hint)
	return true
}

func newSeenID(guid, uidValidity string) (seenID, error) {
	raw, err := hex.DecodeString(guid)
	if err != nil || len(raw) != 16 {
		return seenID{}, fmt.Errorf("GUID %q: %w", guid, ErrCannot)
	}
	v, err := strconv.ParseUint(uidValidity, 10, 32)
	if err != nil || v == 0 {
		return seenID{}, fmt.Errorf("UIDVALIDITY %q: %w", uidValidity, ErrCannot)
	}
	return seenID{hex.EncodeToString(raw), uint32(v)}, nil
}

// note takes in what one line says.
func (s *seenFile) note(id seenID, set uidSet, modSeq uint64, hint string) {
	b := s.entries[id]
	if b == nil {
		b = new(seenEntry)
		s.entries[id] = b
	}
	b.seen = b.seen.union(set).bounded()
	b.highest = max(b.highest, modSeq)
	if hint != "" {
		b.hint = hint
	}
	s.age++
	b.age = s.age
}

// bounded drops the lowest runs of a set that has too many.
func (s uidSet) bounded() uidSet { return s[max(0, len(s)-maxSeenRuns):] }

// tellStates gives the open states what the file says. whole tells that it is another file than before.
func (s *seenFile) tellStates(whole bool) {
	for id, st := range s.states {
		st.adopt(s.entries[id], whole)
	}
}

// appendSeenLine formats a line at the end of b.
func appendSeenLine(b []byte, id seenID, modSeq uint64, set uidSet, hint string) []byte {
	b = fmt.Appendf(b, "%s %d %d ", id.guid, id.uidValidity, modSeq)
	if len(set) == 0 {
		b = append(b, '-')
	} else {
		b = set.append(b)
	}
	if hint != "" {
		b = append(b, ' ')
		b = strconv.AppendQuote(b, hint)
	}
	return append(b, '\n')
}

// appendLocked adds a line to the file, which must not be written anew. The caller holds the dot lock.
func (s *seenFile) appendLocked(line []byte) error {
	file, err := s.tree.top.openAppend(seenName)
	if err != nil {
		return wrapSys("open", seenName, err)
	}
	defer file.Close()
	if s.torn {
		if err := file.Truncate(s.consumed); err != nil {
			return wrapSys("truncate", seenName, err)
		}
		s.torn = false
	}
	if _, err := file.Write(line); err != nil {
		file.Truncate(s.consumed) // what cannot be cut off now has no LF, or is read and told
		s.distrust()
		return wrapSys("write", seenName, err)
	}
	s.unsynced = true
	s.consumed += int64(len(line))
	s.sum = crc32.Update(s.sum, castagnoli, line)
	s.lines++
	if fi, err := file.Stat(); err == nil {
		s.stamp = stampOf(fi)
	} else {
		s.distrust()
	}
	return nil
}

// full tells whether the file is to be written anew before a line is added.
func (s *seenFile) full(line int) bool {
	return s.anew || s.lines > 2*len(s.entries)+seenSlack || s.consumed+int64(line) > maxSeenFile
}

// rewriteLocked writes the file anew. The caller holds the dot lock.
func (s *seenFile) rewriteLocked() error {
	ids := make([]seenID, 0, len(s.entries))
	for id := range s.entries {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b seenID) int { return cmp.Compare(s.entries[b].age, s.entries[a].age) })
	lines := make([][]byte, 0, len(ids))
	size := len(seenHeader) + 1
	for i, id := range ids {
		b := s.entries[id]
		line := appendSeenLine(nil, id, b.highest, b.seen, b.hint)
		if size += len(line); i == maxSeenFolders || size > maxSeenWritten {
			s.tree.store.log.Warn("the file is full; the folders that were marked longest ago look unread", "tree", s.tree.path, "file", seenName, "folders", len(ids)-i)
			break
		}
		lines = append(lines, line)
	}
	slices.Reverse(lines) // so that ages are as they were when it is read
	data := append([]byte(seenHeader+"\n"), bytes.Join(lines, nil)...)
	if _, err := s.tree.top.replaceFile(seenTemp, seenName, data); err != nil {
		s.distrust()
		return wrapSys("write", seenName, err)
	}
	for _, id := range ids[len(lines):] {
		delete(s.entries, id)
	}
	s.consumed, s.sum, s.lines = int64(len(data)), crc32.Checksum(data, castagnoli), len(lines)+1
	s.torn, s.anew, s.unsynced = false, false, false
	s.stamp = stamp{}
	if fi, err := s.tree.top.stat(seenName); err == nil {
		s.stamp = stampOf(fi)
	}
	return nil
}

// syncLocked makes appended lines durable.
func (s *seenFile) syncLocked() error {
	if !s.unsynced {
		return nil
	}
	file, err := s.tree.top.openUpdate(seenName)
	if errors.Is(err, fs.ErrNotExist) {
		s.unsynced = false
		return nil
	}
	if err == nil {
		err = file.Sync()
		file.Close()
	}
	s.unsynced = err != nil
	return wrapSys("sync", seenName, err)
}

// fail logs a failure, once as long as it is the same.
func (s *seenFile) fail(err error) {
	if msg := err.Error(); s.said != msg {
		s.said = msg
		s.tree.store.log.Error("what was seen in folders that do not share it", "tree", s.tree.path, "error", err)
	}
}
