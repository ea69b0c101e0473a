package addressbook

import (
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of what a person may write into a contact.
const (
	maxText = 1000   // characters of a line
	maxNote = 20_000 // characters of a note
	maxRows = 50     // addresses, numbers or links
)

// FieldError says which field of a contact holds what it cannot. errors.Is finds ErrInvalid in it.
type FieldError struct {
	Field  string // "email", "note" and so on
	Value  string
	Reason string
}

func (e *FieldError) Error() string { return fmt.Sprintf("%s %q: %s", e.Field, e.Value, e.Reason) }

func (e *FieldError) Is(target error) bool { return target == ErrInvalid }

// tidy trims what was typed, drops empty rows and control characters, and refuses what is too long or no address.
func (c *Contact) tidy() error {
	for field, s := range map[string]*string{
		"name": &c.Name, "given": &c.Given, "family": &c.Family, "nickname": &c.Nickname, "organization": &c.Organization,
		"department": &c.Department, "title": &c.Title, "birthday": &c.Birthday,
	} {
		if err := tidyText(field, s, maxText, false); err != nil {
			return err
		}
	}
	if err := tidyText("note", &c.Note, maxNote, true); err != nil {
		return err
	}
	for field, rows := range map[string]*[]Labelled{"email": &c.Emails, "phone": &c.Phones, "link": &c.Links} {
		if err := tidyRows(field, rows); err != nil {
			return err
		}
	}
	for _, row := range c.Emails {
		if _, err := mail.ParseAddress("<" + row.Value + ">"); err != nil && row.Value != row.Was {
			return &FieldError{"email", row.Value, "it is not an e-mail address"}
		}
	}
	for i := range c.Addresses {
		p := &c.Addresses[i]
		for _, s := range []*string{&p.Street, &p.City, &p.Region, &p.Code, &p.Country, &p.Label} {
			if err := tidyText("address", s, maxText, s == &p.Street); err != nil {
				return err
			}
		}
	}
	c.Addresses = slices.DeleteFunc(c.Addresses, func(p Postal) bool { return p.Key() == Postal{}.Key() })
	if len(c.Addresses) > maxRows {
		return &FieldError{"address", "", fmt.Sprintf("more than %d", maxRows)}
	}
	if c.Name == "" {
		c.Name = c.called()
	}
	if c.Name == "" {
		return &FieldError{"name", "", "a contact wants a name or an address"}
	}
	return nil
}

func tidyRows(field string, rows *[]Labelled) error {
	for i := range *rows {
		for _, s := range []*string{&(*rows)[i].Value, &(*rows)[i].Label} {
			if err := tidyText(field, s, maxText, false); err != nil {
				return err
			}
		}
	}
	*rows = slices.DeleteFunc(*rows, func(l Labelled) bool { return l.Value == "" })
	if len(*rows) > maxRows {
		return &FieldError{field, "", fmt.Sprintf("more than %d", maxRows)}
	}
	return nil
}

func tidyText(field string, s *string, most int, lines bool) error {
	t := strings.ReplaceAll(strings.ToValidUTF8(*s, "\ufffd"), "\r\n", "\n")
	t = strings.Map(func(r rune) rune {
		switch {
		case lines && (r == '\n' || r == '\t'):
			return r
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, t)
	*s = strings.TrimSpace(t)
	if utf8.RuneCountInString(*s) > most {
		return &FieldError{field, string([]rune(*s)[:20]) + "…", fmt.Sprintf("more than %d characters", most)}
	}
	return nil
}

// apply makes the card say what the contact says, and changes only the lines that say otherwise.
func (c *card) apply(to Contact, now time.Time) {
	if c.text("FN") != to.Name {
		c.setText("FN", to.Name)
	}
	c.setParts("N", to.Family, to.Given)
	if n := c.first("N"); n == nil && c.version != "4.0" {
		c.lines = append(c.lines, line{name: "N", value: escape(to.Name) + ";;;;"}) // RFC 2426 section 3.1.2 wants one
	}
	c.setParts("ORG", to.Organization, to.Department)
	for name, text := range map[string]string{"NICKNAME": to.Nickname, "TITLE": to.Title, "BDAY": to.Birthday, "NOTE": to.Note} {
		if strings.TrimSpace(c.text(name)) != text {
			c.setText(name, text)
		}
	}
	c.applyRows("EMAIL", to.Emails)
	c.applyRows("TEL", to.Phones)
	c.applyRows("URL", to.Links)
	c.applyPostal(to.Addresses)
	c.dropLabels()
	c.setText("REV", now.UTC().Format("20060102T150405Z"))
}

// setParts changes the first two parts of a structured property. It is removed when nothing is left in it.
func (c *card) setParts(name, first, second string) {
	l := c.first(name)
	if l == nil {
		if first == "" && second == "" {
			return
		}
		c.lines = append(c.lines, line{name: name})
		l = &c.lines[len(c.lines)-1]
		if name == "N" {
			l.value = ";;;;"
		}
	}
	l.setPart(0, first)
	l.setPart(1, second)
	if strings.Trim(l.value, "; ") == "" {
		c.setText(name, "")
	}
}

// applyRows changes the lines of a property.
func (c *card) applyRows(name string, rows []Labelled) {
	was := make([]string, len(rows))
	for i, r := range rows {
		was[i] = r.Was
	}
	c.match(name, was, value, func(l *line, i int) {
		if value(l) != rows[i].Value {
			l.value, l.raw = escape(rows[i].Value), ""
			l.params = slices.DeleteFunc(l.params, func(p param) bool { return p.name == "VALUE" }) // it is a tel: URI no more
		}
		c.relabel(l, rows[i].Label)
	})
}

// applyPostal changes the postal addresses.
func (c *card) applyPostal(rows []Postal) {
	was := make([]string, len(rows))
	for i, r := range rows {
		was[i] = r.Was
	}
	c.match("ADR", was, func(l *line) string { return c.postal(l).Key() }, func(l *line, i int) {
		p := rows[i]
		if l.value == "" {
			l.value = ";;;;;;"
		}
		for at, text := range map[int]string{adrStreet: p.Street, adrCity: p.City, adrRegion: p.Region, adrCode: p.Code, adrCountry: p.Country} {
			l.setPart(at, text)
		}
		c.relabel(l, p.Label)
	})
}

// match finds for each row the line that it was read from, makes those that are new, and removes the lines that no
// row was read from. set makes a line say what the row says.
func (c *card) match(name string, was []string, key func(*line) string, set func(l *line, row int)) {
	const none = -1
	rowOf := make(map[int]int) // by the place of the line
	taken := make([]bool, len(was))
	for i := range c.lines {
		if c.lines[i].name != name {
			continue
		}
		rowOf[i] = none
		k := key(&c.lines[i])
		for row, w := range was {
			if !taken[row] && w != "" && strings.ReplaceAll(w, "\r\n", "\n") == k { // forms send CRLFs
				rowOf[i], taken[row] = row, true
				break
			}
		}
	}
	var lines []line
	for i := range c.lines {
		if row, ok := rowOf[i]; ok && row == none && key(&c.lines[i]) != "" {
			continue
		}
		lines = append(lines, c.lines[i])
		if row, ok := rowOf[i]; ok && row != none {
			set(&lines[len(lines)-1], row)
		}
	}
	for row := range was {
		if !taken[row] {
			lines = append(lines, line{name: name})
			set(&lines[len(lines)-1], row)
		}
	}
	c.lines = lines
}

// relabel gives a line another label, unless it has that already.
func (c *card) relabel(l *line, label string) {
	if c.labelOf(l) == label {
		return
	}
	if c.label(l.group) != "" {
		l.group, l.raw = "", "" // its label goes with the group
	}
	types := slices.DeleteFunc(l.types(), func(t string) bool { return slices.Contains(Labels, t) })
	if label != "" {
		types = append(types, label)
	}
	l.setTypes(types)
}

// dropLabels removes what Apple's programs call groups that have no other lines.
func (c *card) dropLabels() {
	used := make(map[string]bool)
	for i := range c.lines {
		if l := &c.lines[i]; !isLabel(l) {
			used[strings.ToLower(l.group)] = true
		}
	}
	c.lines = slices.DeleteFunc(c.lines, func(l line) bool { return isLabel(&l) && l.group != "" && !used[strings.ToLower(l.group)] })
}

func isLabel(l *line) bool { return l.name == "X-ABLABEL" || l.name == "X-ABADR" }
