package aclfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrBroken is the answer to a change of a file that nobody can parse: what
// it meant to say would be lost.
var ErrBroken = errors.New("the ACL file has bad lines and must be mended first")

// ErrFull is the answer to a change that would make a file pass MaxSize or MaxLines.
var ErrFull = errors.New("the ACL file would become too large")

// File is an ACL file in memory. It may be read by several goroutines while none changes it.
type File struct {
	lines  []line
	rules  []rule // what lines come to, in the order in which they are applied
	broken *SyntaxError
}

// line is one line as it was found, or as a change has written it.
type line struct {
	text, end string
	entry     *Entry // nil for a comment and an empty line
}

// Entry gives or takes away rights.
type Entry struct {
	Identifier Identifier
	Negative   bool
	Rights     Rights
	Private    []string // rights by names that RFC 4314 does not know, sorted
	Line       int      // where the file has it first, from 1; 0 if only repeated lines of the other sign say it
}

// rule is all entries of one identifier.
type rule struct {
	id       Identifier
	positive *part // nil where no entry has this sign
	negative *part
}

// part is all entries of one identifier and sign.
type part struct {
	rights  Rights
	private []string
	lines   []int // where they stand, from 0
}

// New is a file without lines, which means the same as no file at all.
func New() *File { return &File{} }

// Broken is a file that Parse refused, with its error. It gives rights to
// nobody but the owner, and cannot be changed.
func Broken(err *SyntaxError) *File { return &File{broken: err} }

// Err says why a file is broken; nil for all others.
func (f *File) Err() error {
	if f.broken == nil {
		return nil
	}
	return f.broken
}

// Entries gives what the file says, all lines of one identifier and sign as one
// entry, in the order of Identifier.Compare.
func (f *File) Entries() []Entry {
	var out []Entry
	for i := range f.rules {
		out = append(out, f.rules[i].entries()...)
	}
	return out
}

func (r *rule) part(negative bool) *part {
	if negative {
		return r.negative
	}
	return r.positive
}

func (r *rule) entries() []Entry {
	var out []Entry
	for _, negative := range [...]bool{false, true} {
		p := r.part(negative)
		if p == nil {
			continue
		}
		e := Entry{Identifier: r.id, Negative: negative, Rights: p.rights, Private: slices.Clone(p.private)}
		if len(p.lines) > 0 {
			e.Line = p.lines[0] + 1
		}
		out = append(out, e)
	}
	return out
}

// Format gives the file's octets. Lines that were not changed are as they were.
func (f *File) Format() []byte {
	var b []byte
	for _, l := range f.lines {
		b = append(append(b, l.text...), l.end...)
	}
	return b
}

// Inherit gives the octets of the file for a new folder below this one: CREATE
// copies what the nearest existing parent says, without its comments. There is
// nothing to copy from a file without entries nor from a broken one.
func (f *File) Inherit() []byte {
	var b []byte
	for _, e := range f.Entries() {
		b = append(append(b, e.text()...), '\n')
	}
	return b
}

// text is the line that Dovecot writes for an entry.
func (e *Entry) text() string {
	id := e.Identifier.String()
	if e.Negative {
		id = "-" + id
	}
	if strings.Contains(id, " ") {
		id = `"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`, `'`, `\'`).Replace(id) + `"`
	}
	s := id + " " + e.Rights.fileString()
	if len(e.Private) > 0 {
		s += " :" + strings.Join(e.Private, " ")
	}
	return s
}

// Set changes the rights of one entry as SETACL does, and says whether that
// changed anything. Replacing by no rights makes an entry that has none; adding
// to and removing from an entry that is not there begins with no rights, for the
// owner with all. Private rights of the entry stay.
func (f *File) Set(id Identifier, negative bool, mode Mode, rights Rights) (changed bool, err error) {
	lines, at, err := f.find(id, negative)
	if err != nil {
		return false, err
	}
	e := Entry{Identifier: id, Negative: negative}
	if at >= 0 {
		e = *lines[at].entry
	} else if id.Kind == Owner && !negative {
		e.Rights = All
	}
	have := e.Rights
	e.Rights = mode.apply(have, rights)
	switch {
	case e.Rights == have && (at >= 0 || mode != Replace):
		return false, nil
	case at >= 0:
		lines[at].text, lines[at].entry = e.text(), &e
	default:
		lines = insert(lines, &e)
	}
	err = f.replace(lines)
	return err == nil, err
}

// Remove takes an entry away, as DELETEACL does: what is said of the same
// identifier with the other sign stays.
func (f *File) Remove(id Identifier, negative bool) (changed bool, err error) {
	lines, at, err := f.find(id, negative)
	if err != nil || at < 0 {
		return false, err
	}
	err = f.replace(slices.Delete(lines, at, at+1))
	return err == nil, err
}

