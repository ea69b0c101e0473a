package webmail

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"postroom/internal/account"
)

// belowData shows what becomes of the rights of subfolders when they get those of a folder.
type belowData struct {
	Box     string
	Folders []belowFolder
	Skipped []string // those that the user may not administer
	Changes bool     // there is anything to do
}

type belowFolder struct {
	Name    string
	Digest  string // of what was shown: of both ACLs
	Changes []belowChange
	from    []account.ACLEntry
}

// belowChange is what happens to one entry.
type belowChange struct {
	Key      string // of the text for its kind
	Name     string
	Negative bool
	Was, To  string // letters
	Added    bool
	Removed  bool
}

// below compares the rights of a folder with those of the folders below it.
func (n *session) below(r *http.Request) (belowData, []account.ACLEntry, error) {
	d := belowData{Box: n.user.Canonical(r.FormValue("box"))}
	file, err := n.user.FolderACL(d.Box)
	if err != nil {
		return d, nil, err
	}
	if len(file.Bad) > 0 {
		return d, nil, account.ErrBadACL
	}
	have, err := n.user.MyRights(r.Context(), d.Box)
	if err == nil && !have.Has(account.Lookup) {
		err = account.ErrNoFolder // who may not look it up sees nothing below it either
	}
	if err != nil {
		return d, nil, err
	}
	list, err := n.folders(r.Context())
	if err != nil {
		return d, nil, err
	}
	for _, f := range list {
		if f.NonExistent || !strings.HasPrefix(f.Name, d.Box+string(n.user.Separator())) {
			continue
		}
		child, err := n.user.FolderACL(f.Name)
		switch {
		case errors.Is(err, account.ErrNoRight) || err == nil && len(child.Bad) > 0:
			d.Skipped = append(d.Skipped, f.Name)
			continue
		case errors.Is(err, account.ErrNoFolder), errors.Is(err, account.ErrGone):
			continue
		case err != nil:
			return d, nil, err
		}
		b := belowFolder{Name: f.Name, Digest: digestACLs(file.Entries, child.Entries), from: child.Entries}
		for _, c := range account.CompareACLs(child.Entries, file.Entries) {
			b.Changes = append(b.Changes, belowChange{
				kindKeys[kindOf(c.Identifier)], c.Identifier.Name, c.Negative, c.Was.String(), c.To.String(), c.Added, c.Removed,
			})
		}
		d.Changes = d.Changes || len(b.Changes) > 0
		d.Folders = append(d.Folders, b)
	}
	return d, file.Entries, nil
}

func digestACLs(lists ...[]account.ACLEntry) string {
	h := sha256.New()
	for _, entries := range lists {
		for _, e := range entries {
			fmt.Fprintf(h, "%v %q %s\n", e.Negative, e.Identifier.String(), e.Rights)
		}
		fmt.Fprintln(h)
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}

func belowPage(w http.ResponseWriter, r *http.Request, n *session) error {
	d, _, err := n.below(r)
	if err != nil {
		return err
	}
	return n.page(w, r, view{Name: "sharing-below", Title: "below.title", Data: d, Pane: "list", Box: d.Box})
}

// shareBelow gives subfolders the rights of the folder above: those that were ticked, if they are as they were shown.
func shareBelow(w http.ResponseWriter, r *http.Request, n *session) error {
	d, to, err := n.below(r)
	if err != nil {
		return err
	}
	ticked := make(map[string]string) // digests by names
	for _, s := range r.PostForm["folder"] {
		digest, name, _ := strings.Cut(s, " ")
		ticked[name] = digest
	}
	done, left := 0, 0
	for _, f := range d.Folders {
		digest, ok := ticked[f.Name]
		if !ok || len(f.Changes) == 0 {
			continue
		}
		if digest != f.Digest {
			left++
			continue
		}
		err := n.user.ReplaceACL(r.Context(), f.Name, f.from, to)
		switch {
		case errors.Is(err, account.ErrACLChanged), errors.Is(err, account.ErrNoRight), errors.Is(err, account.ErrNoFolder):
			left++
		case err != nil:
			return err
		default:
			done++
		}
	}
	loc := n.locale(r)
	if left > 0 {
		n.warn(loc.N("below.done", done) + " " + loc.N("below.left", left))
		return seeOther(w, r, boxLink("/sharing/below", d.Box, 0))
	}
	n.say(loc.N("below.done", done))
	return n.backToSharing(w, r, d.Box)
}
