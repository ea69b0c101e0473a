package addressbook

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"postroom/internal/account"
)

// desk is alice's book over a directory of its own, at a time that the test tells.
type desk struct {
	t    *testing.T
	dir  string // of the vCards
	book *Book
	mu   sync.Mutex
	now  time.Time // guarded by mu
}

func newDesk(t *testing.T) *desk {
	root := t.TempDir()
	svc, err := account.New(account.Config{Root: filepath.Join(root, "{user}")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(svc.Close)
	u, err := svc.Open(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.Close)
	d := &desk{t: t, dir: filepath.Join(root, "alice", "postroom-contacts"), now: time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)}
	d.book = NewBooks(slog.New(slog.DiscardHandler), d.clock).Open(u)
	return d
}

func (d *desk) clock() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}

func (d *desk) later() {
	d.mu.Lock()
	d.now = d.now.Add(recheck)
	d.mu.Unlock()
}

func (d *desk) save(c Contact) string {
	d.t.Helper()
	id, err := d.book.Save(d.t.Context(), c)
	if err != nil {
		d.t.Fatal(err)
	}
	return id
}

func (d *desk) get(id string) Contact {
	d.t.Helper()
	c, err := d.book.Get(d.t.Context(), id)
	if err != nil {
		d.t.Fatal(err)
	}
	return c
}

