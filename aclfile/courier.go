package aclfile

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A courierimapacl file has lines "<identifier> <letters>". Its identifiers are
// "anyone", "anonymous", "owner", "user=x", "group=x" and "administrators", which
// is group=administrators; "-" before one takes rights away. Its letter c is RFC
// 4314's k. Of lines with one identifier the last counts, with no rights if they
// have white space within; other lines of which Courier can make nothing are passed over.
//
// Whoever asks has the rights of all lines that concern him, without those that
// any line takes from him. The owner always has a. The administrators' line has
// all rights that Courier knows, and nothing is taken from it by name.

const courierRights = All &^ Post // those that Courier knows

var (
	courierAnyone         = Identifier{Kind: Anyone}
	courierAdministrators = Identifier{Group, "administrators"}
)

// Courier is a courierimapacl file.
type Courier struct {
	given, taken map[Identifier]Rights
}

// ParseCourier reads a file. The error is a *SyntaxError, and only size can be wrong.
func ParseCourier(data []byte) (*Courier, error) {
	if len(data) > MaxSize {
		return nil, &SyntaxError{Reason: fmt.Sprintf("larger than %d octets", MaxSize)}
	}
	n := 0
	last := make(map[string]string)
	for text := range strings.Lines(string(data)) {
		if n++; n > MaxLines {
			return nil, &SyntaxError{Reason: fmt.Sprintf("more than %d lines", MaxLines)}
		}
		id, rights, _ := strings.Cut(strings.TrimSuffix(text, "\n"), " ")
		rights = strings.TrimLeft(rights, " ")
		if _, repeated := last[id]; !isCourierWord(rights) && repeated {
			last[id] = ""
		} else if isCourierWord(rights) && isCourierWord(id) && id != "" {
			last[id] = rights
		}
	}
	c := &Courier{given: make(map[Identifier]Rights), taken: make(map[Identifier]Rights)}
	for word, rights := range last {
		name, negative := strings.CutPrefix(word, "-")
		id, ok := courierIdentifier(name)
		if !ok {
			continue
		}
		if negative {
			c.taken[id] |= courierLetters(rights)
		} else {
			c.given[id] |= courierLetters(rights)
		}
	}
	c.given[courierAdministrators] |= courierRights
	delete(c.taken, courierAdministrators)
	return c, nil
}

// isCourierWord says whether Courier keeps a line with this in it.
func isCourierWord(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' })
}

func courierIdentifier(s string) (Identifier, bool) {
	if s == courierAdministrators.Name {
		return courierAdministrators, true
	}
	id, err := ParseIdentifier(s)
	return id, err == nil && id.Kind != Authenticated && id.Kind != GroupOverride
}

// courierLetters reads the letters that mean something; those that Courier
// writes, and p.
func courierLetters(s string) Rights {
	var r Rights
	for i := range len(s) {
		c := s[i]
		switch c {
		case 'k':
			continue
		case 'c':
			c = 'k'
		}
		x, _ := letter(c)
		r |= x
	}
	return r
}

// Effective gives the rights that a subject has with Courier.
func (c *Courier) Effective(s Subject) Rights {
	var given, taken Rights
	for id, r := range c.given {
		if s.in(id) {
			given |= r
		}
	}
	for id, r := range c.taken {
		if s.in(id) {
			taken |= r
		}
	}
	r := given &^ taken
	if s.Owner {
		r |= Administer
	}
	return r
}

// File says the same as a dovecot-acl file. owner is whose tree it is, "" where it
// is nobody's; groupsOf gives the groups that a user is a member of, nil stands for none.
// The error is ErrFull: groups have what anyone has in lines of their own.
//
// Whom no line names has exactly the rights that he had, whatever groups he comes into
// and leaves. One thing cannot be said in a dovecot-acl file: that a user has something
// besides what his groups have, for there his line replaces theirs. So the line of
// the owner, and that of a user who is named, has his groups' rights as they are
// now, or nothing of theirs if groupsOf does not tell; what is taken from the groups of
// such a user is still taken from him as well. Nobody gets more than he had.
//
// The owner has l as always with Postroom, even if Courier would deny it.
func (c *Courier) File(owner string, groupsOf func(user string) []string) (*File, error) {
	if groupsOf == nil {
		groupsOf = func(string) []string { return nil }
	}
	var out []Entry
	if owner != "" {
		r := c.Effective(Subject{User: owner, Groups: groupsOf(owner), Owner: true})
		out = append(out, Entry{Identifier: Identifier{Kind: Owner}, Rights: r})
	}
	for _, id := range c.identifiers() {
		switch {
		case id.Kind == Anyone || id.Kind == Group:
			out = append(out, c.shared(id)...)
		case id.Kind == User && id.Name != owner:
			out = append(out, c.user(id, groupsOf)...)
		}
	}
	slices.SortFunc(out, func(a, b Entry) int { return a.compare(&b) })
	f := New()
	lines := make([]line, len(out))
	for i := range out {
		lines[i] = line{text: out[i].text(), end: "\n", entry: &out[i]}
	}
	if err := f.replace(lines); err != nil {
		return nil, err
	}
	return f, nil
}

// identifiers gives all that the file speaks of.
func (c *Courier) identifiers() []Identifier {
	out := slices.AppendSeq(slices.Collect(maps.Keys(c.given)), maps.Keys(c.taken))
	slices.SortFunc(out, Identifier.Compare)
	return slices.Compact(out)
}

// shared gives the entries of a group, or of anyone. A group's replace those of anyone, so
// they have all that is said of anyone, and are left out where they would say no more.
func (c *Courier) shared(id Identifier) []Entry {
	var given, taken Rights
	if id.Kind != Anyone {
		given, taken = c.given[courierAnyone], c.taken[courierAnyone]
	}
	return append(beyond(given, id, false, c.given[id]), beyond(taken, id, true, c.taken[id])...)
}

// beyond gives an entry for rights and those that are there already, unless it would add nothing.
func beyond(already Rights, id Identifier, negative bool, rights Rights) []Entry {
	if already.Has(rights) {
		return nil
	}
	return []Entry{{Identifier: id, Negative: negative, Rights: already | rights}}
}

// user gives the entries of a user. One that takes rights away would replace those
// of his groups that do. So what is taken from him is rather left out of what he is
// given, unless he is given nothing of his own and loses all that any group loses.
func (c *Courier) user(id Identifier, groupsOf func(string) []string) []Entry {
	given, taken := c.given[courierAnyone], c.taken[courierAnyone]
	fromGroups := Rights(0)
	for group, r := range c.taken {
		if group.Kind == Group {
			fromGroups |= r
		}
	}
	replacesNothing := taken.Has(c.taken[id]) || (taken | c.taken[id]).Has(fromGroups)
	if given.Has(c.given[id]) && replacesNothing {
		return beyond(taken, id, true, c.taken[id])
	}
	for _, name := range groupsOf(id.Name) {
		given |= c.given[Identifier{Group, name}]
	}
	return []Entry{{Identifier: id, Rights: (given | c.given[id]) &^ c.taken[id]}}
}
