package compose

import (
	"errors"
	"strings"
	"testing"
	"time"
)

var testOwn = []Address{{Name: "Alice", Addr: "alice@example.org"}, {Name: "A.", Addr: "a@example.net"}}

func asking(kind Kind) Asking {
	return Asking{
		Kind: kind, Own: testOwn,
		Attribution: func(from Address, sent time.Time) string { return from.String() + " wrote:" },
		ForwardHead: func(h ForwardHead) string { return "FORWARD " + h.From + "|" + h.To + "|" + h.Subject },
	}
}

func TestAnswerAddresses(t *testing.T) {
	const bob = "From: Bob <bob@example.org>\n"
	for _, c := range []struct {
		name, head   string
		kind         Kind
		from, to, cc string
	}{
		{"reply", bob + "To: alice@example.org, c@example.org\n", Reply, "alice@example.org", "Bob <bob@example.org>", ""},
		{"reply to Reply-To", bob + "Reply-To: list@example.org\nTo: A@example.net\n", Reply, "a@example.net", "list@example.org", ""},
		{"reply to Mail-Reply-To", bob + "Reply-To: list@example.org\nMail-Reply-To: b@x.example\n", Reply, "alice@example.org", "b@x.example", ""},
		{"reply to oneself", "From: alice@example.org\nTo: bob@example.org\n", Reply, "alice@example.org", "bob@example.org", ""},
		{"all", bob + "To: ALICE@example.org, c@example.org, Bob <BOB@example.org>\nCc: d@example.org, c@example.org\n", ReplyAll, "alice@example.org", "Bob <bob@example.org>", "c@example.org, d@example.org"},
		{"all, from oneself", "From: a@example.net\nTo: bob@example.org\nCc: alice@example.org, d@example.org\n", ReplyAll, "a@example.net", "bob@example.org", "d@example.org"},
		{"all, to oneself alone", "From: alice@example.org\nTo: alice@example.org\n", ReplyAll, "alice@example.org", "alice@example.org", ""},
		{"all, Mail-Followup-To", bob + "To: alice@example.org, l@example.org\nMail-Followup-To: l@example.org, alice@example.org\n", ReplyAll, "alice@example.org", "l@example.org", ""},
		{"list", bob + "To: l@example.org\nList-Post: NO <http://x>, <mailto:l@example.org?subject=x>\n", ReplyList, "alice@example.org", "l@example.org", ""},
		{"a group", bob + "To: Team: c@example.org, alice@example.org;, d@example.org\n", ReplyAll, "alice@example.org", "Bob <bob@example.org>", "c@example.org, d@example.org"},
		{"delivered to", bob + "To: l@example.org\nDelivered-To: a@example.net\n", Reply, "a@example.net", "Bob <bob@example.org>", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			src, m := parse(t, c.head+"Message-ID: <1@x>\n\nhello\n")
			d, err := Answer(src, m, asking(c.kind))
			if err != nil {
				t.Fatal(err)
			}
			if d.From.Addr != c.from || d.To != c.to || d.Cc != c.cc {
				t.Errorf("from %q to %q cc %q, want %q, %q, %q", d.From.Addr, d.To, d.Cc, c.from, c.to, c.cc)
			}
		})
	}
	src, m := parse(t, bob+"List-Post: NO\n\nx\n")
	if _, err := Answer(src, m, asking(ReplyList)); !errors.Is(err, ErrNoList) {
		t.Errorf("without a list: %v", err)
	}
}

func TestAnswerText(t *testing.T) {
	src, m := parse(t, "From: Bob <bob@example.org>\nSubject: AW: Re[2]: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\nMessage-ID: <3@x>\nReferences: <1@x> <2@x>\n"+
		"Content-Type: text/plain; format=flowed\n\na long \nline\n> quoted\n-- \nBob\n")
	d, err := Answer(src, m, asking(Reply))
	if err != nil {
		t.Fatal(err)
	}
	if d.Subject != "Re: Grüße" || FormatIDs(d.References) != "<1@x> <2@x> <3@x>" || FormatIDs(d.InReplyTo) != "<3@x>" {
		t.Errorf("%+v", d)
	}
	if want := "\n\nBob <bob@example.org> wrote:\n> a long line\n>> quoted\n"; d.Text != want {
		t.Errorf("text %q, want %q", d.Text, want)
	}
	d, err = Answer(src, m, asking(Forward))
	if err != nil {
		t.Fatal(err)
	}
	if d.Subject != "Fwd: Grüße" || len(d.InReplyTo) != 0 || !strings.HasPrefix(d.Text, "\n\nFORWARD Bob <bob@example.org>||AW: Re[2]: Grüße\n\na long line\n") {
		t.Errorf("forward: %+v", d)
	}
}

