package auth

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Failures make the next attempt from the same address, and for the same user,
// wait: not at all after the first two, then 1 s, 2 s, 4 s, up to 15 s. They
// are forgotten after 15 minutes, a user's also when he logs in from anywhere. An
// attempt waits before its password is looked at, so the time tells nothing about it.
//
// Attempts that are under way count as failures for those that begin after them:
// guesses made at once wait as they would one after the other. When one
// turns out to be none, those behind it wait less from then on, so many logins at once
// from one address go on as fast as they are found good. The longest wait holds for any
// number of guesses at once: nobody can lock a user out by guessing.
const (
	freeFailures = 2
	maxDelay     = 15 * time.Second
	forgetAfter  = 15 * time.Minute
	maxTracked   = 1 << 16 // addresses and users remembered, beside those of attempts under way
)

// delayAfter is the wait after so many failures.
func delayAfter(failures int) time.Duration {
	if failures <= freeFailures {
		return 0
	}
	return min(time.Second<<min(failures-freeFailures-1, 10), maxDelay)
}

// outcome is what became of an attempt.
type outcome int

const (
	undecided outcome = iota // nothing was learnt about the password
	failed
	succeeded
)

// throttle remembers failures. It is safe for concurrent use.
type throttle struct {
	clock func() time.Time

	mu    sync.Mutex
	marks map[string]*mark // guarded by mu, with all marks and attempts
}

// mark is what is known of an address or a user. There is one while there are failures or attempts under way.
type mark struct {
	failures int
	last     time.Time  // of the last failure
	under    []*attempt // under way, in the order in which they began
}

// attempt is one login under way. It wants one end.
type attempt struct {
	t     *throttle
	keys  [2]string
	began time.Time

	delay time.Duration      // guarded by t.mu: from began on; it only gets shorter
	wake  context.CancelFunc // guarded by t.mu: ends a sleep that has become too long; nil without one
}

func newThrottle(clock func() time.Time) *throttle {
	return &throttle{clock: clock, marks: make(map[string]*mark)}
}

// keys are what failures count for: the address and the user. IPv6 addresses count by /64, which is one
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

// begin notes an attempt and how long it has to wait.
func (t *throttle) begin(from netip.Addr, user string) *attempt {
	a := &attempt{t: t, keys: keys(from, user), began: t.clock()}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range a.keys {
		m := t.marks[k]
		if m == nil {
			m = new(mark)
			t.marks[k] = m
		}
		if a.began.Sub(m.last) >= forgetAfter {
			m.failures = 0
		}
		a.delay = max(a.delay, delayAfter(m.failures+len(m.under)))
		m.under = append(m.under, a)
	}
	return a
}

// wait returns when the password may be looked at, or with the error of ctx.
func (a *attempt) wait(ctx context.Context, sleep func(context.Context, time.Duration) error) error {
	for {
		woken, wake := context.WithCancel(ctx)
		err := sleep(woken, a.left(wake))
		again := err != nil && woken.Err() != nil && ctx.Err() == nil
		wake()
		if !again {
			return err
		}
	}
}

// left is how long there is still to wait; wake is called when that gets less.
func (a *attempt) left(wake context.CancelFunc) time.Duration {
	now := a.t.clock()
	a.t.mu.Lock()
	defer a.t.mu.Unlock()
	a.wake = wake
	return max(0, a.delay-now.Sub(a.began))
}

// end notes what became of the attempt. Success forgets the user's failures, not the
// address's: who has one account could else guess at others for ever.
func (a *attempt) end(what outcome) {
	t := a.t
	now := t.clock()
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, k := range a.keys {
		m := t.marks[k]
		at := slices.Index(m.under, a)
		m.under = slices.Delete(m.under, at, at+1)
		switch {
		case what == failed:
			if now.Sub(m.last) >= forgetAfter {
				m.failures = 0
			}
			m.failures, m.last = m.failures+1, now
			continue // those behind it have counted it already
		case what == succeeded && i == 1:
			m.failures, at = 0, 0
		}
		// From some place on all wait the longest, as before.
		for ; at < len(m.under) && delayAfter(m.failures+at) < maxDelay; at++ {
			m.under[at].shortenLocked()
		}
		if len(m.under) == 0 && m.failures == 0 {
			delete(t.marks, k)
		}
	}
	if what == failed && len(t.marks) > maxTracked {
		t.forgetLocked(now)
	}
}

// shortenLocked reckons anew how long the attempt has to wait.
func (a *attempt) shortenLocked() {
	var d time.Duration
	for _, k := range a.keys {
		m := a.t.marks[k]
		d = max(d, delayAfter(m.failures+slices.Index(m.under, a)))
	}
	if d >= a.delay {
		return
	}
	if a.delay = d; a.wake != nil {
		a.wake()
	}
}

// forgetLocked makes room: what is old goes, then, if that is not enough, whoever
// failed too seldom to be slowed down, then half of the rest, then any. Who has attempts under way stays.
func (t *throttle) forgetLocked(now time.Time) {
	for _, old := range []func(*mark) bool{
		func(m *mark) bool { return now.Sub(m.last) >= forgetAfter },
		func(m *mark) bool { return m.failures <= freeFailures },
		func(m *mark) bool { return now.Sub(m.last)%2 == 0 },
		func(*mark) bool { return true },
	} {
		for k, m := range t.marks {
			if len(t.marks) < maxTracked*3/4 {
				return
			}
			if len(m.under) == 0 && old(m) {
				delete(t.marks, k)
			}
		}
	}
}
