package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// mixedFamily is eight clients at work in one folder.
func mixedFamily(n int, o options) family {
	span := 10 * time.Second
	if o.quick {
		span = 4 * time.Second
	}
	return family{
		name: "mixed", messages: n, links: true,
		works: []work{{
			name: "mixed", title: "mixed load", prepare: once("mixed", "UID SEARCH SUBJECT "+rareSubject), run: mixing(n, span),
			judge: bounds{figures: []figure{
				{key: "rate", title: "mixed load of 8 clients (fetch, store, append, search, expunge)", unit: "commands/s", ratioLeast: 20},
				{key: "cpu", title: "mixed load of 8 clients: CPU of a command", unit: "ms"},
			}},
		}},
	}
}

func mixing(n int, span time.Duration) func(s *site) (sample, error) {
	const clients = 8
	return func(s *site) (sample, error) {
		texts, err := s.rig.wireTexts(64)
		if err != nil {
			return sample{}, err
		}
		round, _ := s.keep["mixed rounds"].(int)
		s.keep["mixed rounds"] = round + 1
		var all [clients]*mixer
		for i := range all {
			c, err := s.selected("INBOX")
			if err != nil {
				return sample{}, err
			}
			defer c.Close()
			all[i] = &mixer{c: c, n: n, step: i, texts: texts, r: rand.New(rand.NewPCG(uint64(round), uint64(i)))}
		}
		var wall time.Duration
		got, err := s.measure(func() (string, error) {
			begin := time.Now()
			errs := make([]error, clients)
			var wg sync.WaitGroup
			for i, m := range all {
				wg.Go(func() { errs[i] = m.run(begin.Add(span)) })
			}
			wg.Wait()
			wall = time.Since(begin)
			return "", errors.Join(errs...)
		})
		if err != nil {
			return sample{}, err
		}
		commands := 0
		for _, m := range all {
			commands += m.commands
			if err := m.c.logout(); err != nil {
				return sample{}, err
			}
		}
		got.values = map[string]float64{
			"rate": float64(commands) / wall.Seconds(), "cpu": got.cpu.Seconds() * 1e3 / float64(commands),
		}
		return got, nil
	}
}

// mixer is one client of the mixed load. Its UIDs are chosen from those that the
// folder had at first; some of them are gone, as in life.
type mixer struct {
	c        *imapConn
	n        int
	step     int
	texts    [][]byte
	r        *rand.Rand
	commands int
}

func (m *mixer) run(until time.Time) error {
	for ; time.Now().Before(until); m.step++ {
		if err := m.one(); err != nil {
			return fmt.Errorf("step %d: %w", m.step, err)
		}
	}
	return nil
}

func (m *mixer) one() error {
	uid := 1 + m.r.IntN(m.n)
	switch m.step % 5 {
	case 0:
		return m.do(fmt.Sprintf("UID FETCH %d:%d (FLAGS ENVELOPE)", uid, uid+19))
	case 1:
		return m.do(fmt.Sprintf(`UID STORE %d %cFLAGS (\Flagged)`, uid, "+-"[m.r.IntN(2)]))
	case 2:
		var b bytes.Buffer
		tag := fmt.Sprint("b", m.step)
		appendCommand(&b, tag, m.texts[m.r.IntN(len(m.texts))])
		m.commands++
		if _, err := m.c.Write(b.Bytes()); err != nil {
			return err
		}
		return m.c.wantOK(tag)
	case 3:
		return m.do("UID SEARCH UNSEEN SUBJECT " + rareSubject)
	}
	if err := m.do(fmt.Sprintf(`UID STORE %d +FLAGS.SILENT (\Deleted)`, uid)); err != nil {
		return err
	}
	return m.do(fmt.Sprintf("UID EXPUNGE %d", uid))
}

// do takes for an answer too that another client has expunged what it is about (RFC 5530).
func (m *mixer) do(cmd string) error {
	m.commands++
	tag, err := m.c.send(cmd)
	if err != nil {
		return err
	}
	a, err := m.c.d.until(tag)
	if err == nil && a.status != "OK" && !strings.Contains(a.text, "[EXPUNGEISSUED]") {
		err = fmt.Errorf("%s: %s", cmd, a.text)
	}
	return err
}
