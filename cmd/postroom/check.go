package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"postroom/internal/account"
	"postroom/internal/auth"
	"postroom/internal/config"
)

// checkRun is one call of the check command.
type checkRun struct {
	config           string
	users            []string
	repair, restored bool
	json, verbose    bool

	out      io.Writer
	progress *progressLine // nil unless a person looks on
	results  []checkedUser // for --json
}

// checkedUser is what check --json prints for a user.
type checkedUser struct {
	User string `json:"user"`
	account.CheckResult
	Findings []account.Finding `json:"findings"`
	Error    string            `json:"error,omitempty"`
}

var errProblems = errors.New("there are problems")

func checkCommand() *cobra.Command {
	var r checkRun
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check users' Maildirs, and repair them",
		Long: `Read users' Maildirs and name every difference between the message files, the
uid list, the keywords, the index and the cache. Nothing is changed unless
asked for, and the server may run meanwhile.

--repair mends what can be mended without losing a message: damaged indexes
and caches go, names that no client can be shown are changed, two files with
one name are told apart, a damaged uid list is written anew.

--restored is for after an older copy of a tree was put back. It raises UIDNEXT
by a million and the MODSEQ mark likewise, in every folder, so that no number
that clients were told since the copy was made is used for something else. Stop
the server before putting the copy back, and start it after this.

The exit status is 0 if all is well or was mended, 1 if problems remain, 2 if it
was called or configured wrongly.`,
		Args: exactArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			r.out = cmd.OutOrStdout()
			if term.IsTerminal(int(os.Stderr.Fd())) {
				r.progress = &progressLine{w: os.Stderr}
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return r.run(ctx)
		},
	}
	cmd.Flags().StringVar(&r.config, "config", "/etc/postroom/config.toml", "configuration `FILE`")
	cmd.Flags().StringArrayVar(&r.users, "user", nil, "check only this user's Maildir; may be given several times")
	cmd.Flags().BoolVar(&r.repair, "repair", false, "mend what can be mended")
	cmd.Flags().BoolVar(&r.restored, "restored", false, "an older copy was put back: use no UID and no MODSEQ again")
	cmd.Flags().BoolVar(&r.json, "json", false, "print an array with an object for each user")
	cmd.Flags().BoolVarP(&r.verbose, "verbose", "v", false, "also tell what is normal in use")
	return cmd
}

func (r *checkRun) run(ctx context.Context) error {
	cfg, err := config.Read(r.config)
	if err != nil {
		return usageError{err}
	}
	// As the server does: what is repaired must belong to the same user.
	if err := becomeUser(cfg, slog.New(slog.DiscardHandler)); err != nil {
		return usageError{err}
	}
	accounts, err := account.New(account.Config{
		Root: cfg.Mail.Root, Separator: cfg.Mail.Separator[0], UIDL: cfg.POP3.UIDL, NoWatch: true,
	})
	if err != nil {
		return usageError{err}
	}
	defer accounts.Close()
	users, err := r.who(cfg)
	if err != nil {
		return err
	}
	var problems bool
	for _, user := range users {
		ok, err := r.user(ctx, accounts, user)
		if err != nil {
			return err
		}
		problems = problems || !ok
	}
	if r.json {
		e := json.NewEncoder(r.out)
		e.SetIndent("", "  ")
		if err := e.Encode(r.results); err != nil {
			return err
		}
	}
	if problems {
		return errProblems
	}
	return nil
}

// who lists the users to be checked.
func (r *checkRun) who(cfg *config.Config) ([]string, error) {
	f, err := auth.ReadFile(cfg.Auth.Users)
	if err != nil {
		return nil, usageError{err}
	}
	known := make(map[string]bool)
	var all []string
	for _, u := range f.Users() {
		known[u.Name] = true
		all = append(all, u.Name)
	}
	if len(r.users) == 0 {
		return all, nil
	}
	for _, u := range r.users {
		if !known[u] {
			return nil, usageError{fmt.Errorf("%s: there is no user %q", cfg.Auth.Users, u)}
		}
	}
	return r.users, nil
}

// user checks one user's tree; ok is false if problems remain.
func (r *checkRun) user(ctx context.Context, accounts *account.Service, user string) (ok bool, err error) {
	checked := checkedUser{User: user, Findings: []account.Finding{}}
	res, err := accounts.Check(ctx, user, account.CheckOptions{
		Repair: r.repair, Restored: r.restored,
		Progress: func(p account.CheckProgress) {
			r.progress.show("%s: folder %d of %d, %s: message %d of %d", user, p.Nth, p.Folders, p.Folder, p.Files, p.InFiles)
		},
		Found: func(f account.Finding) {
			if r.json {
				checked.Findings = append(checked.Findings, f)
			} else if r.verbose || !f.Note || f.Repaired || f.Kind == "raised" {
				r.progress.clear()
				fmt.Fprintln(r.out, describe(user, f))
			}
		},
	})
	r.progress.clear()
	checked.CheckResult = res
	switch {
	case errors.Is(err, account.ErrNoFolder):
		err = nil // no mail yet
	case ctx.Err() != nil:
		return false, ctx.Err()
	case err != nil:
		checked.Error = err.Error()
		if !r.json {
			fmt.Fprintf(r.out, "%s: %v\n", user, err)
		}
	}
	if r.json {
		r.results = append(r.results, checked)
	} else {
		fmt.Fprintf(r.out, "%s: %d folders, %d messages, %d problems, %d repaired\n", user, res.Folders, res.Messages, res.Problems, res.Repaired)
	}
	return err == nil && res.Problems == 0, nil
}

func describe(user string, f account.Finding) string {
	where := f.File
	if f.Line > 0 {
		where += fmt.Sprintf(":%d", f.Line)
	}
	s := fmt.Sprintf("%s: %s: %s: %s", user, where, f.Kind, f.Text)
	if f.Repaired {
		s += " (repaired)"
	}
	return s
}

// progressLine is one line at a terminal that is written over and over. A nil one shows nothing.
type progressLine struct {
	w    io.Writer
	last time.Time
}

const progressEvery = 200 * time.Millisecond

func (p *progressLine) show(format string, args ...any) {
	if p == nil || time.Since(p.last) < progressEvery {
		return
	}
	p.last = time.Now()
	fmt.Fprintf(p.w, "\r\x1b[K"+format, args...)
}

func (p *progressLine) clear() {
	if p == nil || p.last.IsZero() {
		return
	}
	fmt.Fprint(p.w, "\r\x1b[K")
	p.last = time.Time{}
}