// TestForeignDraft reads a draft that another program wrote: its HTML becomes text, and nothing attached is lost.
func TestForeignDraft(t *testing.T) {
	const draft = "From: alice@example.org\nSubject: x\nContent-Type: multipart/mixed; boundary=a\nMIME-Version: 1.0\n\n" +
		"--a\nContent-Type: multipart/alternative; boundary=b\n\n" +
		"--b\nContent-Type: text/plain\n\nplain words\n" +
		"--b\nContent-Type: multipart/related; boundary=c\n\n" +
		"--c\nContent-Type: text/html\n\n<p>formatted</p>\n" +
		"--c\nContent-Type: image/png\nContent-ID: <1>\nContent-Disposition: inline; filename*=utf-8''b%C3%A4r.png\nContent-Transfer-Encoding: base64\n\nAAAA\n" +
		"--c--\n--b--\n" +
		"--a\nContent-Type: text/plain\nContent-Disposition: attachment; filename=notes.txt\n\nnotes\n" +
		"--a\nContent-Type: message/rfc822\n\nSubject: inner\n\nhello\n" +
		"--a--\n"
	src, m := parse(t, draft)
	d, err := Read(src, m)
	if err != nil {
		t.Fatal(err)
	}
	if d.Text != "plain words" || !d.Formatted {
		t.Errorf("text %q, formatted %v", d.Text, d.Formatted)
	}
	var names []string
	for _, a := range d.Attachments {
		names = append(names, a.Part+" "+a.Name+" "+a.Type)
	}
	if got := strings.Join(names, ", "); got != "1.2.2 bär.png image/png, 2 notes.txt text/plain, 3 inner.eml message/rfc822" {
		t.Errorf("attachments: %s", got)
	}
	again, err := Read(parse(t, written(t, d)))
	if err != nil {
		t.Fatal(err)
	}
	if len(again.Attachments) != 3 || contentOfAttachment(t, again.Attachments[0]) != "\x00\x00\x00" ||
		strings.TrimSpace(contentOfAttachment(t, again.Attachments[1])) != "notes" || !again.Attachments[2].Message {
		t.Errorf("after it was saved: %+v", again.Attachments)
	}
	if a, ok, err := Attached(src, m, "2"); err != nil || !ok || a.Name != "notes.txt" {
		t.Errorf("Attached: %+v %v %v", a, ok, err)
	}
	if _, ok, _ := Attached(src, m, "1"); ok {
		t.Error("the text is no attachment")
	}
}

// FuzzAnswer answers whatever comes, and reads what it wrote.
func FuzzAnswer(f *testing.F) {
	f.Add("From: a@b\nSubject: x\nContent-Type: multipart/mixed; boundary=a\n\n--a\n\nx\n--a\nContent-Type: image/png; name=x\n\ny\n--a--\n")
	f.Add("From: a@b\nContent-Type: text/html\n\n<p>x<blockquote>y")
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range []Kind{Reply, ReplyAll, Forward, ForwardAs} {
			src, m := parse(t, text)
			d, err := Answer(src, m, asking(kind))
			if err != nil {
				continue
			}
			raw := written(t, d)
			again, err := Read(parse(t, raw))
			if err != nil {
				t.Fatal(err)
			}
			if len(again.Attachments) != len(d.Attachments) || len(splitList(again.To)) != len(splitList(d.To)) {
				t.Errorf("%s: %d attachments to %q became %d to %q", kind, len(d.Attachments), d.To, len(again.Attachments), again.To)
			}
		}
	})
}
