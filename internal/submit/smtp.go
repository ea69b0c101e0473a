package submit

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// How the connection to a server is protected.
const (
	ImplicitTLS = "implicit" // from the first octet (RFC 8314)
	STARTTLS    = "starttls" // required
	NoTLS       = "none"     // for a socket of this machine only
)

// SMTP sends by a submission server. Its fields must not be changed once it is in use.
type SMTP struct {
	// Address is host:port, or the path of a unix socket.
	Address string
	// Security is one of the constants above.
	Security string
	// User and PasswordFile are a service account's (SASL PLAIN); without a User nobody logs in. The file is
	// read at each connection.
	User, PasswordFile string
	// TLS is the base of the client's configuration; nil for the system's certificates.
	TLS *tls.Config
	// DialTimeout bounds the connection with its TLS, CommandTimeout each answer and each write, FinalTimeout the answer to the
	// whole message; 30 s, 2 min and 10 min if zero (RFC 5321 section 4.5.3.2).
	DialTimeout, CommandTimeout, FinalTimeout time.Duration
}

// maxPasswordFile bounds what is read of it.
const maxPasswordFile = 4096

// Send implements Sender.
func (s *SMTP) Send(ctx context.Context, m Message) Result {
	c, conn, err := s.connect(ctx)
	if err != nil {
		return All(m, Again, err)
	}
	defer conn.Close()
	// When ctx ends, whatever waits for the server fails.
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	r := s.transaction(c, m)
	if r.Worst() != Unknown {
		_ = c.Quit() // whatever it says, the answer has come
	}
	return r
}

// connect dials, protects the connection and logs in. What fails here is never the message's fault.
func (s *SMTP) connect(ctx context.Context) (*smtp.Client, net.Conn, error) {
	dctx, cancel := context.WithTimeout(ctx, orElse(s.DialTimeout, 30*time.Second))
	defer cancel()
	network, host := "tcp", ""
	if s.onPath() {
		network = "unix"
	} else if h, _, err := net.SplitHostPort(s.Address); err == nil {
		host = h
	}
	raw, err := new(net.Dialer).DialContext(dctx, network, s.Address)
	if err != nil {
		return nil, nil, fmt.Errorf("no connection to the submission server: %w", err)
	}
	conn := &timedConn{raw, orElse(s.CommandTimeout, 2*time.Minute)}
	c, err := s.greet(dctx, conn, host)
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return c, conn, nil
}

func (s *SMTP) onPath() bool { return strings.HasPrefix(s.Address, "/") }

func (s *SMTP) greet(ctx context.Context, conn net.Conn, host string) (*smtp.Client, error) {
	if s.Security == NoTLS && !local(conn) {
		return nil, errors.New("the submission server is not on this machine, and there is no TLS")
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	config := s.TLS.Clone()
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if config.ServerName == "" {
		config.ServerName = host
	}
	var c *smtp.Client
	switch s.Security {
	case ImplicitTLS:
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, fmt.Errorf("TLS with the submission server: %w", err)
		}
		c = smtp.NewClient(secure)
	case STARTTLS:
		var err error
		if c, err = smtp.NewClientStartTLS(conn, config); err != nil {
			return nil, fmt.Errorf("STARTTLS with the submission server: %w", err)
		}
	default:
		c = smtp.NewClient(conn)
	}
	c.CommandTimeout = orElse(s.CommandTimeout, 2*time.Minute)
	c.SubmissionTimeout = orElse(s.FinalTimeout, 10*time.Minute)
	if s.Security != STARTTLS { // where EHLO has been sent
		if err := c.Hello(literal(conn)); err != nil {
			return nil, fmt.Errorf("the submission server's greeting: %w", err)
		}
	}
	if s.User == "" {
		return c, nil
	}
	password, err := readPassword(s.PasswordFile)
	if err != nil {
		return nil, err
	}
	if !c.SupportsAuth(sasl.Plain) {
		return nil, errors.New("the submission server does not offer AUTH PLAIN")
	}
	if err := c.Auth(sasl.NewPlainClient("", s.User, password)); err != nil {
		return nil, fmt.Errorf("logging in to the submission server: %w", err)
	}
	return c, nil
}

