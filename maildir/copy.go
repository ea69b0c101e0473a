package maildir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Copied pairs the UIDs of a COPY or MOVE.
type Copied struct {
	UIDValidity uint32 // of the destination
	From, To    []uint32
	Missing     []uint32 // of those asked for, gone meanwhile
}

// CopyOptions say what copies take along. The zero value is for folders of one owner: files are shared, and flags and
// keywords stay as they are.
type CopyOptions struct {
	// Octets makes files of their own: of one file with names in the trees of two owners each could alter the other's mail.
	Octets bool
	// Flags gives the flags of a copy for those of the message in its folder, where \Seen is what all share; nil leaves them. The
	// copier may see others, or have no right to set some. It is called under locks: it must not wait, nor call a folder.
	Flags func(uid uint32, now Flags) Flags
	// DropKeywords copies none.
	DropKeywords bool
}

// errNotLinked: a source cannot be linked by the name its snapshot has.
var errNotLinked = errors.New("not linked")

// CopyTo copies messages, UIDs ascending, to dest: all that are there, or none.
// Each gets a base name of its own. Files are hard-linked if that is wanted and the file
// system can; else their octets are copied.
//
// The sources are linked straight into place while dest's locks are held. A
// source that others have just renamed cannot be looked for under those locks, since that takes the
// source folder's: then all are put into dest's tmp/ first.
func (f *Folder) CopyTo(ctx context.Context, uids []uint32, dest *Folder, opt CopyOptions) (Copied, error) {
	if err := dest.acceptsMail(); err != nil {
		return Copied{}, err
	}
	if !opt.Octets {
		res, err := f.copyLinked(ctx, uids, dest, opt)
		if !errors.Is(err, errNotLinked) {
			return res, err
		}
	}
	return f.copyStaged(ctx, uids, dest, opt)
}

func (f *Folder) copyLinked(ctx context.Context, uids []uint32, dest *Folder, opt CopyOptions) (res Copied, err error) {
	snap := f.Snapshot()
	in := make([]incoming, 0, len(uids))
	for _, uid := range uids {
		i, ok := snap.Find(uid)
		if !ok {
			res.Missing = append(res.Missing, uid)
			continue
		}
		from, name := f.at(snap, i)
		m := opt.copyOf(snap, i)
		c, r := snap.at(i)
		m.facts = &c.facts[r]
		m.place = func(to place) error {
			if err := from.linkTo(name, dest.dirOf(to.dir), to.name); err != nil {
				return fmt.Errorf("%w: %w", errNotLinked, err)
			}
			return nil
		}
		in = append(in, m)
		res.From = append(res.From, uid)
	}
	return f.finishCopy(ctx, dest, in, res)
}

func (f *Folder) finishCopy(ctx context.Context, dest *Folder, in []incoming, res Copied) (Copied, error) {
	if len(in) > 0 {
		err := dest.bulk(len(in), func() (err error) {
			res.To, err = dest.addAll(ctx, in)
			return err
		})
		if err != nil {
			return Copied{}, err
		}
	}
	res.UIDValidity = dest.Snapshot().uidValidity
	return res, nil
}

// at gives the directory and the name of message i.
func (f *Folder) at(snap *Snapshot, i int) (*dir, string) {
	c, r := snap.at(i)
	if c.recs[r].flags&flagNew != 0 {
		return f.new, c.name(r)
	}
	return f.cur, c.name(r)
}

// copyOf describes the copy of a message, but for how it gets there.
func (o *CopyOptions) copyOf(snap *Snapshot, i int) incoming {
	c, r := snap.at(i)
	m := incoming{flags: snap.Flags(i), sizes: sizesOf(c.name(r)), virtual: c.facts[r].size.Load() - 1}
	if o.Flags != nil {
		m.flags = o.Flags(snap.UID(i), m.flags) & System
	}
	if !o.DropKeywords {
		m.keywords = snap.Keywords(i)
	}
	return m
}

// sizesOf gives the size fields of a name, for another name of the same content.
func sizesOf(name string) string {
	sizes := ""
	if s := sizeField(name, 'S'); s >= 0 {
		sizes = ",S=" + strconv.FormatInt(s, 10)
	}
	if w := sizeField(name, 'W'); w >= 0 {
		sizes += ",W=" + strconv.FormatInt(w, 10)
	}
	return sizes
}

func (f *Folder) copyStaged(ctx context.Context, uids []uint32, dest *Folder, opt CopyOptions) (res Copied, err error) {
	var in []incoming
	var temps []string
	defer func() {
		for _, t := range temps {
			dest.tmp.remove(t) // gone already when all went well
		}
	}()
	for _, uid := range uids {
		temp := f.store.names.mint()
		err := f.stage(ctx, uid, dest, temp, opt)
		if errors.Is(err, ErrExpunged) {
			res.Missing = append(res.Missing, uid)
			continue
		}
		if err != nil {
			return Copied{}, err
		}
		temps = append(temps, temp)
		snap := f.Snapshot()
		i, ok := snap.Find(uid)
		if !ok {
			res.Missing = append(res.Missing, uid)
			continue
		}
		m := opt.copyOf(snap, i)
		m.place = func(to place) error { return dest.tmp.moveTo(temp, dest.dirOf(to.dir), to.name) }
		in = append(in, m)
		res.From = append(res.From, uid)
	}
	return f.finishCopy(ctx, dest, in, res)
}

// stage puts a copy of a message into dest's tmp/, durably.
func (f *Folder) stage(ctx context.Context, uid uint32, dest *Folder, temp string, opt CopyOptions) error {
	m, err := f.Open(ctx, uid)
	if err != nil {
		return err
	}
	defer m.Close()
	snap := f.Snapshot()
	if i, ok := snap.Find(uid); ok && !opt.Octets {
		if from, name := f.at(snap, i); from.linkTo(name, dest.tmp, temp) == nil {
			return nil
		}
	}
	w, err := dest.tmp.create(temp, dest.home.filePerm())
	if err != nil {
		return wrapSys("create", "tmp/"+temp, err)
	}
	_, err = io.Copy(w, io.NewSectionReader(m, 0, m.Size()))
	if err == nil {
		err = dest.tmp.setTimes(temp, m.Date())
	}
	if err == nil {
		err = w.Sync()
	}
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		dest.tmp.remove(temp)
	}
	return wrapSys("copy", "tmp/"+temp, err)
}
