package maildir

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strconv"
	"strings"
)

// The uid list is Dovecot's dovecot-uidlist, version 3:
//
//	3 V<uidvalidity> N<uidnext> G<32 hex digits> [<key><value> ...]
//	<uid> [<key><value> ...] :<base name>
//
// Lines end in LF; a last line without one is not there yet. UIDs ascend. New
// records are appended under dovecot-uidlist.lock and synced before a client
// hears of them; anything else rewrites the file whole. Records of expunged
// messages stay until a rewrite, N goes stale with every append: the next UID
// is the larger of N and the last record's successor. Keys we do not know are
// kept. Our own header key M is a number that no MODSEQ ever told exceeds.
//
// Version 1, Dovecot's older and Courier's form, is read and upgraded:
//
//	1 <uidvalidity> <uidnext>
//	<uid> <base name>
const (
	uidlistName    = "dovecot-uidlist"
	uidlistTemp    = "dovecot-uidlist.tmp"
	courierUIDDB   = "courierimapuiddb"
	maxUIDListSize = 1 << 30
	maxUID         = math.MaxUint32 - 1 // 2^32-1 is no UID in Dovecot's files
	modSeqMarkKey  = 'M'
)

// uidRecord is one line of the list.
type uidRecord struct {
	uid  uint32
	ext  string // "S40 W44 Pxyz", as in the file
	name string // of the file, without its info part
	base string // the identity in name
}

// uidHeader is the first line.
type uidHeader struct {
	uidValidity uint32
	uidNext     uint32
	guid        string
	modSeqMark  uint64
	others      []string // keys we do not know, as in the file
}

// uidList is what was read of the list file, and how far.
type uidList struct {
	uidHeader
	stamp     stamp
	consumed  int64 // octets read: everything up to and including the last LF
	lines     int   // records read, live or not
	lastUID   uint32
	untidy    bool // wants a rewrite: old version, no GUID, torn tail, disorder
	persisted bool // the file exists
	pop3      pop3Noted
}

// pop3Noted tells whether any record has a field that only POP3 asks for; if none has, the list need not be
// read for it.
type pop3Noted uint32

const (
	pop3Unknown pop3Noted = iota
	pop3None
	pop3Some
)

func (h *uidHeader) format() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "3 V%d N%d G%s", h.uidValidity, h.uidNext, h.guid)
	if h.modSeqMark > 0 {
		fmt.Fprintf(&b, " %c%d", modSeqMarkKey, h.modSeqMark)
	}
	for _, o := range h.others {
		b.WriteByte(' ')
		b.WriteString(o)
	}
	b.WriteByte('\n')
	return b.Bytes()
}

// append formats the record at the end of b.
func (r *uidRecord) append(b []byte) []byte {
	b = strconv.AppendUint(b, uint64(r.uid), 10)
	if r.ext != "" {
		b = append(b, ' ')
		b = append(b, r.ext...)
	}
	b = append(b, " :"...)
	b = append(b, r.name...)
	return append(b, '\n')
}

// field gives the value of an extension key; ok tells whether it is there.
func (r *uidRecord) field(key byte) (value string, ok bool) {
	for f := range strings.SplitSeq(r.ext, " ") {
		if len(f) > 0 && f[0] == key {
			return f[1:], true
		}
	}
	return "", false
}

// parseSize reads the value of S or W; -1 if it is none.
func parseSize(s string) int64 {
	digits, rest := leadingDigits(s)
	if digits == "" || rest != "" || len(digits) > 18 {
		return -1
	}
	n := int64(0)
	for _, c := range digits {
		n = n*10 + int64(c-'0')
	}
	return n
}

// readUIDList reads the whole list, calling each for every record in the order
// of the file. A missing file gives an empty list with no UIDVALIDITY. ErrDamaged means
// that no UID of the file can be trusted.
func readUIDList(d *dir, name string, each func(uidRecord)) (uidList, error) {
	data, st, err := d.readFile(name, maxUIDListSize)
	if errors.Is(err, fs.ErrNotExist) {
		return uidList{}, nil
	}
	if err != nil {
		return uidList{}, wrapSys("read", name, err)
	}
	l := uidList{stamp: st, persisted: true}
	end := bytes.IndexByte(data, '\n')
	if end < 0 {
		return uidList{}, fmt.Errorf("%s: line 1: the header has no end: %w", name, ErrDamaged)
	}
	version, err := l.parseHeader(string(data[:end]))
	if err != nil {
		return uidList{}, fmt.Errorf("%s: line 1: %w: %w", name, err, ErrDamaged)
	}
	l.untidy = version != 3 || l.guid == ""
	l.consumed, l.pop3 = int64(end+1), pop3None
	if err := l.parseRecords(data[end+1:], version, each); err != nil {
		return uidList{}, fmt.Errorf("%s: %w: %w", name, err, ErrDamaged)
	}
	return l, nil
}

