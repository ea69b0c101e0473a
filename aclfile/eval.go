package aclfile

import (
	"fmt"
	"slices"
)

// Subject is who wants to do something.
type Subject struct {
	User      string   // the login name, as it is compared with those in files
	Groups    []string // that he is a member of
	Owner     bool     // whether the tree is his
	Anonymous bool     // he has not said who he is; the rest is empty then
}

// in says whether entries for an identifier concern the subject.
func (s *Subject) in(id Identifier) bool {
	switch id.Kind {
	case Anyone:
		return true
	case Authenticated:
		return !s.Anonymous
	case Group, GroupOverride:
		return !s.Anonymous && slices.Contains(s.Groups, id.Name)
	case Owner:
		return s.Owner && !s.Anonymous
	case User:
		return !s.Anonymous && s.User == id.Name
	}
	return false
}

// Effective gives the rights that a subject has. Somebody whom the file does not
// mention has defaults, unless he is the owner.
func (f *File) Effective(s Subject, defaults Rights) Rights {
	v := f.evaluate(&s, defaults)
	return v.rights()
}

// verdict is what the entries come to for one subject, and which of them it was.
type verdict struct {
	given, taken Rights
	always       Rights // whatever is given or taken

	// By the place of a right in letters. nil: no entry.
	gave [countRights]*rule // the rule that gave it
	took [countRights]*rule // the rule that took it away
	lost [countRights]*rule // the rule that replaced what gave it, and does not
}

func (v *verdict) rights() Rights { return v.given&^v.taken | v.always }

// evaluate applies the rules of the package's comment.
func (f *File) evaluate(s *Subject, defaults Rights) (v verdict) {
	owner := s.Owner && !s.Anonymous
	if owner {
		v.given, v.always = All, OwnerAlways
	}
	if f.broken != nil {
		return v
	}
	var last *rule
	for i := range f.rules {
		r := &f.rules[i]
		if owner && r.id.Kind < Owner || !s.in(r.id) {
			continue
		}
		v.apply(r, last != nil && last.id.Kind == r.id.Kind)
		last = r
	}
	if last == nil && !owner {
		v.given = defaults
	}
	return v
}

// apply lets a rule add to what others of its kind said, or replace what was before.
func (v *verdict) apply(r *rule, add bool) {
	if r.positive != nil {
		before := v.given
		if !add {
			v.given = 0
			clear(v.gave[:])
		}
		more := r.positive.rights &^ v.given
		v.given |= more
		more.each(func(x Rights) { v.gave[x.index()] = r })
		(before &^ v.given).each(func(x Rights) { v.lost[x.index()] = r })
	}
	if r.negative != nil {
		if !add {
			v.taken = 0
		}
		v.taken |= r.negative.rights
		r.negative.rights.each(func(x Rights) { v.took[x.index()] = r })
	}
}

// Cause is why somebody has a right or has it not.
type Cause uint8

const (
	NotGiven  Cause = iota // nothing gives it
	ByLine                 // a line gave it, took it away, or replaced the one that gave it
	ByDefault              // as the owner, or as one whom no line concerns
	AsOwner                // the owner keeps it whatever the file says
	BadFile                // the file cannot be parsed
)

// Reason explains one right of a subject.
type Reason struct {
	Right   Rights // one
	Granted bool
	Cause   Cause
	Line    int    // from 1; 0 where no line is the cause
	Text    string // of the line; for a bad file what is wrong with it
}

func (r Reason) String() string {
	verb := map[bool]string{true: "granted", false: "denied"}[r.Granted]
	switch r.Cause {
	case ByLine:
		return fmt.Sprintf("%s: %s by line %d: %s", r.Right, verb, r.Line, r.Text)
	case ByDefault:
		return fmt.Sprintf("%s: %s by default", r.Right, verb)
	case AsOwner:
		return fmt.Sprintf("%s: %s to the owner always", r.Right, verb)
	case BadFile:
		return fmt.Sprintf("%s: %s because of a bad file: %s", r.Right, verb, r.Text)
	default:
		return fmt.Sprintf("%s: %s by no line", r.Right, verb)
	}
}

// Explain says of each right, in the order of RFC 4314, why a subject has it or not.
func (f *File) Explain(s Subject, defaults Rights) []Reason {
	v := f.evaluate(&s, defaults)
	out := make([]Reason, 0, countRights)
	All.each(func(x Rights) { out = append(out, f.reason(&v, x)) })
	return out
}

func (f *File) reason(v *verdict, x Rights) Reason {
	i := x.index()
	out := Reason{Right: x, Granted: v.rights().Has(x)}
	switch {
	case f.broken != nil:
		out.Cause, out.Line, out.Text = BadFile, f.broken.Line, f.broken.Error()
	case out.Granted && !(v.given &^ v.taken).Has(x):
		out.Cause = AsOwner
	case out.Granted && v.gave[i] == nil:
		out.Cause = ByDefault
	case out.Granted:
		f.cite(&out, v.gave[i].positive, x)
	case v.taken.Has(x):
		f.cite(&out, v.took[i].negative, x)
	case v.lost[i] != nil:
		p := v.lost[i].positive
		if len(p.lines) == 0 {
			p = v.lost[i].negative // a repeated line
		}
		f.cite(&out, p, 0)
	}
	return out
}

// cite names the first line of a part that has a right.
func (f *File) cite(out *Reason, p *part, x Rights) {
	for _, at := range p.lines {
		if l := f.lines[at]; l.entry.Rights.Has(x) {
			out.Cause, out.Line, out.Text = ByLine, at+1, l.text
			return
		}
	}
}
