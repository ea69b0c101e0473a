package aclfile

import (
	"strings"
	"testing"
)

func TestEffective(t *testing.T) {
	var (
		owner     = Subject{User: "alice", Owner: true}
		bob       = Subject{User: "bob"}
		staff     = Subject{User: "bob", Groups: []string{"staff"}}
		both      = Subject{User: "bob", Groups: []string{"staff", "sales"}}
		anonymous = Subject{Anonymous: true}
	)
	for _, c := range []struct {
		name, file string
		who        Subject
		want       string
	}{
		{"no file, owner", "", owner, All.String()},
		{"no file, other", "", bob, ""},
		{"comments are no entries", "# anyone lr\n", bob, ""},
		{"not mentioned", "user=carol lr\n", bob, ""},
		{"anyone", "anyone lr\n", bob, "lr"},
		{"anyone is anonymous, too", "anyone lr\n", anonymous, "lr"},
		{"authenticated is not anonymous", "authenticated lr\n", anonymous, ""},
		{"nor is he in a group or an owner", "anyone l\ngroup=staff r\nowner w\n", Subject{Groups: []string{"staff"}, Owner: true, Anonymous: true}, "l"},
		{"authenticated replaces anyone", "anyone lr\nauthenticated l\n", bob, "l"},
		{"group replaces authenticated", "authenticated lrs\ngroup=staff lw\n", staff, "lw"},
		{"the order of lines means nothing", "group=staff lw\nauthenticated lrs\n", staff, "lw"},
		{"groups add up", "group=staff lr\ngroup=sales wi\n", both, "lrwi"},
		{"another's group", "group=sales lr\n", staff, ""},
		{"a user of a group's name", "user=staff lr\n", staff, ""},
		{"user replaces groups", "group=staff lrw\nuser=bob l\n", staff, "l"},
		{"user with nothing", "group=staff lrw\nuser=bob \n", staff, ""},
		{"names are compared exactly", "user=Bob lr\n", bob, ""},
		{"group-override replaces user", "user=bob l\ngroup-override=staff rw\n", staff, "rw"},
		{"group-overrides add up", "group-override=sales l\ngroup-override=staff rw\n", both, "lrw"},
		{"taken from anyone", "anyone lrs\n-anyone r\n", bob, "ls"},
		{"what is taken stands when what is given is replaced", "-anyone r\nuser=bob lr\n", bob, "l"},
		{"what is given stands when what is taken is replaced", "anyone lrs\n-anyone r\n-user=bob s\n", bob, "lr"},
		{"nothing taken replaces what is taken", "anyone lrs\n-anyone r\n-user=bob\n", bob, "lrs"},
		{"groups take together", "anyone lrsw\n-group=staff r\n-group=sales w\n", both, "ls"},
		{"a second group adds to what anyone has if the first gives nothing", "anyone l\n-group=sales w\ngroup=staff rw\n", both, "lr"},
		{"repeated lines add up", "user=bob l\nuser=bob r\n", bob, "lr"},
		{"and take nothing away", "-anyone r\nuser=bob l\nuser=bob r\n", bob, "lr"},
		{"or give nothing", "anyone lr\n-user=bob l\n-user=bob w\n", bob, ""},
		{"the owner passes over anyone and groups", "anyone l\n-anyone r\n-authenticated s\n", owner, All.String()},
		{"owner", "owner lrwa\n", owner, "lrwa"},
		{"owner is nobody else", "owner lrwa\n", bob, ""},
		{"the owner by name", "owner lrwa\nuser=alice lsa\n", owner, "lsa"},
		{"the owner keeps l and a", "owner r\n", owner, "lra"},
		{"even if they are taken", "-owner lra\n", owner, "lswipkxtea"},
		{"even by name", "user=alice \n-user=alice la\n", owner, "la"},
		{"without owner", "owner lr\n", Subject{User: "alice"}, ""},
		{"private rights count for nothing here", "anyone l :zz\n", bob, "l"},
	} {
		if got := mustParse(t, c.file).Effective(c.who, 0).String(); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestEffectiveDefaults(t *testing.T) {
	defaults := Lookup | Read
	for _, c := range []struct {
		file string
		who  Subject
		want Rights
	}{
		{"", Subject{User: "bob"}, defaults},
		{"user=carol \n", Subject{User: "bob"}, defaults},
		{"-user=bob l\n", Subject{User: "bob"}, 0},
		{"user=bob w\n", Subject{User: "bob"}, Write},
		{"", Subject{User: "alice", Owner: true}, All},
		{"user=carol l\n", Subject{User: "alice", Owner: true}, All},
	} {
		if got := mustParse(t, c.file).Effective(c.who, defaults); got != c.want {
			t.Errorf("%q: %v, want %v", c.file, got, c.want)
		}
	}
}

func TestBroken(t *testing.T) {
	_, err := Parse([]byte("anyone lr\nuser=bob lrx!\n"))
	syntax, ok := err.(*SyntaxError)
	if !ok {
		t.Fatal(err)
	}
	f := Broken(syntax)
	if got := f.Effective(Subject{User: "bob"}, All); got != 0 {
		t.Errorf("bob has %v", got)
	}
	if got := f.Effective(Subject{User: "alice", Owner: true}, 0); got != All {
		t.Errorf("the owner has %v", got)
	}
	if f.Err() != err || New().Err() != nil {
		t.Errorf("%v, %v", f.Err(), New().Err())
	}
	if len(f.Inherit()) > 0 || len(f.Entries()) > 0 {
		t.Errorf("%q, %v", f.Inherit(), f.Entries())
	}
	for _, who := range subjects {
		for _, r := range f.Explain(who, 0) {
			if r.Cause != BadFile || r.Line != 2 || r.Granted != who.Owner || !strings.Contains(r.Text, "'!' is no right") {
				t.Errorf("%v: %v", who, r)
			}
		}
	}
}

func TestExplain(t *testing.T) {
	f := mustParse(t, strings.Join([]string{
		"# the list", // 1
		"anyone lrsw",
		"-anyone w",
		"group=staff lri",
		"group=staff p",
		"group=sales lk",
		"-user=bob r", // 7
		"owner rsx",
		"-owner s",
		"user=carol i",
		"user=carol t",
	}, "\n"))
	for _, c := range []struct {
		who  Subject
		want string
	}{
		{Subject{User: "stranger"}, `
l: granted by line 2: anyone lrsw
r: granted by line 2: anyone lrsw
s: granted by line 2: anyone lrsw
w: denied by line 3: -anyone w
i: denied by no line
p: denied by no line
k: denied by no line
x: denied by no line
t: denied by no line
e: denied by no line
a: denied by no line
`},
		{Subject{User: "bob", Groups: []string{"staff", "sales"}}, `
l: granted by line 6: group=sales lk
r: denied by line 7: -user=bob r
s: denied by line 6: group=sales lk
w: denied by line 6: group=sales lk
i: granted by line 4: group=staff lri
p: granted by line 5: group=staff p
k: granted by line 6: group=sales lk
x: denied by no line
t: denied by no line
e: denied by no line
a: denied by no line
`},
		{Subject{User: "carol"}, `
l: denied by line 10: user=carol i
r: denied by line 10: user=carol i
s: denied by line 10: user=carol i
w: denied by line 10: user=carol i
i: granted by line 10: user=carol i
p: denied by no line
k: denied by no line
x: denied by no line
t: granted by line 11: user=carol t
e: denied by no line
a: denied by no line
`},
		{Subject{User: "alice", Owner: true}, `
l: granted to the owner always
r: granted by line 8: owner rsx
s: denied by line 9: -owner s
w: denied by line 8: owner rsx
i: denied by line 8: owner rsx
p: denied by line 8: owner rsx
k: denied by line 8: owner rsx
x: granted by line 8: owner rsx
t: denied by line 8: owner rsx
e: denied by line 8: owner rsx
a: granted to the owner always
`},
	} {
		got := "\n"
		for _, r := range f.Explain(c.who, 0) {
			got += r.String() + "\n"
		}
		if got != c.want {
			t.Errorf("%+v:%s", c.who, got)
		}
	}
	f = mustParse(t, "anyone l\n-user=bob s\n-user=bob s\n-user=carol s\n")
	for text, r := range map[string]Reason{
		"l: denied by line 2: -user=bob s": f.Explain(Subject{User: "bob"}, 0)[0],
		"l: granted by line 1: anyone l":   f.Explain(Subject{User: "carol"}, 0)[0],
		"a: granted by default":            f.Explain(Subject{User: "alice", Owner: true}, 0)[countRights-1],
		"r: granted by default":            New().Explain(Subject{User: "bob"}, Read)[1],
	} {
		if r.String() != text {
			t.Errorf("%v, want %s", r, text)
		}
	}
}

func BenchmarkEffective(b *testing.B) {
	f := New()
	for i := range 100 {
		if _, err := f.Set(Identifier{User, "user" + strings.Repeat("x", i)}, false, Replace, All); err != nil {
			b.Fatal(err)
		}
	}
	s := Subject{User: "userxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", Groups: []string{"staff"}}
	b.ReportAllocs()
	for b.Loop() {
		f.Effective(s, 0)
	}
}
