package webmail

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"

	"postroom/internal/account"
	"postroom/internal/compose"
	"postroom/internal/message"
	"postroom/internal/outbox"
)

// maxDraftFields bounds all that a form of a draft has but its files, in octets.
const maxDraftFields = 2 << 20

// draftForm is the form of the page on which a message is written. Its files come last, and are read while they are stored.
type draftForm struct {
	url.Values
	parts *multipart.Reader
	file  *multipart.Part // the first one that is there; nil if there is none
}

func readDraftForm(w http.ResponseWriter, r *http.Request, n *session) (*draftForm, error) {
	// The files may be as large as a message; what of them is too much in base64 the store will tell.
	r.Body = http.MaxBytesReader(w, r.Body, n.srv.lim.Message+maxDraftFields)
	parts, err := r.MultipartReader()
	if errors.Is(err, http.ErrNotMultipart) { // a form without files
		if err := readForm(w, r, maxDraftFields); err != nil {
			return nil, err
		}
		return &draftForm{Values: r.PostForm}, nil
	}
	if err != nil {
		return nil, fail(http.StatusBadRequest, "error.form")
	}
	f := &draftForm{Values: make(url.Values), parts: parts}
	left := int64(maxDraftFields)
	for {
		p, err := parts.NextPart()
		if err == io.EOF {
			return f, nil
		}
		if err != nil {
			return nil, formError(err)
		}
		if p.FormName() == "file" {
			f.file, err = f.realFile(p)
			return f, err
		}
		b, err := io.ReadAll(io.LimitReader(p, left+1))
		if err != nil {
			return nil, formError(err)
		}
		if left -= int64(len(b)); left < 0 {
			return nil, fail(http.StatusRequestEntityTooLarge, "error.large")
		}
		f.Add(p.FormName(), string(b))
	}
}

func formError(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return err
	}
	return fail(http.StatusBadRequest, "error.form")
}

// realFile passes over the files of an input in which none was chosen, and whatever else comes.
func (f *draftForm) realFile(p *multipart.Part) (*multipart.Part, error) {
	for {
		if p.FormName() == "file" && p.FileName() != "" {
			return p, nil
		}
		var err error
		if p, err = f.parts.NextPart(); err == io.EOF {
			return nil, nil
		} else if err != nil {
			return nil, formError(err)
		}
	}
}

// next gives the files as attachments.
func (f *draftForm) next() (*compose.Attachment, error) {
	if f.file == nil {
		return nil, nil
	}
	p := f.file
	return &compose.Attachment{Name: p.FileName(), Type: p.Header.Get("Content-Type"), Size: -1, Open: func() (io.ReadCloser, error) {
		return &filePart{f, p}, nil
	}}, nil
}

// filePart goes on to the next file when it is closed.
type filePart struct {
	form *draftForm
	p    *multipart.Part
}

func (f *filePart) Read(p []byte) (int, error) { return f.p.Read(p) }

func (f *filePart) Close() error {
	p, err := f.form.parts.NextPart()
	if err == nil {
		p, err = f.form.realFile(p)
	}
	if err == io.EOF {
		p, err = nil, nil
	}
	f.form.file = p
	return err
}

// draft makes a Draft of the form's fields.
func (f *draftForm) draft(n *session) (*compose.Draft, error) {
	id, err := n.identity(f.Get("from"))
	if err != nil {
		return nil, err
	}
	d := &compose.Draft{
		From: id.address(), To: f.Get("to"), Cc: f.Get("cc"), Bcc: f.Get("bcc"), Subject: f.Get("subject"),
		Text:      strings.ReplaceAll(f.Get("text"), "\r\n", "\n"),
		InReplyTo: compose.MessageIDs(f.Get("in_reply_to")), References: compose.MessageIDs(f.Get("references")),
	}
	if ids := compose.MessageIDs("<" + f.Get("message_id") + ">"); len(ids) == 1 {
		d.MessageID = ids[0]
	}
	if at := placeOf(f.Get, "o"); at.UID != 0 && compose.Kind(f.Get("kind")).Known() {
		d.Original = compose.Original{Kind: compose.Kind(f.Get("kind")), Box: at.Box, UIDValidity: at.V, UID: at.UID}
	}
	return d, nil
}

// draftsBox finds the user's mailbox for drafts; "" if there is none and none is to be made.
func (n *session) draftsBox(r *http.Request, create bool) (string, error) {
	list, err := n.user.Mailboxes(r.Context())
	if err != nil {
		return "", err
	}
	for _, e := range list {
		if e.SpecialUse == `\Drafts` {
			return e.Name, nil
		}
	}
	if !create {
		return "", nil
	}
	err = n.user.Create(r.Context(), "Drafts", `\Drafts`)
	if errors.Is(err, account.ErrExists) {
		err = nil
	}
	return "Drafts", err
}

// savedDraft is where a draft has been stored.
type savedDraft struct {
	at       place
	conflict bool // somebody has changed or deleted the one it was made of
}

