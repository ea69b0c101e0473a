package maildir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"postroom/internal/message"
)

// Message is an open message file. It reads the same octets however often the
// file is renamed meanwhile. Close it.
type Message struct {
	folder *Folder
	uid    uint32
	file   *os.File
	id     fileID
	size   int64
	date   time.Time
}

// Open opens a message for reading, finding it again if it was renamed. ErrExpunged if
// it is gone.
func (f *Folder) Open(ctx context.Context, uid uint32) (*Message, error) {
	for range locateTries {
		snap := f.Snapshot()
		i, ok := snap.Find(uid)
		if !ok {
			return nil, fmt.Errorf("UID %d: %w", uid, ErrExpunged)
		}
		c, r := snap.at(i)
		at := place{inCur, c.name(r)}
		if c.recs[r].flags&flagNew != 0 {
			at.dir = inNew
		}
		file, err := f.dirOf(at.dir).open(at.name)
		if err == nil {
			fi, err := file.Stat()
			if err != nil {
				file.Close()
				return nil, wrapSys("stat", at.name, err)
			}
			if !c.facts[r].seen(fi) {
				file.Close()
				if err := f.replaced(ctx, uid); err != nil {
					return nil, err
				}
				return nil, fmt.Errorf("UID %d: its file was changed: %w", uid, ErrExpunged)
			}
			return &Message{folder: f, uid: uid, file: file, id: stampOf(fi).fileID, size: fi.Size(), date: fi.ModTime()}, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, wrapSys("open", at.name, err)
		}
		if err := f.lookAgain(ctx); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("UID %d: %w: it keeps being renamed", uid, ErrBusy)
}

// seen notes a file's size and date. It is false when the size is not what it was: content is immutable, so
// this is another message now.
func (k *facts) seen(fi fs.FileInfo) bool {
	if old := k.disk.Swap(fi.Size() + 1); old != 0 && old != fi.Size()+1 {
		k.disk.Store(old)
		return false
	}
	k.date.Store(fi.ModTime().UnixNano())
	return true
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
	f.publishLocked()
	return err
}

// lookAgain is findAgainLocked for those who only read.
func (f *Folder) lookAgain(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.findAgainLocked(ctx); err != nil {
		return err
	}
	f.publishLocked()
	return nil
}

// ReadAt reads the file's octets as they are on disk.
func (m *Message) ReadAt(p []byte, off int64) (int, error) { return m.file.ReadAt(p, off) }

// Size is that of the file, in octets.
func (m *Message) Size() int64 { return m.size }

// Date is the message's INTERNALDATE.
func (m *Message) Date() time.Time { return m.date }

// Close closes the file.
func (m *Message) Close() error { return m.file.Close() }

// Structure gives what one pass over the message finds, from memory if it was
// parsed before.
func (m *Message) Structure() (*message.Message, error) {
	key := parsedKey{m.id, m.size, m.date.UnixNano()}
	if p := m.folder.store.parsed.get(key); p != nil {
		return p, nil
	}
	p, err := message.Parse(io.NewSectionReader(m.file, 0, m.size))
	if err != nil {
		return nil, wrapSys("read", m.file.Name(), err)
	}
	m.folder.store.parsed.put(key, p)
	m.folder.learnSize(m.uid, p.Size)
	return p, nil
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
	known := &c.facts[r]
	if d, s := known.date.Load(), known.size.Load(); d != 0 && (s != 0 || !wantSize) {
		return unixNano(d), s - 1, nil
	}
	name := c.name(r)
	dir := f.cur
	if c.recs[r].flags&flagNew != 0 {
		dir = f.new
	}
	if fi, err := dir.stat(name); err == nil && known.seen(fi) {
		s, w := sizeField(name, 'S'), sizeField(name, 'W')
		if w >= fi.Size() && (s < 0 || s == fi.Size()) {
			known.size.Store(w + 1)
		}
		if n := known.size.Load(); n != 0 || !wantSize {
			return fi.ModTime(), n - 1, nil
		}
	}
	m, err := f.Open(ctx, uid)
	if err != nil {
		return time.Time{}, 0, err
	}
	defer m.Close()
	if !wantSize {
		return m.Date(), -1, nil
	}
	p, err := m.Structure()
	if err != nil {
		return time.Time{}, 0, err
	}
	return m.Date(), p.Size, nil
}

// learnSize keeps a size that parsing found.
func (f *Folder) learnSize(uid uint32, size int64) {
	snap := f.Snapshot()
	if i, ok := snap.Find(uid); ok {
		c, r := snap.at(i)
		c.facts[r].size.Store(size + 1)
	}
}
