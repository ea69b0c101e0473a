package storm

import (
	"fmt"
	"maps"
	"time"
)

// resync judges a QRESYNC: what a client knew, and was told of since, must be
// what a full FETCH shows.
type resync struct {
	server   *server
	folder   string
	validity uint32
	modSeq   uint64
	known    map[uint32]string // flags by UID
	frozen   bool              // SELECT has ended: what is told now is new
}

// remember gives the state that a client would keep.
func (s *session) remember() *resync {
	r := &resync{server: s.server, folder: s.folder, validity: s.validity, modSeq: s.caughtUp, known: map[uint32]string{}}
	for _, m := range s.view {
		if m.uid != 0 {
			r.known[m.uid] = m.flags
		}
	}
	return r
}

func (r *resync) vanished(uids []uint32) {
	for _, uid := range uids {
		delete(r.known, uid)
	}
}

func (r *resync) fetched(m message) {
	if !r.frozen {
		r.known[m.uid] = m.flags
	}
}

// resynchronise selects the folder from an earlier state and compares what came of it
// with all that is there.
func (s *session) resynchronise(earlier *resync) error {
	r := *earlier
	r.known = maps.Clone(earlier.known)
	begun := s.o.begin()
	before := s.o.highest(s.server.name, r.validity)
	s.view, s.folder, s.validity, s.uidNext, s.highest, s.resync = nil, r.folder, 0, 0, 0, &r
	defer func() { s.resync = nil }()
	if err := s.ok("SELECT %s (QRESYNC (%d %d))", r.folder, r.validity, r.modSeq); err != nil {
		s.folder = ""
		return err
	}
	s.o.selected(s.who, r.folder, s.validity)
	if s.validity != r.validity {
		return nil // which the oracle has counted, if it should not be
	}
	s.o.toldHighest(s.who, s.server.name, s.validity, s.highest, before)
	s.o.count("resyncs", 1)
	s.caughtUp, r.frozen = s.highest, true
	highest, next := s.highest, s.uidNext
	if err := s.ok("UID FETCH 1:* (UID FLAGS MODSEQ)"); err != nil {
		return err
	}
	there := map[uint32]bool{}
	var uids []uint32
	for _, m := range s.view {
		if m.uid == 0 {
			continue
		}
		uids = append(uids, m.uid)
		there[m.uid] = true
		flags, known := r.known[m.uid]
		switch {
		case m.modSeq > highest: // changed since SELECT
		case !known && m.uid < next:
			s.fault("resync", "UID %d (MODSEQ %d, added before HIGHESTMODSEQ %d) was not told from MODSEQ %d", m.uid, m.modSeq, highest, r.modSeq)
		case known && flags != unknownFlags && flags != m.flags:
			s.fault("resync", "UID %d has (%s) at MODSEQ %d, told as (%s); from %d to HIGHESTMODSEQ %d", m.uid, m.flags, m.modSeq, flags, r.modSeq, highest)
		}
	}
	for uid := range r.known {
		if !there[uid] {
			s.fault("resync", "UID %d is not there, and was not told as vanished since MODSEQ %d; HIGHESTMODSEQ %d", uid, r.modSeq, highest)
		}
	}
	s.o.there(s.who, s.server.name, s.validity, uids, begun)
	return nil
}

// stay makes the session one at the server that the state is from, unless all have one sequence of MODSEQs.
func (k *kind) stay(s *session, r *resync) {
	if !k.st.o.shared {
		*s = *k.sessionAt(r.server)
	}
}

// hop is the life of a client that is often offline.
func (k *kind) hop(s *session) error {
	k.states = k.states[max(0, len(k.states)-8):]
	var earlier *resync
	if len(k.states) > 0 && s.rng.IntN(8) > 0 {
		earlier = k.states[s.rng.IntN(len(k.states))]
		k.stay(s, earlier)
	}
	if err := s.connect(); err != nil {
		return err
	}
	defer s.Close()
	if earlier != nil {
		if err := s.resynchronise(earlier); err != nil {
			return err
		}
	} else if err := s.selectFolder(k.folder, ""); err != nil {
		return err
	}
	if err := s.learn(); err != nil {
		return err
	}
	for range 1 + s.rng.IntN(3) {
		if !k.rest(100 * time.Millisecond) {
			break
		}
		if err := s.syncFully(); err != nil {
			return err
		}
	}
	if s.caughtUp == 0 {
		return fmt.Errorf("no HIGHESTMODSEQ")
	}
	k.states = append(k.states, s.remember())
	if s.rng.IntN(2) == 0 {
		s.logout()
	}
	return nil
}

// syncFully brings the view up to a MODSEQ: what NOOP told in one go may be taken as complete.
func (s *session) syncFully() error {
	if err := s.ok("NOOP"); err != nil {
		return err
	}
	for _, m := range s.view {
		if m.uid != 0 && m.flags != unknownFlags {
			s.caughtUp = max(s.caughtUp, m.modSeq)
		}
	}
	return s.learn()
}
