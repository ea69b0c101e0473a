package webmail

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"postroom/internal/account"
	"postroom/internal/order"
	"postroom/internal/query"
	"postroom/internal/search"
)

// asked is what of a mailbox a page is to show, and in which order.
type asked struct {
	Q       string // the language of internal/query
	All     bool   // Q is searched for in all folders
	Show    string // "unread" or "flagged" messages alone, "" for all
	Keyword string // those with this keyword alone, "" for all
	Sort    string // of sorts, "" for the newest first
	Threads bool
	At      int // rows of the pages before this one
}

// sorting is an order on offer.
type sorting struct {
	Name    string
	Key     string   // of the text
	by      order.By // 0: that of arrival
	reverse bool
}

// sorts are all there are, the usual one first.
var sorts = []sorting{
	{"", "list.sortnewest", 0, true},
	{"oldest", "list.sortoldest", 0, false},
	{"sent", "list.sortsent", order.Sent, true},
	{"from", "list.sortfrom", order.From, false},
	{"subject", "list.sortsubject", order.Subject, false},
	{"size", "list.sortsize", order.Size, true},
}

// sortNamed gives one by its name; the usual one for a name that none has.
func sortNamed(name string) sorting {
	return sorts[max(0, slices.IndexFunc(sorts, func(s sorting) bool { return s.Name == name }))]
}

// Sorts is for templates.
func (asked) Sorts() []sorting { return sorts }

// badQuery are the texts for what can be wrong with a query.
var badQuery = map[string]string{
	query.TooLong: "search.badlong", query.NotUTF8: "search.badtext", query.OpenQuote: "search.badquote", query.NoValue: "search.badvalue",
	query.BadDate: "search.baddate", query.BadSize: "search.badsize", query.BadState: "search.badstate", query.BadHas: "search.badhas",
	query.BadLabel: "search.badlabel", query.NothingAtAll: "search.badnothing",
}

func askedOf(r *http.Request, p preferences) asked {
	a := asked{Q: r.FormValue("q"), All: r.FormValue("all") != "", Show: r.FormValue("show"), Keyword: r.FormValue("label"), Sort: p.Sort, Threads: p.Threads}
	if a.Show != "unread" && a.Show != "flagged" {
		a.Show = ""
	}
	a.All = a.All && a.Q != ""
	if at, err := strconv.Atoi(r.FormValue("at")); err == nil && at > 0 {
		a.At = at
	}
	return a
}

// plain tells whether it is the mailbox as it is.
func (a *asked) plain() bool {
	return !a.filtered() && a.Sort == "" && !a.Threads
}

// filtered tells whether some messages are not to be shown.
func (a *asked) filtered() bool { return a.Q != "" || a.Show != "" || a.Keyword != "" }

// pairs are names and values that ask for it again, behind others.
func (a *asked) pairs(others ...string) []string {
	for _, p := range [][2]string{{"q", a.Q}, {"show", a.Show}, {"label", a.Keyword}} {
		if p[1] != "" {
			others = append(others, p[0], p[1])
		}
	}
	if a.All {
		others = append(others, "all", "1")
	}
	return others
}

// asking are names and values of a request that ask for its list again.
func asking(r *http.Request) []string {
	a := askedOf(r, preferences{})
	return a.pairs()
}

// Filter is the address of the same list with another filter: "" for none, a name of Show, or "label:" with a keyword.
func (d *listData) Filter(name string) string {
	q := url.Values{"box": {d.Box}}
	if d.Q != "" {
		q.Set("q", d.Q)
	}
	if label, ok := cutLabel(name); ok {
		q.Set("label", label)
	} else if name != "" {
		q.Set("show", name)
	}
	return "/?" + q.Encode()
}

func cutLabel(name string) (string, bool) {
	const prefix = "label:"
	if len(name) > len(prefix) && name[:len(prefix)] == prefix {
		return name[len(prefix):], true
	}
	return "", false
}

// Bounds of a search.
const (
	searchTime = 8 * time.Second // for one page; what was found until then is shown
	maxFound   = 100_000         // messages
)

