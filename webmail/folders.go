package webmail

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"postroom/internal/account"
)

// folder is a mailbox as pages show it.
type folder struct {
	account.Entry
	Label   string // the last part of the name, or what INBOX is called
	Depth   int
	Icon    string
	Link    string // of its list; "" if it cannot be opened
	Unread  int
	Total   int // messages; -1 if they were not counted
	Current bool
	Parent  string // name; "" at the top
	space   int    // 0 own, 1 other users', 2 public
}

// sidebar is the pane of folders.
type sidebar struct {
	Groups []folderGroup
	Unread int // in INBOX, for the title
}

type folderGroup struct {
	Key     string // of its heading; "" for the user's own
	Folders []folder
}

// maxCounted bounds how many folders are looked into for a page.
const maxCounted = 1000

// specialRank orders the special uses behind INBOX, as people look for them.
var specialRank = map[string]int{`\Drafts`: 2, `\Sent`: 3, `\Archive`: 4, `\Junk`: 5, `\Trash`: 6}

var specialIcons = map[string]string{`\Drafts`: "drafts", `\Sent`: "sent", `\Archive`: "archive", `\Junk`: "junk", `\Trash`: "trash"}

// folders lists all folders of the user in the order of the pages, without counts.
func (n *session) folders(ctx context.Context) ([]folder, error) {
	entries, err := n.user.Mailboxes(ctx)
	if err != nil {
		return nil, err
	}
	sep := string(n.user.Separator())
	var prefixes [3]string
	_, other, public := n.user.Namespaces()
	for _, ns := range other {
		prefixes[1] = ns.Prefix
	}
	for _, ns := range public {
		prefixes[2] = ns.Prefix
	}
	var out []folder
	for _, e := range entries {
		f := folder{Entry: e, Total: -1, Icon: "folder"}
		for space := 1; space <= 2; space++ {
			if p := prefixes[space]; p != "" && strings.HasPrefix(e.Name+sep, p) {
				f.space = space
			}
		}
		inside := strings.TrimPrefix(e.Name, prefixes[f.space])
		if f.space != 0 && e.NonExistent && e.Name+sep == prefixes[f.space] {
			continue // the namespace itself is a heading
		}
		f.Depth = strings.Count(inside, sep)
		f.Label = inside[strings.LastIndex(inside, sep)+1:]
		if at := strings.LastIndex(e.Name, sep); at >= 0 {
			f.Parent = e.Name[:at]
		}
		if !e.NonExistent && e.Rights.Has(account.Read) {
			f.Link = boxLink("/", e.Name, 0)
		}
		switch {
		case e.Name == inbox:
			f.Icon = "inbox"
		case specialIcons[e.SpecialUse] != "":
			f.Icon = specialIcons[e.SpecialUse]
		case f.space == 1 && f.Depth == 0:
			f.Icon = "person"
		case f.space == 2:
			f.Icon = "public"
		}
		out = append(out, f)
	}
	orderFolders(out, sep)
	return out, nil
}

// orderFolders puts INBOX first, then those of special use, then the others, children behind their parents.
func orderFolders(list []folder, sep string) {
	rank := make(map[string]int, len(list)) // of those at the top
	for _, f := range list {
		if f.space == 0 && f.Depth == 0 {
			r := cmp.Or(specialRank[f.SpecialUse], 7)
			if f.Name == inbox {
				r = 1
			}
			rank[f.Name] = r
		}
	}
	slices.SortStableFunc(list, func(a, b folder) int {
		topA, _, _ := strings.Cut(a.Name, sep)
		topB, _, _ := strings.Cut(b.Name, sep)
		return cmp.Or(cmp.Compare(a.space, b.space), cmp.Compare(rank[topA], rank[topB]))
	})
}

// count looks into a folder. What cannot be counted, since it went or its rights did, stays uncounted.
func (n *session) count(ctx context.Context, f *folder) {
	if f.Link == "" {
		return
	}
	st, err := n.user.Status(ctx, f.Name, account.StatusOptions{})
	if err != nil {
		return
	}
	f.Unread, f.Total = st.Unseen, st.Messages
}

