package aclfile

import (
	"fmt"
	"math/bits"
	"strings"
)

// Rights is a set of the rights of RFC 4314 section 2.1.
type Rights uint16

// In the order in which RFC 4314 lists them.
const (
	Lookup       Rights = 1 << iota // l
	Read                            // r
	WriteSeen                       // s
	Write                           // w
	Insert                          // i
	Post                            // p
	Create                          // k
	Delete                          // x
	WriteDeleted                    // t
	Expunge                         // e
	Administer                      // a
	endOfRights
	All = endOfRights - 1
)

// OwnerAlways is what the owner of a folder has whatever its file says.
const OwnerAlways = Lookup | Administer

// letters is the order of rights in answers, fileLetters that of Dovecot's
// files: of the names, by the alphabet.
const (
	letters     = "lrswipkxtea"
	fileLetters = "akxeilprwts"
	countRights = len(letters)
)

// The virtual rights of RFC 4314 section 2.1.1 stand for these. Of the variants
// that it leaves open this is Dovecot's: none of them is tied to the other.
const (
	virtualC = Create | Delete
	virtualD = WriteDeleted | Expunge
)

// rightNames are the full names that files may have after a colon.
var rightNames = map[string]Rights{
	"lookup": Lookup, "read": Read, "write-seen": WriteSeen, "write": Write, "insert": Insert, "post": Post,
	"create": Create, "delete": Delete, "write-deleted": WriteDeleted, "expunge": Expunge, "admin": Administer,
}

// Has says whether all of want are in r.
func (r Rights) Has(want Rights) bool { return r&want == want }

// HasAny says whether at least one of want is in r.
func (r Rights) HasAny(want Rights) bool { return r&want != 0 }

// String gives the letters in the order of RFC 4314: "lrswipkxtea".
func (r Rights) String() string { return r.in(letters) }

// fileString gives the letters in the order of Dovecot's files.
func (r Rights) fileString() string { return r.in(fileLetters) }

func (r Rights) in(order string) string {
	var b strings.Builder
	for i := range len(order) {
		if l, _ := letter(order[i]); r.Has(l) {
			b.WriteByte(order[i])
		}
	}
	return b.String()
}

// Wire is how ACL and MYRIGHTS responses have a set: with c and d where any
// right that they stand for is there, for clients that know RFC 2086 only
// (RFC 4314 section 2.1.1).
func (r Rights) Wire() string {
	s := r.String()
	if r.HasAny(virtualC) {
		s += "c"
	}
	if r.HasAny(virtualD) {
		s += "d"
	}
	return s
}

// each calls f with every right of r, in the order of String.
func (r Rights) each(f func(Rights)) {
	for ; r != 0; r &= r - 1 {
		f(Rights(1) << bits.TrailingZeros16(uint16(r)))
	}
}

// index is the place of a single right in letters.
func (r Rights) index() int { return bits.TrailingZeros16(uint16(r)) }

func letter(c byte) (Rights, bool) {
	i := strings.IndexByte(letters, c)
	if i < 0 {
		return 0, false
	}
	return Rights(1) << i, true
}

// ParseRights reads letters as files have them: those of String, in any order.
// c and d are of the wire only.
func ParseRights(s string) (Rights, error) {
	var r Rights
	for _, c := range s {
		l, ok := Rights(0), false
		if c < 0x80 {
			l, ok = letter(byte(c))
		}
		if !ok {
			return 0, fmt.Errorf("%q is no right", c)
		}
		r |= l
	}
	return r, nil
}

// Mode says what SETACL does to the rights that an entry has.
type Mode uint8

const (
	Replace Mode = iota
	Add
	Remove
)

func (m Mode) apply(have, rights Rights) Rights {
	switch m {
	case Add:
		return have | rights
	case Remove:
		return have &^ rights
	default:
		return rights
	}
}

// ParseModRights reads the third argument of SETACL (RFC 4314 section 3.1): "+"
// or "-" or nothing, and letters, of which c and d stand for all their rights.
// A letter that is none is an error, which the client is told by BAD.
func ParseModRights(s string) (Mode, Rights, error) {
	mode := Replace
	switch {
	case strings.HasPrefix(s, "+"):
		mode, s = Add, s[1:]
	case strings.HasPrefix(s, "-"):
		mode, s = Remove, s[1:]
	}
	expanded := strings.NewReplacer("c", virtualC.String(), "d", virtualD.String()).Replace(s)
	rights, err := ParseRights(expanded)
	return mode, rights, err
}

// ListRights is what a LISTRIGHTS response says after the identifier (RFC 4314
// section 3.7): first the rights that the identifier always has, then all others
// that it may be given, each by itself since none is tied to another, and c and d.
func ListRights(always Rights) []string {
	out := []string{always.String()}
	(All &^ always).each(func(r Rights) { out = append(out, r.String()) })
	return append(out, "c", "d")
}
