package account

import "sync"

// pokes wakes sessions whose rights may have changed. It is safe for concurrent use.
type pokes struct {
	mu   sync.Mutex
	subs map[string]map[*poke]struct{} // guarded by mu: by the path of the tree
}

type poke struct{ tell func() }

// add makes tell be called when the ACL of a folder in the tree changes, or somebody's groups. It must not wait.
func (p *pokes) add(root string, tell func()) (stop func()) {
	sub := &poke{tell}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.subs == nil {
		p.subs = make(map[string]map[*poke]struct{})
	}
	if p.subs[root] == nil {
		p.subs[root] = make(map[*poke]struct{})
	}
	p.subs[root][sub] = struct{}{}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if delete(p.subs[root], sub); len(p.subs[root]) == 0 {
			delete(p.subs, root)
		}
	}
}

// poke wakes the sessions in a tree.
func (p *pokes) poke(root string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for sub := range p.subs[root] {
		sub.tell()
	}
}

// all wakes every session.
func (p *pokes) all() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, subs := range p.subs {
		for sub := range subs {
			sub.tell()
		}
	}
}
