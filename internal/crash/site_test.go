package crash

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postroom/imapd"
	"postroom/internal/account"
	"postroom/internal/auth"
)

// wholeFlag: make crash sets it. Without, every test tries a sample of its cases.
var wholeFlag = flag.Bool("whole", false, "try every case; takes a while")

// sampleFlag is about how many cases each test tries otherwise.
var sampleFlag = flag.Int("sample", 3, "how many cases of each kind to try without -whole")

// keepFlag keeps the tree, the server's log and what was said, of the cases that failed.
var keepFlag = flag.Bool("keep", false, "keep the directories of cases that fail")

// binary is the server under test, built once.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "postroom-crash-bin-")
	if err == nil {
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "postroom")
		build := exec.Command("go", "build", "-o", binary, "postroom/cmd/postroom")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		build.Stderr = os.Stderr
		err = build.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "crash: the server cannot be built:", err)
		return 1
	}
	return m.Run()
}

// scratch is a directory in memory where there is one: syncing is then free, and what is
// tried here is not whether the disk obeys.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(memory(), "postroom-crash-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// stepFor spreads the sample over all cases, unless all are wanted.
func stepFor(all int) int {
	if *wholeFlag {
		return 1
	}
	return max(1, all / *sampleFlag)
}

// memory is where files are kept in memory, if there is such a place.
func memory() string {
	if fi, err := os.Stat("/dev/shm"); err == nil && fi.IsDir() {
		return "/dev/shm"
	}
	return os.TempDir()
}

// site is a mail root with two users, alice and bob, and how to serve it.
type site struct {
	dir  string // DIR/mail/alice/Maildir, DIR/mail/bob/Maildir, DIR/users
	mail string // DIR/mail
	tree string // alice's
	log  *os.File
	port [2]int
}

// Most scripts are about alice alone. Bob has no tree before he logs in, and sees of her mail what she lets him.
const (
	user  = "alice"
	guest = "bob"
)

// newSite makes DIR/mail/alice, but no tree. mail may exist already.
func newSite(dir string) (*site, error) {
	s := &site{dir: dir, mail: filepath.Join(dir, "mail")}
	s.tree = filepath.Join(s.mail, user, "Maildir")
	if err := os.MkdirAll(filepath.Dir(s.tree), 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "users"), []byte(user+":{PLAIN}secret\n"+guest+":{PLAIN}secret\n"), 0o600); err != nil {
		return nil, err
	}
	var err error
	s.log, err = os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	return s, err
}

// config writes a configuration with two free ports.
func (s *site) config() (string, error) {
	for i := range s.port {
		s.port[i] = freePort()
	}
	name := filepath.Join(s.dir, "postroom.toml")
	who := ""
	if os.Geteuid() == 0 {
		who = "[process]\nuser = \"root\"\n"
	}
	return name, os.WriteFile(name, fmt.Appendf(nil, `
[mail]
root = %q
[auth]
users = %q
[imap]
listen = ["%s:%d"]
[pop3]
listen = ["%s:%d"]
[log]
level = "debug"
%s`, filepath.Join(s.mail, "{user}", "Maildir"), filepath.Join(s.dir, "users"), host, s.port[0], host, s.port[1], who), 0o600)
}

// ports counts the ports that were given: the cases run at the same time, and none must get another's.
var ports atomic.Int64

// host is an address of the loopback device that no other process takes: runs of these tests may go side by side.
var host = fmt.Sprintf("127.%d.%d.%d", 1+os.Getpid()>>16, os.Getpid()>>8&255, os.Getpid()&255)

// freePort gives a port that nobody listens on, below those that the system gives to clients.
func freePort() int {
	for {
		port := 10000 + int(ports.Add(1))%20000
		if l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", host, port)); err == nil {
			l.Close()
			return port
		}
	}
}

func (s *site) addr(i int) func() string {
	return func() string { return fmt.Sprintf("%s:%d", host, s.port[i]) }
}

// inProcess is a fresh server in this process: to the tree as good as a restart.
type inProcess struct {
	addr     string
	accounts *account.Service
	auth     *auth.Service
	imap     *imapd.Server
	done     chan struct{}
}

