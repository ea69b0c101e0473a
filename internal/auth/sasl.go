package auth

import (
	"fmt"
	"slices"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/xdg-go/scram"
)

// allMechanisms are those there are, the best first.
var allMechanisms = []string{"EXTERNAL", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"}

// checkMechanisms finds names that are none.
func checkMechanisms(names []string) error {
	for _, m := range names {
		if !slices.Contains(allMechanisms, m) {
			return fmt.Errorf("%.64q is not a mechanism; there are %s", m, strings.Join(allMechanisms, ", "))
		}
	}
	return nil
}

// CheckMechanisms tells whether a configuration may name these.
func CheckMechanisms(names []string) error { return checkMechanisms(names) }

// offered are the mechanisms on offer, but for what the connection can have.
func (s *Service) offered() []string {
	list := s.opt.Mechanisms
	scram := s.current().scram
	if len(list) == 0 {
		list = allMechanisms
		if scram.cannot > 0 {
			// A client that fails in SCRAM may not try another mechanism, so all or none.
			return []string{"EXTERNAL", "PLAIN", "LOGIN"}
		}
	}
	return slices.DeleteFunc(slices.Clone(allMechanisms), func(m string) bool {
		return !slices.Contains(list, m) || strings.HasPrefix(m, "SCRAM-") && scram.can == 0
	})
}

// Mechanisms lists the SASL mechanisms on offer to a connection, the best
// first. Whether one that sends the password may be used without TLS is the protocol's to say.
func (s *Service) Mechanisms(ci ConnInfo) []string {
	return slices.DeleteFunc(s.offered(), func(m string) bool {
		return m == "EXTERNAL" && certificateUser(ci) == "" ||
			m == "SCRAM-SHA-256-PLUS" && len(bindings(ci)) == 0
	})
}

// StartSASL begins an exchange. The function gives the user's name once the
// exchange has succeeded. The server's refusals that name a user are a *Failure.
func (s *Service) StartSASL(mechanism string, ci ConnInfo) (sasl.Server, func() string, error) {
	mechanism = strings.ToUpper(mechanism)
	if !slices.Contains(s.Mechanisms(ci), mechanism) {
		return nil, nil, fmt.Errorf("SASL mechanism %.32q is not on offer: %w", mechanism, ErrFailed)
	}
	var user string
	name := func() string { return user }
	password := func(as, login, password string) error {
		if as != "" && as != login {
			return &Failure{Name: login, Reason: "nobody may act for another", Err: ErrFailed}
		}
		u, err := s.authenticate(s.ctx, Request{
			Protocol: ci.Protocol, RemoteAddr: ci.RemoteAddr, TLS: ci.TLS, User: login, Password: password,
		})
		user = u
		return err
	}
	switch mechanism {
	case sasl.Plain:
		return sasl.NewPlainServer(password), name, nil
	case sasl.Login:
		return &loginServer{check: func(u, p string) error { return password("", u, p) }}, name, nil
	case sasl.External:
		return sasl.NewExternalServer(func(as string) (err error) {
			user, err = s.external(ci, as)
			return err
		}), name, nil
	}
	plus := strings.HasSuffix(mechanism, "-PLUS")
	return &scramServer{s: s, ci: ci, user: &user, plus: plus}, name, nil
}

// external is RFC 4422 appendix A: the certificate says who it is, and nobody may act for another.
func (s *Service) external(ci ConnInfo, as string) (string, error) {
	u := certificateUser(ci)
	return s.check(s.ctx, ci.RemoteAddr, u, func() (Entry, error) {
		e, known := s.current().find(u)
		if !known || as != "" && as != u {
			return Entry{}, ErrFailed
		}
		return e, nil
	})
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

// scramServer runs one SCRAM exchange (RFC 5802, RFC 7677).
type scramServer struct {
	s    *Service
	ci   ConnInfo
	plus bool
	conv *scram.ServerConversation // from the first message on
	user *string
	step int
}

// scramCredentials gives what is stored for a user; for one that is not there, or whose
// password is in another scheme, keys nobody has, the same salt each time.
func (s *Service) scramCredentials(name string) (scram.StoredCredentials, error) {
	users := s.look(true) // see verify: a wrong answer is only known to be one when it is too late to look again
	if e, ok := users.find(name); ok && e.password.scheme == "SCRAM-SHA-256" {
		return parseSCRAM(e.password.text)
	}
	return users.scram.decoy(prepared(name)), nil
}

// begin chooses the conversation that a client's first message is for.
func (c *scramServer) begin(first string) error {
	server, err := scram.SHA256.NewServer(c.s.scramCredentials)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrTemporary, err)
	}
	binding, asked := bindingFor(c.ci, first)
	switch {
	case asked != c.plus:
		// RFC 5802 section 6: p= belongs to -PLUS, and nothing else does.
		return fmt.Errorf("%w: the channel binding does not fit the mechanism", ErrFailed)
	case asked && !binding.IsSupported():
		return fmt.Errorf("%w: this channel binding is not to be had", ErrFailed)
	case asked:
		c.conv = server.NewConversationWithChannelBindingRequired(binding)
	case slices.Contains(c.s.Mechanisms(c.ci), "SCRAM-SHA-256-PLUS"):
		// A client that could have bound, and thinks we cannot, was lied to on the way.
		c.conv = server.NewConversationWithChannelBinding(binding)
	default:
		c.conv = server.NewConversation()
	}
	return nil
}

func (c *scramServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if response == nil && c.step == 0 {
		return nil, false, nil // the client speaks first
	}
	c.step++
	switch c.step {
	case 1:
		return c.first(string(response))
	case 2:
		return c.final(string(response))
	}
	return nil, false, sasl.ErrUnexpectedClientResponse
}

func (c *scramServer) first(response string) (challenge []byte, done bool, err error) {
	if err := c.begin(response); err != nil {
		return nil, false, err
	}
	answer, err := c.conv.Step(response)
	if err != nil {
		// The library's words may quote the message, at any length.
		why := "not a first message of SCRAM"
		if strings.HasPrefix(response, "y") {
			why = "the client was told of no channel binding, and there is one: somebody may be in between"
		}
		return nil, false, &Failure{Name: c.conv.Username(), Reason: why, Err: ErrFailed}
	}
	return []byte(answer), false, nil
}

func (c *scramServer) final(response string) (challenge []byte, done bool, err error) {
	if c.conv == nil {
		return nil, false, sasl.ErrUnexpectedClientResponse
	}
	name := c.conv.Username()
	var answer string
	user, err := c.s.check(c.s.ctx, c.ci.RemoteAddr, name, func() (Entry, error) {
		var err error
		answer, err = c.conv.Step(response)
		// The user may be gone since the exchange began.
		e, known := c.s.current().find(name)
		if err != nil || !c.conv.Valid() || !known || c.conv.AuthzID() != "" && c.conv.AuthzID() != name {
			return Entry{}, ErrFailed
		}
		return e, nil
	})
	if err != nil {
		return nil, false, err
	}
	*c.user = user
	return []byte(answer), true, nil
}
