package search

import (
	"math"
	"strings"
	"testing"
	"time"

	"postroom/internal/account"
)

// at is a time in UTC.
func at(day, hour, minute int) time.Time {
	return time.Date(2026, 1, day, hour, minute, 0, 0, time.UTC)
}

// crlf gives a text the line ends of the wire.
func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func lf(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }

// letters differ in what the keys ask about. Each is found by few rows of the table.
var letters = []letter{
	{
		name: "plain", flags: account.Seen, keywords: []string{"Work"}, arrived: at(10, 12, 0),
		text: crlf("From: Ann Bee <ann@example.org>\nTo: bob@example.org\nCc: carol@example.org\nBcc: dave@example.org\n" +
			"Subject: The plan\nDate: Thu, 1 Jan 2026 23:30:00 -0800\nX-Two: first\nX-Two: second\n\nquarterly, but not to the end\n"),
	},
	{ // Date: in UTC it is the last of the year before
		name: "words", flags: account.Answered | account.Seen, keywords: []string{"work", "$Later"}, arrived: at(10, 23, 30),
		text: "From: =?utf-8?b?SsO8cmdlbg==?= <j@example.org>\nTo: =?iso-8859-1?q?Andr=E9?= <a@example.org>, bob@example.net\n" +
			"Subject: =?utf-8?b?R3LDvA==?=\n =?utf-8?q?=C3=9Fe?= aus\n\t=?koi8-r?b?7c/Ty9fZ?=\nDate: Thu, 1 Jan 2026 01:00:00 +0530\n" +
			"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n" +
			"Die St=C3=A4d=\nte sch=C3=\n=B6n=20alle, =CE=A3=CE=AF=CF=83=CF=85=CF=86=CE=BF=CF=82\n",
	},
	{ // no Date, fields of which nothing is said
		name: "empty", flags: account.Flagged, arrived: at(11, 0, 30),
		text: "From: ann@example.org\nSubject:\nX-Note: \n\n",
	},
	{ // no Subject; octets without a charset
		name: "bad", flags: account.Deleted | account.Draft, arrived: at(12, 12, 0),
		text: "From: z\xfcrich@example.org\nDate: sometime in January\nX-Odd: =?x-none?q?a_b?= =?bad\n\nk\xf6nnen\n",
	},
	{
		name: "parts", arrived: at(13, 12, 0),
		text: crlf("From: eve@example.org\nSubject: parts\nDate: 3 Jan 2026 00:00 GMT\nContent-Type: multipart/mixed; boundary=b\n\nbefore the parts\n" +
			"--b\nContent-Type: text/plain; charset=utf-16be\nContent-Transfer-Encoding: base64\nX-Part: of a part\n\nAEIA/AByAGcA\nZQBy\n" +
			"--b\nContent-Type: text/html\n\n<b>bold</b>\n" +
			"--b\nContent-Type: message/rfc822\n\nSubject: the inner one\n\ncontained\n" +
			"--b\nContent-Type: application/pdf; name=report.pdf\n\nopaque\n" +
			"--b\nContent-Type: text/plain\nContent-Transfer-Encoding: x-own\n\nsecret\n--b--\nafter the parts\n"),
	},
	{ // too long for the record to hold all of it; before 1970
		name: "long", arrived: at(13, 12, 0),
		text: "From: fay@example.org\nDate: Wed, 31 Dec 1969 23:59:59 +0000\nX-Long: " + strings.Repeat("x\n ", 500) + "=?utf-8?q?=C3=84rger?=\n" +
			"Subject: " + strings.Repeat("many words\n ", 300) + "\u00fcber\n\n" + strings.Repeat("all work and no play\n", 3000) + "na\u00efve\n",
	},
}

const (
	all  = "plain words empty bad parts long"
	none = ""
)

