package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"postroom/maildir"
)

// destination is a mailbox that messages are put into, by who may do so.
type destination struct {
	user   *User
	place  place
	folder *maildir.Folder
	rights Rights
}

func (u *User) destination(ctx context.Context, name string) (*destination, error) {
	p, err := u.existing(name)
	if err != nil {
		return nil, err
	}
	d := &destination{user: u, place: p}
	if d.rights, err = u.need(&p, Insert); err == nil {
		d.folder, err = p.tree.Open(ctx, p.name)
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return d, nil
}

func (d *destination) close() {
	d.folder.Close()
	d.place.close()
}

// AppendOptions say what an appended message is to be.
type AppendOptions struct {
	Flags    Flags // system flags
	Keywords []string
	Date     time.Time // INTERNALDATE; zero means now
}

// Appender takes a message's octets, with CRLF or LF line ends as they come. Not for
// concurrent use; it wants Commit or Abort.
type Appender struct {
	dest     *destination // nil after Commit or Abort
	delivery *maildir.Delivery
	seen     bool // the user's own \Seen, which is not the file's
}

// Append begins to store a message, for who may insert; nothing is in the mailbox before Commit. It gets those of
// the flags that the user may set there (RFC 4314 section 4).
func (u *User) Append(ctx context.Context, name string, opt AppendOptions) (*Appender, error) {
	dest, err := u.destination(ctx, name)
	if err != nil {
		return nil, err
	}
	opt.Flags &= flagsOf(dest.rights)
	if !dest.rights.Has(WriteFlags) {
		opt.Keywords = nil
	}
	own, err := dest.ownSeen()
	if err != nil {
		dest.close()
		return nil, err
	}
	seen := own && opt.Flags&Seen != 0
	if own {
		opt.Flags &^= Seen
	}
	d, err := dest.folder.NewDelivery(maildir.DeliveryOptions{Flags: opt.Flags, Keywords: opt.Keywords, Date: opt.Date})
	if err != nil {
		dest.close()
		return nil, err
	}
	return &Appender{dest: dest, delivery: d, seen: seen}, nil
}

// Write implements io.Writer.
func (a *Appender) Write(p []byte) (int, error) { return a.delivery.Write(p) }

// Abort drops what was written; after Commit it does nothing.
func (a *Appender) Abort() {
	if a.dest == nil {
		return
	}
	a.delivery.Abort()
	a.dest.close()
	a.dest = nil
}

// Commit makes all messages, of one mailbox, part of it, or none (RFC 3502),
// and returns when they are there for good. The UIDs are in the order of the appenders; there are none for who may
// not read the mailbox (RFC 4315 section 3). The right to insert is looked at once more.
func Commit(ctx context.Context, as ...*Appender) (uidValidity uint32, uids []uint32, err error) {
	defer func() {
		for _, a := range as {
			a.Abort()
		}
	}()
	ds := make([]*maildir.Delivery, len(as))
	for i, a := range as {
		ds[i] = a.delivery
	}
	dest := as[0].dest
	have, err := dest.user.need(&dest.place, Insert)
	if err == nil {
		uidValidity, uids, err = maildir.CommitDeliveries(ctx, ds...)
	}
	if err == nil {
		var seen []uint32
		for i, a := range as {
			if a.seen {
				seen = append(seen, uids[i])
			}
		}
		dest.markSeen(ctx, seen)
	}
	switch {
	case errors.Is(err, ErrGone):
		err = fmt.Errorf("%w: %w", ErrNoFolder, err)
	case err == nil && !have.Has(Read):
		return 0, nil, nil
	}
	return uidValidity, uids, err
}
