package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"postroom/maildir"
)

// Forms of POP3 unique-ids.
const (
	uidlDovecot = "dovecot" // 8 hex digits of the UID, 8 of the UIDVALIDITY
	uidlCourier = "courier" // UID<uid>-<uidvalidity>
)

// Mailbox is a mailbox selected by one session. It is not for concurrent use,
// but for Notify. Close does not expunge.
type Mailbox struct {
	user     *User
	folder   *maildir.Folder
	name     string
	readOnly bool
	pop3     map[uint32]maildir.POP3Fields // read when first asked for
}

// Select opens a mailbox. readOnly is EXAMINE's and POP3's way: nothing is changed.
func (u *User) Select(ctx context.Context, name string, readOnly bool) (*Mailbox, error) {
	name = u.canonical(name)
	f, err := u.tree.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	return &Mailbox{user: u, folder: f, name: name, readOnly: readOnly}, nil
}

// Name is the mailbox's name when it was selected.
func (m *Mailbox) Name() string { return m.name }

// ReadOnly tells whether this session cannot change the mailbox.
func (m *Mailbox) ReadOnly() bool { return m.readOnly || !m.folder.Snapshot().Writable() }

// Close ends the session's use of the mailbox.
func (m *Mailbox) Close() { m.folder.Close() }

// Current is the newest snapshot; it costs nothing.
func (m *Mailbox) Current() *Snapshot { return m.folder.Snapshot() }

// Sync gives a snapshot that holds what other programs did before the call.
// ErrGone when the mailbox was deleted, renamed or replaced.
func (m *Mailbox) Sync(ctx context.Context) (*Snapshot, error) { return m.folder.Sync(ctx) }

// Notify calls tell after each new snapshot that has something to tell, and when the mailbox is gone. tell is
// called by other goroutines, and must not wait nor call the mailbox. early is for sessions that
// tell of messages before they have UIDs: Snapshot.Arriving. New messages are claimed for a session
// that may change the mailbox, as by ClaimRecent. The Subscriber must be cancelled before Close.
func (m *Mailbox) Notify(tell func(), early bool) *Subscriber {
	return m.folder.Subscribe(maildir.Interest{Tell: tell, Early: early, Claims: !m.ReadOnly()})
}

// Settled waits until no message is announced that has no UID yet, and gives the snapshot of that moment.
func (m *Mailbox) Settled() *Snapshot { return m.folder.Settled() }

// Gone tells whether the mailbox was deleted, renamed or replaced.
func (m *Mailbox) Gone() bool { return m.folder.Snapshot().Gone() }

// TellModSeqs must be called before a client is told a MODSEQ of this mailbox.
// ErrReadOnly and ErrNoSpace mean that it can be told none: NOMODSEQ.
func (m *Mailbox) TellModSeqs(ctx context.Context) error {
	if !m.folder.Snapshot().Writable() {
		return fmt.Errorf("%s: %w", m.name, ErrReadOnly)
	}
	return m.folder.TellModSeqs(ctx)
}

// ClaimRecent moves the messages of s that still lie in new/ to cur/ and gives
// the UIDs, ascending, that this session is the one to show as \Recent. For a
// read-only session it moves nothing.
func (m *Mailbox) ClaimRecent(ctx context.Context, s *Snapshot) ([]uint32, error) {
	if m.ReadOnly() {
		return s.NewUIDs(), nil
	}
	return m.folder.ClaimNew(ctx, s.UIDNext())
}

// PermanentFlags tells which system flags can be stored for good, and whether
// new keywords can be made.
func (m *Mailbox) PermanentFlags() (system Flags, keywords bool) {
	if m.ReadOnly() {
		return 0, false
	}
	return maildir.System, m.folder.Snapshot().CanAddKeyword()
}

func (m *Mailbox) writable() error {
	if m.readOnly {
		return fmt.Errorf("%s is open read-only: %w", m.name, ErrReadOnly)
	}
	return nil
}

// Store changes flags of the given UIDs, ascending.
func (m *Mailbox) Store(ctx context.Context, uids []uint32, c Change) (StoreResult, error) {
	if err := m.writable(); err != nil {
		return StoreResult{Snapshot: m.Current()}, err
	}
	return m.folder.Store(ctx, uids, c)
}

// Copy copies all of the UIDs that are there, or none.
func (m *Mailbox) Copy(ctx context.Context, uids []uint32, dest string) (Copied, error) {
	d, err := m.user.tree.Open(ctx, m.user.canonical(dest))
	if err != nil {
		return Copied{}, err
	}
	defer d.Close()
	c, err := m.folder.CopyTo(ctx, uids, d, true)
	if errors.Is(err, ErrGone) && !m.Gone() { // the destination, not the selected mailbox
		err = fmt.Errorf("%q: %w", dest, ErrNoFolder)
	}
	return c, err
}

// Move copies and then expunges what was copied (RFC 6851).
func (m *Mailbox) Move(ctx context.Context, uids []uint32, dest string) (Copied, error) {
	if err := m.writable(); err != nil {
		return Copied{}, err
	}
	if !m.Current().Writable() {
		return Copied{}, fmt.Errorf("%s: %w", m.name, ErrReadOnly)
	}
	c, err := m.Copy(ctx, uids, dest)
	if err != nil {
		return Copied{}, err
	}
	_, err = m.folder.Expunge(ctx, c.From, false)
	return c, err
}

