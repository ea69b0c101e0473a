package addressbook

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-vcard"
	"golang.org/x/text/encoding/unicode"
)

// crlf makes of a text in a test the octets of a file.
func crlf(s string) string {
	return strings.ReplaceAll(strings.TrimPrefix(s, "\n"), "\n", "\r\n")
}

// brief is what the tables of tests say of a contact.
func (c Contact) brief() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s|%s|%s|%s", c.Name, c.Given, c.Family, c.Organization)
	for _, rows := range [][]Labelled{c.Emails, c.Phones} {
		for _, r := range rows {
			fmt.Fprintf(&b, "|%s:%s", r.Label, r.Value)
		}
	}
	for _, p := range c.Addresses {
		fmt.Fprintf(&b, "|%s:%s", p.Label, strings.ReplaceAll(p.Key(), "\n", "/"))
	}
	return b.String()
}

var oddCards = []struct{ name, in, want string }{
	{"3.0", "BEGIN:VCARD\nVERSION:3.0\nFN:Alice Liddell\nN:Liddell;Alice;;;\nORG:Wonderland\\, Inc.;Rabbits\nEMAIL;TYPE=INTERNET,WORK:alice@example.org\nTEL;TYPE=CELL:+49 30 1\nEND:VCARD\n",
		"Alice Liddell|Alice|Liddell|Wonderland, Inc.|work:alice@example.org|cell:+49 30 1"},
	{"4.0 preferred, URIs, quotes", "BEGIN:VCARD\nVERSION:4.0\nFN:Bob\nEMAIL;PREF=2:second@x.de\nEMAIL;PREF=1;TYPE=home:first@x.de\nTEL;VALUE=uri;TYPE=\"voice,work\":tel:+1-2\nEND:VCARD\n",
		"Bob||||home:first@x.de|:second@x.de|work:+1-2"},
	{"2.1 quoted-printable, bare types", "BEGIN:VCARD\nVERSION:2.1\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;J=C3=B6rg;;;\nTEL;HOME;VOICE:030/1;23\nEMAIL;INTERNET;PREF:j@x.de\nADR;WORK;ENCODING=QUOTED-PRINTABLE;CHARSET=UTF-8:;;Lange Stra=C3=9Fe 1=0D=0A=\nHinterhaus;Berlin;;10115;\nEND:VCARD\n",
		"Jörg Müller|Jörg|Müller||:j@x.de|home:030/1;23|work:Lange Straße 1/Hinterhaus/Berlin//10115/"},
	{"2.1 latin-1", "BEGIN:VCARD\nVERSION:2.1\nFN;CHARSET=ISO-8859-1:J\xf6rg, der Erste\nN:M\\;ller;J\nEND:VCARD\n", "Jörg, der Erste|J|M;ller|"},
	{"no charset", "BEGIN:VCARD\nVERSION:3.0\nFN:J\xf6rg\nEND:VCARD\n", "Jörg|||"},
	{"no version, small letters, spaces", "begin:vcard\nfn:Eve \nemail;internet: eve@x.de\nend:vcard\n", "Eve ||||:eve@x.de"},
	{"folded in a character", "BEGIN:VCARD\nVERSION:3.0\nFN:J\xc3\n \xb6rg of the\n  hill\nEND:VCARD\n", "Jörg of the hill|||"},
	{"no end", "BEGIN:VCARD\nVERSION:3.0\nFN:One\n\nEMAIL:one@x.de\n", "One||||:one@x.de"},
	{"old Mac's line ends", "BEGIN:VCARD\rVERSION:3.0\rFN:Mac\rEND:VCARD\r", "Mac|||"},
	{"byte order mark", "\ufeffBEGIN:VCARD\nVERSION:3.0\nFN:Bom\nEND:VCARD", "Bom|||"},
	{"Apple's labels", "BEGIN:VCARD\nVERSION:3.0\nFN:A\nitem1.EMAIL;type=INTERNET;type=pref:a@x.de\nitem1.X-ABLabel:School\nitem2.TEL:1\nitem2.X-ABLabel:_$!<Work>!$_\nEND:VCARD\n",
		"A||||School:a@x.de|work:1"},
	{"garbage between", "hello\nBEGIN:VCARD\nVERSION:3.0\nno colon here\n:no name\nFN:G\n;;;:x\nEND:VCARD\n", "G|||"},
	{"no name at all", "BEGIN:VCARD\nVERSION:3.0\nEMAIL:only@x.de\nEND:VCARD\n", "only@x.de||||:only@x.de"},
	{"nested", "BEGIN:VCARD\nVERSION:2.1\nFN:Boss\nAGENT:\nBEGIN:VCARD\nFN:Helper\nEND:VCARD\nEMAIL:boss@x.de\nEND:VCARD\n", "Boss||||:boss@x.de"},
	{"base64 without indentation", "BEGIN:VCARD\nVERSION:2.1\nPHOTO;JPEG;BASE64:AAAA\nBBBB\n\nFN:P\nEND:VCARD\n", "P|||"},
	{"unbalanced quote", "BEGIN:VCARD\nVERSION:3.0\nEMAIL;X=\"oops:q@x.de\nEND:VCARD\n", "q@x.de||||:q@x.de"},
}

