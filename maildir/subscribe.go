package maildir

import (
	"context"
	"slices"
)

// Interest says what a Subscriber wants to hear of.
type Interest struct {
	// Tell is called when there is something new to tell. It runs under locks of the
	// folder: it must not wait, nor call the folder or the Subscriber.
	Tell func()
	// Early is for those who also tell of messages that have no UID yet: Snapshot.Arriving.
	Early bool
	// Claims lets the folder move new messages out of new/ for this subscriber, as ClaimNew does.
	Claims bool
}

// Subscriber is somebody who waits for news of a folder. Cancel ends it.
type Subscriber struct {
	folder  *Folder
	in      Interest
	claimed []uint32 // guarded by folder.subMu; ascending
}

// Subscribe calls in.Tell after each new snapshot that has something to tell, from now on.
func (f *Folder) Subscribe(in Interest) *Subscriber {
	s := &Subscriber{folder: f, in: in}
	f.subMu.Lock()
	f.subs[s] = struct{}{}
	f.subMu.Unlock()
	return s
}

// Claimed gives the UIDs that the folder has claimed for s since it was asked last, as far as snap goes: s is the one to
// show them as \Recent. Of those that come after it Tell is yet to be called, when they are in a snapshot.
func (s *Subscriber) Claimed(snap *Snapshot) []uint32 {
	s.folder.subMu.Lock()
	defer s.folder.subMu.Unlock()
	n, _ := slices.BinarySearch(s.claimed, snap.uidNext)
	uids := s.claimed[:n:n]
	s.claimed = s.claimed[n:]
	return uids
}

// Cancel ends the subscription, and gives what Claimed did not yet. A call of Tell that has begun may still go on when it
// returns.
func (s *Subscriber) Cancel() []uint32 {
	f := s.folder
	f.subMu.Lock()
	defer f.subMu.Unlock()
	delete(f.subs, s)
	return s.claimed
}

// notify tells those whom the step from one snapshot to the next concerns: a thousand sessions must not
// wake up to find that they have nothing to say.
func (f *Folder) notify(from, to *Snapshot) {
	early, exact := from.news(to)
	f.subMu.Lock()
	defer f.subMu.Unlock()
	for s := range f.subs {
		if exact && !s.in.Early || early && s.in.Early || len(s.claimed) > 0 {
			s.in.Tell()
		}
	}
}

// news tells whether the step to the next snapshot is one to be told of: to those who hear of
// messages without UIDs, and to the others. s may be nil.
func (s *Snapshot) news(next *Snapshot) (early, exact bool) {
	if s == nil || s.gone != next.gone || next.inNew > s.inNew {
		return true, true // also when there is something to be claimed
	}
	differs := false
	s.Diff(next, func(int, uint32) { differs = true }, func(int) { differs = true })
	return differs || s.n+s.arriving != next.n+next.arriving, differs || s.n != next.n
}

// anybody tells whether somebody has such an interest.
func (f *Folder) anybody(such func(in *Interest) bool) bool {
	f.subMu.Lock()
	defer f.subMu.Unlock()
	for s := range f.subs {
		if such(&s.in) {
			return true
		}
	}
	return false
}

// maxAnnounced bounds how many messages are announced before they have UIDs: one sync for more than that
// makes nobody wait for long.
const maxAnnounced = 1000

// announceLocked tells at once of deliveries that are certain to become messages, while their UIDs are still
// to be recorded: a lock and a sync away. Only a file that an event told of counts, in new/, under a base
// name that is nobody's. While the last attempt to give UIDs has failed, none is announced: they
// would be taken back again.
func (f *Folder) announceLocked() {
	if !f.retryAt.IsZero() || len(f.fresh) > maxAnnounced || !f.anybody(func(in *Interest) bool { return in.Early }) {
		return
	}
	for _, p := range f.fresh {
		if p.delivered && len(p.places) > 0 {
			f.arriving++
		}
	}
	if f.arriving > 0 {
		// Nothing else is told with it: what has happened since the last snapshot has no MODSEQs yet.
		now := f.Snapshot()
		next := *now
		next.arriving = f.arriving
		f.snap.Store(&next)
		f.notify(now, &next)
	}
}

// claimArrivedLocked moves messages that have just got their UIDs out of new/, if somebody waits who shows them as
// \Recent: it is cheap as long as the list's lock is held, and publication makes one snapshot of it all.
func (f *Folder) claimArrivedLocked(ctx context.Context, recs []uidRecord) {
	if len(recs) > slice || !f.anybody(func(in *Interest) bool { return in.Claims }) {
		return
	}
	uids := make([]uint32, len(recs))
	for i, r := range recs {
		uids[i] = r.uid
	}
	claimed, _ := f.claimLocked(ctx, uids) // of the others sessions are told, who try again and say what fails
	f.subMu.Lock()
	defer f.subMu.Unlock()
	for s := range f.subs {
		if s.in.Claims {
			s.claimed = append(s.claimed, claimed...)
			return
		}
	}
}

// Settled waits until no message is announced that has no UID, and gives the snapshot of that moment.
func (f *Folder) Settled() *Snapshot {
	f.mu.Lock() // it is held from each announcement until the UIDs are there, or given up
	defer f.mu.Unlock()
	return f.Snapshot()
}
