package maildir

import "context"

// placeholder until the watch is merged
type ACLWatch struct {
	s       *Store
	changed func(ACLChange)
}
type ACLChange struct {
	Root string
	Dir  string
	File ACLFile
	Err  error
}

func (s *Store) NewACLWatch(changed func(ACLChange)) *ACLWatch { return &ACLWatch{s, changed} }
func (w *ACLWatch) Set(roots []string) {
	for _, r := range roots {
		w.Refresh(r)
	}
}
func (w *ACLWatch) Ready(ctx context.Context) error { return nil }
func (w *ACLWatch) Refresh(root string) {
	t, err := w.s.OpenTree(root, TreeOptions{})
	if err != nil {
		return
	}
	defer t.Close()
	names, _, err := t.listing()
	if err != nil {
		return
	}
	for name, d := range names {
		f, _, err := t.ReadACL(name, ACLVersion{})
		w.changed(ACLChange{Root: root, Dir: d, File: f, Err: err})
	}
}
func (w *ACLWatch) Close() {}
