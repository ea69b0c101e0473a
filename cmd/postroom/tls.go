package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"postroom/internal/config"
)

// certificates gives each new connection the certificate, and the authority of
// clients, that are on disk now. Sessions that are open keep what they began with. Safe
// for concurrent use; nil where TLS is not configured.
type certificates struct {
	files [3]tlsFile // certificate, key, client_ca
	log   *slog.Logger
	clock func() time.Time

	mu      sync.Mutex
	current *tls.Config // guarded by mu; never changed, only replaced
	seen    [3]stamp    // guarded by mu
	next    time.Time   // guarded by mu: when to look again
}

// tlsFile is a file that the configuration names. where is the place it does so in.
type tlsFile struct{ path, where string }

// stamp tells a file from what it was before.
type stamp struct {
	mtime time.Time
	size  int64
}

// certificateCheck is how often the files are looked at for a change.
const certificateCheck = 5 * time.Second

func newCertificates(cfg *config.Config, log *slog.Logger) (*certificates, error) {
	t := cfg.TLS
	if t.Certificate == "" {
		return nil, nil
	}
	c := &certificates{log: log, clock: time.Now, files: [3]tlsFile{
		{t.Certificate, cfg.Where("tls.certificate")}, {t.Key, cfg.Where("tls.key")}, {t.ClientCA, cfg.Where("tls.client_ca")},
	}}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.loadLocked(); err != nil {
		return nil, err
	}
	return c, nil
}

// loadLocked reads the files. After an error all is as it was. Its errors name file and line of the configuration.
func (c *certificates) loadLocked() error {
	seen := c.stamps()
	var data [3][]byte
	for i, f := range c.files {
		if f.path == "" {
			continue
		}
		var err error
		if data[i], err = readPEM(f.path); err != nil {
			return fmt.Errorf("%s: %w", f.where, err)
		}
	}
	cert, key, ca := c.files[0], c.files[1], c.files[2]
	pair, err := tls.X509KeyPair(data[0], data[1])
	if err != nil {
		return fmt.Errorf("%s: %s with the key %s: %w", cert.where, cert.path, key.path, err)
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if ca.path != "" {
		t.ClientAuth, t.ClientCAs = tls.VerifyClientCertIfGiven, x509.NewCertPool()
		if !t.ClientCAs.AppendCertsFromPEM(data[2]) {
			return fmt.Errorf("%s: %s holds no certificate in PEM", ca.where, ca.path)
		}
	}
	if now := c.clock(); pair.Leaf != nil && now.After(pair.Leaf.NotAfter) {
		c.log.Warn("the certificate has expired", "file", cert.path, "on", pair.Leaf.NotAfter.Format(time.DateOnly))
	}
	c.current, c.seen = t, seen
	return nil
}

// maxPEM bounds what is read of one file, in octets.
const maxPEM = 16 << 20

func readPEM(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPEM+1))
	if err == nil && len(data) > maxPEM {
		err = fmt.Errorf("%s is too large to be certificates", path)
	}
	return data, err
}

func (c *certificates) stamps() (s [3]stamp) {
	for i, f := range c.files {
		if fi, err := os.Stat(f.path); err == nil {
			s[i] = stamp{fi.ModTime(), fi.Size()}
		}
	}
	return s
}

// reload reads the files again; if that fails all stays as it was.
func (c *certificates) reload() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reloadLocked()
}

func (c *certificates) reloadLocked() {
	if err := c.loadLocked(); err != nil {
		c.log.Error("the certificate stays as it was", "error", err) // half written, perhaps
		return
	}
	c.log.Info("the certificate was read again")
}

// get gives what a new connection begins with.
func (c *certificates) get(*tls.ClientHelloInfo) (*tls.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.clock(); now.After(c.next) {
		c.next = now.Add(certificateCheck)
		if c.stamps() != c.seen {
			c.reloadLocked()
		}
	}
	return c.current, nil
}

// config is that of all listeners; nil without TLS.
func (c *certificates) config() *tls.Config {
	if c == nil {
		return nil
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: c.get}
}
