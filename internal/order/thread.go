package order

import (
	"cmp"
	"context"
	"slices"

	"postroom/internal/account"
)

// Threads are the conversations of a mailbox, the one with the newest message last.
type Threads struct {
	nodes  []Node
	starts []uint32 // where each begins in nodes, and where the last ends
}

// Node is a message in its thread: answers follow what they answer, and are one deeper.
type Node struct {
	UID   uint32
	Depth uint16 // 0 for the first; at most maxIndent
}

const maxIndent = 1000

// Len is the number of threads.
func (t *Threads) Len() int { return len(t.starts) - 1 }

// Thread gives the messages of the i-th, in order. They are not to be changed.
func (t *Threads) Thread(i int) []Node { return t.nodes[t.starts[i]:t.starts[i+1]] }

// Threads gives the threads of a snapshot's messages, by REFERENCES of RFC 5256 section 3. In one point it differs: messages of one
// subject of which none is a reply stay apart (step 5), since the reports that a machine sends each day are no conversation.
// Of the context what Sorted says holds.
func (x *Index) Threads(ctx context.Context, mbox *account.Mailbox, snap *account.Snapshot) (*Threads, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.followLocked(ctx, mbox, snap); err != nil {
		return nil, err
	}
	if x.threads == nil {
		f := newForest(x)
		f.link()
		f.prune()
		f.gather()
		x.threads = f.flatten()
	}
	return x.threads, nil
}

// forest is the threads while they are made. Containers are numbered: those of the messages as the messages are, then
// the dummies, messages that others name and that are not there.
type forest struct {
	x      *Index
	ids    map[uint64]int32 // containers by the hash of their Message-ID
	parent []int32          // of containers; none if there is none
	set    []int32          // of containers: a union-find in which all of a tree are in one set
	kids   []bool           // of containers: one was made its child
	steps  int              // up trees that may still be gone

	up          []int32 // after prune: parents of which each is a message or a dummy at the root
	first, next []int32 // children in order
}

const none int32 = -1

func newForest(x *Index) *forest {
	n := len(x.entries)
	f := &forest{x: x, ids: make(map[uint64]int32, n), steps: 1<<20 + 16*(n+len(x.refs))}
	for i := range x.entries {
		c := f.add()
		if id := x.entries[i].id; id != 0 {
			if _, twice := f.ids[id]; !twice { // of two with one Message-ID the second counts as if it had none
				f.ids[id] = c
			}
		}
	}
	return f
}

// add makes a container.
func (f *forest) add() int32 {
	c := int32(len(f.parent))
	f.parent, f.set, f.kids = append(f.parent, none), append(f.set, c), append(f.kids, false)
	return c
}

func (f *forest) isMessage(c int32) bool { return int(c) < len(f.x.entries) }

// link is step 1.
func (f *forest) link() {
	for i := range f.x.entries {
		prev := none
		for _, id := range f.x.refsOf(&f.x.entries[i]) {
			c, ok := f.ids[id]
			if !ok {
				c = f.add()
				f.ids[id] = c
			}
			if prev != none && f.parent[c] == none && !f.isAbove(c, prev) {
				f.setParent(c, prev)
			}
			prev = c
		}
		if c := int32(i); prev != none && f.parent[c] != prev && !f.isAbove(c, prev) {
			f.setParent(c, prev) // what it says itself counts more than what others said of it
		}
	}
}

func (f *forest) setParent(c, p int32) {
	f.parent[c], f.kids[p] = p, true
	f.set[f.find(c)] = f.find(p)
}

func (f *forest) find(c int32) int32 {
	for f.set[c] != c {
		f.set[c] = f.set[f.set[c]]
		c = f.set[c]
	}
	return c
}

// isAbove tells whether c is at, or one of its ancestors, so that it cannot become its child. Who makes trees that are
// climbed for ever is answered yes, and nothing is linked.
func (f *forest) isAbove(c, at int32) bool {
	if c == at {
		return true
	}
	if !f.kids[c] || f.find(c) != f.find(at) {
		return false
	}
	for ; at != none; at = f.parent[at] {
		if f.steps--; at == c || f.steps < 0 {
			return true
		}
	}
	return false
}

// prune is steps 2 and 3: dummies go, and their children take their places, but for those that hold several together.
func (f *forest) prune() {
	n := len(f.x.entries)
	top := make([]int32, len(f.parent)) // of dummies: what their children's parent is, themselves if they are at the root
	for c := range top {
		top[c] = none
	}
	var path []int32
	resolve := func(c int32) int32 { // the nearest message from c upwards, else the dummy at the root
		path = path[:0]
		for !f.isMessage(c) && top[c] == none && f.parent[c] != none {
			path = append(path, c)
			c = f.parent[c]
		}
		if !f.isMessage(c) && top[c] != none {
			c = top[c]
		}
		for _, p := range path {
			top[p] = c
		}
		return c
	}
	f.up = make([]int32, len(f.parent))
	children := make([]int32, len(f.parent))
	for c := range f.up {
		f.up[c] = none
		if c < n && f.parent[c] != none {
			f.up[c] = resolve(f.parent[c])
			children[f.up[c]]++
		}
	}
	for c := range n {
		if p := f.up[c]; p != none && !f.isMessage(p) && children[p] == 1 {
			f.up[c] = none
		}
	}
}

