package account

import (
	"context"
	"errors"
	"fmt"

	"postroom/aclfile"
	"postroom/maildir"
)

// Who administers the whole server has no login. He works on the tree of a user, or on the public one, and no right is
// missing there; he also sees the files behind the ACLs, which no protocol does.

// Administrate gives the account of a user to who administers the whole server. It makes
// nothing. ErrNoFolder if the user has no mail yet. Every Administrate wants one Close.
func (s *Service) Administrate(ctx context.Context, user string) (*User, error) {
	u, err := s.open(user, false)
	if err == nil {
		u.administrator = true
	}
	return u, err
}

// AdministratePublic is Administrate for the public tree, whose folders have the names that they have in it; INBOX is
// its top. create makes the tree when it is not there yet. ErrCannot if the configuration has none.
func (s *Service) AdministratePublic(ctx context.Context, create bool) (*User, error) {
	if s.cfg.Public == "" {
		return nil, fmt.Errorf("public folders: %w: none are configured", ErrCannot)
	}
	tree, err := s.store.OpenTree(s.cfg.Public, maildir.TreeOptions{Separator: s.cfg.Separator, Create: create})
	if err != nil {
		return nil, err
	}
	return &User{service: s, tree: tree, sep: s.cfg.Separator, administrator: true}, nil
}

// FolderACL is what the ACL file of a folder says.
type FolderACL struct {
	Folder  string
	File    string // path; of where it would be, if there is none
	Exists  bool
	Courier bool       // it is Courier's: lines are those of the dovecot-acl that says the same
	Entries []ACLEntry // none if there is a bad line
	Bad     []BadLine
}

// BadLine is a line of an ACL file that nobody understands; Line is 0 where the whole file is at fault.
type BadLine struct {
	Line   int    `json:"line,omitempty"`
	Reason string `json:"reason"`
}

// FolderACL reads the ACL file of a folder, for who may administer it.
func (u *User) FolderACL(name string) (FolderACL, error) {
	p, acl, err := u.administered(name)
	if err != nil {
		return FolderACL{}, err
	}
	defer p.close()
	out := FolderACL{Folder: p.full, Entries: acl.Entries()}
	var kind maildir.ACLKind
	if out.File, kind, err = p.tree.ACLPath(p.name); err != nil {
		return FolderACL{}, err
	}
	out.Exists, out.Courier = kind != maildir.NoACL, kind == maildir.CourierACL
	var bad *aclfile.SyntaxError
	if errors.As(acl.Err(), &bad) {
		for _, b := range append([]*aclfile.SyntaxError{bad}, bad.More...) {
			out.Bad = append(out.Bad, BadLine{b.Line, b.Reason})
		}
	}
	return out, nil
}

// FolderACLs reads the ACL files of all folders of the user's own tree that have one.
func (u *User) FolderACLs() ([]FolderACL, error) {
	names, err := u.tree.Folders()
	if err != nil {
		return nil, err
	}
	var out []FolderACL
	for _, name := range names {
		switch _, kind, err := u.tree.ACLPath(name); {
		case isMissing(err) || err == nil && kind == maildir.NoACL:
			continue
		case err != nil:
			return nil, err
		}
		f, err := u.FolderACL(name)
		if isMissing(err) {
			continue // gone meanwhile
		}
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// Shared lists other users' and public folders that the user may look up, with the rights that he has there himself,
// whoever asks.
func (u *User) Shared(ctx context.Context) ([]Entry, error) {
	names, err := u.tree.Folders()
	if err != nil {
		return nil, err
	}
	himself := &User{service: u.service, name: u.name, tree: u.tree, sep: u.sep}
	return himself.shared(ctx, names)
}

// Same tells whether two identifiers mean one entry of the ACLs in the user's tree: he is their owner by his login name, too.
func (u *User) Same(a, b Identifier) bool {
	p := place{owner: u.name}
	return a == b || p.isOwner(a) && p.isOwner(b)
}
