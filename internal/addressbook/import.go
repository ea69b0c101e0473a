package addressbook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"

	"postroom/internal/account"
)

// Bounds of an import.
const (
	MaxImport      = 16 << 20 // octets
	MaxImportCards = 5000

	importBatch = 200 // files that are changed by one hold of the lock
)

// Imported counts what came of an import.
type Imported struct {
	Added    int
	Replaced int // they were there, and are now as the file has them
	Kept     int // they were there, and stay as they were
	Refused  int // too large, or in a file that is not changed here
}

// Import adds the vCards of a file. Contacts that are there already, by their UIDs, are replaced if replace is set, else kept as they
// are; a card without a UID gets one by what it holds, so that importing it twice adds it once. ErrTooBig beyond
// MaxImport or MaxImportCards, ErrNoCards if there is none; then nothing is changed. After another error some contacts may have been added.
func (b *Book) Import(ctx context.Context, r io.Reader, replace bool) (Imported, error) {
	var sum Imported
	data, err := io.ReadAll(io.LimitReader(r, MaxImport+1))
	if err != nil {
		return sum, err
	}
	if len(data) > MaxImport {
		return sum, fmt.Errorf("more than %d octets: %w", MaxImport, ErrTooBig)
	}
	cards, more := readCards(data, MaxImportCards)
	switch {
	case more:
		return sum, fmt.Errorf("more than %d contacts: %w", MaxImportCards, ErrTooBig)
	case len(cards) == 0:
		return sum, ErrNoCards
	}
	plan, order, err := b.plan(cards)
	if err != nil {
		return sum, err
	}
	defer b.index.stale()
	for batch := range slices.Chunk(order, importBatch) {
		var now Imported // counts only when it is done
		err := b.files.EditAll(ctx, batch, func(name string, old []byte) ([]byte, error) {
			return now.merge(old, plan[name], replace), nil
		})
		if err != nil {
			return sum, err
		}
		sum.Added += now.Added
		sum.Replaced += now.Replaced
		sum.Kept += now.Kept
		sum.Refused += now.Refused
	}
	return sum, nil
}

// plan says which cards go into which file, and gives the files in order.
func (b *Book) plan(cards []*card) (plan map[string][]*card, order []string, err error) {
	plan = make(map[string][]*card)
	seen := make(map[string]string) // digests by UID
	for _, c := range cards {
		if len(c.lines) == 0 {
			continue
		}
		digest := c.digest()
		if other, twice := seen[c.uid()]; c.uid() == "" || twice && other != digest {
			c.setText("UID", digest)
		}
		uid := c.uid()
		if _, twice := seen[uid]; twice {
			continue // the same once more
		}
		seen[uid] = digest
		name := fileOf(uid)
		e, err := b.index.find(b.shelf(), uid)
		if err != nil {
			return nil, nil, err
		}
		if e != nil {
			name = e.file
		}
		if plan[name] == nil {
			order = append(order, name)
		}
		plan[name] = append(plan[name], c)
	}
	return plan, order, nil
}

// fileOf is the name of the file for a UID.
func fileOf(uid string) string {
	usable := len(uid) <= 100 && uid[0] != '.' && !strings.ContainsFunc(uid, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.@", r))
	})
	if !usable {
		sum := sha256.Sum256([]byte(uid))
		uid = hex.EncodeToString(sum[:16])
	}
	return uid + ".vcf"
}

// merge puts cards into a file, and counts.
func (n *Imported) merge(old []byte, cards []*card, replace bool) []byte {
	have, more := readCards(old, maxFileCards)
	if more || old != nil && len(have) == 0 && len(bytes.TrimSpace(old)) > 0 {
		n.Refused += len(cards)
		return old
	}
	out, now := old, *n
	for _, c := range cards {
		at := slices.IndexFunc(have, func(h *card) bool { return h.uid() == c.uid() })
		next := have
		switch {
		case c.cut || at >= 0 && have[at].cut:
			now.Refused++
			continue
		case at < 0:
			next = append(slices.Clone(have), c)
		case !replace || have[at].digest() == c.digest():
			now.Kept++
			continue
		default:
			next = slices.Clone(have)
			next[at] = c
		}
		data := formatAll(next)
		switch {
		case len(data) > account.MaxOwnFile:
			now.Refused++
			continue
		case at < 0:
			now.Added++
		default:
			now.Replaced++
		}
		have, out = next, data
	}
	*n = now
	return out
}
