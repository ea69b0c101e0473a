// Package account is one logged-in user's view of the mail: which mailboxes
// there are, under which names, and what may be done to them. It is the only
// door to the store: every protocol asks it, and no protocol imports
// postroom/maildir, so a right is checked here and nowhere else.
package account

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"postroom/maildir"
)

// Snapshot is the state of a mailbox at one moment, immutable.
type Snapshot = maildir.Snapshot

// Flags are a message's system flags.
type Flags = maildir.Flags

// The system flags of RFC 9051 section 2.3.2.
const (
	Answered = maildir.Answered
	Flagged  = maildir.Flagged
	Deleted  = maildir.Deleted
	Seen     = maildir.Seen
	Draft    = maildir.Draft
)

// Change is one STORE, StoreResult what came of it; Subscriber is a session that waits for news.
type (
	Change      = maildir.Change
	StoreResult = maildir.StoreResult
	StoreOp     = maildir.StoreOp
	Copied      = maildir.Copied
	Message     = maildir.Message
	Subscriber  = maildir.Subscriber
)

// The forms of STORE.
const (
	StoreReplace = maildir.StoreReplace
	StoreAdd     = maildir.StoreAdd
	StoreRemove  = maildir.StoreRemove
)

// The kinds of failure, for errors.Is; the store's, under the names that
// protocols use.
var (
	ErrNoFolder = maildir.ErrNoFolder
	ErrExists   = maildir.ErrExists
	ErrBadName  = maildir.ErrBadName
	ErrCannot   = maildir.ErrCannot
	ErrReadOnly = maildir.ErrReadOnly
	ErrBusy     = maildir.ErrBusy
	ErrGone     = maildir.ErrGone
	ErrExpunged = maildir.ErrExpunged
	ErrNoSpace  = maildir.ErrNoSpace
	ErrDamaged  = maildir.ErrDamaged
	ErrTooBig   = maildir.ErrTooBig
	ErrTooMany  = maildir.ErrTooMany
)

// Config says where mail lies and how it is named.
type Config struct {
	// Root is the path of a user's Maildir, with {user}, {local}, {domain}.
	Root string
	// Separator divides the parts of mailbox names; '/' if zero.
	Separator byte
	// UIDL is the form of POP3 unique-ids: "dovecot" (default) or "courier".
	UIDL   string
	Logger *slog.Logger
	// NoWatch polls instead of watching.
	NoWatch bool
	// Clock tells the time; time.Now if nil.
	Clock func() time.Time
}

// Service makes users' accounts; one a process, safe for concurrent use.
type Service struct {
	cfg   Config
	store *maildir.Store
}

