package account

import (
	"context"
	"slices"
	"strings"

	"postroom/maildir"
)

// Entry is one mailbox in a listing.
type Entry struct {
	Name        string // UTF-8; INBOX in capitals
	NonExistent bool   // only a name: the parent of a mailbox
	HasChildren bool   // a child is visible to this user
	SpecialUse  string // `\Sent` and so on; "" if none
	Subscribed  bool
}

// specialUses are the attributes of RFC 6154 section 2 that a mailbox can be
// given, and the names that have them without being told.
var specialUses = []struct {
	attr  string
	names []string
}{
	{`\Archive`, []string{"Archive", "Archives"}},
	{`\Drafts`, []string{"Drafts"}},
	{`\Junk`, []string{"Junk", "Spam"}},
	{`\Sent`, []string{"Sent", "Sent Messages", "Sent Items"}},
	{`\Trash`, []string{"Trash", "Deleted Messages", "Deleted Items"}},
}

func validSpecialUse(attr string) bool {
	for _, u := range specialUses {
		if u.attr == attr {
			return true
		}
	}
	return false
}

// Mailboxes lists all that the user may see, INBOX first, then sorted by parts; missing parents
// are there as NonExistent. Matching patterns is the protocol's part.
func (u *User) Mailboxes(ctx context.Context) ([]Entry, error) {
	names, err := u.tree.Folders()
	if err != nil {
		return nil, err
	}
	subscribed, err := u.tree.Subscriptions()
	if err != nil {
		return nil, err
	}
	entries := withParents(names, string(u.sep))
	for i := range entries {
		e := &entries[i]
		_, e.Subscribed = slices.BinarySearch(subscribed, e.Name)
		e.HasChildren = i+1 < len(entries) && hasChild(entries, i, string(u.sep))
	}
	uses, err := u.tree.SpecialUses()
	if err != nil {
		return nil, err
	}
	markSpecialUses(entries, uses)
	return entries, nil
}

// withParents adds the parents that are only names.
func withParents(names []string, sep string) []Entry {
	seen := make(map[string]bool, len(names))
	for _, n := range names {
		seen[n] = true
	}
	entries := make([]Entry, 0, len(names))
	for _, n := range names {
		for i := 0; ; {
			j := strings.Index(n[i:], sep)
			if j < 0 {
				break
			}
			i += j
			if parent := n[:i]; !seen[parent] && !strings.EqualFold(parent, maildir.Inbox) {
				seen[parent] = true
				entries = append(entries, Entry{Name: parent, NonExistent: true})
			}
			i += len(sep)
		}
		entries = append(entries, Entry{Name: n})
	}
	return entries
}

// hasChild looks behind entry i: children follow their parent in the order, but
// INBOX comes before everything.
func hasChild(entries []Entry, i int, sep string) bool {
	prefix := entries[i].Name + sep
	if entries[i].Name != maildir.Inbox {
		return strings.HasPrefix(entries[i+1].Name, prefix)
	}
	return slices.ContainsFunc(entries, func(e Entry) bool { return strings.HasPrefix(e.Name, prefix) })
}

// markSpecialUses gives each attribute to the mailbox that was created for it;
// else to the first that has one of the usual names.
func markSpecialUses(entries []Entry, told map[string]string) {
	given := make(map[string]bool)
	for i := range entries {
		if use := told[entries[i].Name]; use != "" && !entries[i].NonExistent {
			entries[i].SpecialUse = use
			given[use] = true
		}
	}
	for _, use := range specialUses {
		for _, name := range use.names {
			if given[use.attr] {
				break
			}
			for i := range entries {
				if e := &entries[i]; e.Name == name && !e.NonExistent && e.SpecialUse == "" {
					e.SpecialUse = use.attr
					given[use.attr] = true
				}
			}
		}
	}
}
