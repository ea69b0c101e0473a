package order

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"postroom/internal/account"
)

// By is what messages are ordered by, ascending; equal ones by UID. Arrival is no By: it is the order of UIDs, and wants no
// Index.
type By int

const (
	Sent    By = iota + 1 // DATE of RFC 5256: the Date field in UTC, else INTERNALDATE
	From                  // the name, or else the address, of the first author: DISPLAYFROM of RFC 5957
	Subject               // SUBJECT: the base subject
	Size                  // SIZE
)

// Sorted gives the UIDs of a snapshot's messages in an order. What it gives is shared: it is not to be changed. If the context ends
// before all messages were looked at, the next call goes on; Len tells how far it is.
func (x *Index) Sorted(ctx context.Context, mbox *account.Mailbox, snap *account.Snapshot, by By) ([]uint32, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.followLocked(ctx, mbox, snap); err != nil {
		return nil, err
	}
	if uids := x.sorted[by]; uids != nil {
		return uids, nil
	}
	at := make([]int32, len(x.entries))
	for i := range at {
		at[i] = int32(i)
	}
	e := x.entries
	slices.SortStableFunc(at, map[By]func(a, b int32) int{
		Sent:    func(a, b int32) int { return cmp.Compare(e[a].sent, e[b].sent) },
		From:    func(a, b int32) int { return bytes.Compare(x.nameOf(&e[a]), x.nameOf(&e[b])) },
		Subject: func(a, b int32) int { return bytes.Compare(x.subjectOf(&e[a]), x.subjectOf(&e[b])) },
		Size:    func(a, b int32) int { return cmp.Compare(e[a].size, e[b].size) },
	}[by])
	uids := make([]uint32, len(at))
	for i, k := range at {
		uids[i] = e[k].uid
	}
	if x.sorted == nil {
		x.sorted = make(map[By][]uint32)
	}
	x.sorted[by] = uids
	return uids, nil
}
