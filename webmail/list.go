package webmail

import (
	"bytes"
	"errors"
	"hash/fnv"
	"net/http"
	"strconv"
	"strings"

	"postroom/internal/account"
	"postroom/internal/message"
)

// listData is the pane of messages.
type listData struct {
	Box        string
	Label      string
	V          uint32 // UIDVALIDITY
	Rows       []row
	From, To   int // counted from the first of the list, which is 1
	Total      int // rows of all pages
	Messages   int // in the mailbox
	Unread     int
	Newer      string // addresses of the pages beside this one, "" for none
	Older      string
	Recipients bool // rows show to whom, not from whom
	Rights     account.Rights
	Export     string // address of all messages in one file
	Share      string // address of the dialogue about its rights, "" for who may not change them
	Import     string // address of the form to import messages, "" for who may not insert

	asked
	Self      string   // the address of this page, which a form comes back to and a live page asks for again
	Found     bool     // it is not all of the mailbox, but what was searched for
	Partial   bool     // time was up before all was searched
	Preparing string   // how far the order is that was asked for; "" if it is there
	BadQuery  string   // what of the query is not understood
	Targets   []folder // where messages can be put
	Labels    []label  // that are in use in the mailbox
	InTrash   bool     // what is deleted here is gone
	InJunk    bool
}

// row is a message in a list.
type row struct {
	UID        uint32
	Key        string // what forms call it: keyOf
	Box        string // "" where all rows are of the list's mailbox
	BoxLabel   string
	Link       string
	Who        string
	Subject    string
	Date, Long string
	Depth      int // in its thread; no more than a page can show
	Thread     int // messages of the thread that begins here; 0 where there are no threads
	Seen       bool
	Flagged    bool
	Answered   bool
	Draft      bool
	Deleted    bool
	Attachment bool
	Labels     []label
	Current    bool // it is the one that is read
}

// label is a keyword with its colour, one of ten of the style sheet.
type label struct {
	Name   string
	Colour int
}

// labelColours is how many colours labels have.
const labelColours = 10

func labelOf(keyword string) label {
	h := fnv.New32a()
	_, _ = h.Write([]byte(strings.ToLower(keyword)))
	return label{keyword, int(h.Sum32() % labelColours)}
}

// hiddenKeywords are for programs, not for people.
func hiddenKeyword(k string) bool {
	return strings.HasPrefix(k, "$") || strings.EqualFold(k, "NonJunk")
}

func listPage(w http.ResponseWriter, r *http.Request, n *session) error {
	sel, err := n.selectMailbox(r)
	if err != nil {
		return err
	}
	defer sel.Close()
	open, _ := uidOf(r.FormValue("open"))
	d, err := n.list(r, sel, open)
	if err != nil {
		return err
	}
	if isFragment(r) {
		return n.fragment(w, r, "list", d)
	}
	return n.page(w, r, view{Name: "mail", Title: d.Label, Literal: true, Data: mailData{List: d}, Pane: "list", Box: sel.Name(), Query: d.Q, All: d.All})
}

// mailData is the page of both panes.
type mailData struct {
	List    *listData
	Message *messageData // nil: none is read
}

// list makes one page of what is asked for of a mailbox; open is the message that is read beside it, 0 for none.
func (n *session) list(r *http.Request, sel *selection, open uint32) (*listData, error) {
	p := n.preferences()
	folders, err := n.folders(r.Context())
	if err != nil {
		return nil, err
	}
	d := &listData{
		Box: sel.Name(), Label: n.labelOf(r, sel.Name()), V: sel.Snap.UIDValidity(), Messages: sel.Snap.Len(), Unread: sel.Snap.Unseen(),
		Rights: sel.Rights(), asked: askedOf(r, p), Export: sel.link("/export"),
	}
	if sel.Rights().Has(account.Insert) && !sel.Examined() {
		d.Import = sel.link("/import")
	}
	if sel.Rights().Has(account.Administer) {
		d.Share = boxLink("/sharing", sel.Name(), 0)
	}
	for _, f := range folders {
		if f.Name == d.Box {
			d.Recipients = f.SpecialUse == `\Sent` || f.SpecialUse == `\Drafts`
			d.InTrash, d.InJunk = f.SpecialUse == `\Trash`, f.SpecialUse == `\Junk`
		} else if !f.NonExistent && f.Rights.Has(account.Insert) {
			d.Targets = append(d.Targets, f)
		}
	}
	for _, k := range sel.Snap.AllKeywords() {
		if !hiddenKeyword(k) && len(d.Labels) < maxLabels {
			d.Labels = append(d.Labels, labelOf(k))
		}
	}
	if d.plain() {
		err = n.newest(r, d, sel, p.PageSize, open)
	} else {
		err = n.arranged(r, d, sel, p.PageSize, open)
	}
	for i := range d.Rows {
		d.Rows[i].Current = d.Rows[i].UID == open && d.Rows[i].Box == ""
	}
	return d, err
}

// maxLabels bounds how many labels a page offers.
const maxLabels = 50

