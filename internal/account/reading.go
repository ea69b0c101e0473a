package account

import (
	"context"

	"postroom/maildir"
)

// Reading looks at one message after another, opening files only where nothing else knows the answer. It is
// not for concurrent use.
type Reading = maildir.Reading

// Walk goes through a snapshot and shows each message as a newer one has it.
type Walk = maildir.Walk

// Read begins a Reading of the mailbox, which wants Close.
func (m *Mailbox) Read(ctx context.Context) *Reading { return m.folder.NewReading(ctx) }
