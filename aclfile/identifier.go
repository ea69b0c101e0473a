package aclfile

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxIdentifier is the greatest length of an identifier, "user=" and the like included.
const MaxIdentifier = 1024 // octets

// Kind is what an identifier stands for. The kinds are in the order in which
// they are applied: later ones replace what earlier ones gave.
type Kind uint8

const (
	Anyone        Kind = iota // also who has not said who he is
	Authenticated             // everybody who has
	Group                     // the members of a group
	Owner                     // whose tree it is
	User                      // one user
	GroupOverride             // the members of a group, above what is said of the user himself
)

// Identifier says whom an entry is about.
type Identifier struct {
	Kind Kind
	Name string // of Group, User and GroupOverride
}

// How files and how IMAP write each kind. In a file "user=x" is a user and "x" is
// nobody; in IMAP it is the other way round.
var (
	fileForm = [...]string{
		Anyone: "anyone", Authenticated: "authenticated", Group: "group=",
		Owner: "owner", User: "user=", GroupOverride: "group-override=",
	}
	imapPrefix = [...]string{Group: "$", User: "user=", GroupOverride: "!$"}
)

func (k Kind) hasName() bool { return k == Group || k == User || k == GroupOverride }

// Compare orders identifiers as files and answers have them: by kind, then by name.
func (id Identifier) Compare(other Identifier) int {
	return cmp.Or(cmp.Compare(id.Kind, other.Kind), cmp.Compare(id.Name, other.Name))
}

// String gives the form that files have, without quotes: "user=bob".
func (id Identifier) String() string { return fileForm[id.Kind] + id.Name }

// ParseIdentifier reads the form that files have, without sign and quotes.
func ParseIdentifier(s string) (Identifier, error) {
	if len(s) > MaxIdentifier {
		return Identifier{}, fmt.Errorf("an identifier is longer than %d octets", MaxIdentifier)
	}
	if err := checkText(s); err != nil {
		return Identifier{}, err
	}
	if s == "anonymous" {
		s = fileForm[Anyone]
	}
	for kind, form := range fileForm {
		id := Identifier{Kind: Kind(kind)}
		if !id.Kind.hasName() {
			if s == form {
				return id, nil
			}
			continue
		}
		if name, ok := strings.CutPrefix(s, form); ok {
			if name == "" {
				return Identifier{}, fmt.Errorf("no name after %q", form)
			}
			id.Name = name
			return id, nil
		}
	}
	return Identifier{}, fmt.Errorf("%q is none of anyone, authenticated, owner, group=NAME, user=NAME and group-override=NAME", s)
}

// IMAP gives the form that GETACL has: a user by his name, groups as "$name" and
// "!$name", a leading "-" for an entry that takes rights away. A user whose name
// would read as something else is written "user=name".
func (id Identifier) IMAP(negative bool) string {
	sign := ""
	if negative {
		sign = "-"
	}
	switch {
	case id.Kind == User && !plainUser(id.Name):
		return sign + imapPrefix[User] + id.Name
	case id.Kind == User:
		return sign + id.Name
	case id.Kind.hasName():
		return sign + imapPrefix[id.Kind] + id.Name
	default:
		return sign + fileForm[id.Kind]
	}
}

// plainUser says whether in IMAP a name by itself means the user.
func plainUser(name string) bool {
	switch name {
	case fileForm[Anyone], fileForm[Authenticated], fileForm[Owner]:
		return false
	}
	for _, p := range [...]string{imapPrefix[Group], imapPrefix[User], imapPrefix[GroupOverride], "-", "#"} {
		if strings.HasPrefix(name, p) {
			return false
		}
	}
	return true
}

// ParseIMAP reads an identifier as SETACL, DELETEACL and LISTRIGHTS have it,
// after it was prepared as names of users are (RFC 4314 section 3).
func ParseIMAP(s string) (id Identifier, negative bool, err error) {
	s, negative = strings.CutPrefix(s, "-")
	kind, name := User, s
	switch {
	case s == fileForm[Anyone], s == fileForm[Authenticated], s == fileForm[Owner]:
		id, err = ParseIdentifier(s)
		return id, negative, err
	case strings.HasPrefix(s, "#"):
		return id, false, errors.New("there are no global entries")
	case strings.HasPrefix(s, "-"):
		return id, false, errors.New("more than one minus sign")
	default:
		for k, prefix := range imapPrefix {
			if rest, ok := strings.CutPrefix(s, prefix); ok && prefix != "" {
				kind, name = Kind(k), rest
			}
		}
	}
	id, err = ParseIdentifier(fileForm[kind] + name)
	return id, negative, err
}

// checkText refuses what no identifier and no right's name may hold.
func checkText(s string) error {
	if !utf8.ValidString(s) {
		return errors.New("not UTF-8")
	}
	if i := strings.IndexFunc(s, unicode.IsControl); i >= 0 {
		c, _ := utf8.DecodeRuneInString(s[i:])
		return fmt.Errorf("control character %U", c)
	}
	return nil
}
