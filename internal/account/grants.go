package account

import (
	"context"
	"sync"
	"time"

	"postroom/aclfile"
	"postroom/maildir"
)

// grants is an index of who is named in which ACL file: where to look for what others share with a user. It says only
// where; what is granted is read in the file itself. All of it is rebuilt from the files at each start, and
// follows them. It is safe for concurrent use.
type grants struct {
	service *Service
	watch   *maildir.ACLWatch
	stop    context.CancelFunc
	done    chan struct{}

	mu     sync.RWMutex
	roots  map[string]string                 // guarded by mu: path of a tree to its owner, "" for the public one
	named  map[grant][]Identifier            // guarded by mu: whom a folder's file gives something
	places map[Identifier]map[grant]struct{} // guarded by mu: the reverse
}

// grant is a folder with an ACL file.
type grant struct{ root, dir string }

// usersCheck is how often the users file is asked for changes of users and groups.
const usersCheck = time.Second

// newGrants starts the index; close ends it.
func newGrants(s *Service) *grants {
	ctx, cancel := context.WithCancel(context.Background())
	g := &grants{
		service: s, stop: cancel, done: make(chan struct{}),
		roots:  make(map[string]string),
		named:  make(map[grant][]Identifier),
		places: make(map[Identifier]map[grant]struct{}),
	}
	g.watch = s.store.NewACLWatch(g.changed)
	g.setRoots()
	go g.follow(ctx)
	return g
}

func (g *grants) close() {
	g.stop()
	<-g.done
	g.watch.Close()
}

// follow takes over changes of the users file: trees that come and go, and groups, which
// change rights in open sessions.
func (g *grants) follow(ctx context.Context) {
	defer close(g.done)
	tick := time.NewTicker(usersCheck)
	defer tick.Stop()
	users := g.service.cfg.Users
	seen := users.Generation()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if now := users.Generation(); now != seen {
			seen = now
			g.service.acls.forget()
			g.setRoots()
			g.service.pokes.all()
		}
	}
}

// setRoots tells the watch which trees there are.
func (g *grants) setRoots() {
	roots := make(map[string]string)
	if g.service.cfg.OtherUsers != "" {
		for _, user := range g.service.cfg.Users.Names() {
			if path, err := g.service.Path(user); err == nil {
				roots[path] = user
			}
		}
	}
	if g.service.cfg.Public != "" {
		roots[g.service.cfg.Public] = ""
	}
	list := make([]string, 0, len(roots))
	for path := range roots {
		list = append(list, path)
	}
	g.mu.Lock()
	g.roots = roots
	for at := range g.named {
		if _, there := roots[at.root]; !there {
			g.setLocked(at, nil)
		}
	}
	g.mu.Unlock()
	g.watch.Set(list)
}

// changed is called by the watch when a folder's ACL file came, changed or went.
func (g *grants) changed(c maildir.ACLChange) {
	g.mu.RLock()
	owner, there := g.roots[c.Root]
	g.mu.RUnlock()
	if !there {
		return
	}
	ids := g.service.grantees(owner, c)
	g.mu.Lock()
	if _, there := g.roots[c.Root]; there {
		g.setLocked(grant{c.Root, c.Dir}, ids)
	}
	g.mu.Unlock()
	g.service.pokes.poke(c.Root)
}

// grantees are those whom a file gives something. A bad file, which is logged when somebody asks for it, gives nobody anything.
func (s *Service) grantees(owner string, c maildir.ACLChange) (ids []Identifier) {
	acl := aclfile.New()
	var err error
	switch {
	case c.Err != nil:
		return nil
	case c.File.Kind == maildir.DovecotACL:
		acl, err = aclfile.Parse(c.File.Data)
	case c.File.Kind == maildir.CourierACL:
		acl, err = s.fromCourier(owner, c.File.Data)
	}
	if err != nil {
		return nil
	}
	for _, e := range acl.Entries() {
		if !e.Negative && e.Rights != 0 && e.Identifier.Kind != aclfile.Owner {
			ids = append(ids, e.Identifier)
		}
	}
	return ids
}

func (g *grants) setLocked(at grant, ids []Identifier) {
	for _, id := range g.named[at] {
		if delete(g.places[id], at); len(g.places[id]) == 0 {
			delete(g.places, id)
		}
	}
	delete(g.named, at)
	if len(ids) > 0 {
		g.named[at] = ids
	}
	for _, id := range ids {
		if g.places[id] == nil {
			g.places[id] = make(map[grant]struct{})
		}
		g.places[id][at] = struct{}{}
	}
}

// refresh looks at a tree in which the caller has changed something: when it returns LIST knows of that.
func (g *grants) refresh(ctx context.Context, root string) { g.watch.Refresh(ctx, root) }

// candidates gives the directories of folders whose ACLs name the user or a group of his, by tree. It waits for
// the first look at all trees: a client must not take shared folders for deleted.
func (g *grants) candidates(ctx context.Context, user string, groups []string) (map[string][]string, error) {
	if err := g.watch.Ready(ctx); err != nil {
		return nil, err
	}
	ids := []Identifier{{Kind: aclfile.Anyone}, {Kind: aclfile.Authenticated}, {Kind: aclfile.User, Name: user}}
	for _, name := range groups {
		ids = append(ids, Identifier{Kind: aclfile.Group, Name: name}, Identifier{Kind: aclfile.GroupOverride, Name: name})
	}
	out := make(map[string][]string)
	seen := make(map[grant]bool)
	g.mu.RLock()
	defer g.mu.RUnlock()
	for _, id := range ids {
		for at := range g.places[id] {
			if !seen[at] && g.roots[at.root] != user {
				seen[at] = true
				out[at.root] = append(out[at.root], at.dir)
			}
		}
	}
	return out, nil
}

// owner of a tree; "" for the public one.
func (g *grants) owner(root string) string {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.roots[root]
}
