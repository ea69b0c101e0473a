package webmail

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"postroom/internal/account"
	"postroom/internal/auth"
)

// word is a right, or two that people do not tell apart, in plain words. Rights that have none are kept as they are.
type word struct {
	Rights account.Rights
	Key    string // of the text
}

var words = []word{
	{account.Lookup, "sharing.see"},
	{account.Read, "sharing.read"},
	{account.WriteSeen, "sharing.marks"},
	{account.WriteFlags, "sharing.flags"},
	{account.Insert, "sharing.add"},
	{account.DeleteMessage | account.Expunge, "sharing.delete"},
	{account.CreateMailbox, "sharing.subfolders"},
	{account.DeleteMailbox, "sharing.remove"},
	{account.Administer, "sharing.administer"},
}

// inWords are the rights that words tell of.
var inWords = func() (r account.Rights) {
	for _, w := range words {
		r |= w.Rights
	}
	return r
}()

// preset is one of account.Presets.
type preset struct{ Name, Key string } // in forms; of the text

var presets = []preset{{"read", "sharing.presetread"}, {"write", "sharing.presetwrite"}, {"full", "sharing.presetfull"}}

// sharingData is the dialogue about the rights of one folder.
type sharingData struct {
	Box      string
	Owner    string // "" of a public folder
	Entries  []aclRow
	Broken   string // what is wrong with the ACL file; then it is not changed here
	Open     bool   // everybody may do something
	Above    string // the folder above, if it is one whose rights may be seen
	Same     bool   // its rights are the same
	Children bool
	Seen     bool // whose marks of what was read may be chosen
	Shared   bool // all readers have the same
	Presets  []preset
	Users    []string
	Groups   []string
	Who      string // what was typed, where it was not understood
	Kind     string
	Problem  string // key of the text that says so
}

// aclRow is one entry of an ACL.
type aclRow struct {
	ID       string // as IMAP has it
	Kind     string // key of the text that says what it is
	Name     string
	Negative bool
	Letters  string
	Preset   string // key of the text of the preset that it has; "" for none
	Words    []aclWord
	Fixed    bool // the owner's without a line of the file: there is nothing to remove
}

type aclWord struct {
	word
	Letters string
	On      bool
	Part    bool // one of two rights is there
}

// kindKeys are the texts for kinds of identifiers.
var kindKeys = map[string]string{
	"anyone": "sharing.anyone", "authenticated": "sharing.authenticated", "owner": "sharing.owner",
	"user": "sharing.user", "group": "sharing.group", "override": "sharing.override",
}

func kindOf(id account.Identifier) string {
	switch id.Kind {
	case account.ForAnyone:
		return "anyone"
	case account.ForAuthenticated:
		return "authenticated"
	case account.ForOwner:
		return "owner"
	case account.ForGroup:
		return "group"
	case account.ForGroupOverride:
		return "override"
	}
	return "user"
}

func newACLRow(id string, e account.ACLEntry) aclRow {
	row := aclRow{ID: id, Kind: kindKeys[kindOf(e.Identifier)], Name: e.Identifier.Name, Negative: e.Negative, Letters: e.Rights.String()}
	for _, w := range words {
		have := e.Rights & w.Rights
		row.Words = append(row.Words, aclWord{w, w.Rights.String(), have == w.Rights, have != 0 && have != w.Rights})
	}
	for _, p := range presets {
		if e.Rights&inWords == account.Presets[p.Name]&inWords && !e.Negative {
			row.Preset = p.Key
		}
	}
	return row
}

// suggestions bounds how many users, and how many groups, are suggested.
const suggestions = 50

func sharingPage(w http.ResponseWriter, r *http.Request, n *session) error {
	return n.sharing(w, r, sharingData{Kind: "user"})
}