// result is an arranged list, of which a page shows a part.
type result struct {
	of      string // what was asked for
	state   string // of the mailbox, as far as it matters
	made    time.Time
	boxes   []string // names; hits point to them
	hits    []hit
	partial bool
	arrange string // how far the order is; "" if it is there
}

// hit is a message in a result.
type hit struct {
	box    int32
	uid    uint32
	v      uint32
	depth  uint16
	thread uint16 // messages of the thread that begins here, as far as they are shown
	date   int64  // of arrival, in a search of all folders
}

// resultAge is how long a result of a dear search is shown again, and one of which somebody turns the pages.
const resultAge = 10 * time.Minute

// arranged makes a page of what was asked for.
func (n *session) arranged(r *http.Request, d *listData, sel *selection, size int, open uint32) error {
	loc := n.locale(r)
	d.Found = d.filtered()
	q, err := query.Parse(d.Q, query.Context{Now: loc.now, Zone: loc.zone})
	var bad *query.Error
	if errors.As(err, &bad) {
		d.BadQuery = loc.T(badQuery[bad.Problem])
		if bad.Term != "" {
			d.BadQuery += ": " + bad.Term
		}
		d.Self = boxLink("/", d.Box, d.V, d.pairs()...)
		return nil
	}
	if err != nil {
		return err
	}
	keys := []search.Key{q.Key}
	switch d.Show {
	case "unread":
		keys = append(keys, search.Not(search.Flag(account.Seen)))
	case "flagged":
		keys = append(keys, search.Flag(account.Flagged))
	}
	if d.Keyword != "" {
		keys = append(keys, search.Keyword(d.Keyword))
	}
	res, err := n.resultOf(r, d, sel, search.And(keys...))
	if err != nil {
		return err
	}
	d.Total, d.Partial, d.Preparing = len(res.hits), res.partial, res.arrange
	begin := min(d.At, len(res.hits))
	if open != 0 && d.At == 0 {
		if i := slices.IndexFunc(res.hits, func(h hit) bool { return h.uid == open && res.boxes[h.box] == d.Box }); i >= 0 {
			begin = i / size * size
		}
	}
	end := min(begin+size, len(res.hits))
	for end < len(res.hits) && end < begin+2*size && res.hits[end].depth > 0 { // a thread is not cut in two, if it is no monster
		end++
	}
	d.From, d.To = begin+1, end
	if err := n.hitRows(r, d, sel, res, res.hits[begin:end], loc); err != nil {
		return err
	}
	page := func(at int) string {
		if at == 0 {
			return boxLink("/", d.Box, d.V, d.pairs()...)
		}
		return boxLink("/", d.Box, d.V, d.pairs("at", strconv.Itoa(at))...)
	}
	d.Self = page(begin)
	if begin > 0 {
		d.Newer = page(max(0, begin-size))
	}
	if end < len(res.hits) {
		d.Older = page(end)
	}
	return nil
}

// resultOf gives the whole list: the last one, if it is of the same, or a new one.
func (n *session) resultOf(r *http.Request, d *listData, sel *selection, key search.Key) (*result, error) {
	of := fmt.Sprintf("%q %d %q %v %q %q %q %v", d.Box, d.V, d.Q, d.All, d.Show, d.Keyword, d.Sort, d.Threads)
	s := sel.Snap
	state := fmt.Sprint(s.UIDNext(), s.Len(), s.HighestModSeq(), s.Unseen())
	if key.Cost() >= search.CostBody {
		state = fmt.Sprint(s.UIDNext(), s.Len()) // changes of flags are not worth reading everything again
	}
	now := n.srv.clock()
	n.mu.Lock()
	last := n.result
	n.mu.Unlock()
	if last != nil && last.of == of && last.arrange == "" && now.Sub(last.made) < resultAge && (last.state == state || d.At > 0) {
		return last, nil
	}
	res := &result{of: of, state: state, made: now, boxes: []string{d.Box}}
	ctx, cancel := context.WithTimeout(r.Context(), searchTime)
	defer cancel()
	var err error
	if d.All {
		err = n.searchAll(ctx, d, res, key)
	} else {
		err = n.arrange(ctx, d, sel, res, key)
	}
	if err != nil && errors.Is(err, context.DeadlineExceeded) && r.Context().Err() == nil {
		res.partial, err = true, nil
	}
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	n.result = res
	n.mu.Unlock()
	return res, nil
}

