package compose

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"

	"postroom/internal/message"
)

// TestWriteRead writes drafts and reads them again.
func TestWriteRead(t *testing.T) {
	from := Address{Name: "Älice, the \"first\"", Addr: "alice@example.org"}
	for name, d := range map[string]Draft{
		"empty":           {},
		"plain":           {From: from, To: "bob@example.org", Subject: "Hello", Text: "Hi!\n"},
		"half an address": {From: from, To: "bob@example.org, car", Cc: "Dör", Text: "x\n"},
		"several lines of addresses": {From: from, To: "Bob <bob@example.org>, \"O, Neill\" <c@example.org>, Jörg <j@example.org>",
			Bcc: "secret@example.org", Text: "x\n"},
		"subjects":               {Subject: "Grüße aus dem 東京 " + strings.Repeat("sehr langer Betreff ", 20) + "=?utf-8?q?x?= end"},
		"long word in a subject": {Subject: strings.Repeat("x", 1200)},
		"text": {Text: "ein Absatz, der " + strings.Repeat("lang und länger wird ", 30) + "Ende\n\n> quoted " + strings.Repeat("word ", 40) +
			"end\n>> deeper\n  two spaces\nFrom here\n-- \nsignature\n" + strings.Repeat("y", 3000) + "\n"},
		"threads": {MessageID: "a.b@c", InReplyTo: []string{"1@x"}, References: []string{"0@x", "1@x"}, Text: "x\n",
			Original: Original{Kind: Reply, Box: "Other Users/bob/Ärger & mehr", UIDValidity: 7, UID: 4294967295}},
		"attachments": {Text: "see\n", Attachments: []Attachment{
			file("a.txt", "text/plain; charset=latin1", "line\nline\r\n\x00\xff"),
			file("Übersicht für alle, mit Kosten.pdf", "application/pdf", strings.Repeat("%PDF\x00", 10000)),
			file("nothing", "", ""),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			raw := written(t, &d)
			for i, line := range strings.Split(raw, "\r\n") {
				if len(line) > 998 || strings.ContainsAny(line, "\r\n\x00") || !sevenBit(line) {
					t.Fatalf("line %d cannot be sent: %.100q", i, line)
				}
			}
			got, err := Read(parse(t, raw))
			if err != nil {
				t.Fatal(err)
			}
			if got.From != d.From || got.To != d.To || got.Cc != d.Cc || got.Bcc != d.Bcc {
				t.Errorf("addresses\n got %+v %q %q %q\nwant %+v %q %q %q", got.From, got.To, got.Cc, got.Bcc, d.From, d.To, d.Cc, d.Bcc)
			}
			if got.Subject != d.Subject {
				t.Errorf("subject %q, want %q", got.Subject, d.Subject)
			}
			if want := d.Text; strings.TrimRight(got.Text, "\n") != strings.TrimRight(want, "\n") {
				t.Errorf("text\n got %q\nwant %q", got.Text, want)
			}
			if got.MessageID != d.MessageID || got.MessageID == "" || got.Original != d.Original ||
				FormatIDs(got.InReplyTo) != FormatIDs(d.InReplyTo) || FormatIDs(got.References) != FormatIDs(d.References) {
				t.Errorf("thread: got %+v\nwant %+v", got, d)
			}
			if len(got.Attachments) != len(d.Attachments) {
				t.Fatalf("%d attachments, want %d", len(got.Attachments), len(d.Attachments))
			}
			for i, a := range got.Attachments {
				if a.Name != d.Attachments[i].Name || contentOfAttachment(t, a) != contentOfAttachment(t, d.Attachments[i]) {
					t.Errorf("attachment %d: %q", i, a.Name)
				}
			}
		})
	}
}

