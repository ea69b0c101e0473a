package pop3d

import (
	"sync"
	"time"
)

// loginDelay keeps a user's logins apart (RFC 2449 sections 6.5 and 8.1.1).
type loginDelay struct {
	delay time.Duration
	now   func() time.Time

	mu    sync.Mutex           // guards last and swept
	last  map[string]time.Time // login of each user who logged in within the delay
	swept time.Time
}

func newLoginDelay(delay time.Duration, now func() time.Time) *loginDelay {
	return &loginDelay{delay: delay, now: now, last: make(map[string]time.Time)}
}

// admit notes a login and returns zero, or returns how long it is too early.
func (d *loginDelay) admit(user string) time.Duration {
	if d.delay <= 0 {
		return 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	if last, ok := d.last[user]; ok {
		if wait := d.delay - now.Sub(last); wait > 0 {
			return wait
		}
	}
	d.sweepLocked(now)
	d.last[user] = now
	return 0
}

// sweepLocked drops what has no effect any more, once in a delay.
func (d *loginDelay) sweepLocked(now time.Time) {
	if now.Sub(d.swept) < d.delay {
		return
	}
	d.swept = now
	for user, last := range d.last {
		if now.Sub(last) >= d.delay {
			delete(d.last, user)
		}
	}
}
