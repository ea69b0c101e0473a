package main

import (
	"fmt"
	"time"
)

// selectFamily is SELECT, cold and warm. Servers are started anew before each
// round, so that nobody has the folder open; another user has been there before, so
// that no server is at its first steps.
func selectFamily(n int) family {
	warmBounds := bounds{wall: 0.5}
	if n >= 1_000_000 {
		warmBounds.most = 20 * time.Millisecond
	}
	f := family{
		name: "select", messages: n, links: true,
		build: func(s *site) error {
			if err := s.rig.corpus.fill(s.maildir(idleUser(0)), 2, true); err != nil {
				return err
			}
			return s.rig.corpus.fill(s.inbox(), n, true)
		},
		works: []work{
			{
				name: "select-cold", title: "SELECT with no index", floor: &floorNames, judge: bounds{cpu: 0.7},
				prepare: func(s *site) error {
					return s.anew(func() error { return s.forget(true) })
				},
				run: selectInbox(n),
			},
			{
				name: "select-warm", title: "SELECT warm", judge: warmBounds,
				prepare: func(s *site) error {
					if err := s.visit(); err != nil {
						return err
					}
					return s.anew(nil)
				},
				run: selectInbox(n),
			},
		},
	}
	if n > mostFiles {
		f.works, f.sides = f.works[1:], []side{postroomSide, bestSide}
	}
	return f
}

// anew starts the server again, after f, and has another user visit it.
func (s *site) anew(f func() error) error {
	if err := s.restart(f); err != nil {
		return err
	}
	c, err := s.loginAs(idleUser(0), nil, 4<<10)
	if err != nil {
		return err
	}
	if _, err := c.do("SELECT INBOX"); err != nil {
		return err
	}
	return c.logout()
}

// visit selects INBOX once and logs out, so that the server knows it.
func (s *site) visit() error {
	c, err := s.selected("INBOX")
	if err != nil {
		return err
	}
	if err := c.logout(); err != nil {
		return err
	}
	_, err = s.rest()
	return err
}

// selectInbox measures SELECT of a folder of n messages, after a login.
func selectInbox(n int) func(s *site) (sample, error) {
	return func(s *site) (sample, error) {
		c, err := s.login()
		if err != nil {
			return sample{}, err
		}
		defer c.Close()
		got, err := s.measure(func() (string, error) {
			a, err := c.do("SELECT INBOX")
			if err == nil && a.exists != n {
				err = fmt.Errorf("%d messages of %d", a.exists, n)
			}
			return "", err
		})
		if err != nil {
			return sample{}, err
		}
		return got, c.logout()
	}
}