// sharing shows the dialogue; d has what was typed and why it was not done.
func (n *session) sharing(w http.ResponseWriter, r *http.Request, d sharingData) error {
	ctx := r.Context()
	d.Box = n.user.Canonical(r.FormValue("box"))
	acl, err := n.user.GetACL(ctx, d.Box)
	if err != nil {
		return err
	}
	file, err := n.user.FolderACL(d.Box)
	if err != nil {
		return err
	}
	if d.Owner = acl.Owner; acl.Err != nil {
		d.Broken = acl.Err.Error()
	}
	for _, e := range acl.Entries {
		row := newACLRow(acl.Name(e), e)
		if e.Identifier.Kind == account.ForOwner {
			row.Name = acl.Owner
			row.Fixed = !slices.ContainsFunc(file.Entries, func(o account.ACLEntry) bool { return o.Identifier == e.Identifier && !o.Negative })
		}
		everybody := e.Identifier.Kind == account.ForAnyone || e.Identifier.Kind == account.ForAuthenticated
		d.Open = d.Open || everybody && !e.Negative && e.Rights != 0
		d.Entries = append(d.Entries, row)
	}
	if err := n.sharingAround(r, &d, file.Entries); err != nil {
		return err
	}
	if d.Shared, err = n.user.SharedSeen(ctx, d.Box); err == nil {
		d.Seen = true
	} else if !errors.Is(err, account.ErrNoFolder) { // who may administer need not be able to look it up
		return err
	}
	d.Presets = presets
	d.Users, d.Groups = n.user.People("", suggestions)
	v := view{Name: "sharing", Title: "sharing.title", Data: d, Pane: "list", Box: d.Box}
	if d.Problem != "" {
		v.Status = http.StatusUnprocessableEntity
	}
	return n.page(w, r, v)
}

// sharingAround finds out how the rights of a folder stand to those above and below it.
func (n *session) sharingAround(r *http.Request, d *sharingData, entries []account.ACLEntry) error {
	list, err := n.folders(r.Context())
	if err != nil {
		return err
	}
	sep := string(n.user.Separator())
	for _, f := range list {
		switch {
		case strings.HasPrefix(f.Name, d.Box+sep) && f.MayAdminister():
			d.Children = true
		case strings.HasPrefix(d.Box, f.Name+sep) && f.MayAdminister() && len(f.Name) > len(d.Above):
			above, err := n.user.FolderACL(f.Name)
			if err != nil {
				continue // it went, or the right did
			}
			d.Above, d.Same = f.Name, len(account.CompareACLs(above.Entries, entries)) == 0
		}
	}
	return nil
}

var (
	errIdentifier = fail(http.StatusUnprocessableEntity, "sharing.badid")
	errRights     = fail(http.StatusUnprocessableEntity, "sharing.badrights")
	errACLChanged = fail(http.StatusConflict, "sharing.changed")
)

// parseID reads an identifier as IMAP has it, prepared as names of users are.
func parseID(s string) (id account.Identifier, negative bool, err error) {
	prepared, err := auth.Prepare(s)
	if err == nil {
		id, negative, err = account.ParseIdentifier(prepared)
	}
	if err != nil {
		err = errIdentifier
	}
	return id, negative, err
}

// wanted reads which rights a form asks for, of an entry that has the rights was.
func wanted(r *http.Request, was account.Rights) (account.Rights, error) {
	switch act := r.PostFormValue("act"); act {
	case "letters":
		mode, rights, err := account.ParseModRights(strings.TrimSpace(r.PostFormValue("letters")))
		switch {
		case err != nil:
			return 0, errRights
		case mode == account.AddRights:
			return was | rights, nil
		case mode == account.RemoveRights:
			return was &^ rights, nil
		}
		return rights, nil
	case "words":
		ticked := r.PostForm["right"]
		out := was
		for _, w := range words {
			on := slices.Contains(ticked, w.Rights.String())
			// What was not touched stays: also one right of two.
			if was.Has(w.Rights) != on {
				if out &^= w.Rights; on {
					out |= w.Rights
				}
			}
		}
		return out, nil
	default:
		preset, ok := account.Presets[act]
		if !ok {
			return 0, fail(http.StatusBadRequest, "error.form")
		}
		return was&^inWords | preset, nil
	}
}

// changeSharing changes the rights of one entry that is there.
func changeSharing(w http.ResponseWriter, r *http.Request, n *session) error {
	box := n.user.Canonical(r.PostFormValue("box"))
	acl, err := n.user.GetACL(r.Context(), box)
	if err != nil {
		return err
	}
	id, negative, err := parseID(r.PostFormValue("id"))
	if err != nil {
		return err
	}
	i := slices.IndexFunc(acl.Entries, func(e account.ACLEntry) bool {
		return n.sameEntry(&acl, e.Identifier, id) && e.Negative == negative
	})
	if i < 0 || acl.Entries[i].Rights.String() != r.PostFormValue("was") {
		return errACLChanged
	}
	rights, err := wanted(r, acl.Entries[i].Rights)
	if err != nil {
		return err
	}
	return n.setSharing(w, r, box, id, negative, rights)
}

