package aclfile

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// setacl does a change as a client words it: "<identifier> <rights>", or
// "delete <identifier>".
func setacl(t *testing.T, f *File, command string) (changed bool, err error) {
	t.Helper()
	word, rest, _ := strings.Cut(command, " ")
	if word == "delete" {
		id, negative, err := ParseIMAP(rest)
		if err != nil {
			t.Fatal(err)
		}
		return f.Remove(id, negative)
	}
	id, negative, err := ParseIMAP(word)
	if err != nil {
		t.Fatal(err)
	}
	mode, rights, err := ParseModRights(rest)
	if err != nil {
		t.Fatal(err)
	}
	return f.Set(id, negative, mode, rights)
}

func TestChange(t *testing.T) {
	const commented = "# who may read\n\n# the team\ngroup=team rl\n# nobody else\n"
	for _, c := range []struct {
		name, before, command, after string
		same                         bool // nothing changed
	}{
		{name: "first entry", command: "bob lrs", after: "user=bob lrs\n"},
		{name: "empty set", command: "bob ", after: "user=bob \n"},
		{name: "empty set of what is taken", command: "-bob ", after: "-user=bob \n"},
		{name: "replaced by the empty set", before: "user=bob lr\n", command: "bob ", after: "user=bob \n"},
		{name: "all taken from an entry", before: "user=bob lr\n", command: "bob -lrs", after: "user=bob \n"},
		{name: "nothing added to nothing", command: "bob +", same: true},
		{name: "something taken from nothing", command: "bob -lr", same: true},
		{name: "add", before: "user=bob lr\n", command: "bob +w", after: "user=bob lrw\n"},
		{name: "add what is there", before: "user=bob rl", command: "bob +l", after: "user=bob rl", same: true},
		{name: "replace by the same", before: "user=bob  rl \n", command: "bob lr", after: "user=bob  rl \n", same: true},
		{name: "remove", before: "user=bob lrw\n", command: "bob -r", after: "user=bob lw\n"},
		{name: "sign", before: "user=bob lr\n", command: "-bob r", after: "user=bob lr\n-user=bob r\n"},
		{name: "other sign", before: "-user=bob r\n", command: "bob +r", after: "user=bob r\n-user=bob r\n"},
		{name: "delete", before: "user=bob lr\n-user=bob r\n", command: "delete bob", after: "-user=bob r\n"},
		{name: "delete the other", before: "user=bob lr\n-user=bob r\n", command: "delete -bob", after: "user=bob lr\n"},
		{name: "delete what is not there", before: "user=bob lr\n", command: "delete carol", after: "user=bob lr\n", same: true},
		{name: "quotes", command: "$the\u00a0board lr", after: "group=the\u00a0board lr\n"},
		{name: "in order", before: "anyone l\nuser=bob l\ngroup-override=x l\n", command: "owner l", after: "anyone l\nowner l\nuser=bob l\ngroup-override=x l\n"},
		{name: "out of order", before: "user=bob l\nanyone l\n", command: "$g l", after: "user=bob l\nanyone l\ngroup=g l\n"},
		{name: "below the comments", before: commented, command: "bob l", after: "# who may read\n\n# the team\ngroup=team rl\nuser=bob l\n# nobody else\n"},
		{name: "above the entry's comment", before: commented, command: "anyone l", after: "# who may read\n\nanyone l\n# the team\ngroup=team rl\n# nobody else\n"},
		{name: "comments stay", before: commented, command: "delete $team", after: "# who may read\n\n# the team\n# nobody else\n"},
		{name: "after comments alone", before: "# none\n\n", command: "bob l", after: "# none\n\nuser=bob l\n"},
		{name: "after a comment without LF", before: "# none", command: "bob l", after: "# none\nuser=bob l\n"},
		{name: "last line without LF", before: "anyone l\nuser=bob l", command: "carol l", after: "anyone l\nuser=bob l\nuser=carol l\n"},
		{name: "last line with CR alone", before: "anyone l\r", command: "carol l", after: "anyone l\nuser=carol l\n"},
		{name: "changed line without LF", before: "user=bob l", command: "bob +r", after: "user=bob lr"},
		{name: "CR LF", before: "anyone l\r\nuser=bob l", command: "carol l", after: "anyone l\r\nuser=bob l\r\nuser=carol l\r\n"},
		{name: "private rights stay", before: "user=bob l :zz,aa\n", command: "bob r", after: "user=bob r :aa zz\n"},
		{name: "private rights stay without others", before: "user=bob l :zz\n", command: "bob ", after: "user=bob  :zz\n"},
		{name: "repeated lines become one", before: "user=bob l :b\n#\n-user=bob x\nuser=bob r :a,b\n", command: "bob +w", after: "user=bob lrw :a b\n#\n-user=bob x\n"},
		{name: "repeated lines keep what they mean", before: "user=bob l\nuser=bob r\n", command: "bob +w", after: "user=bob lrw\n-user=bob \n"},
		{name: "repeated lines without change", before: "-user=bob l\n-user=bob r\n", command: "-bob +l", after: "-user=bob l\n-user=bob r\n", same: true},
		{name: "what repeated lines say is deleted", before: "-user=bob l\n#\n-user=bob r\n", command: "delete bob", after: "-user=bob lr\n#\n"},
		{name: "what repeated lines say is changed", before: "-user=bob l\n#\n-user=bob r\n", command: "bob +x", after: "user=bob x\n-user=bob lr\n#\n"},
		{name: "repeated lines deleted", before: "user=bob l\n#\nuser=bob r\n", command: "delete bob", after: "-user=bob \n#\n"},
		{name: "the owner's rights begin with all", command: "owner -a", after: "owner kxeilprwts\n"},
		{name: "something added to the owner's", command: "owner +a", same: true},
		{name: "the owner's replaced", command: "owner l", after: "owner l\n"},
		{name: "what is taken from the owner begins with nothing", command: "-owner +x", after: "-owner x\n"},
		{name: "anonymous is anyone", before: "anonymous r\n", command: "anyone +l", after: "anyone lr\n"},
	} {
		f := mustParse(t, c.before)
		changed, err := setacl(t, f, c.command)
		if err != nil || changed == c.same {
			t.Errorf("%s: changed %v, %v", c.name, changed, err)
		}
		if got := string(f.Format()); got != c.after {
			t.Errorf("%s: %q, want %q", c.name, got, c.after)
		}
	}
}

