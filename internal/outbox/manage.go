package outbox

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"postroom/internal/account"
	"postroom/internal/compose"
	"postroom/internal/message"
	"postroom/internal/submit"
)

// Put takes over a message that is to be sent: when it returns nil the message is in the Outbox for good and will be
// sent. After an error it may be in the Outbox, without being sent: nothing is lost. From must be an address that the
// user may use, which is the caller's to check.
func (s *Service) Put(ctx context.Context, u *account.User, d *compose.Draft, id compose.Identity) error {
	to, err := d.Recipients()
	if err != nil {
		return err
	}
	if st, err := read(u); err != nil {
		return err
	} else if len(st.Entries) >= maxEntries {
		return ErrFull
	}
	box, err := special(ctx, u, "", Box)
	if err != nil {
		return err
	}
	a, err := u.Append(ctx, box, account.AppendOptions{Flags: account.Seen, Date: id.Now})
	if err != nil {
		return err
	}
	if err := d.WriteMessage(a, id); err != nil {
		a.Abort()
		return err
	}
	validity, uids, err := account.Commit(ctx, a)
	if err != nil {
		return err
	}
	if len(uids) != 1 {
		return fmt.Errorf("%q: %w: it may not be read", box, account.ErrNoRight)
	}
	e := Entry{
		ID: d.MessageID, UIDValidity: validity, UID: uids[0], From: d.From.Addr, Subject: d.Subject,
		Queued: s.opt.Clock(), Next: s.opt.Clock(), Original: d.Original,
	}
	for _, addr := range to {
		e.Recipients = append(e.Recipients, Recipient{Addr: addr})
	}
	err = edit(context.WithoutCancel(ctx), u, func(st *state) error {
		if len(st.Entries) >= maxEntries {
			return ErrFull
		}
		if st.find(e.ID) != nil {
			return fmt.Errorf("message %s: %w: it is in the Outbox already", e.ID, account.ErrExists)
		}
		st.Entries = append(st.Entries, e)
		return nil
	})
	if err != nil {
		return err
	}
	s.schedule(u.Name(), e.Next)
	return nil
}

// List gives what the user has to send, and what he is to be told. Entries without an ID are messages that somebody put
// into the Outbox, and which are not sent.
func (s *Service) List(ctx context.Context, u *account.User) ([]Entry, []Notice, error) {
	st, err := read(u)
	if err != nil {
		return nil, nil, err
	}
	box, err := u.Select(ctx, Box, true)
	if errors.Is(err, account.ErrNoFolder) {
		return nil, st.Notices, nil // and so nothing can be sent
	}
	if err != nil {
		return nil, nil, err
	}
	defer box.Close()
	snap, err := box.Sync(ctx)
	if err != nil {
		return nil, nil, err
	}
	var out []Entry
	known := make(map[uint32]bool)
	for _, e := range st.Entries {
		if _, there := snap.Find(e.UID); there && e.UIDValidity == snap.UIDValidity() {
			out = append(out, e)
			known[e.UID] = true
		}
	}
	for i := snap.Len() - 1; i >= 0 && len(out) < 2*maxEntries; i-- {
		if uid := snap.UID(i); !known[uid] {
			out = append(out, Entry{UIDValidity: snap.UIDValidity(), UID: uid})
		}
	}
	if at, any := st.next(); any {
		s.schedule(u.Name(), at) // another process may have put it there
	}
	return out, st.Notices, nil
}

// Ref names an entry in a form; ParseRef reads it.
func (e *Entry) Ref() string { return fmt.Sprintf("%d.%d", e.UIDValidity, e.UID) }

// ParseRef reads what Ref gives.
func ParseRef(s string) (validity, uid uint32, err error) {
	a, b, _ := strings.Cut(s, ".")
	v, err1 := strconv.ParseUint(a, 10, 32)
	n, err2 := strconv.ParseUint(b, 10, 32)
	if err1 != nil || err2 != nil || n == 0 {
		return 0, 0, ErrNoEntry
	}
	return uint32(v), uint32(n), nil
}

func (st *state) at(validity, uid uint32) *Entry {
	for i := range st.Entries {
		if e := &st.Entries[i]; e.UIDValidity == validity && e.UID == uid {
			return e
		}
	}
	return nil
}

