package account

import (
	"context"
	"slices"

	"postroom/maildir"
)

// \Seen in a folder of one's own is in the files' names, for all to see. In other users' and in public folders each reader
// has a \Seen of his own, kept in his own tree, unless the folder was told to share it.

// openSeen gives what the user has seen of a folder that does not share \Seen; nil where it is shared.
func (u *User) openSeen(ctx context.Context, p *place, f *maildir.Folder) (*maildir.SeenState, error) {
	if p.space == personal {
		return nil, nil
	}
	shared, err := f.SeenShared()
	if err != nil || shared {
		return nil, err
	}
	if _, done := u.service.pruned.LoadOrStore(u.name, true); !done {
		u.pruneSeen(ctx)
	}
	s := f.Snapshot()
	return u.tree.Seen(maildir.SeenKey{GUID: s.GUID(), UIDValidity: s.UIDValidity(), Hint: p.full})
}

// pruneSeen forgets what the user has seen of folders that are gone. One that is not where it was seen last may have
// another name now.
func (u *User) pruneSeen(ctx context.Context) {
	var visible map[string]bool // GUIDs of what is shared with the user, read when first wanted
	err := u.tree.PruneSeen(ctx, func(key maildir.SeenKey) bool {
		p, err := u.existing(key.Hint)
		if err == nil {
			defer p.close()
			var guid string
			if guid, err = p.tree.GUID(p.name); guid == key.GUID {
				return true
			}
		}
		if err != nil && !isMissing(err) {
			return true // who can tell?
		}
		if visible == nil {
			if visible, err = u.sharedGUIDs(ctx); err != nil {
				return true
			}
		}
		return visible[key.GUID]
	})
	if err != nil {
		u.service.cfg.Logger.Warn("what was seen in folders that are gone cannot be forgotten", "user", u.name, "error", err)
	}
}

// sharedGUIDs gives the GUIDs of other users' and public folders that the user may look up.
func (u *User) sharedGUIDs(ctx context.Context) (map[string]bool, error) {
	entries, err := u.shared(ctx, nil)
	guids := make(map[string]bool)
	for _, e := range entries {
		if p, err := u.existing(e.Name); err == nil {
			if guid, err := p.tree.GUID(p.name); err == nil {
				guids[guid] = true
			}
			p.close()
		}
	}
	return guids, err
}

// SharedSeen tells whether all who read a mailbox share \Seen. Asked by who may look it up.
func (u *User) SharedSeen(ctx context.Context, name string) (bool, error) {
	p, err := u.existing(name)
	if err != nil {
		return false, err
	}
	defer p.close()
	if _, err := u.need(&p, Lookup); err != nil {
		return false, err
	}
	f, err := p.tree.Open(ctx, p.name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	return f.SeenShared()
}

// SetSharedSeen makes all who read a mailbox share \Seen, or not, for who may administer it. Sessions that have it
// selected go on as they began.
func (u *User) SetSharedSeen(ctx context.Context, name string, shared bool) error {
	p, _, err := u.administered(name)
	if err != nil {
		return err
	}
	defer p.close()
	return p.tree.SetSeenShared(ctx, p.name, shared)
}

// store is Store for what the rights allow: \Seen goes where it belongs.
func (m *Mailbox) store(ctx context.Context, uids []uint32, c Change) (StoreResult, error) {
	if m.seen == nil {
		return m.folder.Store(ctx, uids, c)
	}
	var res StoreResult
	if c.UnchangedSince != nil { // by what this reader was told, of which the store knows only its share
		uids, res.Modified = m.unchanged(uids, *c.UnchangedSince)
	}
	var err error
	if shared := c; c.Op == StoreReplace || c.Flags&^Seen != 0 || len(c.Keywords) > 0 {
		shared.Keep |= Seen
		var r StoreResult
		r, err = m.folder.Store(ctx, uids, shared)
		res.Modified = append(res.Modified, r.Modified...)
		res.Missing = r.Missing
		uids = slices.DeleteFunc(slices.Clone(uids), func(uid uint32) bool {
			return slices.Contains(r.Modified, uid) || slices.Contains(r.Missing, uid)
		})
	}
	if err == nil && c.Keep&Seen == 0 && (c.Op == StoreReplace || c.Flags&Seen != 0) {
		c.UnchangedSince = nil
		var r StoreResult
		r, err = m.seen.Store(ctx, m.folder, uids, c)
		res.Missing = append(res.Missing, r.Missing...)
	}
	res.Snapshot = m.Current()
	return res, err
}

// unchanged divides UIDs into those whose MODSEQ is not above since, and those where it is.
func (m *Mailbox) unchanged(uids []uint32, since uint64) (same, changed []uint32) {
	s := m.Current()
	for _, uid := range uids {
		if i, ok := s.Find(uid); ok && s.ModSeq(i) > since {
			changed = append(changed, uid)
		} else {
			same = append(same, uid)
		}
	}
	return same, changed
}

// ownSeen tells whether the user's \Seen of a folder that he puts messages into is his own.
func (d *destination) ownSeen() (bool, error) {
	if d.place.space == personal {
		return false, nil
	}
	shared, err := d.folder.SeenShared()
	return !shared, err
}

// markSeen marks messages that the user himself put into a folder where his \Seen is his own. They are there for good, so
// that a failure is no reason to say otherwise.
func (d *destination) markSeen(ctx context.Context, uids []uint32) {
	if len(uids) == 0 {
		return
	}
	seen, err := d.user.openSeen(ctx, &d.place, d.folder)
	if err == nil && seen != nil {
		defer seen.Close()
		_, err = seen.Store(ctx, d.folder, slices.Sorted(slices.Values(uids)), Change{Op: StoreAdd, Flags: Seen})
	}
	if err != nil {
		d.user.service.cfg.Logger.Warn("messages put into a shared mailbox could not be marked as seen", "user", d.user.name, "mailbox", d.place.full, "error", err)
	}
}
