package webmail

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"postroom/internal/account"
)

// keyOf is what forms call a message: UIDVALIDITY, UID and mailbox.
func keyOf(box string, v, uid uint32) string {
	return uidText(v) + "." + uidText(uid) + "." + box
}

// maxChosen bounds the messages of one form.
const maxChosen = 5000

// chosen are messages of one mailbox, UIDs ascending.
type chosen struct {
	box  string
	v    uint32
	uids []uint32
}

// chosenIn gives the messages that the fields "m" of a form name, by mailbox, in the order in which those come first.
func chosenIn(r *http.Request) ([]chosen, error) {
	keys := r.PostForm["m"]
	if len(keys) == 0 {
		return nil, fail(http.StatusUnprocessableEntity, "error.nochoice")
	}
	if len(keys) > maxChosen {
		return nil, fail(http.StatusUnprocessableEntity, "error.choice")
	}
	var out []chosen
	for _, key := range keys {
		part := strings.SplitN(key, ".", 3)
		if len(part) != 3 {
			return nil, errNoMessage
		}
		v, okV := uidOf(part[0])
		uid, okUID := uidOf(part[1])
		if !okV || !okUID || uid == 0 {
			return nil, errNoMessage
		}
		i := slices.IndexFunc(out, func(c chosen) bool { return c.box == part[2] && c.v == v })
		if i < 0 {
			i = len(out)
			out = append(out, chosen{box: part[2], v: v})
		}
		out[i].uids = append(out[i].uids, uid)
	}
	for i := range out {
		slices.Sort(out[i].uids)
		out[i].uids = slices.Compact(out[i].uids)
	}
	return out, nil
}

// offers are the actions that rights allow; account decides again when it is done.
type offers struct{ Delete, Seen, Flag bool }

func offersOf(have account.Rights) offers {
	return offers{have.Has(account.DeleteMessage | account.Expunge), have.Has(account.WriteSeen), have.Has(account.WriteFlags)}
}

// May is for templates.
func (d *listData) May() offers { return offersOf(d.Rights) }

// May is for templates.
func (d *messageData) May() offers { return offersOf(d.Rights) }

// Key is what forms call the message.
func (d *messageData) Key() string { return keyOf(d.Box, d.V, d.UID) }

// action is what a button of the list does to the messages of one mailbox. It tells how many that were.
type action func(a *acting, sel *selection, uids []uint32) (int, error)

// acting is one form under way.
type acting struct {
	n    *session
	r    *http.Request
	dest string
	undo undo
}

// actions are the values of "do".
var actions = map[string]struct {
	act  action
	said string // key of the text, for a number of messages; "" says nothing
}{
	"read":    {marking(account.StoreAdd, account.Seen), ""},
	"unread":  {marking(account.StoreRemove, account.Seen), ""},
	"flag":    {marking(account.StoreAdd, account.Flagged), ""},
	"unflag":  {marking(account.StoreRemove, account.Flagged), ""},
	"label":   {labelling(account.StoreAdd), ""},
	"unlabel": {labelling(account.StoreRemove), ""},
	"move":    {moving, "list.moved"},
	"copy":    {copying, "list.copied"},
	"delete":  {moving, "list.deleted"},
	"junk":    {moving, "list.junked"},
	"notjunk": {moving, "list.moved"},
	"expunge": {expunging, "list.expunged"},
}

