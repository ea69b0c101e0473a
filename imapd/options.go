package imapd

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"time"

	"github.com/emersion/go-sasl"

	"postroom/internal/account"
	"postroom/internal/auth"
	"postroom/internal/connlimit"
)

// Authenticator decides who a client is.
type Authenticator interface {
	// Authenticate checks a password and returns the canonical name. Its
	// failures are auth.ErrFailed, ErrTemporary and ErrPrivacyRequired.
	Authenticate(ctx context.Context, r auth.Request) (user string, err error)
	// Mechanisms lists the SASL mechanisms that this connection may use now.
	Mechanisms(ci auth.ConnInfo) []string
	// StartSASL begins one; the function tells the canonical name once the
	// server said that it is done.
	StartSASL(mech string, ci auth.ConnInfo) (sasl.Server, func() string, error)
}

// Options make a Server.
type Options struct {
	Accounts *account.Service
	Auth     Authenticator
	TLS      *tls.Config        // nil: no STARTTLS, no ServeTLS
	Logger   *slog.Logger       // nil: nothing is logged
	Conns    *connlimit.Limiter // nil: made of Limits; give one to share the counts with other daemons
	Limits   Limits

	LiteralMinus bool   // LITERAL- instead of LITERAL+
	Version      string // told by ID, "" for none
}

// Limits bound what a client may take. A zero means the default.
type Limits struct {
	Connections int // in all; 10000
	PerAddress  int // 100
	PerUser     int // 50

	LoginTimeout time.Duration // from the connection to the login; 1 minute
	IdleTimeout  time.Duration // between commands, and in IDLE; 30 minutes (RFC 9051 section 5.4)
	StallTimeout time.Duration // without an octet in the middle of a command; 2 minutes
	WriteTimeout time.Duration // for one write, of 32 KiB or so; 2 minutes

	CommandsBeforeLogin int // 50
	BadCommands         int // in one session, without a good one between; 50

	Line            int64 // octets of a command outside message literals; 2 MiB
	LineBeforeLogin int64 // 16 KiB
	Literal         int64 // octets of one string; 128 KiB
	Append          int64 // octets of a message (APPENDLIMIT); 100 MiB
	Appends         int   // messages in one APPEND (MULTIAPPEND); 1000
	Depth           int   // of parentheses and of SEARCH's NOT and OR; 100
	SearchKeys      int   // in one SEARCH; 10000
	FetchItems      int   // in one FETCH; 200
}

func (l Limits) withDefaults() Limits {
	l.Connections = cmp.Or(l.Connections, 10000)
	l.PerAddress = cmp.Or(l.PerAddress, 100)
	l.PerUser = cmp.Or(l.PerUser, 50)
	l.LoginTimeout = cmp.Or(l.LoginTimeout, time.Minute)
	l.IdleTimeout = cmp.Or(l.IdleTimeout, 30*time.Minute)
	l.StallTimeout = cmp.Or(l.StallTimeout, 2*time.Minute)
	l.WriteTimeout = cmp.Or(l.WriteTimeout, 2*time.Minute)
	l.CommandsBeforeLogin = cmp.Or(l.CommandsBeforeLogin, 50)
	l.BadCommands = cmp.Or(l.BadCommands, 50)
	l.Line = cmp.Or(l.Line, 2<<20)
	l.LineBeforeLogin = cmp.Or(l.LineBeforeLogin, 16<<10)
	l.Literal = cmp.Or(l.Literal, 128<<10)
	l.Append = cmp.Or(l.Append, 100<<20)
	l.Appends = cmp.Or(l.Appends, 1000)
	l.Depth = cmp.Or(l.Depth, 100)
	l.SearchKeys = cmp.Or(l.SearchKeys, 10000)
	l.FetchItems = cmp.Or(l.FetchItems, 200)
	return l
}
