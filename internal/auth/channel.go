package auth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"

	"github.com/xdg-go/scram"
)

// Handshake makes the server's side of a TLS handshake on raw; its bounds are
// ctx's and raw's deadlines. It also gives the certificate that was shown, which
// crypto/tls does not tell a server and SCRAM's tls-server-end-point needs.
//
// There are no session tickets: a resumed session shows no certificate, and
// checks none of the client's.
func Handshake(ctx context.Context, raw net.Conn, config *tls.Config) (*tls.Conn, *x509.Certificate, error) {
	var shown *tls.Certificate
	watched := watch(config, &shown)
	if choose := config.GetConfigForClient; choose != nil {
		watched.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			chosen, err := choose(hello)
			if chosen == nil || err != nil {
				return nil, err
			}
			return watch(chosen, &shown), nil
		}
	}
	t := tls.Server(raw, watched)
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, nil, err
	}
	if shown == nil || len(shown.Certificate) == 0 {
		return t, nil, nil
	}
	if shown.Leaf != nil {
		return t, shown.Leaf, nil
	}
	leaf, err := x509.ParseCertificate(shown.Certificate[0])
	if err != nil {
		return t, nil, nil // no binding to it is on offer then
	}
	return t, leaf, nil
}

// watch gives a configuration that notes which certificate it shows.
func watch(config *tls.Config, shown **tls.Certificate) *tls.Config {
	c := config.Clone()
	c.SessionTicketsDisabled = true
	c.MinVersion = max(c.MinVersion, tls.VersionTLS12) // RFC 8996
	c.Certificates = nil                               // crypto/tls would not always ask GetCertificate first
	c.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		cert, err := pick(config, hello)
		*shown = cert
		return cert, err
	}
	return c
}

// pick chooses as crypto/tls does.
func pick(config *tls.Config, hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if config.GetCertificate != nil {
		if cert, err := config.GetCertificate(hello); cert != nil || err != nil {
			return cert, err
		}
	}
	for i := range config.Certificates {
		if hello.SupportsCertificate(&config.Certificates[i]) == nil {
			return &config.Certificates[i], nil
		}
	}
	if len(config.Certificates) > 0 {
		return &config.Certificates[0], nil
	}
	return nil, errors.New("there is no certificate")
}

// bindings are the channel bindings that a connection can have: tls-exporter
// (RFC 9266), and tls-server-end-point (RFC 5929 section 4), which older clients know. tls-unique is
// not among them: without the extended master secret it binds nothing, and TLS 1.3 has none.
func bindings(ci ConnInfo) []scram.ChannelBinding {
	if ci.TLSState == nil {
		return nil
	}
	var out []scram.ChannelBinding
	if ci.TLSState.HandshakeComplete {
		if b, err := scram.NewTLSExporterBinding(ci.TLSState); err == nil {
			out = append(out, b)
		}
	}
	if ci.Certificate != nil {
		// The constructor is made for clients, to whom the server is the peer.
		b, err := scram.NewTLSServerEndpointBinding(&tls.ConnectionState{PeerCertificates: []*x509.Certificate{ci.Certificate}})
		if err == nil { // a signature without a hash of its own, as Ed25519, has no such binding
			out = append(out, b)
		}
	}
	return out
}

// bindingFor finds the binding that a client's first message asks for ("p=name,,...");
// where it asks for none, any: the conversation then checks that it could not have.
func bindingFor(ci ConnInfo, first string) (b scram.ChannelBinding, asked bool) {
	have := bindings(ci)
	name, asked := strings.CutPrefix(first, "p=")
	name, _, _ = strings.Cut(name, ",")
	for _, h := range have {
		if !asked || string(h.Type) == name {
			return h, asked
		}
	}
	return scram.ChannelBinding{}, asked
}
