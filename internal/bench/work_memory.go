package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"postroom/internal/account"
)

// openFamily is the memory that a folder takes while somebody has it open.
func openFamily(n int) family {
	return family{
		name: "open", messages: n, links: true, sides: []side{postroomSide, bestSide},
		works: []work{{
			name: "open", title: "open folder", rounds: 1, run: opening(n),
			prepare: func(s *site) error {
				if err := emptyMailbox("Empty")(s); err != nil {
					return err
				}
				return s.visit()
			},
			judge: bounds{figures: []figure{
				{key: "heap", title: "open folder: live heap a message", unit: "octets", most: 200},
				{key: "pss", title: "open folder: PSS a message", unit: "octets", most: 400},
				{key: "left", title: "the same three minutes after the last session has left it, or when a tenth is left", unit: "octets", most: 40},
				{key: "after", title: "the time until then", unit: "s"},
			}},
		}},
	}
}

// opening tells the memory that SELECT takes, and that the end of the session gives back.
func opening(n int) func(s *site) (sample, error) {
	return func(s *site) (sample, error) {
		if err := s.restart(nil); err != nil {
			return sample{}, err
		}
		// What a server needs for any session is not the folder's.
		c, err := s.selected("Empty")
		if err != nil {
			return sample{}, err
		}
		defer c.Close()
		none, err := s.memory()
		if err != nil {
			return sample{}, err
		}
		a, err := c.do("SELECT INBOX")
		if err != nil {
			return sample{}, err
		}
		if a.exists != n {
			return sample{}, fmt.Errorf("%d messages of %d", a.exists, n)
		}
		// What is read only when it is asked for counts as well.
		if _, err := c.do(fetchFlags); err != nil {
			return sample{}, err
		}
		open, err := s.memory()
		if err != nil {
			return sample{}, err
		}
		if _, err := c.do("SELECT Empty"); err != nil {
			return sample{}, err
		}
		closed, after, err := s.givenBack(none + (open-none)/10)
		if err != nil {
			return sample{}, err
		}
		got := sample{values: map[string]float64{
			"pss": float64(open-none) / float64(n), "left": float64(closed-none) / float64(n), "after": after.Seconds(),
		}}
		if !s.side.dovecot {
			heap, err := s.liveHeap(n)
			if err != nil {
				return sample{}, err
			}
			got.values["heap"] = heap
		}
		return got, c.logout()
	}
}

const (
	memoryStep = time.Second
	memoryNeed = 8  // seconds without 1 % less
	memoryMost = 45 // seconds
)

// memory waits until the server gives no more memory back, and tells its PSS.
func (s *site) memory() (int64, error) {
	least, since := int64(1<<62), 0
	for range memoryMost {
		pids, err := s.group.pids()
		if err != nil {
			return 0, err
		}
		now, err := pss(pids)
		if err != nil {
			return 0, err
		}
		if now < least-least/100 {
			since = 0
		}
		least = min(least, now)
		if since++; since > memoryNeed {
			break
		}
		time.Sleep(memoryStep)
	}
	return least, nil
}

// givenBack waits until the server's PSS is no more than wanted, and tells what it
// is then and how long that took. A folder may be kept for a while for who comes next, and a
// collector has its own time.
func (s *site) givenBack(wanted int64) (now int64, after time.Duration, err error) {
	most := 3 * time.Minute
	if s.side.dovecot {
		most = 10 * time.Second // it gives back at once, or with the process
	}
	for begin := time.Now(); ; time.Sleep(memoryStep) {
		pids, err := s.group.pids()
		if err != nil {
			return 0, 0, err
		}
		if now, err = pss(pids); err != nil {
			return 0, 0, err
		}
		after = time.Since(begin)
		if now <= wanted || after > most {
			return now, after, nil
		}
	}
}