func (h *uidHeader) parseHeader(line string) (version int, err error) {
	fields := strings.Split(line, " ")
	switch fields[0] {
	case "1":
		return 1, h.parseHeaderV1(fields)
	case "3":
	default:
		return 0, fmt.Errorf("version %q", fields[0])
	}
	for _, f := range fields[1:] {
		if f == "" {
			continue
		}
		if err := h.parseHeaderKey(f[0], f[1:]); err != nil {
			return 0, err
		}
	}
	if h.uidValidity == 0 || h.uidNext == 0 {
		return 0, errors.New("no UIDVALIDITY or no UIDNEXT")
	}
	return 3, nil
}

func (h *uidHeader) parseHeaderV1(fields []string) error {
	if len(fields) != 3 {
		return errors.New("not three fields")
	}
	v, err1 := strconv.ParseUint(fields[1], 10, 32)
	n, err2 := strconv.ParseUint(fields[2], 10, 32)
	if err1 != nil || err2 != nil || v == 0 || n == 0 {
		return errors.New("bad UIDVALIDITY or UIDNEXT")
	}
	h.uidValidity, h.uidNext = uint32(v), uint32(n)
	return nil
}

func (h *uidHeader) parseHeaderKey(key byte, value string) error {
	var err error
	var n uint64
	switch key {
	case 'V':
		n, err = strconv.ParseUint(value, 10, 32)
		h.uidValidity = uint32(n)
	case 'N':
		n, err = strconv.ParseUint(value, 10, 32)
		h.uidNext = uint32(n)
	case 'G':
		if raw, herr := hex.DecodeString(value); herr != nil || len(raw) != 16 {
			return fmt.Errorf("bad GUID %q", value)
		}
		h.guid = value
	case modSeqMarkKey:
		if n, perr := strconv.ParseUint(value, 10, 63); perr == nil {
			h.modSeqMark = n
		} else {
			h.others = append(h.others, string(key)+value)
		}
	default:
		h.others = append(h.others, string(key)+value)
	}
	if err != nil {
		return fmt.Errorf("bad number in key %c", key)
	}
	return nil
}

// parseRecords reads the whole lines of data.
func (l *uidList) parseRecords(data []byte, version int, each func(uidRecord)) error {
	text := string(data) // one copy; records share it
	for text != "" {
		end := strings.IndexByte(text, '\n')
		if end < 0 {
			l.untidy = true // torn: whoever appends must rewrite first
			return nil
		}
		r, err := parseRecord(text[:end], version)
		if err != nil {
			return fmt.Errorf("record %d: %w", l.lines+1, err)
		}
		text = text[end+1:]
		l.consumed += int64(end + 1)
		l.lines++
		if r.uid <= l.lastUID {
			l.untidy = true
		}
		l.lastUID = max(l.lastUID, r.uid)
		if r.ext != "" && l.pop3 != pop3Some && r.pop3() != (POP3Fields{}) {
			l.pop3 = pop3Some
		}
		each(r)
	}
	return nil
}

func parseRecord(line string, version int) (uidRecord, error) {
	digits, rest := leadingDigits(line)
	uid, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || uid == 0 || uid > maxUID || rest == "" || rest[0] != ' ' {
		return uidRecord{}, fmt.Errorf("bad UID in %.60q", line)
	}
	r := uidRecord{uid: uint32(uid)}
	if version == 1 {
		r.name = rest[1:]
	} else {
		ext, base, ok := strings.Cut(rest, " :")
		if !ok {
			return uidRecord{}, fmt.Errorf("no file name in %.60q", line)
		}
		r.ext, r.name = strings.TrimPrefix(ext, " "), base
	}
	r.name, r.base = fullBase(r.name), baseOf(r.name)
	if r.base == "" || strings.Contains(r.base, "/") {
		return uidRecord{}, fmt.Errorf("bad file name in %.60q", line)
	}
	return r, nil
}

// next is the next UID to be given.
func (l *uidList) next() uint32 { return max(l.uidNext, l.lastUID+1, 1) }

