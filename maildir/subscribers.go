package maildir

import "sync"

// subscribers are those who want to be told of each change. The zero value has none.
type subscribers struct {
	mu  sync.Mutex
	all map[*listener]struct{} // guarded by mu
}

// listener is one call of add.
type listener struct{ tell func() }

// add has tell called at each change until cancel is.
func (s *subscribers) add(tell func()) (cancel func()) {
	sub := &listener{tell}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = make(map[*listener]struct{})
	}
	s.all[sub] = struct{}{}
	return func() {
		s.mu.Lock()
		delete(s.all, sub)
		s.mu.Unlock()
	}
}

func (s *subscribers) notify() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for sub := range s.all {
		sub.tell()
	}
}