// Expunge removes messages that have \Deleted: all of them if uids is nil,
// else those among uids, ascending. The snapshot it gives lacks them.
func (m *Mailbox) Expunge(ctx context.Context, uids []uint32) (*Snapshot, error) {
	if err := m.writable(); err != nil {
		return m.Current(), err
	}
	if uids == nil {
		snap := m.Current()
		if snap.Deleted() == 0 {
			return snap, nil
		}
		for i := range snap.Len() {
			if snap.Flags(i)&Deleted != 0 {
				uids = append(uids, snap.UID(i))
			}
		}
	}
	return m.folder.Expunge(ctx, uids, true)
}

// Remove expunges the UIDs, ascending, whatever their flags: POP3's QUIT. It works on a mailbox that was
// selected read-only, which for POP3 says that flags and places stay as they are.
func (m *Mailbox) Remove(ctx context.Context, uids []uint32) error {
	_, err := m.folder.Expunge(ctx, uids, false)
	return err
}

// ExpungedSince lists UIDs expunged after modSeq, ascending; ok is false when
// the history does not reach back that far: then every UID that s lacks counts as expunged.
func (m *Mailbox) ExpungedSince(s *Snapshot, modSeq uint64) (uids []uint32, ok bool) {
	uids, ok = m.folder.ExpungedSince(modSeq)
	// What has been expunged since s is not this answer's to tell.
	return slices.DeleteFunc(uids, func(u uint32) bool { _, there := s.Find(u); return there }), ok
}

// Message opens message i of s, found again if it was renamed since; ErrExpunged
// if it is gone.
func (m *Mailbox) Message(ctx context.Context, s *Snapshot, i int) (*Message, error) {
	return m.folder.Open(ctx, s.UID(i))
}

// Info gives INTERNALDATE and RFC822.SIZE of message i of s; the file is read
// only if nothing else tells its size.
func (m *Mailbox) Info(ctx context.Context, s *Snapshot, i int) (date time.Time, size int64, err error) {
	return m.folder.Info(ctx, s.UID(i), true)
}

// Date gives INTERNALDATE alone.
func (m *Mailbox) Date(ctx context.Context, s *Snapshot, i int) (time.Time, error) {
	date, _, err := m.folder.Info(ctx, s.UID(i), false)
	return date, err
}

// POP3Order gives the indices of s in the order that POP3 lists: messages for which the uid list notes an
// order come first, in it. nil is the order of s.
func (m *Mailbox) POP3Order(s *Snapshot) []int {
	fields := m.pop3Fields()
	ordered := false
	for _, p := range fields {
		ordered = ordered || p.Order != 0
	}
	if !ordered {
		return nil
	}
	order := make([]int, s.Len())
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		oa, ob := fields[s.UID(a)].Order, fields[s.UID(b)].Order
		switch {
		case oa == ob:
			return 0
		case ob == 0 || oa != 0 && oa < ob:
			return -1
		}
		return 1
	})
	return order
}

// UIDL is the unique-id of message i of s (RFC 1939 section 7): what the uid list notes for it, else the configured form.
func (m *Mailbox) UIDL(s *Snapshot, i int) string {
	uid := s.UID(i)
	if f := m.pop3Fields()[uid]; f.UIDL != "" {
		return f.UIDL
	}
	if m.user.service.cfg.UIDL == uidlCourier {
		return "UID" + strconv.FormatUint(uint64(uid), 10) + "-" + strconv.FormatUint(uint64(s.UIDValidity()), 10)
	}
	return fmt.Sprintf("%08x%08x", uid, s.UIDValidity())
}

func (m *Mailbox) pop3Fields() map[uint32]maildir.POP3Fields {
	if m.pop3 == nil {
		fields, err := m.folder.POP3Fields()
		if err != nil {
			m.user.service.cfg.Logger.Error("reading POP3 fields of the uid list", "mailbox", m.name, "error", err)
		}
		if fields == nil {
			fields = map[uint32]maildir.POP3Fields{} // asked once, whatever came of it
		}
		m.pop3 = fields
	}
	return m.pop3
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
	folder   *maildir.Folder
	delivery *maildir.Delivery
}

// Append begins to store a message; nothing is in the mailbox before Commit.
func (u *User) Append(ctx context.Context, name string, opt AppendOptions) (*Appender, error) {
	f, err := u.tree.Open(ctx, u.canonical(name))
	if err != nil {
		return nil, err
	}
	d, err := f.NewDelivery(maildir.DeliveryOptions{Flags: opt.Flags, Keywords: opt.Keywords, Date: opt.Date})
	if err != nil {
		f.Close()
		return nil, err
	}
	return &Appender{folder: f, delivery: d}, nil
}

// Write implements io.Writer.
func (a *Appender) Write(p []byte) (int, error) { return a.delivery.Write(p) }

// Abort drops what was written; after Commit it does nothing.
func (a *Appender) Abort() {
	if a.folder == nil {
		return
	}
	a.delivery.Abort()
	a.folder.Close()
	a.folder = nil
}

// Commit makes all messages, of one mailbox, part of it, or none (RFC 3502),
// and returns when they are there for good. The UIDs are in the order of the appenders.
func Commit(ctx context.Context, as ...*Appender) (uidValidity uint32, uids []uint32, err error) {
	ds := make([]*maildir.Delivery, len(as))
	for i, a := range as {
		ds[i] = a.delivery
	}
	uidValidity, uids, err = maildir.CommitDeliveries(ctx, ds...)
	for _, a := range as {
		a.Abort()
	}
	if errors.Is(err, ErrGone) {
		err = fmt.Errorf("%w: %w", ErrNoFolder, err)
	}
	return uidValidity, uids, err
}