// TestChangeRefused wants the file as it was.
func TestChangeRefused(t *testing.T) {
	bob := Identifier{User, "bob"}
	for _, c := range []struct {
		name string
		f    *File
		id   Identifier
		want error
	}{
		{"broken", Broken(&SyntaxError{Line: 1, Reason: "x"}), bob, ErrBroken},
		{"too large", mustParse(t, strings.Repeat("#", MaxSize-5)), bob, ErrFull},
		{"too many lines", mustParse(t, strings.Repeat("\n", MaxLines)), bob, ErrFull},
		{"no name", New(), Identifier{Kind: User}, nil},
		{"a name too many", New(), Identifier{Owner, "bob"}, nil},
		{"LF", New(), Identifier{User, "bob\nanyone lr"}, nil},
		{"not UTF-8", New(), Identifier{User, "b\xff"}, nil},
	} {
		before := string(c.f.Format())
		changed, err := c.f.Set(c.id, false, Replace, Lookup)
		if changed || err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: changed %v, %v", c.name, changed, err)
		}
		if got := string(c.f.Format()); got != before {
			t.Errorf("%s: %q", c.name, got)
		}
	}
	f := mustParse(t, "user=bob l\n"+strings.Repeat("#", MaxSize-12))
	if _, err := f.Set(bob, false, Add, Read|Write); !errors.Is(err, ErrFull) || f.Effective(Subject{User: "bob"}, 0) != Lookup {
		t.Errorf("%v, %v", err, f.Effective(Subject{User: "bob"}, 0))
	}
	if changed, err := f.Remove(bob, false); !changed || err != nil {
		t.Errorf("%v, %v", changed, err)
	}
	if _, err := Broken(&SyntaxError{}).Remove(bob, false); !errors.Is(err, ErrBroken) {
		t.Error(err)
	}
}

// TestChangeKeepsOthers changes random files, and wants all lines of others back.
func TestChangeKeepsOthers(t *testing.T) {
	const seed = 4
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range 3000 {
		text := someFile(r)
		f := mustParse(t, text)
		id, negative, mode, rights := someIdentifier(r), r.IntN(2) == 0, Mode(r.IntN(3)), someRights(r)
		remove := r.IntN(4) == 0
		var changed bool
		var err error
		if remove {
			changed, err = f.Remove(id, negative)
		} else {
			changed, err = f.Set(id, negative, mode, rights)
		}
		what := fmt.Sprintf("seed %d, file %d, %s mode %d %s, removed %v, changed %v:\n%q\n%q", seed, i, id.IMAP(negative), mode, rights, remove, changed, text, f.Format())
		if err != nil {
			t.Fatal(what, err)
		}
		if !changed && string(f.Format()) != text {
			t.Fatal(what)
		}
		// Lines of others, and of the other sign unless repetition stood for it.
		var before, after []string
		for _, side := range []struct {
			f   *File
			out *[]string
		}{{mustParse(t, text), &before}, {f, &after}} {
			for _, l := range side.f.lines {
				if l.entry == nil || l.entry.Identifier != id {
					*side.out = append(*side.out, l.text)
				}
			}
		}
		if !slices.Equal(before, after) {
			t.Fatal(what)
		}
		if got := string(mustParse(t, string(f.Format())).Format()); got != string(f.Format()) {
			t.Fatal(what)
		}
		at := slices.IndexFunc(f.Entries(), func(e Entry) bool { return e.Identifier == id && e.Negative == negative })
		switch {
		case remove:
			if at >= 0 {
				t.Fatal(what)
			}
		case mode == Replace && (at < 0 || f.Entries()[at].Rights != rights),
			mode == Add && rights != 0 && (at < 0 && id.Kind != Owner || at >= 0 && !f.Entries()[at].Rights.Has(rights)),
			mode == Remove && at >= 0 && f.Entries()[at].Rights.HasAny(rights):
			t.Fatal(what)
		}
	}
}