// act does something to the messages that were chosen, and goes back to the list.
func act(w http.ResponseWriter, r *http.Request, n *session) error {
	do := r.PostFormValue("do")
	what, ok := actions[do]
	if !ok {
		return fail(http.StatusUnprocessableEntity, "error.form")
	}
	groups, err := chosenIn(r)
	if err != nil {
		return err
	}
	if do == "delete" {
		if sure, err := n.inTrash(r.Context(), groups); err != nil || sure {
			if err != nil {
				return err
			}
			return n.askExpunge(w, r, groups)
		}
	}
	a := &acting{n: n, r: r}
	if a.dest, err = n.destination(r, do); err != nil {
		return err
	}
	count := 0
	for _, g := range groups {
		sel, err := n.selectNamed(r, g.box)
		if err != nil {
			return err
		}
		if sel.Snap.UIDValidity() != g.v {
			sel.Close()
			return errChanged
		}
		done, err := what.act(a, sel, g.uids)
		sel.Close()
		count += done
		if err != nil {
			n.keepUndo(&a.undo) // of what was moved before
			return err
		}
	}
	if what.said != "" {
		n.sayUndo(n.locale(r).N(what.said, count), n.keepUndo(&a.undo))
	}
	return seeOther(w, r, backTo(r))
}

// backTo is the page that a form came from, if it is one of ours.
func backTo(r *http.Request) string {
	if to := localPath(r.PostFormValue("back")); to != "" {
		return to
	}
	return "/"
}

func marking(op account.StoreOp, f account.Flags) action {
	return func(a *acting, sel *selection, uids []uint32) (int, error) {
		res, err := sel.Store(a.r.Context(), uids, account.Change{Op: op, Flags: f})
		return len(uids) - len(res.Missing), err
	}
}

// maxLabel bounds a keyword, in octets.
const maxLabel = 50

func labelling(op account.StoreOp) action {
	return func(a *acting, sel *selection, uids []uint32) (int, error) {
		word := strings.TrimSpace(a.r.PostFormValue("word"))
		if !validLabel(word) {
			return 0, fail(http.StatusUnprocessableEntity, "error.label")
		}
		res, err := sel.Store(a.r.Context(), uids, account.Change{Op: op, Keywords: []string{word}})
		return len(uids) - len(res.Missing), err
	}
}

// validLabel tells whether a word can be a keyword: an atom (RFC 9051 section 9).
func validLabel(word string) bool {
	if word == "" || len(word) > maxLabel || hiddenKeyword(word) {
		return false
	}
	for _, c := range []byte(word) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`(){%*"\]`, c) >= 0 {
			return false
		}
	}
	return true
}

func moving(a *acting, sel *selection, uids []uint32) (int, error) {
	if a.n.user.Canonical(a.dest) == sel.Name() {
		return 0, nil // they are there
	}
	done, err := sel.Move(a.r.Context(), uids, a.dest)
	if err == nil && len(done.To) > 0 {
		a.undo = append(a.undo, moved{from: sel.Name(), to: a.dest, v: done.UIDValidity, uids: slices.Sorted(slices.Values(done.To))})
	}
	return len(done.From), err
}

func copying(a *acting, sel *selection, uids []uint32) (int, error) {
	done, err := sel.Copy(a.r.Context(), uids, a.dest)
	return len(done.From), err
}

func expunging(a *acting, sel *selection, uids []uint32) (int, error) {
	return len(uids), sel.Remove(a.r.Context(), uids)
}

// destination is the mailbox that an action puts messages into, "" if it puts them nowhere. Trash and Junk are made when they
// are wanted first.
func (n *session) destination(r *http.Request, do string) (string, error) {
	switch do {
	case "move", "copy":
		if to := r.PostFormValue("to"); to != "" {
			return to, nil
		}
		return "", fail(http.StatusUnprocessableEntity, "error.nofolder")
	case "delete":
		return n.special(r.Context(), `\Trash`, "Trash")
	case "junk":
		return n.special(r.Context(), `\Junk`, "Junk")
	case "notjunk":
		return inbox, nil
	}
	return "", nil
}

// special gives the user's mailbox for a special use, and makes it if there is none.
func (n *session) special(ctx context.Context, use, name string) (string, error) {
	folders, err := n.user.Mailboxes(ctx)
	if err != nil {
		return "", err
	}
	for _, f := range folders {
		if f.SpecialUse == use {
			return f.Name, nil
		}
	}
	if err := n.user.Create(ctx, name, use); err != nil && !errors.Is(err, account.ErrExists) {
		return "", err
	}
	return name, n.user.Subscribe(ctx, name)
}

