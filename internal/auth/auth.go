// Package auth decides who a client is: it reads the users file, verifies
// passwords, runs SASL mechanisms, and slows down who guesses.
package auth

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"
)

// Kinds of refusal, for errors.Is.
var (
	// ErrFailed: no such user or not the password; nobody is told which.
	ErrFailed = errors.New("authentication failed")
	// ErrTemporary: it cannot be decided now.
	ErrTemporary = errors.New("authentication is not possible at the moment")
	// ErrPrivacyRequired: the password would go over the net in the clear.
	ErrPrivacyRequired = errors.New("encryption is required to log in")
)

// Mark is what stands for a user's password, and for where he may log in from, as the users file has them. It tells
// nothing of the password but whether it is another one.
type Mark [sha256.Size]byte

// Mark gives a user's mark; ok is false if there is no such user. A session that was begun with one mark is to end when there is another.
func (s *Service) Mark(name string) (m Mark, ok bool) {
	e, ok := s.current().Lookup(name)
	if !ok {
		return m, false
	}
	return sha256.Sum256(fmt.Appendf(nil, "%q %q %v", e.password.scheme, e.password.text, e.access)), true
}

// Request is a user name and a password.
type Request struct {
	Protocol   string // "imap", "pop3", "web"
	RemoteAddr netip.Addr
	TLS        bool
	User       string
	Password   string
}

// ConnInfo is what a SASL mechanism may depend on.
type ConnInfo struct {
	Protocol   string
	RemoteAddr netip.Addr
	TLS        bool
	TLSState   *tls.ConnectionState // nil without TLS
	// Certificate is the one that the server has shown (see Handshake); nil if that is not known.
	Certificate *x509.Certificate
}

// Options configure a Service.
type Options struct {
	// Users is the path of the users file.
	Users  string
	Logger *slog.Logger
	// Mechanisms on offer. None: all, SCRAM only while every user can use it.
	Mechanisms []string
	// Clock and Sleep are those of the package time if nil. Sleep returns early with ctx's error.
	Clock func() time.Time
	Sleep func(ctx context.Context, d time.Duration) error
}

// Service authenticates against a users file. It is safe for concurrent use.
type Service struct {
	opt      Options
	throttle *throttle
	ctx      context.Context // ends with Close: SASL exchanges have none of their own
	cancel   context.CancelFunc
	work     chan struct{} // bounds how many hashes are computed at once: each may take 64 MiB

	mu    sync.RWMutex
	users *File     // guarded by mu
	seen  fileStamp // guarded by mu
	reads uint64    // guarded by mu: how often the users have been read
	next  time.Time // guarded by mu: when to look at the file again
}

// hashesAtOnce bounds memory and keeps a flood of logins from taking all processors.
const hashesAtOnce = 4

// fileCheck is how often the users file is looked at for a change.
const fileCheck = time.Second

// maxPassword bounds what is hashed.
const maxPassword = 1024 // octets

type fileStamp struct {
	size  int64
	mtime time.Time
	id    any
}

// New reads the users file; any bad line in it is an error.
func New(opt Options) (*Service, error) {
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	if opt.Clock == nil {
		opt.Clock = time.Now
	}
	if opt.Sleep == nil {
		opt.Sleep = sleep
	}
	s := &Service{opt: opt, throttle: newThrottle(opt.Clock), work: make(chan struct{}, hashesAtOnce)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	stamp, err := stampOf(opt.Users)
	if err != nil {
		return nil, err
	}
	users, err := ReadFile(opt.Users)
	if err != nil {
		return nil, err
	}
	if bad := users.Problems(); len(bad) > 0 {
		return nil, errors.Join(bad...)
	}
	if err := checkMechanisms(opt.Mechanisms); err != nil {
		return nil, err
	}
	s.users, s.seen = users, stamp
	s.warn(users)
	return s, nil
}

// Close ends the waits of SASL exchanges that are under way.
func (s *Service) Close() { s.cancel() }

func stampOf(path string) (fileStamp, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return fileStamp{}, fmt.Errorf("users file: %w", err)
	}
	return fileStamp{fi.Size(), fi.ModTime(), inode(fi)}, nil
}

// Reload reads the users file again. Lines that cannot be understood are logged and
// passed over; if the file cannot be read the users stay as they were.
func (s *Service) Reload() error {
	stamp, err := stampOf(s.opt.Users)
	if err == nil {
		var users *File
		if users, err = ReadFile(s.opt.Users); err == nil {
			for _, p := range users.Problems() {
				s.opt.Logger.Error("users file: a line is passed over", "error", p)
			}
			s.mu.Lock()
			s.users, s.seen = users, stamp
			s.reads++
			s.mu.Unlock()
			s.warn(users)
			return nil
		}
	}
	s.opt.Logger.Error("users file: the users stay as they were", "error", err)
	return err
}

