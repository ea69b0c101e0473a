package webmail

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"postroom/internal/account"
)

// selection is a mailbox selected for one request. It wants Close.
type selection struct {
	*account.Mailbox
	// Snap is the mailbox as it was when it was selected, what other programs did before included.
	Snap *account.Snapshot
}

// selectMailbox selects the mailbox that box= of the request names, INBOX without it. Where v= names another
// UIDVALIDITY than the mailbox has, UIDs of the request mean nothing: that is answered as errChanged.
func (n *session) selectMailbox(r *http.Request) (*selection, error) {
	name := r.FormValue("box")
	if name == "" {
		name = inbox
	}
	sel, err := n.selectNamed(r, name)
	if err != nil {
		return nil, err
	}
	if v := r.FormValue("v"); v != "" && v != strconv.FormatUint(uint64(sel.Snap.UIDValidity()), 10) {
		sel.Close()
		return nil, errChanged
	}
	return sel, nil
}

// inbox is the name that RFC 9051 section 5.1 gives the mailbox that everybody has.
const inbox = "INBOX"

// selectNamed selects a mailbox by its name.
func (n *session) selectNamed(r *http.Request, name string) (*selection, error) {
	m, err := n.user.Select(r.Context(), name, false)
	if err != nil {
		return nil, err
	}
	n.keep(r.Context(), m)
	snap, err := m.Sync(r.Context())
	if err != nil {
		m.Close()
		if errors.Is(err, account.ErrGone) {
			err = account.ErrNoFolder
		}
		return nil, err
	}
	return &selection{m, snap}, nil
}

// message gives the index in Snap of the message that uid= of the request names.
func (sel *selection) message(r *http.Request) (i int, err error) {
	uid, err := strconv.ParseUint(r.FormValue("uid"), 10, 32)
	if err != nil || uid == 0 {
		return 0, errNoMessage
	}
	i, ok := sel.Snap.Find(uint32(uid))
	if !ok {
		return 0, errNoMessage
	}
	return i, nil
}

// link is the address of a page about the mailbox, with further pairs of names and values.
func (sel *selection) link(path string, pairs ...string) string {
	return boxLink(path, sel.Name(), sel.Snap.UIDValidity(), pairs...)
}

// boxLink is the address of a page about a mailbox; v is its UIDVALIDITY, 0 for none.
func boxLink(path, box string, v uint32, pairs ...string) string {
	q := url.Values{"box": {box}}
	if v != 0 {
		q.Set("v", strconv.FormatUint(uint64(v), 10))
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return path + "?" + q.Encode()
}

func uidText(uid uint32) string { return strconv.FormatUint(uint64(uid), 10) }
