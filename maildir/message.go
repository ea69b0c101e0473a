package maildir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"postroom/internal/message"
)

// Message is an open message file. It reads the same octets however often the
// file is renamed meanwhile. Close it. It is not for concurrent use.
type Message struct {
	dev  uint64
	key  cacheKey
	fd   int     // -1 when all of it is in text
	text []byte  // the whole file, if it is small; else nil
	hold *[]byte // text's, from texts
}

// maxText is how large a file may be to be read whole when it is opened.
const maxText = 128 << 10

var texts = sync.Pool{New: func() any { b := make([]byte, maxText); return &b }}

// Open opens a message for reading, finding it again if it was renamed. ErrExpunged if
// it is gone.
func (f *Folder) Open(ctx context.Context, uid uint32) (*Message, error) {
	m := new(Message)
	if err := f.open(ctx, m, uid); err != nil {
		return nil, err
	}
	return m, nil
}

func (f *Folder) open(ctx context.Context, m *Message, uid uint32) error {
	for range locateTries {
		snap := f.Snapshot()
		i, ok := snap.Find(uid)
		if !ok {
			return fmt.Errorf("UID %d: %w", uid, ErrExpunged)
		}
		c, r := snap.at(i)
		at := c.place(r)
		var st unix.Stat_t
		fd, err := f.dirOf(at.dir).openMessage(at.name, &st)
		if err == nil {
			if !c.learn(r, &st) {
				closeMessage(fd)
				if err := f.replaced(ctx, uid); err != nil {
					return err
				}
				return fmt.Errorf("UID %d: its file was changed: %w", uid, ErrExpunged)
			}
			m.begin(fd, &st)
			return nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return wrapSys("open", at.name, err)
		}
		if err := f.lookAgain(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("UID %d: %w: it keeps being renamed", uid, ErrBusy)
}

// keyOf names a file's content.
func keyOf(st *unix.Stat_t) cacheKey {
	return cacheKey{ino: st.Ino, disk: st.Size, mtime: st.Mtim.Nano()}
}

// key gives what is known of a message's file; ok is false where something is missing.
func (k *facts) key() (key cacheKey, ok bool) {
	key = cacheKey{ino: k.ino.Load(), disk: k.disk.Load() - 1, mtime: k.date.Load()}
	return key, key.ino != 0 && key.disk >= 0 && key.mtime != 0
}

// doubt forgets which file it was: the name may lead to another now, one that was restored. The size is kept, for
// a file of another size is another message.
func (k *facts) doubt() {
	k.ino.Store(0)
	k.date.Store(0)
	k.sent.Store(0)
}

// learnSent notes the day of the Date field that a file of that key has.
func (k *facts) learnSent(key cacheKey, day int32) {
	k.sent.Store(int64(day) + sentKnown)
	if now, _ := k.key(); now != key {
		k.sent.Store(0) // another file has come meanwhile
	}
}

// sentDay gives it, if it is known.
func (k *facts) sentDay() (int32, bool) {
	n := k.sent.Load()
	return int32(n - sentKnown), n != 0
}

// learn notes what a file is like. It is false when the size is not what it was: content is immutable, so
// this is another message now.
func (c *records) learn(i int, st *unix.Stat_t) bool {
	k, now := &c.facts[i], keyOf(st)
	old, known := k.key()
	if known && old == now {
		return true
	}
	if old.disk >= 0 && old.disk != now.disk {
		return false
	}
	k.disk.Store(now.disk + 1)
	k.date.Store(now.mtime)
	k.ino.Store(now.ino)
	k.sent.Store(0)
	c.learnt.Store(true)
	return true
}

// learnSize notes a size with CRLF line ends.
func (c *records) learnSize(i int, size int64) {
	if k := &c.facts[i]; k.size.Load() != size+1 {
		k.size.Store(size + 1)
		c.learnt.Store(true)
	}
}

// replaced expunges a message whose content was replaced under its name; the file is a new message.
func (f *Folder) replaced(ctx context.Context, uid uint32) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	ci, ri, ok := f.state.locate(uid)
	if !ok {
		return nil
	}
	at := f.currentPlace(ci, ri)
	f.log.Warn("a message's file has another size than before; it is a new message", "uid", uid, "name", at.name)
	f.dropLocked([]uint32{uid})
	f.fresh[baseOf(at.name)] = &presence{places: []place{at}}
	err := f.assignLocked(ctx, false)
	f.tellLocked(false)
	return err
}

// lookAgain is findAgainLocked for those who only read.
func (f *Folder) lookAgain(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.findAgainLocked(ctx); err != nil {
		return err
	}
	f.tellLocked(false)
	return nil
}

// begin takes over an open file; a small one is read and closed at once.
func (m *Message) begin(fd int, st *unix.Stat_t) {
	*m = Message{dev: st.Dev, key: keyOf(st), fd: fd, hold: m.hold}
	if st.Size > maxText {
		return
	}
	if m.hold == nil {
		m.hold = texts.Get().(*[]byte)
	}
	text := (*m.hold)[:st.Size]
	if _, err := readMessage(fd, text, 0); err != nil {
		return // whoever reads on meets the failure
	}
	m.text = text
	closeMessage(fd)
	m.fd = -1
}

// Text is the whole file if it is small, else nil. It is valid until Close.
func (m *Message) Text() []byte { return m.text }

// ReadAt reads the file's octets as they are on disk.
func (m *Message) ReadAt(p []byte, off int64) (int, error) {
	if m.text == nil {
		return readMessage(m.fd, p, off)
	}
	if off < 0 || off > int64(len(m.text)) {
		return 0, io.EOF
	}
	n := copy(p, m.text[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Size is that of the file, in octets.
func (m *Message) Size() int64 { return m.key.disk }

// Date is the message's INTERNALDATE.
func (m *Message) Date() time.Time { return unixNano(m.key.mtime) }

// Close closes the file.
func (m *Message) Close() error {
	if m.fd >= 0 {
		closeMessage(m.fd)
	}
	if m.hold != nil {
		texts.Put(m.hold)
	}
	*m = Message{fd: -1}
	return nil
}

// wireSize counts the octets with CRLF line ends.
func (m *Message) wireSize() (int64, error) {
	if m.text != nil {
		return message.WireSize(m.text), nil
	}
	p, err := message.Parse(io.NewSectionReader(m, 0, m.key.disk))
	if err != nil {
		return 0, wrapSys("read", "a message", err)
	}
	return p.Size, nil
}

// Info gives a message's INTERNALDATE and its RFC822.SIZE, the octets with
// CRLF line ends. The file is opened only if nothing else tells them.
func (f *Folder) Info(ctx context.Context, uid uint32, wantSize bool) (date time.Time, size int64, err error) {
	snap := f.Snapshot()
	i, ok := snap.Find(uid)
	if !ok {
		return time.Time{}, 0, fmt.Errorf("UID %d: %w", uid, ErrExpunged)
	}
	c, r := snap.at(i)
	if k := &c.facts[r]; k.date.Load() != 0 && (!wantSize || k.size.Load() != 0) {
		return unixNano(k.date.Load()), k.size.Load() - 1, nil
	}
	rd := f.NewReading(ctx)
	defer rd.Close()
	rd.Seek(snap, i)
	size = -1
	if wantSize {
		if size, err = rd.Size(); err != nil {
			return time.Time{}, 0, err
		}
	}
	date, err = rd.Date()
	return date, size, err
}