// sidebar makes the pane of folders; box is the one that is open.
func (n *session) sidebar(ctx context.Context, box string) (*sidebar, error) {
	list, err := n.folders(ctx)
	if err != nil {
		return nil, err
	}
	box = n.user.Canonical(box)
	keys := [3]string{"", "folders.others", "folders.public"}
	s := &sidebar{}
	for i := range list {
		f := &list[i]
		if i < maxCounted {
			n.count(ctx, f)
		}
		f.Current = f.Name == box
		if f.Name == inbox {
			s.Unread = f.Unread
		}
		if k := keys[f.space]; len(s.Groups) == 0 || s.Groups[len(s.Groups)-1].Key != k {
			s.Groups = append(s.Groups, folderGroup{Key: k})
		}
		g := &s.Groups[len(s.Groups)-1]
		g.Folders = append(g.Folders, *f)
	}
	return s, nil
}

// foldersData is the page where folders are managed.
type foldersData struct {
	Groups  []folderGroup
	Parents []folder // where a new one may be made
}

// Offered of a folder by its rights; account decides again when it is done.
func (f folder) MayRename() bool {
	return !f.NonExistent && f.Name != inbox && f.Rights.Has(account.DeleteMailbox)
}
func (f folder) MayDelete() bool { return f.MayRename() }
func (f folder) MayCreate() bool { return !f.NonExistent && f.Rights.Has(account.CreateMailbox) }

// MayAdminister tells whether its rights may be changed.
func (f folder) MayAdminister() bool { return !f.NonExistent && f.Rights.Has(account.Administer) }

// Letters are the user's rights.
func (f folder) Letters() string { return f.Rights.String() }

func foldersPage(w http.ResponseWriter, r *http.Request, n *session) error {
	list, err := n.folders(r.Context())
	if err != nil {
		return err
	}
	keys := [3]string{"folders.own", "folders.others", "folders.public"}
	var d foldersData
	for _, f := range list {
		if k := keys[f.space]; len(d.Groups) == 0 || d.Groups[len(d.Groups)-1].Key != k {
			d.Groups = append(d.Groups, folderGroup{Key: k})
		}
		g := &d.Groups[len(d.Groups)-1]
		g.Folders = append(g.Folders, f)
		if f.MayCreate() {
			d.Parents = append(d.Parents, f)
		}
	}
	return n.page(w, r, view{Name: "folders", Title: "folders.title", Data: d, Pane: "list"})
}

// folderName puts a name together of what a form says: the last part, and the parent.
func (n *session) folderName(r *http.Request) (string, error) {
	sep := string(n.user.Separator())
	name, parent := strings.TrimSpace(r.PostFormValue("name")), r.PostFormValue("parent")
	if name == "" || strings.Contains(name, sep) {
		return "", account.ErrBadName
	}
	if parent != "" {
		name = parent + sep + name
	}
	return name, nil
}

func createFolder(w http.ResponseWriter, r *http.Request, n *session) error {
	name, err := n.folderName(r)
	if err != nil {
		return err
	}
	if err := n.user.Create(r.Context(), name, ""); err != nil {
		return err
	}
	// Programs that list what is subscribed to shall show it; without the right to look it up nobody does.
	if err := n.user.Subscribe(r.Context(), name); err != nil && !errors.Is(err, account.ErrNoFolder) {
		return err
	}
	n.say(n.locale(r).T("folders.created"))
	return seeOther(w, r, "/folders")
}

// renameData is the form that gives a folder another name or parent.
type renameData struct {
	folder
	Own     bool     // it may go to the top
	Parents []folder // where it may go: folders of the same tree, but for itself and those below
}

func renameFolderPage(w http.ResponseWriter, r *http.Request, n *session) error {
	list, f, err := n.deletable(r)
	if err != nil {
		return err
	}
	sep := string(n.user.Separator())
	d := renameData{folder: f, Own: f.space == 0}
	for _, o := range list {
		here := o.Name == f.Parent || o.MayCreate() && n.treeOf(o) == n.treeOf(f)
		if here && !strings.HasPrefix(o.Name+sep, f.Name+sep) {
			d.Parents = append(d.Parents, o)
		}
	}
	return n.page(w, r, view{Name: "folder-rename", Title: "folders.rename", Data: d, Pane: "list"})
}

