package main

import "fmt"

// sessionFamily is sessions that do nothing but begin and end, as phones have them.
func sessionFamily(n int, o options) family {
	k := 1000
	if o.quick {
		k = 200
	}
	return family{
		name: "session", messages: n, links: true,
		works: []work{{
			name: "sessions", title: fmt.Sprintf("log in, SELECT, log out, %s times", count(k)), judge: bounds{cpu: 0.1},
			prepare: func(s *site) error { return s.visit() },
			run: func(s *site) (sample, error) {
				return s.measure(func() (string, error) {
					for range k {
						c, err := s.selected("INBOX")
						if err != nil {
							return "", err
						}
						if err := c.logout(); err != nil {
							return "", err
						}
					}
					return "", nil
				})
			},
		}},
	}
}
