package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"postroom/internal/account"
)

// shownACL is what acl show --json prints for a folder with an ACL.
type shownACL struct {
	User    string            `json:"user,omitempty"` // whose it is; nobody's if it is public
	Folder  string            `json:"folder"`
	File    string            `json:"file"`
	Entries []shownEntry      `json:"entries"`
	Bad     []account.BadLine `json:"bad,omitempty"`
}

type shownEntry struct {
	Identifier string   `json:"identifier"`
	Rights     string   `json:"rights"`
	Private    []string `json:"private,omitempty"` // rights by other names, of other programs
	Line       int      `json:"line,omitempty"`    // none: it holds by default
}

// shownShare is a folder of somebody else that a user may look up.
type shownShare struct {
	User   string `json:"user"`
	Folder string `json:"folder"`
	Rights string `json:"rights"`
}

// shownACLs is all that acl show prints.
type shownACLs struct {
	ACLs   []shownACL   `json:"acls"`
	Shared []shownShare `json:"shared"`
}

func (r *aclRun) showCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show [FOLDER]",
		Short: "Show what ACLs say",
		Long: `Show a folder's ACL, an entry a line. Without FOLDER show the folders of the
user that have one, a line each, and what others share with the user; with
--public those of the public tree; and without either those of all.

The exit status is 1 if a file has a bad line. Then it gives rights to nobody
but the owner, until the line is mended.`,
		Args: exactArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			shown := shownACLs{ACLs: []shownACL{}, Shared: []shownShare{}}
			var bad []error
			var err error
			one := len(args) > 0
			if one {
				err = r.in(cmd.Context(), false, func(u *account.User) error {
					return shown.folder(cmd.Context(), u, args[0], &bad)
				})
			} else {
				err = r.showAll(cmd.Context(), &shown, &bad)
			}
			if err != nil {
				return err
			}
			return errors.Join(append([]error{r.print(cmd.OutOrStdout(), shown, one)}, bad...)...)
		},
	}
	cmd.Flags().BoolVar(&r.json, "json", false, "print an object with the lists acls and shared")
	return cmd
}

// folder adds one folder with all that holds there, the owner's rights included.
func (s *shownACLs) folder(ctx context.Context, u *account.User, name string, bad *[]error) error {
	acl, err := u.FolderACL(name)
	if err != nil {
		return err
	}
	all, err := u.GetACL(ctx, name)
	if err != nil {
		return err
	}
	if len(acl.Bad) == 0 {
		acl.Entries = all.Entries
	}
	s.add(u, acl, bad)
	return nil
}

func (s *shownACLs) add(u *account.User, acl account.FolderACL, bad *[]error) {
	shown := shownACL{User: u.Name(), Folder: acl.Folder, File: acl.File, Entries: []shownEntry{}, Bad: acl.Bad}
	for _, e := range acl.Entries {
		shown.Entries = append(shown.Entries, shownEntry{identifierText(e.Identifier, e.Negative), e.Rights.String(), e.Private, e.Line})
	}
	s.ACLs = append(s.ACLs, shown)
	if len(acl.Bad) > 0 {
		*bad = append(*bad, badLines(acl))
	}
}

// showAll adds all folders with an ACL, of one tree or of every one.
func (r *aclRun) showAll(ctx context.Context, s *shownACLs, bad *[]error) error {
	tree := func(u *account.User) error {
		acls, err := u.FolderACLs()
		for _, acl := range acls {
			s.add(u, acl, bad)
		}
		return err
	}
	if r.public {
		return r.in(ctx, false, tree)
	}
	if r.user != "" {
		return r.in(ctx, false, func(u *account.User) error {
			if err := tree(u); err != nil {
				return err
			}
			entries, err := u.Shared(ctx)
			for _, e := range entries {
				s.Shared = append(s.Shared, shownShare{u.Name(), e.Name, e.Rights.String()})
			}
			return err
		})
	}
	defer r.close()
	if err := r.open(); err != nil {
		return err
	}
	return r.everyTree(ctx, tree)
}

