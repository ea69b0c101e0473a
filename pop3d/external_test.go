package pop3d

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xdg-go/scram"

	"postroom/internal/auth"
)

// authority certifies clients.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.cert, a.key = a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// sign makes a certificate, self-signed if it is the first.
func (a *authority) sign(template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, parentKey := a.cert, a.key
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// client makes a client's certificate with these names.
func (a *authority) client(common string, emails ...string) tls.Certificate {
	cert, key := a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: common}, EmailAddresses: emails,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

// usersOf makes the real authenticator with a users file.
func usersOf(t *testing.T, text string) *auth.Service {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	service, err := auth.New(auth.Options{Users: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(service.Close)
	return service
}

// RFC 4422 appendix A: the certificate's e-mail address, else its common name,
// is the user; another authorization identity is refused.
func TestExternalByCertificate(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	config, trust := certificate(t)
	config.ClientAuth, config.ClientCAs = tls.VerifyClientCertIfGiven, x509.NewCertPool()
	config.ClientCAs.AddCert(ca.cert)
	f := start(t, func(o *Options) { o.TLS, o.Auth = config, usersOf(t, "alice:{PLAIN}x\nbob:{PLAIN}x\n") })
	addr := f.listen(f.server.ServeTLS)
	dial := func(cert *tls.Certificate) *client {
		t.Helper()
		with := trust.Clone()
		if cert != nil {
			with.Certificates = []tls.Certificate{*cert}
		}
		return newClient(t, tls.Client(f.dialRaw(addr).conn, with))
	}
	for _, c := range []struct {
		name, as string
		cert     tls.Certificate
		want     string
	}{
		{"common name", "=", ca.client("alice"), "+OK Logged in."},
		{"with its own name", base64.StdEncoding.EncodeToString([]byte("alice")), ca.client("alice"), "+OK Logged in."},
		{"the address counts", "=", ca.client("alice", "bob"), "+OK Logged in."},
		{"another's name", base64.StdEncoding.EncodeToString([]byte("bob")), ca.client("alice"), "-ERR [AUTH] Authentication failed."},
		{"no user", "=", ca.client("carol"), "-ERR [AUTH] Authentication failed."},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := dial(&c.cert)
			conn.t = t
			conn.want("+OK*")
			if got := conn.multi("AUTH"); !slices.Contains(got, "EXTERNAL") {
				t.Errorf("on offer: %q", got)
			}
			conn.script("C: AUTH EXTERNAL " + c.as + "\nS: " + c.want)
		})
	}
	f.logHas("msg=login", "user=alice", "method=EXTERNAL")
	f.logHas("msg=login", "user=bob", "method=EXTERNAL")
	f.logHas("authentication failed", "user=carol", "method=EXTERNAL")

	conn := dial(nil)
	conn.want("+OK*")
	if got := conn.multi("AUTH"); slices.Contains(got, "EXTERNAL") {
		t.Errorf("on offer without a certificate: %q", got)
	}
	conn.script("C: AUTH EXTERNAL =\nS: -ERR This mechanism is not on offer.")

	// Whom the authority did not certify has no session at all.
	other := stranger.client("alice")
	raw := f.dialRaw(addr)
	with := trust.Clone()
	with.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &other, nil }
	tc := tls.Client(raw.conn, with)
	if _, err := tc.Read(make([]byte, 1)); err == nil {
		t.Error("a certificate of a stranger was taken")
	}
}

// RFC 5802 section 6 over POP3: both bindings, a wrong one, and a client that was
// told of no -PLUS.
func TestChannelBinding(t *testing.T) {
	config, trust := certificate(t)
	f := start(t, func(o *Options) { o.TLS, o.Auth = config, users(t) })
	addr := f.listen(f.server.ServeTLS)
	type maker = func(*scram.Client, *tls.ConnectionState) *scram.ClientConversation
	with := func(make func(*tls.ConnectionState) (scram.ChannelBinding, error), spoil bool) maker {
		return func(c *scram.Client, state *tls.ConnectionState) *scram.ClientConversation {
			b, err := make(state)
			if err != nil {
				t.Fatal(err)
			}
			if spoil {
				b.Data[0] ^= 1
			}
			return c.NewConversationWithChannelBinding(b)
		}
	}
	for _, c := range []struct {
		name, mechanism string
		conv            maker
		ok              bool
	}{
		{"tls-exporter", "SCRAM-SHA-256-PLUS", with(scram.NewTLSExporterBinding, false), true},
		{"tls-server-end-point", "SCRAM-SHA-256-PLUS", with(scram.NewTLSServerEndpointBinding, false), true},
		{"wrong tls-exporter", "SCRAM-SHA-256-PLUS", with(scram.NewTLSExporterBinding, true), false},
		{"wrong tls-server-end-point", "SCRAM-SHA-256-PLUS", with(scram.NewTLSServerEndpointBinding, true), false},
		{"cannot bind", "SCRAM-SHA-256", func(c *scram.Client, _ *tls.ConnectionState) *scram.ClientConversation { return c.NewConversation() }, true},
		{"was told of no PLUS", "SCRAM-SHA-256", func(c *scram.Client, _ *tls.ConnectionState) *scram.ClientConversation {
			return c.NewConversationAdvertisingChannelBinding()
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			tc := tls.Client(f.dialRaw(addr).conn, trust)
			conn := newClient(t, tc)
			conn.want("+OK*")
			cl, err := scram.SHA256.NewClient("alice", password, "")
			if err != nil {
				t.Fatal(err)
			}
			state := tc.ConnectionState()
			conv := c.conv(cl, &state)
			message, _ := conv.Step("")
			conn.send("AUTH " + c.mechanism + " " + base64.StdEncoding.EncodeToString([]byte(message)) + "\r\n")
			line := conn.read()
			for strings.HasPrefix(line, "+ ") {
				challenge, _ := base64.StdEncoding.DecodeString(line[2:])
				if message, err = conv.Step(string(challenge)); err != nil {
					t.Fatal(err)
				}
				conn.send(base64.StdEncoding.EncodeToString([]byte(message)) + "\r\n")
				line = conn.read()
			}
			want := "+OK Logged in."
			if !c.ok {
				want = "-ERR [AUTH] Authentication failed."
			}
			if line != want {
				t.Errorf("%q, want %q", line, want)
			}
		})
	}
}

// The log has the name that a refused SASL login was for, bounded and in one line.
func TestRefusedNamesAreLogged(t *testing.T) {
	f := start(t, func(o *Options) { o.Auth = users(t) })
	c := f.dial()
	encode := func(name string) string {
		return base64.StdEncoding.EncodeToString([]byte("\x00" + name + "\x00wrong"))
	}
	c.script("C: AUTH PLAIN " + encode("mallory") + "\nS: -ERR [AUTH] Authentication failed.")
	f.logHas("authentication failed", "user=mallory", "method=PLAIN")
	c.script("C: AUTH PLAIN " + encode("eve\r\nmsg=login") + "\nS: -ERR [AUTH] Authentication failed.")
	f.logHas("authentication failed", "eve", "method=PLAIN")
	if got := exchangeSCRAM(t, f.dial(), "SCRAM-SHA-256", "wrong", true); !strings.HasPrefix(got, "-ERR") {
		t.Error(got)
	}
	f.logHas("authentication failed", "user=alice", "method=SCRAM-SHA-256")
	for line := range strings.Lines(f.log.String()) {
		if strings.HasPrefix(line, "msg=login") {
			t.Errorf("a name made a line of its own: %q", line)
		}
	}
}
