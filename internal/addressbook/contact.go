package addressbook

import (
	"errors"
	"slices"
	"strings"
)

// Contact is what people see of a vCard. Texts are the card's: of one line, but for notes and streets, or as wrong as
// they were read.
type Contact struct {
	ID      string // within its source; "" for one that is yet to be made
	Version string // differs when the card was changed; "" where it was not read for editing

	Name          string // how it is called; made of what there is if the card does not say
	Given, Family string
	Nickname      string
	Organization  string
	Department    string
	Title         string
	Birthday      string // as the card has it
	Emails        []Labelled
	Phones        []Labelled
	Links         []Labelled
	Addresses     []Postal
	Note          string

	Group  bool // it is a list of others, not somebody
	Others int  // lines beside all that, which are kept
}

// Labelled is an e-mail address, a telephone number or a link.
type Labelled struct {
	Value string
	Label string // one of Labels, or what the card calls it, or ""
	Was   string // for Save: the value of the line that this is to change; "" for a new one
}

// Postal is a postal address.
type Postal struct {
	Street, City, Region, Code, Country string
	Label                               string // as of Labelled
	Was                                 string // as of Labelled: what Key gave
}

// Key tells one address of a card from others.
func (p Postal) Key() string {
	return strings.Join([]string{p.Street, p.City, p.Region, p.Code, p.Country}, "\n")
}

// Labels are those that all programs know, as TYPE has them.
var Labels = []string{"home", "work", "cell", "fax", "other"}

var (
	// ErrNoContact: there is none of that name.
	ErrNoContact = errors.New("no such contact")
	// ErrChanged: it is not as it was when it was read for editing.
	ErrChanged = errors.New("the contact was changed meanwhile")
	// ErrInvalid: a field holds what it cannot.
	ErrInvalid = errors.New("not a usable value")
	// ErrCannotEdit: the card is beyond what is edited here.
	ErrCannotEdit = errors.New("the contact cannot be changed here")
	// ErrNoCards: a file that was to be imported has no vCards.
	ErrNoCards = errors.New("no vCards")
	// ErrTooBig: more than the bounds allow.
	ErrTooBig = errors.New("too many or too large contacts")
)

// shown are the properties that a Contact tells of, and those that say nothing to people.
var shown = map[string]bool{
	"FN": true, "N": true, "NICKNAME": true, "ORG": true, "TITLE": true, "BDAY": true, "EMAIL": true, "TEL": true, "URL": true,
	"ADR": true, "NOTE": true, "UID": true, "REV": true, "PRODID": true, "X-ABLABEL": true, "": true,
}

// contact gives what people see.
func (c *card) contact() Contact {
	out := Contact{
		Name: c.text("FN"), Nickname: c.text("NICKNAME"), Title: c.text("TITLE"), Birthday: c.text("BDAY"), Note: c.text("NOTE"),
		Group: strings.EqualFold(c.text("KIND"), "group") || strings.EqualFold(c.text("X-ADDRESSBOOKSERVER-KIND"), "group"),
	}
	if n := c.first("N"); n != nil {
		out.Family, out.Given = n.part(0), n.part(1)
	}
	if org := c.first("ORG"); org != nil {
		out.Organization, out.Department = org.part(0), org.part(1)
	}
	out.Emails, out.Phones, out.Links = c.labelled("EMAIL"), c.labelled("TEL"), c.labelled("URL")
	for _, l := range c.all("ADR") {
		out.Addresses = append(out.Addresses, c.postal(l))
	}
	for i := range c.lines {
		if !shown[c.lines[i].name] {
			out.Others++
		}
	}
	if strings.TrimSpace(out.Name) == "" {
		out.Name = out.called()
	}
	return out
}

// called makes a name of what there is.
func (c *Contact) called() string {
	for _, s := range []string{strings.TrimSpace(c.Given + " " + c.Family), c.Nickname, c.Organization} {
		if s = strings.TrimSpace(s); s != "" {
			return s
		}
	}
	for _, list := range [][]Labelled{c.Emails, c.Phones} {
		if len(list) > 0 {
			return list[0].Value
		}
	}
	return ""
}

func (c *card) labelled(name string) (out []Labelled) {
	for _, l := range c.all(name) {
		v := value(l)
		if v != "" {
			out = append(out, Labelled{Value: v, Label: c.labelOf(l), Was: v})
		}
	}
	return out
}

// value is that of a line with an address, a number or a link: version 4.0 writes numbers as tel: URIs.
func value(l *line) string {
	v := strings.TrimSpace(unescape(l.value))
	if l.name == "TEL" {
		v = strings.TrimPrefix(v, "tel:")
	}
	if l.name == "EMAIL" {
		v = strings.TrimPrefix(v, "mailto:")
	}
	return v
}

// labelOf tells what a line is called.
func (c *card) labelOf(l *line) string {
	if label := c.label(l.group); label != "" {
		if low := strings.ToLower(label); slices.Contains(Labels, low) {
			return low
		}
		return label
	}
	types := l.types()
	for _, label := range []string{"fax", "cell", "work", "home", "other"} {
		if slices.Contains(types, label) {
			return label
		}
	}
	return ""
}

// The parts of ADR, RFC 6350 section 6.3.1.
const (
	adrExtended = 1
	adrStreet   = 2
	adrCity     = 3
	adrRegion   = 4
	adrCode     = 5
	adrCountry  = 6
)

func (c *card) postal(l *line) Postal {
	p := Postal{
		Street: l.part(adrStreet), City: l.part(adrCity), Region: l.part(adrRegion), Code: l.part(adrCode), Country: l.part(adrCountry),
		Label: c.labelOf(l),
	}
	p.Was = p.Key()
	return p
}
