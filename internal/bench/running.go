package main

import (
	"errors"
	"sync"
	"syscall"
)

// running is the servers that are there, for the case that the run is ended by a signal.
type running struct {
	mu      sync.Mutex // guards what follows
	sites   map[*site]bool
	aborted bool
}

var errAborted = errors.New("ended by a signal")

func newRunning() *running { return &running{sites: map[*site]bool{}} }

// add notes a server that is about to be started; not after abort.
func (r *running) add(s *site) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.aborted {
		return errAborted
	}
	r.sites[s] = true
	return nil
}

func (r *running) remove(s *site) (was bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	was = r.sites[s]
	delete(r.sites, s)
	return was
}

// abort kills all servers; none is started any more. Their sites are still to be stopped.
func (r *rig) abort() {
	r.running.mu.Lock()
	defer r.running.mu.Unlock()
	r.running.aborted = true
	for s := range r.running.sites {
		pids, err := s.group.pids()
		if err != nil {
			continue // stop will tell
		}
		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

func (r *rig) aborted() bool {
	r.running.mu.Lock()
	defer r.running.mu.Unlock()
	return r.running.aborted
}
