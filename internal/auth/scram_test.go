package auth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/xdg-go/scram"
)

const (
	// Iterations, salt and keys of "pencil" or of nothing; the forms differ.
	aliceSCRAM = "{SCRAM-SHA-256}4096,B3WdLs05bmfIgzQfBr7Jdg==,qQmDg9SlQo2P5OkFUFQgKFxRKnrW1xQiY4IVjM//2q8=,d09EiO4G9BEiOKNCQbE2l7754pYd+2zyQ3a28uwTDSQ="
	longSCRAM  = "{SCRAM-SHA-256}8192,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA,qQmDg9SlQo2P5OkFUFQgKFxRKnrW1xQiY4IVjM//2q8=,d09EiO4G9BEiOKNCQbE2l7754pYd+2zyQ3a28uwTDSQ="
)

// challengeOf is what SCRAM's first step shows of a name, without the nonce.
func challengeOf(t *testing.T, s *Service, name string) string {
	t.Helper()
	server, _, err := s.StartSASL("SCRAM-SHA-256", ConnInfo{RemoteAddr: here})
	if err != nil {
		t.Fatal(err)
	}
	challenge, _, err := server.Next([]byte("n,,n=" + name + ",r=abcdefgh"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(challenge), ",")
	return rest
}

// SCRAM does not tell who is a user: a stranger's salt and iterations look like
// those of most users, stay the same, and outlive the process; so do those of a
// user who has no SCRAM password.
func TestSCRAMTellsNothing(t *testing.T) {
	for name, text := range map[string]string{
		"short": "alice:" + aliceSCRAM + "\nbob:{PLAIN}pw\ncarol:" + aliceSCRAM + "\ndave:" + longSCRAM + "\n",
		"long":  "alice:" + longSCRAM + "\nbob:{PLAIN}pw\n",
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := service(t, text, "SCRAM-SHA-256")
			again, _ := service(t, text, "SCRAM-SHA-256")
			user, stranger, plain := challengeOf(t, s, "alice"), challengeOf(t, s, "nobody"), challengeOf(t, s, "bob")
			shape := func(c string) string {
				salt, iterations, _ := strings.Cut(c, ",")
				raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(salt, "s="))
				if err != nil {
					t.Fatal(err)
				}
				return iterations + strings.Repeat("x", len(raw))
			}
			if shape(user) != shape(stranger) || shape(user) != shape(plain) {
				t.Errorf("a user's challenge %q, a stranger's %q, one's without a SCRAM password %q", user, stranger, plain)
			}
			if stranger == plain {
				t.Error("two names have one salt")
			}
			if challengeOf(t, s, "nobody") != stranger || challengeOf(t, again, "nobody") != stranger || challengeOf(t, again, "bob") != plain {
				t.Error("the salt of who has none changes")
			}
		})
	}
}

