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
	Rights      Rights // the user's; none where NonExistent
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

// Mailboxes lists all that the user may look up: his own, INBOX first, then other users', then public ones, each
// sorted by parts; missing parents, and those that he may not look up, are there as NonExistent. Matching patterns
// is the protocol's part.
func (u *User) Mailboxes(ctx context.Context) ([]Entry, error) {
	names, err := u.tree.Folders()
	if err != nil {
		return nil, err
	}
	own, err := u.visible(&place{space: personal, tree: u.tree, owner: u.name}, names)
	if err != nil {
		return nil, err
	}
	shared, err := u.shared(ctx, names)
	if err != nil {
		return nil, err
	}
	subscribed, err := u.tree.Subscriptions()
	if err != nil {
		return nil, err
	}
	entries := withParents(append(own, shared...), string(u.sep))
	parents := parentsIn(entries, string(u.sep))
	for i := range entries {
		e := &entries[i]
		_, e.Subscribed = slices.BinarySearch(subscribed, e.Name)
		e.HasChildren = parents[e.Name]
	}
	uses, err := u.tree.SpecialUses()
	if err != nil {
		return nil, err
	}
	markSpecialUses(entries, uses)
	return entries, nil
}

// visible gives the entries of those folders of a tree that the user may look up.
func (u *User) visible(p *place, names []string) ([]Entry, error) {
	entries := make([]Entry, 0, len(names))
	for _, name := range names {
		acl, err := u.service.acls.read(p, name, nil)
		if isMissing(err) {
			continue // gone meanwhile
		}
		if err != nil {
			return nil, err
		}
		have := u.evaluate(p, acl)
		if !have.Has(Lookup) {
			continue
		}
		if p.space != personal {
			name = u.service.fullName(p.owner, name)
		}
		entries = append(entries, Entry{Name: name, Rights: have})
	}
	return entries, nil
}

// shared gives the entries of other users' and of public folders that the user may look up, sorted; those
// that a folder of his own hides are left out. own are all names in his own tree.
func (u *User) shared(ctx context.Context, own []string) ([]Entry, error) {
	if u.service.prefix(others) == "" && u.service.prefix(public) == "" {
		return nil, nil
	}
	where, err := u.service.grants.candidates(ctx, u.name, u.service.groups(u.name))
	if err != nil {
		return nil, err
	}
	var entries []Entry
	for root, dirs := range where {
		found, err := u.sharedIn(root, dirs)
		if err != nil {
			u.service.cfg.Logger.Warn("shared folders of a tree cannot be listed", "root", root, "error", err)
			continue
		}
		entries = append(entries, found...)
	}
	hidden := make(map[string]bool)
	for _, name := range own {
		hidden[name] = true
	}
	entries = slices.DeleteFunc(entries, func(e Entry) bool { return hidden[e.Name] })
	prefix, sep := u.service.prefix(public), string(u.sep)
	slices.SortFunc(entries, func(a, b Entry) int {
		apub, bpub := prefix != "" && strings.HasPrefix(a.Name, prefix), prefix != "" && strings.HasPrefix(b.Name, prefix)
		switch {
		case apub != bpub && apub:
			return 1
		case apub != bpub:
			return -1
		}
		return slices.Compare(strings.Split(a.Name, sep), strings.Split(b.Name, sep))
	})
	return entries, nil
}

// sharedIn gives the entries of one tree.
func (u *User) sharedIn(root string, dirs []string) ([]Entry, error) {
	p := place{space: others, owner: u.service.grants.owner(root)}
	if p.owner == "" {
		p.space = public
	}
	tree, err := u.service.store.OpenTree(root, maildir.TreeOptions{Separator: u.sep})
	if isMissing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p.tree = tree
	defer p.close()
	names, err := tree.NamesOf(dirs)
	if err != nil {
		return nil, err
	}
	if p.space == public {
		names = slices.DeleteFunc(names, func(n string) bool { return n == maildir.Inbox })
	}
	return u.visible(&p, names)
}

// withParents adds the parents that are only names.
func withParents(list []Entry, sep string) []Entry {
	seen := make(map[string]bool, len(list))
	for _, e := range list {
		seen[e.Name] = true
	}
	entries := make([]Entry, 0, len(list))
	for _, e := range list {
		n := e.Name
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
		entries = append(entries, e)
	}
	return entries
}

// parentsIn gives the names of all that have a child among the entries.
func parentsIn(entries []Entry, sep string) map[string]bool {
	parents := make(map[string]bool)
	for i := range entries {
		if at := strings.LastIndex(entries[i].Name, sep); at >= 0 {
			parents[entries[i].Name[:at]] = true
		}
	}
	return parents
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
