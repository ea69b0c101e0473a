package config

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"reflect"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"postroom/internal/auth"
)

// problem is what is wrong with one key.
type problem struct {
	key string
	err error
}

// check finds values that cannot be.
func (c *Config) check(mustHaveUsers bool) []problem {
	var out []problem
	wrong := func(key, format string, args ...any) {
		out = append(out, problem{key, fmt.Errorf(format, args...)})
	}
	if !filepath.IsAbs(c.Mail.Root) {
		wrong("mail.root", "%q is not an absolute path", c.Mail.Root)
	}
	if !strings.Contains(c.Mail.Root, "{user}") && !strings.Contains(c.Mail.Root, "{local}") {
		wrong("mail.root", "%q has neither {user} nor {local}, so that all users would share one Maildir", c.Mail.Root)
	}
	rest := strings.NewReplacer("{user}", "", "{local}", "", "{domain}", "").Replace(c.Mail.Root)
	if strings.ContainsAny(rest, "{}") {
		wrong("mail.root", "%q: only {user}, {local} and {domain} stand for something", c.Mail.Root)
	}
	if c.Mail.Separator != "/" && c.Mail.Separator != "." {
		wrong("mail.separator", "%q: it is \"/\" or \".\"", c.Mail.Separator)
	}
	c.checkSharing(wrong)
	if _, err := os.Stat(c.Auth.Users); err != nil && mustHaveUsers {
		wrong("auth.users", "%w; make it by: postroom user add NAME --users %s", err, c.Auth.Users)
	}
	if err := auth.CheckMechanisms(c.Auth.Mechanisms); err != nil {
		wrong("auth.mechanisms", "%w", err)
	}
	if g := c.AddressBook.Global; g != "" && !filepath.IsAbs(g) {
		wrong("addressbook.global", "%q is not an absolute path", g)
	} else if fi, err := os.Stat(g); g != "" && (err != nil || !fi.IsDir()) {
		wrong("addressbook.global", "%q is not a directory", g)
	}
	c.checkListeners(wrong)
	c.checkWeb(wrong)
	c.checkSubmission(wrong)
	c.checkTLS(wrong)
	if c.POP3.UIDL != "dovecot" && c.POP3.UIDL != "courier" {
		wrong("pop3.uidl", "%q: it is \"dovecot\" or \"courier\"", c.POP3.UIDL)
	}
	if c.Process.User != "" {
		if _, err := user.Lookup(c.Process.User); err != nil {
			wrong("process.user", "%w", err)
		}
	}
	c.checkLimits(wrong)
	switch c.Log.Level {
	case "debug", "info", "warn", "error":
	default:
		wrong("log.level", "%q: it is \"debug\", \"info\", \"warn\" or \"error\"", c.Log.Level)
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		wrong("log.format", "%q: it is \"text\" or \"json\"", c.Log.Format)
	}
	return out
}

type wrongFunc = func(key, format string, args ...any)

func (c *Config) checkSharing(wrong wrongFunc) {
	if c.Mail.Public != "" && !filepath.IsAbs(c.Mail.Public) {
		wrong("mail.public", "%q is not an absolute path", c.Mail.Public)
	}
	if strings.ContainsAny(c.Mail.Public, "{}") {
		wrong("mail.public", "%q: public mailboxes are one tree for all users", c.Mail.Public)
	}
	others, public := c.Namespaces()
	for key, name := range map[string]string{"sharing.other_users": others, "sharing.public": public} {
		switch {
		case strings.Contains(name, c.Mail.Separator) && c.Mail.Separator != "":
			wrong(key, "%q: it is one part of a mailbox's name", name)
		case strings.EqualFold(name, "INBOX"):
			wrong(key, "%q is everybody's own", name)
		case strings.ContainsFunc(name, unicode.IsControl) || !utf8.ValidString(name):
			wrong(key, "%q holds what no mailbox's name may", name)
		}
	}
	if c.Mail.Public != "" && public == "" {
		wrong("sharing.public", "mail.public wants a name for its mailboxes")
	}
	if public != "" && public == others {
		wrong("sharing.public", "%q is what sharing.other_users is", public)
	}
}