func TestOddCards(t *testing.T) {
	for _, c := range oddCards {
		cards, more := readCards([]byte(c.in), 10)
		if len(cards) != 1 || more {
			t.Errorf("%s: %d cards, more: %v", c.name, len(cards), more)
			continue
		}
		if got := cards[0].contact().brief(); got != c.want {
			t.Errorf("%s:\n%s\nnot\n%s", c.name, got, c.want)
		}
		// What is written says the same to us and, as far as it understands that, to another program.
		data := cards[0].format()
		again, _ := readCards(data, 10)
		if len(again) != 1 || again[0].contact().brief() != cards[0].contact().brief() || !bytes.Equal(again[0].format(), data) {
			t.Errorf("%s: written and read again it differs:\n%s", c.name, data)
		}
		other, err := vcard.NewDecoder(bytes.NewReader(data)).Decode()
		if err != nil {
			t.Errorf("%s: another program: %v\n%s", c.name, err, data)
			continue
		}
		if fn := other.Value("FN"); fn != "" && fn != cards[0].text("FN") {
			t.Errorf("%s: to another program it is %q", c.name, fn)
		}
	}
}

func TestManyCards(t *testing.T) {
	one := "BEGIN:VCARD\nVERSION:3.0\nFN:x\nEND:VCARD\n"
	for _, c := range []struct {
		in    string
		limit int
		want  int
		more  bool
	}{
		{"", 5, 0, false}, {"\x00\xff\n\n", 5, 0, false}, {strings.Repeat(one, 3), 5, 3, false}, {strings.Repeat(one, 3), 2, 2, true},
		{"BEGIN:VCARD\nFN:a\nBEGIN:VCARD\nFN:b\n", 5, 2, false}, {strings.Repeat("BEGIN:VCARD\n", 4), 3, 3, true},
	} {
		if cards, more := readCards([]byte(c.in), c.limit); len(cards) != c.want || more != c.more {
			t.Errorf("%.20q…: %d cards, more: %v", c.in, len(cards), more)
		}
	}
	utf16, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String("BEGIN:VCARD\r\nFN:Żółw\r\nEND:VCARD\r\n")
	if err != nil {
		t.Fatal(err)
	}
	if cards, _ := readCards([]byte(utf16), 5); len(cards) != 1 || cards[0].text("FN") != "Żółw" {
		t.Errorf("UTF-16 gives %d cards", len(cards))
	}
	long := "BEGIN:VCARD\nFN:x\n" + strings.Repeat("NOTE:y\n", maxCardLines) + "END:VCARD\n"
	if cards, _ := readCards([]byte(long), 1); !cards[0].cut {
		t.Error("a card of too many lines is not cut")
	}
}

