package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"postroom/aclfile"
	"postroom/maildir"
)

// The terms of ACLs that protocols use.
type (
	// Identifier says whom an entry of an ACL is about.
	Identifier = aclfile.Identifier
	// ACLEntry gives or takes away rights.
	ACLEntry = aclfile.Entry
	// ACLMode says what SetACL does to the rights that an entry has.
	ACLMode = aclfile.Mode
	// Reason says which line of an ACL gives or takes a right.
	Reason = aclfile.Reason
)

// The ways to change an entry.
const (
	ReplaceRights = aclfile.Replace
	AddRights     = aclfile.Add
	RemoveRights  = aclfile.Remove
)

// ParseIdentifier reads an identifier as SETACL has it, after it was prepared as names of users are; negative tells
// that it is the entry which takes rights away.
func ParseIdentifier(s string) (id Identifier, negative bool, err error) { return aclfile.ParseIMAP(s) }

// ParseFileIdentifier reads an identifier as ACL files have it; negative tells that a minus sign stands before it.
func ParseFileIdentifier(s string) (id Identifier, negative bool, err error) {
	s, negative = strings.CutPrefix(s, "-")
	id, err = aclfile.ParseIdentifier(s)
	return id, negative, err
}

// ParseModRights reads the last argument of SETACL: a sign or none, and letters.
func ParseModRights(s string) (ACLMode, Rights, error) { return aclfile.ParseModRights(s) }

// ErrPolicy: the configuration does not let users give rights to everybody.
var ErrPolicy = errors.New("rights for everybody are the administrator's to give")

// ErrBadACL: the ACL file cannot be read, or has lines that nobody can understand, and must be mended by hand before it is
// changed.
var ErrBadACL = errors.New("the ACL file is damaged")

// parseACL makes an ACL of what was read of the file of a folder in p's tree. err is why it could not be read. A bad
// one is logged, and gives rights to nobody but the owner.
func (s *Service) parseACL(p *place, name string, file maildir.ACLFile, err error) *aclfile.File {
	acl := aclfile.New()
	if err == nil {
		switch file.Kind {
		case maildir.DovecotACL:
			acl, err = aclfile.Parse(file.Data)
		case maildir.CourierACL:
			acl, err = s.fromCourier(p.owner, file.Data)
		}
	}
	if err == nil {
		return acl
	}
	path, _, perr := p.tree.ACLPath(name)
	if perr != nil {
		path = p.tree.Path() // the folder has gone meanwhile
	}
	s.cfg.Logger.Error("bad ACL file: nobody but the owner has rights", "file", path, "mailbox", name, "error", err)
	var bad *aclfile.SyntaxError
	if !errors.As(err, &bad) {
		bad = &aclfile.SyntaxError{Reason: err.Error()}
	}
	return aclfile.Broken(bad)
}

func (s *Service) fromCourier(owner string, data []byte) (*aclfile.File, error) {
	c, err := aclfile.ParseCourier(data)
	if err != nil {
		return nil, err
	}
	return c.File(owner, s.groups)
}

// ACL is what GETACL tells of a mailbox, for who may administer it: the entries, the owner's own among them
// also where no line of the file says it.
type ACL struct {
	Entries []ACLEntry
	Owner   string // login name; "" for a public mailbox
	Err     error  // the first bad line, where the file has one
}

// Name is what IMAP calls an entry: the owner's is that of his login name, unless the file has another entry
// that is.
func (a *ACL) Name(e ACLEntry) string {
	id := Identifier{Kind: aclfile.User, Name: a.Owner}
	if e.Identifier.Kind == aclfile.Owner && a.Owner != "" && !mentions(a.Entries, id) {
		return id.IMAP(e.Negative)
	}
	return e.Identifier.IMAP(e.Negative)
}

// mentions tells whether some entry, of either sign, is about an identifier.
func mentions(entries []ACLEntry, id Identifier) bool {
	return slices.ContainsFunc(entries, func(e ACLEntry) bool { return e.Identifier == id })
}

// GetACL gives the ACL of a mailbox (RFC 4314 section 3.3).
func (u *User) GetACL(ctx context.Context, name string) (ACL, error) {
	p, acl, err := u.administered(name)
	if err != nil {
		return ACL{}, err
	}
	defer p.close()
	out := ACL{Entries: acl.Entries(), Owner: p.owner, Err: acl.Err()}
	if p.owner == "" {
		return out, nil
	}
	var entries []ACLEntry
	explicit := false
	for _, e := range out.Entries {
		if !e.Negative && p.isOwner(e.Identifier) {
			explicit = explicit || e.Identifier.Kind == aclfile.Owner
			e.Rights |= aclfile.OwnerAlways
		}
		entries = append(entries, e)
	}
	if !explicit {
		owner := ACLEntry{Identifier: Identifier{Kind: aclfile.Owner}, Rights: AllRights}
		entries = append([]ACLEntry{owner}, entries...)
	}
	out.Entries = entries
	return out, nil
}

// administered finds a mailbox for a command that wants the right to administer it.
func (u *User) administered(name string) (place, *aclfile.File, error) {
	p, err := u.existing(name)
	if err != nil {
		return p, nil, err
	}
	acl, err := u.service.acls.read(&p, p.name, nil)
	if err == nil {
		err = p.refused(u.evaluate(&p, acl), Administer)
	}
	if err != nil {
		p.close()
		return p, nil, err
	}
	return p, acl, nil
}