// sameEntry tells whether two identifiers mean the same entry: the owner has two.
func (n *session) sameEntry(acl *account.ACL, a, b account.Identifier) bool {
	owner := func(id account.Identifier) bool {
		return acl.Owner != "" && (id.Kind == account.ForOwner || id.Kind == account.ForUser && id.Name == acl.Owner)
	}
	return a == b || owner(a) && owner(b)
}

// setSharing gives an entry its rights, and goes back to the dialogue.
func (n *session) setSharing(w http.ResponseWriter, r *http.Request, box string, id account.Identifier, negative bool, rights account.Rights) error {
	open, err := n.user.SetACL(r.Context(), box, id, negative, account.ReplaceRights, rights)
	if err != nil {
		return err
	}
	if open {
		n.warn(n.locale(r).T("sharing.opened"))
	} else {
		n.say(n.locale(r).T("sharing.saved"))
	}
	return n.backToSharing(w, r, box)
}

// backToSharing shows the dialogue again, unless the user has just given up the right to it.
func (n *session) backToSharing(w http.ResponseWriter, r *http.Request, box string) error {
	if have, err := n.user.MyRights(r.Context(), box); err != nil || !have.Has(account.Administer) {
		return seeOther(w, r, "/folders")
	}
	return seeOther(w, r, boxLink("/sharing", box, 0))
}

// addSharing gives rights to somebody who has no entry yet, or other rights to one who has.
func addSharing(w http.ResponseWriter, r *http.Request, n *session) error {
	box := n.user.Canonical(r.PostFormValue("box"))
	acl, err := n.user.GetACL(r.Context(), box)
	if err != nil {
		return err
	}
	kind, who := r.PostFormValue("kind"), strings.TrimSpace(r.PostFormValue("who"))
	id, negative, problem := n.addressee(kind, who)
	if problem != "" {
		return n.sharing(w, r, sharingData{Who: who, Kind: kind, Problem: problem})
	}
	var was account.Rights
	for _, e := range acl.Entries {
		if n.sameEntry(&acl, e.Identifier, id) && e.Negative == negative {
			was = e.Rights
		}
	}
	rights, err := wanted(r, was)
	if err != nil {
		return err
	}
	return n.setSharing(w, r, box, id, negative, rights)
}

// addressee reads to whom rights are to be given; problem is the key of what is wrong with it.
func (n *session) addressee(kind, who string) (id account.Identifier, negative bool, problem string) {
	name, err := auth.Prepare(who)
	switch kind {
	case "anyone":
		return account.Identifier{Kind: account.ForAnyone}, false, ""
	case "authenticated":
		return account.Identifier{Kind: account.ForAuthenticated}, false, ""
	case "user":
		if err != nil || !n.user.Known(name) {
			return id, false, "sharing.nouser"
		}
		return account.Identifier{Kind: account.ForUser, Name: name}, false, ""
	case "group":
		if name = strings.TrimPrefix(name, "$"); err != nil || !n.user.KnownGroup(name) {
			return id, false, "sharing.nogroup"
		}
		return account.Identifier{Kind: account.ForGroup, Name: name}, false, ""
	}
	if id, negative, err = parseID(who); err != nil {
		problem = "sharing.badid"
	}
	return id, negative, problem
}

func removeSharing(w http.ResponseWriter, r *http.Request, n *session) error {
	box := n.user.Canonical(r.PostFormValue("box"))
	id, negative, err := parseID(r.PostFormValue("id"))
	if err != nil {
		return err
	}
	if err := n.user.DeleteACL(r.Context(), box, id, negative); err != nil {
		return err
	}
	n.say(n.locale(r).T("sharing.removed"))
	return n.backToSharing(w, r, box)
}

// shareSeen says whose marks of what was read are.
func shareSeen(w http.ResponseWriter, r *http.Request, n *session) error {
	box := n.user.Canonical(r.PostFormValue("box"))
	if err := n.user.SetSharedSeen(r.Context(), box, r.PostFormValue("shared") == "1"); err != nil {
		return err
	}
	n.say(n.locale(r).T("sharing.saved"))
	return n.backToSharing(w, r, box)
}

// sharingPeople are the suggestions for what somebody types.
func sharingPeople(w http.ResponseWriter, r *http.Request, n *session) error {
	text := r.FormValue("who")
	if len(text) > maxAgent {
		text = ""
	}
	var d sharingData
	d.Users, d.Groups = n.user.People(text, suggestions)
	return n.fragment(w, r, "sharing-people", d)
}
