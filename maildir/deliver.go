package maildir

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"time"
)

// Delivery is a message on its way into a folder. Its octets go to a file in
// tmp/, CRLF line ends turned into LF as everything that reads Maildirs
// expects; Commit makes it a message. Not for concurrent use.
type Delivery struct {
	folder *Folder
	file   *os.File
	buf    *bufio.Writer
	temp   string
	opt    DeliveryOptions

	stored  int64 // octets in the file
	virtual int64 // octets with CRLF line ends
	cr      bool  // a CR is held back: the next octet tells whether it is half a line end
	err     error
}

// DeliveryOptions say what a new message is to be.
type DeliveryOptions struct {
	Flags    Flags
	Keywords []string
	Date     time.Time // INTERNALDATE; zero means now
}

const deliveryBuffer = 32 << 10

// NewDelivery begins a message; nothing is in the folder before Commit.
func (f *Folder) NewDelivery(opt DeliveryOptions) (*Delivery, error) {
	for _, k := range opt.Keywords {
		if !validKeyword(k) {
			return nil, fmt.Errorf("keyword %q: %w", k, ErrCannot)
		}
	}
	if err := f.acceptsMail(); err != nil {
		return nil, err
	}
	if opt.Date.IsZero() {
		opt.Date = f.store.opt.Clock()
	}
	temp := f.store.names.mint()
	file, err := f.tmp.create(temp, f.home.filePerm())
	if err != nil {
		return nil, wrapSys("create", "tmp/"+temp, err)
	}
	return &Delivery{folder: f, file: file, buf: bufio.NewWriterSize(file, deliveryBuffer), temp: temp, opt: opt}, nil
}

// acceptsMail tells why no message can come into the folder, nil if one can.
func (f *Folder) acceptsMail() error {
	switch s := f.Snapshot(); {
	case s.gone:
		return ErrGone
	case !s.writable:
		return fmt.Errorf("%s: %w", f.name, ErrReadOnly)
	}
	return nil
}

// Write takes octets of the message, with either kind of line end.
func (d *Delivery) Write(p []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	start := 0
	for i, c := range p {
		if d.cr {
			d.cr = false
			if c != '\n' {
				d.emit([]byte{'\r'})
				d.virtual++
			}
		}
		switch c {
		case '\r':
			d.emit(p[start:i])
			d.virtual += int64(i - start)
			start, d.cr = i+1, true
		case '\n':
			d.virtual++ // its CR
		}
	}
	d.emit(p[start:])
	d.virtual += int64(len(p) - start)
	if d.err != nil {
		return 0, d.err
	}
	return len(p), nil
}

func (d *Delivery) emit(p []byte) {
	if d.err != nil || len(p) == 0 {
		return
	}
	n, err := d.buf.Write(p)
	d.stored += int64(n)
	d.err = wrapSys("write", "tmp/"+d.temp, err)
}

// finish gives the file the rest of its content, and its date.
func (d *Delivery) finish() error {
	if d.cr {
		d.cr = false
		d.emit([]byte{'\r'})
		d.virtual++
	}
	if d.err == nil {
		d.err = wrapSys("write", "tmp/"+d.temp, d.buf.Flush())
	}
	if d.err == nil {
		d.err = wrapSys("set date of", "tmp/"+d.temp, d.folder.tmp.setTimes(d.temp, d.opt.Date))
	}
	return d.err
}

// sync makes content and date durable.
func (d *Delivery) sync() error {
	d.err = wrapSys("sync", "tmp/"+d.temp, d.file.Sync())
	if err := d.file.Close(); d.err == nil {
		d.err = wrapSys("close", "tmp/"+d.temp, err)
	}
	d.file = nil
	return d.err
}

// finishAll finishes deliveries durably. The system is told to write all files before the first is
// waited for: then a journal needs few commits for many files, and not one for each.
func finishAll(ds []*Delivery) error {
	for _, d := range ds {
		if err := d.finish(); err != nil {
			return err
		}
		if len(ds) > 1 {
			startWriting(d.file)
		}
	}
	for _, d := range ds {
		if err := d.sync(); err != nil {
			return err
		}
	}
	return nil
}

// Abort drops the message. After Commit it does nothing.
func (d *Delivery) Abort() {
	if d.file != nil {
		d.file.Close()
		d.file = nil
	}
	if d.temp != "" {
		d.folder.tmp.remove(d.temp)
		d.temp = ""
	}
}

// incoming is a file that is about to become a message of a folder.
type incoming struct {
	place    func(to place) error // puts the file there; it must not exist yet
	withdraw func(now place)      // takes it back from there; nil: it is removed
	facts    *facts               // what is known of the file; nil: nothing
	flags    Flags
	keywords []string
	sizes    string // ",S=..,W=.." or what is known of it
	virtual  int64  // octets with CRLF line ends; -1 unknown
	inNew    bool   // without flags: it goes to new/, as if delivered
}

