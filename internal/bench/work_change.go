package main

import (
	"bytes"
	"fmt"
	"os"
)

// touched is how many messages STORE, COPY, MOVE and EXPUNGE are of.
const touched = 10_000

// changeFamily changes what stays in its folder, so that one tree does for all rounds.
func changeFamily(n int) family {
	part := min(n, touched)
	return family{
		name: "change", messages: n, links: true, durable: true,
		works: []work{
			{
				name: "store", title: fmt.Sprintf("STORE of %s", count(part)), part: part, floor: &floorRename,
				judge: bounds{cpu: 1.15, floor: 1.3}, run: storing(part),
			},
			{
				name: "copy", title: fmt.Sprintf("COPY of %s", count(part)), part: part, floor: &floorLink,
				judge: bounds{cpu: 0.5, floor: 1.6}, prepare: emptyMailbox("Copies"), run: copying(part),
			},
		},
	}
}

// takeFamily takes messages away, so that each round has a tree of its own.
func takeFamily(n int) family {
	return family{
		name: "take", messages: n, durable: true,
		works: []work{
			{
				name: "move", title: fmt.Sprintf("MOVE of %s", count(n)), floor: &floorRename,
				judge: bounds{cpu: 0.5, floor: 1.6},
				prepare: func(s *site) error {
					if err := s.renew(n); err != nil {
						return err
					}
					return emptyMailbox("Moved")(s)
				},
				run: moving(n),
			},
			{
				name: "expunge", title: fmt.Sprintf("EXPUNGE of %s", count(n)), floor: &floorUnlink,
				judge:   bounds{cpu: 0.5, floor: 1.6},
				prepare: func(s *site) error { return s.renew(n) },
				run:     expunging(n),
			},
		},
	}
}

// storing gives n messages a flag, and takes it away in the next round.
func storing(n int) func(s *site) (sample, error) {
	return func(s *site) (sample, error) {
		c, err := s.selected("INBOX")
		if err != nil {
			return sample{}, err
		}
		defer c.Close()
		sign := "+"
		if s.keep["flagged"] == true {
			sign = "-"
		}
		s.keep["flagged"] = sign == "+"
		got, err := s.measure(func() (string, error) {
			a, err := c.do(fmt.Sprintf(`STORE 1:%d %sFLAGS (\Flagged)`, n, sign))
			if err == nil && a.fetch != n {
				err = fmt.Errorf("%d answers for %d messages", a.fetch, n)
			}
			return "", err
		})
		if err != nil {
			return sample{}, err
		}
		return got, c.logout()
	}
}

// emptyMailbox makes a mailbox anew.
func emptyMailbox(name string) func(s *site) error {
	return func(s *site) error {
		c, err := s.login()
		if err != nil {
			return err
		}
		tag, err := c.send("DELETE " + name)
		if err != nil {
			return err
		}
		if _, err := c.d.until(tag); err != nil { // NO the first time
			return err
		}
		if _, err := c.do("CREATE " + name); err != nil {
			return err
		}
		return c.logout()
	}
}

// mailboxHas asks how many messages a mailbox has.
func (c *imapConn) mailboxHas(name string, want int) error {
	tag, err := c.send("STATUS " + name + " (MESSAGES)")
	if err != nil {
		return err
	}
	has := -1
	for {
		l, err := c.d.line()
		if err != nil {
			return err
		}
		if i := bytes.Index(l, []byte("(MESSAGES ")); i >= 0 {
			fmt.Sscanf(string(l[i:]), "(MESSAGES %d", &has)
		}
		if bytes.HasPrefix(l, []byte(tag+" ")) {
			break
		}
	}
	if has != want {
		return fmt.Errorf("%s has %d messages, not %d", name, has, want)
	}
	return nil
}

func copying(n int) func(s *site) (sample, error) {
	return func(s *site) (sample, error) {
		c, err := s.selected("INBOX")
		if err != nil {
			return sample{}, err
		}
		defer c.Close()
		got, err := s.measure(func() (string, error) {
			_, err := c.do(fmt.Sprintf("COPY 1:%d Copies", n))
			return "", err
		})
		if err != nil {
			return sample{}, err
		}
		if err := c.mailboxHas("Copies", n); err != nil {
			return sample{}, err
		}
		return got, c.logout()
	}
}

// renew makes the tree anew and has the server see it.
func (s *site) renew(n int) error {
	err := s.restart(func() error {
		if err := os.RemoveAll(s.inbox()); err != nil {
			return err
		}
		return s.rig.corpus.fill(s.inbox(), n, false)
	})
	if err != nil {
		return err
	}
	if err := s.visit(); err != nil {
		return err
	}
	return s.rig.settle()
}

func moving(n int) func(s *site) (sample, error) {
	return func(s *site) (sample, error) {
		c, err := s.selected("INBOX")
		if err != nil {
			return sample{}, err
		}
		defer c.Close()
		got, err := s.measure(func() (string, error) {
			a, err := c.do(fmt.Sprintf("MOVE 1:%d Moved", n))
			if err == nil && a.expunge != n {
				err = fmt.Errorf("%d EXPUNGEs for %d messages", a.expunge, n)
			}
			return "", err
		})
		if err != nil {
			return sample{}, err
		}
		if err := c.mailboxHas("Moved", n); err != nil {
			return sample{}, err
		}
		return got, c.logout()
	}
}

func expunging(n int) func(s *site) (sample, error) {
	return func(s *site) (sample, error) {
		c, err := s.selected("INBOX")
		if err != nil {
			return sample{}, err
		}
		defer c.Close()
		if _, err := c.do(`STORE 1:* +FLAGS.SILENT (\Deleted)`); err != nil {
			return sample{}, err
		}
		if err := s.rig.settle(); err != nil {
			return sample{}, err
		}
		got, err := s.measure(func() (string, error) {
			a, err := c.do("EXPUNGE")
			if err == nil && a.expunge != n {
				err = fmt.Errorf("%d EXPUNGEs for %d messages", a.expunge, n)
			}
			return "", err
		})
		if err != nil {
			return sample{}, err
		}
		return got, c.logout()
	}
}