// names lists what a search finds.
func names(t *testing.T, s Source, q Query) string {
	t.Helper()
	found, more, err := s.Search(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, c := range found {
		out = append(out, c.Name)
	}
	if more {
		out = append(out, "…")
	}
	return strings.Join(out, ", ")
}

func email(addr string) []Labelled { return []Labelled{{Value: addr}} }

func TestBook(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	id := d.save(Contact{Name: "Jörg Müller", Given: "Jörg", Family: "Müller", Emails: email("jm@example.org"), Phones: []Labelled{{Value: "+49 (30) 123-456"}}})
	d.save(Contact{Emails: email("zoe@example.net"), Organization: "Zoo"})
	d.save(Contact{Name: "anna", Nickname: "Ann"})
	for q, want := range map[Query]string{
		{}: "anna, Jörg Müller, Zoo", {Limit: 2}: "anna, Jörg Müller, …", {Limit: 2, Offset: 2}: "Zoo", {Offset: 9}: "", {Offset: -1, Limit: 1}: "anna, …",
		{Text: "MULL"}: "Jörg Müller", {Text: "jorg example.org"}: "Jörg Müller", {Text: "üller"}: "", {Text: "49 123456"}: "", {Text: "123456"}: "Jörg Müller",
		{Text: "example"}: "Jörg Müller, Zoo", {Text: "an"}: "anna", {Text: "an", Best: true}: "", {Text: "  \xff "}: "anna, Jörg Müller, Zoo",
	} {
		if got := names(t, d.book, q); got != want {
			t.Errorf("%+v finds %q, not %q", q, got, want)
		}
	}

	c := d.get(id)
	c.Title = "Baker"
	d.save(c)
	if _, err := d.book.Save(ctx, c); !errors.Is(err, ErrChanged) {
		t.Errorf("saved over what was changed meanwhile: %v", err)
	}
	if err := d.book.Delete(ctx, id, c.Version); !errors.Is(err, ErrChanged) {
		t.Errorf("deleted what was changed meanwhile: %v", err)
	}
	if got := d.get(id); got.Title != "Baker" || got.Emails[0].Value != "jm@example.org" {
		t.Errorf("it is %+v", got)
	}
	if err := d.book.Delete(ctx, id, d.get(id).Version); err != nil {
		t.Error(err)
	}
	for _, id := range []string{id, "", "..", "../x", "x.vcf", "x.vcf/2", "x.vcf/0", "a/b/c", ".hidden"} {
		if _, err := d.book.Get(ctx, id); !errors.Is(err, ErrNoContact) {
			t.Errorf("Get %q: %v", id, err)
		}
		if err := d.book.Delete(ctx, id, ""); !errors.Is(err, ErrNoContact) {
			t.Errorf("Delete %q: %v", id, err)
		}
	}
	if got := names(t, d.book, Query{}); got != "anna, Zoo" {
		t.Errorf("there is %q", got)
	}
}

// Files of other programs are seen, and one of several contacts is edited in place.
func TestBookOfOthers(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	d.save(Contact{Name: "zz"})
	several := "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:1\r\nFN:One\r\nEND:VCARD\r\nBEGIN:VCARD\r\nVERSION:2.1\r\nUID:2\r\nN:Two;;;;\r\nX-KEEP;A:b\r\nEND:VCARD\r\n"
	if err := os.WriteFile(d.dir+"/several.vcf", []byte(several), 0o600); err != nil {
		t.Fatal(err)
	}
	d.later()
	if got := names(t, d.book, Query{}); got != "One, Two, zz" {
		t.Fatalf("there is %q", got)
	}
	two := d.get("several.vcf/2")
	two.Note = "edited"
	d.save(two)
	data, err := os.ReadFile(d.dir + "/several.vcf")
	if err != nil {
		t.Fatal(err)
	}
	if first, _, _ := strings.Cut(several, "BEGIN:VCARD\r\nVERSION:2.1"); !strings.HasPrefix(string(data), first) {
		t.Errorf("the other card changed:\n%s", data)
	}
	for _, want := range []string{"X-KEEP;TYPE=A:b\r\n", "NOTE:edited\r\n", "FN:Two\r\n"} {
		if !strings.Contains(string(data), want) {
			t.Errorf("there is no %q in\n%s", want, data)
		}
	}
	if err := d.book.Delete(ctx, "several.vcf", d.get("several.vcf").Version); err != nil {
		t.Error(err)
	}
	if got := names(t, d.book, Query{}); got != "Two, zz" {
		t.Errorf("there is %q", got)
	}
	var out strings.Builder
	if err := d.book.Export(ctx, &out); err != nil || strings.Count(out.String(), "BEGIN:VCARD") != 2 {
		t.Errorf("exported %v\n%s", err, out.String())
	}
}

func TestImport(t *testing.T) {
	d := newDesk(t)
	one := func(uid, fn string) string {
		return "BEGIN:VCARD\r\nVERSION:3.0\r\n" + uid + "FN:" + fn + "\r\nEND:VCARD\r\n"
	}
	huge := one("UID:huge\r\n", strings.Repeat("x", account.MaxOwnFile))
	for _, step := range []struct {
		name, in string
		replace  bool
		want     Imported
		err      error
		names    string
	}{
		{"nothing", "hello", false, Imported{}, ErrNoCards, ""},
		{"some", one("UID:a\r\n", "A") + one("UID:../../b\r\n", "B") + one("", "C") + huge, false, Imported{Added: 3, Refused: 1}, nil, "A, B, C"},
		{"again", one("UID:a\r\n", "A") + one("UID:../../b\r\n", "B") + one("", "C"), true, Imported{Kept: 3}, nil, "A, B, C"},
		{"others, kept", one("UID:a\r\n", "A2") + one("UID:d\r\n", "D"), false, Imported{Added: 1, Kept: 1}, nil, "A, B, C, D"},
		{"others, replaced", one("UID:a\r\n", "A2") + one("UID:d\r\n", "D"), true, Imported{Replaced: 1, Kept: 1}, nil, "A2, B, C, D"},
		{"twice in one", one("UID:e\r\n", "E") + one("UID:e\r\n", "E") + one("UID:e\r\n", "E2"), false, Imported{Added: 2}, nil, "A2, B, C, D, E, E2"},
		{"empty ones", "BEGIN:VCARD\nEND:VCARD\n" + one("", "F"), false, Imported{Added: 1}, nil, "A2, B, C, D, E, E2, F"},
		{"too many", strings.Repeat("BEGIN:VCARD\nEND:VCARD\n", MaxImportCards+1), false, Imported{}, ErrTooBig, "A2, B, C, D, E, E2, F"},
		{"too large", strings.Repeat("x", MaxImport+1), false, Imported{}, ErrTooBig, "A2, B, C, D, E, E2, F"},
	} {
		got, err := d.book.Import(t.Context(), strings.NewReader(step.in), step.replace)
		if got != step.want || !errors.Is(err, step.err) {
			t.Errorf("%s: %+v, %v; not %+v, %v", step.name, got, err, step.want, step.err)
		}
		if got := names(t, d.book, Query{}); got != step.names {
			t.Errorf("%s: there is %q, not %q", step.name, got, step.names)
		}
	}
	// What was exported is imported as the same.
	var out strings.Builder
	if err := d.book.Export(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	other := newDesk(t)
	if got, err := other.book.Import(t.Context(), strings.NewReader(out.String()), false); got != (Imported{Added: 7}) || err != nil {
		t.Errorf("into another book: %+v, %v", got, err)
	}
}

func TestDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "global")
	src := NewDirectory(dir, slog.New(slog.DiscardHandler))
	if _, _, err := src.Search(t.Context(), Query{}); err == nil {
		t.Error("a directory that is not there is no error")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var now time.Time
	src.index.clock = func() time.Time { now = now.Add(recheck); return now }
	put("all.vcf", "BEGIN:VCARD\nFN:Anna\nEMAIL:anna@x.de\nEND:VCARD\nBEGIN:VCARD\nFN:Bert\nEND:VCARD\n")
	put("empty.VCF", "")
	put("notes.txt", "BEGIN:VCARD\nFN:No\nEND:VCARD\n")
	put(".hidden.vcf", "BEGIN:VCARD\nFN:No\nEND:VCARD\n")
	if got := names(t, src, Query{}); got != "Anna, Bert" {
		t.Errorf("there is %q", got)
	}
	put("c.vcf", "BEGIN:VCARD\nFN:Carl\nEND:VCARD\n")
	put("all.vcf", "BEGIN:VCARD\nFN:Anne-Marie\nEND:VCARD\n")
	if got := names(t, src, Query{}); got != "Anne-Marie, Carl" {
		t.Errorf("after a change there is %q", got)
	}
	if err := os.Remove(filepath.Join(dir, "c.vcf")); err != nil {
		t.Fatal(err)
	}
	if got := names(t, src, Query{}); got != "Anne-Marie" {
		t.Errorf("after a removal there is %q", got)
	}
	if c, err := src.Get(t.Context(), "all.vcf"); c.Name != "Anne-Marie" || err != nil {
		t.Errorf("Get: %+v, %v", c, err)
	}
	for _, id := range []string{"", "../x.vcf", "notes.txt", ".hidden.vcf", "c.vcf", "all.vcf/2"} {
		if _, err := src.Get(t.Context(), id); !errors.Is(err, ErrNoContact) {
			t.Errorf("Get %q: %v", id, err)
		}
		if _, err := src.VCard(t.Context(), id); !errors.Is(err, ErrNoContact) {
			t.Errorf("VCard %q: %v", id, err)
		}
	}
}

func TestComplete(t *testing.T) {
	d := newDesk(t)
	dir := t.TempDir()
	d.save(Contact{Name: "Anna Berg", Emails: []Labelled{{Value: "berg@work.example"}, {Value: "anna@home.example"}}})
	d.save(Contact{Name: "Berta", Emails: email("b@x.de")})
	d.save(Contact{Emails: email("bernd@x.de")})
	global := "BEGIN:VCARD\nFN:Anna B.\nEMAIL:ANNA@home.example\nEND:VCARD\nBEGIN:VCARD\nFN:Bea\nEMAIL:bea@x.de\nEND:VCARD\n"
	if err := os.WriteFile(dir+"/g.vcf", []byte(global), 0o600); err != nil {
		t.Fatal(err)
	}
	src := NewDirectory(dir, slog.New(slog.DiscardHandler))
	for _, c := range []struct {
		text  string
		limit int
		want  string
	}{
		{"anna", 9, "Anna Berg <anna@home.example>, Anna Berg <berg@work.example>"},
		{"be", 9, " <bernd@x.de>, Berta <b@x.de>, Anna Berg <berg@work.example>, Anna Berg <anna@home.example>, Bea <bea@x.de>"},
		{"be", 2, " <bernd@x.de>, Berta <b@x.de>"},
		{`"Anna Berg" <an`, 1, "Anna Berg <berg@work.example>"},
		{" ", 9, ""}, {"nobody", 9, ""}, {"be", 0, ""},
	} {
		list, err := Complete(t.Context(), c.text, c.limit, d.book, src)
		var got []string
		for _, s := range list {
			got = append(got, fmt.Sprintf("%s <%s>", s.Name, s.Address))
		}
		if strings.Join(got, ", ") != c.want || err != nil {
			t.Errorf("%q: %q, %v; not %q", c.text, strings.Join(got, ", "), err, c.want)
		}
	}
	// One source that fails takes nothing from the others.
	bad := NewDirectory(dir+"/not there", slog.New(slog.DiscardHandler))
	if list, err := Complete(t.Context(), "bea", 9, bad, src); len(list) != 1 || err == nil {
		t.Errorf("with a source that fails: %v, %v", list, err)
	}
}