// find gives the place of an entry in a copy of the lines, or -1. In the copy
// nothing is said twice of the identifier.
func (f *File) find(id Identifier, negative bool) (lines []line, at int, err error) {
	if f.broken != nil {
		return nil, 0, ErrBroken
	}
	if same, err := ParseIdentifier(id.String()); err != nil {
		return nil, 0, err
	} else if same != id {
		return nil, 0, fmt.Errorf("%q with a name", id)
	}
	lines = slices.Clone(f.lines)
	k, ok := slices.BinarySearchFunc(f.rules, id, func(r rule, id Identifier) int { return r.id.Compare(id) })
	if ok {
		lines = f.rules[k].unite(lines)
	}
	at = slices.IndexFunc(lines, func(l line) bool {
		return l.entry != nil && l.entry.Identifier == id && l.entry.Negative == negative
	})
	return lines, at, nil
}

// unite makes one line of all that have the same sign, where the first of them
// stands, and writes down what repeated lines say of the other sign.
func (r *rule) unite(lines []line) []line {
	superfluous := make(map[int]bool)
	var unwritten *Entry
	for _, e := range r.entries() {
		at := r.part(e.Negative).lines
		switch {
		case len(at) == 0:
			unwritten = &e
		case len(at) > 1:
			lines[at[0]].text, lines[at[0]].entry = e.text(), &e
			for _, i := range at[1:] {
				superfluous[i] = true
			}
		}
	}
	kept := lines[:0]
	for i, l := range lines {
		if !superfluous[i] {
			kept = append(kept, l)
		}
	}
	if unwritten != nil {
		kept = insert(kept, unwritten)
	}
	return kept
}

// insert puts a new entry behind the last one that comes before it by Compare,
// else before the first entry and the comment right above that.
func insert(lines []line, e *Entry) []line {
	l := line{text: e.text(), end: "\n", entry: e}
	if len(lines) > 0 && lines[0].end == "\r\n" {
		l.end = "\r\n"
	}
	at, first := -1, -1
	for i, other := range lines {
		if other.entry == nil {
			continue
		}
		if first < 0 {
			first = i
		}
		if other.entry.compare(e) < 0 {
			at = i + 1
		}
	}
	if at < 0 && first < 0 {
		at = len(lines)
	} else if at < 0 {
		at = first
		for at > 0 && strings.HasPrefix(lines[at-1].text, "#") {
			at--
		}
	}
	if at > 0 && !strings.HasSuffix(lines[at-1].end, "\n") {
		lines[at-1].end = l.end
	}
	return slices.Insert(lines, at, l)
}

// compare orders entries as Dovecot's files have them.
func (e *Entry) compare(other *Entry) int {
	if c := e.Identifier.Compare(other.Identifier); c != 0 || e.Negative == other.Negative {
		return c
	}
	if other.Negative {
		return -1
	}
	return 1
}

// replace makes lines those of the file, if they are not too much.
func (f *File) replace(lines []line) error {
	size := 0
	for _, l := range lines {
		size += len(l.text) + len(l.end)
	}
	if size > MaxSize || len(lines) > MaxLines {
		return ErrFull
	}
	f.lines = lines
	f.compile()
	return nil
}

// compile makes rules of the lines.
func (f *File) compile() {
	f.rules = nil
	at := make(map[Identifier]int)
	for i, l := range f.lines {
		if l.entry == nil {
			continue
		}
		k, ok := at[l.entry.Identifier]
		if !ok {
			k = len(f.rules)
			at[l.entry.Identifier] = k
			f.rules = append(f.rules, rule{id: l.entry.Identifier})
		}
		f.rules[k].add(i, l.entry)
	}
	slices.SortFunc(f.rules, func(a, b rule) int { return a.id.Compare(b.id) })
	for i := range f.rules {
		f.rules[i].positive.sort()
		f.rules[i].negative.sort()
	}
}

func (p *part) sort() {
	if p != nil {
		slices.Sort(p.private)
		p.private = slices.Compact(p.private)
	}
}

func (r *rule) add(at int, e *Entry) {
	p, other := &r.positive, &r.negative
	if e.Negative {
		p, other = other, p
	}
	if *p == nil {
		*p = &part{}
	} else if *other == nil {
		*other = &part{} // rule 1 of the package's comment
	}
	(*p).rights |= e.Rights
	(*p).private = append((*p).private, e.Private...)
	(*p).lines = append((*p).lines, at)
}