// TestStandardReaders has Go's own packages read what is written.
func TestStandardReaders(t *testing.T) {
	d := Draft{
		From: Address{Name: "Älice", Addr: "alice@example.org"}, To: "Bob B. <bob@bücher.example>", Cc: "c@example.org", Bcc: "d@example.org",
		Subject: "Grüße", Text: "Schön\n", Attachments: []Attachment{file("ü.txt", "text/plain", "hello")},
	}
	var b bytes.Buffer
	if err := d.WriteMessage(&b, testIdentity()); err != nil {
		t.Fatal(err)
	}
	m, err := mail.ReadMessage(&b)
	if err != nil {
		t.Fatal(err)
	}
	to, err := m.Header.AddressList("To")
	if err != nil || len(to) != 1 || to[0].Address != "bob@xn--bcher-kva.example" || to[0].Name != "Bob B." {
		t.Errorf("To: %v, %v", to, err)
	}
	from, err := m.Header.AddressList("From")
	if err != nil || from[0].Name != "Älice" {
		t.Errorf("From: %v, %v", from, err)
	}
	if s, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil || s != "Grüße" {
		t.Errorf("Subject: %q, %v", s, err)
	}
	if date, err := m.Header.Date(); err != nil || !date.Equal(testIdentity().Now) {
		t.Errorf("Date: %v, %v", date, err)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	text, err := parts.NextRawPart()
	if err != nil {
		t.Fatal(err)
	}
	if s, err := io.ReadAll(quotedprintable.NewReader(text)); err != nil || string(s) != "Schön\r\n" {
		t.Errorf("text %q, %v", s, err)
	}
	att, err := parts.NextPart()
	if err != nil || att.FileName() != "ü.txt" {
		t.Errorf("attachment %q, %v", att.FileName(), err)
	}
	if _, err := parts.NextPart(); err != io.EOF {
		t.Errorf("after the last part: %v", err)
	}
}

// TestInjection puts line ends into everything that a person can type or send.
func TestInjection(t *testing.T) {
	const evil = "x\r\nBcc: evil@example.net\r\n\r\nbody\nX-Evil: 1\rX-Evil: 2\x00\u2028"
	d := Draft{
		From: Address{Name: evil, Addr: "alice@example.org"}, To: "a@example.org\r\nX-Evil: 1", Cc: evil, Bcc: "\"\r\nX-Evil: 1\" <b@example.org>",
		Subject: evil, MessageID: "a\r\nX-Evil: 1@b", InReplyTo: []string{"a\r\nX-Evil: 1"}, References: []string{evil, "ok@x"},
		Original:    Original{Kind: Reply, Box: evil, UID: 1},
		Attachments: []Attachment{file(evil, "text/plain\r\nX-Evil: 1", "x"), file("\"\r\nX-Evil: 1", "text/plain; name=\"a\r\nX-Evil: 1\"", "y")},
	}
	raw := written(t, &d)
	src, m := parse(t, raw)
	seen := func(name, value string) bool {
		switch strings.ToLower(name) {
		case "date", "from", "to", "bcc", "subject", "message-id", "references", "mime-version", "content-type", "content-disposition",
			"content-transfer-encoding", strings.ToLower(originalField), strings.ToLower(typedPrefix + "To"),
			strings.ToLower(typedPrefix + "Cc"), strings.ToLower(typedPrefix + "Bcc"):
		default:
			t.Errorf("a field %s: %q came in", name, value)
		}
		if strings.Contains(value, "evil@example.net") && strings.EqualFold(name, "bcc") {
			t.Errorf("a recipient came in: %q", value)
		}
		return true
	}
	for _, path := range [][]int{nil, {1}, {2}, {3}} {
		spec := message.Mime
		if path == nil {
			spec = message.Header
		}
		s, ok := m.Section(path, spec)
		if !ok {
			t.Fatalf("no part %v", path)
		}
		if err := message.EachField(src, m, s, seen); err != nil {
			t.Fatal(err)
		}
	}
	if len(m.Root.Children) != 3 {
		t.Errorf("%d parts", len(m.Root.Children))
	}
	d.From.Addr = "a@b\r\nX-Evil: 1"
	var bad *BadAddress
	if err := d.WriteDraft(io.Discard, testIdentity()); !errors.As(err, &bad) {
		t.Errorf("a bad From: %v", err)
	}
}

func TestBounds(t *testing.T) {
	many := strings.Repeat("a@example.org,", MaxRecipients/2)
	for name, d := range map[string]Draft{
		"text":        {Text: strings.Repeat("x", MaxText+1)},
		"subject":     {Subject: strings.Repeat("x", MaxSubject+1)},
		"attachments": {Attachments: make([]Attachment, MaxAttachments+1)},
		"addresses":   {To: strings.Repeat("x", maxList+1)},
	} {
		if err := d.WriteDraft(io.Discard, testIdentity()); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if all, err := (&Draft{To: many, Cc: many}).Recipients(); err != nil || len(all) != 1 {
		t.Errorf("one address many times: %v, %v", all, err)
	}
	if _, err := (&Draft{}).Recipients(); !errors.Is(err, ErrNoRecipients) {
		t.Errorf("none: %v", err)
	}
}

func TestOutgoing(t *testing.T) {
	d := Draft{From: Address{Addr: "a@example.org"}, To: "b@example.org", Bcc: "secret@example.org", Text: "hello\n"}
	var b bytes.Buffer
	if err := d.WriteMessage(&b, testIdentity()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "secret@example.org") {
		t.Error("what is kept does not tell of Bcc")
	}
	stored := strings.ReplaceAll(b.String(), "\r\n", "\n") // as Maildirs have it
	src, m := parse(t, stored)
	r, size, err := Outgoing(src, m)
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(out)) != size || strings.Contains(string(out), "secret") || !strings.HasSuffix(string(out), "\r\n\r\nhello\r\n") {
		t.Errorf("%d octets, %d announced: %q", len(out), size, out)
	}
}

func TestNeeds(t *testing.T) {
	for _, c := range []struct {
		text, to string
		want     Needs
	}{
		{"Subject: x\r\n\r\nplain\r\n", "a@b", Needs{}},
		{"Subject: x\r\n\r\nschön\r\n", "a@b", Needs{EightBit: true}},
		{"Subject: schön\r\n\r\nplain\r\n", "a@b", Needs{EightBit: true, UTF8: true}},
		{"Subject: x\r\n\r\nplain\r\n", "jörg@b", Needs{UTF8: true}},
	} {
		if got, err := NeedsOf(strings.NewReader(c.text), "x@y", []string{c.to}); err != nil || got != c.want {
			t.Errorf("%q to %s: %+v, %v", c.text, c.to, got, err)
		}
	}
}

// TestAttachedMessage attaches messages, which may not be encoded (RFC 2046 section 5.2.1).
func TestAttachedMessage(t *testing.T) {
	for name, c := range map[string]struct{ text, typ, encoding string }{
		"plain":       {"Subject: in\n\nhello\n", "message/rfc822", "7bit"},
		"eight bits":  {"Subject: in\n\nschön\n", "message/rfc822", "8bit"},
		"a NUL":       {"Subject: in\n\nx\x00\n", "application/octet-stream", "base64"},
		"a long line": {"Subject: in\n\n" + strings.Repeat("x", 999) + "\n", "application/octet-stream", "base64"},
	} {
		t.Run(name, func(t *testing.T) {
			src, m := parse(t, c.text)
			d, err := Answer(src, m, Asking{Kind: ForwardAs})
			if err != nil {
				t.Fatal(err)
			}
			_, out := parse(t, written(t, d))
			p, ok := out.Part([]int{2})
			if !ok {
				t.Fatal("no second part")
			}
			if typ, sub := p.MediaType(); typ+"/"+sub != c.typ || p.Encoding != c.encoding {
				t.Errorf("%s/%s in %s, want %s in %s", typ, sub, p.Encoding, c.typ, c.encoding)
			}
			if name := partName(p); name != "in.eml" {
				t.Errorf("its name is %q", name)
			}
		})
	}
}
