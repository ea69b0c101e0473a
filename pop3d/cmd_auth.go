package pop3d

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-sasl"

	"postroom/internal/auth"
)

// saslLine bounds a line of a SASL exchange, which may be longer than a command
// (RFC 5034 section 4): the bound that RFC 4954 section 4 asks of SMTP servers.
const saslLine = 12288

// mayShowPassword tells whether USER and PASS are on offer: they stand and fall with PLAIN.
func (s *session) mayShowPassword() bool { return slices.Contains(s.mechanisms(), "PLAIN") }

func (s *session) userCapability() string {
	if s.mayShowPassword() {
		return "USER"
	}
	return ""
}

// userCommand: USER, RFC 1939 section 7; UTF-8 as RFC 6856 section 2.2 has it,
// whether the UTF8 command came before or not. The answer is the same for every
// name.
func (s *session) userCommand(name string) error {
	switch {
	case !s.secure():
		return errNoPlainText
	case !s.mayShowPassword():
		return badCommand("USER is not on offer.")
	case !validText(name):
		return badCommand("The name is not UTF-8, or has a character that RFC 4013 forbids.")
	}
	s.userName = name
	s.ok("Send the password.")
	return nil
}

// pass: PASS, RFC 1939 section 7. All after the space is the password. USER has
// to come right before: a wrong password takes both.
func (s *session) pass(password string) error {
	name := s.userName
	s.userName = ""
	switch {
	case !s.secure():
		return errNoPlainText
	case name == "":
		return badCommand("Send USER first.")
	case !validText(password):
		return &refusal{code: "AUTH", text: "Authentication failed.", bad: true}
	}
	ctx, cancel := context.WithDeadline(s.server.ctx, s.loginDeadline())
	defer cancel()
	user, err := s.server.opt.Auth.Authenticate(ctx, auth.Request{
		Protocol:   "pop3",
		RemoteAddr: s.remote,
		TLS:        s.conn.sock.Encrypted(),
		User:       name,
		Password:   password,
	})
	if err != nil {
		return s.mapAuthError("USER", err)
	}
	return s.enter(user, "USER")
}

// mechanisms on offer. Those that show the password wait for TLS.
func (s *session) mechanisms() []string {
	list := slices.Clone(s.server.opt.Auth.Mechanisms(s.connInfo()))
	if s.secure() {
		return list
	}
	return slices.DeleteFunc(list, func(name string) bool {
		return strings.EqualFold(name, "PLAIN") || strings.EqualFold(name, "LOGIN")
	})
}

func (s *session) saslCapability() string {
	if list := s.mechanisms(); len(list) > 0 {
		return "SASL " + strings.Join(list, " ")
	}
	return ""
}

// auth: AUTH mechanism [initial-response], RFC 5034 section 4. Without a
// mechanism it lists them, as clients older than CAPA expect and Dovecot does.
func (s *session) auth(arg string) error {
	list := s.mechanisms()
	if arg == "" {
		s.ok("Mechanisms follow.")
		for _, name := range list {
			s.line(name)
		}
		s.line(".")
		return nil
	}
	mechanism, initial, hasInitial := strings.Cut(arg, " ")
	mechanism = strings.ToUpper(mechanism)
	if !slices.ContainsFunc(list, func(m string) bool { return strings.EqualFold(m, mechanism) }) {
		if !s.secure() && (mechanism == "PLAIN" || mechanism == "LOGIN") {
			return errNoPlainText
		}
		return badCommand("This mechanism is not on offer.")
	}
	var response []byte // nil: none yet
	if hasInitial {
		var err error
		if response, err = decodeInitial(initial); err != nil {
			return err
		}
	}
	exchange, user, err := s.server.opt.Auth.StartSASL(mechanism, s.connInfo())
	if err != nil {
		return s.mapAuthError(mechanism, err)
	}
	if err := s.exchange(exchange, response); err != nil {
		var no *refusal
		var end ending
		if errors.As(err, &no) || errors.As(err, &end) {
			return err
		}
		return s.mapAuthError(mechanism, err)
	}
	return s.enter(user(), mechanism)
}

// decodeInitial: a single "=" is the empty initial response.
func decodeInitial(text string) ([]byte, error) {
	if text == "=" {
		return []byte{}, nil
	}
	return decodeResponse(text)
}

func decodeResponse(text string) ([]byte, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return nil, badCommand("Not BASE64.")
	}
	if b == nil {
		b = []byte{}
	}
	return b, nil
}

// saslRounds bounds an exchange; no mechanism comes near it.
const saslRounds = 16

// exchange runs a mechanism to its success.
func (s *session) exchange(mechanism sasl.Server, response []byte) error {
	for range saslRounds {
		challenge, done, err := mechanism.Next(response)
		if err != nil {
			return err
		}
		// What a mechanism says at its success has no place in +OK, so it goes
		// out as a challenge with an empty response (RFC 5034 section 4).
		if done && len(challenge) == 0 {
			return nil
		}
		if response, err = s.challenge(challenge); err != nil {
			return err
		}
		if done {
			if len(response) > 0 {
				return badCommand("The response was to be empty.")
			}
			return nil
		}
	}
	return badCommand("The exchange does not end.")
}

// challenge sends one challenge and reads the response.
func (s *session) challenge(challenge []byte) ([]byte, error) {
	s.line("+ " + base64.StdEncoding.EncodeToString(challenge))
	line, err := s.conn.readLine(saslLine, s.loginDeadline())
	switch {
	case errors.Is(err, errLineTooLong):
		return nil, badCommand("Line too long.")
	case err != nil:
		return nil, s.readEnded(err)
	case line == "*":
		return nil, badCommand("Authentication cancelled.")
	}
	return decodeResponse(line)
}

func (s *session) stlsCapability() string {
	if s.server.opt.TLS != nil && !s.conn.sock.Encrypted() && s.state == authorization {
		return "STLS"
	}
	return ""
}

// stls: RFC 2595 section 4. What came before TLS is forgotten, the name from
// USER and pipelined commands included (conn.startTLS says why).
func (s *session) stls(string) error {
	switch {
	case s.server.opt.TLS == nil:
		return badCommand("There is no TLS here.")
	case s.conn.sock.Encrypted():
		return badCommand("TLS is on already.")
	case s.utf8:
		return badCommand("No STLS after UTF8.") // RFC 6856 section 2.1
	}
	s.ok("Begin TLS.")
	if err := s.conn.w.Flush(); err != nil {
		return err
	}
	s.userName = ""
	if err := s.conn.startTLS(s.server.ctx, s.server.opt.TLS, s.loginDeadline()); err != nil {
		return tlsFailed(err)
	}
	return nil
}

// utf8Command: UTF8, RFC 6856 section 2.1.
func (s *session) utf8Command(string) error {
	s.utf8 = true
	s.ok("UTF-8 it is.")
	return nil
}

// validText: UTF-8 without what RFC 4013 section 2.3 forbids (RFC 6856 section 2.2
// wants such names and passwords rejected).
func validText(s string) bool {
	_, err := auth.Prepare(s)
	return utf8.ValidString(s) && err == nil
}
