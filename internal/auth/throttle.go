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
	waiting  int // attempts under way: each makes the next wait longer, once there were failures
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

// begin tells how long an attempt has to wait; it wants one end.
func (t *throttle) begin(from netip.Addr, user string) time.Duration {
	now := t.clock()
	t.mu.Lock()
	defer t.mu.Unlock()
	var d time.Duration
	for _, k := range keys(from, user) {
		m, ok := t.marks[k]
		if !ok || now.Sub(m.last) >= forgetAfter || m.failures <= freeFailures {
			continue
		}
		d = max(d, min(time.Second<<min(m.failures+m.waiting-freeFailures-1, 10), maxDelay))
		m.waiting++
		t.marks[k] = m
	}
	return d
}

// end ends what begin began.
func (t *throttle) end(from netip.Addr, user string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range keys(from, user) {
		if m, ok := t.marks[k]; ok && m.waiting > 0 {
			m.waiting--
			t.marks[k] = m
		}
	}
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
		m.failures, m.last = m.failures+1, now
		t.marks[k] = m
	}
}

// forget makes room: what is old goes, then, if that is not enough, whoever
// failed too seldom to be slowed down, then half of the rest.
func (t *throttle) forget(now time.Time) {
	for _, old := range []func(mark) bool{
		func(m mark) bool { return now.Sub(m.last) >= forgetAfter },
		func(m mark) bool { return m.failures <= freeFailures },
		func(m mark) bool { return now.Sub(m.last)%2 == 0 },
	} {
		for k, m := range t.marks {
			if len(t.marks) < maxTracked*3/4 {
				return
			}
			if old(m) {
				delete(t.marks, k)
			}
		}
	}
	for k := range t.marks {
		if len(t.marks) < maxTracked*3/4 {
			return
		}
		delete(t.marks, k)
	}
}

// succeeded forgets the user's failures, not the address's: who has one
// account could else guess at others for ever.
func (t *throttle) succeeded(from netip.Addr, user string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.marks, keys(from, user)[1])
}