// newest makes a page of all messages, the newest first. before= of the request is a UID that all are below, after=
// one that they are above; so a page stays what it is when messages come, and costs the same wherever it is. Else
// it is the page with the message open, if that is not 0, or the first.
func (n *session) newest(r *http.Request, d *listData, sel *selection, size int, open uint32) error {
	end := sel.Snap.Len() // index behind the newest of the page
	d.Self = boxLink("/", d.Box, d.V)
	if before, ok := uidOf(r.FormValue("before")); ok {
		end = sel.Snap.Index(before)
		d.Self = boxLink("/", d.Box, d.V, "before", uidText(before))
	} else if after, ok := uidOf(r.FormValue("after")); ok {
		end = min(end, sel.Snap.Index(after+1)+size)
		d.Self = boxLink("/", d.Box, d.V, "after", uidText(after))
	} else if i, ok := sel.Snap.Find(open); ok && open != 0 {
		end -= (end - 1 - i) / size * size
		if end < sel.Snap.Len() {
			d.Self = boxLink("/", d.Box, d.V, "before", uidText(sel.Snap.UID(end)))
		}
	}
	begin := max(0, end-size)
	d.From, d.To, d.Total = sel.Snap.Len()-end+1, sel.Snap.Len()-begin, sel.Snap.Len()
	rd := sel.Read(r.Context())
	defer rd.Close()
	loc := n.locale(r)
	for i := end - 1; i >= begin; i-- {
		w, err := d.row(rd, sel, loc, i)
		if errors.Is(err, account.ErrExpunged) {
			continue
		}
		if err != nil {
			return err
		}
		d.Rows = append(d.Rows, w)
	}
	if begin > 0 && end > begin {
		d.Older = boxLink("/", sel.Name(), d.V, "before", uidText(sel.Snap.UID(begin)))
	}
	if end < sel.Snap.Len() {
		d.Newer = boxLink("/", sel.Name(), 0) // the newest of all, not those of now
		if end+size < sel.Snap.Len() {
			after := uint32(0)
			if end > 0 {
				after = sel.Snap.UID(end - 1)
			}
			d.Newer = boxLink("/", sel.Name(), d.V, "after", uidText(after))
		}
	}
	return nil
}

func uidOf(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil
}

// labelOf is what people call a mailbox.
func (n *session) labelOf(r *http.Request, name string) string {
	if name == inbox {
		return n.locale(r).T("folders.inbox")
	}
	return name[strings.LastIndexByte(name, n.user.Separator())+1:]
}

// listFields are those of the header that a row shows.
var listFields = message.NewFieldSet([]string{"from", "to", "subject"})

// row makes one row, of what the cache keeps of the message; its file is read only if it is not there.
func (d *listData) row(rd *account.Reading, sel *selection, loc locale, i int) (row, error) {
	rd.Seek(sel.Snap, i)
	flags := sel.Snap.Flags(i)
	w := row{
		UID: sel.Snap.UID(i), Seen: flags&account.Seen != 0, Flagged: flags&account.Flagged != 0, Answered: flags&account.Answered != 0,
		Draft: flags&account.Draft != 0, Deleted: flags&account.Deleted != 0,
	}
	w.Key = keyOf(sel.Name(), sel.Snap.UIDValidity(), w.UID)
	w.Link = sel.link("/message", d.pairs("uid", uidText(w.UID))...)
	for _, k := range sel.Snap.Keywords(i) {
		if !hiddenKeyword(k) {
			w.Labels = append(w.Labels, labelOf(k))
		}
	}
	date, err := rd.Date()
	if err != nil {
		return w, err
	}
	w.Date, w.Long = loc.Short(date), loc.Long(date)
	rec, err := rd.Record()
	if err != nil {
		return w, err
	}
	fields, err := listed(rd, rec)
	if err != nil {
		return w, err
	}
	who := fields["from"]
	if d.Recipients {
		who = fields["to"]
	}
	w.Who = names(message.ParseAddresses(who))
	w.Subject = strings.TrimSpace(message.Printable(message.DecodeText(fields["subject"])))
	w.Attachment = rec.HasAttachment()
	return w, nil
}

// listed gives the first of each of listFields, unfolded.
func listed(rd *account.Reading, rec message.Record) (map[string]string, error) {
	out := make(map[string]string, 3)
	head, ok := rec.AppendFields(nil, listFields)
	if !ok {
		m, err := rd.Structure()
		if err != nil {
			return nil, err
		}
		f, err := rd.File()
		if err != nil {
			return nil, err
		}
		if head, err = message.HeaderFields(f, m, m.Root.Head, []string{"from", "to", "subject"}, false); err != nil {
			return nil, err
		}
	}
	last := ""
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		if len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
			if last != "" {
				out[last] += string(line)
			}
			continue
		}
		name, value, _ := strings.Cut(string(line), ":")
		last = strings.ToLower(strings.TrimSpace(name))
		if _, twice := out[last]; twice {
			last = ""
			continue
		}
		out[last] = strings.TrimSpace(value)
	}
	return out, nil
}

// names makes a short text of addresses.
func names(list []message.DisplayAddress) string {
	var out []string
	for _, a := range list {
		if len(out) == 3 {
			out = append(out, "…")
			break
		}
		if a.Name != "" {
			out = append(out, a.Name)
		} else {
			out = append(out, a.Addr)
		}
	}
	return strings.Join(out, ", ")
}
