package webmail

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"

	"postroom/internal/account"
	"postroom/internal/search"
)

// searchAll searches in all folders that the user may read; what came last stands first.
func (n *session) searchAll(ctx context.Context, d *listData, res *result, key search.Key) error {
	folders, err := n.folders(ctx)
	if err != nil {
		return err
	}
	defer func() {
		slices.SortStableFunc(res.hits, func(a, b hit) int { return cmp.Compare(b.date, a.date) })
	}()
	res.boxes = nil
	for _, f := range folders {
		if f.Link == "" {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := n.searchIn(ctx, f.Name, res, key); err != nil && !isGone(err) {
			return err
		}
		if len(res.hits) >= maxFound {
			break
		}
	}
	return nil
}

// isGone tells of a folder that went, or whose rights did, while others were searched.
func isGone(err error) bool {
	return errors.Is(err, account.ErrNoFolder) || errors.Is(err, account.ErrGone) || errors.Is(err, account.ErrNoRight)
}

func (n *session) searchIn(ctx context.Context, name string, res *result, key search.Key) error {
	m, err := n.user.Select(ctx, name, true)
	if err != nil {
		return err
	}
	defer m.Close()
	snap, err := m.Sync(ctx)
	if err != nil {
		return err
	}
	box := int32(len(res.boxes))
	res.boxes = append(res.boxes, name)
	return search.Run(ctx, m, snap, snap.Backwards(), key, func(c *search.Candidate) bool {
		date, known := c.DateNano()
		if !known {
			date, _ = c.Read().DateNano() // without one it stands at the end
		}
		res.hits = append(res.hits, hit{box: box, uid: c.UID(), v: snap.UIDValidity(), date: date})
		return len(res.hits) < maxFound
	}, n.unreadable(name))
}

// hitRows makes the rows of a page of a result. Messages and folders that have gone since are left out.
func (n *session) hitRows(r *http.Request, d *listData, sel *selection, res *result, hits []hit, loc locale) error {
	rows := make([]*row, len(hits))
	for box := range res.boxes {
		if !slices.ContainsFunc(hits, func(h hit) bool { return int(h.box) == box }) {
			continue
		}
		at := sel
		if name := res.boxes[box]; name != sel.Name() {
			m, err := n.user.Select(r.Context(), name, true)
			if isGone(err) {
				continue
			}
			if err != nil {
				return err
			}
			defer m.Close()
			at = &selection{m, m.Current()}
		}
		if err := n.rowsIn(r.Context(), d, at, int32(box), hits, rows, loc); err != nil {
			return err
		}
	}
	for _, w := range rows {
		if w != nil {
			d.Rows = append(d.Rows, *w)
		}
	}
	return nil
}

// searchHelp tells of the operators.
func searchHelp(w http.ResponseWriter, r *http.Request, n *session) error {
	return n.page(w, r, view{Name: "searchhelp", Title: "search.help", Data: searchExamples, Pane: "list"})
}

// searchExamples are what internal/query knows.
var searchExamples = []struct{ Example, Key string }{
	{"budget", "search.exword"},
	{`"annual budget"`, "search.exphrase"},
	{"from:alice to:bob cc:carol", "search.exaddress"},
	{"subject:budget", "search.exsubject"},
	{"body:budget", "search.exbody"},
	{"has:attachment", "search.exhas"},
	{"is:unread", "search.exis"},
	{"label:work", "search.exlabel"},
	{"after:2026-01 before:2026-03-15", "search.exdate"},
	{"on:yesterday after:2w", "search.exago"},
	{"larger:2M smaller:10M", "search.exsize"},
	{"-from:alice", "search.exnot"},
	{"budget OR plan", "search.exor"},
}

// maxShownDepth is how deep rows are indented.
const maxShownDepth = 8

// rowsIn fills in the rows of one mailbox.
func (n *session) rowsIn(ctx context.Context, d *listData, sel *selection, box int32, hits []hit, rows []*row, loc locale) error {
	rd := sel.Read(ctx)
	defer rd.Close()
	for k, h := range hits {
		if h.box != box || h.v != sel.Snap.UIDValidity() {
			continue
		}
		i, ok := sel.Snap.Find(h.uid)
		if !ok {
			continue
		}
		w, err := d.row(rd, sel, loc, i)
		if errors.Is(err, account.ErrExpunged) {
			continue
		}
		if err != nil {
			return err
		}
		w.Depth, w.Thread = min(int(h.depth), maxShownDepth), int(h.thread)
		if d.All {
			w.Box, w.BoxLabel = sel.Name(), loc.T("folders.inbox")
			if w.Box != inbox {
				w.BoxLabel = w.Box
			}
		}
		rows[k] = &w
	}
	return nil
}
