package imapd

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xdg-go/scram"

	"postroom/internal/auth"
)

// realAuth is the authenticator in use, on a users file of its own.
func realAuth(t *testing.T, users string, mechanisms ...string) *auth.Service {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, []byte(users), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := auth.New(auth.Options{Users: path, Mechanisms: mechanisms})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// connectTLS connects to a server that serves TLS from the first octet.
func (s *server) connectTLS(t *testing.T, config *tls.Config) (*client, *tls.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.ServeTLS(l) }()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	raw, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	conn := tls.Client(raw, config)
	c := &client{t: t, conn: conn, in: bufio.NewReader(conn)}
	c.line()
	return c, conn
}

// signed makes a certificate; without a parent it is an authority's own.
func signed(t *testing.T, template, parent *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if parent == nil {
		parent, by = template, key
	}
	template.SerialNumber, template.NotAfter = big.NewInt(1), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// RFC 4422 appendix A: the certificate says who it is, and nobody may act for another.
func TestExternal(t *testing.T) {
	ca, caKey := signed(t, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil, nil)
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	var log syncBuffer
	s := startServer(t, func(o *Options) {
		o.Auth = realAuth(t, "alice:{PLAIN}x\nbob:{PLAIN}x\n")
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		o.TLS.ClientAuth, o.TLS.ClientCAs = tls.VerifyClientCertIfGiven, pool
	})
	encode := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	for _, c := range []struct {
		name, common string
		emails       []string
		response     string
		ok           bool
	}{
		{"common name", "alice", nil, "=", true},
		{"its own name", "alice", nil, encode("alice"), true},
		{"the address counts", "alice", []string{"bob"}, encode("bob"), true},
		{"another's name", "alice", nil, encode("bob"), false},
		{"the common name beside an address", "alice", []string{"bob"}, encode("alice"), false},
		{"no user", "carol", nil, "=", false},
	} {
		cert, key := signed(t, &x509.Certificate{
			Subject: pkix.Name{CommonName: c.common}, EmailAddresses: c.emails, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}, ca, caKey)
		config := s.client.Clone()
		config.Certificates = []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}
		conn, _ := s.connectTLS(t, config)
		if caps := strings.Join(conn.do("CAPABILITY"), " "); !strings.Contains(caps, "AUTH=EXTERNAL") {
			t.Errorf("%s: %s", c.name, caps)
		}
		if _, end := conn.try("AUTHENTICATE EXTERNAL " + c.response); strings.HasPrefix(end, "x OK") != c.ok || !c.ok && !strings.Contains(end, "[AUTHENTICATIONFAILED]") {
			t.Errorf("%s: %s", c.name, end)
		}
	}
	conn, _ := s.connectTLS(t, s.client)
	if caps := strings.Join(conn.do("CAPABILITY"), " "); strings.Contains(caps, "EXTERNAL") {
		t.Error("without a certificate:", caps)
	}
	if _, end := conn.try("AUTHENTICATE EXTERNAL ="); !strings.HasPrefix(end, "x NO") {
		t.Error(end)
	}
	if text := log.String(); !strings.Contains(text, "login failed\" remote=127.0.0.1 user=carol method=EXTERNAL") {
		t.Error(text)
	}
}

// RFC 5802 section 6 over IMAP.
func TestChannelBinding(t *testing.T) {
	stored, err := auth.Hash("SCRAM-SHA-256", "pencil")
	if err != nil {
		t.Fatal(err)
	}
	var log syncBuffer
	s := startServer(t, func(o *Options) {
		o.Auth, o.Logger = realAuth(t, "alice:"+stored+"\n"), slog.New(slog.NewTextHandler(&log, nil))
	})
	type make = func(*tls.ConnectionState) (scram.ChannelBinding, error)
	for _, c := range []struct {
		name, mechanism string
		binding         make
		spoil, deceived bool
		ok              bool
	}{
		{"tls-exporter", "SCRAM-SHA-256-PLUS", scram.NewTLSExporterBinding, false, false, true},
		{"tls-server-end-point", "SCRAM-SHA-256-PLUS", scram.NewTLSServerEndpointBinding, false, false, true},
		{"wrong exporter", "SCRAM-SHA-256-PLUS", scram.NewTLSExporterBinding, true, false, false},
		{"wrong end point", "SCRAM-SHA-256-PLUS", scram.NewTLSServerEndpointBinding, true, false, false},
		{"cannot bind", "SCRAM-SHA-256", nil, false, false, true},
		{"was told of no PLUS", "SCRAM-SHA-256", nil, false, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, tc := s.connectTLS(t, s.client)
			cl, err := scram.SHA256.NewClient("alice", "pencil", "")
			if err != nil {
				t.Fatal(err)
			}
			conv := cl.NewConversation()
			if c.deceived {
				conv = cl.NewConversationAdvertisingChannelBinding()
			}
			if c.binding != nil {
				state := tc.ConnectionState()
				b, err := c.binding(&state)
				if err != nil {
					t.Fatal(err)
				}
				if c.spoil {
					b.Data[0] ^= 1
				}
				conv = cl.NewConversationWithChannelBinding(b)
			}
			message, err := conv.Step("")
			conn.send("x AUTHENTICATE " + c.mechanism + " " + base64.StdEncoding.EncodeToString([]byte(message)) + "\r\n")
			line := conn.line()
			for ; err == nil && strings.HasPrefix(line, "+ "); line = conn.line() {
				challenge, _ := base64.StdEncoding.DecodeString(strings.TrimSpace(line[2:]))
				if message, err = conv.Step(string(challenge)); err == nil {
					conn.send(base64.StdEncoding.EncodeToString([]byte(message)) + "\r\n")
				}
			}
			if err != nil || strings.HasPrefix(line, "x OK") != c.ok || conv.Valid() != c.ok {
				t.Errorf("%v %q", err, line)
			}
		})
	}
	if text := log.String(); !strings.Contains(text, "login failed\" remote=127.0.0.1 user=alice method=SCRAM-SHA-256-PLUS") || strings.Contains(text, "pencil") {
		t.Error(text)
	}
}

// LOGIN shows the password as PLAIN does, and goes with it.
func TestNoLoginWithoutPlain(t *testing.T) {
	s := startServer(t, func(o *Options) { o.Auth = realAuth(t, "alice:{PLAIN}secret\n", "LOGIN") })
	c := s.connect(t)
	if caps := strings.Join(c.do("CAPABILITY"), " "); !strings.Contains(caps, "LOGINDISABLED") || !strings.Contains(caps, "AUTH=LOGIN") {
		t.Error(caps)
	}
	if _, end := c.try("LOGIN alice secret"); !strings.HasPrefix(end, "x NO [AUTHENTICATIONFAILED]") {
		t.Error(end)
	}
}
