package webmail

import (
	"html/template"
	"io"
	"net/http"
	"slices"
	"strings"

	"postroom/internal/account"
	"postroom/internal/compose"
	"postroom/internal/mailview"
	"postroom/internal/message"
)

// messageData is the pane in which a message is read.
type messageData struct {
	Box       string
	V, UID    uint32
	Part      string // of the embedded message that is shown, "" for the message itself
	Subject   string
	From, To  []message.DisplayAddress
	CC, BCC   []message.DisplayAddress
	ReplyTo   []message.DisplayAddress // where it is not From
	Sender    []message.DisplayAddress // where it is not From
	Date      string
	Size      string
	Labels    []label
	Flagged   bool
	InTrash   bool // what is deleted here is gone
	InJunk    bool
	Back      string // address of the list
	Newer     string // address of the message above this one in the list, "" for none
	Older     string
	Outer     string // address of the message that embeds this one, "" for none
	Rights    account.Rights
	Blocks    []shownBlock
	Files     []shownFile
	FilesZip  string // address of all files in one, "" if there are not several
	Signed    bool
	Encrypted bool
	Cut       bool // not all of the message is shown
	Draft     bool // it is to be edited, not answered
	List      bool // it came by a mailing list that takes answers

	Blocked  int    // pictures that are not shown
	Pictures string // address of the same with pictures from elsewhere, "" where there are none or they are shown
	Plain    string // address of the same as plain text, or as HTML where it is plain: "" where there is but one
	IsPlain  bool
	Fields   string // addresses of other views
	Source   string
	Print    string
	Export   string
}

// shownBlock is a part of the text: HTML that is our own, or the address of a frame.
type shownBlock struct {
	Text  template.HTML
	Frame string
}

// shownFile is an attachment.
type shownFile struct {
	Name, Size string
	Link       string // address for saving
	Preview    string // address of the picture, "" for other files
	Open       string // address at which a browser shows it: a picture, a PDF, an embedded message
	Message    bool
}

// maxCleaned is how many parts of HTML are looked at before a page is shown; frames show more.
const maxCleaned = 5

func messagePage(w http.ResponseWriter, r *http.Request, n *session, sel *selection, o *openedMessage) error {
	d, err := n.message(r, sel, o)
	if err != nil {
		return err
	}
	if err := n.markSeen(r, sel, o.index); err != nil {
		return err
	}
	folders, err := n.folders(r.Context())
	if err != nil {
		return err
	}
	for _, f := range folders {
		if f.Name == d.Box {
			d.InTrash, d.InJunk = f.SpecialUse == `\Trash`, f.SpecialUse == `\Junk`
		}
	}
	if isFragment(r) {
		return n.fragment(w, r, "message", d)
	}
	list, err := n.list(r, sel, d.UID)
	if err != nil {
		return err
	}
	return n.page(w, r, view{
		Name: "mail", Title: d.Subject, Literal: true, Data: mailData{List: list, Message: d}, Pane: "message", Box: sel.Name(),
	})
}

// markSeen marks a message that is shown, where the user may; where he may not it stays as it is.
func (n *session) markSeen(r *http.Request, sel *selection, i int) error {
	system, _, _ := sel.PermanentFlags()
	if system&account.Seen == 0 || sel.Snap.Flags(i)&account.Seen != 0 {
		return nil
	}
	res, err := sel.Store(r.Context(), []uint32{sel.Snap.UID(i)}, account.Change{Op: account.StoreAdd, Flags: account.Seen})
	if err == nil {
		sel.Snap = res.Snapshot
	}
	return err
}

// onMessage makes a handler of what wants the message that the request names.
func onMessage(serve func(w http.ResponseWriter, r *http.Request, n *session, sel *selection, o *openedMessage) error) handler {
	return func(w http.ResponseWriter, r *http.Request, n *session) error {
		sel, err := n.selectMailbox(r)
		if err != nil {
			return err
		}
		defer sel.Close()
		o, err := openMessage(r, sel)
		if err != nil {
			return err
		}
		defer o.Close()
		return serve(w, r, n, sel, o)
	}
}

// openedMessage is a message that a request reads. It wants Close.
type openedMessage struct {
	*account.Message
	parsed *message.Message
	index  int   // in the selection's snapshot
	part   []int // of the embedded message that is meant, nil for the message itself
}

// openMessage opens the message that uid= of the request names, and in it the embedded one that part= names.
func openMessage(r *http.Request, sel *selection) (*openedMessage, error) {
	i, err := sel.message(r)
	if err != nil {
		return nil, err
	}
	part, err := mailview.ParsePath(r.FormValue("part"))
	if err != nil {
		return nil, errNoPart
	}
	file, err := sel.Message(r.Context(), sel.Snap, i)
	if err != nil {
		return nil, err
	}
	parsed, err := message.Parse(io.NewSectionReader(file, 0, file.Size()))
	if err != nil {
		file.Close()
		return nil, err
	}
	return &openedMessage{file, parsed, i, part}, nil
}

// view is what there is to show, as plain= of the request wants it.
func (o *openedMessage) view(r *http.Request) (*mailview.View, error) {
	v, err := mailview.New(o, o.parsed, o.part, mailview.Options{Plain: r.FormValue("plain") != ""})
	if err != nil {
		return nil, errNoPart
	}
	return v, nil
}

// link is the address of something about the message, or about the embedded one.
func (o *openedMessage) link(sel *selection, path string, pairs ...string) string {
	pairs = append(pairs, "uid", uidText(sel.Snap.UID(o.index)))
	if len(o.part) > 0 && !slices.Contains(pairs, "part") {
		pairs = append(pairs, "part", mailview.FormatPath(o.part))
	}
	return sel.link(path, pairs...)
}

