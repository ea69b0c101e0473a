// Package connlimit counts connections, so that neither one address nor one
// user nor all of them together take more than their share. One Limiter may
// serve several daemons: then they share its counts.
package connlimit

import (
	"errors"
	"net/netip"
	"sync"
)

// The reasons to refuse; errors.Is finds ErrLimit in each.
var (
	ErrLimit      = errors.New("connection limit reached")
	ErrTotal      = reason("too many connections")
	ErrPerAddress = reason("too many connections from this address")
	ErrPerUser    = reason("too many connections of this user")
)

// reason is a limit's name, in words that may be shown to a client.
type reason string

func (r reason) Error() string        { return string(r) }
func (r reason) Is(target error) bool { return target == ErrLimit }

// Limits are the bounds; zero or less means none.
type Limits struct {
	Total      int // connections in all, logged in or not
	PerAddress int // connections from one address (IPv6: from one /64)
	PerUser    int // logged-in connections of one user
}

// Limiter counts. Its methods are safe for concurrent use and never wait.
type Limiter struct {
	mu     sync.Mutex // guards all below; no other lock is taken while it is held
	limits Limits
	total  int
	byAddr map[netip.Addr]int // holds no zeros, so it is as small as what is open
	byUser map[string]int     // likewise
}

// New makes a Limiter with nothing counted.
func New(limits Limits) *Limiter {
	return &Limiter{
		limits: limits,
		byAddr: make(map[netip.Addr]int),
		byUser: make(map[string]int),
	}
}

// AcquireConn counts one connection from addr, or refuses it with ErrTotal or
// ErrPerAddress. The invalid Addr (a socket with no IP address) counts only in
// the total. release may be called more than once; it must be called once.
func (l *Limiter) AcquireConn(addr netip.Addr) (release func(), err error) {
	key := addrKey(addr)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.limits.Total > 0 && l.total >= l.limits.Total {
		return nil, ErrTotal
	}
	if key.IsValid() {
		if l.limits.PerAddress > 0 && l.byAddr[key] >= l.limits.PerAddress {
			return nil, ErrPerAddress
		}
		l.byAddr[key]++
	}
	l.total++
	return (&place{l: l, addr: key}).release, nil
}

// AcquireUser counts one login of user, or refuses it with ErrPerUser. The name
// is the canonical one that authentication gave. release is as AcquireConn's.
func (l *Limiter) AcquireUser(user string) (release func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.limits.PerUser > 0 && l.byUser[user] >= l.limits.PerUser {
		return nil, ErrPerUser
	}
	l.byUser[user]++
	return (&place{l: l, user: user, isUser: true}).release, nil
}

// SetLimits changes the bounds for what comes; what is open stays open.
func (l *Limiter) SetLimits(limits Limits) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limits = limits
}

// Open tells how many connections are counted now.
func (l *Limiter) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// place is what one Acquire counted.
type place struct {
	l      *Limiter
	addr   netip.Addr
	user   string
	isUser bool
	given  bool // guarded by l.mu: given back
}

func (p *place) release() {
	l := p.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.given {
		return
	}
	p.given = true
	if p.isUser {
		decrement(l.byUser, p.user)
		return
	}
	l.total--
	if p.addr.IsValid() {
		decrement(l.byAddr, p.addr)
	}
}

func decrement[K comparable](m map[K]int, key K) {
	if m[key]--; m[key] <= 0 {
		delete(m, key)
	}
}

// addrKey is what counts as one address. A host with IPv6 owns a /64 and could
// come from a new address each time, so the network is counted.
func addrKey(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if network, err := addr.Prefix(64); err == nil {
			return network.Addr()
		}
	}
	return addr
}