// arrange finds and orders the messages of one mailbox.
func (n *session) arrange(ctx context.Context, d *listData, sel *selection, res *result, key search.Key) error {
	uids, err := n.matching(ctx, sel, d, key) // the newest first
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	searched := err
	v := sel.Snap.UIDValidity()
	res.hits = make([]hit, 0, len(uids))
	index := n.srv.orders.Index(sel.Snap)
	how := sortNamed(d.Sort)
	switch {
	case d.Threads:
		var threads *order.Threads
		if threads, err = index.Threads(ctx, sel.Mailbox, sel.Snap); err == nil {
			res.addThreads(threads, uids, v)
			return searched
		}
	case how.by != 0:
		var sorted []uint32
		if sorted, err = index.Sorted(ctx, sel.Mailbox, sel.Snap, how.by); err == nil {
			wanted := newUIDs(uids)
			for i := range sorted {
				uid := sorted[i]
				if how.reverse {
					uid = sorted[len(sorted)-1-i]
				}
				if wanted.has(uid) {
					res.hits = append(res.hits, hit{uid: uid, v: v})
				}
			}
			return searched
		}
	default:
		if d.Sort == "oldest" {
			slices.Reverse(uids)
		}
		err = nil
	}
	switch {
	case errors.Is(err, order.ErrTooMany):
		res.arrange = "0"
	case errors.Is(err, context.DeadlineExceeded): // the next attempt goes on there
		res.arrange = fmt.Sprintf("%d / %d", index.Len(), sel.Snap.Len())
	case err != nil:
		return err
	}
	for _, uid := range uids {
		res.hits = append(res.hits, hit{uid: uid, v: v})
	}
	return searched
}

// matching gives the UIDs of the messages that match, the newest first.
func (n *session) matching(ctx context.Context, sel *selection, d *listData, key search.Key) ([]uint32, error) {
	var uids []uint32
	if !d.filtered() {
		uids = make([]uint32, 0, sel.Snap.Len())
	}
	err := search.Run(ctx, sel.Mailbox, sel.Snap, sel.Snap.Backwards(), key, func(m *search.Candidate) bool {
		uids = append(uids, m.UID())
		return len(uids) < maxFound || !d.filtered()
	}, n.unreadable(sel.Name()))
	return uids, err
}

// unreadable notes a message that a search could not read.
func (n *session) unreadable(box string) func(uid uint32, err error) {
	return func(uid uint32, err error) {
		n.srv.log.Warn("web: a search cannot read a message", "user", n.user.Name(), "mailbox", box, "uid", uid, "error", err)
	}
}

// addThreads adds the threads with the newest message first, of each the messages that are wanted.
func (res *result) addThreads(threads *order.Threads, uids []uint32, v uint32) {
	wanted := newUIDs(uids)
	for i := threads.Len() - 1; i >= 0; i-- {
		first := len(res.hits)
		for _, node := range threads.Thread(i) {
			if !wanted.has(node.UID) {
				continue
			}
			h := hit{uid: node.UID, v: v, depth: node.Depth}
			switch {
			case len(res.hits) == first:
				h.depth = 0
			case h.depth == 0:
				h.depth = 1
			}
			res.hits = append(res.hits, h)
		}
		if n := len(res.hits) - first; n > 0 {
			res.hits[first].thread = uint16(min(n, 1<<16-1))
		}
	}
}

// uidSet is a set of UIDs.
type uidSet struct{ sorted []uint32 }

// newUIDs makes a set of descending UIDs.
func newUIDs(descending []uint32) uidSet {
	sorted := slices.Clone(descending)
	slices.Reverse(sorted)
	return uidSet{sorted}
}

func (s uidSet) has(uid uint32) bool {
	_, ok := slices.BinarySearch(s.sorted, uid)
	return ok
}
