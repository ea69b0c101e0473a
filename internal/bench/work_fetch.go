package main

import (
	"errors"
	"fmt"
	"sync"
)

const (
	fetchFlags    = "UID FETCH 1:* (FLAGS)"
	fetchEnvelope = "UID FETCH 1:* (ENVELOPE INTERNALDATE RFC822.SIZE BODYSTRUCTURE)"
	fetchFields   = "UID FETCH 1:* BODY.PEEK[HEADER.FIELDS (DATE FROM TO CC SUBJECT MESSAGE-ID REFERENCES CONTENT-TYPE)]"
	fetchBody     = "UID FETCH 1:* BODY.PEEK[]"
)

// readFamily reads a folder, in the ways that clients do.
func readFamily(n int) family {
	works := append(fetchWorks(n), searchWorks()...)
	return family{name: "read", messages: n, links: true, works: append(works, pop3Works(n)...)}
}

func fetchWorks(n int) []work {
	send := floorSend(func(s sample) float64 { return s.values["octets"] })
	return []work{
		{
			name: "fetch-flags", title: "UID FETCH 1:* (FLAGS)", floor: &send, judge: bounds{cpu: 0.5},
			run: fetching(n, fetchFlags, nil),
		},
		{
			name: "fetch-envelope-first", title: "UID FETCH 1:* (ENVELOPE INTERNALDATE RFC822.SIZE BODYSTRUCTURE), first",
			floor: &floorRead, judge: bounds{cpu: 0.7},
			prepare: func(s *site) error { return s.restart(func() error { return s.forget(false) }) },
			run:     fetching(n, fetchEnvelope, nil),
		},
		{
			name: "fetch-envelope", title: "the same repeated", floor: &send, judge: bounds{cpu: 0.25},
			prepare: once("envelope", fetchEnvelope), run: fetching(n, fetchEnvelope, nil),
		},
		{
			name: "fetch-fields", title: "UID FETCH 1:* BODY.PEEK[HEADER.FIELDS (...)] repeated", floor: &send, judge: bounds{cpu: 0.5},
			prepare: once("fields", fetchFields), run: fetching(n, fetchFields, nil),
		},
		{
			name: "fetch-body", title: "UID FETCH 1:* BODY.PEEK[]", floor: &floorReadSend, judge: bounds{cpu: 0.6, floor: 1.5},
			run: fetching(n, fetchBody, func(s *site) int64 { return int64(s.rig.corpus.wire(n)) }),
		},
		{
			name: "fetch-body-8", title: "the same, eight connections, an eighth each", floor: &floorReadSend, judge: bounds{cpu: 0.6, floor: 1.5},
			run: fetchingEight(n),
		},
	}
}

// once runs a command twice on each site before its first round: Dovecot decides at the
// first what it will keep in its cache.
func once(key, cmd string) func(s *site) error {
	return func(s *site) error {
		if s.keep[key] != nil {
			return nil
		}
		s.keep[key] = true
		for range 2 {
			c, err := s.selected("INBOX")
			if err != nil {
				return err
			}
			if _, err := c.do(cmd); err != nil {
				return err
			}
			if err := c.logout(); err != nil {
				return err
			}
		}
		return nil
	}
}

// fetching measures a FETCH of n messages in a new session; literals, where not
// nil, is how many octets have to come in literals.
func fetching(n int, cmd string, literals func(s *site) int64) func(s *site) (sample, error) {
	return func(s *site) (sample, error) {
		c, err := s.selected("INBOX")
		if err != nil {
			return sample{}, err
		}
		defer c.Close()
		var a *answer
		got, err := s.measure(func() (string, error) {
			if a, err = c.do(cmd); err != nil {
				return "", err
			}
			if a.fetch != n {
				return "", fmt.Errorf("%d answers for %d messages", a.fetch, n)
			}
			if literals != nil && a.literals != literals(s) {
				return "", fmt.Errorf("%d octets in literals, not %d", a.literals, literals(s))
			}
			return "", nil
		})
		if err != nil {
			return sample{}, err
		}
		got.values = map[string]float64{"octets": float64(a.octets)}
		return got, c.logout()
	}
}

// fetchingEight has eight sessions fetch whole messages, an eighth each.
func fetchingEight(n int) func(s *site) (sample, error) {
	const sessions = 8
	return func(s *site) (sample, error) {
		var conns [sessions]*imapConn
		for i := range conns {
			c, err := s.selected("INBOX")
			if err != nil {
				return sample{}, err
			}
			defer c.Close()
			conns[i] = c
		}
		answers := make([]*answer, sessions)
		errs := make([]error, sessions)
		got, err := s.measure(func() (string, error) {
			var wg sync.WaitGroup
			for i, c := range conns {
				wg.Go(func() {
					answers[i], errs[i] = c.do(fmt.Sprintf("FETCH %d:%d BODY.PEEK[]", n*i/sessions+1, n*(i+1)/sessions))
				})
			}
			wg.Wait()
			return "", errors.Join(errs...)
		})
		if err != nil {
			return sample{}, err
		}
		var octets int64
		for i, c := range conns {
			octets += answers[i].literals
			if err := c.logout(); err != nil {
				return sample{}, err
			}
		}
		if want := int64(s.rig.corpus.wire(n)); octets != want {
			return sample{}, fmt.Errorf("%d octets in literals, not %d", octets, want)
		}
		return got, nil
	}
}
