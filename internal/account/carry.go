package account

import (
	"context"

	"postroom/maildir"
)

// carrier knows what messages take along from one mailbox to another: the flags that the user sees there, and may set here.
type carrier struct {
	dest  *destination
	view  *maildir.SeenView // of the source; nil where \Seen is shared
	may   Flags
	own   bool            // \Seen of the destination is the user's own
	alone bool            // the destination belongs to somebody else than the source
	seen  map[uint32]bool // UIDs in the source that are to be seen by the user at the destination
}

func (m *Mailbox) carrier(d *destination) (*carrier, error) {
	c := &carrier{dest: d, may: flagsOf(d.rights), alone: d.place.tree != m.place.tree}
	if m.seen != nil {
		c.view = m.seen.View()
	}
	var err error
	c.own, err = d.ownSeen()
	return c, err
}

func (c *carrier) options() maildir.CopyOptions {
	opt := maildir.CopyOptions{Octets: c.alone, DropKeywords: !c.dest.rights.Has(WriteFlags)}
	if c.view == nil && !c.own && c.may == maildir.System {
		return opt // all of them, as they are
	}
	c.seen = make(map[uint32]bool)
	opt.Flags = func(uid uint32, now Flags) Flags {
		if c.view != nil {
			now = c.view.Flags(uid, now)
		}
		now &= c.may
		if c.own {
			c.seen[uid] = now&Seen != 0
			now &^= Seen
		}
		return now
	}
	return opt
}

// markSeen marks at the destination what the user had seen at the source.
func (c *carrier) markSeen(ctx context.Context, done Copied) {
	var uids []uint32
	for i, from := range done.From {
		if c.seen[from] {
			uids = append(uids, done.To[i])
		}
	}
	c.dest.markSeen(ctx, uids)
}
