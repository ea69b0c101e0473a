package message

import (
	"io"
	"strings"
	"testing"
)

func TestSmoke(t *testing.T) {
	s := "From: A <a@b>\nContent-Type: multipart/mixed; boundary=xx\nSubject: hi\n\npre\n--xx\nContent-Type: text/html\n\nhello\nworld\n--xx\nContent-Type: message/rfc822\n\nSubject: in\n\nbody\n--xx--\nepi\n"
	m, err := Parse(strings.NewReader(s))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", m.AppendEnvelope(nil))
	t.Logf("%s", m.AppendBodyStructure(nil))
	for _, p := range [][]int{{}, {1}, {2}, {2, 1}} {
		for _, sp := range []Spec{Whole, Header, Text, Mime} {
			sec, ok := m.Section(p, sp)
			if !ok {
				continue
			}
			b, err := io.ReadAll(NewReader(strings.NewReader(s), m, sec))
			t.Logf("%v %v %+v %q %v", p, sp, sec, b, err)
		}
	}
}