// earliest gives the containers by when they were sent, which for a dummy is when its first child was, with the dummies that are
// still used.
func (f *forest) earliest() (order []int32, sent []int64) {
	sent = make([]int64, len(f.up))
	used := make([]bool, len(f.up))
	for c := range f.x.entries {
		sent[c], used[c] = f.x.entries[c].sent, true
	}
	for c := range f.x.entries {
		if p := f.up[c]; p != none && !f.isMessage(p) {
			if !used[p] || sent[c] < sent[p] {
				sent[p] = sent[c]
			}
			used[p] = true
		}
	}
	for c := range f.up {
		if used[c] {
			order = append(order, int32(c))
		}
	}
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(sent[a], sent[b]) })
	return order, sent
}

// gather is steps 4 and 5: threads of one subject become one.
func (f *forest) gather() {
	order, _ := f.earliest()
	order = slices.DeleteFunc(order, func(c int32) bool { return f.up[c] != none })
	firsts := make(map[int32]int32) // of dummies: their first child
	for c := range f.x.entries {
		if p := f.up[c]; p != none && !f.isMessage(p) {
			if old, ok := firsts[p]; !ok || f.x.entries[c].sent < f.x.entries[old].sent {
				firsts[p] = int32(c)
			}
		}
	}
	head := func(c int32) *entry { // the message that a thread's subject is of
		if !f.isMessage(c) {
			c = firsts[c]
		}
		return &f.x.entries[c]
	}
	isReply := func(c int32) bool { return f.isMessage(c) && head(c).reply }
	table := make(map[string]int32)
	for _, c := range order {
		subject := f.x.subjectOf(head(c))
		if len(subject) == 0 {
			continue
		}
		t, ok := table[string(subject)]
		if !ok || f.isMessage(t) && (!f.isMessage(c) || isReply(t) && !isReply(c)) {
			table[string(subject)] = c
		}
	}
	merged := make(map[int32]int32) // dummies whose children another has now
	for _, c := range order {
		subject := f.x.subjectOf(head(c))
		t, ok := table[string(subject)]
		if len(subject) == 0 || !ok || t == c {
			continue
		}
		switch dummy := !f.isMessage(c); {
		case dummy && !f.isMessage(t):
			merged[c] = t
		case !f.isMessage(t), isReply(c) && !isReply(t):
			f.up[c] = t
		case isReply(c):
			d := int32(len(f.up))
			f.up = append(f.up, none)
			f.up[c], f.up[t] = d, d
			firsts[d] = t
			table[string(subject)] = d
		}
	}
	if len(merged) > 0 {
		for c := range f.up {
			if t, ok := merged[f.up[c]]; ok {
				f.up[c] = t
			}
		}
	}
}

// flatten is step 6, and lays the threads out.
func (f *forest) flatten() *Threads {
	order, _ := f.earliest()
	f.first, f.next = make([]int32, len(f.up)), make([]int32, len(f.up))
	for c := range f.first {
		f.first[c], f.next[c] = none, none
	}
	var roots []int32
	for _, c := range slices.Backward(order) { // each child goes before those that were sent later
		if p := f.up[c]; p != none {
			f.next[c], f.first[p] = f.first[p], c
		} else {
			roots = append(roots, c)
		}
	}
	all := make([]Node, 0, len(f.x.entries))
	type span struct{ from, to, newest uint32 }
	spans := make([]span, 0, len(roots))
	for _, root := range roots {
		s := span{from: uint32(len(all))}
		all = f.appendTree(all, root)
		s.to = uint32(len(all))
		for _, n := range all[s.from:] {
			s.newest = max(s.newest, n.UID)
		}
		spans = append(spans, s)
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.newest, b.newest) })
	t := &Threads{nodes: make([]Node, 0, len(all)), starts: make([]uint32, 1, len(spans)+1)}
	for _, s := range spans {
		t.nodes = append(t.nodes, all[s.from:s.to]...)
		t.starts = append(t.starts, uint32(len(t.nodes)))
	}
	return t
}

// appendTree appends a thread, answers behind what they answer. It does not recur: a thread can be as deep as it is long.
func (f *forest) appendTree(dst []Node, root int32) []Node {
	start, depth := len(dst), 0
	if !f.isMessage(root) {
		depth = -1
	}
	for c := root; c != none; {
		if f.isMessage(c) {
			d := depth
			if len(dst) > start {
				d = max(d, 1) // a dummy's first child stands for it
			}
			dst = append(dst, Node{f.x.entries[c].uid, uint16(min(d, maxIndent))})
		}
		if f.first[c] != none {
			c = f.first[c]
			depth++
			continue
		}
		for c != root && f.next[c] == none {
			c = f.up[c]
			depth--
		}
		if c == root {
			return dst
		}
		c = f.next[c]
	}
	return dst
}
