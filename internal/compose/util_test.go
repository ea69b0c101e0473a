package compose

import (
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"postroom/internal/message"
)

// testIdentity is the same each time it is made.
func testIdentity() Identity {
	return Identity{
		Now:  time.Date(2026, 11, 27, 10, 30, 0, 0, time.FixedZone("", 3600)),
		Rand: rand.NewChaCha8([32]byte{7}),
	}
}

// parse gives what Read and Answer want of a message with LF line ends.
func parse(t *testing.T, text string) (io.ReaderAt, *message.Message) {
	t.Helper()
	m, err := message.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReader(text), m
}

// written gives a draft as it is stored.
func written(t *testing.T, d *Draft) string {
	t.Helper()
	var b bytes.Buffer
	if err := d.WriteDraft(&b, testIdentity()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func file(name, typ, content string) Attachment {
	return Attachment{Name: name, Type: typ, Size: int64(len(content)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(content)), nil
	}}
}

func contentOfAttachment(t *testing.T, a Attachment) string {
	t.Helper()
	r, err := a.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
