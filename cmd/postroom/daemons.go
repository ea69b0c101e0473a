package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"postroom/imapd"
	"postroom/internal/account"
	"postroom/internal/addressbook"
	"postroom/internal/auth"
	"postroom/internal/config"
	"postroom/internal/connlimit"
	"postroom/internal/outbox"
	"postroom/pop3d"
	"postroom/webmail"
)

// shutdownTime is what sessions have to end in; the rest of the ten seconds
// that SIGTERM gives is for closing files.
const shutdownTime = 7 * time.Second

// daemons are the servers of one process and what they share.
type daemons struct {
	log      *slog.Logger
	auth     *auth.Service
	accounts *account.Service
	certs    *certificates // nil without TLS
	imap     *imapd.Server
	pop3     *pop3d.Server
	web      *webmail.Server
	outbox   *outbox.Service // nil if nothing can be sent
	failed   chan error      // capacity: one for each listener

	wg sync.WaitGroup // the goroutines of start
}

func newDaemons(cfg *config.Config, log *slog.Logger) (*daemons, error) {
	d := &daemons{log: log}
	var err error
	if d.auth, err = auth.New(auth.Options{Users: cfg.Auth.Users, Mechanisms: cfg.Auth.Mechanisms, Logger: log}); err != nil {
		return nil, err
	}
	if d.certs, err = newCertificates(cfg, log); err != nil {
		return nil, err
	}
	d.accounts, err = account.New(accountConfig(cfg, d.auth, log))
	if err != nil {
		return nil, err
	}
	conns := connlimit.New(connlimit.Limits{
		Total: cfg.Limits.Connections, PerAddress: cfg.Limits.ConnectionsPerAddress, PerUser: cfg.Limits.ConnectionsPerUser,
	})
	d.imap = imapd.NewServer(imapd.Options{
		Accounts: d.accounts, Auth: d.auth, TLS: d.certs.config(), Logger: log, Conns: conns,
		LiteralMinus: cfg.IMAP.LiteralMinus, Version: version(),
		Limits: imapd.Limits{
			LoginTimeout: time.Duration(cfg.Limits.LoginTime), IdleTimeout: time.Duration(cfg.Limits.IMAPIdleTime),
			WriteTimeout: time.Duration(cfg.Limits.WriteTime),
			Line:         int64(cfg.Limits.CommandSize), Append: int64(cfg.Limits.MessageSize),
		},
	})
	d.pop3 = pop3d.NewServer(pop3d.Options{
		Accounts: d.accounts, Auth: d.auth, TLS: d.certs.config(), Logger: log, Connections: conns,
		LoginDelay: time.Duration(cfg.POP3.LoginDelay),
		Limits: pop3d.Limits{
			LoginTimeout: time.Duration(cfg.Limits.LoginTime), IdleTimeout: time.Duration(cfg.Limits.POP3IdleTime),
			WriteTimeout: time.Duration(cfg.Limits.WriteTime),
		},
	})
	proxies, err := cfg.Web.Proxies()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Where("web.trusted_proxies"), err)
	}
	d.startOutbox(sender(cfg))
	var contacts addressbook.Source
	if dir := cfg.AddressBook.Global; dir != "" {
		contacts = addressbook.NewDirectory(dir, log)
	}
	d.web, err = webmail.New(webmail.Options{
		Outbox: d.outbox, Addresses: func(user string) []string { return senders(user, d.auth.Addresses(user), cfg.Submission.Domain) },
		Accounts: d.accounts, Auth: d.auth, TLS: d.certs.config(), Logger: log, Conns: conns, TrustedProxies: proxies,
		Contacts: contacts,
		Limits: webmail.Limits{
			IdleTimeout: time.Duration(cfg.Limits.WebIdleTime), SessionTimeout: time.Duration(cfg.Limits.WebSessionTime),
			WriteTimeout: time.Duration(cfg.Limits.WriteTime), Message: int64(cfg.Limits.MessageSize),
		},
	})
	return d, err
}

// accountConfig is what the configuration says of mail.
func accountConfig(cfg *config.Config, users account.Users, log *slog.Logger) account.Config {
	others, public := cfg.Namespaces()
	return account.Config{
		Root: cfg.Mail.Root, Separator: cfg.Mail.Separator[0], UIDL: cfg.POP3.UIDL, Logger: log,
		Users: users, OtherUsers: others, Public: cfg.Mail.Public, PublicPrefix: public, AnyoneAllowed: cfg.Sharing.Anyone,
	}
}

// start serves each listener until shutdown.
func (d *daemons) start(ls listeners) {
	d.failed = make(chan error, len(ls))
	for _, l := range ls {
		serve := map[string]func() error{
			"imap":  func() error { return d.imap.Serve(l.Listener) },
			"imaps": func() error { return d.imap.ServeTLS(l.Listener) },
			"pop3":  func() error { return d.pop3.Serve(l.Listener) },
			"pop3s": func() error { return d.pop3.ServeTLS(l.Listener) },
			"web":   func() error { return d.web.Serve(l.Listener) },
			"webs":  func() error { return d.web.ServeTLS(l.Listener) },
		}
		name := l.protocol
		if l.tls {
			name += "s"
		}
		d.wg.Go(func() {
			err := serve[name]()
			if err != nil && !errors.Is(err, imapd.ErrServerClosed) && !errors.Is(err, pop3d.ErrServerClosed) &&
				!errors.Is(err, webmail.ErrServerClosed) {
				d.failed <- fmt.Errorf("%s on %s: %w", name, l.Addr(), err)
			}
		})
	}
}

// reload is SIGHUP's. What cannot be read stays as it was, which is logged.
func (d *daemons) reload() {
	d.auth.Reload()
	d.certs.reload()
}

// shutdown ends all sessions with BYE.
func (d *daemons) shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	d.auth.Close()
	var errs [3]error
	var wg sync.WaitGroup
	wg.Go(func() { errs[0] = d.imap.Shutdown(ctx) })
	wg.Go(func() { errs[1] = d.pop3.Shutdown(ctx) })
	wg.Go(func() { errs[2] = d.web.Shutdown(ctx) })
	wg.Wait()
	if d.outbox != nil {
		if err := d.outbox.Close(ctx); err != nil {
			d.log.Warn("what was being sent had to be cut off; it will be sent again", "error", err)
		}
	}
	d.wg.Wait()
	for _, err := range errs {
		if err != nil {
			d.log.Warn("sessions had to be cut off", "error", err)
		}
	}
	return nil
}

func (d *daemons) close() {
	d.accounts.Close()
	d.auth.Close()
}
