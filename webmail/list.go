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
	From, To   int // counted from the newest, which is 1
	Total      int
	Unread     int
	Newer      string // addresses of the pages beside this one, "" for none
	Older      string
	Recipients bool // rows show to whom, not from whom
	Rights     account.Rights
	Export     string // address of all messages in one file
	Import     string // address of the form to import messages, "" for who may not insert
}

// row is a message in a list.
type row struct {
	UID        uint32
	Link       string
	Who        string
	Subject    string
	Date, Long string
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
	d, err := n.list(r, sel, 0)
	if err != nil {
		return err
	}
	if isFragment(r) {
		return n.fragment(w, r, "list", d)
	}
	return n.page(w, r, view{Name: "mail", Title: d.Label, Literal: true, Data: mailData{List: d}, Pane: "list", Box: sel.Name()})
}

// mailData is the page of both panes.
type mailData struct {
	List    *listData
	Message *messageData // nil: none is read
}

// list makes one page of a mailbox, the newest message first. before= of the request is a UID that all are below, after=
// one that they are above; so a page stays what it is when messages come, and costs the same wherever it is. Else
// it is the page with the message open, if that is not 0, or the first.
func (n *session) list(r *http.Request, sel *selection, open uint32) (*listData, error) {
	size := n.preferences().PageSize
	end := sel.Snap.Len() // index behind the newest of the page
	if before, ok := uidOf(r.FormValue("before")); ok {
		end = sel.Snap.Index(before)
	} else if after, ok := uidOf(r.FormValue("after")); ok {
		end = min(end, sel.Snap.Index(after+1)+size)
	} else if i, ok := sel.Snap.Find(open); ok && open != 0 {
		end -= (end - 1 - i) / size * size
	}
	begin := max(0, end-size)
	d := &listData{
		Box: sel.Name(), Label: n.labelOf(r, sel.Name()), V: sel.Snap.UIDValidity(), Total: sel.Snap.Len(), Unread: sel.Snap.Unseen(),
		From: sel.Snap.Len() - end + 1, To: sel.Snap.Len() - begin, Rights: sel.Rights(), Recipients: n.sentHere(r, sel.Name()),
		Export: sel.link("/export"),
	}
	if sel.Rights().Has(account.Insert) && !sel.Examined() {
		d.Import = sel.link("/import")
	}
	rd := sel.Read(r.Context())
	defer rd.Close()
	loc := n.locale(r)
	for i := end - 1; i >= begin; i-- {
		w, err := d.row(rd, sel, loc, i)
		if errors.Is(err, account.ErrExpunged) {
			continue
		}
		if err != nil {
			return nil, err
		}
		w.Current = w.UID == open
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
	return d, nil
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

// sentHere tells whether a mailbox holds what the user wrote himself.
func (n *session) sentHere(r *http.Request, name string) bool {
	entries, err := n.user.Mailboxes(r.Context())
	if err != nil {
		return false
	}
	for _, e := range entries {
		if e.Name == name {
			return e.SpecialUse == `\Sent` || e.SpecialUse == `\Drafts`
		}
	}
	return false
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
	w.Link = sel.link("/message", "uid", uidText(w.UID))
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
	w.Attachment = hasAttachment(rec)
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

// hasAttachment tells whether a message has something to be saved: a part that says so of itself, a message in it, or a leaf that
// is neither text nor belongs to a text (multipart/related, signatures).
func hasAttachment(rec message.Record) bool {
	// In BODYSTRUCTURE a disposition stands as ("attachment" …; in a quoted string its quotes would have backslashes.
	if bytes.Contains(bytes.ToLower(rec.BodyStructure()), []byte(`("attachment"`)) {
		return true
	}
	m, ok := rec.Message()
	return ok && attached(m.Root, false)
}

func attached(p *message.Part, related bool) bool {
	typ, sub := p.MediaType()
	switch {
	case p.Kind == message.Multipart:
		for _, c := range p.Children {
			if attached(c, related || sub == "related") {
				return true
			}
		}
		return false
	case p.Kind == message.Embedded:
		return true
	}
	signature := typ == "application" && (strings.HasSuffix(sub, "-signature") || sub == "pgp-encrypted")
	return typ != "text" && typ != "multipart" && !related && !signature
}