// New starts a service; Close ends it.
func New(cfg Config) (*Service, error) {
	if cfg.Separator == 0 {
		cfg.Separator = '/'
	}
	if cfg.Separator != '/' && cfg.Separator != '.' {
		return nil, fmt.Errorf("separator %q: only / and . can divide names", cfg.Separator)
	}
	switch cfg.UIDL {
	case "", uidlDovecot, uidlCourier:
	default:
		return nil, fmt.Errorf("UIDL form %q: it is %q or %q", cfg.UIDL, uidlDovecot, uidlCourier)
	}
	if !strings.Contains(cfg.Root, "{user}") && !strings.Contains(cfg.Root, "{local}") {
		return nil, fmt.Errorf("root %q: without {user} or {local} all users would share one Maildir", cfg.Root)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	store := maildir.NewStore(maildir.Options{Logger: cfg.Logger, NoWatch: cfg.NoWatch, Clock: cfg.Clock})
	return &Service{cfg: cfg, store: store}, nil
}

// Close ends the service; all users must have been closed.
func (s *Service) Close() { s.store.Close() }

// Path gives the path of a user's Maildir. ErrBadName for a user name that
// could lead elsewhere.
func (s *Service) Path(user string) (string, error) {
	if user == "" || len(user) > 255 || strings.ContainsAny(user, "/\\\x00") || strings.HasPrefix(user, ".") {
		return "", fmt.Errorf("user %q: %w", user, ErrBadName)
	}
	for _, r := range user {
		if r < 0x20 || r == 0x7f {
			return "", fmt.Errorf("user %q: %w", user, ErrBadName)
		}
	}
	local, domain, _ := strings.Cut(user, "@")
	for placeholder, value := range map[string]string{"{local}": local, "{domain}": domain} {
		bad := value == "" || strings.HasPrefix(value, ".")
		if bad && strings.Contains(s.cfg.Root, placeholder) {
			return "", fmt.Errorf("user %q has no usable %s: %w", user, placeholder, ErrBadName)
		}
	}
	return strings.NewReplacer("{user}", user, "{local}", local, "{domain}", domain).Replace(s.cfg.Root), nil
}

// Open gives the account of an authenticated user, making the Maildir when it is not there
// yet. Every Open wants one Close.
func (s *Service) Open(ctx context.Context, user string) (*User, error) {
	path, err := s.Path(user)
	if err != nil {
		return nil, err
	}
	tree, err := s.store.OpenTree(path, maildir.TreeOptions{Separator: s.cfg.Separator, Create: true})
	if err != nil {
		return nil, err
	}
	return &User{service: s, name: user, tree: tree, sep: s.cfg.Separator}, nil
}

// User is one login. Its methods are safe for concurrent use.
type User struct {
	service *Service
	name    string
	tree    *maildir.Tree
	sep     byte
}

// Name is the user's login name.
func (u *User) Name() string { return u.name }

// Separator divides the parts of mailbox names.
func (u *User) Separator() byte { return u.sep }

// Close ends the login's use of the account.
func (u *User) Close() { u.tree.Close() }

// Namespace is one row of RFC 2342's answer.
type Namespace struct {
	Prefix    string // "" for the personal one; else it ends with the separator
	Separator byte
}

// Namespaces lists the personal, other users' and shared namespaces.
func (u *User) Namespaces() (personal, other, shared []Namespace) {
	return []Namespace{{Separator: u.sep}}, nil, nil
}

// canonical gives INBOX its capitals, also as the first part of a longer name's spelling.
func (u *User) canonical(name string) string {
	if strings.EqualFold(name, maildir.Inbox) {
		return maildir.Inbox
	}
	return name
}

// Create makes a mailbox; a trailing separator, which announces children, is
// dropped. specialUse is "" or one of SpecialUses.
func (u *User) Create(ctx context.Context, name, specialUse string) error {
	name = strings.TrimSuffix(name, string(u.sep))
	if specialUse != "" && !validSpecialUse(specialUse) {
		return fmt.Errorf("special use %q: %w", specialUse, ErrCannot)
	}
	if err := u.tree.Create(ctx, name); err != nil {
		return err
	}
	if specialUse == "" {
		return nil
	}
	return u.tree.SetSpecialUse(ctx, name, specialUse)
}

// Delete removes a mailbox and its messages; children stay.
func (u *User) Delete(ctx context.Context, name string) error {
	return u.tree.Delete(ctx, u.canonical(name))
}

// Rename gives a mailbox and its children another name. Of INBOX it moves the
// messages to a new mailbox (RFC 9051 section 6.3.6).
func (u *User) Rename(ctx context.Context, from, to string) error {
	from, to = u.canonical(from), u.canonical(strings.TrimSuffix(to, string(u.sep)))
	if from != maildir.Inbox {
		return u.tree.Rename(ctx, from, to)
	}
	if err := u.tree.Create(ctx, to); err != nil {
		return err
	}
	inbox, err := u.Select(ctx, maildir.Inbox, false)
	if err != nil {
		return err
	}
	defer inbox.Close()
	snap, err := inbox.Sync(ctx)
	if err != nil {
		return err
	}
	uids := make([]uint32, snap.Len())
	for i := range uids {
		uids[i] = snap.UID(i)
	}
	_, err = inbox.Move(ctx, uids, to)
	return err
}

// Subscriptions lists subscribed names, sorted, whether the mailbox exists or not.
func (u *User) Subscriptions(ctx context.Context) ([]string, error) { return u.tree.Subscriptions() }

// Subscribe adds a name to the subscriptions. The mailbox must exist.
func (u *User) Subscribe(ctx context.Context, name string) error {
	name = u.canonical(name)
	if !u.tree.Exists(name) {
		return fmt.Errorf("%q: %w", name, ErrNoFolder)
	}
	return u.tree.Subscribe(ctx, name, true)
}

// Unsubscribe removes a name; it need neither exist nor be subscribed to.
func (u *User) Unsubscribe(ctx context.Context, name string) error {
	return u.tree.Subscribe(ctx, u.canonical(name), false)
}

// Status is what STATUS tells of a mailbox.
type Status struct {
	Messages, Unseen, Deleted, Recent int
	UIDNext, UIDValidity              uint32
	HighestModSeq                     uint64 // only when asked for; 0 where it can be told none
	Size                              int64  // sum of RFC822.SIZE, only when asked for
	GUID                              string // 32 hex digits
}

// StatusOptions say which of the dearer facts are wanted.
type StatusOptions struct {
	Size   bool // reads what nobody has measured yet
	ModSeq bool // may write the mark in the uid list
}

// Status looks at a mailbox without selecting it; it moves nothing from new/ to cur/.
func (u *User) Status(ctx context.Context, name string, opt StatusOptions) (Status, error) {
	f, err := u.tree.Open(ctx, u.canonical(name))
	if err != nil {
		return Status{}, err
	}
	defer f.Close()
	snap, err := f.Sync(ctx)
	if errors.Is(err, ErrGone) {
		return Status{}, fmt.Errorf("%q: %w", name, ErrNoFolder)
	}
	if err != nil {
		return Status{}, err
	}
	st := Status{
		Messages: snap.Len(), Unseen: snap.Unseen(), Deleted: snap.Deleted(), Recent: snap.CountNew(),
		UIDNext: snap.UIDNext(), UIDValidity: snap.UIDValidity(), GUID: snap.GUID(),
	}
	if opt.ModSeq {
		switch err := f.TellModSeqs(ctx); {
		case err == nil && f.Snapshot().Writable():
			st.HighestModSeq = f.Snapshot().HighestModSeq()
		case err != nil && !errors.Is(err, ErrReadOnly) && !errors.Is(err, ErrNoSpace):
			return Status{}, err
		} // else 0: it can be told none, RFC 7162 section 3.1.2.2
	}
	for i := 0; opt.Size && i < snap.Len(); i++ {
		_, size, err := f.Info(ctx, snap.UID(i), true)
		if errors.Is(err, ErrExpunged) {
			continue
		}
		if err != nil {
			return Status{}, err
		}
		st.Size += size
	}
	return st, nil
}
