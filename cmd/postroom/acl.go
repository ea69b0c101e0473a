package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"postroom/internal/account"
	"postroom/internal/auth"
	"postroom/internal/config"
)

// aclRun is one call of an acl command.
type aclRun struct {
	config, user string
	public, json bool

	cfg      *config.Config
	users    *auth.Service
	accounts *account.Service
}

func aclCommand() *cobra.Command {
	var r aclRun
	cmd := &cobra.Command{
		Use:   "acl",
		Short: "Show and change who may do what in folders",
		Long: `Show and change who may do what in folders: the dovecot-acl file of each, which
clients and editors change as well. A running server sees the change by itself,
and open sessions have the new rights at once.

FOLDER is the name that the user has for it ("Work"), or with --public the name
in the public tree ("News"); there INBOX is the top, whose rights say who may
make folders.`,
		Args: exactArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&r.config, "config", "/etc/postroom/config.toml", "configuration `FILE`")
	cmd.PersistentFlags().StringVar(&r.user, "user", "", "whose folder it is")
	cmd.PersistentFlags().BoolVar(&r.public, "public", false, "it is a public folder")
	cmd.AddCommand(r.showCommand(), r.setCommand(), r.removeCommand(), r.explainCommand(), r.seenCommand())
	return cmd
}

// open reads the configuration and the users; close ends what it began.
func (r *aclRun) open() (err error) {
	if r.user != "" && r.public {
		return usageError{errors.New("a folder is some user's or public: --user and --public do not go together")}
	}
	if r.cfg, err = config.Read(r.config); err != nil {
		return usageError{err}
	}
	if r.public && r.cfg.Mail.Public == "" {
		return usageError{fmt.Errorf("%s: it names no tree of public folders", r.cfg.Where("mail.public"))}
	}
	// As the server does: what is written must belong to the same user.
	quiet := slog.New(slog.DiscardHandler)
	if err := becomeUser(r.cfg, quiet); err != nil {
		return usageError{err}
	}
	if r.users, err = auth.New(auth.Options{Users: r.cfg.Auth.Users, Logger: quiet}); err != nil {
		return usageError{err}
	}
	if r.user != "" && !r.users.Has(r.user) {
		return usageError{fmt.Errorf("%s: there is no user %q", r.cfg.Auth.Users, r.user)}
	}
	cfg := accountConfig(r.cfg, r.users, quiet)
	cfg.NoWatch = true
	if r.accounts, err = account.New(cfg); err != nil {
		return usageError{err}
	}
	return nil
}

func (r *aclRun) close() {
	if r.accounts != nil {
		r.accounts.Close()
	}
	if r.users != nil {
		r.users.Close()
	}
}

// in calls do with the tree that --user or --public says. create makes the public one when it is not there.
func (r *aclRun) in(ctx context.Context, create bool, do func(u *account.User) error) error {
	defer r.close()
	if err := r.open(); err != nil {
		return err
	}
	var u *account.User
	var err error
	switch {
	case r.public:
		u, err = r.accounts.AdministratePublic(ctx, create)
		if errors.Is(err, account.ErrNoFolder) {
			return fmt.Errorf("there are no public folders yet; 'postroom acl set --public --create' makes one: %w", err)
		}
	case r.user == "":
		return usageError{errors.New("whose folder? Give --user NAME, or --public")}
	default:
		u, err = r.accounts.Administrate(ctx, r.user)
		if errors.Is(err, account.ErrNoFolder) {
			return fmt.Errorf("%s has no mail yet: %w", r.user, err)
		}
	}
	if err != nil {
		return err
	}
	defer u.Close()
	return do(u)
}

// changing makes a command take arguments with a leading minus, as "-user=bob" and "-w" are.
func changing(cmd *cobra.Command, args int) *cobra.Command {
	cmd.Flags().SetInterspersed(false)
	cmd.Args = func(cmd *cobra.Command, given []string) error {
		if slices.ContainsFunc(given, func(a string) bool { return strings.HasPrefix(a, "--") }) {
			return usageError{fmt.Errorf("flags stand before FOLDER here; see '%s --help'", cmd.CommandPath())}
		}
		return exactArgs(cobra.ExactArgs(args))(cmd, given)
	}
	return cmd
}

func (r *aclRun) setCommand() *cobra.Command {
	var create, force bool
	cmd := &cobra.Command{
		Use:   "set [flags] FOLDER IDENTIFIER RIGHTS",
		Short: "Give somebody rights in a folder, or take them",
		Long: `Give somebody rights in a folder, or take them. Flags stand before FOLDER.

IDENTIFIER is a user's name or, as in the file: user=NAME, group=NAME,
group-override=NAME (which outdoes what is said of the user himself), owner,
authenticated (all users) and anyone. With a minus before it (-user=bob) RIGHTS are those that
are denied, whatever gives them.

RIGHTS replace those that IDENTIFIER had; with a plus or minus before them they
are added or taken away. They are letters, or one of three words:

  l see the folder    r read it    s mark as seen    w other flags and keywords
  i put messages in   t mark as deleted    e expunge    p post to it (nothing here does)
  k make folders below    x delete and rename the folder    a change these rights

  read   lrs
  write  lrswipte: all that can be done with messages
  full   lrswipkxtea: all there is

"" leaves no rights: somebody in a group has none of the group's then.`,
		Example: `  postroom acl set --user alice Work bob read
  postroom acl set --user alice Work group=staff +w
  postroom acl set --public --create News group=staff read`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.set(cmd, args[0], args[1], args[2], create, force)
		},
	}
	cmd.Flags().BoolVar(&create, "create", false, "make the folder when it is not there, and the public tree")
	cmd.Flags().BoolVar(&force, "force", false, "also for a user or a group that nobody knows")
	return changing(cmd, 3)
}

