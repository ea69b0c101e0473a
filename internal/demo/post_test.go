package demo

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

func TestPost(t *testing.T) {
	root := t.TempDir()
	if err := Build(root, time.Now()); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := NewPost(root)
	done := make(chan error, 1)
	go func() { done <- p.Serve(l) }()
	c, err := smtp.Dial(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	const text = "From: alice@postroom.example\r\nSubject: Post\r\n\r\nHi!\r\n"
	for _, stranger := range []string{"carol@postroom.example", "bob@example.org"} {
		var refused *smtp.SMTPError
		if err := c.SendMail("alice@postroom.example", []string{stranger}, strings.NewReader(text)); !errors.As(err, &refused) || refused.Code != 550 {
			t.Errorf("to %s: %v, want 550", stranger, err)
		}
		if err := c.Reset(); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.SendMail("alice@postroom.example", []string{"bob@postroom.example", "Bob@postroom.example"}, strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	c.Quit()
	if err := errors.Join(p.Close(), <-done); err != nil {
		t.Error(err)
	}
	var got int
	files, _ := filepath.Glob(filepath.Join(root, "bob", "Maildir", "new", "*"))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(string(b), "\nSubject: Post\n\nHi!\n") {
			got++
		}
	}
	if got != 1 {
		t.Errorf("bob has the message %d times", got)
	}
}
