package webmail

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"postroom/internal/addressbook"
	"postroom/internal/message"
)

// Where contacts come from, as the addresses of pages have it.
const (
	ownContacts    = "own"
	sharedContacts = "shared"
)

// contactsPerPage is how many contacts a list shows at once.
const contactsPerPage = 100

// ownBook is the user's own address book.
func (n *session) ownBook() *addressbook.Book { return n.srv.books.Open(n.user) }

// contactSource gives the source that from= of a request names, the user's own book without it.
func (n *session) contactSource(r *http.Request) (addressbook.Source, string, error) {
	switch from := r.FormValue("from"); {
	case from == "" || from == ownContacts:
		return n.ownBook(), ownContacts, nil
	case from == sharedContacts && n.srv.opt.Contacts != nil:
		return n.srv.opt.Contacts, sharedContacts, nil
	}
	return nil, "", addressbook.ErrNoContact
}

// contactLink is the address of a page about a contact.
func contactLink(path, from, id string) string {
	q := url.Values{"id": {id}}
	if from != ownContacts {
		q.Set("from", from)
	}
	return path + "?" + q.Encode()
}

// contactsData is a list of contacts.
type contactsData struct {
	Own, Shared bool // which is shown, and whether there is another
	Text        string
	Rows        []contactRow
	Newer       string // address of the page before; "" if there is none
	Older       string
}

type contactRow struct {
	addressbook.Contact
	Link  string
	Write string // address of the page that writes to it; "" without an e-mail address
}

func contactsPage(w http.ResponseWriter, r *http.Request, n *session) error {
	src, from, err := n.contactSource(r)
	if err != nil {
		return err
	}
	d := contactsData{Own: from == ownContacts, Shared: n.srv.opt.Contacts != nil, Text: r.FormValue("q")}
	at, err := strconv.Atoi(r.FormValue("at"))
	if err != nil || at < 0 || at > 1<<20 {
		at = 0
	}
	found, more, err := src.Search(r.Context(), addressbook.Query{Text: d.Text, Offset: at, Limit: contactsPerPage})
	if err != nil {
		return err
	}
	for _, c := range found {
		c.Name = message.Printable(c.Name)
		d.Rows = append(d.Rows, contactRow{c, contactLink("/contacts/show", from, c.ID), writeTo(c)})
	}
	link := func(at int) string {
		return "/contacts?" + url.Values{"q": {d.Text}, "from": {from}, "at": {strconv.Itoa(at)}}.Encode()
	}
	if at > 0 {
		d.Newer = link(max(0, at-contactsPerPage))
	}
	if more {
		d.Older = link(at + contactsPerPage)
	}
	return n.page(w, r, view{Name: "contacts", Title: "contacts.title", Data: d, Pane: "list"})
}

// writeTo is the address of a page that writes to a contact.
func writeTo(c addressbook.Contact) string {
	if len(c.Emails) == 0 {
		return ""
	}
	return writeToAddress(c.Name, c.Emails[0].Value)
}

func writeToAddress(name, addr string) string {
	a := message.DisplayAddress{Name: message.Printable(name), Addr: addr}
	if strings.EqualFold(name, addr) {
		a.Name = ""
	}
	return "/compose?" + url.Values{"to": {a.String()}}.Encode()
}

// contactData is one contact, to be seen.
type contactData struct {
	addressbook.Contact
	Own      bool
	Emails   []contactLine
	Phones   []contactLine
	Links    []contactLine
	Places   []contactLine
	Edit     string
	Export   string
	BackList string
}

// contactLine is one address, number or link.
type contactLine struct {
	Label string // as text
	Value string
	Link  string // "" for none
}