// SetACL changes the rights of one entry (RFC 4314 section 3.1). open tells that
// from now on everybody may change the mailbox, of which the user is to be warned.
func (u *User) SetACL(ctx context.Context, name string, id Identifier, negative bool, mode ACLMode, rights Rights) (open bool, err error) {
	everybody := id.Kind == aclfile.Anyone || id.Kind == aclfile.Authenticated
	if everybody && !negative && mode != RemoveRights && rights != 0 && !u.service.cfg.AnyoneAllowed && !u.administrator {
		// Only who may change this ACL learns of the rule: to all others the mailbox is what it is.
		p, _, err := u.administered(name)
		if err != nil {
			return false, err
		}
		p.close()
		return false, fmt.Errorf("%q for %s: %w", name, id, ErrPolicy)
	}
	err = u.editACL(ctx, name, func(p *place, acl *aclfile.File) (bool, error) {
		changed, err := acl.Set(p.canonical(acl, id), negative, mode, rights)
		if everybody && !negative {
			for _, e := range acl.Entries() {
				open = open || e.Identifier == id && !e.Negative && e.Rights&^(Lookup|Read|WriteSeen|Post) != 0
			}
		}
		return changed, err
	})
	if err == nil && open {
		u.service.cfg.Logger.Warn("an ACL lets everybody change a mailbox", "user", u.name, "mailbox", name, "identifier", id.String())
	}
	return open && mode != RemoveRights, err
}

// DeleteACL removes one entry (RFC 4314 section 3.2). One that is not there is no error.
func (u *User) DeleteACL(ctx context.Context, name string, id Identifier, negative bool) error {
	return u.editACL(ctx, name, func(p *place, acl *aclfile.File) (bool, error) {
		return acl.Remove(p.canonical(acl, id), negative)
	})
}

// canonical is the identifier that a file has: the owner is "owner", by whatever name he is called, unless the
// file calls him by his login name.
func (p *place) canonical(acl *aclfile.File, id Identifier) Identifier {
	if p.isOwner(id) && !mentions(acl.Entries(), id) {
		return Identifier{Kind: aclfile.Owner}
	}
	return id
}

// isOwner tells whether an identifier is about the owner alone.
func (p *place) isOwner(id Identifier) bool {
	return p.owner != "" && (id.Kind == aclfile.Owner || id.Kind == aclfile.User && id.Name == p.owner)
}

// editACL changes a mailbox's ACL file under its lock, as it stands then; the right to do so is checked
// once more there, since the file may have changed.
func (u *User) editACL(ctx context.Context, name string, change func(p *place, acl *aclfile.File) (bool, error)) error {
	p, _, err := u.administered(name)
	if err != nil {
		return err
	}
	defer p.close()
	err = p.tree.EditACL(ctx, p.name, func(file maildir.ACLFile) ([]byte, error) {
		acl := u.service.parseACL(&p, p.name, file, nil)
		if err := p.refused(u.evaluate(&p, acl), Administer); err != nil {
			return nil, err
		}
		switch changed, err := change(&p, acl); {
		case errors.Is(err, aclfile.ErrBroken):
			return nil, fmt.Errorf("%q: %w: %w", p.full, ErrBadACL, acl.Err())
		case errors.Is(err, aclfile.ErrFull):
			return nil, fmt.Errorf("%q: %w: %w", p.full, ErrTooMany, err)
		case err != nil:
			return nil, fmt.Errorf("%q: %w", p.full, err)
		case !changed && file.Kind == maildir.DovecotACL:
			return file.Data, nil
		case !changed && file.Kind == maildir.NoACL:
			return nil, nil
		}
		return acl.Format(), nil
	})
	if errors.Is(err, ErrDamaged) { // it cannot even be read
		err = fmt.Errorf("%q: %w: %w", p.full, ErrBadACL, err)
	}
	if err != nil {
		return err
	}
	u.service.grants.refresh(ctx, p.tree.Path())
	u.service.pokes.poke(p.tree.Path())
	return nil
}

// ListRights tells which rights an identifier always has, and which it can be
// given (RFC 4314 section 3.7), in the order of the answer.
func (u *User) ListRights(ctx context.Context, name string, id Identifier, negative bool) ([]string, error) {
	p, _, err := u.administered(name)
	if err != nil {
		return nil, err
	}
	defer p.close()
	if !negative && p.isOwner(id) {
		return aclfile.ListRights(aclfile.OwnerAlways), nil
	}
	return aclfile.ListRights(0), nil
}

// MyRights gives the user's own rights (RFC 4314 section 3.5). Who has none of those that let him ask gets
// ErrNoFolder.
func (u *User) MyRights(ctx context.Context, name string) (Rights, error) {
	p, err := u.existing(name)
	if err != nil {
		return 0, err
	}
	defer p.close()
	have, err := u.rightsAt(&p)
	if err == nil && !mayAsk(have) {
		err = p.missing()
	}
	return have, err
}

// mayAsk tells whether who has these rights may know of them (RFC 4314 section 4, MYRIGHTS).
func mayAsk(have Rights) bool {
	return have.HasAny(Lookup | Read | Insert | CreateMailbox | DeleteMailbox | Administer)
}

// Explain tells for each right of another user which line gives it or takes it, for who may administer the mailbox.
func (u *User) Explain(ctx context.Context, name, other string) (Rights, []Reason, error) {
	p, acl, err := u.administered(name)
	if err != nil {
		return 0, nil, err
	}
	defer p.close()
	s := u.service.subjectOf(other, &p)
	return acl.Effective(s, 0), acl.Explain(s, 0), nil
}
