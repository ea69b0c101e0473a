package addressbook

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"postroom/internal/account"
)

// Books keeps what is known of the address books of users, so that all sessions of one share it. It is safe for concurrent use.
type Books struct {
	log   *slog.Logger
	clock func() time.Time

	mu    sync.Mutex
	books map[string]*keptBook // guarded by mu; by login name
}

type keptBook struct {
	index *index
	used  time.Time
}

// maxKeptBooks bounds how many books are kept in memory; beyond it the one that was not used for longest goes.
const maxKeptBooks = 100

// NewBooks makes an empty one. clock may be nil.
func NewBooks(log *slog.Logger, clock func() time.Time) *Books {
	if clock == nil {
		clock = time.Now
	}
	return &Books{log: log, clock: clock, books: make(map[string]*keptBook)}
}

// Open gives a user's book, for as long as he is open.
func (b *Books) Open(u *account.User) *Book {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.books[u.Name()]
	if k == nil {
		if len(b.books) >= maxKeptBooks {
			oldest := ""
			for name, other := range b.books {
				if oldest == "" || other.used.Before(b.books[oldest].used) {
					oldest = name
				}
			}
			delete(b.books, oldest)
		}
		k = &keptBook{index: &index{log: b.log.With("user", u.Name()), clock: b.clock}}
		b.books[u.Name()] = k
	}
	k.used = b.clock()
	return &Book{files: u.OwnFiles(account.OwnContacts), index: k.index, clock: b.clock}
}

// Book is a user's own address book: a Source, and it can be changed. It is safe for concurrent use.
type Book struct {
	files *account.OwnFiles
	index *index
	clock func() time.Time
}

// Search implements Source.
func (b *Book) Search(ctx context.Context, q Query) ([]Contact, bool, error) {
	return b.index.search(ctx, b.shelf(), q)
}

// Get implements Source.
func (b *Book) Get(_ context.Context, id string) (Contact, error) { return getOne(b.shelf(), id) }

// VCard implements Source.
func (b *Book) VCard(_ context.Context, id string) ([]byte, error) { return vcardOf(b.shelf(), id) }

// Save writes a contact and gives its ID: a new one if it has none yet. Of one that is there Version must be the one that Get
// gave, else the error is ErrChanged. Properties that a Contact does not tell of stay as they are. A *FieldError says which
// field cannot be so; other errors are those of account's OwnFiles.
func (b *Book) Save(ctx context.Context, c Contact) (id string, err error) {
	if err := c.tidy(); err != nil {
		return "", err
	}
	if c.ID == "" {
		return b.add(ctx, c)
	}
	return c.ID, b.edit(ctx, c.ID, c.Version, func(cards []*card, n int) ([]*card, error) {
		one, err := oneOf(cards, n)
		if err == nil {
			one.apply(c, b.clock())
		}
		return cards, err
	})
}

func (b *Book) add(ctx context.Context, c Contact) (id string, err error) {
	uid := newUID()
	one := &card{version: "3.0", lines: []line{{name: "UID", value: uid}}}
	one.apply(c, b.clock())
	id = uid + ".vcf"
	err = b.files.Edit(ctx, id, func(old []byte) ([]byte, error) {
		if old != nil {
			return nil, fmt.Errorf("%s: %w", id, ErrChanged)
		}
		return one.format(), nil
	})
	b.index.stale()
	return id, err
}

// newUID makes a random UUID, RFC 9562 section 5.4.
func newUID() string {
	var u [16]byte
	rand.Read(u[:]) // never fails
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// Delete removes a contact that is as it was when Get gave its version; else ErrChanged.
func (b *Book) Delete(ctx context.Context, id, version string) error {
	return b.edit(ctx, id, version, func(cards []*card, n int) ([]*card, error) {
		return append(cards[:n:n], cards[n+1:]...), nil
	})
}

// edit changes the cards of the file that a contact is in.
func (b *Book) edit(ctx context.Context, id, version string, change func(cards []*card, n int) ([]*card, error)) error {
	file, n, err := parseID(id)
	if err != nil {
		return err
	}
	defer b.index.stale()
	err = b.files.Edit(ctx, file, func(old []byte) ([]byte, error) {
		cards, more := readCards(old, maxFileCards)
		switch {
		case n >= len(cards):
			return nil, ErrNoContact
		case more:
			return nil, ErrCannotEdit
		case cards[n].digest() != version:
			return nil, ErrChanged
		}
		cards, err := change(cards, n)
		if err != nil || len(cards) == 0 {
			return nil, err
		}
		return formatAll(cards), nil
	})
	if errors.Is(err, account.ErrBadName) {
		err = ErrNoContact
	}
	return err
}

// Export writes all contacts, one vCard after the other.
func (b *Book) Export(ctx context.Context, w io.Writer) error {
	files, err := b.files.List()
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		data, _, err := b.files.Read(f.Name)
		if errors.Is(err, account.ErrNoFile) {
			continue
		}
		if err != nil {
			return err
		}
		cards, _ := readCards(data, maxFileCards)
		if _, err := w.Write(formatAll(cards)); err != nil {
			return err
		}
	}
	return nil
}

func (b *Book) shelf() shelf { return ownShelf{b.files} }

// ownShelf is a user's own files.
type ownShelf struct{ files *account.OwnFiles }

func (s ownShelf) list() ([]shelved, error) {
	files, err := s.files.List()
	if err != nil {
		return nil, err
	}
	out := make([]shelved, len(files))
	for i, f := range files {
		out[i] = shelved{f.Name, f.Version}
	}
	return out, nil
}

func (s ownShelf) read(name string) ([]byte, any, error) {
	data, version, err := s.files.Read(name)
	if errors.Is(err, account.ErrNoFile) || errors.Is(err, account.ErrBadName) {
		return nil, nil, fmt.Errorf("%w: %w", ErrNoContact, err)
	}
	return data, version, err
}
