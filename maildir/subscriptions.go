package maildir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sort"
	"strings"
	"unicode"
)

// subscriptions in the root of a tree lists the names a user has subscribed
// to, whether the folders exist or not. Version 2 begins "V<TAB>2" and an empty line, and
// then has a name a line, its parts divided by TABs; version 1 is names alone,
// their parts divided by the tree's '.'. Parts are written as on disk. The
// version found is kept; a new file is version 2.
const (
	subscriptionsName = "subscriptions"
	maxSubscriptions  = 16 << 20 // octets
	subscriptionsV2   = "V\t2\n\n"
)

var (
	tabEscape   = strings.NewReplacer("\x00", "\x010", "\x01", "\x011", "\t", "\x01t", "\r", "\x01r", "\n", "\x01n")
	tabUnescape = strings.NewReplacer("\x010", "\x00", "\x011", "\x01", "\x01t", "\t", "\x01r", "\r", "\x01n", "\n")
)

// Subscriptions lists the subscribed names, sorted.
func (t *Tree) Subscriptions() ([]string, error) {
	_, stored, err := t.readSubscriptions()
	if err != nil {
		return nil, err
	}
	enc := t.encoding()
	out := make([]string, 0, len(stored))
	for _, parts := range stored {
		out = append(out, t.decodeStored(parts, enc))
	}
	sort.Strings(out)
	return slices.Compact(out), nil
}

// Subscribe adds or removes a name. A name that is there, or not there, already is no error.
func (t *Tree) Subscribe(ctx context.Context, name string, on bool) error {
	parts, err := t.splitName(name)
	if err != nil {
		return err
	}
	enc := t.encoding()
	t.subMu.Lock()
	defer t.subMu.Unlock()
	lock, err := t.store.lock.lock(ctx, t.top, subscriptionsName, nil)
	if err != nil {
		return err
	}
	defer lock.unlock()
	v2, stored, err := t.readSubscriptions()
	if err != nil {
		return err
	}
	at := slices.IndexFunc(stored, func(s []string) bool { return t.decodeStored(s, enc) == name })
	switch {
	case on == (at >= 0):
		return wrapSys("sync", t.path, t.top.settle())
	case on:
		for i, p := range parts {
			if v2 && enc == plainUTF8 && strings.Contains(p, ".") {
				continue // of a name elsewhere, john.doe's mail perhaps: only as a directory's it could not be
			}
			if parts[i], err = encodePart(p, enc); err != nil {
				return fmt.Errorf("%q: %w: %w", name, ErrBadName, err)
			}
		}
		stored = append(stored, parts)
	default:
		stored = slices.DeleteFunc(stored, func(s []string) bool { return t.decodeStored(s, enc) == name })
	}
	_, err = t.top.replaceFile(subscriptionsName+".tmp", subscriptionsName, formatSubscriptions(v2, stored))
	return wrapSys("write", subscriptionsName, err)
}

func (t *Tree) decodeStored(parts []string, enc encoding) string {
	name := t.decodeParts(parts, enc)
	if strings.EqualFold(name, Inbox) {
		return Inbox
	}
	return name
}

func (t *Tree) readSubscriptions() (v2 bool, names [][]string, err error) {
	data, _, err := t.top.readFile(subscriptionsName, maxSubscriptions)
	if errors.Is(err, fs.ErrNotExist) {
		names, err = t.readCourierSubscriptions()
		return true, names, err
	}
	if err != nil {
		return false, nil, wrapSys("read", subscriptionsName, err)
	}
	v2, names = parseSubscriptions(string(data))
	return v2, names, nil
}

// parseSubscriptions gives each name's parts as stored.
func parseSubscriptions(text string) (v2 bool, names [][]string) {
	if first, rest, _ := strings.Cut(text, "\n"); strings.TrimSuffix(first, "\r") == "V\t2" {
		v2, text = true, rest
	}
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSuffix(line, "\r")
		var parts []string
		if v2 {
			for p := range strings.SplitSeq(line, "\t") {
				parts = append(parts, tabUnescape.Replace(p))
			}
		} else if !strings.ContainsFunc(line, unicode.IsControl) {
			parts = strings.Split(strings.TrimSuffix(line, "."), ".")
		}
		if len(parts) > 0 && !slices.Contains(parts, "") {
			names = append(names, parts)
		}
	}
	return v2 || text == "", names
}

func formatSubscriptions(v2 bool, names [][]string) []byte {
	var b strings.Builder
	if v2 {
		b.WriteString(subscriptionsV2)
	}
	for _, parts := range names {
		for i, p := range parts {
			if i > 0 && v2 {
				b.WriteByte('\t')
			} else if i > 0 {
				b.WriteByte('.')
			}
			if v2 {
				p = tabEscape.Replace(p)
			}
			b.WriteString(p)
		}
		b.WriteByte('\n')
	}
	return []byte(b.String())
}
