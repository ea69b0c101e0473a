package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"postroom/internal/auth"
	"postroom/internal/config"
)

// usersFile is how the user commands find the file they work on.
type usersFile struct {
	users, config string
}

func userCommand() *cobra.Command {
	var at usersFile
	cmd := &cobra.Command{
		Use:   "user",
		Short: "Add, change, list and remove users",
		Long: `Add, change, list and remove users in the users file: --users FILE, or the one
that the configuration names. A running server sees the change by itself.
Passwords are asked for at the terminal, or read as one line from standard
input; they are never arguments.`,
		Args: exactArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&at.users, "users", "", "users `FILE` to work on")
	cmd.PersistentFlags().StringVar(&at.config, "config", "/etc/postroom/config.toml", "configuration `FILE` that names the users file")
	cmd.AddCommand(at.addCommand(), at.passwdCommand(), at.listCommand(), at.removeCommand())
	return cmd
}

func (at *usersFile) path() (string, error) {
	if at.users != "" {
		return at.users, nil
	}
	cfg, err := config.ReadForUsers(at.config)
	if err != nil {
		return "", usageError{fmt.Errorf("%w (or name the users file by --users)", err)}
	}
	return cfg.Auth.Users, nil
}

// give lets the server read a users file that root has just made: it gets the
// group of the user that the configuration names.
func (at *usersFile) give(w *os.File) error {
	if os.Geteuid() != 0 {
		return nil
	}
	cfg, err := config.ReadForUsers(at.config)
	if err == nil {
		err = giveToGroup(w, cfg.Process.Account())
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "postroom: only root can read the new users file, and the server's user must: chgrp its group and chmod g+r the file. This was not done since: %v\n", err)
	}
	return nil
}

// giveToGroup makes a file of root's readable for a user's group.
func giveToGroup(w *os.File, name string) error {
	u, err := user.Lookup(name)
	if err != nil || u.Uid == "0" {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	if err := w.Chown(0, gid); err != nil {
		return err
	}
	return w.Chmod(0o640)
}

func (at *usersFile) addCommand() *cobra.Command {
	var scheme string
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a user",
		Args:  exactArgs(cobra.ExactArgs(1)),
		RunE:  func(_ *cobra.Command, args []string) error { return at.set(args[0], scheme, false) },
	}
	schemeFlag(cmd, &scheme)
	return cmd
}

func (at *usersFile) passwdCommand() *cobra.Command {
	var scheme string
	cmd := &cobra.Command{
		Use:   "passwd NAME",
		Short: "Give a user another password",
		Args:  exactArgs(cobra.ExactArgs(1)),
		RunE:  func(_ *cobra.Command, args []string) error { return at.set(args[0], scheme, true) },
	}
	schemeFlag(cmd, &scheme)
	return cmd
}

func schemeFlag(cmd *cobra.Command, scheme *string) {
	cmd.Flags().StringVar(scheme, "scheme", auth.DefaultScheme,
		"how the password is stored: ARGON2ID, BLF-CRYPT, SHA512-CRYPT, SHA256-CRYPT,\nSSHA512, SSHA256, PBKDF2, SCRAM-SHA-256, PLAIN")
}

// set stores a password for a user who is there, or is not.
func (at *usersFile) set(name, scheme string, exists bool) error {
	if err := auth.CheckName(name); err != nil {
		return usageError{err}
	}
	path, err := at.path()
	if err != nil {
		return err
	}
	missing := func(f *auth.File) error {
		_, known := f.Lookup(name)
		if known == exists {
			return nil
		}
		if known {
			return fmt.Errorf("user %q is there already; 'postroom user passwd' changes the password", name)
		}
		return fmt.Errorf("there is no user %q; 'postroom user add' makes one", name)
	}
	if f, err := auth.ReadFile(path); err == nil {
		if err := missing(f); err != nil {
			return err
		}
	}
	password, err := readPassword()
	if err != nil {
		return err
	}
	stored, err := auth.Hash(scheme, password)
	if err != nil {
		return usageError{err}
	}
	create := at.give
	if exists {
		create = nil
	}
	return auth.Update(path, create, func(f *auth.File) error {
		if err := missing(f); err != nil {
			return err
		}
		return f.Set(name, stored)
	})
}

func (at *usersFile) listCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the users",
		Args:  exactArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := at.path()
			if err != nil {
				return err
			}
			f, err := auth.ReadFile(path)
			if err != nil {
				return err
			}
			if err := printUsers(cmd.OutOrStdout(), f.Users(), asJSON); err != nil {
				return err
			}
			return errors.Join(f.Problems()...)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print an array of objects with name and scheme")
	return cmd
}

func printUsers(w io.Writer, users []auth.Entry, asJSON bool) error {
	if !asJSON {
		for _, u := range users {
			if _, err := fmt.Fprintf(w, "%s\t%s\n", u.Name, u.Scheme); err != nil {
				return err
			}
		}
		return nil
	}
	type row struct {
		Name   string `json:"name"`
		Scheme string `json:"scheme"`
	}
	rows := make([]row, 0, len(users))
	for _, u := range users {
		rows = append(rows, row{u.Name, u.Scheme})
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(rows)
}

func (at *usersFile) removeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Remove a user; the mail stays",
		Args:  exactArgs(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := at.path()
			if err != nil {
				return err
			}
			return auth.Update(path, nil, func(f *auth.File) error {
				if !f.Remove(args[0]) {
					return fmt.Errorf("there is no user %q", args[0])
				}
				return nil
			})
		},
	}
}

// readPassword asks twice at a terminal, else reads one line.
func readPassword() (string, error) {
	fd := int(os.Stdin.Fd())
	if !term.IsTerminal(fd) {
		line, err := bufio.NewReader(io.LimitReader(os.Stdin, 4096)).ReadString('\n')
		if err != nil && !(errors.Is(err, io.EOF) && line != "") {
			return "", usageError{errors.New("no password: one line is wanted on standard input")}
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	ask := func(prompt string) (string, error) {
		fmt.Fprint(os.Stderr, prompt)
		p, err := term.ReadPassword(fd)
		fmt.Fprintln(os.Stderr)
		return string(p), err
	}
	first, err := ask("Password: ")
	if err != nil {
		return "", err
	}
	second, err := ask("Once more: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the two are not the same")
	}
	return first, nil
}
