package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/mail"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"postroom/internal/account"
	"postroom/internal/auth"
	"postroom/internal/config"
	"postroom/internal/demo"
)

func demoCommand() *cobra.Command {
	var dir, imap, pop3, web string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Serve sample mail on this machine, to try Postroom out",
		Long: `Serve sample mail for two users on this machine's loopback, and show what
arrives and who logs in. Nothing has to be installed or configured. What they write
in the web mail reaches each other, and nobody else. Without --dir the mail is thrown away at the end.`,
		Args: exactArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDemo(cmd.Context(), cmd.OutOrStdout(), dir, imap, pop3, web)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "keep the mail in `DIR`; what is there already is served as it is")
	cmd.Flags().StringVar(&imap, "imap", "127.0.0.1:1143", "`ADDR` for IMAP")
	cmd.Flags().StringVar(&pop3, "pop3", "127.0.0.1:1110", "`ADDR` for POP3")
	cmd.Flags().StringVar(&web, "web", "127.0.0.1:8080", "`ADDR` for the web mail")
	return cmd
}

func runDemo(ctx context.Context, out io.Writer, dir, imap, pop3, web string) error {
	// Signals are caught before anything is made that wants removing.
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer stop()
	thrownAway := dir == ""
	if thrownAway {
		d, err := os.MkdirTemp("", "postroom-demo-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(d)
		dir = d
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	cfg, err := demoConfig(dir, imap, pop3, web)
	if err != nil {
		return err
	}
	ls, err := listen(cfg)
	if err != nil {
		return usageError{fmt.Errorf("%w (see --imap, --pop3 and --web)", err)}
	}
	defer ls.close()
	post, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer post.Close()
	cfg.Submission.Server, cfg.Submission.TLS, cfg.Submission.Domain = post.Addr().String(), "none", demo.Domain
	out = &oneWriter{w: out}
	warnings := slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})
	log := slog.New(loginLines{next: warnings, out: out, attrs: make(map[string]string)})
	d, err := newDaemons(cfg, log)
	if err != nil {
		return err
	}
	defer d.close()
	sayHello(out, dir, ls, thrownAway)
	d.start(ls)
	office := demo.NewPost(dir)
	var watching sync.WaitGroup
	watching.Go(func() {
		if err := office.Serve(post); err != nil {
			log.Error("delivering what is written", "error", err)
		}
	})
	for _, u := range demo.Users() {
		watching.Go(func() {
			if err := showArrivals(ctx, out, d.accounts, u.Name); err != nil && ctx.Err() == nil {
				log.Error("watching for mail", "user", u.Name, "error", err)
			}
		})
	}
	select {
	case <-ctx.Done():
		err = nil
	case err = <-d.failed:
		stop()
	}
	err = errors.Join(err, office.Close())
	_ = post.Close() // Serve may not have begun
	watching.Wait()
	return errors.Join(err, d.shutdown())
}

// demoConfig makes the sample mail and the users file.
func demoConfig(dir, imap, pop3, web string) (*config.Config, error) {
	if err := demo.Build(dir, time.Now()); err != nil {
		return nil, err
	}
	users := filepath.Join(dir, "users")
	err := auth.Update(users, func(*os.File) error { return nil }, func(f *auth.File) error {
		for _, u := range demo.Users() {
			if _, there := f.Lookup(u.Name); there {
				continue
			}
			stored, err := auth.Hash("SSHA256", u.Password)
			if err != nil {
				return err
			}
			if err := f.Set(u.Name, stored); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	cfg := config.Default()
	cfg.Mail.Root = filepath.Join(dir, "{user}", "Maildir")
	cfg.Auth.Users = users
	cfg.IMAP.Listen, cfg.POP3.Listen, cfg.Web.Listen = []string{imap}, []string{pop3}, []string{web}
	return &cfg, writeDemoConfig(filepath.Join(dir, demoConfigName), &cfg)
}

func sayHello(w io.Writer, dir string, ls listeners, thrownAway bool) {
	kept := "It is thrown away at the end."
	if !thrownAway {
		kept = "It stays there."
	}
	fmt.Fprintf(w, `Postroom serves sample mail. End it with Ctrl-C.

  Web   http://%[6]s
  IMAP  %[1]s      POP3  %[2]s      no TLS
  Users alice and bob, password demo
  Mail  %[3]s  %[4]s

Try, in another terminal:

  curl -u alice:demo 'imap://%[1]s/INBOX?UNSEEN'
  curl -u alice:demo pop3://%[2]s/1
  printf 'From: you@example.org\nSubject: Hello\n\nHi!\n' > %[3]s/alice/Maildir/new/$(date +%%s).$$.me

%[5]sWhat arrives is shown here, and who logs in.
`, ls.addrs("imap"), ls.addrs("pop3"), dir, kept, howToShare(dir), ls.addrs("web"))
}

// folderLook is how often the demo looks for folders made meanwhile.
const folderLook = time.Second

// showArrivals prints a line for each message that comes to any mailbox of a
// user, until ctx ends.
func showArrivals(ctx context.Context, w io.Writer, accounts *account.Service, user string) error {
	u, err := accounts.Open(ctx, user)
	if err != nil {
		return err
	}
	defer u.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	var mu sync.Mutex
	shown := make(map[string]bool) // guarded by mu: mailboxes that a goroutine shows
	for first := true; ; first = false {
		entries, err := u.Mailboxes(ctx)
		if err != nil {
			return err
		}
		for _, e := range entries {
			mu.Lock()
			known := e.NonExistent || shown[e.Name]
			shown[e.Name] = true
			mu.Unlock()
			if known {
				continue
			}
			m, err := u.Select(ctx, e.Name, true)
			if err != nil {
				continue // gone again
			}
			var from uint32 = 1
			if first {
				from = m.Current().UIDNext()
			}
			wg.Go(func() {
				showMailbox(ctx, w, user, m, from)
				m.Close()
				mu.Lock()
				delete(shown, e.Name)
				mu.Unlock()
			})
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(folderLook):
		}
	}
}

// showMailbox prints the messages of one mailbox from a UID on, until it is gone.
func showMailbox(ctx context.Context, w io.Writer, user string, m *account.Mailbox, from uint32) {
	changed := make(chan struct{}, 1)
	defer m.Notify(func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}, false).Cancel()
	for {
		now := m.Current()
		if now.Gone() {
			return
		}
		for i := now.Index(from); i < now.Len(); i++ {
			sender, subject := headline(ctx, m, now, i)
			fmt.Fprintf(w, "%s  %s %s: %q from %s\n", time.Now().Format("15:04:05"), user, m.Name(), subject, sender)
		}
		from = now.UIDNext()
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// headline reads who wrote a message and what about. Control characters cannot
// reach the terminal: the subject is printed quoted, the address stripped.
func headline(ctx context.Context, m *account.Mailbox, s *account.Snapshot, i int) (from, subject string) {
	msg, err := m.Message(ctx, s, i)
	if err != nil {
		return "nobody", "gone already"
	}
	defer msg.Close()
	const headerBound = 64 << 10
	parsed, err := mail.ReadMessage(io.NewSectionReader(msg, 0, min(msg.Size(), headerBound)))
	if err != nil {
		return "somebody", "no header"
	}
	decode := func(s string) string {
		if d, err := new(mime.WordDecoder).DecodeHeader(s); err == nil {
			return d
		}
		return s
	}
	from = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, decode(parsed.Header.Get("From")))
	return from, decode(parsed.Header.Get("Subject"))
}
