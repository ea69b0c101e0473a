package pop3d

import (
	"context"

	"github.com/emersion/go-sasl"

	"postroom/internal/auth"
)

// Authenticator decides who a client is; internal/auth has the one in use.
// Its errors wrap auth.ErrFailed, auth.ErrTemporary or auth.ErrPrivacyRequired.
// It may take its time to slow down who guesses, within the context.
type Authenticator interface {
	// Authenticate checks a password and gives the user's canonical name.
	Authenticate(ctx context.Context, req auth.Request) (user string, err error)

	// Mechanisms names the SASL mechanisms on offer to that connection.
	Mechanisms(ci auth.ConnInfo) []string

	// StartSASL begins an exchange. The function gives the user's canonical
	// name when the exchange has succeeded.
	StartSASL(mechanism string, ci auth.ConnInfo) (sasl.Server, func() string, error)
}

func (s *session) connInfo() auth.ConnInfo {
	return auth.ConnInfo{
		Protocol:    "pop3",
		RemoteAddr:  s.remote,
		TLS:         s.conn.sock.Encrypted(),
		TLSState:    s.conn.sock.TLS(),
		Certificate: s.conn.cert,
	}
}
