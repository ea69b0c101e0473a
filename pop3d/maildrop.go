package pop3d

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"postroom/internal/account"
)

// maildrop is INBOX as one session sees it. Messages are numbered from 0 here;
// clients count from 1.
type maildrop struct {
	box   *account.Mailbox
	snap  *account.Snapshot
	order []int   // place in the snapshot of each number; nil: the same
	sizes []int64 // in octets with CRLF; -1: not asked for yet
	marks []bool  // by DELE; nil: none
	dele  int     // how many marks are set
}

// openMaildrop takes the snapshot for the session's life. Read-only: that moves
// nothing and sets no flags.
func openMaildrop(ctx context.Context, user *account.User) (*maildrop, error) {
	box, err := user.Select(ctx, "INBOX", true)
	if err != nil {
		return nil, err
	}
	snap, err := box.Sync(ctx)
	if err != nil {
		box.Close()
		return nil, err
	}
	order := box.POP3Order(snap)
	if slices.IsSorted(order) { // then it is the snapshot's own
		order = nil
	}
	return &maildrop{box: box, snap: snap, order: order}, nil
}

func (d *maildrop) close() { d.box.Close() }

// mayRead tells whether the user may still read the mail: the ACL may have changed.
func (d *maildrop) mayRead() error {
	_, err := d.box.Refresh()
	return err
}

func (d *maildrop) len() int { return d.snap.Len() }

// index is the place in the snapshot of message n.
func (d *maildrop) index(n int) int {
	if d.order == nil {
		return n
	}
	return d.order[n]
}

// size of message n as RETR sends it, but for dots that are doubled. Sizes are
// not asked for before a client does: most that keep mail on the server only
// want UIDL. A message that is gone has none.
func (d *maildrop) size(ctx context.Context, n int) (int64, error) {
	if d.sizes == nil {
		d.sizes = make([]int64, d.len())
		for i := range d.sizes {
			d.sizes[i] = -1
		}
	}
	if d.sizes[n] >= 0 {
		return d.sizes[n], nil
	}
	_, size, err := d.box.Info(ctx, d.snap, d.index(n))
	if errors.Is(err, account.ErrExpunged) {
		size, err = 0, nil
	}
	if err != nil {
		return 0, err
	}
	d.sizes[n] = size
	return size, nil
}

// noSize makes the size of a message known as zero.
func (d *maildrop) noSize(n int) { d.sizes[n] = 0 }

// uidl of message n. One that the uid list notes, or that is a file's name, may
// hold octets that RFC 1939 section 7 does not allow; they go out as Courier
// writes them.
func (d *maildrop) uidl(n int) string {
	id := d.box.UIDL(d.snap, d.index(n))
	if !strings.ContainsFunc(id, notInUIDL) {
		return id
	}
	var out strings.Builder
	for i := range len(id) {
		if c := id[i]; notInUIDL(rune(c)) {
			fmt.Fprintf(&out, "+%02X", c)
		} else {
			out.WriteByte(c)
		}
	}
	return out.String()
}

func notInUIDL(r rune) bool { return r < 0x21 || r > 0x7e }

func (d *maildrop) open(ctx context.Context, n int) (*account.Message, error) {
	return d.box.Message(ctx, d.snap, d.index(n))
}

func (d *maildrop) marked(n int) bool { return d.marks != nil && d.marks[n] }

// deleted is how many messages are marked.
func (d *maildrop) deleted() int { return d.dele }

// left is how many are not.
func (d *maildrop) left() int { return d.len() - d.dele }

func (d *maildrop) mark(n int) {
	if d.marks == nil {
		d.marks = make([]bool, d.len())
	}
	if !d.marks[n] {
		d.marks[n] = true
		d.dele++
	}
}

func (d *maildrop) unmark() { d.marks, d.dele = nil, 0 }

// remove removes the marked messages for good, by UID: what became of the
// mailbox since the snapshot does not change which ones they are. It gives how
// many of them are not there any more, which with an error may be some.
func (d *maildrop) remove(ctx context.Context) (int, error) {
	uids := make([]uint32, 0, d.dele)
	for n, marked := range d.marks {
		if marked {
			uids = append(uids, d.snap.UID(d.index(n)))
		}
	}
	slices.Sort(uids)
	err := d.box.Remove(ctx, uids)
	if err == nil {
		return len(uids), nil
	}
	left, gone := d.box.Current(), 0
	for _, uid := range uids {
		if _, there := left.Find(uid); !there {
			gone++
		}
	}
	return gone, err
}
