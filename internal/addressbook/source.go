package addressbook

import (
	"cmp"
	"context"
	"slices"
	"strings"
)

// Source is where contacts come from: a user's own Book, a Directory that all users look into, or something else that can
// be searched. Its methods are safe for concurrent use.
type Source interface {
	// Search gives contacts that all words of q.Text match, sorted by name, or the best first if q.Best is set; more tells
	// that there are others behind them. What it gives need not have all that Get gives: ID, Name, Organization, Emails
	// and Phones are there.
	Search(ctx context.Context, q Query) (found []Contact, more bool, err error)
	// Get gives a whole contact. ErrNoContact if there is none of that ID.
	Get(ctx context.Context, id string) (Contact, error)
	// VCard gives a contact as a vCard. ErrNoContact as Get.
	VCard(ctx context.Context, id string) ([]byte, error)
}

// Query is what is searched for.
type Query struct {
	Text   string // words, each the beginning of a word of the name, an address and so on; "" finds all
	Best   bool   // best first, and only those that have an e-mail address
	Offset int    // how many are passed over
	Limit  int    // how many are wanted at most; 0 for MaxFound
}

// MaxFound is the most that one Search gives.
const MaxFound = 1000

// maxQuery bounds the text of a query, in octets, and maxWords its words.
const (
	maxQuery = 500
	maxWords = 10
)

// Suggestion is an address that may complete what somebody types.
type Suggestion struct {
	Name    string // of the contact; "" if that is the address
	Address string
}

// Complete suggests addresses, those of earlier sources first; none twice. What a source cannot tell is passed over
// and its error is given beside what the others know.
func Complete(ctx context.Context, text string, limit int, sources ...Source) (out []Suggestion, err error) {
	if strings.TrimSpace(text) == "" || limit <= 0 {
		return nil, nil
	}
	seen := make(map[string]bool)
	for _, src := range sources {
		found, _, serr := src.Search(ctx, Query{Text: text, Best: true, Limit: limit})
		err = cmp.Or(err, serr)
		for _, c := range found {
			for _, s := range c.suggest(text) {
				if key := strings.ToLower(s.Address); !seen[key] && len(out) < limit {
					seen[key] = true
					out = append(out, s)
				}
			}
		}
	}
	return out, err
}

// suggest lists the addresses of a contact that was found: those that the text itself matches first.
func (c *Contact) suggest(text string) (out []Suggestion) {
	text = fold(strings.TrimSpace(text))
	emails := slices.Clone(c.Emails)
	slices.SortStableFunc(emails, func(a, b Labelled) int {
		return -cmp.Compare(matches(a.Value, text), matches(b.Value, text))
	})
	for _, e := range emails {
		s := Suggestion{Name: c.Name, Address: e.Value}
		if strings.EqualFold(s.Name, s.Address) {
			s.Name = ""
		}
		out = append(out, s)
	}
	return out
}

// matches is 1 if an address begins with a text.
func matches(address, text string) int {
	if strings.HasPrefix(fold(address), text) {
		return 1
	}
	return 0
}