// readTail reads what others appended since. The caller holds the list's lock.
// replaced means that the file is another one now and must be read whole.
func (l *uidList) readTail(d *dir, each func(uidRecord)) (replaced bool, err error) {
	fi, err := d.stat(uidlistName)
	if errors.Is(err, fs.ErrNotExist) {
		return l.persisted, nil
	}
	if err != nil {
		return false, wrapSys("stat", uidlistName, err)
	}
	st := stampOf(fi)
	if !l.persisted || st.fileID != l.stamp.fileID || st.size < l.consumed {
		return true, nil
	}
	if st == l.stamp {
		return false, nil
	}
	f, err := d.open(uidlistName)
	if err != nil {
		return false, wrapSys("open", uidlistName, err)
	}
	defer f.Close()
	// Where no lock can be taken it may have been replaced in between.
	if fi, err = f.Stat(); err != nil {
		return false, wrapSys("stat", uidlistName, err)
	}
	if st = stampOf(fi); st.fileID != l.stamp.fileID || st.size < l.consumed {
		return true, nil
	}
	tail, err := io.ReadAll(io.NewSectionReader(f, l.consumed, maxUIDListSize))
	if err != nil {
		return false, wrapSys("read", uidlistName, err)
	}
	if err := l.parseRecords(tail, 3, each); err != nil {
		return true, nil // damaged: reading it whole tells what to do
	}
	l.stamp = st
	return false, nil
}

// appendRecords adds records at the end and syncs them. The caller holds the
// lock, has read the tail, and has seen that the list is tidy.
func (l *uidList) appendRecords(d *dir, recs []uidRecord) error {
	var b []byte
	for i := range recs {
		b = recs[i].append(b)
	}
	f, err := d.openAppend(uidlistName)
	if err != nil {
		return wrapSys("open", uidlistName, err)
	}
	st, err := writeSynced(f, b)
	if err != nil {
		// Part of it may be in the file: what follows must not be glued to it, and who reads without the lock may have seen
		// the UIDs.
		l.untidy, l.lastUID = true, max(l.lastUID, recs[len(recs)-1].uid)
		return wrapSys("write", uidlistName, err)
	}
	l.stamp = st
	l.consumed += int64(len(b))
	l.lines += len(recs)
	l.lastUID = recs[len(recs)-1].uid
	return nil
}

// listWriter builds the contents of a new list.
type listWriter struct {
	b     []byte
	lines int
}

// begin starts a new list, about size octets long. lastUID must be that of the last record to come.
func (l *uidList) begin(size int) *listWriter {
	if l.guid == "" {
		l.guid = newGUID()
	}
	l.uidNext = l.next()
	return &listWriter{b: append(make([]byte, 0, size+256), l.format()...)}
}

// add adds a record; they ascend.
func (w *listWriter) add(r *uidRecord) {
	w.b = r.append(w.b)
	w.lines++
}

// replace puts the new list in place of the file. The caller holds the lock.
func (l *uidList) replace(d *dir, w *listWriter) error {
	st, err := d.replaceFile(uidlistTemp, uidlistName, w.b)
	if err != nil {
		return wrapSys("write", uidlistName, err)
	}
	l.stamp, l.consumed, l.lines = st, int64(len(w.b)), w.lines
	if fi, err := d.stat(uidlistName); err == nil {
		l.stamp = stampOf(fi) // the rename changed the ctime
	}
	l.untidy, l.persisted = false, true
	return nil
}

func newGUID() string {
	var g [16]byte
	rand.Read(g[:])
	return hex.EncodeToString(g[:])
}

// POP3Fields are what the uid list notes about a message for POP3.
type POP3Fields struct {
	UIDL  string // replaces the configured form; "" if the list has none
	Order uint64 // messages with one come first, in its order; 0 if none
}

// POP3Fields reads the P and O fields of the uid list, by UID. An empty P means the base name.
func (f *Folder) POP3Fields() (map[uint32]POP3Fields, error) {
	f.mu.Lock()
	none := f.list.pop3 == pop3None
	f.mu.Unlock()
	if none {
		return nil, nil
	}
	out := make(map[uint32]POP3Fields)
	_, err := readUIDList(f.home, uidlistName, func(r uidRecord) {
		if p := r.pop3(); p != (POP3Fields{}) {
			out[r.uid] = p
		}
	})
	return out, err
}

func (r *uidRecord) pop3() (p POP3Fields) {
	if uidl, ok := r.field('P'); ok {
		if p.UIDL = uidl; uidl == "" {
			p.UIDL = r.name
		}
	}
	if o, ok := r.field('O'); ok {
		if n, err := strconv.ParseUint(o, 10, 32); err == nil {
			p.Order = n
		}
	}
	return p
}

// BaseName is what a POP3 client may know message i by.
func (s *Snapshot) BaseName(i int) string { c, r := s.at(i); return c.base(r) }

// readUIDListHeader reads the first line of the list alone.
func readUIDListHeader(d *dir) (h uidHeader, err error) {
	const maxHeader = 4096 // octets
	f, err := d.open(uidlistName)
	if err != nil {
		return h, err
	}
	defer f.Close()
	b := make([]byte, maxHeader)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return h, err
	}
	line, _, ok := bytes.Cut(b[:n], []byte{'\n'})
	if !ok {
		return h, fmt.Errorf("%s: line 1: the header has no end: %w", uidlistName, ErrDamaged)
	}
	_, err = h.parseHeader(string(line))
	return h, err
}
