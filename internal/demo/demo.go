// Package demo makes the mail of two people who do not exist, for a first look
// at Postroom: trees with folders, flags, keywords and subscriptions as they
// are found in the wild, and a message of most kinds that a client can meet.
//
// The messages are the templates in samples; sample.go says how they are
// written. What Build makes depends on nothing but the templates and the time
// it is given.
package demo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-maildir"
)

// User is one who can log in.
type User struct{ Name, Password string }

// Users lists the people whose mail Build makes.
func Users() []User {
	return []User{{"alice", "demo"}, {"bob", "demo"}}
}

// folder is a folder's name and its directory in the tree, which holds the
// name in modified UTF-7.
type folder struct{ name, dir string }

var folders = map[string][]folder{
	"alice": {
		{"INBOX", "."},
		{"Archive", ".Archive"},
		{"Archive/2025", ".Archive.2025"},
		{"Drafts", ".Drafts"},
		{"Junk", ".Junk"},
		{"Projects", ".Projects"},
		{"Projects/Garden", ".Projects.Garden"},
		{"Přílohy", ".P&AVkA7Q-lohy"},
		{"R&D", ".R&-D"},
		{"Sent", ".Sent"},
		{"Trash", ".Trash"},
	},
	"bob": {
		{"INBOX", "."},
		{"Archive", ".Archive"},
		{"Drafts", ".Drafts"},
		{"Junk", ".Junk"},
		{"Sent", ".Sent"},
		{"Trash", ".Trash"},
	},
}

// Share is a folder of one user that another one may read.
type Share struct {
	Owner, Folder, Reader string
	File                  string // that says so, below the root that Build is given
}

// Shared is the one folder that is shared.
func Shared() Share {
	return Share{"alice", "Projects/Garden", "bob", filepath.Join("alice", "Maildir", ".Projects.Garden", "dovecot-acl")}
}

// Build makes root/USER/Maildir for each of Users, with mail that seems to
// have come until now. A tree that is there already, whatever it holds, is left
// as it is. A tree appears whole or not at all.
func Build(root string, now time.Time) error {
	samples, err := loadSamples(now)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	for _, u := range Users() {
		if err := buildUser(filepath.Join(root, u.Name), u.Name, samples); err != nil {
			return fmt.Errorf("demo: mail of %s: %w", u.Name, err)
		}
	}
	return nil
}

func buildUser(home, user string, samples []*sample) error {
	final := filepath.Join(home, "Maildir")
	if _, err := os.Lstat(final); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	work, err := os.MkdirTemp(home, ".building-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work) // what is left when something failed
	for _, f := range folders[user] {
		if err := buildFolder(filepath.Join(work, f.dir), user, f, samples); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	if err := writeSubscriptions(work, folders[user]); err != nil {
		return err
	}
	return os.Rename(work, final)
}

// buildFolder makes the folder and puts into it what belongs there.
func buildFolder(dir, user string, f folder, samples []*sample) error {
	if err := maildir.Dir(dir).Init(); err != nil {
		return err
	}
	if f.name != "INBOX" {
		if err := os.WriteFile(filepath.Join(dir, "maildirfolder"), nil, 0o600); err != nil {
			return err
		}
	}
	var keywords []string // a letter each, in order of first use
	for _, s := range samples {
		for _, p := range s.places {
			if p.user != user || p.folder != f.name {
				continue
			}
			for _, k := range p.keywords {
				if !slices.Contains(keywords, k) {
					keywords = append(keywords, k)
				}
			}
			if err := s.write(dir, p, keywords); err != nil {
				return err
			}
		}
	}
	if share := Shared(); share.Owner == user && share.Folder == f.name {
		if err := writeACL(dir, share.Reader); err != nil {
			return err
		}
	}
	return writeKeywords(dir, keywords)
}

func writeACL(dir, reader string) error {
	text := fmt.Sprintf(`# Who else may do what here. A line each: user=NAME or group=NAME, a space, and letters:
# l see the folder, r read, s mark as seen, w other flags, i put messages in, t mark as deleted, e expunge,
# k make folders below, x delete the folder, a change this.
user=%s lrs
`, reader)
	return os.WriteFile(filepath.Join(dir, "dovecot-acl"), []byte(text), 0o600)
}

func writeKeywords(dir string, keywords []string) error {
	if len(keywords) == 0 {
		return nil
	}
	var b strings.Builder
	for i, k := range keywords {
		fmt.Fprintf(&b, "%d %s\n", i, k)
	}
	return os.WriteFile(filepath.Join(dir, "dovecot-keywords"), []byte(b.String()), 0o600)
}

func writeSubscriptions(top string, fs []folder) error {
	var b strings.Builder
	b.WriteString("V\t2\n\n")
	for _, f := range fs {
		name := f.name
		if f.dir != "." {
			name = strings.ReplaceAll(f.dir[1:], ".", "\t")
		}
		b.WriteString(name + "\n")
	}
	return os.WriteFile(filepath.Join(top, "subscriptions"), []byte(b.String()), 0o600)
}
