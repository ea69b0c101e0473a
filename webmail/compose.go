package webmail

import (
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"postroom/internal/account"
	"postroom/internal/compose"
	"postroom/internal/message"
)

// composeData is the page on which a message is written.
type composeData struct {
	*compose.Draft
	Identities []identity
	From       string
	CanSend    bool
	// Base names the stored draft that the page shows, Source the message that attachments are taken from before there
	// is a draft: the box, v and uid of each; a UID of 0 is none.
	Base, Source place
	Files        []attachedFile
	InReplyTo    string
	References   string
	Kind         compose.Kind // of the answer, with the message of Original
	Saved        string       // when the draft was saved
}

// place names a message.
type place struct {
	Box    string
	V, UID uint32
}

// attachedFile is an attachment on the page.
type attachedFile struct {
	Part string `json:"part"`
	Name string `json:"name"`
	Size string `json:"size"`
}

// Key is what the form says of an attachment that is kept: its part, and its name, for the case that the draft has been changed meanwhile.
func (f attachedFile) Key() string { return f.Part + ":" + f.Name }

// source is a message that is open.
type source struct {
	sel  *selection
	m    *message.Message
	file *account.Message
}

func (s *source) close() {
	s.file.Close()
	s.sel.Close()
}

// openAt opens a message; errChanged and errNoMessage as for a request.
func (n *session) openAt(r *http.Request, at place) (*source, error) {
	sel, err := n.selectNamed(r, at.Box)
	if err != nil {
		return nil, err
	}
	s := &source{sel: sel}
	i, ok := sel.Snap.Find(at.UID)
	switch {
	case sel.Snap.UIDValidity() != at.V:
		err = errChanged
	case !ok:
		err = errNoMessage
	default:
		s.file, err = sel.Message(r.Context(), sel.Snap, i)
	}
	if err != nil {
		sel.Close()
		return nil, err
	}
	if s.m, err = message.Parse(io.NewSectionReader(s.file, 0, s.file.Size())); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// placeOf reads box, v and uid of a form, with a prefix.
func placeOf(get func(string) string, prefix string) place {
	v, err1 := strconv.ParseUint(get(prefix+"v"), 10, 32)
	uid, err2 := strconv.ParseUint(get(prefix+"uid"), 10, 32)
	if err1 != nil || err2 != nil {
		return place{}
	}
	return place{get(prefix + "box"), uint32(v), uint32(uid)}
}

// composePage shows an empty message, one that answers another (do=reply and so on, of compose.Kind), or a draft (do=edit).
func composePage(w http.ResponseWriter, r *http.Request, n *session) error {
	d := composeData{Draft: &compose.Draft{To: strings.TrimSpace(message.Printable(r.FormValue("to")))}, Identities: n.identities(), CanSend: n.srv.opt.Outbox != nil}
	what := r.FormValue("do")
	at := placeOf(r.FormValue, "")
	switch {
	case what == "":
		id, err := n.identity("")
		if err != nil {
			return err
		}
		d.Draft.From, d.Text = id.address(), signed("", id)
	case at.UID == 0:
		return errNoMessage
	case what == "edit" || compose.Kind(what).Known():
		if err := n.fillFrom(r, &d, at, what); err != nil {
			return err
		}
	default:
		return fail(http.StatusNotFound, "error.page")
	}
	d.From = d.Draft.From.Addr
	d.InReplyTo, d.References = compose.FormatIDs(d.Draft.InReplyTo), compose.FormatIDs(d.Draft.References)
	title := "compose.title"
	return n.page(w, r, view{Name: "compose", Title: title, Data: &d, Pane: "message"})
}

// Answer is the address of a page on which the message is answered, or edited.
func (d *messageData) Answer(how string) string {
	return boxLink("/compose", d.Box, d.V, "uid", uidText(d.UID), "do", how)
}

// fillFrom fills the page from a draft, or begins an answer.
func (n *session) fillFrom(r *http.Request, d *composeData, at place, what string) error {
	src, err := n.openAt(r, at)
	if err != nil {
		return err
	}
	defer src.close()
	loc := n.locale(r)
	if what == "edit" {
		if d.Draft, err = compose.Read(src.file, src.m); err != nil {
			return err
		}
		drafts, err := n.draftsBox(r, false)
		if err != nil {
			return err
		}
		if at.Box == drafts {
			d.Base = at
			d.Saved = loc.Short(src.file.Date())
		} else {
			d.Source, d.MessageID = at, ""
		}
	} else {
		kind := compose.Kind(what)
		d.Draft, err = compose.Answer(src.file, src.m, compose.Asking{
			Kind: kind, Own: n.own(),
			Attribution: func(from compose.Address, sent time.Time) string {
				if sent.IsZero() {
					return loc.T("compose.wrote", from.String())
				}
				return loc.T("compose.wroteon", loc.Long(sent), from.String())
			},
			ForwardHead: func(h compose.ForwardHead) string { return forwardHead(loc, h) },
		})
		if errors.Is(err, compose.ErrNoList) {
			return fail(http.StatusUnprocessableEntity, "compose.nolist")
		}
		if err != nil {
			return err
		}
		d.Draft.Original = compose.Original{Kind: kind, Box: at.Box, UIDValidity: at.V, UID: at.UID}
		if kind.IsForward() {
			d.Source = at
		}
		if id, err := n.identity(d.Draft.From.Addr); err == nil {
			d.Text = signed(d.Text, id)
		}
	}
	d.Kind = d.Draft.Original.Kind
	d.Files = filesOf(loc, d.Attachments)
	return nil
}

func filesOf(loc locale, list []compose.Attachment) []attachedFile {
	out := []attachedFile{}
	for _, a := range list {
		out = append(out, attachedFile{Part: a.Part, Name: a.Name, Size: loc.Size(a.Size)})
	}
	return out
}

// signed puts the signature of an identity below a text.
func signed(text string, id identity) string {
	if id.Signature == "" {
		return text
	}
	if text == "" {
		text = "\n\n"
	}
	return strings.TrimRight(text, "\n") + "\n\n-- \n" + id.Signature + "\n"
}

func forwardHead(loc locale, h compose.ForwardHead) string {
	var b strings.Builder
	b.WriteString(loc.T("compose.forwarded") + "\n")
	line := func(key, value string) {
		if value != "" {
			b.WriteString(loc.T(key) + ": " + value + "\n")
		}
	}
	line("read.from", h.From)
	if !h.Sent.IsZero() {
		line("read.date", loc.Long(h.Sent))
	}
	line("read.to", h.To)
	line("read.cc", h.Cc)
	line("compose.subject", h.Subject)
	return strings.TrimRight(b.String(), "\n")
}

// newIdentity is what a message that is written now has of its own.
func (n *session) newIdentity(loc locale) compose.Identity {
	return compose.Identity{Now: n.srv.clock().In(loc.zone), Rand: rand.Reader}
}
