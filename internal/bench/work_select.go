package main

import (
	"fmt"
	"time"
)

// selectFamily is SELECT, cold and warm. Servers are started anew before each
// round, so that nobody has the folder open; the session has selected another one
// before, so that no process is at its first steps.
func selectFamily(n int) family {
	warmBounds := bounds{wall: 0.5}
	if n >= 1_000_000 {
		warmBounds.most = 20 * time.Millisecond
	}
	f := family{
		name: "select", messages: n, links: true,
		works: []work{
			{
				name: "select-cold", title: "SELECT with no index", floor: &floorNames, judge: bounds{cpu: 0.7},
				prepare: func(s *site) error {
					if err := emptyMailbox("Empty")(s); err != nil {
						return err
					}
					return s.restart(func() error { return s.forget(true) })
				},
				run: selectInbox(n),
			},
			{
				name: "select-warm", title: "SELECT warm", judge: warmBounds,
				prepare: func(s *site) error {
					if err := emptyMailbox("Empty")(s); err != nil {
						return err
					}
					if err := s.visit(); err != nil {
						return err
					}
					return s.restart(nil)
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

// selectInbox measures SELECT of a folder of n messages.
func selectInbox(n int) func(s *site) (sample, error) {
	return func(s *site) (sample, error) {
		c, err := s.selected("Empty")
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