// current gives the users, read again if the file was seen to have changed; it is looked at once in fileCheck.
func (s *Service) current() *File { return s.look(false) }

// look is current, which with now looks at the file at once.
func (s *Service) look(now bool) *File {
	at := s.opt.Clock()
	s.mu.Lock()
	look := now || at.After(s.next)
	if look {
		s.next = at.Add(fileCheck)
	}
	seen := s.seen
	s.mu.Unlock()
	if look {
		if stamp, err := stampOf(s.opt.Users); err == nil && stamp != seen {
			s.Reload()
		}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.users
}

// Names lists the users.
func (s *Service) Names() []string {
	users := s.current()
	names := make([]string, 0, len(users.byName))
	for name := range users.byName {
		names = append(names, name)
	}
	return names
}

// Has tells whether there is a user of that name.
func (s *Service) Has(name string) bool {
	_, ok := s.current().byName[name]
	return ok
}

// Groups lists the groups that a user is in; the list must not be changed.
func (s *Service) Groups(name string) []string { return s.current().groups[name] }

// Generation changes when the users file has been read again.
func (s *Service) Generation() uint64 {
	s.current()
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.reads
}

// Authenticate checks a password and gives the user's name, as it stands in the
// users file. It takes its time for who has failed before. A refusal is a *Failure. It is refused as
// a whole where PLAIN is not on offer, for it shows the password as PLAIN does.
func (s *Service) Authenticate(ctx context.Context, r Request) (string, error) {
	if !slices.Contains(s.offered(), "PLAIN") {
		return "", &Failure{Name: r.User, Reason: "PLAIN is not among the mechanisms", Err: ErrFailed}
	}
	return s.authenticate(ctx, r)
}

func (s *Service) authenticate(ctx context.Context, r Request) (string, error) {
	return s.check(ctx, r.RemoteAddr, r.User, func() (Entry, error) { return s.verify(ctx, r.User, r.Password) })
}

// check wraps an attempt with the delays for earlier failures, and with what
// the user's line says about where from.
func (s *Service) check(ctx context.Context, from netip.Addr, user string, try func() (Entry, error)) (string, error) {
	refuse := func(reason string, err error) (string, error) {
		return "", &Failure{Name: user, Reason: reason, Err: err}
	}
	attempt := s.throttle.begin(from, prepared(user)) // one user, however the name is typed
	what := undecided
	defer func() { attempt.end(what) }()
	if err := attempt.wait(ctx, s.opt.Sleep); err != nil {
		return refuse("", fmt.Errorf("%w: %w", ErrTemporary, err))
	}
	e, err := try()
	why := ""
	if err == nil {
		// Only now: an attempt from elsewhere costs what any other costs.
		if why = e.access.refuses(from); why != "" {
			err = ErrFailed
		}
	}
	if err == nil {
		what = succeeded
		return e.Name, nil
	}
	if errors.Is(err, ErrFailed) {
		what = failed
	}
	return refuse(why, err)
}

// verify checks a password. Before it refuses one it looks whether the file has changed just now: who was added, or has
// a new password, need not wait for the next look.
func (s *Service) verify(ctx context.Context, user, password string) (Entry, error) {
	users := s.current()
	e, err := s.verifyIn(ctx, users, user, password)
	if errors.Is(err, ErrFailed) {
		if changed := s.look(true); changed != users {
			return s.verifyIn(ctx, changed, user, password)
		}
	}
	return e, err
}

func (s *Service) verifyIn(ctx context.Context, users *File, user, password string) (Entry, error) {
	e, known := users.find(user)
	if !known {
		e = users.decoy() // one verification, as for any other
	}
	if len(password) > maxPassword || password == "" {
		return Entry{}, ErrFailed
	}
	select {
	case s.work <- struct{}{}:
		defer func() { <-s.work }()
	case <-ctx.Done():
		return Entry{}, fmt.Errorf("%w: %w", ErrTemporary, ctx.Err())
	}
	ok, err := e.password.matches(password)
	if p := prepared(password); !ok && err == nil && p != password {
		ok, err = e.password.matches(p)
	}
	if err != nil {
		s.opt.Logger.Error("a stored password cannot be verified", "user", e.Name, "error", err)
		return Entry{}, ErrFailed
	}
	if !ok || !known {
		return Entry{}, ErrFailed
	}
	return e, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
