// Package account is one logged-in user's view of the mail: which mailboxes
// there are, under which names, and what may be done to them. It is the only
// door to the store: every protocol asks it, and no protocol imports
// postroom/maildir, so a right is checked here and nowhere else.
//
// namespace.go turns a name into a place, in the user's own tree, another's or the public one. rights.go evaluates
// the ACL file of a place, as it stands at that moment, and makes an answer of a right that is missing. grants.go only
// knows where to look for what others share; LIST evaluates what it finds there. seen.go keeps each reader's \Seen apart.
package account

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
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

// Change is one STORE; StoreResult what came of it.
type (
	Change      = maildir.Change
	StoreResult = maildir.StoreResult
	StoreOp     = maildir.StoreOp
	Copied      = maildir.Copied
	Message     = maildir.Message
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
	ErrNoFile   = maildir.ErrNoFile
)

// Config says where mail lies and how it is named.
type Config struct {
	// Root is the path of a user's Maildir, with {user}, {local}, {domain}.
	Root string
	// Separator divides the parts of mailbox names; '/' if zero.
	Separator byte
	// Users are those whose mailboxes others may be given rights to. Without it everybody is alone.
	Users Users
	// OtherUsers is what names of other users' mailboxes begin with, without the separator; "" for none.
	OtherUsers string
	// Public is the path of a Maildir tree that belongs to nobody, "" for none; PublicPrefix is what names of
	// its mailboxes begin with, without the separator.
	Public, PublicPrefix string
	// AnyoneAllowed lets users give rights to "anyone" and "authenticated".
	AnyoneAllowed bool
	// UIDL is the form of POP3 unique-ids: "dovecot" (default) or "courier".
	UIDL   string
	Logger *slog.Logger
	// NoWatch polls instead of watching.
	NoWatch bool
	// Clock tells the time; time.Now if nil.
	Clock func() time.Time
}

// Users knows who there is. It must be safe for concurrent use.
type Users interface {
	// Names lists the login names.
	Names() []string
	// Has tells whether there is such a user.
	Has(name string) bool
	// Groups lists the groups that a user is in.
	Groups(name string) []string
	// Generation changes when any of that changes.
	Generation() uint64
}

// nobody is where no other users are known.
type nobody struct{}

func (nobody) Names() []string        { return nil }
func (nobody) Has(string) bool        { return false }
func (nobody) Groups(string) []string { return nil }
func (nobody) Generation() uint64     { return 0 }

// Service makes users' accounts; one a process, safe for concurrent use.
type Service struct {
	cfg    Config
	store  *maildir.Store
	acls   aclCache
	grants *grants
	pokes  pokes
	pruned sync.Map // names of users whose postroom-seen was looked through
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
	for _, name := range []string{cfg.OtherUsers, cfg.PublicPrefix} {
		if strings.ContainsRune(name, rune(cfg.Separator)) || strings.EqualFold(name, maildir.Inbox) {
			return nil, fmt.Errorf("namespace %q: it is one part of a name, and not INBOX", name)
		}
	}
	if cfg.Public != "" {
		cfg.Public = filepath.Clean(cfg.Public)
		if cfg.PublicPrefix == "" || cfg.PublicPrefix == cfg.OtherUsers {
			return nil, fmt.Errorf("namespace %q: public mailboxes want a name of their own", cfg.PublicPrefix)
		}
	}
	if cfg.Users == nil {
		cfg.Users = nobody{}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	store := maildir.NewStore(maildir.Options{Logger: cfg.Logger, NoWatch: cfg.NoWatch, Clock: cfg.Clock})
	s := &Service{cfg: cfg, store: store}
	s.acls = aclCache{service: s, files: make(map[aclKey]cachedACL)}
	s.grants = newGrants(s)
	return s, nil
}

// Close ends the service; all users must have been closed.
func (s *Service) Close() {
	s.grants.close()
	s.store.Close()
}

// hasUser tells whether there is a user of that name.
func (s *Service) hasUser(name string) bool { return s.cfg.Users.Has(name) }

// groups of a user.
func (s *Service) groups(name string) []string { return s.cfg.Users.Groups(name) }

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
	return filepath.Clean(strings.NewReplacer("{user}", user, "{local}", local, "{domain}", domain).Replace(s.cfg.Root)), nil
}