// saveDraft stores what the form says as a new message in Drafts, and then expunges the one that it was made of. If that
// is not there any more, another browser or program has saved it too: both stay, as two drafts.
func (n *session) saveDraft(r *http.Request, f *draftForm) (savedDraft, error) {
	d, err := f.draft(n)
	if err != nil {
		return savedDraft{}, err
	}
	box, err := n.draftsBox(r, true)
	if err != nil {
		return savedDraft{}, err
	}
	base, from := placeOf(f.Get, "b"), placeOf(f.Get, "s")
	saved := savedDraft{at: place{Box: box}}
	if base.UID != 0 {
		base.Box, from = box, place{}
		src, err := n.openAt(r, base)
		switch {
		case err == nil:
			src.close()
			from = base
		case errors.Is(err, errNoMessage) || errors.Is(err, errChanged):
			saved.conflict = true
			if from, err = n.findDraft(r, box, d.MessageID); err != nil {
				return savedDraft{}, err
			}
			d.MessageID = "" // it is a message of its own now
		default:
			return savedDraft{}, err
		}
	}
	keep := f.Values["part"]
	if len(keep) > 0 && from.UID != 0 {
		src, err := n.openAt(r, from)
		if err != nil {
			return savedDraft{}, err
		}
		defer src.close() // attachments are read from it
		if d.Attachments, err = kept(src, keep, saved.conflict); err != nil {
			return savedDraft{}, err
		}
	}
	if f.file != nil {
		d.Next = f.next
	}
	loc := n.locale(r)
	a, err := n.user.Append(r.Context(), box, account.AppendOptions{Flags: account.Seen | account.Draft, Date: n.srv.clock()})
	if err != nil {
		return savedDraft{}, err
	}
	if err := d.WriteDraft(&limitedWriter{a, n.srv.lim.Message}, n.newIdentity(loc)); err != nil {
		a.Abort()
		return savedDraft{}, err
	}
	v, uids, err := account.Commit(r.Context(), a)
	if err != nil {
		return savedDraft{}, err
	}
	if len(uids) != 1 {
		return savedDraft{}, fmt.Errorf("%q: %w: it may not be read", box, account.ErrNoRight)
	}
	saved.at.V, saved.at.UID = v, uids[0]
	if base.UID != 0 && !saved.conflict {
		if err := n.removeDraft(r, base); err != nil {
			return saved, err
		}
	}
	return saved, nil
}

// kept finds the attachments that the form keeps; by their names where the draft has been changed meanwhile.
func kept(src *source, keys []string, byName bool) ([]compose.Attachment, error) {
	var out []compose.Attachment
	d, err := compose.Read(src.file, src.m)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		part, name, _ := strings.Cut(key, ":")
		if part == compose.WholeMessage && !byName {
			a, _, err := compose.Attached(src.file, src.m, part)
			if err != nil {
				return nil, err
			}
			out = append(out, a)
			continue
		}
		for _, a := range d.Attachments {
			if !byName && a.Part == part || byName && a.Name == name {
				out = append(out, a)
				break
			}
		}
	}
	return out, nil
}

// findDraft looks for the newest draft with a message id, among the newest ones; a place without UID if there is none.
func (n *session) findDraft(r *http.Request, box, id string) (place, error) {
	if id == "" {
		return place{}, nil
	}
	sel, err := n.selectNamed(r, box)
	if err != nil {
		return place{}, err
	}
	defer sel.Close()
	rd := sel.Read(r.Context())
	defer rd.Close()
	const newest = 100
	for i := sel.Snap.Len() - 1; i >= max(0, sel.Snap.Len()-newest); i-- {
		rd.Seek(sel.Snap, i)
		rec, err := rd.Record()
		if errors.Is(err, account.ErrExpunged) {
			continue
		}
		if err != nil {
			return place{}, err
		}
		if field, ok := rec.AppendFields(nil, messageIDField); ok && strings.Contains(string(field), "<"+id+">") {
			return place{box, sel.Snap.UIDValidity(), sel.Snap.UID(i)}, nil
		}
	}
	return place{}, nil
}

var messageIDField = message.NewFieldSet([]string{"Message-Id"})

func (n *session) removeDraft(r *http.Request, at place) error {
	sel, err := n.selectNamed(r, at.Box)
	if err != nil {
		return err
	}
	defer sel.Close()
	if sel.Snap.UIDValidity() != at.V {
		return nil
	}
	return sel.Remove(r.Context(), []uint32{at.UID})
}

// limitedWriter refuses a message that is too large.
type limitedWriter struct {
	w    io.Writer
	left int64
}

func (l *limitedWriter) Write(p []byte) (int, error) {
	if l.left -= int64(len(p)); l.left < 0 {
		return 0, account.ErrTooBig
	}
	return l.w.Write(p)
}

