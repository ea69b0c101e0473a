package account

import (
	"fmt"
	"strings"

	"postroom/maildir"
)

// space is a kind of namespace (RFC 2342 section 3).
type space uint8

const (
	personal space = iota
	others         // other users' mailboxes: PREFIX/user/mailbox
	public         // mailboxes of nobody: PREFIX/mailbox
)

// place is where a mailbox's name leads: a folder, there or not, of a tree.
type place struct {
	space space
	tree  *maildir.Tree // nil: of a user there is not, or who has no mail yet
	owner string        // login name; "" for public mailboxes
	full  string        // the name as this user knows it
	name  string        // the folder's name in its tree; "" for a namespace itself, which is no folder
}

// close gives the tree back; the user's own stays open as long as the login.
func (p *place) close() {
	if p.space != personal && p.tree != nil {
		p.tree.Close()
		p.tree = nil
	}
}

// missing is the error for a name that leads nowhere, and for one that the user may not look up.
func (p *place) missing() error { return fmt.Errorf("%q: %w", p.full, ErrNoFolder) }

// Namespace is one row of RFC 2342's answer.
type Namespace struct {
	Prefix    string // "" for the personal one; else it ends with the separator
	Separator byte
}

// Namespaces lists the personal, other users' and shared namespaces.
func (u *User) Namespaces() (own, other, shared []Namespace) {
	own = []Namespace{{Separator: u.sep}}
	if p := u.service.prefix(others); p != "" {
		other = []Namespace{{Prefix: p, Separator: u.sep}}
	}
	if p := u.service.prefix(public); p != "" {
		shared = []Namespace{{Prefix: p, Separator: u.sep}}
	}
	return own, other, shared
}

// prefix of a namespace, with its separator; "" where there is none.
func (s *Service) prefix(sp space) string {
	name := ""
	switch {
	case sp == others:
		name = s.cfg.OtherUsers
	case sp == public && s.cfg.Public != "":
		name = s.cfg.PublicPrefix
	}
	if name == "" {
		return ""
	}
	return name + string(s.cfg.Separator)
}

// at finds where a name leads. Its place wants close. That nothing is there is no error here: the name may be
// one to be made.
//
// A folder of the user's own whose name begins like another namespace's stays what it is; it
// hides what that namespace would have under the name.
func (u *User) at(name string) (place, error) {
	p := place{space: personal, tree: u.tree, owner: u.name, full: canonicalInbox(name)}
	p.name = p.full
	for _, sp := range []space{others, public} {
		prefix := u.service.prefix(sp)
		if prefix == "" || !strings.HasPrefix(name+string(u.sep), prefix) || u.tree.Exists(name) {
			continue
		}
		rest := strings.TrimPrefix(name+string(u.sep), prefix)
		return u.abroad(place{space: sp, full: u.Canonical(name)}, strings.TrimSuffix(rest, string(u.sep)))
	}
	return p, nil
}

// abroad completes the place of a name in another namespace than the personal one; rest is the name without the prefix.
func (u *User) abroad(p place, rest string) (place, error) {
	p.name = rest
	root := u.service.cfg.Public
	if p.space == others {
		owner, name, _ := strings.Cut(rest, string(u.sep))
		p.owner, p.name = u.service.userIn(owner), canonicalInbox(name)
		if p.owner == u.name || !u.service.hasUser(p.owner) {
			return p, nil // one's own mail has no second name
		}
		var err error
		if root, err = u.service.Path(p.owner); err != nil {
			return p, nil
		}
	} else if strings.EqualFold(p.name, maildir.Inbox) {
		p.name = "" // the top of a public tree holds no mail that anybody could name
	}
	tree, err := u.service.store.OpenTree(root, maildir.TreeOptions{Separator: u.sep})
	switch {
	case err == nil:
		p.tree = tree
	case !isMissing(err):
		return p, err
	}
	return p, nil
}

// userIn gives the login name that a part of a mailbox's name stands for, nameOf the reverse. No login name holds
// a colon, so it can take the place of a separator.
func (s *Service) userIn(part string) string {
	return strings.ReplaceAll(part, ":", string(s.cfg.Separator))
}

func (s *Service) nameOf(user string) string {
	return strings.ReplaceAll(user, string(s.cfg.Separator), ":")
}

// existing is at for commands on a mailbox that must be there, which the look at its ACL tells.
func (u *User) existing(name string) (place, error) {
	p, err := u.at(name)
	if err != nil {
		return p, err
	}
	if p.tree == nil || p.name == "" {
		p.close()
		return p, p.missing()
	}
	return p, nil
}

// fullName is the name of a folder of another tree as clients know it; owner is "" for the public one.
func (s *Service) fullName(owner, name string) string {
	if owner == "" {
		return s.prefix(public) + name
	}
	return s.prefix(others) + s.nameOf(owner) + string(s.cfg.Separator) + name
}