// Open gives the account of an authenticated user, making the Maildir when it is not there
// yet. Every Open wants one Close.
func (s *Service) Open(ctx context.Context, user string) (*User, error) { return s.open(user, true) }

func (s *Service) open(user string, create bool) (*User, error) {
	path, err := s.Path(user)
	if err != nil {
		return nil, err
	}
	tree, err := s.store.OpenTree(path, maildir.TreeOptions{Separator: s.cfg.Separator, Create: create})
	if err != nil {
		return nil, err
	}
	return &User{service: s, name: user, tree: tree, sep: s.cfg.Separator}, nil
}

// User is one login. Its methods are safe for concurrent use.
type User struct {
	service       *Service
	name          string
	tree          *maildir.Tree
	sep           byte
	administrator bool
}

// Name is the user's login name.
func (u *User) Name() string { return u.name }

// Separator divides the parts of mailbox names.
func (u *User) Separator() byte { return u.sep }

// Close ends the login's use of the account.
func (u *User) Close() { u.tree.Close() }

// Canonical gives the name that a mailbox has in lists, for one that a client may write otherwise: INBOX, also
// another user's, in capitals.
func (u *User) Canonical(name string) string {
	prefix := u.service.prefix(others)
	if rest, ok := strings.CutPrefix(name, prefix); ok && prefix != "" {
		if _, box, _ := strings.Cut(rest, string(u.sep)); strings.EqualFold(box, maildir.Inbox) {
			return strings.TrimSuffix(name, box) + maildir.Inbox
		}
	}
	return canonicalInbox(name)
}

// canonicalInbox gives INBOX, as a name in a tree, its capitals.
func canonicalInbox(name string) string {
	if strings.EqualFold(name, maildir.Inbox) {
		return maildir.Inbox
	}
	return name
}

// Subscriptions lists subscribed names, sorted, of all namespaces, whether the mailbox exists or not.
func (u *User) Subscriptions(ctx context.Context) ([]string, error) { return u.tree.Subscriptions() }

// Subscribe adds a name to the subscriptions. The mailbox must exist, and the user may look it up.
func (u *User) Subscribe(ctx context.Context, name string) error {
	p, err := u.existing(name)
	if err != nil {
		return err
	}
	defer p.close()
	if _, err := u.need(&p, Lookup); err != nil {
		return err
	}
	return u.tree.Subscribe(ctx, p.full, true)
}

// Unsubscribe removes a name; it need neither exist nor be subscribed to.
func (u *User) Unsubscribe(ctx context.Context, name string) error {
	if listed := u.Canonical(name); listed != name {
		if err := u.tree.Subscribe(ctx, listed, false); err != nil {
			return err
		}
	}
	return u.tree.Subscribe(ctx, name, false) // other programs may have written it so
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
	m, err := u.Select(ctx, name, true)
	if err != nil {
		return Status{}, err
	}
	defer m.Close()
	snap, err := m.Sync(ctx)
	if errors.Is(err, ErrGone) {
		return Status{}, m.place.missing()
	}
	if err != nil {
		return Status{}, err
	}
	st := Status{
		Messages: snap.Len(), Unseen: snap.Unseen(), Deleted: snap.Deleted(), Recent: snap.CountNew(),
		UIDNext: snap.UIDNext(), UIDValidity: snap.UIDValidity(), GUID: snap.GUID(),
	}
	if opt.ModSeq {
		switch err := m.TellModSeqs(ctx); {
		case err == nil:
			st.HighestModSeq = m.Current().HighestModSeq()
		case !errors.Is(err, ErrReadOnly) && !errors.Is(err, ErrNoSpace):
			return Status{}, err
		} // else 0: it can be told none, RFC 7162 section 3.1.2.2
	}
	for i := 0; opt.Size && i < snap.Len(); i++ {
		_, size, err := m.Info(ctx, snap, i)
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
