package main

import (
	"strings"

	"postroom/internal/config"
	"postroom/internal/outbox"
	"postroom/internal/submit"
)

// sender is what the configuration says of sending; nil if it is not to be.
func sender(cfg *config.Config) submit.Sender {
	s := cfg.Submission
	switch {
	case s.Server != "":
		return &submit.SMTP{Address: s.Server, Security: s.TLS, User: s.User, PasswordFile: s.PasswordFile}
	case s.Sendmail != "":
		return &submit.Sendmail{Path: s.Sendmail}
	}
	return nil
}

// startOutbox sends by s what users have written, until shutdown; nil: nothing is sent.
func (d *daemons) startOutbox(s submit.Sender) {
	if s != nil {
		d.outbox = outbox.New(outbox.Options{Accounts: d.accounts, Sender: s, Names: d.auth.Names, Has: d.auth.Has, Logger: d.log})
	}
}

// senders are the addresses from which a user may send: those of the users file, else his login name as an address.
func senders(user string, listed []string, domain string) []string {
	switch {
	case len(listed) > 0:
		return listed
	case strings.Contains(user, "@"):
		return []string{user}
	case domain != "":
		return []string{user + "@" + domain}
	}
	return nil
}
