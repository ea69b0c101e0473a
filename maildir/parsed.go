package maildir

import (
	"container/list"
	"sync"

	"postroom/internal/message"
)

// maxParsed is how many large messages' structures are kept in memory; those of all others are in the
// folders' caches.
const maxParsed = 64

// parsedKey names the content of a message: a restored or replaced file is
// parsed again.
type parsedKey struct {
	file  fileID
	size  int64
	mtime int64 // nanoseconds since 1970
}

// parsedCache keeps the structures of the messages used last. It is safe for
// concurrent use.
type parsedCache struct {
	max int

	mu    sync.Mutex
	byKey map[parsedKey]*list.Element // guarded by mu
	order *list.List                  // guarded by mu: of parsedEntry, used last in front
}

type parsedEntry struct {
	key parsedKey
	msg *message.Message
}

func newParsedCache(max int) *parsedCache {
	return &parsedCache{max: max, byKey: make(map[parsedKey]*list.Element), order: list.New()}
}

func (c *parsedCache) get(k parsedKey) *message.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byKey[k]
	if e == nil {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(parsedEntry).msg
}

func (c *parsedCache) put(k parsedKey, m *message.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.byKey[k]; ok {
		return
	}
	c.byKey[k] = c.order.PushFront(parsedEntry{k, m})
	for c.order.Len() > c.max {
		last := c.order.Back()
		delete(c.byKey, last.Value.(parsedEntry).key)
		c.order.Remove(last)
	}
}
