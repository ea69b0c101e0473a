package webmail

import (
	"errors"
	"net/http"

	"postroom/internal/account"
	"postroom/internal/outbox"
)

// outboxData is the page of what is yet to be sent.
type outboxData struct {
	Entries []outboxEntry
	Notices []outboxNotice
}

// outboxEntry is one message.
type outboxEntry struct {
	Ref, Subject, Link string
	State              string // key of a text
	Next               string // when it is tried again
	Error              string
	Recipients         []outbox.Recipient
	UnderWay, Ours     bool
	Unknown            bool
}

type outboxNotice struct{ ID, Subject, Time string }

func outboxPage(w http.ResponseWriter, r *http.Request, n *session) error {
	var d outboxData
	if n.srv.opt.Outbox != nil {
		entries, notices, err := n.srv.opt.Outbox.List(r.Context(), n.user)
		if err != nil {
			return err
		}
		loc := n.locale(r)
		for i := range entries {
			d.Entries = append(d.Entries, n.outboxEntry(loc, &entries[i]))
		}
		for _, t := range notices {
			d.Notices = append(d.Notices, outboxNotice{t.ID, t.Subject, loc.Long(t.Time)})
		}
	}
	return n.page(w, r, view{Name: "outbox", Title: "outbox.title", Data: d, Pane: "list"})
}

func (n *session) outboxEntry(loc locale, e *outbox.Entry) outboxEntry {
	out := outboxEntry{
		Ref: e.Ref(), Subject: e.Subject, Recipients: e.Recipients, Error: e.Error, Unknown: e.Unknown, Ours: e.ID != "",
		Link: boxLink("/message", outbox.Box, e.UIDValidity, "uid", uidText(e.UID)), UnderWay: e.UnderWay(n.srv.clock()),
	}
	switch {
	case !out.Ours:
		out.State = "outbox.foreign"
	case out.UnderWay:
		out.State = "outbox.underway"
	case e.Held:
		out.State = "outbox.held"
	case e.Owed() == 0 && e.Refused() > 0:
		out.State = "outbox.refused"
	case e.Owed() > 0 && e.GivenUp():
		out.State = "outbox.givenup"
	case e.Attempts > 0:
		out.State, out.Next = "outbox.again", loc.Short(e.Next)
	default:
		out.State = "outbox.queued"
	}
	return out
}

// outboxAct does what a form of the Outbox asks for one message.
func outboxAct(act func(r *http.Request, n *session, v, uid uint32) (to string, err error)) handler {
	return func(w http.ResponseWriter, r *http.Request, n *session) error {
		if n.srv.opt.Outbox == nil {
			return fail(http.StatusNotFound, "outbox.gone")
		}
		v, uid, err := outbox.ParseRef(r.PostFormValue("ref"))
		to := "/outbox"
		if err == nil {
			to, err = act(r, n, v, uid)
		}
		switch {
		case errors.Is(err, outbox.ErrNoEntry):
			return fail(http.StatusNotFound, "outbox.gone")
		case errors.Is(err, outbox.ErrUnderWay):
			return fail(http.StatusConflict, "outbox.busy")
		case err != nil:
			return err
		}
		return seeOther(w, r, to)
	}
}

var outboxSend = outboxAct(func(r *http.Request, n *session, v, uid uint32) (string, error) {
	return "/outbox", n.srv.opt.Outbox.SendNow(r.Context(), n.user, v, uid)
})

var outboxCancel = outboxAct(func(r *http.Request, n *session, v, uid uint32) (string, error) {
	loc := n.locale(r)
	box, dv, draft, err := n.srv.opt.Outbox.TakeBack(r.Context(), n.user, v, uid, n.newIdentity(loc))
	if err != nil || draft == 0 {
		return "/outbox", err
	}
	n.say(loc.T("outbox.takenback"))
	return editLink(place{box, dv, draft}), nil
})

func outboxDismiss(w http.ResponseWriter, r *http.Request, n *session) error {
	if n.srv.opt.Outbox == nil {
		return fail(http.StatusNotFound, "outbox.gone")
	}
	if err := n.srv.opt.Outbox.Dismiss(r.Context(), n.user, r.PostFormValue("id")); err != nil && !errors.Is(err, account.ErrNoFile) {
		return err
	}
	return seeOther(w, r, "/outbox")
}
