package webmail

import (
	"net/http"
	"strings"

	"postroom/internal/account"
	"postroom/internal/auth"
)

// whyData explains what somebody may do in a folder.
type whyData struct {
	Box     string
	Who     string
	Known   bool
	Letters string
	Reasons []whyRow
}

// whyRow is one right.
type whyRow struct {
	Letter  string
	Key     string // of the right in words
	Granted bool
	Cause   string // key of the text that says why
	Line    int
	Text    string // of the line
	Group   string // he is in that one, which the line is about
}

// rightKeys are texts for single rights.
var rightKeys = map[account.Rights]string{
	account.Lookup: "sharing.see", account.Read: "sharing.read", account.WriteSeen: "sharing.marks", account.WriteFlags: "sharing.flags",
	account.Insert: "sharing.add", account.Post: "sharing.post", account.CreateMailbox: "sharing.subfolders", account.DeleteMailbox: "sharing.remove",
	account.DeleteMessage: "sharing.markdeleted", account.Expunge: "sharing.expunge", account.Administer: "sharing.administer",
}

// causeKeys are texts for why a right is there, and why it is not.
var causeKeys = map[account.Cause][2]string{
	account.NotGiven: {"why.nothing", "why.nothing"}, account.ByLine: {"why.line", "why.taken"}, account.ByDefault: {"why.default", "why.nothing"},
	account.AsOwner: {"why.owner", "why.nothing"}, account.BadFile: {"why.bad", "why.bad"},
}

// whyPage answers "why may he write here?".
func whyPage(w http.ResponseWriter, r *http.Request, n *session) error {
	d := whyData{Box: n.user.Canonical(r.FormValue("box")), Who: strings.TrimSpace(r.FormValue("who"))}
	if len(d.Who) > maxAgent {
		d.Who = ""
	}
	if name, err := auth.Prepare(d.Who); err == nil {
		d.Who = name
	}
	have, reasons, err := n.user.Explain(r.Context(), d.Box, d.Who)
	if err != nil {
		return err
	}
	if d.Known = n.user.Known(d.Who); d.Known {
		d.Letters = have.String()
		for _, reason := range reasons {
			row := whyRow{
				Letter: reason.Right.String(), Key: rightKeys[reason.Right], Granted: reason.Granted,
				Cause: causeKeys[reason.Cause][1], Line: reason.Line, Text: reason.Text,
			}
			if reason.Granted {
				row.Cause = causeKeys[reason.Cause][0]
			}
			row.Group = groupIn(reason.Text)
			d.Reasons = append(d.Reasons, row)
		}
	}
	return n.page(w, r, view{Name: "why", Title: "why.title", Data: d, Pane: "list", Box: d.Box})
}

// groupIn gives the group that a line of an ACL file is about; "" if it is about no group.
func groupIn(line string) string {
	for _, prefix := range []string{"group=", "group-override="} {
		if rest, ok := strings.CutPrefix(strings.TrimLeft(line, `-"`), prefix); ok {
			if end := strings.IndexAny(rest, "\" \t"); end >= 0 {
				rest = rest[:end]
			}
			return rest
		}
	}
	return ""
}
