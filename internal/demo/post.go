package demo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-maildir"
	"github.com/emersion/go-smtp"
)

// Domain is that of the addresses of Users.
const Domain = "postroom.example"

// maxMessage bounds a message that Post takes, in octets.
const maxMessage = 64 << 20

// Post is the post office of the demo: a submission server that delivers to the people of Users and to nobody else, so that
// what is written in the demo goes no further.
type Post struct {
	root   string
	server *smtp.Server
}

// NewPost makes one that delivers below root, as Build was given it. It wants Serve and then Close.
func NewPost(root string) *Post {
	p := &Post{root: root}
	p.server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &letter{post: p}, nil }))
	p.server.Domain = "localhost"
	p.server.MaxMessageBytes = maxMessage
	p.server.MaxRecipients = 100
	p.server.ReadTimeout, p.server.WriteTimeout = time.Minute, time.Minute
	p.server.ErrorLog = silent{}
	return p
}

// Serve takes mail until Close. It closes l.
func (p *Post) Serve(l net.Listener) error {
	if err := p.server.Serve(l); err != nil && !errors.Is(err, smtp.ErrServerClosed) {
		return err
	}
	return nil
}

// Close ends Serve and all connections.
func (p *Post) Close() error { return p.server.Close() }

// silent is for broken connections, which nobody wants to read of.
type silent struct{}

func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}

// letter is one message on its way in: a connection, as go-smtp has it.
type letter struct {
	post *Post
	from string
	to   []string // names of users
}

func (l *letter) Mail(from string, _ *smtp.MailOptions) error {
	l.from = from
	return nil
}

func (l *letter) Rcpt(to string, _ *smtp.RcptOptions) error {
	name, domain, _ := strings.Cut(strings.ToLower(to), "@")
	known := slices.ContainsFunc(Users(), func(u User) bool { return u.Name == name })
	if !known || domain != Domain {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "The demo delivers to alice@" + Domain + " and bob@" + Domain + " alone"}
	}
	if !slices.Contains(l.to, name) {
		l.to = append(l.to, name)
	}
	return nil
}

func (l *letter) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	for _, name := range l.to {
		if err := l.deliver(name, text); err != nil {
			return fmt.Errorf("to %s: %w", name, err)
		}
	}
	return nil
}

func (l *letter) deliver(name string, text []byte) error {
	d, err := maildir.NewDelivery(filepath.Join(l.post.root, name, "Maildir"))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(d, "Return-Path: <%s>\nDelivered-To: %s@%s\n%s", l.from, name, Domain, text)
	if err != nil {
		return errors.Join(err, d.Abort())
	}
	return d.Close()
}

func (l *letter) Reset()        { l.from, l.to = "", nil }
func (l *letter) Logout() error { return nil }
