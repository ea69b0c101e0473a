package addressbook

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// An index is what is known of the contacts in a directory of vCard files. Whoever asks it has it look first whether files
// were changed, but not more often than once in recheck.
const (
	recheck     = 2 * time.Second
	maxContacts = 50_000 // of one index; what is beyond is left out
)

// shelf is a directory of files. A version is compared with ==.
type shelf interface {
	list() ([]shelved, error)
	read(name string) (data []byte, version any, err error)
}

type shelved struct {
	name    string
	version any
}

type index struct {
	log   *slog.Logger
	clock func() time.Time

	mu      sync.Mutex
	looked  time.Time              // guarded by mu, as what follows
	files   map[string]indexedFile // by name
	sorted  []*entry               // by name; replaced, never changed
	byUID   map[string]*entry
	crowded bool // there are more contacts than are kept
}

type indexedFile struct {
	version any
	entries []*entry
}

// entry is one contact: what Search gives.
type entry struct {
	contact Contact
	file    string
	uid     string
	key     string // to sort by
	hay     hay
}

// idOf names the nth card of a file, from 0.
func idOf(file string, n int) string {
	if n == 0 {
		return file
	}
	return file + "/" + strconv.Itoa(n+1)
}

func parseID(id string) (file string, n int, err error) {
	file, nth, several := strings.Cut(id, "/")
	if several {
		if n, err = strconv.Atoi(nth); err != nil || n < 2 || n > maxFileCards || nth[0] == '+' {
			return "", 0, ErrNoContact
		}
		n--
	}
	return file, n, nil
}

// look gives the entries, sorted, as the files are now or were a moment ago.
func (x *index) look(s shelf) ([]*entry, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.lookLocked(s); err != nil {
		return nil, err
	}
	return x.sorted, nil
}

// find gives the entry of a UID; nil if there is none.
func (x *index) find(s shelf, uid string) (*entry, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.lookLocked(s); err != nil {
		return nil, err
	}
	return x.byUID[uid], nil
}

// stale has the next look read what was changed.
func (x *index) stale() {
	x.mu.Lock()
	x.looked = time.Time{}
	x.mu.Unlock()
}

func (x *index) lookLocked(s shelf) error {
	now := x.clock()
	if age := now.Sub(x.looked); x.files != nil && age >= 0 && age < recheck {
		return nil
	}
	list, err := s.list()
	if err != nil {
		return err
	}
	files := make(map[string]indexedFile, len(list))
	changed := len(list) != len(x.files)
	for _, f := range list {
		if old, ok := x.files[f.name]; ok && old.version == f.version {
			files[f.name] = old
			continue
		}
		changed = true
		data, version, err := s.read(f.name)
		if errors.Is(err, ErrNoContact) {
			continue // gone meanwhile
		}
		if err != nil {
			x.log.Warn("contacts that cannot be read are left out", "file", f.name, "error", err)
			files[f.name] = indexedFile{version: f.version}
			continue
		}
		files[f.name] = indexedFile{version, x.entries(f.name, data)}
	}
	x.looked, x.files = now, files
	if changed {
		x.sort()
	}
	return nil
}

// entries reads a file.
func (x *index) entries(name string, data []byte) []*entry {
	cards, more := readCards(data, maxFileCards)
	if more || len(cards) == 0 {
		x.log.Warn("contacts are left out", "file", name, "vCards", len(cards), "more", more)
	}
	var out []*entry
	for i, c := range cards {
		full := c.contact()
		brief := Contact{
			ID: idOf(name, i), Name: strings.Clone(full.Name), Nickname: strings.Clone(full.Nickname),
			Organization: strings.Clone(full.Organization), Department: strings.Clone(full.Department),
			Emails: cloneRows(full.Emails), Phones: cloneRows(full.Phones), Group: full.Group,
		}
		out = append(out, &entry{contact: brief, file: name, uid: strings.Clone(c.uid()), key: fold(brief.Name), hay: brief.hay()})
	}
	return out
}

// cloneRows copies rows so that they do not keep the whole file in memory.
func cloneRows(rows []Labelled) []Labelled {
	out := make([]Labelled, len(rows))
	for i, r := range rows {
		v := strings.Clone(r.Value)
		out[i] = Labelled{Value: v, Label: strings.Clone(r.Label), Was: v}
	}
	return out
}

func (x *index) sort() {
	var all []*entry
	for _, f := range x.files {
		all = append(all, f.entries...)
	}
	slices.SortFunc(all, func(a, b *entry) int {
		return cmp.Or(strings.Compare(a.key, b.key), strings.Compare(a.contact.ID, b.contact.ID))
	})
	if crowded := len(all) > maxContacts; crowded != x.crowded {
		if x.crowded = crowded; crowded {
			x.log.Warn("contacts are left out: there are too many", "contacts", len(all), "most", maxContacts)
		}
	}
	all = all[:min(len(all), maxContacts)]
	x.byUID = make(map[string]*entry, len(all))
	for _, e := range all {
		if e.uid != "" {
			x.byUID[e.uid] = e
		}
	}
	x.sorted = all
}

// search is Source.Search.
func (x *index) search(ctx context.Context, s shelf, q Query) (found []Contact, more bool, err error) {
	all, err := x.look(s)
	if err != nil {
		return nil, false, err
	}
	if q.Limit <= 0 || q.Limit > MaxFound {
		q.Limit = MaxFound
	}
	type hit struct {
		*entry
		score int
	}
	var hits []hit
	words := queryWords(q.Text)
	for i, e := range all {
		if i%1000 == 0 && ctx.Err() != nil {
			return nil, false, ctx.Err()
		}
		if q.Best && len(e.contact.Emails) == 0 {
			continue
		}
		if score := e.hay.score(words); score > 0 {
			hits = append(hits, hit{e, score})
		}
	}
	if q.Best {
		slices.SortStableFunc(hits, func(a, b hit) int { return b.score - a.score })
	}
	hits = hits[min(max(q.Offset, 0), len(hits)):]
	if more = len(hits) > q.Limit; more {
		hits = hits[:q.Limit]
	}
	for _, h := range hits {
		found = append(found, h.contact)
	}
	return found, more, nil
}

// readOne reads one card afresh.
func readOne(s shelf, id string) (*card, error) {
	file, n, err := parseID(id)
	if err != nil {
		return nil, err
	}
	data, _, err := s.read(file)
	if err != nil {
		return nil, err
	}
	cards, _ := readCards(data, maxFileCards)
	if n >= len(cards) {
		return nil, ErrNoContact
	}
	return cards[n], nil
}

func getOne(s shelf, id string) (Contact, error) {
	c, err := readOne(s, id)
	if err != nil {
		return Contact{}, err
	}
	out := c.contact()
	out.ID, out.Version = id, c.digest()
	return out, nil
}

func vcardOf(s shelf, id string) ([]byte, error) {
	c, err := readOne(s, id)
	if err != nil {
		return nil, err
	}
	return c.format(), nil
}