// CommitDeliveries makes all messages part of their one folder, or none, and
// returns when bytes, names and UIDs are on disk. The UIDs ascend.
func CommitDeliveries(ctx context.Context, ds ...*Delivery) (uidValidity uint32, uids []uint32, err error) {
	defer func() {
		for _, d := range ds {
			d.Abort() // what was committed has no temporary file any more
		}
	}()
	if len(ds) == 0 {
		return 0, nil, nil
	}
	if err := finishAll(ds); err != nil {
		return 0, nil, err
	}
	f := ds[0].folder
	in := make([]incoming, len(ds))
	for i, d := range ds {
		in[i] = incoming{
			place: func(to place) error {
				err := f.tmp.moveTo(d.temp, f.dirOf(to.dir), to.name)
				if err == nil {
					d.temp = ""
				}
				return err
			},
			flags: d.opt.Flags & System, keywords: d.opt.Keywords,
			sizes:   ",S=" + strconv.FormatInt(d.stored, 10) + ",W=" + strconv.FormatInt(d.virtual, 10),
			virtual: d.virtual,
			inNew:   d.opt.Flags&System == 0 && len(d.opt.Keywords) == 0,
		}
	}
	uids, err = f.addAll(ctx, in)
	return f.Snapshot().uidValidity, uids, err
}

// addAll makes files messages of the folder: all of them, durably, or none.
func (f *Folder) addAll(ctx context.Context, in []incoming) (uids []uint32, err error) {
	err = f.changeLocked(ctx, func() error {
		uids, err = f.addAllLocked(ctx, in, nil)
		return err
	})
	return uids, err
}

// addAllLocked is addAll under the locks. alsoSync, if not nil, syncs what must be durable besides before there are UIDs.
func (f *Folder) addAllLocked(ctx context.Context, in []incoming, alsoSync func() error) (uids []uint32, err error) {
	if err := f.listWritable(); err != nil {
		return nil, err
	}
	if err := f.assignLocked(ctx, true); err != nil { // who was there before goes before
		return nil, err
	}
	if uint64(f.list.next())+uint64(len(in)) > maxUID {
		return nil, fmt.Errorf("UIDs are used up: %w", ErrTooMany)
	}
	placed := make([]place, 0, len(in))
	recs := make([]uidRecord, 0, len(in))
	defer func() {
		if err != nil {
			for i, p := range placed { // never acknowledged: withdraw
				if in[i].withdraw != nil {
					in[i].withdraw(p)
				} else if f.dirOf(p.dir).remove(p.name) == nil {
					f.expectLocked(p.dir, p.name, false)
				} else {
					f.dirty = true // it is there after all; no event tells, as its coming was expected
				}
			}
		}
	}()
	next := f.list.next()
	flags := make([]Flags, len(in))
	names, more, err := f.nameAllLocked(ctx, in, flags)
	if err != nil {
		return nil, err
	}
	for i, m := range in {
		base := names[i]
		to := place{inCur, withFlags(base, flags[i])}
		if m.inNew {
			to = place{inNew, base}
		}
		if err := m.place(to); err != nil {
			return nil, wrapSys("store", to.name, err)
		}
		f.expectLocked(to.dir, to.name, true)
		placed = append(placed, to)
		recs = append(recs, uidRecord{uid: next + uint32(i), base: base, name: base})
	}
	if err := f.syncPlaces(placed); err != nil {
		return nil, err
	}
	if alsoSync != nil {
		if err := alsoSync(); err != nil {
			return nil, err
		}
	}
	if err := f.recordLocked(recs); err != nil {
		return nil, err
	}
	for i, r := range recs {
		m := newMessage{uid: r.uid, name: placed[i].name, flags: flags[i], size: in[i].virtual}
		if placed[i].dir == inNew {
			m.flags |= flagNew
		}
		if more != nil {
			m.extra = more[i]
		}
		if k := in[i].facts; k != nil {
			m.date, m.disk, m.ino = k.date.Load(), k.disk.Load(), k.ino.Load()
		}
		f.addLocked(m)
		uids = append(uids, r.uid)
	}
	return uids, nil
}

// nameAllLocked gives each message its base name and its flags, and makes durable which
// keywords they have that no letter tells: more, nil if none has any.
func (f *Folder) nameAllLocked(ctx context.Context, in []incoming, flags []Flags) (names []string, more [][]string, err error) {
	names = make([]string, len(in))
	var lines []byte
	count := 0
	for i, m := range in {
		names[i] = f.store.names.mint() + m.sizes
		flags[i] = m.flags
		if len(m.keywords) == 0 {
			continue
		}
		// A keyword for which there is no room must not keep the message out.
		w, err := f.wordsLocked(ctx, m.keywords, wordsFit)
		if err != nil {
			return nil, nil, err
		}
		flags[i] |= w.letters
		if len(w.more) == 0 {
			continue
		}
		if more == nil {
			more = make([][]string, len(in))
		}
		more[i] = w.more[:min(len(w.more), maxMoreOfMessage)]
		lines = appendMoreLine(lines, more[i], names[i])
		count++
	}
	if count == 0 {
		return names, nil, nil
	}
	if err = f.writeMoreLocked(lines, count); err == nil {
		err = f.syncMore()
		f.more.broken = f.more.broken || err != nil
	}
	return names, more, err
}
