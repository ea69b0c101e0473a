package main

import (
	"fmt"
	"time"
)

// sample is one round of one side.
type sample struct {
	cpu, wall time.Duration
	answer    string             // what was answered, in a form that has to be equal on all sides
	values    map[string]float64 // other figures, in the units of the work
}

const (
	restStep = 40 * time.Millisecond
	restNeed = 3 // steps in a row with less CPU than restCPU
	restCPU  = 300 * time.Microsecond
	restMost = 10 * time.Second
)

// rest waits until the server does nothing any more, and tells its CPU time.
func (s *site) rest() (time.Duration, error) {
	last, err := s.group.used()
	if err != nil {
		return 0, err
	}
	quiet := 0
	for end := time.Now().Add(restMost); quiet < restNeed && time.Now().Before(end); {
		time.Sleep(restStep)
		now, err := s.group.used()
		if err != nil {
			return 0, err
		}
		if now-last < restCPU {
			quiet++
		} else {
			quiet = 0
		}
		last = now
	}
	return last, nil
}

// measure runs f and tells what it cost the server, and how long it took.
func (s *site) measure(f func() (string, error)) (sample, error) {
	before, err := s.rest()
	if err != nil {
		return sample{}, err
	}
	begin := time.Now()
	answer, err := f()
	wall := time.Since(begin)
	if err != nil {
		return sample{}, fmt.Errorf("%s: %w", s.side.name, err)
	}
	after, err := s.rest()
	return sample{cpu: after - before, wall: wall, answer: answer}, err
}
