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
//
// Every method that needs a right looks at the ACL as it stands when it is called. Reading does not: for that Refresh
// is to be called now and then (RFC 4314 section 5.1.1).
type Mailbox struct {
	user     *User
	place    place
	folder   *maildir.Folder
	seen     *maildir.SeenState // nil: \\Seen is shared
	examined bool
	rights   Rights                        // as last seen
	pop3     map[uint32]maildir.POP3Fields // read when first asked for
}

// Select opens a mailbox, for who may read it. readOnly is EXAMINE's and POP3's way: nothing is changed.
func (u *User) Select(ctx context.Context, name string, readOnly bool) (*Mailbox, error) {
	p, err := u.existing(name)
	if err != nil {
		return nil, err
	}
	m := &Mailbox{user: u, place: p, examined: readOnly}
	if m.rights, err = u.need(&p, Read); err == nil {
		m.folder, err = p.tree.Open(ctx, p.name)
	}
	if err == nil {
		if m.seen, err = u.openSeen(ctx, &p, m.folder); err != nil {
			m.folder.Close()
		}
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return m, nil
}

// Name is the mailbox's name when it was selected.
func (m *Mailbox) Name() string { return m.place.full }

// Close ends the session's use of the mailbox.
func (m *Mailbox) Close() {
	if m.seen != nil {
		m.seen.Close()
	}
	m.folder.Close()
	m.place.close()
}

// Refresh looks at the ACL, and gives the rights there are now. ErrNoRight when the mailbox may not be read any more.
func (m *Mailbox) Refresh() (Rights, error) {
	acl, err := m.user.service.acls.read(&m.place, m.place.name, m.folder)
	if err != nil {
		return m.rights, err
	}
	m.rights = m.user.evaluate(&m.place, acl)
	if !m.rights.Has(Read) {
		return m.rights, fmt.Errorf("%q: %w: it may not be read any more", m.place.full, ErrNoRight)
	}
	return m.rights, nil
}

// Rights are those that the last look at the ACL found.
func (m *Mailbox) Rights() Rights { return m.rights }

// changeable tells whether this session may change anything at all, its rights aside.
func (m *Mailbox) changeable() error {
	switch {
	case m.examined:
		return fmt.Errorf("%q is open read-only: %w", m.place.full, ErrReadOnly)
	case !m.folder.Snapshot().Writable():
		return fmt.Errorf("%q: %w", m.place.full, ErrReadOnly)
	}
	return nil
}

// Examined tells whether this session was opened to change nothing, or the mailbox cannot be changed by anybody.
func (m *Mailbox) Examined() bool { return m.changeable() != nil }

// sharedFlags are the rights to change what other users see.
func (m *Mailbox) sharedFlags() Rights {
	if m.seen != nil {
		return WriteFlags | DeleteMessage
	}
	return WriteSeen | WriteFlags | DeleteMessage
}

// ReadOnly tells whether this session cannot change what others see of the mailbox: the READ-ONLY
// of RFC 4314 section 5.2.
func (m *Mailbox) ReadOnly() bool {
	return m.Examined() || !m.rights.HasAny(Insert|Expunge|m.sharedFlags())
}

// need holds the rights that there are now against what is wanted.
func (m *Mailbox) need(want Rights) error {
	if err := m.changeable(); err != nil {
		return err
	}
	have, err := m.Refresh()
	if err != nil {
		return err
	}
	return m.refused(have, want)
}

// refused is place's, for a mailbox that is open: that it is there is no secret.
func (m *Mailbox) refused(have, want Rights) error {
	return m.place.refused(have|Lookup, want)
}

// Current is the newest snapshot; it costs nothing.
func (m *Mailbox) Current() *Snapshot {
	if m.seen != nil {
		return m.seen.Over(m.folder)
	}
	return m.folder.Snapshot()
}

// Sync gives a snapshot that holds what other programs did before the call.
// ErrGone when the mailbox was deleted, renamed or replaced.
func (m *Mailbox) Sync(ctx context.Context) (*Snapshot, error) {
	s, err := m.folder.Sync(ctx)
	if err != nil || m.seen == nil {
		return s, err
	}
	m.seen.Sync()
	return m.Current(), nil
}

// Notify calls tell after each new snapshot that has something to tell, when the rights may have changed, and when the
// mailbox is gone. tell is called by other goroutines, and must not wait nor call the mailbox. early is for sessions that
// tell of messages before they have UIDs: Snapshot.Arriving. New messages are claimed for a session
// that may change the mailbox, as by ClaimRecent. The Subscriber must be cancelled before Close.
func (m *Mailbox) Notify(tell func(), early bool) *Subscriber {
	s := &Subscriber{
		folder: m.folder.Subscribe(maildir.Interest{Tell: tell, Early: early, Claims: !m.ReadOnly()}),
		stops:  []func(){m.user.service.pokes.add(m.place.tree.Path(), tell)},
	}
	if m.seen != nil {
		s.stops = append(s.stops, m.seen.OnChange(tell))
	}
	return s
}

// Subscriber is somebody who waits for news of a mailbox.
type Subscriber struct {
	folder *maildir.Subscriber
	stops  []func()
}

// Claimed gives the UIDs that were claimed for the session since it was asked last, as far as snap goes: it is the one to
// show them as \Recent.
func (s *Subscriber) Claimed(snap *Snapshot) []uint32 { return s.folder.Claimed(snap) }

// Cancel ends the waking, and gives what Claimed did not yet. A call of tell that has begun may outlast it.
func (s *Subscriber) Cancel() []uint32 {
	for _, stop := range s.stops {
		stop()
	}
	return s.folder.Cancel()
}

// Settled waits until no message is announced that has no UID yet, and gives the snapshot of that moment.
func (m *Mailbox) Settled() *Snapshot {
	m.folder.Settled()
	return m.Current()
}

// OwnSeen tells whether \Seen is the user's own here, and not shared.
func (m *Mailbox) OwnSeen() bool { return m.seen != nil }

// Gone tells whether the mailbox was deleted, renamed or replaced.
func (m *Mailbox) Gone() bool { return m.folder.Snapshot().Gone() }

// TellModSeqs must be called before a client is told a MODSEQ of this mailbox.
// ErrReadOnly and ErrNoSpace mean that it can be told none: NOMODSEQ.
func (m *Mailbox) TellModSeqs(ctx context.Context) error {
	if !m.folder.Snapshot().Writable() {
		return fmt.Errorf("%q: %w", m.place.full, ErrReadOnly)
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

// flagsOf are the system flags that rights let change (RFC 4314 section 2.1).
func flagsOf(have Rights) (f Flags) {
	if have.Has(WriteFlags) {
		f |= Answered | Flagged | Draft
	}
	if have.Has(WriteSeen) {
		f |= Seen
	}
	if have.Has(DeleteMessage) {
		f |= Deleted
	}
	return f
}

// PermanentFlags tells which system flags can be stored for good, which keywords, and whether
// new ones can be made.
func (m *Mailbox) PermanentFlags() (system Flags, keywords, create bool) {
	if m.Examined() {
		return 0, false, false
	}
	keywords = m.rights.Has(WriteFlags)
	return flagsOf(m.rights), keywords, keywords && m.folder.Snapshot().CanAddKeyword()
}

// Store changes flags of the given UIDs, ascending: those that the user may change. ErrNoRight if that is none of
// those named (RFC 4314 section 4).
func (m *Mailbox) Store(ctx context.Context, uids []uint32, c Change) (StoreResult, error) {
	if err := m.need(0); err != nil {
		return StoreResult{Snapshot: m.Current()}, err
	}
	c, err := m.permitted(c)
	if err != nil {
		return StoreResult{Snapshot: m.Current()}, err
	}
	return m.store(ctx, uids, c)
}

// permitted limits a change to what the rights let change.
func (m *Mailbox) permitted(c Change) (Change, error) {
	may := flagsOf(m.rights)
	keywords := m.rights.Has(WriteFlags)
	wanted := c.Flags != 0 || len(c.Keywords) > 0
	some := c.Flags&may != 0 || len(c.Keywords) > 0 && keywords
	if c.Op == StoreReplace && !wanted {
		some = may != 0
	}
	if !some && (wanted || c.Op == StoreReplace) {
		return c, fmt.Errorf("%q: %w: it wants one of stw", m.place.full, ErrNoRight)
	}
	c.Keep |= ^may
	c.KeepKeywords = c.KeepKeywords || !keywords
	return c, nil
}

// Copy copies all of the UIDs that are there, or none, for who may insert into dest. The copies have the flags that
// the user may set there. Their UIDs are told only to who may read dest (RFC 4315 section 3).
func (m *Mailbox) Copy(ctx context.Context, uids []uint32, dest string) (Copied, error) {
	return m.into(ctx, dest, func(d *maildir.Folder, opt maildir.CopyOptions) (Copied, error) {
		return m.folder.CopyTo(ctx, uids, d, opt)
	})
}

// Move moves all of the UIDs that are there, or none (RFC 6851), for who may delete and expunge here. What Copy says
// of flags and UIDs holds for it.
func (m *Mailbox) Move(ctx context.Context, uids []uint32, dest string) (Copied, error) {
	if err := m.need(DeleteMessage | Expunge); err != nil {
		return Copied{}, err
	}
	return m.into(ctx, dest, func(d *maildir.Folder, opt maildir.CopyOptions) (Copied, error) {
		return m.folder.MoveTo(ctx, uids, d, opt)
	})
}

// into opens the destination of COPY or MOVE for do.
func (m *Mailbox) into(ctx context.Context, dest string, do func(d *maildir.Folder, opt maildir.CopyOptions) (Copied, error)) (Copied, error) {
	d, err := m.user.destination(ctx, dest)
	if err != nil {
		return Copied{}, err
	}
	defer d.close()
	carry, err := m.carrier(d)
	if err != nil {
		return Copied{}, err
	}
	c, err := do(d.folder, carry.options())
	if errors.Is(err, ErrGone) && !m.Gone() { // the destination, not the selected mailbox
		err = d.place.missing()
	}
	if err == nil {
		carry.markSeen(ctx, c)
	}
	if !d.rights.Has(Read) {
		c.UIDValidity, c.To = 0, nil
	}
	return c, err
}

// Expunge removes messages that have \Deleted: all of them if uids is nil,
// else those among uids, ascending. The snapshot it gives lacks them.
func (m *Mailbox) Expunge(ctx context.Context, uids []uint32) (*Snapshot, error) {
	if err := m.need(Expunge); err != nil {
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
	_, err := m.folder.Expunge(ctx, uids, true)
	return m.Current(), err
}

// MayRemove tells whether Remove would be allowed now.
func (m *Mailbox) MayRemove() error {
	have, err := m.Refresh()
	if err != nil {
		return err
	}
	return m.refused(have, DeleteMessage|Expunge)
}

// Remove expunges the UIDs, ascending, whatever their flags: POP3's QUIT. It works on a mailbox that was
// selected read-only, which for POP3 says that flags and places stay as they are.
func (m *Mailbox) Remove(ctx context.Context, uids []uint32) error {
	if err := m.MayRemove(); err != nil {
		return err
	}
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
			m.user.service.cfg.Logger.Error("reading POP3 fields of the uid list", "mailbox", m.place.full, "error", err)
		}
		if fields == nil {
			fields = map[uint32]maildir.POP3Fields{} // asked once, whatever came of it
		}
		m.pop3 = fields
	}
	return m.pop3
}
