package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"postroom/internal/account"
	"postroom/internal/compose"
	"postroom/internal/submit"
)

// stateFile is the name of the file; what it holds is JSON.
const stateFile = "outbox.json"

// Bounds of the file.
const (
	maxEntries = 100
	maxNotices = 50
)

// owed is the outcome of a recipient whom nobody has taken or refused yet.
const owed submit.Outcome = ""

// state is what the file holds.
type state struct {
	Entries []Entry  `json:"entries,omitempty"`
	Notices []Notice `json:"notices,omitempty"`
}

// Entry is a message that is to be sent.
type Entry struct {
	ID          string           `json:"id"` // its Message-ID, without < >
	UIDValidity uint32           `json:"uidvalidity"`
	UID         uint32           `json:"uid"`
	From        string           `json:"from"`
	Subject     string           `json:"subject"`
	Recipients  []Recipient      `json:"recipients"`
	Queued      time.Time        `json:"queued"`
	Next        time.Time        `json:"next"`           // when it is tried
	Lease       time.Time        `json:"lease,omitzero"` // until then it is under way
	Attempts    int              `json:"attempts,omitempty"`
	Error       string           `json:"error,omitempty"`   // why the last attempt failed
	Unknown     bool             `json:"unknown,omitempty"` // an attempt ended without an answer to the whole message
	Filed       bool             `json:"filed,omitempty"`   // a copy is in Sent
	Held        bool             `json:"held,omitempty"`    // it is being taken back
	Original    compose.Original `json:"original,omitzero"`
}

// Recipient is one of an entry's.
type Recipient struct {
	Addr    string         `json:"addr"`
	Outcome submit.Outcome `json:"outcome,omitempty"` // "", submit.Accepted or submit.Refused
	Text    string         `json:"text,omitempty"`
}

// Notice tells the user that a message may have arrived twice.
type Notice struct {
	ID      string    `json:"id"`
	Subject string    `json:"subject"`
	Time    time.Time `json:"time"`
}

// count tells how many recipients have an outcome.
func (e *Entry) count(o submit.Outcome) (n int) {
	for _, r := range e.Recipients {
		if r.Outcome == o {
			n++
		}
	}
	return n
}

// Owed, Accepted and Refused count recipients.
func (e *Entry) Owed() int { return e.count(owed) }

// Accepted counts those whom the server has taken.
func (e *Entry) Accepted() int { return e.count(submit.Accepted) }

// Refused counts those whom it has refused for good.
func (e *Entry) Refused() int { return e.count(submit.Refused) }

// UnderWay tells whether it is being sent.
func (e *Entry) UnderWay(now time.Time) bool { return e.Lease.After(now) }

// GivenUp tells that it was tried for so long that it is not tried any more.
func (e *Entry) GivenUp() bool { return e.Next.Sub(e.Queued) > giveUp }

// unfinished tells whether anything is to be done without the user.
func (e *Entry) unfinished() bool {
	switch {
	case e.Held:
		return false
	case e.Owed() > 0:
		return !e.GivenUp()
	case e.Refused() == 0:
		return true // only to be moved to Sent
	}
	return e.Accepted() > 0 && !e.Filed
}

// when is the time at which something is to be done.
func (e *Entry) when() time.Time {
	if e.Lease.After(e.Next) {
		return e.Lease
	}
	return e.Next
}

func (st *state) next() (at time.Time, any bool) {
	for i := range st.Entries {
		if e := &st.Entries[i]; e.unfinished() && (!any || e.when().Before(at)) {
			at, any = e.when(), true
		}
	}
	return at, any
}

func (st *state) find(id string) *Entry {
	for i := range st.Entries {
		if st.Entries[i].ID == id {
			return &st.Entries[i]
		}
	}
	return nil
}

func (st *state) remove(id string) {
	st.Entries = slices.DeleteFunc(st.Entries, func(e Entry) bool { return e.ID == id })
}

func read(u *account.User) (*state, error) {
	b, _, err := u.OwnFiles(account.OwnWeb).Read(stateFile)
	if errors.Is(err, account.ErrNoFile) {
		return &state{}, nil
	}
	if err != nil {
		return nil, err
	}
	return parse(b)
}

func parse(b []byte) (*state, error) {
	st := new(state)
	if len(b) == 0 {
		return st, nil
	}
	if err := json.Unmarshal(b, st); err != nil {
		return nil, fmt.Errorf("%s: %w", stateFile, err)
	}
	return st, nil
}

// edit changes the file while nobody else does. If change fails nothing is changed.
func edit(ctx context.Context, u *account.User, change func(*state) error) error {
	return u.OwnFiles(account.OwnWeb).Edit(ctx, stateFile, func(old []byte) ([]byte, error) {
		st, err := parse(old)
		if err != nil {
			return nil, err
		}
		if err := change(st); err != nil {
			return nil, err
		}
		if len(st.Entries) == 0 && len(st.Notices) == 0 {
			return nil, nil
		}
		return json.MarshalIndent(st, "", "\t")
	})
}
