package webmail

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"postroom/internal/account"
	"postroom/internal/message"
)

// messageData is the pane in which a message is read.
type messageData struct {
	Box     string
	V, UID  uint32
	Subject string
	From    []message.DisplayAddress
	To, CC  []message.DisplayAddress
	Date    string
	Size    string
	Labels  []label
	Flagged bool
	Text    string
	Back    string // address of the list
	Newer   string // address of the message above this one in the list, "" for none
	Older   string
	Rights  account.Rights
}

// maxShownText bounds the text of a message on a page, in octets.
const maxShownText = 1 << 20

func messagePage(w http.ResponseWriter, r *http.Request, n *session) error {
	sel, err := n.selectMailbox(r)
	if err != nil {
		return err
	}
	defer sel.Close()
	i, err := sel.message(r)
	if err != nil {
		return err
	}
	d, err := n.message(r, sel, i)
	if err != nil {
		return err
	}
	if err := n.markSeen(r, sel, i); err != nil {
		return err
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

// message makes what is shown of message i.
func (n *session) message(r *http.Request, sel *selection, i int) (*messageData, error) {
	rd := sel.Read(r.Context())
	defer rd.Close()
	rd.Seek(sel.Snap, i)
	m, err := rd.Structure()
	if err != nil {
		return nil, err
	}
	file, err := rd.File()
	if err != nil {
		return nil, err
	}
	loc := n.locale(r)
	d := &messageData{
		Box: sel.Name(), V: sel.Snap.UIDValidity(), UID: sel.Snap.UID(i), Back: sel.link("/"), Rights: sel.Rights(),
		Flagged: sel.Snap.Flags(i)&account.Flagged != 0,
	}
	for _, k := range sel.Snap.Keywords(i) {
		if !hiddenKeyword(k) {
			d.Labels = append(d.Labels, labelOf(k))
		}
	}
	if i > 0 {
		d.Older = sel.link("/message", "uid", uidText(sel.Snap.UID(i-1)))
	}
	if i+1 < sel.Snap.Len() {
		d.Newer = sel.link("/message", "uid", uidText(sel.Snap.UID(i+1)))
	}
	date, err := rd.Date()
	if err != nil {
		return nil, err
	}
	if sent, ok := sentDate(rd); ok {
		date = sent
	}
	d.Date = loc.Long(date)
	size, err := rd.Size()
	if err != nil {
		return nil, err
	}
	d.Size = loc.Size(size)
	err = message.EachField(file, m, m.Root.Head, func(name, value string) bool {
		switch strings.ToLower(name) {
		case "subject":
			d.Subject = strings.TrimSpace(message.Printable(message.DecodeText(value)))
		case "from":
			d.From = append(d.From, message.ParseAddresses(value)...)
		case "to":
			d.To = append(d.To, message.ParseAddresses(value)...)
		case "cc":
			d.CC = append(d.CC, message.ParseAddresses(value)...)
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	if d.Subject == "" {
		d.Subject = loc.T("list.nosubject")
	}
	d.Text, err = firstText(file, m)
	return d, err
}

// firstText gives the first text/plain part.
func firstText(src io.ReaderAt, m *message.Message) (string, error) {
	path, part := findText(m.Root, nil)
	if part == nil {
		return "", nil
	}
	if len(path) == 0 {
		path = []int{1} // RFC 9051 section 6.4.5.1: of what has no parts it is the first
	}
	dec, err := message.OpenDecoded(src, m, path)
	if errors.Is(err, message.ErrUnknownCTE) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(message.NewTextReader(dec, part.Charset()), maxShownText))
	return string(text), err
}

func findText(p *message.Part, path []int) ([]int, *message.Part) {
	typ, sub := p.MediaType()
	switch {
	case p.Kind == message.Leaf && typ == "text" && sub == "plain":
		return path, p
	case p.Kind == message.Multipart:
		for i, c := range p.Children {
			if at, found := findText(c, append(path[:len(path):len(path)], i+1)); found != nil {
				return at, found
			}
		}
	}
	return nil, nil
}

// sentDate is the Date field of the message at hand.
func sentDate(rd *account.Reading) (time.Time, bool) {
	rec, err := rd.Record()
	if err != nil {
		return time.Time{}, false
	}
	return rec.SentDate()
}
