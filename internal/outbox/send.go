package outbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"postroom/internal/account"
	"postroom/internal/compose"
	"postroom/internal/message"
	"postroom/internal/submit"
)

// sendOne does what is due for one message; false when nothing is.
func (s *Service) sendOne(u *account.User) (again bool, err error) {
	e, err := s.claim(u)
	if err != nil || e == nil {
		return false, err
	}
	m, err := open(s.ctx, u, e)
	if errors.Is(err, account.ErrExpunged) || errors.Is(err, account.ErrNoFolder) {
		// Somebody has deleted or moved it: it is not to be sent any more.
		return true, s.edit(u, func(st *state) error { st.remove(e.ID); return nil })
	}
	if err != nil {
		return false, errors.Join(err, s.release(u, e.ID, err))
	}
	defer m.close()
	if e.Owed() > 0 {
		if err := s.attempt(u, m, e); err != nil {
			return false, err
		}
	}
	if e.Owed() == 0 {
		if err := s.file(u, m, e); err != nil {
			return false, errors.Join(err, s.release(u, e.ID, err))
		}
	}
	return true, nil
}

// edit is for what must be written down although the service ends.
func (s *Service) edit(u *account.User, change func(*state) error) error {
	return edit(context.WithoutCancel(s.ctx), u, change)
}

// claim takes the lease of a message that is due; nil if none is.
func (s *Service) claim(u *account.User) (*Entry, error) {
	st, err := read(u)
	if err != nil {
		return nil, err
	}
	now := s.opt.Clock()
	if at, any := st.next(); !any || at.After(now) {
		return nil, nil // most looks end here, without a lock
	}
	var mine *Entry
	err = edit(s.ctx, u, func(st *state) error {
		for i := range st.Entries {
			e := &st.Entries[i]
			if !e.unfinished() || e.when().After(now) {
				continue
			}
			if !e.Lease.IsZero() && e.Owed() > 0 {
				e.Unknown = true // the process that had it did not write down what became of it
			}
			e.Lease = now.Add(s.opt.Lease)
			c := *e
			c.Recipients = append([]Recipient(nil), e.Recipients...)
			mine = &c
			break
		}
		return nil
	})
	return mine, err
}

// release gives the lease back after a failure that has nothing to do with the server.
func (s *Service) release(u *account.User, id string, why error) error {
	return s.edit(u, func(st *state) error {
		if e := st.find(id); e != nil {
			e.Attempts++
			e.Lease, e.Error, e.Next = time.Time{}, message.Printable(why.Error()), s.opt.Clock().Add(s.opt.Backoff(e.Attempts))
		}
		return nil
	})
}

// attempt sends a message once and writes down what came of it, in the file and in e.
func (s *Service) attempt(u *account.User, m *stored, e *Entry) error {
	if err := m.keywords(s.ctx, account.StoreAdd, pendingKeyword); err != nil {
		return errors.Join(err, s.release(u, e.ID, err))
	}
	msg, err := m.outgoing(e)
	if err != nil {
		return errors.Join(err, s.release(u, e.ID, err))
	}
	ctx, cancel := context.WithCancel(s.ctx)
	var wg sync.WaitGroup
	wg.Go(func() { s.renew(ctx, cancel, u, e.ID) })
	result := s.opt.Sender.Send(ctx, msg)
	cancel()
	wg.Wait()
	s.opt.Logger.Info("sending", "user", u.Name(), "message_id", e.ID, "outcome", result.Worst(), "recipients", len(msg.To))
	err = s.edit(u, func(st *state) error {
		have := st.find(e.ID)
		if have == nil {
			return nil // taken back from under us: nothing is to be remembered
		}
		have.record(result, s.opt.Clock(), s.opt.Backoff)
		*e = *have
		if have.Owed() == 0 {
			e.Lease = s.opt.Clock().Add(s.opt.Lease)
			have.Lease = e.Lease // for filing
		}
		return nil
	})
	if err != nil {
		return err // the lease runs out, and the outcome counts as unknown
	}
	if e.Owed() > 0 && result.Worst() != submit.Unknown {
		return m.keywords(s.ctx, account.StoreRemove, pendingKeyword)
	}
	return nil
}

// record takes over what a server said.
func (e *Entry) record(r submit.Result, now time.Time, backoff func(int) time.Duration) {
	e.Attempts++
	e.Lease, e.Error = time.Time{}, ""
	for _, got := range r.Recipients {
		switch got.Outcome {
		case submit.Unknown:
			e.Unknown, e.Error = true, got.Text
			continue
		case submit.Again:
			e.Error = got.Text
			continue
		}
		for i := range e.Recipients {
			if have := &e.Recipients[i]; have.Addr == got.Addr && have.Outcome == owed {
				have.Outcome, have.Text = got.Outcome, got.Text
			}
		}
	}
	e.Next = now.Add(backoff(e.Attempts))
}

// renew keeps the lease while the message is being sent. If it cannot, the attempt is ended before others may begin one.
func (s *Service) renew(ctx context.Context, giveUp func(), u *account.User, id string) {
	tick := time.NewTicker(s.opt.Lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := edit(ctx, u, func(st *state) error {
			e := st.find(id)
			if e == nil {
				return ErrNoEntry
			}
			e.Lease = s.opt.Clock().Add(s.opt.Lease)
			return nil
		})
		if err != nil && ctx.Err() == nil {
			s.opt.Logger.Error("a lease could not be renewed", "user", u.Name(), "message_id", id, "error", err)
			giveUp()
			return
		}
	}
}

