package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The site with many users: each has INBOX and nine folders more, and bench may read
// one folder of each 500th of them. As many are shared with a colleague, so that there are
// ACL files that do not concern bench.
const (
	sharingUsers   = 10_000
	sharingFolders = 10 // of each user
	sharedStep     = 500
	sharedFolders  = sharingUsers / sharedStep
	colleague      = 42
)

// sharingFamily is what a user is told of others' folders at a large site.
func sharingFamily() family {
	among := fmt.Sprintf("%d shared folders among %s users and %s folders", sharedFolders, count(sharingUsers), count(sharingUsers*sharingFolders))
	return family{
		name: "sharing", messages: 0, sides: []side{postroomSide}, build: buildSharing,
		works: []work{{
			name: "sharing", title: "LIST of " + among, rounds: 3, run: sharing,
			judge: bounds{figures: []figure{
				{key: "p50", title: among + ": LIST, warm, p50", unit: "ms"},
				{key: "p99", title: "the same, p99", unit: "ms", most: 10},
				{key: "edit", title: "an ACL file is replaced there: until the grantee's LIST has changed, worst of 20", unit: "ms", most: 2000},
				{key: "first", title: "the first LIST after a start, which waits for the look at all folders", unit: "ms"},
				{key: "cpu", title: "CPU of the start and that look", unit: "s"},
				{key: "pss", title: "PSS of the server then", unit: "MiB"},
			}},
		}},
	}
}

// buildSharing makes the users and their trees.
func buildSharing(s *site) error {
	var users strings.Builder
	fmt.Fprintf(&users, "bench:{PLAIN}%s\n", password)
	for i := range sharingUsers {
		fmt.Fprintf(&users, "%s:{PLAIN}%s\n", idleUser(i), password)
		root := s.maildir(idleUser(i))
		if err := s.rig.corpus.emptyMaildir(root); err != nil {
			return err
		}
		for f := 1; f < sharingFolders; f++ {
			if err := s.rig.corpus.emptyMaildir(filepath.Join(root, fmt.Sprintf(".Folder%d", f))); err != nil {
				return err
			}
		}
		grantee := ""
		switch i % sharedStep {
		case 0:
			grantee = "bench"
		case 1:
			grantee = idleUser(colleague)
		default:
			continue
		}
		if err := s.grant(i, 5, "user="+grantee+" lr\n"); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(s.dir, "users"), []byte(users.String()), 0o644); err != nil {
		return err
	}
	return s.rig.corpus.emptyMaildir(s.inbox())
}

// grant replaces the ACL file of a user's folder, as an editor does.
func (s *site) grant(user, folder int, text string) error {
	path := filepath.Join(s.maildir(idleUser(user)), fmt.Sprintf(".Folder%d", folder), "dovecot-acl")
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return errors.Join(s.rig.owner.give(path+".new"), os.Rename(path+".new", path))
}

// sharing starts the server anew, so that it has seen no folder yet.
func sharing(s *site) (sample, error) {
	if err := s.restart(nil); err != nil {
		return sample{}, err
	}
	c, err := s.login()
	if err != nil {
		return sample{}, err
	}
	defer c.Close()
	begin := time.Now()
	if err := c.listed(sharedFolders); err != nil {
		return sample{}, err
	}
	first := time.Since(begin)
	cpu, err := s.rest()
	if err != nil {
		return sample{}, err
	}
	all, err := s.memory()
	if err != nil {
		return sample{}, err
	}
	var waits []float64
	got, err := s.measure(func() (string, error) {
		for range 300 {
			begin := time.Now()
			if err := c.listed(sharedFolders); err != nil {
				return "", err
			}
			waits = append(waits, time.Since(begin).Seconds()*1e3)
		}
		return "", nil
	})
	if err != nil {
		return sample{}, err
	}
	edit, err := s.editACL(c)
	if err != nil {
		return sample{}, err
	}
	got.values = map[string]float64{
		"p50": quantile(waits, 0.5), "p99": quantile(waits, 0.99), "edit": edit, "first": first.Seconds() * 1e3,
		"cpu": cpu.Seconds(), "pss": float64(all) / (1 << 20),
	}
	return got, c.logout()
}

// editACL gives a further folder to bench and takes it away again, ten times, and tells the
// longest time until LIST said so, in ms.
func (s *site) editACL(c *imapConn) (float64, error) {
	longest := 0.0
	for k := range 20 {
		text, want := "user=bench lr\n", sharedFolders+1
		if k%2 == 1 {
			text, want = "user=bench\n", sharedFolders
		}
		begin := time.Now()
		if err := s.grant(sharedStep/2, 3, text); err != nil {
			return 0, err
		}
		for {
			n, err := c.list()
			if err != nil {
				return 0, err
			}
			wait := time.Since(begin)
			if n == want {
				longest = max(longest, wait.Seconds()*1e3)
				break
			}
			if wait > time.Minute {
				return 0, fmt.Errorf("LIST has %d shared folders of %d a minute after an edit", n, want)
			}
			time.Sleep(time.Millisecond)
		}
	}
	return longest, nil
}

// list tells how many folders of other users LIST has.
func (c *imapConn) list() (int, error) {
	tag, err := c.send(`LIST "" *`)
	if err != nil {
		return 0, err
	}
	for n := 0; ; {
		l, err := c.d.line()
		if err != nil {
			return 0, err
		}
		switch line := string(l); {
		case strings.HasPrefix(line, tag+" OK"):
			return n, nil
		case strings.HasPrefix(line, tag):
			return 0, fmt.Errorf("LIST: %s", line)
		case strings.Contains(line, "/Folder"):
			n++
		}
	}
}

// listed fails if LIST has another number of other users' folders.
func (c *imapConn) listed(want int) error {
	n, err := c.list()
	if err == nil && n != want {
		err = fmt.Errorf("LIST has %d shared folders of %d", n, want)
	}
	return err
}
