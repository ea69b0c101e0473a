package auth

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// together makes logins of one moment, each begun before any has gone on, and
// gives how long each took, the shortest first.
func together(t *testing.T, s *Service, logins ...Request) []time.Duration {
	t.Helper()
	began := time.Now()
	took := make([]time.Duration, len(logins))
	var all sync.WaitGroup
	for i, r := range logins {
		all.Go(func() {
			_, _ = s.Authenticate(t.Context(), r)
			took[i] = time.Since(began).Truncate(time.Second)
		})
		time.Sleep(time.Microsecond) // they begin in this order
	}
	all.Wait()
	slices.Sort(took)
	return took
}

// timed is a Service in the time of a bubble; it hesitates before it sleeps, so that all attempts of one
// moment have begun by then.
func timed(t *testing.T, text string) *Service {
	t.Helper()
	s, err := New(Options{
		Users: usersFile(t, text),
		Sleep: func(ctx context.Context, d time.Duration) error {
			time.Sleep(time.Millisecond)
			return sleep(ctx, d)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func seconds(list ...int) (out []time.Duration) {
	for _, n := range list {
		out = append(out, time.Duration(n)*time.Second)
	}
	return out
}

// Guesses made at once wait as they would one after the other.
func TestGuessesAtOnceWait(t *testing.T) {
	want := seconds(0, 0, 0, 1, 2, 4, 8, 15, 15, 15, 15, 15)
	for name, guess := range map[string]func(i int) Request{
		"one address": func(i int) Request {
			return Request{RemoteAddr: here, User: "user" + string(rune('a'+i)), Password: "wrong"}
		},
		"one user": func(i int) Request {
			return Request{RemoteAddr: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), User: "alice", Password: "wrong"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := timed(t, "alice:{PLAIN}secret\n")
				var guesses []Request
				for i := range want {
					guesses = append(guesses, guess(i))
				}
				if got := together(t, s, guesses...); !slices.Equal(got, want) {
					t.Errorf("waits of %v\nwant     %v", got, want)
				}
				if got := together(t, s, guess(0)); !slices.Equal(got, seconds(15)) {
					t.Error("the failures are forgotten:", got)
				}
			})
		})
	}
}

// Who knows the password does not wait for others who know theirs, at one address or as one user.
func TestLoginsAtOnceDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := timed(t, "alice:{PLAIN}secret\n")
		var logins []Request
		for range 50 {
			logins = append(logins, Request{RemoteAddr: here, User: "alice", Password: "secret"})
		}
		if got := together(t, s, logins...); got[len(got)-1] != 0 {
			t.Errorf("waits of %v", got)
		}
		if n := len(s.throttle.marks); n != 0 {
			t.Errorf("%d marks are left of logins", n)
		}
	})
}

// A login gives back its own place, and its user's failures; guesses beside it go on waiting.
func TestLoginGivesBackItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := timed(t, "alice:{PLAIN}secret\n")
		good := Request{RemoteAddr: here, User: "alice", Password: "secret"}
		bad := Request{RemoteAddr: here, User: "bob", Password: "guess"}
		if got, want := together(t, s, bad, bad, good, bad, bad), seconds(0, 0, 0, 0, 1); !slices.Equal(got, want) {
			t.Errorf("four guesses and a login: %v, want %v", got, want)
		}
		// Four failures of the address stay: 2 s, 4 s and so on; a login among them makes those behind it faster, not free.
		got := together(t, s, bad, good, bad, bad)
		if got[0] != 2*time.Second || got[3] < 8*time.Second {
			t.Errorf("after four failures: %v", got)
		}
	})
}

// What an attempt ends is its own wait, not another's: one begun before there were failures, too.
func TestEndIsOnesOwn(t *testing.T) {
	now := time.Unix(1000, 0)
	th := newThrottle(func() time.Time { return now })
	early := th.begin(here, "alice")
	for range 3 {
		th.begin(here, "alice").end(failed)
	}
	second := th.begin(here, "alice")
	third := th.begin(here, "alice")
	if early.delay != 0 || second.delay != 2*time.Second || third.delay != 4*time.Second {
		t.Error("three failures and one under way:", early.delay, second.delay, third.delay)
	}
	third.end(undecided)
	early.end(failed)
	if d := th.begin(here, "alice").delay; d != 4*time.Second {
		t.Error("four failures and one under way:", d)
	}
	if second.delay != 2*time.Second {
		t.Error("a wait that began got longer:", second.delay)
	}
	second.end(undecided)
}

// Who gives up while waiting has guessed nothing, and is in nobody's way.
func TestGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := timed(t, "alice:{PLAIN}secret\n")
		bad := Request{RemoteAddr: here, User: "alice", Password: "guess"}
		together(t, s, bad, bad, bad, bad) // 2 s from now on
		ctx, cancel := context.WithCancel(t.Context())
		for range 5 {
			go func() {
				if _, err := s.Authenticate(ctx, bad); err == nil {
					t.Error("logged in")
				}
			}()
		}
		time.Sleep(time.Second)
		began := time.Now()
		took := make(chan time.Duration)
		go func() {
			_, _ = s.Authenticate(t.Context(), bad)
			took <- time.Since(began).Truncate(time.Second)
		}()
		time.Sleep(500 * time.Millisecond)
		cancel()
		if d := <-took; d != 2*time.Second {
			t.Errorf("a wait of %v behind five who gave up", d)
		}
	})
}

// However many fail, what is remembered is bounded; attempts under way are not forgotten.
func TestThrottleMemory(t *testing.T) {
	now := time.Unix(1000, 0)
	th := newThrottle(func() time.Time { return now })
	under := []*attempt{th.begin(here, "alice"), th.begin(here, "alice"), th.begin(here, "alice")}
	for i := range maxTracked + 10 {
		th.begin(netip.AddrFrom4([4]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}), "x").end(failed)
	}
	if n := len(th.marks); n > maxTracked+2 {
		t.Error("memory is not bounded:", n)
	}
	if d := th.begin(here, "alice").delay; d != time.Second {
		t.Error("the fourth at once waits", d)
	}
	for _, a := range under {
		a.end(undecided)
	}
}
