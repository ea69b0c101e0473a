package search

import (
	"context"
	"errors"
	"io"

	"postroom/internal/account"
	"postroom/internal/message"
)

type readerAt = io.ReaderAt

// Candidate is the message under test. What it needs is read when a key first asks for it.
type Candidate struct {
	*account.Walk // the message as it is now, or as it was told if it is gone
	told          *account.Snapshot
	rd            *account.Reading
	at            bool // rd is at this message
}

// Read gives what the message is read with. It stays at this message until the next is tried.
func (m *Candidate) Read() *account.Reading {
	if !m.at {
		m.at = true
		m.rd.Seek(m.told, m.Index())
	}
	return m.rd
}

// parts gives the message's structure and its file.
func (m *Candidate) parts() (*message.Message, *account.Message, error) {
	parsed, err := m.Read().Structure()
	if err != nil {
		return nil, nil, err
	}
	msg, err := m.rd.File()
	return parsed, msg, err
}

// Run tries the messages of told in the order of a walk through it, and calls found for those that match until it
// returns false. A message that was expunged meanwhile matches as it was told where memory suffices, as for flags; where
// it must be read it matches nothing, nor NOT of that. Of one that cannot be read failed is told, and the search goes on. The
// only error is the context's.
func Run(ctx context.Context, mbox *account.Mailbox, told *account.Snapshot, walk *account.Walk, key Key,
	found func(m *Candidate) bool, failed func(uid uint32, err error)) error {
	m := Candidate{Walk: walk, told: told, rd: mbox.Read(ctx)}
	defer m.rd.Close()
	for m.Next() {
		if m.Index()%64 == 0 || key.cost > CostHeader {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		m.at = false
		ok, err := key.match(&m)
		switch {
		case err == nil:
			if ok && !found(&m) {
				return nil
			}
		case errors.Is(err, account.ErrExpunged):
		case ctx.Err() != nil:
			return ctx.Err()
		default:
			failed(told.UID(m.Index()), err)
		}
	}
	return nil
}