// Editing changes the lines that it must, and leaves all others as they stand.
func TestEditKeeps(t *testing.T) {
	in := crlf(`
BEGIN:VCARD
VERSION:3.0
PRODID:-//Somebody//
UID:u1
N:Liddell;Alice;Pleasance;Miss;
FN:Alice Liddell
item1.EMAIL;type=INTERNET;X-NOTE="a:b;c":alice@example.org
item1.X-ABLabel:School
EMAIL;TYPE=HOME,pref:home@example.org
TEL;TYPE=WORK,VOICE:1
X-ODD;P="q:r";Q=1,2:a\,b;c\;d,e\\f
CATEGORIES:one,two
PHOTO;ENCODING=b;TYPE=JPEG:AAAABBBBCCCCDDDDEEEEFFFFGGGGHHHHIIIIJJJJKKKKLLLLMMMM
 NNNNOOOO
REV:20200101T000000Z
END:VCARD
`)
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name string
		edit func(*Contact)
		want []string // old line, new line, and so on; "" for none
	}{
		{"nothing", func(*Contact) {}, nil},
		{"family name", func(c *Contact) { c.Family = "Hargreaves, née L." }, []string{"N:Liddell;Alice;Pleasance;Miss;", `N:Hargreaves\, née L.;Alice;Pleasance;Miss;`}},
		{"an address", func(c *Contact) { c.Emails[1].Value = "new@example.org" },
			[]string{`item1.EMAIL;type=INTERNET;X-NOTE="a:b;c":alice@example.org`, `item1.EMAIL;TYPE=INTERNET;X-NOTE="a:b;c":new@example.org`}},
		{"no address with a label", func(c *Contact) { c.Emails = c.Emails[:1] },
			[]string{`item1.EMAIL;type=INTERNET;X-NOTE="a:b;c":alice@example.org` + "\r\n" + "item1.X-ABLabel:School\r\n", ""}},
		{"another label", func(c *Contact) { c.Phones[0].Label = "cell" }, []string{"TEL;TYPE=WORK,VOICE:1", "TEL;TYPE=voice,cell:1"}},
		{"one more", func(c *Contact) { c.Note = "a; b\nc"; c.Phones = append(c.Phones, Labelled{Value: "2", Label: "fax"}) },
			[]string{"REV:", "NOTE:a\\; b\\nc\r\nTEL;TYPE=fax:2\r\nREV:"}},
	} {
		cards, _ := readCards([]byte(in), 1)
		contact := cards[0].contact()
		c.edit(&contact)
		if err := contact.tidy(); err != nil {
			t.Fatal(c.name, err)
		}
		cards[0].apply(contact, now)
		want := strings.Replace(in, "REV:20200101T000000Z", "REV:20261127T120000Z", 1)
		for i := 0; i < len(c.want); i += 2 {
			if !strings.Contains(want, c.want[i]) {
				t.Fatalf("%s: there is no %q", c.name, c.want[i])
			}
			want = strings.Replace(want, c.want[i], c.want[i+1], 1)
		}
		got := string(cards[0].format())
		if sortLines(got) != sortLines(want) {
			t.Errorf("%s:\n%s\nnot\n%s", c.name, got, want)
		}
	}
}

// sortLines makes the order of lines matter not.
func sortLines(s string) string {
	lines := strings.Split(strings.ReplaceAll(s, "\r\n ", ""), "\r\n")
	for i := range lines {
		for j := i; j > 0 && lines[j] < lines[j-1]; j-- {
			lines[j], lines[j-1] = lines[j-1], lines[j]
		}
	}
	return strings.Join(lines, "\n")
}

func TestTidy(t *testing.T) {
	for _, c := range []struct {
		name  string
		in    Contact
		field string // of the error; "" for none
	}{
		{"good", Contact{Name: "x"}, ""},
		{"by address alone", Contact{Emails: []Labelled{{Value: " a@x.de\r\n"}}}, ""},
		{"nothing", Contact{Emails: []Labelled{{Value: "  "}}}, "name"},
		{"no address", Contact{Name: "x", Emails: []Labelled{{Value: "nobody"}}}, "email"},
		{"an address with another", Contact{Name: "x", Emails: []Labelled{{Value: "a@x.de>, <b@x.de"}}}, "email"},
		{"no address as it was before", Contact{Name: "x", Emails: []Labelled{{Value: "nobody", Was: "nobody"}}}, ""},
		{"long", Contact{Name: strings.Repeat("ü", maxText+1)}, "name"},
		{"many", Contact{Name: "x", Phones: manyRows(maxRows + 1)}, "phone"},
	} {
		err := c.in.tidy()
		var fe *FieldError
		if errors.As(err, &fe) != (c.field != "") || fe != nil && (fe.Field != c.field || !errors.Is(err, ErrInvalid)) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	// Nothing that is typed becomes a line of its own.
	evil := Contact{Name: "x\r\nEND:VCARD\r\nBEGIN:VCARD", Note: "a\r\nUID:b\x00", Emails: []Labelled{{Value: "a@x.de", Label: "l\"\r\nX:y"}}}
	if err := evil.tidy(); err != nil {
		t.Fatal(err)
	}
	one := &card{version: "3.0"}
	one.apply(evil, time.Now())
	if cards, _ := readCards(one.format(), 5); len(cards) != 1 || cards[0].uid() != "" || cards[0].first("X") != nil {
		t.Errorf("it became\n%s", one.format())
	}
}

func manyRows(n int) []Labelled {
	rows := make([]Labelled, n)
	for i := range rows {
		rows[i].Value = fmt.Sprint(i)
	}
	return rows
}

func FuzzCards(f *testing.F) {
	for _, c := range oddCards {
		f.Add([]byte(c.in))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		cards, _ := readCards(data, 20)
		for _, c := range cards {
			contact := c.contact()
			out := c.format()
			again, more := readCards(out, 20)
			if len(again) != 1 || more {
				t.Fatalf("it is %d cards when it was written:\n%q", len(again), out)
			}
			if err := contact.tidy(); err == nil && !c.cut {
				c.apply(contact, time.Unix(0, 0))
				if edited, _ := readCards(c.format(), 20); len(edited) != 1 {
					t.Fatalf("it is %d cards when it was edited:\n%q", len(edited), c.format())
				}
			}
		}
	})
}