func contactPage(w http.ResponseWriter, r *http.Request, n *session) error {
	src, from, err := n.contactSource(r)
	if err != nil {
		return err
	}
	c, err := src.Get(r.Context(), r.FormValue("id"))
	if err != nil {
		return err
	}
	c.Name = message.Printable(c.Name)
	loc := n.locale(r)
	d := contactData{Contact: c, Own: from == ownContacts, Export: contactLink("/contacts/export", from, c.ID), BackList: "/contacts?from=" + from}
	if d.Own {
		d.Edit = contactLink("/contacts/edit", from, c.ID)
	}
	for _, e := range c.Emails {
		d.Emails = append(d.Emails, contactLine{loc.contactLabel(e.Label), e.Value, writeToAddress(c.Name, e.Value)})
	}
	for _, p := range c.Phones {
		d.Phones = append(d.Phones, contactLine{Label: loc.contactLabel(p.Label), Value: p.Value})
	}
	for _, l := range c.Links {
		line := contactLine{Label: loc.contactLabel(l.Label), Value: l.Value}
		if u, err := url.Parse(l.Value); err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" {
			line.Link = l.Value
		}
		d.Links = append(d.Links, line)
	}
	for _, p := range c.Addresses {
		lines := []string{p.Street, strings.TrimSpace(p.Code + " " + p.City), p.Region, p.Country}
		lines = slices.DeleteFunc(lines, func(s string) bool { return strings.TrimSpace(s) == "" })
		d.Places = append(d.Places, contactLine{Label: loc.contactLabel(p.Label), Value: strings.Join(lines, "\n")})
	}
	title := c.Name
	if title == "" {
		title = loc.T("contacts.unnamed")
	}
	return n.page(w, r, view{Name: "contact", Title: title, Literal: true, Data: d, Pane: "list"})
}

// labelKeys are the texts for addressbook.Labels.
var labelKeys = map[string]string{
	"": "contacts.nolabel", "home": "contacts.home", "work": "contacts.work", "cell": "contacts.cell", "fax": "contacts.fax", "other": "contacts.other",
}

// contactLabel is a label as text: those that are not known stand as the card has them.
func (l locale) contactLabel(label string) string {
	switch key, ok := labelKeys[label]; {
	case label == "":
		return ""
	case ok:
		return l.T(key)
	}
	return message.Printable(label)
}

// exportContacts gives one contact as a vCard, or all of the user's own.
func exportContacts(w http.ResponseWriter, r *http.Request, n *session) error {
	head := func(name string) {
		w.Header().Set("Content-Type", "text/vcard; charset=utf-8")
		w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	}
	if id := r.FormValue("id"); id != "" {
		src, _, err := n.contactSource(r)
		if err != nil {
			return err
		}
		data, err := src.VCard(r.Context(), id)
		if err != nil {
			return err
		}
		head("contact.vcf")
		_, _ = w.Write(data) // who does not take it has gone
		return nil
	}
	out := &begun{w: w, begin: func() { head("contacts.vcf") }}
	err := n.ownBook().Export(r.Context(), out)
	switch {
	case err == nil && !out.done: // there are none
		head("contacts.vcf")
	case err != nil && out.done:
		panic(http.ErrAbortHandler) // the browser is to see that it is not whole
	}
	return err
}

// begun is a writer that does something before its first octet.
type begun struct {
	w     io.Writer
	begin func()
	done  bool
}

func (b *begun) Write(p []byte) (int, error) {
	if !b.done {
		b.done = true
		b.begin()
	}
	return b.w.Write(p)
}

func importContactsPage(w http.ResponseWriter, r *http.Request, n *session) error {
	return n.page(w, r, view{Name: "contacts-import", Title: "contacts.import", Pane: "list"})
}

// maxContactUpload bounds an upload of contacts: the file, and what a form has beside it.
const maxContactUpload = addressbook.MaxImport + 64<<10

func importContacts(w http.ResponseWriter, r *http.Request, n *session) error {
	in, err := r.MultipartReader()
	if err != nil {
		return fail(http.StatusBadRequest, "error.form")
	}
	var sum addressbook.Imported
	replace, files := false, 0
	for {
		part, err := in.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return uploadError(err)
		}
		switch {
		case part.FormName() == "replace": // it stands before the files in the form
			replace = true
		case part.FileName() != "":
			one, err := n.ownBook().Import(r.Context(), part, replace)
			if err != nil {
				return uploadError(err)
			}
			files++
			sum.Added += one.Added
			sum.Replaced += one.Replaced
			sum.Kept += one.Kept
			sum.Refused += one.Refused
		}
	}
	if files == 0 {
		return addressbook.ErrNoCards
	}
	loc := n.locale(r)
	text := loc.N("contacts.added", sum.Added)
	for _, more := range []struct {
		key   string
		count int
	}{{"contacts.replaced", sum.Replaced}, {"contacts.kept", sum.Kept}, {"contacts.refused", sum.Refused}} {
		if more.count > 0 {
			text += " " + loc.N(more.key, more.count)
		}
	}
	n.say(text)
	return seeOther(w, r, "/contacts")
}
