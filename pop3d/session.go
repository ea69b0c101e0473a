package pop3d

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"postroom/internal/account"
	"postroom/internal/sessions"
	"postroom/internal/socket"
)

// state is where a session stands (RFC 1939 section 3):
//
//	greeting -> authorization --PASS, AUTH--> transaction --QUIT--> update -> closed
//	                  |  ^                        |
//	                  |  +--STLS--+ (again)       +--connection lost, idle--> closed
//	                  +--QUIT, login timeout--> closed
//
// UPDATE is no state in which commands come: it is the end of QUIT.
type state uint8

const (
	authorization state = 1 << iota
	transaction

	anyState = authorization | transaction
)

// ending is why a session ended, as the log says it. cut is set when there is no
// use in sending what is still in the buffer. As an error it comes from a
// command that ends the session.
type ending struct {
	reason string
	err    error
	cut    bool
}

func (e ending) Error() string { return e.reason }

// session is one connection. Only one goroutine at a time uses it, but for
// Interrupt and Cut.
type session struct {
	server      *Server
	conn        *conn
	log         *slog.Logger
	remote      netip.Addr
	local       netip.Addr
	implicitTLS bool
	ended       func()    // called when all is over
	waitUntil   time.Time // when the wait for a command, or for its line, ends

	state    state
	begun    time.Time
	bad      int    // malformed and unknown commands and failed logins
	commands int    // before the login
	userName string // from USER, not authenticated
	utf8     bool   // RFC 6856 section 2.1

	// From the login on:
	user        *account.User
	drop        *maildrop
	releaseUser func()
	counts      counts
}

// counts are for the log's line at logout.
type counts struct {
	retr, top           int
	retrBytes, topBytes int64
	dele, expunged      int
}

func newSession(server *Server, raw net.Conn, implicitTLS bool) *session {
	s := &session{
		server:      server,
		conn:        newConn(raw, server.opt.Limits.WriteTimeout),
		remote:      sessions.AddrOf(raw.RemoteAddr()),
		local:       sessions.AddrOf(raw.LocalAddr()),
		implicitTLS: implicitTLS,
		state:       authorization,
		begun:       time.Now(),
	}
	remote := s.remote.String()
	if !s.remote.IsValid() {
		remote = "none"
	}
	s.log = server.log.With("protocol", "pop3", "remote", remote)
	return s
}

// run serves the connection until it waits for its client, or to its end.
func (s *session) run() { s.proceed(s.begin) }

// Resume waits for the client and goes on. A wait has a goroutine of its own, so
// that it holds no more of a stack than it needs; a long one has none.
func (s *session) Resume() {
	until := time.Now().Add(briefly)
	if s.waitUntil.Before(until) {
		until = s.waitUntil
	}
	err := s.conn.sock.Await(until)
	if until != s.waitUntil && errors.Is(err, socket.ErrDeadline) {
		if s.server.sessions.Poller().Park(s.conn.sock, s.waitUntil, s) {
			return
		}
		err = s.conn.sock.Await(s.waitUntil)
	}
	s.proceed(func() error { return s.attend(err) })
}

// briefly is how long a client may think before its session gives up the goroutine.
const briefly = time.Second

// proceed goes on with step and then waits in another goroutine, or ends, if step
// fails. A panic ends this connection alone, and what the session holds is given
// back even so.
func (s *session) proceed(step func() error) {
	var err error = ending{reason: "internal error", cut: true}
	func() {
		defer s.logPanic()
		err = step()
	}()
	if err == nil {
		go s.Resume()
		return
	}
	defer s.ended()
	defer s.logPanic()
	var end ending
	errors.As(err, &end)
	s.finish(end)
}

// Interrupt ends the session when its command has ended.
func (s *session) Interrupt() { s.conn.sock.Interrupt() }

// Cut ends it at once.
func (s *session) Cut() { s.conn.sock.Cut() }

