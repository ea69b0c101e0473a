package aclfile

import (
	"math/rand/v2"
	"slices"
	"strings"
)

// The names that generated files speak of, and the subjects that they are
// evaluated for. alice is the owner, if the subject says so.
var (
	someUsers  = []string{"alice", "bob", "carol", "d e", "Bob", `q"\'`}
	someGroups = []string{"staff", "sales", "the board", "bob"}
	subjects   = []Subject{
		{User: "alice", Groups: []string{"staff"}, Owner: true},
		{User: "alice", Owner: true},
		{User: "alice"},
		{User: "bob"},
		{User: "bob", Groups: []string{"staff", "sales", "the board"}},
		{User: "carol", Groups: []string{"sales"}},
		{User: "d e", Groups: []string{"the board", "bob"}},
		{User: "stranger"},
		{User: "stranger", Groups: []string{"bob", "sales"}},
	}
)

func pick[T any](r *rand.Rand, s []T) T { return s[r.IntN(len(s))] }

// someIdentifier has one of few names, so that entries meet each other and subjects.
func someIdentifier(r *rand.Rand) Identifier {
	id := Identifier{Kind: Kind(r.IntN(int(GroupOverride) + 1))}
	switch id.Kind {
	case User:
		id.Name = pick(r, someUsers)
	case Group, GroupOverride:
		id.Name = pick(r, someGroups)
	}
	return id
}

// someRights are often none, all, or few.
func someRights(r *rand.Rand) Rights {
	switch r.IntN(6) {
	case 0:
		return 0
	case 1:
		return All
	case 2:
		return Rights(r.Uint32()&r.Uint32()&r.Uint32()) & All
	default:
		return Rights(r.Uint32()) & All
	}
}

// someLine writes an entry in one of the ways that the grammar allows.
func someLine(r *rand.Rand, e *Entry) string {
	id := e.Identifier.String()
	if id == "anyone" && r.IntN(3) == 0 {
		id = "anonymous"
	}
	if e.Negative {
		id = "-" + id
	}
	if strings.Contains(id, " ") || r.IntN(8) == 0 {
		id = `"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(id) + `"`
	}
	if e.Rights == 0 && r.IntN(3) == 0 {
		return id
	}
	rights, names := "", ""
	e.Rights.each(func(x Rights) {
		if r.IntN(10) == 0 {
			for name, right := range rightNames {
				if right == x {
					names += pick(r, []string{" ", ",", "\t", ", "}) + name
				}
			}
		} else {
			rights += x.String()
		}
	})
	b := []byte(rights)
	r.Shuffle(len(b), func(i, j int) { b[i], b[j] = b[j], b[i] })
	line := id + pick(r, []string{" ", " ", " ", "  ", " \t"}) + string(b)
	if names != "" {
		line += pick(r, []string{"", " ", "\t "}) + ":" + names
	}
	return line + pick(r, []string{"", "", "", " ", "\t"})
}

// someFile is a file of a few lines, comments among them.
func someFile(r *rand.Rand) string {
	var b strings.Builder
	end := pick(r, []string{"\n", "\n", "\n", "\r\n"})
	for n := r.IntN(8); n > 0; n-- {
		switch r.IntN(10) {
		case 0:
			b.WriteString("# user=bob lr")
		case 1: // an empty line
		default:
			b.WriteString(someLine(r, &Entry{Identifier: someIdentifier(r), Negative: r.IntN(3) == 0, Rights: someRights(r)}))
		}
		b.WriteString(end)
	}
	if r.IntN(5) == 0 {
		return strings.TrimSuffix(b.String(), end)
	}
	return b.String()
}

// spoil changes a few octets, mostly to such as mean something.
func spoil(r *rand.Rand, text string) string {
	b := []byte(text)
	for n := 1 + r.IntN(3); n > 0 && len(b) > 0; n-- {
		at := r.IntN(len(b))
		c := pick(r, []byte("\"\\ :=-#,\tlrcdU\n\r"))
		switch r.IntN(3) {
		case 0:
			b[at] = c
		case 1:
			b = slices.Insert(b, at, c)
		default:
			b = slices.Delete(b, at, at+1)
		}
	}
	return string(b)
}