// transaction sends a message; the order of its steps decides what an error means.
func (s *SMTP) transaction(c *smtp.Client, m Message) Result {
	if limit, ok := c.MaxMessageSize(); ok && limit > 0 && m.Size > int64(limit) {
		return All(m, Refused, fmt.Errorf("the message has %d octets, the submission server takes %d", m.Size, limit))
	}
	if ok, _ := c.Extension("8BITMIME"); m.EightBit && !ok {
		return All(m, Refused, errors.New("the submission server takes ASCII only, and a message is attached that has more"))
	}
	if ok, _ := c.Extension("SMTPUTF8"); m.UTF8 && !ok {
		return All(m, Refused, errors.New("the submission server takes no addresses beyond ASCII"))
	}
	if err := c.Mail(m.From, &smtp.MailOptions{Size: m.Size, UTF8: m.UTF8}); err != nil {
		return All(m, meaning(err), err)
	}
	r, taken := s.recipients(c, m)
	if taken == 0 {
		return r
	}
	rest := func(o Outcome, err error) Result {
		for i := range r.Recipients {
			if rc := &r.Recipients[i]; rc.Outcome == Accepted {
				rc.Outcome, rc.Text = o, line(err)
			}
		}
		return r
	}
	in, err := m.Open()
	if err != nil {
		return rest(Again, err)
	}
	defer in.Close()
	w, err := c.Data()
	if err != nil {
		return rest(meaning(err), err)
	}
	// Until the final dot a server has nothing that it could accept (RFC 5321 section 4.1.1.4). The reader is not believed to
	// give what it said: a message that was cut is not ended.
	n, err := io.Copy(w, in)
	if err == nil && n != m.Size {
		err = fmt.Errorf("the message has %d octets instead of %d", n, m.Size)
	}
	if err != nil {
		return rest(Again, fmt.Errorf("the connection broke before the message was whole: %w", err))
	}
	answer, err := w.CloseWithResponse()
	var refusal *smtp.SMTPError
	switch {
	case err == nil:
		return rest(Accepted, errors.New(answer.StatusText))
	case errors.As(err, &refusal) && refusal.Code/100 == 2:
		return rest(Accepted, errors.New(refusal.Message))
	case errors.As(err, &refusal) && (refusal.Code/100 == 4 || refusal.Code/100 == 5):
		return rest(meaning(err), err)
	}
	return rest(Unknown, fmt.Errorf("no answer came to the whole message: %w", err))
}

// recipients names all of them; those that are taken are Accepted for the time being.
func (s *SMTP) recipients(c *smtp.Client, m Message) (r Result, taken int) {
	for i, to := range m.To {
		err := c.Rcpt(to, nil)
		rc := Recipient{Addr: to, Outcome: Accepted}
		var refusal *smtp.SMTPError
		switch {
		case err == nil:
			taken++
		case errors.As(err, &refusal) && refusal.Code != 421:
			rc.Outcome, rc.Text = meaning(err), line(err)
		default: // the connection is gone: nobody was accepted, whatever was said of those before
			for j := range r.Recipients {
				if r.Recipients[j].Outcome == Accepted {
					r.Recipients[j].Outcome, r.Recipients[j].Text = Again, line(err)
				}
			}
			for _, left := range m.To[i:] {
				r.Recipients = append(r.Recipients, Recipient{left, Again, line(err)})
			}
			return r, 0
		}
		r.Recipients = append(r.Recipients, rc)
	}
	return r, taken
}

// meaning tells what an answer before the final dot means: 5xx is for good, all else is not (RFC 5321 section 4.2.1). That the
// server wants a login first (530, 535 in RFC 4954 section 6) is the configuration's fault.
func meaning(err error) Outcome {
	var refusal *smtp.SMTPError
	if errors.As(err, &refusal) && refusal.Code/100 == 5 && refusal.Code != 530 && refusal.Code != 535 {
		return Refused
	}
	return Again
}

func readPassword(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("password of the submission server: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPasswordFile))
	if err != nil {
		return "", fmt.Errorf("password of the submission server: %w", err)
	}
	password := strings.TrimRight(string(b), "\r\n")
	if password == "" {
		return "", fmt.Errorf("password of the submission server: %s is empty", path)
	}
	return password, nil
}

// local tells whether the other end is on this machine.
func local(conn net.Conn) bool {
	switch a := conn.RemoteAddr().(type) {
	case *net.UnixAddr:
		return true
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	}
	return false
}

// literal is what EHLO names a client that has no domain (RFC 5321 section 4.1.3).
func literal(conn net.Conn) string {
	a, ok := conn.LocalAddr().(*net.TCPAddr)
	switch {
	case !ok:
		return "localhost"
	case a.IP.To4() != nil:
		return "[" + a.IP.String() + "]"
	}
	return "[IPv6:" + a.IP.String() + "]"
}

// timedConn bounds each write; answers have a time limit of the client's.
type timedConn struct {
	net.Conn
	write time.Duration
}

func (c *timedConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.write)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func orElse(d, standard time.Duration) time.Duration {
	if d == 0 {
		return standard
	}
	return d
}