// treeOf names whose tree a folder is in: folders stay in theirs.
func (n *session) treeOf(f folder) string {
	if f.space != 1 {
		return strconv.Itoa(f.space)
	}
	parts := strings.SplitN(f.Name, string(n.user.Separator()), 3)
	return strings.Join(parts[:min(2, len(parts))], "/")
}

// deletable gives the folder that box= of a request names, if it may be deleted or renamed as its rights are now, and all there are.
func (n *session) deletable(r *http.Request) ([]folder, folder, error) {
	box := n.user.Canonical(r.FormValue("box"))
	have, err := n.user.MyRights(r.Context(), box)
	switch {
	case err != nil:
		return nil, folder{}, err
	case !have.Has(account.Lookup):
		return nil, folder{}, account.ErrNoFolder
	}
	list, err := n.folders(r.Context())
	if err != nil {
		return nil, folder{}, err
	}
	i := slices.IndexFunc(list, func(f folder) bool { return f.Name == box })
	if i < 0 {
		return nil, folder{}, account.ErrNoFolder
	}
	f := list[i]
	if f.Rights = have; !f.MayDelete() {
		return nil, folder{}, account.ErrNoRight
	}
	return list, f, nil
}

func renameFolder(w http.ResponseWriter, r *http.Request, n *session) error {
	from := n.user.Canonical(r.PostFormValue("box"))
	to, err := n.folderName(r)
	if err != nil {
		return err
	}
	if from == inbox {
		return account.ErrCannot // it would move all mail, which nobody means who renames a folder
	}
	if from == to {
		return seeOther(w, r, "/folders")
	}
	before, err := n.user.Subscriptions(r.Context())
	if err != nil {
		return err
	}
	if err := n.user.Rename(r.Context(), from, to); err != nil {
		return err
	}
	if err := n.moveSubscriptions(r.Context(), before, from, to); err != nil {
		return err
	}
	n.say(n.locale(r).T("folders.renamed"))
	return seeOther(w, r, "/folders")
}

// moveSubscriptions lets subscriptions follow a folder and those below it; RENAME itself leaves them (RFC 9051 section 6.3.6).
func (n *session) moveSubscriptions(ctx context.Context, before []string, from, to string) error {
	for _, name := range before {
		rest, ok := strings.CutPrefix(name, from)
		if !ok || rest != "" && rest[0] != n.user.Separator() {
			continue
		}
		if err := n.user.Subscribe(ctx, to+rest); err != nil && !errors.Is(err, account.ErrNoFolder) {
			return err
		}
		if err := n.user.Unsubscribe(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// deleteData asks whether a folder is really to go.
type deleteData struct {
	Box      string
	Messages int // -1 if they may not be counted
	Children bool
}

func deleteFolderPage(w http.ResponseWriter, r *http.Request, n *session) error {
	_, f, err := n.deletable(r)
	if err != nil {
		return err
	}
	n.count(r.Context(), &f)
	return n.page(w, r, view{Name: "folder-delete", Title: "folders.delete", Data: deleteData{f.Name, f.Total, f.HasChildren}, Pane: "list"})
}

func deleteFolder(w http.ResponseWriter, r *http.Request, n *session) error {
	box := n.user.Canonical(r.PostFormValue("box"))
	if err := n.user.Delete(r.Context(), box); err != nil {
		return err
	}
	if err := n.user.Unsubscribe(r.Context(), box); err != nil {
		return err
	}
	n.say(n.locale(r).T("folders.deleted"))
	return seeOther(w, r, "/folders")
}

func subscribeFolder(w http.ResponseWriter, r *http.Request, n *session) error {
	change := n.user.Unsubscribe
	if r.PostFormValue("on") == "1" {
		change = n.user.Subscribe
	}
	if err := change(r.Context(), r.PostFormValue("box")); err != nil {
		return err
	}
	return seeOther(w, r, "/folders")
}
