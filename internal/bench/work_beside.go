package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// besideFamily is latencies that are reported without a bound.
func besideFamily(n int) family {
	return family{
		name: "latency", messages: n, links: true, sides: []side{postroomSide, dovecotSide},
		works: []work{
			{
				name: "dribble", title: "FETCH of 4 KiB", rounds: 3, run: dribbling(n),
				judge: bounds{figures: []figure{
					{key: "p50", title: "UID FETCH of 4 KiB of a message, p50", unit: "ms"},
					{key: "p99", title: "UID FETCH of 4 KiB of a message, p99", unit: "ms"},
				}},
			},
			{
				name: "beside", title: "STORE beside Dovecot", rounds: 3, sides: []side{postroomSide}, run: beside(n),
				judge: bounds{figures: []figure{
					{key: "alone", title: "STORE of one message, p50", unit: "ms"},
					{key: "p50", title: "the same beside a Dovecot that changes flags in the folder without a pause, p50", unit: "ms"},
					{key: "p99", title: "the same, p99", unit: "ms"},
					{key: "rate", title: "changes of that Dovecot meanwhile", unit: "1/s"},
				}},
			},
		},
	}
}

// dribbling asks for a little of one message after another.
func dribbling(n int) func(s *site) (sample, error) {
	return func(s *site) (sample, error) {
		c, err := s.selected("INBOX")
		if err != nil {
			return sample{}, err
		}
		defer c.Close()
		r := rand.New(rand.NewPCG(1, 2))
		var waits []float64
		for range 500 {
			begin := time.Now()
			a, err := c.do(fmt.Sprintf("FETCH %d BODY.PEEK[]<0.4096>", 1+r.IntN(n)))
			if err != nil {
				return sample{}, err
			}
			if a.fetch != 1 || a.literals == 0 {
				return sample{}, errors.New("no message in the answer: " + a.text)
			}
			waits = append(waits, time.Since(begin).Seconds()*1e3)
		}
		return sample{values: map[string]float64{"p50": quantile(waits, 0.5), "p99": quantile(waits, 0.99)}}, c.logout()
	}
}

// beside changes flags by Postroom, alone and while a Dovecot works in the same folder.
func beside(n int) func(s *site) (sample, error) {
	return func(s *site) (sample, error) {
		alone, err := s.storeWaits(n)
		if err != nil {
			return sample{}, err
		}
		other, err := s.rig.newSite(side{name: "Dovecot beside", dovecot: true}, false)
		if err != nil {
			return sample{}, err
		}
		other.mail = s.mail
		if err := other.start(); err != nil {
			return sample{}, err
		}
		var stop atomic.Bool
		var changes atomic.Int64
		ended := make(chan error, 1)
		go func() { ended <- other.storeUntil(n, &stop, &changes) }()
		begin := time.Now()
		waits, err := s.storeWaits(n)
		span := time.Since(begin)
		stop.Store(true)
		if err := errors.Join(err, <-ended, other.stop()); err != nil {
			return sample{}, err
		}
		return sample{values: map[string]float64{
			"alone": quantile(alone, 0.5), "p50": quantile(waits, 0.5), "p99": quantile(waits, 0.99),
			"rate": float64(changes.Load()) / span.Seconds(),
		}}, nil
	}
}

// storeWaits tells the latencies of STOREs, in ms.
func (s *site) storeWaits(n int) ([]float64, error) {
	c, err := s.selected("INBOX")
	if err != nil {
		return nil, err
	}
	defer c.Close()
	r := rand.New(rand.NewPCG(3, 4))
	var waits []float64
	for k := range 200 {
		begin := time.Now()
		if _, err := c.do(fmt.Sprintf(`STORE %d %cFLAGS (\Flagged)`, 1+r.IntN(n), "+-"[k%2])); err != nil {
			return nil, err
		}
		waits = append(waits, time.Since(begin).Seconds()*1e3)
	}
	return waits, c.logout()
}

// storeUntil changes flags until it is told to stop.
func (s *site) storeUntil(n int, stop *atomic.Bool, changes *atomic.Int64) error {
	c, err := s.selected("INBOX")
	if err != nil {
		return err
	}
	defer c.Close()
	r := rand.New(rand.NewPCG(5, 6))
	for k := 0; !stop.Load(); k++ {
		if _, err := c.do(fmt.Sprintf(`STORE %d %cFLAGS.SILENT (\Answered)`, 1+r.IntN(n), "+-"[k%2])); err != nil {
			return err
		}
		changes.Add(1)
	}
	return c.logout()
}