func (r *aclRun) set(cmd *cobra.Command, folder, who, what string, create, force bool) error {
	id, negative, err := parseWho(who)
	if err != nil {
		return usageError{err}
	}
	mode, rights, err := parseRights(what)
	if err != nil {
		return usageError{err}
	}
	return r.in(cmd.Context(), create, func(u *account.User) error {
		if err := r.known(id); err != nil && !force {
			return usageError{fmt.Errorf("%w; --force writes it all the same", err)}
		}
		if create {
			if err := u.Create(cmd.Context(), folder, ""); err != nil && !errors.Is(err, account.ErrExists) {
				return err
			}
		}
		open, err := u.SetACL(cmd.Context(), folder, id, negative, mode, rights)
		if open {
			fmt.Fprintf(cmd.ErrOrStderr(), "postroom: warning: everybody may change %s now\n", folder)
		}
		if errors.Is(err, account.ErrNoFolder) && !create {
			err = fmt.Errorf("%w; --create makes it", err)
		}
		return withBadLines(u, folder, err)
	})
}

func (r *aclRun) removeCommand() *cobra.Command {
	return changing(&cobra.Command{
		Use:   "remove [flags] FOLDER IDENTIFIER",
		Short: "Remove what is said of somebody",
		Long: `Remove what a folder's ACL says of somebody. Whoever is in a group has the
group's rights then. IDENTIFIER is as for 'postroom acl set'; that with a minus and that without are
two entries. Flags stand before FOLDER.`,
		Example: `  postroom acl remove --user alice Work bob`,
		RunE: func(cmd *cobra.Command, args []string) error {
			id, negative, err := parseWho(args[1])
			if err != nil {
				return usageError{err}
			}
			return r.in(cmd.Context(), false, func(u *account.User) error { return removeEntry(cmd.Context(), u, args[0], id, negative) })
		},
	}, 2)
}

func removeEntry(ctx context.Context, u *account.User, folder string, id account.Identifier, negative bool) error {
	acl, err := u.FolderACL(folder)
	if err != nil {
		return err
	}
	there := slices.ContainsFunc(acl.Entries, func(e account.ACLEntry) bool { return e.Negative == negative && u.Same(e.Identifier, id) })
	if !there && len(acl.Bad) == 0 {
		return fmt.Errorf("%s: it says nothing of %s", acl.File, identifierText(id, negative))
	}
	return withBadLines(u, folder, u.DeleteACL(ctx, folder, id, negative))
}

// withBadLines makes the error of a change that bad lines forbid name them.
func withBadLines(u *account.User, folder string, err error) error {
	if !errors.Is(err, account.ErrBadACL) {
		return err
	}
	acl, rerr := u.FolderACL(folder)
	if rerr != nil {
		return errors.Join(err, rerr)
	}
	return badLines(acl)
}

// known tells whether there is such a user or such a group.
func (r *aclRun) known(id account.Identifier) error {
	form := id.String()
	kind, name, named := strings.Cut(form, "=")
	switch {
	case !named:
		return nil
	case kind == "user" && !r.users.Has(name):
		return fmt.Errorf("%s: there is no user %q", r.cfg.Auth.Users, name)
	case kind == "user":
		return nil
	}
	for _, user := range r.users.Names() {
		if slices.Contains(r.users.Groups(user), name) {
			return nil
		}
	}
	return fmt.Errorf("%s: nobody is in a group %q", r.cfg.Auth.Users, name)
}

// parseWho reads an identifier as a command line has it: as files do, or the name of a user alone.
func parseWho(s string) (id account.Identifier, negative bool, err error) {
	id, negative, err = account.ParseFileIdentifier(s)
	if err == nil || strings.Contains(s, "=") {
		return id, negative, err
	}
	name := strings.TrimPrefix(s, "-")
	id, _, err = account.ParseFileIdentifier("user=" + name)
	return id, negative, err
}

// parseRights reads letters or a preset, with a sign or none. The words are looked for first: each of their letters could be
// a right.
func parseRights(s string) (account.ACLMode, account.Rights, error) {
	word := strings.TrimLeft(s, "+-")
	sign := s[:len(s)-len(word)]
	letters := word
	if preset, ok := account.Presets[word]; ok {
		letters = preset.String()
	}
	mode, rights, err := account.ParseModRights(sign + letters)
	if err == nil && strings.ContainsAny(letters, "cd") {
		err = errors.New("c and d are for old clients") // and a mistyped "read" is not to give anything
	}
	if err != nil {
		err = fmt.Errorf("rights %q: %w; they are letters of lrswipkxtea, or read, write or full", s, err)
	}
	return mode, rights, err
}
