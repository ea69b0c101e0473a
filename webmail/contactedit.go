package webmail

import (
	"errors"
	"net/http"
	"slices"

	"postroom/internal/addressbook"
	"postroom/internal/message"
)

// contactForm is the form of a contact, as it is or as it was typed.
type contactForm struct {
	addressbook.Contact
	Emails    []contactField
	Phones    []contactField
	Links     []contactField
	Addresses []contactField
	Problem   string // key of the text that says why it was not saved
	Field     string // which it is about
	Back      string
}

// contactField is a row of the form.
type contactField struct {
	Name   string // of the inputs
	Value  string
	Was    string
	Postal addressbook.Postal
	Labels []labelChoice
}

type labelChoice struct {
	Value, Text string
	On          bool
}

// spareRows are empty rows in the form.
const spareRows = 2

// form makes a form of a contact.
func (n *session) contactForm(r *http.Request, c addressbook.Contact) contactForm {
	loc := n.locale(r)
	choices := func(label string) (out []labelChoice) {
		all := append([]string{""}, addressbook.Labels...)
		if !slices.Contains(all, label) {
			all = append(all, label)
		}
		for _, l := range all {
			text := loc.contactLabel(l)
			if l == "" {
				text = loc.T(labelKeys[""])
			}
			out = append(out, labelChoice{l, text, l == label})
		}
		return out
	}
	rows := func(name string, list []addressbook.Labelled) (out []contactField) {
		for _, row := range append(slices.Clone(list), make([]addressbook.Labelled, spareRows)...) {
			out = append(out, contactField{Name: name, Value: row.Value, Was: row.Was, Labels: choices(row.Label)})
		}
		return out
	}
	f := contactForm{Contact: c, Emails: rows("email", c.Emails), Phones: rows("phone", c.Phones), Links: rows("link", c.Links), Back: "/contacts"}
	for _, p := range append(slices.Clone(c.Addresses), addressbook.Postal{}) {
		f.Addresses = append(f.Addresses, contactField{Name: "address", Postal: p, Was: p.Was, Labels: choices(p.Label)})
	}
	if c.ID != "" {
		f.Back = contactLink("/contacts/show", ownContacts, c.ID)
	}
	return f
}

// editContactPage is the form of a contact that is there, or of a new one, for which the request may know name and address.
func editContactPage(w http.ResponseWriter, r *http.Request, n *session) error {
	var c addressbook.Contact
	if id := r.FormValue("id"); id != "" {
		var err error
		if c, err = n.ownBook().Get(r.Context(), id); err != nil {
			return err
		}
	} else {
		c.Name = message.Printable(r.FormValue("name"))
		if addr := message.Printable(r.FormValue("email")); addr != "" {
			c.Emails = []addressbook.Labelled{{Value: addr}}
		}
	}
	return n.page(w, r, view{Name: "contact-edit", Title: contactTitle(c), Data: n.contactForm(r, c), Pane: "list"})
}

func contactTitle(c addressbook.Contact) string {
	if c.ID == "" {
		return "contacts.new"
	}
	return "contacts.edit"
}

// typedContact reads the form.
func typedContact(r *http.Request) addressbook.Contact {
	text := r.PostFormValue
	c := addressbook.Contact{
		ID: text("id"), Version: text("version"), Name: text("name"), Given: text("given"), Family: text("family"), Nickname: text("nickname"),
		Organization: text("organization"), Department: text("department"), Title: text("title"), Birthday: text("birthday"), Note: text("note"),
	}
	nth := func(key string, i int) string {
		if list := r.PostForm[key]; i < len(list) {
			return list[i]
		}
		return ""
	}
	rows := func(name string) (out []addressbook.Labelled) {
		for i := range r.PostForm[name] {
			out = append(out, addressbook.Labelled{Value: nth(name, i), Label: nth(name+"label", i), Was: nth(name+"was", i)})
		}
		return out
	}
	c.Emails, c.Phones, c.Links = rows("email"), rows("phone"), rows("link")
	for i := range r.PostForm["street"] {
		c.Addresses = append(c.Addresses, addressbook.Postal{
			Street: nth("street", i), City: nth("city", i), Region: nth("region", i), Code: nth("code", i), Country: nth("country", i),
			Label: nth("addresslabel", i), Was: nth("addresswas", i),
		})
	}
	return c
}

// saveContact saves the form. Where it cannot, the form comes again as it was typed.
func saveContact(w http.ResponseWriter, r *http.Request, n *session) error {
	c := typedContact(r)
	id, err := n.ownBook().Save(r.Context(), c)
	var bad *addressbook.FieldError
	switch {
	case err == nil:
		n.say(n.locale(r).T("contacts.saved"))
		return seeOther(w, r, contactLink("/contacts/show", ownContacts, id))
	case errors.As(err, &bad):
		return n.contactAgain(w, r, c, http.StatusUnprocessableEntity, "contacts.badfield", bad.Field)
	case errors.Is(err, addressbook.ErrChanged) && c.ID != "":
		// Saving again, from what it is now, overwrites it: that is said.
		now, err := n.ownBook().Get(r.Context(), c.ID)
		if err != nil {
			return err
		}
		c.Version = now.Version
		return n.contactAgain(w, r, c, http.StatusConflict, "contacts.changed", "")
	}
	return err
}

// fieldKeys are the texts that name fields.
var fieldKeys = map[string]string{
	"name": "contacts.name", "given": "contacts.given", "family": "contacts.family", "nickname": "contacts.nickname",
	"organization": "contacts.organization", "department": "contacts.department", "title": "contacts.jobtitle", "birthday": "contacts.birthday",
	"note": "contacts.note", "email": "contacts.emails", "phone": "contacts.phones", "link": "contacts.links", "address": "contacts.addresses",
}

func (n *session) contactAgain(w http.ResponseWriter, r *http.Request, c addressbook.Contact, status int, problem, field string) error {
	f := n.contactForm(r, c)
	f.Problem, f.Field = problem, fieldKeys[field]
	return n.page(w, r, view{Name: "contact-edit", Title: contactTitle(c), Data: f, Status: status, Pane: "list"})
}

func deleteContact(w http.ResponseWriter, r *http.Request, n *session) error {
	if err := n.ownBook().Delete(r.Context(), r.PostFormValue("id"), r.PostFormValue("version")); err != nil {
		return err
	}
	n.say(n.locale(r).T("contacts.deleted"))
	return seeOther(w, r, "/contacts")
}
