package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"postroom/internal/config"
)

// certificates gives each new connection the certificate that is on disk now. Safe for
// concurrent use; nil where TLS is not configured.
type certificates struct {
	cert, key string
	log       *slog.Logger
	clientCAs *x509.CertPool

	mu      sync.Mutex
	current *tls.Certificate // guarded by mu
	seen    [2]time.Time     // guarded by mu: when the files were written
	next    time.Time        // guarded by mu: when to look again
}

// certificateCheck is how often the files are looked at for a change.
const certificateCheck = 5 * time.Second

func newCertificates(cfg *config.Config, log *slog.Logger) (*certificates, error) {
	c := cfg.TLS
	if c.Certificate == "" {
		return nil, nil
	}
	cs := &certificates{cert: c.Certificate, key: c.Key, log: log}
	if err := cs.load(); err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Where("tls.certificate"), err)
	}
	if c.ClientCA != "" {
		pem, err := os.ReadFile(c.ClientCA)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", cfg.Where("tls.client_ca"), err)
		}
		cs.clientCAs = x509.NewCertPool()
		if !cs.clientCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: %s holds no certificate in PEM", cfg.Where("tls.client_ca"), c.ClientCA)
		}
	}
	return cs, nil
}

func (c *certificates) load() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.loadLocked()
}

func (c *certificates) loadLocked() error {
	seen := c.stamps()
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return err
	}
	c.current, c.seen = &pair, seen
	return nil
}

func (c *certificates) stamps() (s [2]time.Time) {
	for i, path := range []string{c.cert, c.key} {
		if fi, err := os.Stat(path); err == nil {
			s[i] = fi.ModTime()
		}
	}
	return s
}

// reload reads the files again; if that fails the old certificate stays.
func (c *certificates) reload() {
	if c == nil {
		return
	}
	if err := c.load(); err != nil {
		c.log.Error("the certificate stays as it was", "error", err)
	}
}

func (c *certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.After(c.next) {
		c.next = now.Add(certificateCheck)
		if c.stamps() != c.seen {
			if err := c.loadLocked(); err != nil {
				c.log.Error("the certificate stays as it was", "error", err) // half written, perhaps
			} else {
				c.log.Info("the certificate was read again")
			}
		}
	}
	return c.current, nil
}

// config is that of all listeners; nil without TLS.
func (c *certificates) config() *tls.Config {
	if c == nil {
		return nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}
	if c.clientCAs != nil {
		t.ClientAuth, t.ClientCAs = tls.VerifyClientCertIfGiven, c.clientCAs
	}
	return t
}
