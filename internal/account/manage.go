package account

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"postroom/maildir"
)

// Create makes a mailbox; a trailing separator, which announces children, is
// dropped. It wants the right to do so on the nearest parent that exists, whose ACL the new mailbox begins with
// (RFC 4314 section 4). specialUse is "" or one of SpecialUses.
func (u *User) Create(ctx context.Context, name, specialUse string) error {
	p, err := u.at(strings.TrimSuffix(name, string(u.sep)))
	if err != nil {
		return err
	}
	defer p.close()
	if specialUse != "" && (!validSpecialUse(specialUse) || p.space != personal) {
		return fmt.Errorf("special use %q: %w", specialUse, ErrCannot)
	}
	acl, err := u.needParent(&p)
	if err != nil {
		return err
	}
	if err := u.hideExisting(&p, p.tree.Create(ctx, p.name, acl)); err != nil {
		return err
	}
	if acl != nil {
		u.service.grants.refresh(ctx, p.tree.Path())
	}
	if specialUse == "" {
		return nil
	}
	return p.tree.SetSpecialUse(ctx, p.name, specialUse)
}

// needParent tells whether the user may make a mailbox at p, and gives the ACL that it begins with. The
// owner may make mailboxes at the top of his tree, others only below one that lets them; in public trees the ACL of
// the tree's own directory stands for the top.
func (u *User) needParent(p *place) (acl []byte, err error) {
	switch {
	case p.name == "" && p.space != personal && p.owner == "":
		return nil, fmt.Errorf("%q is a namespace: %w", p.full, ErrCannot)
	case p.tree == nil || p.name == "" && p.space != personal:
		return nil, p.missing()
	}
	parent, ok := p.tree.Parent(p.name)
	switch {
	case ok:
	case p.space == personal || u.administrator:
		return nil, nil
	case p.space == others:
		return nil, p.missing()
	default:
		parent = maildir.Inbox
	}
	file, err := u.service.acls.read(p, parent, nil)
	if err != nil {
		return nil, err
	}
	if err := p.refused(u.evaluate(p, file), CreateMailbox); err != nil {
		return nil, err
	}
	return file.Inherit(), nil
}

// hideExisting makes ErrExists, of a mailbox that the user may not look up, tell as little as can be. If nothing is at
// p itself it is of one below, to which RENAME would have given the name of another.
func (u *User) hideExisting(p *place, err error) error {
	if !errors.Is(err, ErrExists) || p.space == personal {
		return err
	}
	if have, rerr := u.rightsAt(p); rerr != nil || !have.Has(Lookup) {
		return fmt.Errorf("%q: %w", p.full, ErrNoRight)
	}
	return err
}

// Delete removes a mailbox and its messages; children stay.
func (u *User) Delete(ctx context.Context, name string) error {
	p, err := u.existing(name)
	if err != nil {
		return err
	}
	defer p.close()
	if _, err := u.need(&p, DeleteMailbox); err != nil {
		return err
	}
	return p.tree.Delete(ctx, p.name)
}

// Rename gives a mailbox and its children another name in the same tree; ACLs go along as they are. Of INBOX it
// moves the messages to a new mailbox (RFC 9051 section 6.3.6).
func (u *User) Rename(ctx context.Context, from, to string) error {
	p, err := u.existing(from)
	if err != nil {
		return err
	}
	defer p.close()
	if _, err := u.need(&p, DeleteMailbox); err != nil {
		return err
	}
	to = strings.TrimSuffix(to, string(u.sep))
	dest, err := u.at(to)
	if err != nil {
		return err
	}
	defer dest.close()
	if dest.space != p.space || dest.owner != p.owner {
		return fmt.Errorf("%q to %q: %w: they lie in different trees", p.full, dest.full, ErrCannot)
	}
	if p.space == personal && p.name == maildir.Inbox {
		return u.renameInbox(ctx, to)
	}
	if _, err := u.needParent(&dest); err != nil {
		return err
	}
	if err := u.hideExisting(&dest, p.tree.Rename(ctx, p.name, dest.name)); err != nil {
		return err
	}
	u.service.grants.refresh(ctx, p.tree.Path())
	return nil
}

func (u *User) renameInbox(ctx context.Context, to string) error {
	if err := u.Create(ctx, to, ""); err != nil {
		return err
	}
	inbox, err := u.Select(ctx, maildir.Inbox, false)
	if err != nil {
		return err
	}
	defer inbox.Close()
	snap, err := inbox.Sync(ctx)
	if err != nil {
		return err
	}
	uids := make([]uint32, snap.Len())
	for i := range uids {
		uids[i] = snap.UID(i)
	}
	_, err = inbox.Move(ctx, uids, to)
	return err
}
