package aclfile

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func mustParseCourier(t testing.TB, text string) *Courier {
	t.Helper()
	c, err := ParseCourier([]byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return c
}

func TestCourierEffective(t *testing.T) {
	const seen = "owner aceilrstwx\nadministrators aceilrstwx\nuser=u2 lrs\nanyone l\n" // by Courier 5.0
	for _, c := range []struct {
		name, file string
		who        Subject
		want       string
	}{
		{"owner", seen, Subject{User: "u1", Owner: true}, "lrswikxtea"},
		{"named", seen, Subject{User: "u2"}, "lrs"},
		{"other", seen, Subject{User: "u3"}, "l"},
		{"administrator", seen, Subject{User: "u3", Groups: []string{"administrators"}}, "lrswikxtea"},
		{"lines add up", "anyone l\nuser=u r\ngroup=g w\n", Subject{User: "u", Groups: []string{"g"}}, "lrw"},
		{"and all that is taken is taken", "anyone lrsw\n-user=u r\n-group=g w\n-anyone s\n", Subject{User: "u", Groups: []string{"g"}}, "l"},
		{"the owner keeps a", "-owner a\n", Subject{User: "u1", Owner: true}, "a"},
		{"c is k, k and d are nothing", "anyone ckd\n", Subject{}, "k"},
		{"k alone is nothing", "anyone k\n", Subject{}, ""},
		{"p is kept", "anyone p\n", Subject{}, "p"},
		{"anonymous and anyone", "anyone l\nanonymous r\n", Subject{}, "lr"},
		{"the last line counts", "anyone l\nanyone r\n", Subject{}, "r"},
		{"spaces", "anyone   lr\n", Subject{}, "lr"},
		{"rubbish is passed over", "anyone\tlr\nanyone l r\n\nanyone lr\r\nanyone l\nbob r\nauthenticated w\n\xff s\n", Subject{User: "bob"}, "l"},
		{"white space among the rights of a line that was there before", "anyone l\n-anyone l\n-anyone l r\nanyone r\n", Subject{}, "r"},
		{"and nothing else of it", "anyone l\nanyone l r\n", Subject{}, ""},
		{"administrators always have all", "", Subject{Groups: []string{"administrators"}}, "lrswikxtea"},
		{"and it is not taken from them by name", "-administrators lr\n-group=administrators a\n", Subject{Groups: []string{"administrators"}}, "lrswikxtea"},
		{"but it is from anyone", "-anyone lr\n", Subject{Groups: []string{"administrators"}}, "swikxtea"},
		{"no LF at the end", "anyone lr", Subject{}, "lr"},
	} {
		if got := mustParseCourier(t, c.file).Effective(c.who).String(); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	for _, text := range []string{strings.Repeat("#", MaxSize+1), strings.Repeat("\n", MaxLines+1)} {
		if _, err := ParseCourier([]byte(text)); err == nil {
			t.Errorf("%d octets were read", len(text))
		}
	}
}

func TestCourierFile(t *testing.T) {
	const admins = "group=administrators akxeilrwts\n"
	groups := func(user string) []string {
		return map[string][]string{"bob": {"staff"}, "u1": {"staff"}}[user]
	}
	for _, c := range []struct{ name, courier, owner, want string }{
		{"as seen", "owner aceilrstwx\nadministrators aceilrstwx\nuser=u2 lrs\nanyone l\n", "u1",
			"anyone l\n" + admins + "owner akxeilrwts\nuser=u2 lrs\n"},
		{"nobody's tree", "owner aceilrstwx\nanyone lr\n", "", "anyone lr\n" + admins},
		{"the owner is said by name", "owner lr\nuser=u1 w\ngroup=staff s\n-user=u1 r\n", "u1",
			admins + "group=staff s\nowner alws\n"},
		{"a user has what his groups have, too", "user=bob w\ngroup=staff lr\n", "u1",
			admins + "group=staff lr\nowner alr\nuser=bob lrw\n"},
		{"and what anyone has", "user=bob w\nanyone l\ngroup=staff r\n", "u1",
			"anyone l\n" + admins + "group=staff lr\nowner alr\nuser=bob lrw\n"},
		{"who is given no more needs no line", "user=bob l\nanyone lr\n", "u1", "anyone lr\n" + admins + "owner alr\n"},
		{"what is taken from a user", "anyone lrs\n-user=bob s\n", "u1", "anyone lrs\n" + admins + "owner alrs\n-user=bob s\n"},
		{"and from anyone", "anyone lrs\n-user=bob s\n-anyone r\n", "u1", "anyone lrs\n-anyone r\n" + admins + "owner als\n-user=bob rs\n"},
		{"and from his groups", "anyone lrs\n-user=bob s\n-group=staff r\n", "u1",
			"anyone lrs\n" + admins + "-group=staff r\nowner als\nuser=bob lr\n"},
	} {
		f, err := mustParseCourier(t, c.courier).File(c.owner, groups)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(f.Format()); got != c.want {
			t.Errorf("%s:\n%swant\n%s", c.name, got, c.want)
		}
	}
}

var courierUsers = []string{"alice", "bob", "carol", "dave"}

// someCourier is a file as Courier has them, with some rubbish.
func someCourier(r *rand.Rand) string {
	var b strings.Builder
	for n := r.IntN(8); n > 0; n-- {
		id := pick(r, []string{
			"owner", "anyone", "anyone", "anonymous", "administrators", "group=administrators", "user=" + pick(r, courierUsers),
			"user=" + pick(r, courierUsers), "group=" + pick(r, someGroups[:2]), "group=" + pick(r, someGroups[:2]), "bob", "authenticated",
		})
		if r.IntN(3) == 0 {
			id = "-" + id
		}
		fmt.Fprintf(&b, "%s %s%s\n", id, strings.ReplaceAll(someRights(r).String(), "k", "c"), pick(r, []string{"", "", "", "d", "k", "9"}))
	}
	return b.String()
}

// TestCourierFileSame compares what Courier gives with what the converted file
// gives: to whom it speaks of, to members of any groups, and to those who come and go.
func TestCourierFileSame(t *testing.T) {
	const seed = 5
	r := rand.New(rand.NewPCG(seed, 0))
	all := []string{"staff", "sales", "administrators", "other"}
	compared := 0
	for i := range 5000 {
		text := someCourier(r)
		courier := mustParseCourier(t, text)
		member := make(map[string][]string)
		for _, u := range courierUsers {
			member[u] = someOf(r, all)
		}
		owner := pick(r, []string{"alice", ""})
		f, err := courier.File(owner, func(user string) []string { return member[user] })
		if err != nil {
			t.Fatal(err)
		}
		less, err := courier.File(owner, nil)
		if err != nil {
			t.Fatal(err)
		}
		check := func(s Subject) {
			t.Helper()
			compared++
			want := courier.Effective(s)
			if s.Owner {
				want |= OwnerAlways
			}
			if got := f.Effective(s, 0); got != want {
				t.Fatalf("seed %d, file %d, %+v, members %v: %v, want %v\n%sbecame\n%s", seed, i, s, member, got, want, text, f.Format())
			}
			if got := less.Effective(s, 0); !want.Has(got) && !s.Owner {
				t.Fatalf("seed %d, file %d, %+v without groups: %v, more than %v\n%sbecame\n%s", seed, i, s, got, want, text, less.Format())
			}
		}
		for _, u := range courierUsers {
			check(Subject{User: u, Groups: member[u], Owner: u == owner})
			if !ownLine(text, u) && u != owner {
				check(Subject{User: u, Groups: someOf(r, all)})
			}
		}
		check(Subject{User: "stranger"})
		check(Subject{User: "stranger", Groups: someOf(r, all)})
		check(Subject{Anonymous: true})
		again := mustParse(t, string(f.Format()))
		if got := string(again.Inherit()); got != string(f.Format()) {
			t.Fatalf("seed %d, file %d: not in Dovecot's form\n%s", seed, i, f.Format())
		}
	}
	t.Logf("%d comparisons", compared)
}

// ownLine says whether a file speaks of a user by name.
func ownLine(text, user string) bool { return strings.Contains(text, "user="+user+" ") }

func someOf(r *rand.Rand, s []string) []string {
	return slices.DeleteFunc(slices.Clone(s), func(string) bool { return r.IntN(2) == 0 })
}

func FuzzParseCourier(f *testing.F) {
	for _, s := range []string{
		"", "owner aceilrstwx\nadministrators aceilrstwx\nuser=u2 lrs\nanyone l\n", "-anyone r\n-user=bob s\ngroup=staff lr\nuser=bob \n",
		"anyone l\nanonymous r\n\xff\n-group=staff d\n", "user=d\u00a0e lr\nuser=\x80 l\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		courier, err := ParseCourier([]byte(text))
		if err != nil {
			if _, ok := err.(*SyntaxError); !ok {
				t.Fatalf("%#v", err)
			}
			return
		}
		file, err := courier.File("alice", func(user string) []string { return []string{"staff"} })
		if err != nil {
			return // groups have what anyone has, too, and that was too much
		}
		if again, err := Parse(file.Format()); err != nil || string(again.Inherit()) != string(file.Format()) {
			t.Fatalf("%q became %q: %v", text, file.Format(), err)
		}
		for _, s := range []Subject{
			{User: "alice", Groups: []string{"staff"}, Owner: true},
			{User: "bob", Groups: []string{"staff"}},
			{User: "", Groups: []string{"staff", "administrators"}},
			{Anonymous: true},
		} {
			want := courier.Effective(s)
			if s.Owner {
				want |= OwnerAlways
			}
			if got := file.Effective(s, 0); got != want {
				t.Fatalf("%q became %q; %+v: %v, want %v", text, file.Format(), s, got, want)
			}
		}
	})
}
