package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// side is a server in one configuration.
type side struct {
	name    string // "Postroom", "Dovecot", "Dovecot, best"
	dovecot bool
	best    bool // Dovecot's best for Maildir
}

var (
	postroomSide = side{name: "Postroom"}
	dovecotSide  = side{name: "Dovecot", dovecot: true}
	bestSide     = side{name: "Dovecot, best", dovecot: true, best: true}
	allSides     = []side{postroomSide, dovecotSide, bestSide}
)

// site is a side with trees, users and a server process of its own. It belongs
// to the goroutine that runs the works.
type site struct {
	side    side
	rig     *rig
	dir     string // DIR/users, the configuration, the log
	mail    string // MAIL/USER/Maildir: DIR/mail, or another site's
	durable bool   // writes are synced as if power could fail at any time
	group   *group // the server's processes, while it runs

	imap, imaps, pop3, web string // addresses while it runs
	cmd                    *exec.Cmd
	ended                  chan struct{}

	keep map[string]any // what a work remembers from round to round
}

// newSite makes an empty place for a side.
func (r *rig) newSite(sd side, durable bool) (*site, error) {
	name := strings.NewReplacer(", ", "-", " ", "").Replace(strings.ToLower(sd.name))
	s := &site{side: sd, rig: r, dir: filepath.Join(r.dir, "at-"+name), durable: durable, keep: map[string]any{}}
	s.mail = filepath.Join(s.dir, "mail")
	if err := os.MkdirAll(s.mail, 0o755); err != nil {
		return nil, err
	}
	var users strings.Builder
	fmt.Fprintf(&users, "bench:{PLAIN}%s\n", password)
	for i := range idleUsers {
		fmt.Fprintf(&users, "%s:{PLAIN}%s\n", idleUser(i), password)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "users"), []byte(users.String()), 0o644); err != nil {
		return nil, err
	}
	return s, r.owner.giveTree(s.dir)
}

// maildir is the root of a user's tree.
func (s *site) maildir(user string) string { return filepath.Join(s.mail, user, "Maildir") }

// inbox is the root of the tree that most works use.
func (s *site) inbox() string { return s.maildir("bench") }

// start starts the server in a group of its own and waits for its greeting.
func (s *site) start() error {
	var err error
	if s.group, err = newGroup(); err != nil {
		return err
	}
	if err := s.launch(); err != nil {
		return errors.Join(err, s.group.remove())
	}
	return s.awaitGreeting()
}

// launch starts the process in the group there is.
func (s *site) launch() error {
	var err error
	for _, a := range []*string{&s.imap, &s.imaps, &s.pop3, &s.web} {
		if *a, err = freeAddr(); err != nil {
			return err
		}
	}
	argv, err := s.command()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	// The shell enters the group before it becomes the server: nothing runs outside.
	s.cmd = exec.Command("/bin/sh", append([]string{"-c", `echo $$ >"$0" && exec "$@"`, s.group.procs()}, argv...)...)
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = s.dir, log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.rig.running.add(s); err != nil {
		return err
	}
	s.ended = make(chan struct{})
	if err := s.cmd.Start(); err != nil {
		s.rig.running.remove(s)
		return err
	}
	go func() {
		s.cmd.Wait()
		close(s.ended)
	}()
	return nil
}

func (s *site) command() ([]string, error) {
	if s.side.dovecot {
		return s.dovecotCommand()
	}
	return s.postroomCommand()
}

func (s *site) awaitGreeting() error {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		select {
		case <-s.ended:
			return fmt.Errorf("%s ended at its start: %s", s.side.name, s.logTail())
		case <-time.After(20 * time.Millisecond):
		}
		if c, err := dialIMAP(s.imap, nil, 1<<10); err == nil {
			return c.logout()
		}
	}
	return fmt.Errorf("%s does not listen: %s", s.side.name, s.logTail())
}

func (s *site) logTail() string {
	b, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-1500):])
}

// stop ends the server and every process of its group.
func (s *site) stop() error {
	if !s.rig.running.remove(s) {
		return nil
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	select {
	case <-s.ended:
	case <-ctx.Done():
	}
	for range 500 {
		pids, err := s.group.pids()
		if err != nil || len(pids) == 0 {
			return errors.Join(err, s.group.remove())
		}
		if ctx.Err() != nil {
			for _, pid := range pids {
				syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		time.Sleep(10 * time.Millisecond)
		if ctx.Err() == nil {
			cancel() // what outlives its master for long is killed
		}
	}
	return fmt.Errorf("processes of %s do not end", s.side.name)
}

// restart ends the server and starts it anew; between them f, if not nil.
func (s *site) restart(f func() error) error {
	if err := s.stop(); err != nil {
		return err
	}
	if f != nil {
		if err := f(); err != nil {
			return err
		}
	}
	return s.start()
}

// forget deletes what servers have noted beside the mail; caches only, or all, as if
// the trees were seen for the first time.
func (s *site) forget(all bool) error {
	return filepath.WalkDir(s.mail, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			if n := e.Name(); n == "cur" || n == "new" || n == "tmp" {
				return filepath.SkipDir
			}
			return nil
		}
		n := e.Name()
		if strings.HasPrefix(n, "dovecot.index") || strings.HasPrefix(n, "postroom.cache") ||
			all && (strings.HasPrefix(n, "dovecot") || strings.HasPrefix(n, "postroom.")) {
			return os.Remove(path)
		}
		return nil
	})
}

// login gives a connection of user bench.
func (s *site) login() (*imapConn, error) { return s.loginAs("bench", nil, 256<<10) }

// loginAs gives a connection of any user, with TLS if conf is not nil.
func (s *site) loginAs(user string, conf *tls.Config, buffer int) (*imapConn, error) {
	addr := s.imap
	if conf != nil {
		addr = s.imaps
	}
	c, err := dialIMAP(addr, conf, buffer)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.side.name, err)
	}
	if _, err := c.do("LOGIN " + user + " " + password); err != nil {
		c.Close()
		return nil, fmt.Errorf("%s: %w", s.side.name, err)
	}
	return c, nil
}

// selected gives a connection with a mailbox selected.
func (s *site) selected(mailbox string) (*imapConn, error) {
	c, err := s.login()
	if err != nil {
		return nil, err
	}
	if _, err := c.do("SELECT " + mailbox); err != nil {
		c.Close()
		return nil, fmt.Errorf("%s: %w", s.side.name, err)
	}
	return c, nil
}

// freeAddr is an address on the loopback that nobody listens on.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
