package webmail

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"postroom/internal/account"
	"postroom/internal/addressbook"
	"postroom/internal/message"
)

// Bounds of what is completed.
const (
	maxCompletions = 10
	seenMessages   = 300 // the newest ones of each mailbox that addresses are taken from
	seenFor        = 2 * time.Minute
)

// seenAddresses are those of a user's newest mail, the likeliest first.
type seenAddresses struct {
	list []message.DisplayAddress
	at   time.Time
}

var recipientFields = message.NewFieldSet([]string{"To", "Cc"})
var senderField = message.NewFieldSet([]string{"From"})

// completePage gives the addresses, as a list in JSON, that what is typed may become: q begins a word of the name or the
// address. Those of the user's own contacts come first, then the shared ones, then those of mail he has seen.
func completePage(w http.ResponseWriter, r *http.Request, n *session) error {
	q := strings.ToLower(strings.TrimSpace(r.FormValue("q")))
	found := []string{}
	if q != "" && len(q) < 200 {
		known := make(map[string]bool)
		for _, a := range n.contactsFor(r, q) {
			known[strings.ToLower(a.Addr)] = true
			found = append(found, a.String())
		}
		list, err := n.seen(r)
		if err != nil {
			return err
		}
		for _, a := range list {
			if len(found) < maxCompletions && completes(q, a) && !known[strings.ToLower(a.Addr)] {
				found = append(found, a.String())
			}
		}
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(found)
}

// contactsFor completes from the address books; one that cannot be read completes nothing.
func (n *session) contactsFor(r *http.Request, q string) (out []message.DisplayAddress) {
	sources := []addressbook.Source{n.ownBook()}
	if n.srv.opt.Contacts != nil {
		sources = append(sources, n.srv.opt.Contacts)
	}
	list, err := addressbook.Complete(r.Context(), q, maxCompletions, sources...)
	if err != nil {
		n.srv.log.Warn("web: an address book cannot be read", "user", n.user.Name(), "error", err)
	}
	for _, s := range list {
		out = append(out, message.DisplayAddress{Name: message.Printable(s.Name), Addr: message.Printable(s.Address)})
	}
	return out
}

func completes(q string, a message.DisplayAddress) bool {
	if strings.HasPrefix(strings.ToLower(a.Addr), q) {
		return true
	}
	name := strings.ToLower(a.Name)
	for at := 0; ; {
		if strings.HasPrefix(name[at:], q) {
			return true
		}
		next := strings.IndexAny(name[at:], " -")
		if next < 0 {
			return false
		}
		at += next + 1
	}
}

// seen collects whom the user has written to and who has written to him, at most every two minutes.
func (n *session) seen(r *http.Request) ([]message.DisplayAddress, error) {
	n.mu.Lock()
	have := n.addresses
	n.mu.Unlock()
	now := n.srv.clock()
	if have != nil && now.Sub(have.at) < seenFor {
		return have.list, nil
	}
	list, err := n.user.Mailboxes(r.Context())
	if err != nil {
		return nil, err
	}
	got := &seenAddresses{at: now}
	known := make(map[string]bool)
	for _, e := range list {
		if e.SpecialUse == `\Sent` {
			if err := n.collect(r, e.Name, recipientFields, got, known); err != nil {
				return nil, err
			}
		}
	}
	if err := n.collect(r, inbox, senderField, got, known); err != nil {
		return nil, err
	}
	n.mu.Lock()
	n.addresses = got
	n.mu.Unlock()
	return got.list, nil
}

// collect adds the addresses that the newest messages of a mailbox have in some fields.
func (n *session) collect(r *http.Request, box string, fields *message.FieldSet, into *seenAddresses, known map[string]bool) error {
	m, err := n.user.Select(r.Context(), box, true)
	if errors.Is(err, account.ErrNoFolder) || errors.Is(err, account.ErrNoRight) {
		return nil
	}
	if err != nil {
		return err
	}
	defer m.Close()
	snap, err := m.Sync(r.Context())
	if err != nil {
		return err
	}
	rd := m.Read(r.Context())
	defer rd.Close()
	for i := snap.Len() - 1; i >= max(0, snap.Len()-seenMessages); i-- {
		rd.Seek(snap, i)
		rec, err := rd.Record()
		if errors.Is(err, account.ErrExpunged) {
			continue
		}
		if err != nil {
			return err
		}
		raw, ok := rec.AppendFields(nil, fields)
		if !ok {
			continue
		}
		for line := range strings.SplitSeq(unfold(string(raw)), "\r\n") {
			_, value, _ := strings.Cut(line, ":")
			for _, a := range message.ParseAddresses(value) {
				key := strings.ToLower(a.Addr)
				if strings.Contains(key, "@") && !known[key] {
					known[key] = true
					into.list = append(into.list, a)
				}
			}
		}
	}
	return nil
}

func unfold(s string) string {
	return strings.NewReplacer("\r\n ", " ", "\r\n\t", " ").Replace(s)
}