// TestKeys asks all that the package offers, in the words of RFC 9051 section 6.4.4, again and again: the answer is the
// same whether it comes from memory, from the cache or from the file.
func TestKeys(t *testing.T) {
	utc := time.UTC
	east := time.FixedZone("", 3600)
	day := func(n int) time.Time { return at(n, 0, 0) }
	epoch := time.Unix(0, 0).UTC()
	never := Not(All())
	subject := func(text string) Key { return Header("Subject", text) }
	rows := []struct {
		asked string
		key   Key
		want  string
	}{
		{"ALL", All(), all},
		{"NOT ALL", never, none},

		{"SEEN", Flag(account.Seen), "plain words"},
		{"UNSEEN", Not(Flag(account.Seen)), "empty bad parts long"},
		{"ANSWERED", Flag(account.Answered), "words"},
		{"FLAGGED", Flag(account.Flagged), "empty"},
		{"DELETED", Flag(account.Deleted), "bad"},
		{"DRAFT", Flag(account.Draft), "bad"},
		{"of two flags one", Flag(account.Flagged | account.Answered), "words empty"},
		{"KEYWORD WORK", Keyword("WORK"), "plain words"},
		{"KEYWORD $later", Keyword("$later"), "words"},
		{"KEYWORD Wor", Keyword("Wor"), none},
		{"UNKEYWORD work", Not(Keyword("work")), "empty bad parts long"},
		{"MODSEQ 0", ModSeq(0), all},
		{"MODSEQ 2^63-1", ModSeq(math.MaxInt64), none},

		// The day of INTERNALDATE is that of the zone: words came an hour before midnight, or after it.
		{"BEFORE 10", Arrived(Before, day(10), utc), none},
		{"BEFORE 11", Arrived(Before, day(11), utc), "plain words"},
		{"BEFORE 11 +0100", Arrived(Before, day(11), east), "plain"},
		{"ON 10", Arrived(On, day(10), utc), "plain words"},
		{"ON 11", Arrived(On, day(11), utc), "empty"},
		{"ON 11 +0100", Arrived(On, day(11), east), "words empty"},
		{"ON 10 -0100", Arrived(On, day(10), time.FixedZone("", -3600)), "plain words empty"},
		{"SINCE 11", Arrived(Since, day(11), utc), "empty bad parts long"},
		{"SINCE 13", Arrived(Since, day(13), utc), "parts long"},
		{"SINCE 14", Arrived(Since, day(14), utc), none},
		// The date that is asked for has no time and no zone.
		{"ON 11, at the day's end", Arrived(On, at(11, 23, 59), utc), "empty"},
		{"ON 11, of the far west", Arrived(On, time.Date(2026, 1, 11, 23, 0, 0, 0, time.FixedZone("", -12*3600)), utc), "empty"},

		// That of the Date field is the one that it names, whatever the zone; without one nothing matches but NOT.
		{"SENTON 1", Sent(On, day(1)), "plain words"},
		{"SENTON 2", Sent(On, day(2)), none},
		{"SENTON 3", Sent(On, day(3)), "parts"},
		{"SENTON 3, of the far east", Sent(On, time.Date(2026, 1, 3, 0, 0, 0, 0, time.FixedZone("", 14*3600))), "parts"},
		{"SENTBEFORE 1", Sent(Before, day(1)), "long"},
		{"SENTBEFORE 3", Sent(Before, day(3)), "plain words long"},
		{"SENTSINCE 1", Sent(Since, day(1)), "plain words parts"},
		{"SENTSINCE 3", Sent(Since, day(3)), "parts"},
		{"SENTSINCE 4", Sent(Since, day(4)), none},
		{"SENTON 31-Dec-1969", Sent(On, epoch.AddDate(0, 0, -1)), "long"},
		{"SENTBEFORE 1-Jan-1970", Sent(Before, epoch), "long"},
		{"SENTON 1-Jan-1970", Sent(On, epoch), none},
		{"NOT SENTBEFORE 3", Not(Sent(Before, day(3))), "empty bad parts"},
		{"NOT SENTSINCE 3", Not(Sent(Since, day(3))), "plain words empty bad long"},
		{"neither sent before nor since", Not(Or(Sent(Before, day(3)), Sent(Since, day(3)))), "empty bad"},

		// A list's date falls back on INTERNALDATE.
		{"dated 1", Dated(On, day(1), utc), "plain words"},
		{"dated 10", Dated(On, day(10), utc), none},
		{"dated 11", Dated(On, day(11), utc), "empty"},
		{"dated 10 -0100", Dated(On, day(10), time.FixedZone("", -3600)), "empty"},
		{"dated since 3", Dated(Since, day(3), utc), "empty bad parts"},
		{"dated before 2", Dated(Before, day(2), utc), "plain words long"},

		{"LARGER 0", Larger(0), all},
		{"LARGER 50000", Larger(50000), "long"},
		{"LARGER 2^64-1", Larger(math.MaxUint64), none},
		{"SMALLER 0", Smaller(0), none},
		{"SMALLER 50000", Smaller(50000), "plain words empty bad parts"},
		{"SMALLER 2^64-1", Smaller(math.MaxUint64), all},

		{"FROM ann", Header("From", "ann"), "plain empty"},
		{"FROM Bee <ANN@", Header("From", "Bee <ANN@"), "plain"},
		{"FROM ann bob", Header("From", "ann bob"), none},
		{"FROM bob", Header("From", "bob"), none},
		{"TO bob", Header("To", "bob"), "plain words"},
		{"TO carol", Header("To", "carol"), none},
		{"CC carol", Header("Cc", "carol"), "plain"},
		{"BCC dave", Header("Bcc", "dave"), "plain"},
		{"FROM J\u00dcRGEN", Header("From", "J\u00dcRGEN"), "words"},
		{"TO andre\u0301", Header("To", "andre\u0301"), "words"},
		{"FROM Z\u00dcRICH", Header("From", "Z\u00dcRICH"), "bad"},
		{"FROM of an encoded word's letters", Header("From", "SsO8"), none},

		{"SUBJECT plan", subject("PLAN"), "plain"},
		{"SUBJECT e p", subject("e p"), "plain"},
		{"SUBJECT an", subject("an"), "plain long"},
		{"SUBJECT plans", subject("plans"), none},
		{"SUBJECT gr\u00fc\u00dfe, of two words", subject("GR\u00dc\u00dfE"), "words"},
		{"SUBJECT e aus, across a word's end", subject("\u00dfe aus"), "words"},
		{"SUBJECT \u043c\u043e\u0441\u043a\u0432\u044b", subject("\u043c\u043e\u0441\u043a\u0432\u044b"), "words"},
		{"SUBJECT aus \u041c, across a fold", subject("aus \u041c"), "words"},
		{"SUBJECT =?utf-8?", subject("=?utf-8?"), none},
		{"SUBJECT \u00fcber, behind what is kept", subject("\u00dcBER"), "long"},
		{"SUBJECT many words many", subject("many words many"), "long"},

		// "" asks for the field: an empty one is there.
		{`SUBJECT ""`, subject(""), "plain words empty parts long"},
		{`NOT SUBJECT ""`, Not(subject("")), "bad"},
		{`HEADER Date ""`, Header("Date", ""), "plain words bad parts long"},
		{`HEADER X-Note ""`, Header("x-NOTE", ""), "empty"},
		{`HEADER X-Long ""`, Header("X-Long", ""), "long"},
		{`HEADER X-None ""`, Header("X-None", ""), none},
		{`HEADER X-Lon ""`, Header("X-Lon", ""), none},
		{`HEADER X-Part ""`, Header("X-Part", ""), none},
		{"HEADER X-Note x", Header("X-Note", "x"), none},
		{"HEADER X-Two SECOND", Header("X-Two", "SECOND"), "plain"},
		{"HEADER X-Two firstsecond", Header("X-Two", "firstsecond"), none},
		{"HEADER X-Long \u00e4RGER", Header("X-Long", "\u00e4RGER"), "long"},
		{"HEADER X-Odd a b", Header("X-Odd", "a b"), "bad"},
		{"HEADER X-Odd =?bad", Header("X-Odd", "=?bad"), "bad"},
		{"HEADER Date sometime", Header("Date", "sometime"), "bad"},

		{`BODY ""`, Body(""), all},
		{`TEXT ""`, Text(""), all},
		{"BODY QUARTERLY", Body("QUARTERLY"), "plain"},
		{"BODY st\u00e4dte, over a soft line end", Body("ST\u00c4DTE"), "words"},
		{"BODY sch\u00f6n alle, a letter cut in two", Body("sch\u00f6n ALLE"), "words"},
		{"BODY \u03c3\u03af\u03c3\u03c5\u03c6\u03bf\u03c3, of either sigma", Body("\u03c3\u03af\u03c3\u03c5\u03c6\u03bf\u03c3"), "words"},
		{"BODY =C3=A4", Body("=C3=A4"), none},
		{"BODY b\u00fcrger, of base64", Body("B\u00dcRGER"), "parts"},
		{"BODY AEIA/", Body("AEIA/"), none},
		{"BODY k\u00d6nnen, of no charset", Body("k\u00d6nnen"), "bad"},
		{"BODY na\u00cfve, far behind", Body("NA\u00cfVE"), "long"},
		{"BODY <b>", Body("<b>"), "parts"},
		{"BODY contained", Body("contained"), "parts"},
		{"BODY the inner one", Body("the inner one"), none},
		{"BODY opaque", Body("opaque"), none},
		{"BODY secret, of an unknown encoding", Body("secret"), none},
		{"BODY before the parts", Body("before the parts"), none},
		{"BODY after the parts", Body("after the parts"), none},
		{"BODY plan", Body("plan"), none},
		{"TEXT plan", Text("plan"), "plain"},
		{"TEXT the inner one", Text("the inner one"), "parts"},
		{"TEXT of a part", Text("of a part"), "parts"},
		{"TEXT report.pdf", Text("report.pdf"), "parts"},
		{"TEXT subject: gr\u00fc\u00dfe", Text("subject: gr\u00fc\u00dfe"), "words"},
		{"TEXT b\u00fcrger", Text("b\u00fcrger"), "parts"},
		{"TEXT opaque", Text("opaque"), none},
		{"TEXT no such thing", Text("no such thing"), none},

		{"attached", Attachment(), "parts"},

		{"()", And(), all},
		{"OR of nothing", Or(), none},
		{"(SEEN)", And(Flag(account.Seen)), "plain words"},
		{"SEEN SUBJECT plan", And(subject("plan"), Flag(account.Seen)), "plain"},
		{"SEEN NOT SUBJECT plan", And(Not(subject("plan")), Flag(account.Seen)), "words"},
		{"FROM ann BODY quarterly SINCE 10", And(Body("quarterly"), Header("From", "ann"), Arrived(Since, day(10), utc)), "plain"},
		{"OR FLAGGED BODY opaque", Or(Body("opaque"), Flag(account.Flagged)), "empty"},
		{"OR BODY b\u00fcrger FROM ann", Or(Body("b\u00fcrger"), Header("From", "ann")), "plain empty parts"},
		{"OR (SEEN NOT ANSWERED) DRAFT", Or(And(Flag(account.Seen), Not(Flag(account.Answered))), Flag(account.Draft)), "plain bad"},
		{"NOT OR SEEN DRAFT", Not(Or(Flag(account.Seen), Flag(account.Draft))), "empty parts long"},
		{"NOT (SEEN ANSWERED)", Not(And(Flag(account.Seen), Flag(account.Answered))), "plain empty bad parts long"},
		{"NOT NOT SEEN", Not(Not(Flag(account.Seen))), "plain words"},
		{"OR NOT ALL TEXT plan", Or(never, Text("plan")), "plain"},
	}
	b := newBox(t, letters...)
	for _, when := range []struct {
		known string
		open  func()
	}{{"nothing", func() {}}, {"all", func() {}}, {"the cache", b.open}, {"what no cache can keep", b.uncached}} {
		when.open()
		for _, r := range rows {
			if got := b.find(b.mbox.Current(), r.key); got != r.want {
				t.Errorf("%s, known is %s: %q, want %q", r.asked, when.known, got, r.want)
			}
		}
	}
}