func (c *Config) checkListeners(wrong wrongFunc) {
	seen := make(map[string]string)
	total := 0
	for _, l := range []struct {
		key   string
		addrs []string
		tls   bool
	}{
		{"imap.listen", c.IMAP.Listen, false}, {"imap.listen_tls", c.IMAP.ListenTLS, true},
		{"pop3.listen", c.POP3.Listen, false}, {"pop3.listen_tls", c.POP3.ListenTLS, true},
		{"web.listen", c.Web.Listen, false}, {"web.listen_tls", c.Web.ListenTLS, true},
	} {
		for _, a := range l.addrs {
			total++
			if err := splitAddress(a); err != nil {
				wrong(l.key, "%w", err)
			} else if other, twice := seen[a]; twice && !strings.HasSuffix(a, ":0") { // port 0 is any that is free
				wrong(l.key, "%q stands in %s already", a, other)
			}
			seen[a] = l.key
		}
		if l.tls && len(l.addrs) > 0 && c.TLS.Certificate == "" {
			wrong(l.key, "TLS wants a certificate: set tls.certificate and tls.key")
		}
	}
	if total == 0 {
		wrong("imap.listen", "nothing listens: give imap, pop3 or web an address")
	}
}

// checkWeb: a browser cannot be asked for STARTTLS, so plain HTTP is for this machine, and for proxies that do TLS.
func (c *Config) checkWeb(wrong wrongFunc) {
	proxies, err := c.Web.Proxies()
	if err != nil {
		wrong("web.trusted_proxies", "%w", err)
	}
	for _, a := range c.Web.Listen {
		host, _, _ := net.SplitHostPort(a)
		ip, err := netip.ParseAddr(host)
		local := host == "localhost" || err == nil && ip.Unmap().IsLoopback()
		if !local && len(proxies) == 0 && len(c.Web.TrustedProxies) == 0 {
			wrong("web.listen", "%q: nobody may sign in there, since passwords would go over the net in clear: "+
				"use web.listen_tls, or name the proxy that does TLS in web.trusted_proxies", a)
		}
	}
	if c.Limits.WebSessionTime < c.Limits.WebIdleTime {
		wrong("limits.web_session_time", "it must not be less than limits.web_idle_time")
	}
}

func (c *Config) checkTLS(wrong wrongFunc) {
	if (c.TLS.Certificate == "") != (c.TLS.Key == "") {
		wrong("tls.certificate", "certificate and key go together: set both or none")
	}
	for key, path := range map[string]string{
		"tls.certificate": c.TLS.Certificate, "tls.key": c.TLS.Key, "tls.client_ca": c.TLS.ClientCA,
	} {
		if path == "" {
			continue
		}
		if _, err := os.Stat(path); err != nil {
			wrong(key, "%w", err)
		}
	}
	if c.TLS.ClientCA != "" && c.TLS.Certificate == "" {
		wrong("tls.client_ca", "client certificates want TLS: set tls.certificate and tls.key")
	}
}

func (c *Config) checkLimits(wrong wrongFunc) {
	for key, n := range map[string]int64{
		"limits.connections":             int64(c.Limits.Connections),
		"limits.connections_per_address": int64(c.Limits.ConnectionsPerAddress),
		"limits.connections_per_user":    int64(c.Limits.ConnectionsPerUser),
		"limits.message_size":            int64(c.Limits.MessageSize),
		"limits.command_size":            int64(c.Limits.CommandSize),
		"limits.login_time":              int64(c.Limits.LoginTime),
		"limits.write_time":              int64(c.Limits.WriteTime),
		"limits.web_idle_time":           int64(c.Limits.WebIdleTime),
		"limits.web_session_time":        int64(c.Limits.WebSessionTime),
	} {
		if n <= 0 {
			wrong(key, "it must be more than 0")
		}
	}
	if c.Limits.IMAPIdleTime < Duration(30*time.Minute) {
		wrong("limits.imap_idle_time", "RFC 9051 section 5.4 wants 30m at least")
	}
	if c.Limits.POP3IdleTime < Duration(10*time.Minute) {
		wrong("limits.pop3_idle_time", "RFC 1939 section 3 wants 10m at least")
	}
}

// Keys lists all keys, as "table.key", in the order of the example.
func Keys() []string {
	var out []string
	t := reflect.TypeFor[Config]()
	for i := range t.NumField() {
		table := t.Field(i)
		name := table.Tag.Get("toml")
		if !table.IsExported() || name == "-" {
			continue
		}
		for j := range table.Type.NumField() {
			out = append(out, name+"."+table.Type.Field(j).Tag.Get("toml"))
		}
	}
	return out
}
