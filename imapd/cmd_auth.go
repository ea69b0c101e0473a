package imapd

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"postroom/internal/auth"
)

// startTLSCommand: RFC 9051 section 6.2.1. All that came before the handshake
// is forgotten with the decoder's buffer (section 11.1).
func (c *conn) startTLSCommand() error {
	if c.sock.Encrypted() {
		return bad("TLS is active already")
	}
	if c.srv.opt.TLS == nil {
		return no("", "TLS is not configured")
	}
	c.tagged(c.tag, &answer{kind: "OK", text: "Begin TLS negotiation now"})
	if err := c.enc.Flush(); err != nil {
		return err
	}
	if !c.startTLS() {
		return errOver
	}
	return errAnswered
}

// errAnswered is the result of an action that wrote its tagged line itself.
var errAnswered = errors.New("already answered")

// parseLogin: RFC 9051 section 6.2.3.
func parseLogin(p *parser) action {
	var user, password string
	if !p.SP() || !p.Astring(&user) || !p.SP() || !p.Astring(&password) {
		return nil
	}
	return func(c *conn) error {
		if !c.secret() {
			return auth.ErrPrivacyRequired
		}
		name, err := c.srv.opt.Auth.Authenticate(c.ctx, auth.Request{
			Protocol: "imap", RemoteAddr: c.remote, TLS: c.sock.Encrypted(), User: user, Password: password,
		})
		if err != nil {
			return c.denied("LOGIN", err)
		}
		return c.login(name, "LOGIN")
	}
}

// denied logs a failure, with the client's address and the name that was tried.
func (c *conn) denied(method string, err error) error {
	c.log.Info("imap login failed", "user", auth.Tried(err), "method", method, "tls", c.sock.Encrypted(), "error", err)
	return err
}

// login opens the account of an authenticated user.
func (c *conn) login(name, method string) error {
	release, err := c.srv.conns.AcquireUser(name)
	if err != nil {
		c.log.Warn("imap login refused", "user", name, "reason", err)
		return no("LIMIT", err.Error())
	}
	user, err := c.srv.opt.Accounts.Open(c.ctx, name)
	if err != nil {
		c.log.Error("imap login: the user's mail cannot be opened", "user", name, "error", err)
		release()
		return err
	}
	c.user, c.release = user, release
	c.count = counters{since: time.Now()}
	c.log.Info("imap login", "user", name, "method", method, "tls", c.sock.Encrypted())
	return ok("CAPABILITY "+c.capabilities(), "Logged in")
}

// mayUse tells whether a mechanism may be used without TLS: only those that
// do not send the password itself.
func (c *conn) mayUse(mech string) bool {
	return c.secret() || mech != "PLAIN" && mech != "LOGIN"
}

// parseAuthenticate: RFC 9051 section 6.2.2, with the initial response.
func parseAuthenticate(p *parser) action {
	var (
		mech    string
		initial []byte // nil: none was sent; empty: "="
	)
	if !p.SP() || !p.Name(&mech) {
		return nil
	}
	if p.Accept(' ') && !p.Base64(&initial) {
		return nil
	}
	return func(c *conn) error { return c.authenticate(mech, initial) }
}

func (c *conn) authenticate(mech string, response []byte) error {
	ci := c.connInfo()
	if !slices.Contains(c.srv.opt.Auth.Mechanisms(ci), mech) {
		return no("CANNOT", "No such mechanism")
	}
	if !c.mayUse(mech) {
		return auth.ErrPrivacyRequired
	}
	server, user, err := c.srv.opt.Auth.StartSASL(mech, ci)
	if err != nil {
		return c.denied(mech, err)
	}
	for range 20 { // no mechanism takes more than a few steps
		challenge, done, err := server.Next(response)
		if err != nil {
			return c.denied(mech, saslError(err))
		}
		if done && len(challenge) == 0 {
			return c.login(user(), mech)
		}
		if response, err = c.challenge(challenge); err != nil {
			return err
		}
		if done {
			return c.login(user(), mech)
		}
	}
	return c.denied(mech, auth.ErrFailed)
}

// saslError: what a mechanism refuses without a kind is a failed login, not a
// fault of the server.
func saslError(err error) error {
	for _, kind := range []error{auth.ErrTemporary, auth.ErrPrivacyRequired, auth.ErrFailed} {
		if errors.Is(err, kind) {
			return err
		}
	}
	return errors.Join(auth.ErrFailed, err)
}

// challenge sends one step and reads the client's.
func (c *conn) challenge(data []byte) ([]byte, error) {
	c.enc.Raw("+ ").Raw(base64.StdEncoding.EncodeToString(data)).CRLF()
	d := c.dec
	if err := d.Begin(); err != nil {
		return nil, err
	}
	var line string
	if !d.Text(&line) || !d.CRLF() {
		return nil, d.Err()
	}
	if line = strings.TrimSpace(line); line == "*" {
		return nil, bad("Authentication cancelled")
	}
	if line == "=" {
		return []byte{}, nil
	}
	response, err := base64.StdEncoding.DecodeString(line)
	if err != nil {
		return nil, bad("Malformed base64")
	}
	return response, nil
}

// unauthenticate: RFC 8437 section 2. TLS stays, all else is as after the
// greeting.
func (c *conn) unauthenticate() error {
	c.reason = "unauthenticate"
	c.logout()
	c.reason = ""
	c.commands = 0
	c.loginBy = time.Now().Add(c.srv.lim.LoginTimeout)
	return nil
}