func TestMechanismsOnOffer(t *testing.T) {
	all := "alice:" + aliceSCRAM + "\n"
	for _, c := range []struct {
		name, text string
		listed     []string
		want, log  string
	}{
		{"nobody has SCRAM", "bob:{PLAIN}pw\n", nil, "PLAIN LOGIN", ""},
		{"all have it", all, nil, "SCRAM-SHA-256 PLAIN LOGIN", ""},
		{"some have it", all + "bob:{PLAIN}pw\ncarol:{PLAIN}pw\n", nil, "PLAIN LOGIN", "SCRAM is not on offer"},
		{"some have it, and it is listed", all + "bob:{PLAIN}pw\ncarol:{PLAIN}pw\n", []string{"PLAIN", "SCRAM-SHA-256"}, "SCRAM-SHA-256 PLAIN", "can=1 cannot=2"},
		{"listed, and nobody has it", "bob:{PLAIN}pw\n", []string{"PLAIN", "SCRAM-SHA-256"}, "PLAIN", "no user has"},
		{"some have it, and it is not listed", all + "bob:{PLAIN}pw\n", []string{"LOGIN"}, "LOGIN", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log bytes.Buffer
			s, err := New(Options{Users: usersFile(t, c.text), Mechanisms: c.listed, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if got := strings.Join(s.Mechanisms(ConnInfo{RemoteAddr: here}), " "); got != c.want {
				t.Errorf("on offer: %s, want %s", got, c.want)
			}
			if !strings.Contains(log.String(), c.log) || c.log == "" && log.Len() > 0 {
				t.Errorf("the log has no %q: %s", c.log, &log)
			}
			for _, m := range allMechanisms {
				if _, _, err := s.StartSASL(m, ConnInfo{RemoteAddr: here}); (err == nil) != strings.Contains(" "+c.want+" ", " "+m+" ") {
					t.Errorf("%s can be started: %v", m, err)
				}
			}
		})
	}
	if _, err := New(Options{Users: usersFile(t, all), Mechanisms: []string{"PLAIM"}}); err == nil || !strings.Contains(err.Error(), "PLAIM") {
		t.Error(err)
	}
	// What shows the password outside of SASL stands and falls with PLAIN.
	s, _ := service(t, "bob:{PLAIN}pw\n", "LOGIN")
	if _, err := s.Authenticate(t.Context(), Request{RemoteAddr: here, User: "bob", Password: "pw"}); err == nil {
		t.Error("a password was taken without PLAIN")
	}
}

// serverCertificate makes a self-signed one whose signature has the given algorithm.
func serverCertificate(t *testing.T, alg x509.SignatureAlgorithm) tls.Certificate {
	t.Helper()
	var key any
	var public any
	switch alg {
	case x509.PureEd25519:
		pub, priv, _ := ed25519.GenerateKey(rand.Reader)
		key, public = priv, pub
	case x509.SHA256WithRSA, x509.SHA512WithRSAPSS:
		k, _ := rsa.GenerateKey(rand.Reader, 2048)
		key, public = k, &k.PublicKey
	default:
		k, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
		key, public = k, &k.PublicKey
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), SignatureAlgorithm: alg}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// handshake gives both ends of a connection through Handshake.
func handshake(t *testing.T, config *tls.Config, version uint16) (server ConnInfo, client tls.ConnectionState) {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	c := tls.Client(far, &tls.Config{InsecureSkipVerify: true, MaxVersion: version})
	done := make(chan error, 1)
	go func() { done <- c.Handshake() }()
	conn, cert, err := Handshake(t.Context(), near, config)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	state := conn.ConnectionState()
	return ConnInfo{RemoteAddr: here, TLS: true, TLSState: &state, Certificate: cert}, c.ConnectionState()
}

func TestHandshakeTellsTheCertificate(t *testing.T) {
	cert := serverCertificate(t, x509.ECDSAWithSHA256)
	get := func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &cert, nil }
	plain := &tls.Config{Certificates: []tls.Certificate{cert}}
	for name, config := range map[string]*tls.Config{
		"Certificates":   plain,
		"GetCertificate": {GetCertificate: get},
		"GetConfigForClient": {GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return &tls.Config{GetCertificate: get}, nil
		}},
		"GetConfigForClient gives none": {GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, nil }, Certificates: plain.Certificates},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			ci, _ := handshake(t, config, version)
			if ci.Certificate == nil || !bytes.Equal(ci.Certificate.Raw, cert.Certificate[0]) {
				t.Errorf("%s, TLS %x: not the certificate that was shown", name, version)
			}
		}
	}
}

// RFC 5929 section 4.1: the hash is that of the certificate's signature, SHA-256 in place of MD5 and SHA-1.
func TestServerEndPoint(t *testing.T) {
	sum256 := func(b []byte) []byte { h := sha256.Sum256(b); return h[:] }
	for _, c := range []struct {
		alg  x509.SignatureAlgorithm
		want func([]byte) []byte
	}{
		{x509.ECDSAWithSHA256, sum256},
		{x509.ECDSAWithSHA384, func(b []byte) []byte { h := sha512.Sum384(b); return h[:] }},
		{x509.SHA512WithRSAPSS, func(b []byte) []byte { h := sha512.Sum512(b); return h[:] }},
		{x509.MD5WithRSA, sum256},
		{x509.SHA1WithRSA, sum256},
		{x509.PureEd25519, nil}, // no hash of its own, so no such binding
	} {
		var cert *x509.Certificate
		switch c.alg {
		case x509.MD5WithRSA, x509.SHA1WithRSA: // crypto/x509 makes none
			cert = &x509.Certificate{Raw: []byte("an old certificate"), SignatureAlgorithm: c.alg}
		default:
			var err error
			if cert, err = x509.ParseCertificate(serverCertificate(t, c.alg).Certificate[0]); err != nil {
				t.Fatal(err)
			}
		}
		got, _ := bindingFor(ConnInfo{TLSState: &tls.ConnectionState{}, Certificate: cert}, "p=tls-server-end-point,,n=a,r=b")
		if c.want == nil && got.IsSupported() || c.want != nil && !bytes.Equal(got.Data, c.want(cert.Raw)) {
			t.Errorf("%v: %x", c.alg, got.Data)
		}
	}
}

