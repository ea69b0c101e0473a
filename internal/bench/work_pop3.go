package main

import "fmt"

// pop3Works go on the trees of readFamily.
func pop3Works(n int) []work {
	return []work{{
		name: "pop3", title: "POP3: log in, UIDL, RETR all", floor: &floorReadSend, judge: bounds{cpu: 0.6},
		run: func(s *site) (sample, error) {
			return s.measure(func() (string, error) { return "", s.popAll(n) })
		},
	}}
}

// popAll loads a maildrop of n messages, as a client that has none of them.
func (s *site) popAll(n int) error {
	c, err := dialPOP3(s.pop3, "bench")
	if err != nil {
		return err
	}
	defer c.Close()
	lines, _, err := c.multi("UIDL")
	if err != nil {
		return err
	}
	if lines != n {
		return fmt.Errorf("UIDL lists %d messages of %d", lines, n)
	}
	var octets int64
	for i := range n {
		_, got, err := c.multi(fmt.Sprintf("RETR %d", i+1))
		if err != nil {
			return err
		}
		octets += got
	}
	if want := int64(s.rig.corpus.wire(n)); octets != want {
		return fmt.Errorf("RETR gave %d octets, not %d", octets, want)
	}
	return c.quit()
}
