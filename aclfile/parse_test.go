package aclfile

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func mustParse(t testing.TB, text string) *File {
	t.Helper()
	f, err := Parse([]byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return f
}

func TestParseLine(t *testing.T) {
	bob := Identifier{User, "bob"}
	for _, c := range []struct {
		text string
		want Entry
	}{
		{"anyone lr", Entry{Identifier: Identifier{Kind: Anyone}, Rights: Lookup | Read}},
		{"anonymous l", Entry{Identifier: Identifier{Kind: Anyone}, Rights: Lookup}},
		{"authenticated", Entry{Identifier: Identifier{Kind: Authenticated}}},
		{"owner akxeilprwts", Entry{Identifier: Identifier{Kind: Owner}, Rights: All}},
		{"-owner a", Entry{Identifier: Identifier{Kind: Owner}, Negative: true, Rights: Administer}},
		{"user=bob ", Entry{Identifier: bob}},
		{"user=bob lrl", Entry{Identifier: bob, Rights: Lookup | Read}},
		{"user=bob \t lr\t ", Entry{Identifier: bob, Rights: Lookup | Read}},
		{"-user=bob s", Entry{Identifier: bob, Negative: true, Rights: WriteSeen}},
		{"user=-bob s", Entry{Identifier: Identifier{User, "-bob"}, Rights: WriteSeen}},
		{"user=user=bob s", Entry{Identifier: Identifier{User, "user=bob"}, Rights: WriteSeen}},
		{"group=anyone s", Entry{Identifier: Identifier{Group, "anyone"}, Rights: WriteSeen}},
		{"group-override=g s", Entry{Identifier: Identifier{GroupOverride, "g"}, Rights: WriteSeen}},
		{`"user=u 5" l`, Entry{Identifier: Identifier{User, "u 5"}, Rights: Lookup}},
		{`"-user=u 5" l`, Entry{Identifier: Identifier{User, "u 5"}, Negative: true, Rights: Lookup}},
		{`"user=bob" l`, Entry{Identifier: bob, Rights: Lookup}},
		{`"user=bob"`, Entry{Identifier: bob}},
		{`"user=a\"b\\c\'d e" l`, Entry{Identifier: Identifier{User, `a"b\c'd e`}, Rights: Lookup}},
		{`user=a\b"c l`, Entry{Identifier: Identifier{User, `a\b"c`}, Rights: Lookup}},
		{"user=řehoř l", Entry{Identifier: Identifier{User, "řehoř"}, Rights: Lookup}},
		{"user=bob l :read,write-seen\tadmin", Entry{Identifier: bob, Rights: Lookup | Read | WriteSeen | Administer}},
		{"user=bob l:zeta alpha", Entry{Identifier: bob, Rights: Lookup, Private: []string{"alpha", "zeta"}}},
		{"user=bob :x,x, :y", Entry{Identifier: bob, Private: []string{":y", "x"}}},
		{"user=bob :", Entry{Identifier: bob}},
		{"user=" + strings.Repeat("x", MaxIdentifier-5) + " l", Entry{Identifier: Identifier{User, strings.Repeat("x", MaxIdentifier-5)}, Rights: Lookup}},
	} {
		for _, end := range []string{"", "\n", "\r\n", "\r"} {
			c.want.Line = 1
			if got := mustParse(t, c.text+end).Entries(); len(got) != 1 || !reflect.DeepEqual(got[0], c.want) {
				t.Errorf("%q: %+v, want %+v", c.text+end, got, c.want)
			}
		}
	}
}

func TestParseBadLine(t *testing.T) {
	for _, c := range []struct{ text, reason string }{
		{"bob lr", `"bob" is none of`},
		{"Anyone lr", `"Anyone" is none of`},
		{"anyonelr", "none of"},
		{"anyone=x lr", "none of"},
		{"user lr", "none of"},
		{"- lr", "none of"},
		{"--anyone lr", `"-anyone" is none of`},
		{"-anyone\u00a0lr", "none of"},
		{"\ufeffanyone lr", "none of"},
		{" anyone lr", "begins with a space"},
		{"  ", "begins with a space"},
		{"\tanyone lr", "control character U+0009"},
		{"user= lr", `no name after "user="`},
		{"-group= lr", `no name after "group="`},
		{`"group-override=" lr`, `no name after "group-override="`},
		{"user=bob c", `'c' is no right`},
		{"user=bob lrd", `'d' is no right`},
		{"user=bob lrL", `'L' is no right`},
		{"user=bob lr1", `'1' is no right`},
		{"user=bob +lr", `'+' is no right`},
		{"user=bob lrž", `'ž' is no right`},
		{"user=bob \xff", "is no right"},
		{"user=bob\xff lr", "not UTF-8"},
		{"user=b\x00b lr", "control character U+0000"},
		{"user=bob\tlr", "control character U+0009"},
		{"user=bob\u0085 lr", "control character U+0085"},
		{"user=bob lr :a\x01", "control character U+0001"},
		{"user=bob lr :a\xfe", "not UTF-8"},
		{"user=bob lr w", `"w" after the rights`},
		{"user=bob l r:x", `"r:x" after the rights`},
		{`"user=bob lr`, "no closing quote"},
		{`"user=bob\`, "no closing quote"},
		{`"`, "no closing quote"},
		{`"" lr`, "none of"},
		{`"user=b ob"lr`, "no space after the closing quote"},
		{"user=" + strings.Repeat("x", MaxIdentifier-4) + " l", "longer than 1024 octets"},
		{"user=bob lr\r\r", "is no right"},
	} {
		f, err := Parse([]byte("anyone l\n" + c.text + "\nowner l\n"))
		syntax, ok := err.(*SyntaxError)
		if !ok || f != nil {
			t.Errorf("%q: %v, %v", c.text, f, err)
			continue
		}
		if syntax.Line != 2 || !strings.Contains(syntax.Reason, c.reason) || len(syntax.More) > 0 {
			t.Errorf("%q: %v, want %q", c.text, err, c.reason)
		}
	}
}

func TestSyntaxErrors(t *testing.T) {
	_, err := Parse([]byte("anyone lr\n\nbob l\n#\nuser=c C"))
	syntax, ok := err.(*SyntaxError)
	if !ok {
		t.Fatal(err)
	}
	if syntax.Line != 3 || len(syntax.More) != 1 || syntax.More[0].Line != 5 {
		t.Errorf("%+v", syntax)
	}
	if got := err.Error(); !strings.HasPrefix(got, `line 3: "bob" is none of`) || !strings.HasSuffix(got, "(and 1 more bad lines)") {
		t.Error(got)
	}
	for _, c := range []struct{ text, want string }{
		{strings.Repeat("#", MaxSize+1), "larger than 262144 octets"},
		{strings.Repeat("\n", MaxLines+1), "more than 4096 lines"},
	} {
		if _, err := Parse([]byte(c.text)); err == nil || err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
	mustParse(t, strings.Repeat("#", MaxSize))
	mustParse(t, strings.Repeat("\n", MaxLines))
}

// TestFormat wants octets to come back as they were, and entries through Dovecot's form.
func TestFormat(t *testing.T) {
	const seed = 1
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range 2000 {
		text := someFile(r)
		f := mustParse(t, text)
		if got := string(f.Format()); got != text {
			t.Fatalf("seed %d, file %d: %q, want %q", seed, i, got, text)
		}
		again := mustParse(t, string(f.Inherit()))
		if got, want := withoutLines(again.Entries()), withoutLines(f.Entries()); !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d, file %d: %+v, want %+v", seed, i, got, want)
		}
		for _, s := range subjects {
			if got, want := again.Effective(s, 0), f.Effective(s, 0); got != want {
				t.Fatalf("seed %d, file %d, inherited by %+v: %v, want %v", seed, i, s, got, want)
			}
		}
	}
}

func withoutLines(entries []Entry) []Entry {
	for i := range entries {
		entries[i].Line = 0
	}
	return entries
}

func TestIdentifierForms(t *testing.T) {
	for _, c := range []struct {
		id             Identifier
		file, imap     string
		imapOfNegative string
	}{
		{Identifier{Kind: Anyone}, "anyone", "anyone", "-anyone"},
		{Identifier{Kind: Authenticated}, "authenticated", "authenticated", "-authenticated"},
		{Identifier{Kind: Owner}, "owner", "owner", "-owner"},
		{Identifier{User, "bob"}, "user=bob", "bob", "-bob"},
		{Identifier{User, "b ob"}, "user=b ob", "b ob", "-b ob"},
		{Identifier{User, "anonymous"}, "user=anonymous", "anonymous", "-anonymous"},
		{Identifier{Group, "g"}, "group=g", "$g", "-$g"},
		{Identifier{Group, "$g"}, "group=$g", "$$g", "-$$g"},
		{Identifier{GroupOverride, "g"}, "group-override=g", "!$g", "-!$g"},
		{Identifier{User, "!g"}, "user=!g", "!g", "-!g"},
		{Identifier{User, "anyone"}, "user=anyone", "user=anyone", "-user=anyone"},
		{Identifier{User, "owner"}, "user=owner", "user=owner", "-user=owner"},
		{Identifier{User, "authenticated"}, "user=authenticated", "user=authenticated", "-user=authenticated"},
		{Identifier{User, "$g"}, "user=$g", "user=$g", "-user=$g"},
		{Identifier{User, "!$g"}, "user=!$g", "user=!$g", "-user=!$g"},
		{Identifier{User, "-bob"}, "user=-bob", "user=-bob", "-user=-bob"},
		{Identifier{User, "#bob"}, "user=#bob", "user=#bob", "-user=#bob"},
		{Identifier{User, "user=bob"}, "user=user=bob", "user=user=bob", "-user=user=bob"},
	} {
		if got := c.id.String(); got != c.file {
			t.Errorf("%+v: %q, want %q", c.id, got, c.file)
		}
		if got, err := ParseIdentifier(c.file); err != nil || got != c.id {
			t.Errorf("%q: %+v, %v", c.file, got, err)
		}
		for negative, want := range map[bool]string{false: c.imap, true: c.imapOfNegative} {
			if got := c.id.IMAP(negative); got != want {
				t.Errorf("%+v: IMAP %q, want %q", c.id, got, want)
			}
			if got, minus, err := ParseIMAP(want); err != nil || got != c.id || minus != negative {
				t.Errorf("IMAP %q: %+v, %v, %v", want, got, minus, err)
			}
		}
	}
	for _, s := range []string{
		"", "-", "$", "-$", "!$", "user=", "#anyone", "-#bob", "--bob", "b\tob", "b\xffb", "bob\x00", "$g\x7f",
		strings.Repeat("x", MaxIdentifier), "$" + strings.Repeat("x", MaxIdentifier-5),
	} {
		if id, _, err := ParseIMAP(s); err == nil {
			t.Errorf("IMAP %q: %+v", s, id)
		}
	}
}

func TestIdentifierOrder(t *testing.T) {
	want := []Identifier{
		{Kind: Anyone},
		{Kind: Authenticated},
		{Group, "a"},
		{Group, "b"},
		{Kind: Owner},
		{User, "B"},
		{User, "a"},
		{GroupOverride, "a"},
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, Identifier.Compare)
	if !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

func TestRights(t *testing.T) {
	if got := All.String(); got != "lrswipkxtea" {
		t.Errorf("%s", got)
	}
	if got := All.Wire(); got != "lrswipkxteacd" {
		t.Errorf("%s", got)
	}
	if got := All.fileString(); got != "akxeilprwts" {
		t.Errorf("%s", got)
	}
	for r := Rights(0); r <= All; r++ {
		for _, s := range []string{r.String(), r.fileString()} {
			if got, err := ParseRights(s); err != nil || got != r {
				t.Fatalf("%q: %v, %v", s, got, err)
			}
		}
		if got, want := strings.ContainsRune(r.Wire(), 'c'), r.Has(Create) || r.Has(Delete); got != want {
			t.Fatalf("c in %s: %v", r.Wire(), got)
		}
		if got, want := strings.ContainsRune(r.Wire(), 'd'), r.HasAny(WriteDeleted|Expunge); got != want {
			t.Fatalf("d in %s: %v", r.Wire(), got)
		}
	}
	if len(rightNames) != countRights {
		t.Errorf("%d names", len(rightNames))
	}
}

func TestParseModRights(t *testing.T) {
	for _, c := range []struct {
		text   string
		mode   Mode
		rights string
		bad    bool
	}{
		{text: "", rights: ""},
		{text: "lr", rights: "lr"},
		{text: "+s", mode: Add, rights: "s"},
		{text: "+", mode: Add},
		{text: "-s", mode: Remove, rights: "s"},
		{text: "-", mode: Remove},
		{text: "c", rights: "kx"},
		{text: "d", rights: "te"},
		{text: "cx", rights: "kx"},
		{text: "det", rights: "te"},
		{text: "-d", mode: Remove, rights: "te"},
		{text: "-c", mode: Remove, rights: "kx"},
		{text: "+lcda", mode: Add, rights: "lkxtea"},
		{text: "aetxkpiwsrl", rights: "lrswipkxtea"},
		{text: "lR", bad: true},
		{text: "L", bad: true},
		{text: "C", bad: true},
		{text: "ln", bad: true},
		{text: "l0", bad: true},
		{text: "l r", bad: true},
		{text: "++l", bad: true},
		{text: "+-l", bad: true},
		{text: "l+", bad: true},
		{text: "lé", bad: true},
		{text: "l\x00", bad: true},
	} {
		mode, rights, err := ParseModRights(c.text)
		if (err != nil) != c.bad || !c.bad && (mode != c.mode || rights.String() != c.rights) {
			t.Errorf("%q: %v %q %v", c.text, mode, rights, err)
		}
	}
}

func TestListRights(t *testing.T) {
	for always, want := range map[Rights]string{
		0:           `"" l r s w i p k x t e a c d`,
		OwnerAlways: `la r s w i p k x t e c d`,
	} {
		got := strings.Join(ListRights(always), " ")
		if always == 0 {
			got = `""` + got
		}
		if got != want {
			t.Errorf("%v: %s, want %s", always, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "anyone lr\n", "-user=bob s\n\"user=u 5\" l\n", "# x\r\n\r\nowner akx :a,b\r\n", `"user=a\"b" l :read`, "group=g\ngroup-override=g\nanonymous",
		"user=bob l\nuser=bob r\n", "bob lr",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, err := Parse([]byte(text))
		if err != nil {
			if syntax, ok := err.(*SyntaxError); !ok || syntax.Reason == "" {
				t.Fatalf("%#v", err)
			}
			return
		}
		if got := string(file.Format()); got != text {
			t.Fatalf("%q came back as %q", text, got)
		}
		inherited := string(file.Inherit())
		again, err := Parse([]byte(inherited))
		if err != nil {
			// Repeated lines make entries that are not in the file.
			if err.(*SyntaxError).Line != 0 {
				t.Fatalf("%q gave %q: %v", text, inherited, err)
			}
			return
		}
		if got := string(again.Inherit()); got != inherited {
			t.Fatalf("%q gave %q, and that %q", text, inherited, got)
		}
		for _, s := range subjects {
			want := file.Effective(s, 0)
			if got := again.Effective(s, 0); got != want {
				t.Fatalf("%q for %+v: %v, inherited %v", text, s, want, got)
			}
			if s.Owner && !want.Has(OwnerAlways) {
				t.Fatalf("%q: the owner has %v", text, want)
			}
			for _, reason := range file.Explain(s, 0) {
				if reason.Granted != want.Has(reason.Right) {
					t.Fatalf("%q for %+v: %v, but %v", text, s, want, reason)
				}
			}
		}
		for _, e := range file.Entries() {
			id, negative, err := ParseIMAP(e.Identifier.IMAP(e.Negative))
			if err != nil || id != e.Identifier || negative != e.Negative {
				t.Fatalf("%q: %+v came back as %+v, %v, %v", text, e, id, negative, err)
			}
		}
	})
}

// ExampleFile_Set shows that a change leaves what others have written.
func ExampleFile_Set() {
	f, _ := Parse([]byte("# The team reads.\ngroup=team lr\n\n# Bob is on leave until May.\n-user=bob i\n"))
	mode, rights, _ := ParseModRights("+i")
	id, negative, _ := ParseIMAP("$team")
	_, _ = f.Set(id, negative, mode, rights)
	id, negative, _ = ParseIMAP("carol")
	_, _ = f.Set(id, negative, Replace, Lookup|Read)
	fmt.Print(string(f.Format()))
	// Output:
	// # The team reads.
	// group=team ilr
	//
	// # Bob is on leave until May.
	// -user=bob i
	// user=carol lr
}
