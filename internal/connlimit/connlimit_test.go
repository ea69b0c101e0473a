package connlimit

import (
	"errors"
	"net/netip"
	"sync"
	"testing"
)

var (
	hostA = netip.MustParseAddr("192.0.2.1")
	hostB = netip.MustParseAddr("192.0.2.2")
)

func TestConnections(t *testing.T) {
	l := New(Limits{Total: 3, PerAddress: 2})
	a1 := mustConn(t, l, hostA)
	mustConn(t, l, hostA)
	refuseConn(t, l, hostA, ErrPerAddress)
	mustConn(t, l, hostB)
	refuseConn(t, l, hostB, ErrTotal)
	a1()
	a1() // the second call frees nothing
	if got := l.Open(); got != 2 {
		t.Errorf("Open() = %d, want 2", got)
	}
	mustConn(t, l, hostA)
	refuseConn(t, l, hostA, ErrTotal)
}

func TestUsers(t *testing.T) {
	l := New(Limits{PerUser: 1})
	release, err := l.AcquireUser("alice")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.AcquireUser("alice"); !errors.Is(err, ErrPerUser) || !errors.Is(err, ErrLimit) {
		t.Errorf("second login: %v, want ErrPerUser", err)
	}
	if _, err := l.AcquireUser("bob"); err != nil {
		t.Errorf("another user: %v", err)
	}
	release()
	if _, err := l.AcquireUser("alice"); err != nil {
		t.Errorf("after release: %v", err)
	}
}

func TestOneNetworkIsOneAddress(t *testing.T) {
	for _, pair := range [][2]string{
		{"2001:db8:1:2::1", "2001:db8:1:2:ffff::9"},
		{"fe80::1%eth0", "fe80::1%eth1"},
		{"192.0.2.1", "::ffff:192.0.2.1"},
	} {
		l := New(Limits{PerAddress: 1})
		mustConn(t, l, netip.MustParseAddr(pair[0]))
		refuseConn(t, l, netip.MustParseAddr(pair[1]), ErrPerAddress)
	}
	l := New(Limits{PerAddress: 1})
	mustConn(t, l, netip.MustParseAddr("2001:db8:1:2::1"))
	mustConn(t, l, netip.MustParseAddr("2001:db8:1:3::1"))
}

func TestNoAddressCountsInTotalOnly(t *testing.T) {
	l := New(Limits{Total: 2, PerAddress: 1})
	mustConn(t, l, netip.Addr{})
	mustConn(t, l, netip.Addr{})
	refuseConn(t, l, netip.Addr{}, ErrTotal)
}

func TestNoLimits(t *testing.T) {
	l := New(Limits{})
	for range 1000 {
		mustConn(t, l, hostA)
	}
}

func TestSetLimits(t *testing.T) {
	l := New(Limits{Total: 1})
	mustConn(t, l, hostA)
	refuseConn(t, l, hostB, ErrTotal)
	l.SetLimits(Limits{Total: 2})
	mustConn(t, l, hostB)
}

// Many at once: never more than the limit open, and nothing counted at the end.
func TestConcurrent(t *testing.T) {
	l := New(Limits{Total: 5, PerAddress: 3, PerUser: 2})
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for range 500 {
				conn, err := l.AcquireConn([]netip.Addr{hostA, hostB}[i%2])
				if err != nil {
					continue
				}
				if n := l.Open(); n > 5 {
					t.Errorf("%d open, limit 5", n)
				}
				if user, err := l.AcquireUser("alice"); err == nil {
					user()
				}
				conn()
			}
		})
	}
	wg.Wait()
	if l.total != 0 || len(l.byAddr) != 0 || len(l.byUser) != 0 {
		t.Errorf("left over: total %d, addresses %v, users %v", l.total, l.byAddr, l.byUser)
	}
}

func mustConn(t *testing.T, l *Limiter, addr netip.Addr) func() {
	t.Helper()
	release, err := l.AcquireConn(addr)
	if err != nil {
		t.Fatalf("AcquireConn(%v): %v", addr, err)
	}
	return release
}

func refuseConn(t *testing.T, l *Limiter, addr netip.Addr, want error) {
	t.Helper()
	if _, err := l.AcquireConn(addr); !errors.Is(err, want) || !errors.Is(err, ErrLimit) {
		t.Errorf("AcquireConn(%v): %v, want %v", addr, err, want)
	}
}
