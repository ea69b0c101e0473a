package auth

import (
	"net/netip"
	"sync"
	"time"
)

// Failures make the next attempt from the same address, and for the same user,
// wait: not at all after the first two, then 1 s, 2 s, 4 s, up to 15 s. They
// are forgotten after 15 minutes, a user's also when he logs in from anywhere. An attempt waits before its
// password is looked at, so the time tells nothing about it.
const (
	freeFailures = 2
	maxDelay     = 15 * time.Second
	forgetAfter  = 15 * time.Minute
	maxTracked   = 1 << 16 // addresses and users remembered
)

type throttle struct {
	clock func() time.Time

	mu    sync.Mutex
	marks map[string]mark // guarded by mu
}

type mark struct {
	failures int
	last     time.Time
}

func newThrottle(clock func() time.Time) *throttle {
	return &throttle{clock: clock, marks: make(map[string]mark)}
}

// keys are what failures count for. IPv6 addresses count by /64, which is one
// customer's.
func keys(from netip.Addr, user string) [2]string {
	from = from.Unmap()
	if from.Is6() {
		if p, err := from.Prefix(64); err == nil {
			from = p.Addr()
		}
	}
	if len(user) > 255 {
		user = user[:255]
	}
	return [2]string{"a" + from.String(), "u" + user}
}

func (t *throttle) delay(from netip.Addr, user string) time.Duration {
	now := t.clock()
	t.mu.Lock()
	defer t.mu.Unlock()
	var d time.Duration
	for _, k := range keys(from, user) {
		if m, ok := t.marks[k]; ok && now.Sub(m.last) < forgetAfter && m.failures > freeFailures {
			d = max(d, min(time.Second<<min(m.failures-freeFailures-1, 10), maxDelay))
		}
	}
	return d
}

func (t *throttle) failed(from netip.Addr, user string) {
	now := t.clock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.marks) >= maxTracked {
		t.forget(now)
	}
	for _, k := range keys(from, user) {
		m := t.marks[k]
		if now.Sub(m.last) >= forgetAfter {
			m.failures = 0
		}
		t.marks[k] = mark{m.failures + 1, now}
	}
}

// forget makes room: what is old goes, and if that is not enough, all.
func (t *throttle) forget(now time.Time) {
	for k, m := range t.marks {
		if now.Sub(m.last) >= forgetAfter {
			delete(t.marks, k)
		}
	}
	if len(t.marks) >= maxTracked {
		clear(t.marks)
	}
}

// succeeded forgets the user's failures, not the address's: who has one
// account could else guess at others for ever.
func (t *throttle) succeeded(from netip.Addr, user string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.marks, keys(from, user)[1])
}