// message makes what is shown of a message.
func (n *session) message(r *http.Request, sel *selection, o *openedMessage) (*messageData, error) {
	v, err := o.view(r)
	if err != nil {
		return nil, err
	}
	d := &messageData{
		Box: sel.Name(), V: sel.Snap.UIDValidity(), UID: sel.Snap.UID(o.index), Part: mailview.FormatPath(o.part),
		Back: sel.link("/", asking(r)...), Rights: sel.Rights(), Flagged: sel.Snap.Flags(o.index)&account.Flagged != 0,
		Draft:  sel.Snap.Flags(o.index)&account.Draft != 0,
		Signed: v.Signed, Encrypted: v.Encrypted, Cut: v.Cut, IsPlain: r.FormValue("plain") != "",
		Fields: o.link(sel, "/fields"), Source: o.link(sel, "/source"), Print: o.link(sel, "/print"), Export: o.link(sel, "/eml"),
	}
	for _, k := range sel.Snap.Keywords(o.index) {
		if !hiddenKeyword(k) {
			d.Labels = append(d.Labels, labelOf(k))
		}
	}
	if i := o.index; len(o.part) > 0 {
		d.Outer = sel.link("/message", "uid", uidText(d.UID))
	} else {
		if i > 0 {
			d.Older = sel.link("/message", "uid", uidText(sel.Snap.UID(i-1)))
		}
		if i+1 < sel.Snap.Len() {
			d.Newer = sel.link("/message", "uid", uidText(sel.Snap.UID(i+1)))
		}
	}
	if err := n.heading(r, sel, o, v, d); err != nil {
		return nil, err
	}
	if err := n.blocks(r, sel, o, v, d); err != nil {
		return nil, err
	}
	n.files(r, sel, o, v, d)
	if len(o.part) == 0 {
		if d.List, err = compose.IsList(o, o.parsed); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// heading fills in who, when and what.
func (n *session) heading(r *http.Request, sel *selection, o *openedMessage, v *mailview.View, d *messageData) error {
	loc := n.locale(r)
	e := v.Envelope
	if d.Subject = strings.TrimSpace(v.Subject()); d.Subject == "" {
		d.Subject = loc.T("list.nosubject")
	}
	d.From, d.To = message.DisplayAddresses(e.From), message.DisplayAddresses(e.To)
	d.CC, d.BCC = message.DisplayAddresses(e.CC), message.DisplayAddresses(e.BCC)
	if list := message.DisplayAddresses(e.ReplyTo); !sameAddresses(list, d.From) {
		d.ReplyTo = list
	}
	if list := message.DisplayAddresses(e.Sender); !sameAddresses(list, d.From) {
		d.Sender = list
	}
	date, hasDate := v.Date()
	if !hasDate && len(o.part) == 0 {
		var err error
		if date, err = sel.Date(r.Context(), sel.Snap, o.index); err != nil {
			return err
		}
		hasDate = true
	}
	if hasDate {
		d.Date = loc.Long(date)
	}
	size := o.parsed.Size
	if len(o.part) > 0 {
		if s, ok := o.parsed.Section(o.part, message.Whole); ok {
			size = s.Size
		}
	}
	d.Size = loc.Size(size)
	return nil
}

func sameAddresses(a, b []message.DisplayAddress) bool {
	return slices.EqualFunc(a, b, func(a, b message.DisplayAddress) bool { return strings.EqualFold(a.Addr, b.Addr) })
}

// blocks fills in the text.
func (n *session) blocks(r *http.Request, sel *selection, o *openedMessage, v *mailview.View, d *messageData) error {
	remote := r.FormValue("pictures") != ""
	loc := n.locale(r)
	cleaned := 0
	for _, b := range v.Blocks {
		if b.Other {
			d.Plain = o.link(sel, "/message", "plain", "1")
			if d.IsPlain {
				d.Plain = o.link(sel, "/message")
			}
		}
		if b.Format != mailview.HTML {
			text, cut, err := v.Text(b, mailview.TextOptions{Summary: func(lines int) string { return loc.N("read.quoted", lines) }})
			if err != nil {
				return err
			}
			d.Blocks = append(d.Blocks, shownBlock{Text: text})
			d.Cut = d.Cut || cut
			continue
		}
		pairs := []string{"block", mailview.FormatPath(b.Path)}
		if remote {
			pairs = append(pairs, "pictures", "1")
		}
		d.Blocks = append(d.Blocks, shownBlock{Frame: o.link(sel, "/frame", pairs...)})
		if cleaned++; cleaned > maxCleaned {
			continue
		}
		page, err := v.Page(b, remote)
		if err != nil {
			return err
		}
		d.Blocked += page.Blocked
		d.Cut = d.Cut || page.Cut
	}
	if d.Blocked > 0 {
		d.Pictures = o.link(sel, "/message", "pictures", "1")
	}
	return nil
}

// files fills in what is attached and not shown inside the text.
func (n *session) files(r *http.Request, sel *selection, o *openedMessage, v *mailview.View, d *messageData) {
	loc := n.locale(r)
	for _, a := range v.Shown() {
		path := mailview.FormatPath(a.Path)
		f := shownFile{Name: a.Name, Size: loc.Size(a.Size), Link: o.link(sel, "/part", "part", path), Message: a.Message}
		switch {
		case a.Message:
			f.Open = o.link(sel, "/message", "part", path)
		case a.Picture:
			f.Open = o.link(sel, "/part", "part", path, "show", "1")
			f.Preview = f.Open
		case a.Type == "application/pdf":
			f.Open = o.link(sel, "/part", "part", path, "show", "1")
		}
		d.Files = append(d.Files, f)
	}
	if len(d.Files) > 1 {
		d.FilesZip = o.link(sel, "/attachments")
	}
}
