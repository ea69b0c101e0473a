package auth

import (
	"errors"
	"fmt"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/xdg-go/scram"
)

// Mechanisms lists the SASL mechanisms on offer to a connection, the best
// first. Whether one that sends the password may be used without TLS is the protocol's to say.
func (s *Service) Mechanisms(ci ConnInfo) []string {
	var out []string
	if certificateUser(ci) != "" {
		out = append(out, "EXTERNAL")
	}
	if s.current().hasSCRAM() {
		if _, err := exporter(ci); err == nil {
			out = append(out, "SCRAM-SHA-256-PLUS")
		}
		out = append(out, "SCRAM-SHA-256")
	}
	return append(out, "PLAIN", "LOGIN")
}

// hasSCRAM tells whether any user can use SCRAM: without one it would only
// lead clients into failing.
func (f *File) hasSCRAM() bool { return f.scramIters > 0 }

// StartSASL begins an exchange. The function gives the user's name once the
// exchange has succeeded.
func (s *Service) StartSASL(mechanism string, ci ConnInfo) (sasl.Server, func() string, error) {
	var user string
	name := func() string { return user }
	password := func(as, login, password string) error {
		if as != "" && as != login {
			return ErrFailed // nobody may act for another
		}
		u, err := s.Authenticate(s.ctx, Request{
			Protocol: ci.Protocol, RemoteAddr: ci.RemoteAddr, TLS: ci.TLS, User: login, Password: password,
		})
		user = u
		return err
	}
	switch strings.ToUpper(mechanism) {
	case sasl.Plain:
		return sasl.NewPlainServer(password), name, nil
	case sasl.Login:
		return &loginServer{check: func(u, p string) error { return password("", u, p) }}, name, nil
	case sasl.External:
		return sasl.NewExternalServer(func(as string) error {
			u := certificateUser(ci)
			if _, known := s.current().Lookup(u); !known || as != "" && as != u {
				return ErrFailed
			}
			user = u
			return nil
		}), name, nil
	case "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS":
		c, err := s.newSCRAM(strings.HasSuffix(strings.ToUpper(mechanism), "-PLUS"), ci, &user)
		return c, name, err
	}
	return nil, nil, fmt.Errorf("SASL mechanism %.32q: %w", mechanism, ErrFailed)
}

// certificateUser is the user whom a verified client certificate names: its
// e-mail address, or its common name.
func certificateUser(ci ConnInfo) string {
	if ci.TLSState == nil || len(ci.TLSState.VerifiedChains) == 0 {
		return ""
	}
	cert := ci.TLSState.VerifiedChains[0][0]
	if len(cert.EmailAddresses) > 0 {
		return cert.EmailAddresses[0]
	}
	return cert.Subject.CommonName
}

// loginServer is the obsolete mechanism LOGIN, which old clients still use.
type loginServer struct {
	check func(user, password string) error
	step  int
	user  string
}

func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if l.step == 0 && response == nil {
		l.step = 1
		return []byte("Username:"), false, nil
	}
	switch l.step {
	case 0, 1:
		l.step = 2
		l.user = string(response)
		return []byte("Password:"), false, nil
	case 2:
		l.step = 3
		return nil, true, l.check(l.user, string(response))
	}
	return nil, false, sasl.ErrUnexpectedClientResponse
}

// exporter gives the channel binding of RFC 9266.
func exporter(ci ConnInfo) (scram.ChannelBinding, error) {
	if ci.TLSState == nil {
		return scram.ChannelBinding{}, errors.New("no TLS")
	}
	return scram.NewTLSExporterBinding(ci.TLSState)
}

// scramServer runs one SCRAM exchange (RFC 5802, RFC 7677).
type scramServer struct {
	s    *Service
	ci   ConnInfo
	conv *scram.ServerConversation
	user *string
	step int
}

func (s *Service) newSCRAM(plus bool, ci ConnInfo, user *string) (*scramServer, error) {
	server, err := scram.SHA256.NewServer(s.scramCredentials)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTemporary, err)
	}
	c := &scramServer{s: s, ci: ci, user: user}
	binding, berr := exporter(ci)
	switch {
	case plus && berr != nil:
		return nil, fmt.Errorf("%w: no channel binding: %w", ErrFailed, berr)
	case plus:
		c.conv = server.NewConversationWithChannelBindingRequired(binding)
	case berr == nil:
		// A client that could have bound, and thinks we cannot, was lied to on the way.
		c.conv = server.NewConversationWithChannelBinding(binding)
	default:
		c.conv = server.NewConversation()
	}
	return c, nil
}

// scramCredentials gives what is stored for a user; for one that is not there, or whose
// password is in another scheme, keys nobody has, the same salt each time.
func (s *Service) scramCredentials(name string) (scram.StoredCredentials, error) {
	users := s.current()
	if e, ok := users.Lookup(name); ok && e.password.scheme == "SCRAM-SHA-256" {
		return parseSCRAM(e.password.text)
	}
	return s.decoyCredentials(name, users.scramIters), nil
}

func (c *scramServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if response == nil && c.step == 0 {
		return nil, false, nil // the client speaks first
	}
	c.step++
	if c.step == 1 {
		answer, err := c.conv.Step(string(response))
		if err != nil {
			return nil, false, fmt.Errorf("%w: %w", ErrFailed, err)
		}
		return []byte(answer), false, nil
	}
	if c.step > 2 {
		return nil, false, sasl.ErrUnexpectedClientResponse
	}
	var answer string
	_, err = c.s.check(c.s.ctx, c.ci.RemoteAddr, c.conv.Username(), func() (string, error) {
		var err error
		answer, err = c.conv.Step(string(response))
		if err != nil || !c.conv.Valid() || c.conv.AuthzID() != "" && c.conv.AuthzID() != c.conv.Username() {
			return "", ErrFailed
		}
		return c.conv.Username(), nil
	})
	if err != nil {
		return nil, false, err
	}
	*c.user = c.conv.Username()
	return []byte(answer), true, nil
}