// TestSizes: RFC822.SIZE is told of lines that end in CRLF, also if the file's do not; LARGER and SMALLER leave out the size itself.
func TestSizes(t *testing.T) {
	b := newBox(t, letters...)
	for _, l := range letters {
		size := uint64(len(crlf(lf(l.text))))
		for asked, is := range map[string]struct {
			key  Key
			want bool
		}{
			"LARGER by one less":  {Larger(size - 1), true},
			"LARGER":              {Larger(size), false},
			"SMALLER":             {Smaller(size), false},
			"SMALLER by one more": {Smaller(size + 1), true},
		} {
			got := strings.Contains(" "+b.find(b.mbox.Current(), is.key)+" ", " "+l.name+" ")
			if got != is.want {
				t.Errorf("%s of %d octets, %s: %v", l.name, size, asked, got)
			}
		}
	}
}

// TestModSeq: MODSEQ matches from the number itself on, and each change has one of its own.
func TestModSeq(t *testing.T) {
	b := newBox(t, letters...)
	must(t, b.mbox.TellModSeqs(t.Context()))
	was := b.sync().HighestModSeq()
	for _, uid := range []uint32{5, 3, 1} {
		b.store(uid, account.StoreAdd, account.Flagged|account.Draft)
	}
	now := b.mbox.Current()
	for _, r := range []struct {
		n    uint64
		want string
	}{
		{1, all}, {was + 1, "plain empty parts"}, {now.ModSeq(2), "plain empty"}, {now.ModSeq(2) + 1, "plain"}, {now.HighestModSeq(), "plain"}, {now.HighestModSeq() + 1, none},
	} {
		if got := b.find(now, ModSeq(r.n)); got != r.want {
			t.Errorf("MODSEQ %d: %q, want %q", r.n, got, r.want)
		}
	}
}