// inTrash tells whether all messages lie in Trash, or below it, so that deleting is for ever.
func (n *session) inTrash(ctx context.Context, groups []chosen) (bool, error) {
	folders, err := n.user.Mailboxes(ctx)
	if err != nil {
		return false, err
	}
	trash := ""
	for _, f := range folders {
		if f.SpecialUse == `\Trash` {
			trash = f.Name
		}
	}
	for _, g := range groups {
		box := n.user.Canonical(g.box)
		if trash == "" || box != trash && !strings.HasPrefix(box, trash+string(n.user.Separator())) {
			return false, nil
		}
	}
	return true, nil
}

// expungeData asks whether messages are really to go.
type expungeData struct {
	Keys  []string
	Count int
	Back  string
}

// askExpunge asks first, for who may.
func (n *session) askExpunge(w http.ResponseWriter, r *http.Request, groups []chosen) error {
	d := expungeData{Back: backTo(r)}
	for _, g := range groups {
		sel, err := n.selectNamed(r, g.box)
		if err != nil {
			return err
		}
		err = sel.MayRemove()
		sel.Close()
		if err != nil {
			return err
		}
		for _, uid := range g.uids {
			d.Keys = append(d.Keys, keyOf(g.box, g.v, uid))
		}
	}
	d.Count = len(d.Keys)
	return n.page(w, r, view{Name: "expunge", Title: "list.expungetitle", Data: d, Pane: "list"})
}

// undo is what one form has moved.
type undo []moved

type moved struct {
	from, to string
	v        uint32   // UIDVALIDITY of to
	uids     []uint32 // in to, ascending
}

// maxUndos bounds how many forms of a session can be undone.
const maxUndos = 10

// keepUndo remembers what can be undone, and gives its number; "" if nothing can.
func (n *session) keepUndo(u *undo) string {
	if len(*u) == 0 {
		return ""
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.undone++
	n.undos = append(n.undos, numberedUndo{n.undone, *u})
	if len(n.undos) > maxUndos {
		n.undos = slices.Delete(n.undos, 0, len(n.undos)-maxUndos)
	}
	return strconv.Itoa(n.undone)
}

type numberedUndo struct {
	number int
	undo   undo
}

// takeUndo gives what is remembered under a number, once.
func (n *session) takeUndo(number string) undo {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, u := range n.undos {
		if strconv.Itoa(u.number) == number {
			n.undos = slices.Delete(n.undos, i, i+1)
			return u.undo
		}
	}
	return nil
}

// undoMove moves back what a form has moved.
func undoMove(w http.ResponseWriter, r *http.Request, n *session) error {
	u := n.takeUndo(r.PostFormValue("number"))
	if u == nil {
		return fail(http.StatusNotFound, "error.undo")
	}
	count := 0
	for _, m := range u {
		sel, err := n.selectNamed(r, m.to)
		if err != nil {
			return err
		}
		if sel.Snap.UIDValidity() != m.v {
			sel.Close()
			return errChanged
		}
		done, err := sel.Move(r.Context(), m.uids, m.from)
		sel.Close()
		count += len(done.From)
		if err != nil {
			return err
		}
	}
	n.say(n.locale(r).N("list.undone", count))
	return seeOther(w, r, backTo(r))
}

// arrangeList keeps how the user wants his lists.
func arrangeList(w http.ResponseWriter, r *http.Request, n *session) error {
	p := n.preferences()
	p.Sort = sortNamed(r.PostFormValue("sort")).Name
	p.Threads = r.PostFormValue("threads") == "1"
	if err := n.savePreferences(r, p); err != nil {
		return err
	}
	return seeOther(w, r, backTo(r))
}