// liveHeap opens the folder in this process, where the heap can be asked after a
// collection, and tells the octets a message. The server is stopped for it.
func (s *site) liveHeap(n int) (float64, error) {
	if err := s.stop(); err != nil {
		return 0, err
	}
	svc, err := account.New(account.Config{Root: s.maildir("{user}"), Separator: '/', UIDL: "dovecot", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return 0, err
	}
	defer svc.Close()
	ctx := context.Background()
	u, err := svc.Open(ctx, "bench")
	if err != nil {
		return 0, err
	}
	defer u.Close()
	empty, err := u.Select(ctx, "Empty", true)
	if err != nil {
		return 0, err
	}
	empty.Close()
	before := heap()
	m, err := u.Select(ctx, "INBOX", false)
	if err != nil {
		return 0, err
	}
	now := m.Current()
	seen := 0
	for i := range now.Len() {
		if now.UID(i) > 0 && now.Flags(i) != 0 {
			seen++
		}
	}
	after := heap()
	runtime.KeepAlive(now)
	m.Close()
	if now.Len() != n || seen == 0 {
		return 0, fmt.Errorf("%d messages of %d, %d with flags", now.Len(), n, seen)
	}
	// What was written here is root's now.
	return float64(after-before) / float64(n), s.rig.owner.giveTree(s.inbox())
}

// heap is the octets of the objects that a collection has found to be alive.
func heap() int64 {
	var m runtime.MemStats
	for range 2 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// idleFamily is many connections that do nothing, of 1,000 users.
func idleFamily(secure bool) family {
	how, most := "plain", 8.0
	if secure {
		how, most = "TLS", 32
	}
	const connections = 10_000
	return family{
		name: "idle-" + how, messages: 2, sides: []side{postroomSide, bestSide},
		build: func(s *site) error {
			for i := range idleUsers {
				if err := s.rig.corpus.fill(s.maildir(idleUser(i)), 2, true); err != nil {
					return err
				}
			}
			return s.rig.corpus.fill(s.inbox(), 2, true)
		},
		works: []work{{
			name: "idle-" + how, title: "idle connections", rounds: 1, run: idling(connections, secure),
			judge: bounds{figures: []figure{
				{key: "pss", title: fmt.Sprintf("%s idle connections (Dovecot: %s), %s: PSS a connection", count(connections), count(dovecotIdle), how), unit: "KiB", most: most},
				{key: "cpu", title: "the same: CPU from the connection to IDLE", unit: "ms"},
			}},
		}},
	}
}

// dovecotIdle is fewer, since each is a process.
const dovecotIdle = 500

// idling makes connections that log in, SELECT INBOX and IDLE.
func idling(connections int, secure bool) func(s *site) (sample, error) {
	return func(s *site) (sample, error) {
		k := connections
		if s.side.dovecot {
			k = dovecotIdle
		}
		var conf *tls.Config
		if secure {
			conf = clientTLS()
		}
		none, err := s.memory()
		if err != nil {
			return sample{}, err
		}
		conns := make([]*imapConn, k)
		defer func() {
			for _, c := range conns {
				if c != nil {
					c.Close()
				}
			}
		}()
		got, err := s.measure(func() (string, error) { return "", s.idleAll(conns, conf) })
		if err != nil {
			return sample{}, err
		}
		all, err := s.memory()
		if err != nil {
			return sample{}, err
		}
		got.values = map[string]float64{"pss": float64(all-none) / 1024 / float64(k), "cpu": got.cpu.Seconds() * 1e3 / float64(k)}
		return got, nil
	}
}

func (s *site) idleAll(conns []*imapConn, conf *tls.Config) error {
	const workers = 8
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(conns) && errs[w] == nil; i += workers {
				c, err := s.loginAs(idleUser(i%idleUsers), conf, 512)
				if err != nil {
					errs[w] = err
					return
				}
				conns[i] = c
				if _, err = c.do("SELECT INBOX"); err == nil {
					_, err = c.idle()
				}
				errs[w] = err
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