// everyTree calls do with the tree of each user who has mail, and with the public one.
func (r *aclRun) everyTree(ctx context.Context, do func(u *account.User) error) error {
	var opens []func() (*account.User, error)
	for _, name := range slices.Sorted(slices.Values(r.users.Names())) {
		opens = append(opens, func() (*account.User, error) { return r.accounts.Administrate(ctx, name) })
	}
	if r.cfg.Mail.Public != "" {
		opens = append(opens, func() (*account.User, error) { return r.accounts.AdministratePublic(ctx, false) })
	}
	for _, open := range opens {
		u, err := open()
		if errors.Is(err, account.ErrNoFolder) {
			continue
		}
		if err == nil {
			err = do(u)
			u.Close()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// print writes what was found; one tells that it is a single folder, which gets a line for each entry. Bad files are
// told as errors.
func (r *aclRun) print(w io.Writer, s shownACLs, one bool) error {
	if r.json {
		return printJSON(w, s)
	}
	var b strings.Builder
	for _, acl := range s.ACLs {
		switch entries := acl.texts(); {
		case len(acl.Bad) > 0:
		case one:
			for _, text := range entries {
				fmt.Fprintln(&b, text)
			}
		default:
			fmt.Fprintf(&b, "%s: %s: %s\n", cmp.Or(acl.User, "public"), acl.Folder, cmp.Or(strings.Join(entries, ", "), "nothing"))
		}
	}
	for _, share := range s.Shared {
		fmt.Fprintf(&b, "%s: %s: %s\n", share.User, share.Folder, share.Rights)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// texts gives the entries as files have them, but for quotes and the order of letters.
func (a *shownACL) texts() (out []string) {
	for _, e := range a.Entries {
		text := e.Identifier + " " + e.Rights
		if len(e.Private) > 0 {
			text += " :" + strings.Join(e.Private, ",")
		}
		out = append(out, text)
	}
	return out
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// identifierText is what files have, without quotes.
func identifierText(id account.Identifier, negative bool) string {
	if negative {
		return "-" + id.String()
	}
	return id.String()
}

// badLines is what is wrong with an ACL file, a line each, and what to do.
func badLines(acl account.FolderACL) error {
	var errs []error
	for _, b := range acl.Bad {
		where := acl.File
		if b.Line > 0 {
			where = fmt.Sprintf("%s:%d", acl.File, b.Line)
		}
		errs = append(errs, fmt.Errorf("%s: %s", where, strings.TrimPrefix(b.Reason, acl.File+": ")))
	}
	return errors.Join(append(errs, fmt.Errorf("%s: until that is mended, with an editor, nobody but the owner has rights there", acl.Folder))...)
}

func (r *aclRun) explainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain FOLDER USER",
		Short: "Say which line gives or takes each right of a user",
		Long: `Say what a user may do in a folder and, for each right, which line of the ACL
file gives it or takes it.`,
		Example: `  postroom acl explain --user alice Work bob`,
		Args:    exactArgs(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.in(cmd.Context(), false, func(u *account.User) error {
				if !r.users.Has(args[1]) {
					return usageError{fmt.Errorf("%s: there is no user %q", r.cfg.Auth.Users, args[1])}
				}
				return r.explain(cmd.Context(), cmd.OutOrStdout(), u, args[0], args[1])
			})
		},
	}
	cmd.Flags().BoolVar(&r.json, "json", false, "print an object with the rights and a reason for each")
	return cmd
}

// shownReason is what acl explain --json prints for a right.
type shownReason struct {
	Right   string `json:"right"`
	Granted bool   `json:"granted"`
	Line    int    `json:"line,omitempty"`
	Text    string `json:"text,omitempty"`
	Reason  string `json:"reason"`
}

// shownRights is what acl explain --json prints.
type shownRights struct {
	User    string        `json:"user"`
	Folder  string        `json:"folder"`
	File    string        `json:"file"`
	Rights  string        `json:"rights"`
	Reasons []shownReason `json:"reasons"`
}

func (r *aclRun) explain(ctx context.Context, w io.Writer, u *account.User, folder, other string) error {
	acl, err := u.FolderACL(folder)
	if err != nil {
		return err
	}
	rights, reasons, err := u.Explain(ctx, folder, other)
	if err != nil {
		return err
	}
	if r.json {
		shown := shownRights{User: other, Folder: acl.Folder, File: acl.File, Rights: rights.String()}
		for _, x := range reasons {
			shown.Reasons = append(shown.Reasons, shownReason{x.Right.String(), x.Granted, x.Line, x.Text, x.String()})
		}
		return printJSON(w, shown)
	}
	from := acl.File
	switch {
	case !acl.Exists:
		from += ", which is not there"
	case acl.Courier:
		from += ", its lines counted as those of the dovecot-acl that says the same"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s has %q by %s\n", other, rights.String(), from)
	for _, x := range reasons {
		fmt.Fprintln(&b, x)
	}
	_, err = io.WriteString(w, b.String())
	return err
}

func (r *aclRun) seenCommand() *cobra.Command {
	return &cobra.Command{
		Use:   `seen FOLDER [private|shared]`,
		Short: `Say whose \Seen is in a shared folder`,
		Long: `Say whether those who read a folder of somebody else, or a public one, have a
\Seen of their own (private, which is what folders begin with), or one with its
owner and all others (shared). Without the last argument it is only shown.
Sessions that have the folder selected go on as they began.`,
		Example: `  postroom acl seen --user alice Work shared`,
		Args:    exactArgs(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 && args[1] != "private" && args[1] != "shared" {
				return usageError{fmt.Errorf(`%q: \Seen is "private" or "shared"`, args[1])}
			}
			return r.in(cmd.Context(), false, func(u *account.User) error {
				if len(args) == 2 {
					return u.SetSharedSeen(cmd.Context(), args[0], args[1] == "shared")
				}
				shared, err := u.SharedSeen(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), map[bool]string{true: "shared", false: "private"}[shared])
				return err
			})
		},
	}
}