// file puts a message, of which nobody is owed any more, where it belongs.
func (s *Service) file(u *account.User, m *stored, e *Entry) error {
	ctx := context.WithoutCancel(s.ctx)
	if e.Accepted() == 0 { // it was refused by all: it stays
		if err := m.keywords(ctx, account.StoreRemove, pendingKeyword); err != nil {
			return err
		}
		return s.edit(u, func(st *state) error {
			if have := st.find(e.ID); have != nil {
				have.Lease = time.Time{}
			}
			return nil
		})
	}
	box, err := special(ctx, u, `\Sent`, sent)
	if err != nil {
		return err
	}
	if err := m.markSent(ctx); err != nil {
		return err
	}
	if e.Refused() > 0 {
		if _, err := m.box.Copy(ctx, []uint32{e.UID}, box); err != nil {
			return err
		}
	} else if _, err := m.box.Move(ctx, []uint32{e.UID}, box); err != nil {
		return err
	}
	if err := markOriginal(ctx, u, e.Original); err != nil {
		s.opt.Logger.Warn("the message that was answered could not be marked", "user", u.Name(), "mailbox", e.Original.Box, "error", err)
	}
	return s.edit(u, func(st *state) error {
		have := st.find(e.ID)
		if have == nil {
			return nil
		}
		if have.Unknown {
			st.Notices = append(st.Notices, Notice{ID: e.ID, Subject: e.Subject, Time: s.opt.Clock()})
			if len(st.Notices) > maxNotices {
				st.Notices = st.Notices[1:]
			}
			have.Unknown = false
		}
		if have.Refused() == 0 {
			st.remove(e.ID)
		} else {
			have.Filed, have.Lease = true, time.Time{}
		}
		return nil
	})
}

// stored is a message in the Outbox, open.
type stored struct {
	box *account.Mailbox
	msg *account.Message
	m   *message.Message
	uid uint32
}

func (m *stored) close() {
	m.msg.Close()
	m.box.Close()
}

// open finds an entry's message. ErrExpunged if it is not there any more.
func open(ctx context.Context, u *account.User, e *Entry) (*stored, error) {
	box, err := u.Select(ctx, Box, false)
	if err != nil {
		return nil, err
	}
	snap, err := box.Sync(ctx)
	if err != nil {
		box.Close()
		return nil, err
	}
	i, ok := snap.Find(e.UID)
	if !ok || snap.UIDValidity() != e.UIDValidity {
		box.Close()
		return nil, fmt.Errorf("message %s: %w", e.ID, account.ErrExpunged)
	}
	msg, err := box.Message(ctx, snap, i)
	if err != nil {
		box.Close()
		return nil, err
	}
	m := &stored{box: box, msg: msg, uid: e.UID}
	if m.m, err = message.Parse(io.NewSectionReader(msg, 0, msg.Size())); err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

func (m *stored) keywords(ctx context.Context, op account.StoreOp, words ...string) error {
	_, err := m.box.Store(ctx, []uint32{m.uid}, account.Change{Op: op, Keywords: words})
	return err
}

func (m *stored) markSent(ctx context.Context) error {
	change := account.Change{Op: account.StoreAdd, Flags: account.Seen, Keywords: []string{submittedKeyword}}
	if _, err := m.box.Store(ctx, []uint32{m.uid}, change); err != nil {
		return err
	}
	_, err := m.box.Store(ctx, []uint32{m.uid}, account.Change{Op: account.StoreRemove, Flags: account.Draft, Keywords: []string{pendingKeyword}})
	return err
}

// outgoing is the message as the server gets it, for those who are owed it.
func (m *stored) outgoing(e *Entry) (submit.Message, error) {
	out := submit.Message{From: e.From}
	for _, r := range e.Recipients {
		if r.Outcome == owed {
			out.To = append(out.To, r.Addr)
		}
	}
	r, size, err := compose.Outgoing(m.msg, m.m)
	if err != nil {
		return out, err
	}
	needs, err := compose.NeedsOf(r, out.From, out.To)
	if err != nil {
		return out, err
	}
	out.Size, out.EightBit, out.UTF8 = size, needs.EightBit, needs.UTF8
	out.Open = func() (io.ReadCloser, error) {
		r, _, err := compose.Outgoing(m.msg, m.m)
		return io.NopCloser(r), err
	}
	return out, nil
}

// markOriginal marks the message that was answered or forwarded, if it is still there and may be marked.
func markOriginal(ctx context.Context, u *account.User, o compose.Original) error {
	if o.UID == 0 {
		return nil
	}
	box, err := u.Select(ctx, o.Box, false)
	if errors.Is(err, account.ErrNoFolder) {
		return nil
	}
	if err != nil {
		return err
	}
	defer box.Close()
	if box.Current().UIDValidity() != o.UIDValidity {
		return nil
	}
	change := account.Change{Op: account.StoreAdd, Flags: account.Answered}
	if o.Kind.IsForward() {
		change = account.Change{Op: account.StoreAdd, Keywords: []string{forwardedKeyword}}
	}
	_, err = box.Store(ctx, []uint32{o.UID}, change)
	return err
}

// special finds the mailbox of a special use, and makes one if there is none.
func special(ctx context.Context, u *account.User, use, name string) (string, error) {
	list, err := u.Mailboxes(ctx)
	if err != nil {
		return "", err
	}
	for _, e := range list {
		if e.SpecialUse == use && use != "" || use == "" && e.Name == name && !e.NonExistent {
			return e.Name, nil
		}
	}
	if err := u.Create(ctx, name, use); err != nil && !errors.Is(err, account.ErrExists) {
		return "", err
	}
	return name, nil
}