// saveDraftForm answers a form with the page of the draft, and a script with where it is.
func saveDraftForm(w http.ResponseWriter, r *http.Request, n *session) error {
	f, err := readDraftForm(w, r, n)
	if err != nil {
		return err
	}
	saved, err := n.saveDraft(r, f)
	if err != nil {
		return err
	}
	loc := n.locale(r)
	if r.Header.Get("Accept") == "application/json" {
		return n.tellSaved(w, r, saved)
	}
	if saved.conflict {
		n.say(loc.T("compose.conflict"))
	} else {
		n.say(loc.T("compose.saved"))
	}
	return seeOther(w, r, editLink(saved.at))
}

func editLink(at place) string {
	return boxLink("/compose", at.Box, at.V, "do", "edit", "uid", uidText(at.UID))
}

// tellSaved tells compose.js what the form is to say from now on.
func (n *session) tellSaved(w http.ResponseWriter, r *http.Request, saved savedDraft) error {
	src, err := n.openAt(r, saved.at)
	if err != nil {
		return err
	}
	defer src.close()
	d, err := compose.Read(src.file, src.m)
	if err != nil {
		return err
	}
	loc := n.locale(r)
	text := loc.T("compose.savedat", loc.layout("date.time", n.srv.clock()))
	if saved.conflict {
		text = loc.T("compose.conflict")
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(map[string]any{
		"v": saved.at.V, "uid": saved.at.UID, "message_id": d.MessageID, "text": text, "conflict": saved.conflict,
		"edit": editLink(saved.at), "files": filesOf(loc, d.Attachments),
	})
}

// sendDraft stores the draft as it is, gives it to the Outbox, and only then removes it.
func sendDraft(w http.ResponseWriter, r *http.Request, n *session) error {
	f, err := readDraftForm(w, r, n)
	if err != nil {
		return err
	}
	saved, err := n.saveDraft(r, f)
	if err != nil {
		return err
	}
	loc := n.locale(r)
	if err := n.queue(r, loc, saved.at); err != nil {
		if text := refusal(loc, err); text != "" {
			n.complain(text)
			return seeOther(w, r, editLink(saved.at))
		}
		return err
	}
	n.say(loc.T("compose.sent"))
	return seeOther(w, r, "/")
}

func (n *session) queue(r *http.Request, loc locale, at place) error {
	if n.srv.opt.Outbox == nil {
		return errNoSending
	}
	src, err := n.openAt(r, at)
	if err != nil {
		return err
	}
	defer src.close()
	d, err := compose.Read(src.file, src.m)
	if err != nil {
		return err
	}
	if d.From.Addr == "" {
		return errFrom
	}
	if _, err := n.identity(d.From.Addr); err != nil {
		return err
	}
	if err := n.srv.opt.Outbox.Put(r.Context(), n.user, d, n.newIdentity(loc)); err != nil {
		return err
	}
	return n.removeDraft(r, at)
}

var errNoSending = errors.New("webmail: nothing can be sent: there is no [submission]")

// refusal tells what is to be mended in a draft before it can be sent; "" for other errors.
func refusal(loc locale, err error) string {
	var bad *compose.BadAddress
	switch {
	case errors.As(err, &bad):
		return loc.T("compose.badaddress", message.Printable(bad.Typed))
	case errors.Is(err, compose.ErrNoRecipients):
		return loc.T("compose.norecipient")
	case errors.Is(err, compose.ErrTooLarge):
		return loc.T("error.large")
	case errors.Is(err, outbox.ErrFull):
		return loc.T("outbox.full")
	case errors.Is(err, errNoSending):
		return loc.T("compose.nosending")
	case errors.Is(err, errFrom):
		return loc.T("identity.none")
	}
	return ""
}

// complain notes what the next page of the session is to tell, and that it is not good.
func (n *session) complain(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.notice = &notice{Text: text, Bad: true}
}

// discardDraft throws away a draft; into Trash, if there is one.
func discardDraft(w http.ResponseWriter, r *http.Request, n *session) error {
	f, err := readDraftForm(w, r, n)
	if err != nil {
		return err
	}
	if at := placeOf(f.Get, "b"); at.UID != 0 {
		if at.Box, err = n.draftsBox(r, false); err != nil {
			return err
		}
		if err := n.trashDraft(r, at); err != nil {
			return err
		}
	}
	n.say(n.locale(r).T("compose.discarded"))
	return seeOther(w, r, "/")
}

func (n *session) trashDraft(r *http.Request, at place) error {
	list, err := n.user.Mailboxes(r.Context())
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.SpecialUse == `\Trash` {
			sel, err := n.selectNamed(r, at.Box)
			if err != nil {
				return err
			}
			defer sel.Close()
			if sel.Snap.UIDValidity() != at.V {
				return errChanged
			}
			_, err = sel.Move(r.Context(), []uint32{at.UID}, e.Name)
			return err
		}
	}
	return n.removeDraft(r, at)
}
