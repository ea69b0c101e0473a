package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"

	"postroom/internal/config"
)

// listener is one bound address.
type listener struct {
	net.Listener
	protocol string // "imap", "pop3", "web"
	tls      bool   // from the first octet
}

type listeners []listener

// listen binds every address, or takes the sockets that systemd bound: those
// are told apart by the names imap, imaps, pop3, pop3s, web, webs (FileDescriptorName=).
func listen(cfg *config.Config) (listeners, error) {
	passed, err := activation.ListenersWithNames()
	if err != nil {
		return nil, fmt.Errorf("sockets from systemd: %w", err)
	}
	if err := checkPassed(cfg, passed); err != nil {
		return nil, err
	}
	var out listeners
	for _, want := range []struct {
		key, name, protocol string
		tls                 bool
		addrs               []string
	}{
		{"imap.listen", "imap", "imap", false, cfg.IMAP.Listen},
		{"imap.listen_tls", "imaps", "imap", true, cfg.IMAP.ListenTLS},
		{"pop3.listen", "pop3", "pop3", false, cfg.POP3.Listen},
		{"pop3.listen_tls", "pop3s", "pop3", true, cfg.POP3.ListenTLS},
		{"web.listen", "web", "web", false, cfg.Web.Listen},
		{"web.listen_tls", "webs", "web", true, cfg.Web.ListenTLS},
	} {
		if len(passed) > 0 {
			for _, l := range passed[want.name] {
				out = append(out, listener{l, want.protocol, want.tls})
			}
			continue
		}
		for _, addr := range want.addrs {
			l, err := net.Listen(network(addr), addr)
			if err != nil {
				out.close()
				return nil, listenError(cfg.Where(want.key), addr, err)
			}
			out = append(out, listener{l, want.protocol, want.tls})
		}
	}
	return out, nil
}

// network keeps 0.0.0.0 to IPv4 and [::] to IPv6, so that a list may have both: as
// "tcp" either would take both, and the second fail. No host at all is both.
func network(addr string) string {
	host, _, _ := net.SplitHostPort(addr)
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return "tcp"
	case ip.Unmap().Is4():
		return "tcp4"
	}
	return "tcp6"
}

// checkPassed refuses sockets from systemd that nobody would serve.
func checkPassed(cfg *config.Config, passed map[string][]net.Listener) error {
	for name, ls := range passed {
		switch name {
		case "imap", "pop3", "web":
		case "imaps", "pop3s", "webs":
			if cfg.TLS.Certificate == "" {
				return fmt.Errorf("%s: systemd passed a socket named %q, and TLS wants a certificate", cfg.Where("tls.certificate"), name)
			}
		default:
			return fmt.Errorf("systemd passed %d sockets named %q: FileDescriptorName= has to be imap, imaps, pop3, pop3s, web or webs", len(ls), name)
		}
	}
	return nil
}

// listenError says what to do about an address that cannot be had.
func listenError(where, addr string, err error) error {
	what := ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		what = "; another program listens there: stop it, or give another address"
	case errors.Is(err, syscall.EACCES):
		what = "; ports below 1024 are root's: start as root with [process] user, or have systemd pass the sockets"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		what = "; this machine has no such address"
	}
	return fmt.Errorf("%s: %s: %w%s", where, addr, err, what)
}

func (ls listeners) close() {
	for _, l := range ls {
		l.Close()
	}
}

func (ls listeners) addrs(protocol string) string {
	var out []string
	for _, l := range ls {
		if l.protocol == protocol {
			out = append(out, l.Addr().String())
		}
	}
	return strings.Join(out, " ")
}
