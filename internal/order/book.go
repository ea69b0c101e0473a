package order

import (
	"hash/maphash"
	"sync"
	"time"

	"postroom/internal/account"
)

// Book has the indexes of a process, one a mailbox. It is safe for concurrent use.
type Book struct {
	mu      sync.Mutex          // guards the rest; taken before no other lock
	indexes map[bookKey]*booked // by mailbox
	most    int
	clock   func() time.Time
}

// bookKey is a mailbox with the meaning of its UIDs.
type bookKey struct {
	guid        string
	uidValidity uint32
}

type booked struct {
	index    *Index
	messages int // when it was asked for last
	used     time.Time
}

// NewBook makes a Book that keeps indexes of most messages in all, the ones used last; a single larger one may be
// there alone.
func NewBook(most int, clock func() time.Time) *Book {
	return &Book{indexes: make(map[bookKey]*booked), most: most, clock: clock}
}

// Index gives that of a mailbox.
func (b *Book) Index(s *account.Snapshot) *Index {
	key := bookKey{s.GUID(), s.UIDValidity()}
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.indexes[key]
	if k == nil {
		k = &booked{index: &Index{seed: maphash.MakeSeed()}}
		b.indexes[key] = k
	}
	k.messages, k.used = s.Len(), b.clock()
	sum := 0
	for _, other := range b.indexes {
		sum += other.messages
	}
	for sum > b.most && len(b.indexes) > 1 {
		sum -= b.dropOldestLocked(key)
	}
	return k.index
}

// dropOldestLocked forgets the index that was used least recently, but for one, and tells of how many messages it was.
func (b *Book) dropOldestLocked(but bookKey) int {
	var oldest bookKey
	for key, k := range b.indexes {
		if key != but && (oldest == bookKey{} || k.used.Before(b.indexes[oldest].used)) {
			oldest = key
		}
	}
	n := b.indexes[oldest].messages
	delete(b.indexes, oldest)
	return n
}

// Forget drops the indexes that nobody asked for since a time.
func (b *Book) Forget(since time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, k := range b.indexes {
		if k.used.Before(since) {
			delete(b.indexes, key)
		}
	}
}