// SendNow tries a message at once, also one that was given up. Recipients who were refused are tried again.
func (s *Service) SendNow(ctx context.Context, u *account.User, validity, uid uint32) error {
	now := s.opt.Clock()
	err := edit(ctx, u, func(st *state) error {
		e := st.at(validity, uid)
		switch {
		case e == nil:
			return ErrNoEntry
		case e.UnderWay(now):
			return ErrUnderWay
		}
		for i := range e.Recipients {
			if r := &e.Recipients[i]; r.Outcome == submit.Refused && !e.Filed {
				r.Outcome, r.Text = owed, ""
			}
		}
		e.Next, e.Queued, e.Held = now, now, false
		return nil
	})
	if err == nil {
		s.schedule(u.Name(), now)
	}
	return err
}

// TakeBack stops the sending of a message and makes a draft of it, for those of its recipients who have not got it. It gives
// where the draft is.
func (s *Service) TakeBack(ctx context.Context, u *account.User, validity, uid uint32, id compose.Identity) (box string, v, draft uint32, err error) {
	now := s.opt.Clock()
	e := Entry{UIDValidity: validity, UID: uid}
	err = edit(ctx, u, func(st *state) error {
		have := st.at(validity, uid)
		switch {
		case have == nil:
			return nil // it was never ours to send
		case have.UnderWay(now):
			return ErrUnderWay
		}
		have.Held, have.Lease = true, time.Time{}
		e = *have
		return nil
	})
	if err != nil {
		return "", 0, 0, err
	}
	m, err := open(ctx, u, &e)
	if errors.Is(err, account.ErrExpunged) || errors.Is(err, account.ErrNoFolder) {
		return "", 0, 0, ErrNoEntry
	}
	if err != nil {
		return "", 0, 0, err
	}
	defer m.close()
	d, err := compose.Read(m.msg, m.m)
	if err != nil {
		return "", 0, 0, err
	}
	d.Original = e.Original
	if e.Accepted() > 0 { // the rest is a message of its own
		d.To, d.Cc, d.Bcc = e.without(d.To), e.without(d.Cc), e.without(d.Bcc)
		d.MessageID = ""
	}
	if box, err = special(ctx, u, `\Drafts`, drafts); err != nil {
		return "", 0, 0, err
	}
	a, err := u.Append(ctx, box, account.AppendOptions{Flags: account.Seen | account.Draft, Date: id.Now})
	if err != nil {
		return "", 0, 0, err
	}
	if err := d.WriteDraft(a, id); err != nil {
		a.Abort()
		return "", 0, 0, err
	}
	v, uids, err := account.Commit(ctx, a)
	if err != nil {
		return "", 0, 0, err
	}
	if e.Accepted() > 0 && !e.Filed {
		err = s.keepSent(ctx, u, m)
	}
	if err == nil {
		err = m.box.Remove(ctx, []uint32{uid})
	}
	if err == nil {
		err = edit(ctx, u, func(st *state) error { st.remove(e.ID); return nil })
	}
	if len(uids) == 1 {
		draft = uids[0]
	}
	return box, v, draft, err
}

// keepSent puts a copy of a message that some have got into Sent.
func (s *Service) keepSent(ctx context.Context, u *account.User, m *stored) error {
	box, err := special(ctx, u, `\Sent`, sent)
	if err == nil {
		err = m.markSent(ctx)
	}
	if err == nil {
		_, err = m.box.Copy(ctx, []uint32{m.uid}, box)
	}
	return err
}

// without leaves out of a list those who have the message.
func (e *Entry) without(typed string) string {
	list, err := compose.ParseList(typed)
	if err != nil {
		return typed
	}
	var out []string
	for _, a := range list {
		has := false
		for _, r := range e.Recipients {
			has = has || r.Outcome == submit.Accepted && strings.EqualFold(r.Addr, a.Addr)
		}
		if !has {
			out = append(out, message.DisplayAddress(a).String())
		}
	}
	return strings.Join(out, ", ")
}

// Dismiss takes a notice away.
func (s *Service) Dismiss(ctx context.Context, u *account.User, id string) error {
	return edit(ctx, u, func(st *state) error {
		for i := range st.Notices {
			if st.Notices[i].ID == id {
				st.Notices = append(st.Notices[:i], st.Notices[i+1:]...)
				break
			}
		}
		return nil
	})
}