// logPanic is to be deferred.
func (s *session) logPanic() {
	if p := recover(); p != nil {
		s.log.Error("panic", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	}
}

// finish closes what the session holds and says how it went. The connection is last:
// the client may take its time to see the end.
func (s *session) finish(end ending) {
	defer s.conn.sock.Close()
	if end.cut || s.conn.w == nil || s.conn.w.Flush() != nil {
		s.conn.sock.Cut()
	}
	s.conn.detach()
	attrs := []any{"reason", end.reason, "duration", time.Since(s.begun).Round(time.Millisecond)}
	if end.err != nil {
		attrs = append(attrs, "error", end.err)
	}
	if s.user == nil {
		s.log.Debug("disconnected before login", attrs...)
		return
	}
	c := &s.counts
	s.log.Info("logout", append(attrs,
		"retr", c.retr, "retr_bytes", c.retrBytes, "top", c.top, "top_bytes", c.topBytes,
		"dele", c.dele, "expunged", c.expunged, "messages", s.drop.len())...)
	defer s.releaseUser()
	defer s.user.Close()
	s.drop.close()
}

// begin is what comes before the first command.
func (s *session) begin() error {
	s.conn.attach()
	if s.implicitTLS {
		if err := s.conn.startTLS(s.server.ctx, s.server.opt.TLS, s.loginDeadline()); err != nil {
			return tlsFailed(err)
		}
	}
	// No time stamp in angle brackets: there is no APOP (RFC 1939 section 7),
	// which would need the password in clear on our side.
	s.ok("Postroom ready.")
	return s.converse()
}

// attend goes on after a wait.
func (s *session) attend(err error) error {
	s.conn.attach()
	if err == nil {
		err = s.command()
	} else {
		err = s.readEnded(err)
	}
	if err != nil {
		return err
	}
	return s.converse()
}

// converse runs commands until the client has sent no more of them. Its error
// is an ending.
func (s *session) converse() error {
	for {
		if s.conn.sock.Interrupted() {
			return s.shutDown()
		}
		s.waitUntil = s.readDeadline()
		if !s.conn.pending() {
			if err := s.conn.rest(); err != nil {
				return s.commandEnded(err)
			}
			if !s.conn.sock.AwaitBriefly(s.waitUntil) {
				return nil
			}
			s.conn.attach()
		}
		if err := s.command(); err != nil {
			return err
		}
	}
}

// command reads one command, of which something is there, and runs it.
func (s *session) command() error {
	limits := &s.server.opt.Limits
	line, err := s.conn.readLine(limits.LineLength, s.waitUntil)
	switch {
	case errors.Is(err, errLineTooLong):
		s.fail(badCommand("Line too long."))
	case err != nil:
		return s.readEnded(err)
	default:
		if err := s.dispatch(line); err != nil {
			return s.commandEnded(err)
		}
	}
	if s.bad >= limits.FailedCommands {
		s.fail(refuse("", "Too many failed commands."))
		return ending{reason: "too many failed commands"}
	}
	if s.state == authorization && s.commands >= limits.CommandsBeforeLogin {
		s.fail(refuse("", "Too many commands before the login."))
		return ending{reason: "too many commands before login"}
	}
	return nil
}

// commandEnded is for a command that wants the session to end.
func (s *session) commandEnded(err error) ending {
	var end ending
	switch {
	case errors.As(err, &end):
		return end
	case s.conn.sock.Interrupted():
		return ending{"server shutting down", err, true}
	case isTimeout(err):
		return ending{"client too slow", err, true}
	}
	return ending{"connection lost", err, true}
}

// readEnded is for a read that gave no command.
func (s *session) readEnded(err error) ending {
	switch {
	case s.conn.sock.Interrupted():
		return s.shutDown()
	case errors.Is(err, errFlood):
		s.fail(refuse("", "Line too long."))
		return ending{reason: "endless line"}
	case !isTimeout(err):
		return ending{"connection closed by client", nil, true}
	case s.state == authorization:
		s.fail(refuse("", "Login took too long."))
		return ending{reason: "login timeout"}
	}
	// RFC 1939 section 3: no message is removed and no response is sent.
	return ending{reason: "inactivity"}
}

func (s *session) shutDown() ending {
	s.fail(refuse("SYS/TEMP", "Server shutting down."))
	return ending{reason: "server shutting down"}
}

func tlsFailed(err error) ending { return ending{reason: "TLS handshake failed", err: err} }

func (s *session) loginDeadline() time.Time {
	return s.begun.Add(s.server.opt.Limits.LoginTimeout)
}

// readDeadline is the end of the wait for a whole line: bytes that trickle in
// do not move it.
func (s *session) readDeadline() time.Time {
	if s.state == authorization {
		return s.loginDeadline()
	}
	return time.Now().Add(s.server.opt.Limits.IdleTimeout)
}

// dispatch runs one command. Its error ends the session.
func (s *session) dispatch(line string) error {
	if s.state == authorization {
		s.commands++
	}
	err := s.runCommand(line)
	var no *refusal
	switch {
	case err == nil:
		return nil
	case errors.As(err, &no):
		s.fail(no)
		return nil
	}
	return err
}

func (s *session) runCommand(line string) error {
	verb, arg, hasArg := strings.Cut(line, " ")
	cmd := s.server.commands[strings.ToUpper(verb)]
	switch {
	case cmd == nil:
		return badCommand("Unknown command.")
	case cmd.states&s.state == 0 && s.state == authorization:
		return badCommand("Log in first.")
	case cmd.states&s.state == 0:
		return badCommand("Already logged in.")
	}
	if cmd.args != rawArg {
		arg = strings.TrimRight(arg, " ")
		hasArg = arg != ""
	}
	switch {
	case cmd.args == noArg && hasArg:
		return badCommand(cmd.name + " takes no argument.")
	case cmd.args == needArg && !hasArg:
		return badCommand(cmd.name + " needs an argument.")
	case !cmd.text && !printable(arg):
		return badCommand("Not a printable character.")
	}
	if cmd.mail {
		if err := s.drop.mayRead(); err != nil {
			return s.mapError("looking at rights", err)
		}
	}
	return cmd.run(s, arg)
}

// ok gives a positive answer of one line.
func (s *session) ok(format string, args ...any) {
	_, _ = fmt.Fprintf(s.conn.w, "+OK "+format+"\r\n", args...)
}

// fail gives a negative answer. An error of the socket stays in the writer and
// shows at the next flush, in both.
func (s *session) fail(no *refusal) {
	if no.bad {
		s.bad++
	}
	if no.code != "" {
		_, _ = fmt.Fprintf(s.conn.w, "-ERR [%s] %s\r\n", no.code, no.text)
		return
	}
	_, _ = fmt.Fprintf(s.conn.w, "-ERR %s\r\n", no.text)
}

// enter opens the maildrop of an authenticated user: the step from the
// AUTHORIZATION to the TRANSACTION state.
func (s *session) enter(user, method string) error {
	release, err := s.server.conns.AcquireUser(user)
	if err != nil {
		s.log.Warn("login refused", "user", user, "reason", err)
		return refuse("IN-USE", "Too many connections.")
	}
	defer func() {
		if s.state == authorization {
			release()
		}
	}()
	if wait := s.server.delays.admit(user); wait > 0 {
		s.log.Info("login refused", "user", user, "reason", "login delay")
		return refuse("LOGIN-DELAY", fmt.Sprintf("Log in again in %d seconds.", seconds(wait)))
	}
	ctx, cancel := context.WithDeadline(s.server.ctx, s.loginDeadline())
	defer cancel()
	acct, err := s.server.opt.Accounts.Open(ctx, user)
	if err != nil {
		return s.mapError("login", err)
	}
	defer func() {
		if s.state == authorization {
			acct.Close()
		}
	}()
	drop, err := openMaildrop(ctx, acct)
	if err != nil {
		return s.mapError("login", err)
	}
	s.user, s.drop, s.releaseUser = acct, drop, release
	s.state = transaction
	s.userName = ""
	s.log = s.log.With("user", user)
	s.log.Info("login", "method", method, "tls", s.conn.sock.Encrypted(), "messages", drop.len())
	s.ok("Logged in.")
	return nil
}

// secure tells whether a password may come in clear: never over a network.
func (s *session) secure() bool {
	return s.conn.sock.Encrypted() || s.remote.IsLoopback() && s.local.IsLoopback()
}

// printable tells whether s is ASCII without control characters, which is all
// that RFC 2449 section 3 allows outside of names and passwords.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
