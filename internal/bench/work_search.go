package main

import (
	"errors"
	"fmt"
)

// searchWorks go on the trees of readFamily.
func searchWorks() []work {
	const (
		headers = "UID SEARCH SUBJECT " + rareSubject
		body    = "UID SEARCH BODY " + rareBody
		since   = "UID SEARCH SINCE 1-Jun-2025"
		sent    = "UID SEARCH SENTSINCE 1-Feb-2024 SENTBEFORE 1-Mar-2024"
	)
	return []work{
		{
			name: "search-headers", title: "UID SEARCH SUBJECT, repeated", judge: bounds{cpu: 0.3},
			prepare: once("search headers", headers), run: searching(headers),
		},
		{
			name: "search-body", title: "UID SEARCH BODY", floor: &floorRead, judge: bounds{cpu: 0.5},
			run: searching(body),
		},
		{
			name: "search-since", title: "UID SEARCH SINCE, repeated", floor: &floorStat, judge: bounds{cpu: 0.1},
			prepare: once("search since", since), run: searching(since),
		},
		{
			name: "search-sent", title: "UID SEARCH SENTSINCE SENTBEFORE, repeated", judge: bounds{cpu: 0.1},
			prepare: once("search sent", sent), run: searching(sent),
		},
	}
}

// searching measures a search in a new session. All sides have to find as many, and something.
func searching(cmd string) func(s *site) (sample, error) {
	return func(s *site) (sample, error) {
		c, err := s.selected("INBOX")
		if err != nil {
			return sample{}, err
		}
		defer c.Close()
		got, err := s.measure(func() (string, error) {
			a, err := c.do(cmd)
			if err == nil && a.found == 0 {
				err = errors.New("nothing found")
			}
			return fmt.Sprint("found ", a.found), err
		})
		if err != nil {
			return sample{}, err
		}
		return got, c.logout()
	}
}