// TestCosts: And and Or have what their dearest key costs, and try the cheapest first, those of one cost as they came.
func TestCosts(t *testing.T) {
	costs := map[string][2]Cost{
		"ALL":          {All().Cost(), CostNone},
		`BODY ""`:      {Body("").Cost(), CostNone},
		"SEEN":         {Flag(account.Seen).Cost(), CostFlags},
		"KEYWORD":      {Keyword("x").Cost(), CostFlags},
		"MODSEQ":       {ModSeq(1).Cost(), CostFlags},
		"ON":           {Arrived(On, at(1, 0, 0), time.UTC).Cost(), CostInfo},
		"LARGER":       {Larger(1).Cost(), CostInfo},
		"SENTON":       {Sent(On, at(1, 0, 0)).Cost(), CostHeader},
		"dated":        {Dated(On, at(1, 0, 0), time.UTC).Cost(), CostHeader},
		"SUBJECT":      {Header("Subject", "x").Cost(), CostHeader},
		"attached":     {Attachment().Cost(), CostHeader},
		"BODY":         {Body("x").Cost(), CostBody},
		"TEXT":         {Text("x").Cost(), CostBody},
		"()":           {And().Cost(), CostNone},
		"NOT BODY":     {Not(Body("x")).Cost(), CostBody},
		"SEEN BODY":    {And(Flag(account.Seen), Body("x"), All()).Cost(), CostBody},
		"OR SEEN ON":   {Or(Arrived(On, at(1, 0, 0), time.UTC), Flag(account.Seen)).Cost(), CostInfo},
		"(SEEN)":       {And(Flag(account.Seen)).Cost(), CostFlags},
		"of one's own": {Test(CostInfo, nil).Cost(), CostInfo},
	}
	for asked, c := range costs {
		if c[0] != c[1] {
			t.Errorf("%s costs %d, want %d", asked, c[0], c[1])
		}
	}
	b := newBox(t, letters[0])
	for _, result := range []bool{true, false} {
		var tried string
		key := func(name string, c Cost) Key {
			return Test(c, func(*Candidate) (bool, error) { tried += name; return result, nil })
		}
		list := func() []Key {
			return []Key{key("e", CostBody), key("c", CostHeader), key("a", CostNone), key("d", CostHeader), key("b", CostInfo)}
		}
		for asked, k := range map[string]struct {
			key  Key
			want string
		}{
			"and": {And(list()...), map[bool]string{true: "abcde", false: "a"}[result]},
			"or":  {Or(list()...), map[bool]string{true: "a", false: "abcde"}[result]},
		} {
			tried = ""
			got := b.find(b.mbox.Current(), k.key)
			if want := map[bool]string{true: "plain", false: ""}[result]; tried != k.want || got != want {
				t.Errorf("%s of %v: tried %s, found %q", asked, result, tried, got)
			}
		}
	}
}
