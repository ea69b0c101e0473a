package config

import (
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/net/idna"
)

// checkSubmission: what is sent, and the service account's password, go over the net by TLS alone.
func (c *Config) checkSubmission(wrong wrongFunc) {
	s := c.Submission
	socket := strings.HasPrefix(s.Server, "/")
	host, _, err := net.SplitHostPort(s.Server)
	switch {
	case s.Server != "" && s.Sendmail != "":
		wrong("submission.server", "it is set, and so is submission.sendmail: set one of them")
	case s.Server != "" && !socket && (err != nil || host == ""):
		wrong("submission.server", "%q is neither host:port nor the path of a socket", s.Server)
	case s.Sendmail != "" && !filepath.IsAbs(s.Sendmail):
		wrong("submission.sendmail", "%q is not an absolute path", s.Sendmail)
	}
	switch s.TLS {
	case "starttls", "implicit":
		if socket {
			wrong("submission.tls", "a socket of this machine has no TLS: set it to \"none\"")
		}
	case "none":
		if s.Server != "" && !socket && err == nil && !loopback(host) {
			wrong("submission.tls", "%q is not on this machine: mail goes over the net by \"starttls\" or \"implicit\" alone", host)
		}
	default:
		wrong("submission.tls", "%q: it is \"starttls\", \"implicit\" or \"none\"", s.TLS)
	}
	switch {
	case (s.User == "") != (s.PasswordFile == ""):
		wrong("submission.user", "user and password_file go together: set both or none")
	case s.User != "" && s.Server == "":
		wrong("submission.user", "only a server can be logged in to: set submission.server")
	case s.PasswordFile != "":
		if _, err := os.Stat(s.PasswordFile); err != nil {
			wrong("submission.password_file", "%w", err)
		}
	}
	if s.Sendmail != "" {
		if fi, err := os.Stat(s.Sendmail); err != nil {
			wrong("submission.sendmail", "%w", err)
		} else if !fi.Mode().IsRegular() || fi.Mode()&0o111 == 0 {
			wrong("submission.sendmail", "%s is no program", s.Sendmail)
		}
	}
	if s.Domain != "" {
		if ascii, err := idna.Lookup.ToASCII(s.Domain); err != nil || strings.ContainsAny(ascii, "@/ ") {
			wrong("submission.domain", "%q is no domain", s.Domain)
		}
	}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
