// Package outbox sends what users have written, and loses none of it. A message that is to be sent lies in the user's
// mailbox "Outbox", where every mail program sees it; what is to be done with it stands in the user's own file
// outbox.json (account.OwnWeb). Only messages with an entry there are sent: who may put messages into somebody's
// Outbox cannot send in his name. Who deletes the message, or moves it away, takes it back.
//
// A message goes through these states, each written down before the next begins:
//
//	queued     it is in Outbox and has an entry; owed are the recipients whom nobody has taken or refused yet
//	under way  the entry has a lease that its process renews, the message the keyword $SubmitPending (RFC 5550)
//	answered   the entry has what became of each recipient
//	accepted   the message has $Submitted, is moved to Sent, the original is marked, the entry goes
//	refused    it stays in Outbox with what the server said, a copy in Sent if others took it, until the user decides
//
// A lease that has run out was a process's that died: whether the server has taken the message is unknown then, as it is when the
// connection breaks after the final dot. It is sent again, with the same Message-ID, and the user gets a notice.
package outbox

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"postroom/internal/account"
	"postroom/internal/submit"
)

// The mailboxes, as they are named if they have to be made.
const (
	Box    = "Outbox"
	sent   = "Sent"
	drafts = "Drafts"
)

// The keywords of RFC 5550 section 5.10, and of RFC 9051's registry.
const (
	pendingKeyword   = "$SubmitPending"
	submittedKeyword = "$Submitted"
	forwardedKeyword = "$Forwarded"
)

// Errors, for errors.Is.
var (
	// ErrUnderWay: the message is being sent at this moment.
	ErrUnderWay = errors.New("the message is being sent")
	// ErrNoEntry: there is no such message in the Outbox.
	ErrNoEntry = errors.New("no such message in the Outbox")
	// ErrFull: there are too many messages in the Outbox.
	ErrFull = errors.New("there are too many messages in the Outbox")
)

// Options configure a Service.
type Options struct {
	Accounts *account.Service
	Sender   submit.Sender
	// Names lists the users whose Outboxes are looked through at the start, Has tells whether there is still such a user.
	Names  func() []string
	Has    func(string) bool
	Logger *slog.Logger
	// Clock tells the time, Backoff how long to wait after so many attempts that failed, Lease how long a process that died
	// keeps others waiting; time.Now, Backoff and two minutes if nil or zero.
	Clock   func() time.Time
	Backoff func(attempts int) time.Duration
	Lease   time.Duration
}

// Service sends. It has one owner, who closes it; its methods are safe for concurrent use.
type Service struct {
	opt    Options
	ctx    context.Context // of attempts; ends when Close has waited long enough
	cancel context.CancelFunc
	stop   chan struct{} // closed by Close: nothing new is begun
	wake   chan struct{} // capacity 1
	slots  chan struct{} // how many send at once
	wg     sync.WaitGroup

	mu     sync.Mutex
	closed bool                 // guarded by mu
	due    map[string]time.Time // guarded by mu: when to look at whose Outbox
	busy   map[string]bool      // guarded by mu: whose is being worked on
}

// sendersAtOnce bounds connections to the submission server.
const sendersAtOnce = 4

// giveUp is how long a message is tried (RFC 5321 section 4.5.4.1: four to five days). It stays in Outbox even then.
const giveUp = 5 * 24 * time.Hour

// Backoff waits a minute, then longer, an hour at most.
func Backoff(attempts int) time.Duration {
	waits := []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute}
	if attempts = max(1, attempts); attempts <= len(waits) {
		return waits[attempts-1]
	}
	return time.Hour
}

// New starts a service.
func New(opt Options) *Service {
	if opt.Clock == nil {
		opt.Clock = time.Now
	}
	if opt.Backoff == nil {
		opt.Backoff = Backoff
	}
	if opt.Lease == 0 {
		opt.Lease = 2 * time.Minute
	}
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{
		opt: opt, stop: make(chan struct{}), wake: make(chan struct{}, 1), slots: make(chan struct{}, sendersAtOnce),
		due: make(map[string]time.Time), busy: make(map[string]bool),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.wg.Go(s.lookThrough)
	s.wg.Go(s.run)
	return s
}

// Close begins nothing more and waits for the attempts under way; when ctx ends they are cut off.
func (s *Service) Close(ctx context.Context) error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.stop)
	}
	s.mu.Unlock()
	defer s.cancel()
	done := make(chan struct{})
	go func() { s.wg.Wait(); close(done) }() // ends when the attempts do, which cancel sees to
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		s.cancel()
		<-done
		return ctx.Err()
	}
}

// lookThrough finds who has something to send from before the start: one small file a user, and no mailbox.
func (s *Service) lookThrough() {
	if s.opt.Names == nil {
		return
	}
	for _, name := range s.opt.Names() {
		select {
		case <-s.stop:
			return
		default:
		}
		u, err := s.opt.Accounts.Administrate(s.ctx, name) // makes nothing
		if err != nil {
			continue // who has no mail has nothing to send
		}
		st, err := read(u)
		u.Close()
		if err != nil {
			s.opt.Logger.Error("reading what a user has to send", "user", name, "error", err)
			continue
		}
		if at, any := st.next(); any {
			s.schedule(name, at)
		}
	}
}

// schedule has a user's Outbox looked at, then or earlier.
func (s *Service) schedule(user string, at time.Time) {
	s.mu.Lock()
	if have, ok := s.due[user]; !ok || at.Before(have) {
		s.due[user] = at
	}
	s.mu.Unlock()
	s.poke()
}

func (s *Service) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run starts work when it is due.
func (s *Service) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		users, wait := s.take()
		for _, user := range users {
			s.wg.Go(func() { s.work(user) })
		}
		timer.Reset(wait)
		select {
		case <-s.stop:
			return
		case <-s.wake:
		case <-timer.C:
		}
	}
}

// take gives the users whose time has come, and how long it is until the next one's.
func (s *Service) take() (users []string, wait time.Duration) {
	now := s.opt.Clock()
	wait = time.Hour
	s.mu.Lock()
	defer s.mu.Unlock()
	for user, at := range s.due {
		switch {
		case s.busy[user]: // pokes when it is done
		case !at.After(now):
			delete(s.due, user)
			s.busy[user] = true
			users = append(users, user)
		default:
			wait = min(wait, at.Sub(now))
		}
	}
	return users, wait
}

// work sends what a user has due.
func (s *Service) work(user string) {
	defer func() {
		s.mu.Lock()
		delete(s.busy, user)
		s.mu.Unlock()
		s.poke()
	}()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-s.stop:
		return
	}
	if s.opt.Has != nil && !s.opt.Has(user) {
		return // it is kept for who restores him
	}
	next, any, err := s.sendDue(user)
	if err != nil {
		s.opt.Logger.Error("sending", "user", user, "error", err)
		next, any = s.opt.Clock().Add(s.opt.Backoff(1)), true
	}
	if any {
		s.schedule(user, next)
	}
}

func (s *Service) sendDue(user string) (next time.Time, any bool, err error) {
	u, err := s.opt.Accounts.Open(s.ctx, user)
	if err != nil {
		return next, false, err
	}
	defer u.Close()
	for {
		select {
		case <-s.stop:
			return next, false, nil
		default:
		}
		again, err := s.sendOne(u)
		if err != nil {
			return next, false, err
		}
		if !again {
			break
		}
	}
	st, err := read(u)
	if err != nil {
		return next, false, err
	}
	next, any = st.next()
	return next, any, nil
}
