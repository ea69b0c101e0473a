package message

import (
	"bytes"
	"testing"

	"postroom/internal/message/mailtest"
)

func TestHasAttachment(t *testing.T) {
	mixed := func(parts ...string) string {
		s := "Content-Type: multipart/mixed; boundary=b\n\n"
		for _, p := range parts {
			s += "--b\n" + p + "\n"
		}
		return s + "--b--\n"
	}
	const text, picture = "Content-Type: text/plain\n\nx\n", "Content-Type: image/png\n"
	for name, c := range map[string]struct {
		mail string
		want bool
	}{
		"text":                   {text, false},
		"nothing":                {"", false},
		"PDF alone":              {"Content-Type: application/pdf\n\nx\n", true},
		"text and PDF":           {mixed(text, "Content-Type: application/pdf\n\nx\n"), true},
		"text as attachment":     {mixed(text, "Content-Type: text/plain\nContent-Disposition: Attachment; filename=\"a (b).txt\"\n\nx\n"), true},
		"two texts":              {mixed(text, text), false},
		"inline with Content-ID": {mixed(text, picture+"Content-ID: <a@b>\nContent-Disposition: inline\n\nx\n"), false},
		"related picture":        {"Content-Type: multipart/related; boundary=b\n\n--b\n" + text + "\n--b\n" + picture + "Content-ID: <a@b>\n\nx\n--b--\n", false},
		"message":                {mixed(text, "Content-Type: message/rfc822\n\nSubject: (\"attachment\" x\n\nx\n"), true},
		"signature":              {mixed(text, "Content-Type: application/pgp-signature; name=s.asc\n\nx\n"), false},
		"encrypted":              {"Content-Type: multipart/encrypted; boundary=b\n\n--b\nContent-Type: application/pgp-encrypted\n\nx\n--b\nContent-Type: application/octet-stream\n\nx\n--b--\n", false},
		"quotes and literals":    {mixed(text, picture+"Content-Description: \"(\\\" é\n\nx\n"), true},
		"alternative":            {"Content-Type: multipart/alternative; boundary=b\n\n--b\n" + text + "\n--b\nContent-Type: text/html\n\nx\n--b--\n", false},
	} {
		if got := parsedRecord(t, []byte(c.mail)).HasAttachment(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	for i := range uint64(2000) { // it reads what AppendBodyStructure writes, to its end
		rec := parsedRecord(t, mailtest.Message(7, i))
		s := structureReader{b: rec.BodyStructure()}
		if s.skip(); s.bad || len(s.b) > 0 {
			t.Fatalf("message %d: %q is left of %q", i, s.b, rec.BodyStructure())
		}
		rec.HasAttachment()
	}
}

func parsedRecord(t *testing.T, mail []byte) Record {
	t.Helper()
	m, err := Parse(bytes.NewReader(mail))
	if err != nil {
		t.Fatal(err)
	}
	return recordOf(t, m, mail)
}
