package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// smallFolder is the folder that CPU for a delivery is compared with.
const smallFolder = 1000

// pushFamily is what happens between a delivery and what the client hears of it.
func pushFamily(n int) family {
	sides := allSides
	if n >= 1_000_000 {
		sides = []side{postroomSide} // a rescan for each delivery says nothing new
	}
	f := family{
		name: "push", messages: n, links: true, sides: sides,
		works: []work{{
			name: "push", title: "IDLE push", rounds: 3, run: pushing(n),
			judge: bounds{figures: []figure{
				{key: "p50", title: "rename into new/ to * n EXISTS, p50", unit: "ms"},
				{key: "p99", title: "rename into new/ to * n EXISTS, p99", unit: "ms", most: 5},
				{key: "disk", title: "for comparison: fsync of a line appended to a file, p99", unit: "ms"},
				{key: "cpu", title: "CPU of a delivery", unit: "ms"},
				{key: "growth", title: "CPU of a delivery, as a multiple of that at 1,000", unit: "", most: 1.25},
			}},
		}},
	}
	if n <= mostFiles {
		f.works = append(f.works, work{
			name: "watchers", title: "1,000 watchers", sides: []side{postroomSide}, rounds: 3, run: watching(1000),
			judge: bounds{figures: []figure{
				{key: "last", title: "1,000 watchers of a folder: rename into new/ to the last * n EXISTS, worst of 20", unit: "ms", most: 50},
				{key: "median", title: "the same, median of 20", unit: "ms"},
				{key: "cpu", title: "1,000 watchers of a folder: CPU of a delivery", unit: "ms"},
			}},
		})
	}
	return f
}

// deliver puts a message into new/ of INBOX and tells when its rename began.
func (s *site) deliver() (time.Time, error) {
	n, _ := s.keep["delivered"].(int)
	s.keep["delivered"] = n + 1
	text, err := os.ReadFile(s.rig.corpus.path(n % len(s.rig.corpus.mails)))
	if err != nil {
		return time.Time{}, err
	}
	name := fmt.Sprintf("%d.M%06dP%d_%d.bench", time.Now().Unix(), n%1000000, os.Getpid(), n)
	from, to := filepath.Join(s.inbox(), "tmp", name), filepath.Join(s.inbox(), "new", name)
	if err := os.WriteFile(from, text, 0o600); err != nil {
		return time.Time{}, err
	}
	if err := s.rig.owner.give(from); err != nil {
		return time.Time{}, err
	}
	begin := time.Now()
	return begin, os.Rename(from, to)
}

// idler is a connection of bench that watches INBOX, and how many messages it has been told of.
type idler struct {
	*imapConn
	tag    string
	exists int
}

func (s *site) idler(buffer int) (*idler, error) {
	c, err := s.loginAs("bench", nil, buffer)
	if err != nil {
		return nil, err
	}
	a, err := c.do("SELECT INBOX")
	if err != nil {
		c.Close()
		return nil, err
	}
	tag, err := c.idle()
	if err != nil {
		c.Close()
		return nil, err
	}
	return &idler{imapConn: c, tag: tag, exists: a.exists}, nil
}

// awaitMore reads until the next message is told of.
func (i *idler) awaitMore() error {
	i.exists++
	return i.awaitExists(i.exists)
}

func (i *idler) end() error {
	if _, err := i.done(i.tag); err != nil {
		return err
	}
	return i.logout()
}

func pushing(n int) func(s *site) (sample, error) {
	return func(s *site) (sample, error) {
		deliveries := 300
		if s.side.dovecot {
			deliveries = 20
		}
		i, err := s.idler(64 << 10)
		if err != nil {
			return sample{}, err
		}
		defer i.Close()
		disk, err := s.rig.syncWaits(100)
		if err != nil {
			return sample{}, err
		}
		var waits []float64
		got, err := s.measure(func() (string, error) {
			for range deliveries {
				begin, err := s.deliver()
				if err != nil {
					return "", err
				}
				i.SetDeadline(time.Now().Add(time.Minute))
				if err := i.awaitMore(); err != nil {
					return "", fmt.Errorf("waiting for a delivery: %w", err)
				}
				waits = append(waits, time.Since(begin).Seconds()*1e3)
				// Mail does not come back to back.
				time.Sleep(5 * time.Millisecond)
			}
			return "", nil
		})
		if err != nil {
			return sample{}, err
		}
		per := got.cpu.Seconds() * 1e3 / float64(deliveries)
		got.values = map[string]float64{"p50": quantile(waits, 0.5), "p99": quantile(waits, 0.99), "cpu": per, "disk": quantile(disk, 0.99)}
		if s.side == postroomSide && n == smallFolder {
			s.rig.perDelivery = append(s.rig.perDelivery, per)
		} else if s.side == postroomSide && len(s.rig.perDelivery) > 0 {
			got.values["growth"] = per / median(s.rig.perDelivery)
		}
		return got, i.end()
	}
}

// syncWaits tells what the disk alone takes: no delivery has a UID that lasts before
// a line is synced. In ms.
func (r *rig) syncWaits(n int) ([]float64, error) {
	f, err := os.CreateTemp(r.dir, "sync")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	var waits []float64
	for range n {
		begin := time.Now()
		if _, err := f.WriteString("7 :1700000000.M1P1.bench\n"); err != nil {
			return nil, err
		}
		if err := f.Sync(); err != nil {
			return nil, err
		}
		waits = append(waits, time.Since(begin).Seconds()*1e3)
	}
	return waits, nil
}

// watching has many sessions watch one folder.
func watching(watchers int) func(s *site) (sample, error) {
	const deliveries = 20
	return func(s *site) (sample, error) {
		idlers := make([]*idler, watchers)
		for k := range idlers {
			i, err := s.idler(1 << 10)
			if err != nil {
				return sample{}, err
			}
			defer i.Close()
			idlers[k] = i
		}
		var last []float64
		got, err := s.measure(func() (string, error) {
			for range deliveries {
				wait, err := s.allHear(idlers)
				if err != nil {
					return "", err
				}
				last = append(last, wait.Seconds()*1e3)
				time.Sleep(20 * time.Millisecond)
			}
			return "", nil
		})
		got.values = map[string]float64{"last": quantile(last, 1), "median": median(last), "cpu": got.cpu.Seconds() * 1e3 / deliveries}
		return got, err
	}
}

// allHear delivers a message and tells how long it took until all knew.
func (s *site) allHear(idlers []*idler) (time.Duration, error) {
	ends := make([]time.Time, len(idlers))
	errs := make([]error, len(idlers))
	var ready, done sync.WaitGroup
	ready.Add(len(idlers))
	for k, i := range idlers {
		done.Go(func() {
			i.SetDeadline(time.Now().Add(time.Minute))
			ready.Done()
			errs[k] = i.awaitMore()
			ends[k] = time.Now()
		})
	}
	ready.Wait()
	begin, err := s.deliver()
	done.Wait()
	var longest time.Duration
	for k, e := range ends {
		if err == nil {
			err = errs[k] // one of a thousand is enough
		}
		longest = max(longest, e.Sub(begin))
	}
	return longest, err
}