func (s *site) open(clock func() time.Time) (*inProcess, error) {
	log := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	p := &inProcess{done: make(chan struct{})}
	var err error
	if p.auth, err = auth.New(auth.Options{Users: filepath.Join(s.dir, "users"), Logger: log}); err != nil {
		return nil, err
	}
	p.accounts, err = account.New(account.Config{
		Root: filepath.Join(s.mail, "{user}", "Maildir"), Users: p.auth, OtherUsers: othersPrefix, Logger: log, Clock: clock,
	})
	if err != nil {
		return nil, err
	}
	p.imap = imapd.NewServer(imapd.Options{Accounts: p.accounts, Auth: p.auth, Logger: log})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p.addr = l.Addr().String()
	go func() {
		defer close(p.done)
		p.imap.Serve(l)
	}()
	return p, nil
}

func (p *inProcess) close() {
	ctx, cancel := context.WithTimeout(context.Background(), clientPatience)
	defer cancel()
	p.imap.Shutdown(ctx)
	<-p.done
	p.accounts.Close()
	p.auth.Close()
}

// recheck opens the tree with a server that has never seen it, twice: what the first repairs must stay
// repaired. It first lets the time pass that a dead process's locks are left alone.
func (s *site) recheck(l *ledger) (wrong []string) {
	if err := ageLocks(s.mail); err != nil {
		return []string{err.Error()}
	}
	wrong = s.staleACLList()
	for _, when := range []string{"after the restart", "after another restart"} {
		p, err := s.open(nil)
		if err != nil {
			return []string{err.Error()}
		}
		for _, w := range l.check(p.addr) {
			wrong = append(wrong, when+": "+w)
		}
		if when == "after the restart" {
			if err := l.goOn(p.addr); err != nil {
				wrong = append(wrong, "going on "+when+": "+err.Error())
			}
		}
		p.close()
	}
	return append(wrong, leftovers(s.mail)...)
}

// goOn takes every lock there is, by commands that must be answered OK: nothing that is left over is in the way.
func (l *ledger) goOn(addr string) error {
	s := newSession(l)
	s.imap = func() string { return addr }
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.hangUp()
	for i, name := range slices.Sorted(maps.Keys(l.boxes)) {
		if err := s.append(name, part{fmt.Sprintf("after%d", i), "After" + fmt.Sprint(i), "", 2}); err != nil {
			return err
		}
	}
	err := errors.Join(s.create("After", `\Junk`), s.subscribe("After", true))
	refused, strange := s.refused, s.strange
	if l.guest != nil {
		g := s.asGuest()
		defer g.hangUp()
		err = errors.Join(err, s.setACL(shared, guest, "lrs"), g.look(theirs(shared)), g.store(g.all(), "+", `\Seen`), g.look(theirs(shared)))
		refused, strange = slices.Concat(s.refused, g.refused), slices.Concat(s.strange, g.strange)
	}
	if err == nil && len(refused)+len(strange) > 0 {
		err = fmt.Errorf("%v %v", refused, strange)
	}
	return err
}

// ageLocks makes lock files as old as dead ones must be, so that nobody has to wait for it: two seconds, and two
// minutes for those of ACL files, which do not tell whose they are. What these guard must be as old.
func ageLocks(root string) error {
	return filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		guarded, isLock := strings.CutSuffix(path, ".lock")
		if err != nil || !isLock {
			return nil
		}
		old := time.Now().Add(-3 * time.Second)
		if filepath.Base(guarded) == "dovecot-acl" {
			old = time.Now().Add(-3 * time.Minute)
			if err := os.Chtimes(guarded, old, old); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
		return os.Chtimes(path, old, old)
	})
}

// leftovers: after a server has been there nothing may be in the way of anybody.
func leftovers(root string) (wrong []string) {
	filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), "..postroom-") {
			return filepath.SkipDir // half a folder, made or deleted: nobody looks at it
		}
		// Where there is no room for another keyword nobody takes that file's lock.
		if err == nil && strings.HasSuffix(path, ".lock") && d.Name() != "dovecot-keywords.lock" {
			wrong = append(wrong, "left over: "+strings.TrimPrefix(path, root))
		}
		return nil
	})
	return wrong
}

// count is how many cases were run, for the summary of a test.
type count struct{ cases atomic.Int64 }

func (c *count) say(t *testing.T, what string) {
	t.Logf("%d cases: %s", c.cases.Load(), what)
}
