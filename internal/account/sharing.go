package account

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"postroom/aclfile"
)

// What people want who share mailboxes, beyond the commands of RFC 4314.

// ErrACLChanged: the ACL is not what it was when somebody decided to change it.
var ErrACLChanged = errors.New("the rights were changed meanwhile")

// Cause is why somebody has a right or has it not.
type Cause = aclfile.Cause

// The causes; see aclfile.
const (
	NotGiven  = aclfile.NotGiven
	ByLine    = aclfile.ByLine
	ByDefault = aclfile.ByDefault
	AsOwner   = aclfile.AsOwner
	BadFile   = aclfile.BadFile
)

// The kinds of Identifier.
const (
	ForAnyone        = aclfile.Anyone
	ForAuthenticated = aclfile.Authenticated
	ForGroup         = aclfile.Group
	ForOwner         = aclfile.Owner
	ForUser          = aclfile.User
	ForGroupOverride = aclfile.GroupOverride
)

// ACLChange is what happens to one entry.
type ACLChange struct {
	Identifier Identifier
	Negative   bool
	Was, To    Rights
	Added      bool // there was no such entry
	Removed    bool // there will be none
}

// CompareACLs lists what changes entries to others, in the order of ACL files.
func CompareACLs(from, to []ACLEntry) (out []ACLChange) {
	for _, e := range from {
		c := ACLChange{Identifier: e.Identifier, Negative: e.Negative, Was: e.Rights}
		if other := entryOf(to, e); other == nil {
			c.Removed = true
		} else if c.To = other.Rights; c.To == c.Was {
			continue
		}
		out = append(out, c)
	}
	for _, e := range to {
		if entryOf(from, e) == nil {
			out = append(out, ACLChange{Identifier: e.Identifier, Negative: e.Negative, To: e.Rights, Added: true})
		}
	}
	slices.SortStableFunc(out, func(a, b ACLChange) int { return a.Identifier.Compare(b.Identifier) })
	return out
}

// entryOf gives the entry for the same identifier and sign; nil if there is none.
func entryOf(list []ACLEntry, like ACLEntry) *ACLEntry {
	for i := range list {
		if list[i].Identifier == like.Identifier && list[i].Negative == like.Negative {
			return &list[i]
		}
	}
	return nil
}

// ReplaceACL makes the entries of a mailbox's ACL, as FolderACL has them, those of to, in one step, if they are those
// of from now; else ErrACLChanged. It needs the right to administer the mailbox. ErrPolicy if that would give
// everybody rights that he does not have yet, and users may not do so.
func (u *User) ReplaceACL(ctx context.Context, name string, from, to []ACLEntry) error {
	return u.editACL(ctx, name, func(_ *place, acl *aclfile.File) (bool, error) {
		if acl.Err() == nil && len(CompareACLs(from, acl.Entries())) > 0 {
			return false, ErrACLChanged
		}
		changed := false
		for _, c := range CompareACLs(acl.Entries(), to) {
			everybody := c.Identifier.Kind == aclfile.Anyone || c.Identifier.Kind == aclfile.Authenticated
			if everybody && !c.Negative && c.To&^c.Was != 0 && !u.service.cfg.AnyoneAllowed && !u.administrator {
				return false, fmt.Errorf("%s: %w", c.Identifier, ErrPolicy)
			}
			var did bool
			var err error
			if c.Removed {
				did, err = acl.Remove(c.Identifier, c.Negative)
			} else {
				did, err = acl.Set(c.Identifier, c.Negative, aclfile.Replace, c.To)
			}
			if err != nil {
				return false, err
			}
			changed = changed || did
		}
		return changed, nil
	})
}

// Known tells whether there is a user of that name.
func (u *User) Known(name string) bool { return u.service.hasUser(name) }

// KnownGroup tells whether any user is in a group.
func (u *User) KnownGroup(name string) bool {
	return name != "" && slices.ContainsFunc(u.service.cfg.Users.Names(), func(user string) bool {
		return slices.Contains(u.service.groups(user), name)
	})
}

// People lists users other than this one, and groups, whose names have a text in them, the names that begin with it
// first, at most limit of each.
func (u *User) People(text string, limit int) (users, groups []string) {
	all := make(map[string]bool)
	for _, name := range u.service.cfg.Users.Names() {
		if name != u.name {
			users = append(users, name)
		}
		for _, g := range u.service.groups(name) {
			all[g] = true
		}
	}
	for g := range all {
		groups = append(groups, g)
	}
	return bestNames(users, text, limit), bestNames(groups, text, limit)
}

// bestNames gives those of names that a text is in.
func bestNames(names []string, text string, limit int) []string {
	text = strings.ToLower(text)
	names = slices.DeleteFunc(names, func(n string) bool { return !strings.Contains(strings.ToLower(n), text) })
	rank := func(n string) int {
		if strings.HasPrefix(strings.ToLower(n), text) {
			return 0
		}
		return 1
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(rank(a)-rank(b), strings.Compare(a, b)) })
	return names[:min(len(names), max(limit, 0))]
}