// What a client sends does not reach the log at its full length.
func TestSCRAMErrorsAreShort(t *testing.T) {
	s, _ := service(t, "alice:"+aliceSCRAM+"\n")
	long := strings.Repeat("x", 10000)
	for _, first := range []string{long, "n,,n=" + long, "n,," + long + "=,r=" + long, "p=" + long + ",,n=a,r=b", "q,,n=a,r=b", ""} {
		server, _, err := s.StartSASL("SCRAM-SHA-256", ConnInfo{RemoteAddr: here})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err = server.Next([]byte(first)); err == nil || len(err.Error()) > 200 || len(Tried(err)) > 2*maxLogged {
			t.Errorf("%.20q: %.300v", first, err)
		}
	}
}

// bound runs one exchange in SCRAM; binding is the client's.
func bound(s *Service, mechanism string, ci ConnInfo, change func(*scram.Client) *scram.ClientConversation) error {
	client, err := scram.SHA256.NewClient("alice", "pencil", "")
	if err != nil {
		return err
	}
	conv := change(client)
	server, _, err := s.StartSASL(mechanism, ci)
	if err != nil {
		return err
	}
	msg, err := conv.Step("")
	for done := false; err == nil && !done; {
		var answer []byte
		if answer, done, err = server.Next([]byte(msg)); err == nil {
			msg, err = conv.Step(string(answer))
		}
	}
	return err
}

func TestChannelBinding(t *testing.T) {
	s, _ := service(t, "alice:"+mustHash(t, "SCRAM-SHA-256", "pencil")+"\n")
	noPlus, _ := service(t, "alice:"+mustHash(t, "SCRAM-SHA-256", "pencil")+"\n", "SCRAM-SHA-256")
	config := &tls.Config{Certificates: []tls.Certificate{serverCertificate(t, x509.ECDSAWithSHA256)}}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		ci, state := handshake(t, config, version)
		other, elsewhere := handshake(t, config, version)
		_ = other
		exporter, err := scram.NewTLSExporterBinding(&state)
		if err != nil {
			t.Fatal(err)
		}
		wrong, _ := scram.NewTLSExporterBinding(&elsewhere)
		endPoint, err := scram.NewTLSServerEndpointBinding(&state)
		if err != nil {
			t.Fatal(err)
		}
		wrongEnd := endPoint
		wrongEnd.Data = bytes.Repeat([]byte{1}, len(endPoint.Data))
		with := func(b scram.ChannelBinding) func(*scram.Client) *scram.ClientConversation {
			return func(c *scram.Client) *scram.ClientConversation { return c.NewConversationWithChannelBinding(b) }
		}
		without := (*scram.Client).NewConversation
		deceived := (*scram.Client).NewConversationAdvertisingChannelBinding
		for _, c := range []struct {
			name      string
			s         *Service
			mechanism string
			ci        ConnInfo
			conv      func(*scram.Client) *scram.ClientConversation
			ok        bool
		}{
			{"tls-exporter", s, "SCRAM-SHA-256-PLUS", ci, with(exporter), true},
			{"tls-server-end-point", s, "SCRAM-SHA-256-PLUS", ci, with(endPoint), true},
			{"the exporter of another connection", s, "SCRAM-SHA-256-PLUS", ci, with(wrong), false},
			{"another certificate", s, "SCRAM-SHA-256-PLUS", ci, with(wrongEnd), false},
			{"a binding there is not", s, "SCRAM-SHA-256-PLUS", ci, with(scram.NewTLSUniqueBinding([]byte("x"))), false},
			{"PLUS without binding", s, "SCRAM-SHA-256-PLUS", ci, without, false},
			{"a binding without PLUS", s, "SCRAM-SHA-256", ci, with(exporter), false},
			{"a client that cannot bind", s, "SCRAM-SHA-256", ci, without, true},
			{"a client that was told of no PLUS", s, "SCRAM-SHA-256", ci, deceived, false},
			{"the same, and it is so", noPlus, "SCRAM-SHA-256", ci, deceived, true},
			{"the same without TLS", s, "SCRAM-SHA-256", ConnInfo{RemoteAddr: here}, deceived, true},
			{"PLUS where it is not on offer", noPlus, "SCRAM-SHA-256-PLUS", ci, with(exporter), false},
			{"PLUS without TLS", s, "SCRAM-SHA-256-PLUS", ConnInfo{RemoteAddr: here}, with(exporter), false},
		} {
			if err := bound(c.s, c.mechanism, c.ci, c.conv); (err == nil) != c.ok {
				t.Errorf("TLS %x, %s: %v", version, c.name, err)
			}
		}
	}
}
