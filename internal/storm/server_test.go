package storm

import (
	_ "embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	password    = "secret"
	dovecotPath = "/usr/sbin/dovecot"
	// mailUser owns the mail when the tests run as root, as Dovecot wants it.
	mailUser, mailGroup = "nobody", "nogroup"
)

//go:embed testdata/dovecot.conf
var dovecotConf string

// binary is the postroom under test, built once in TestMain.
var binary string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "storm-bin")
	if err != nil {
		fmt.Println(err)
		return 2
	}
	defer os.RemoveAll(dir)
	os.Chmod(dir, 0o755) // the mail user executes it
	binary = filepath.Join(dir, "postroom")
	args := []string{"build", "-o", binary}
	if raceEnabled {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, "postroom/cmd/postroom")...).CombinedOutput(); err != nil {
		fmt.Printf("building postroom: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// site is the tree of user u, and what servers want beside it.
type site struct {
	t        *testing.T
	dir      string
	uid, gid int // of who owns the mail; -1 when not root
	n        int
}

func newSite(t *testing.T) *site {
	dir, err := os.MkdirTemp("", "storm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() && *stormTime > 0 {
			t.Log("kept:", dir)
		} else {
			os.RemoveAll(dir)
		}
	})
	s := &site{t: t, dir: dir, uid: -1}
	if os.Geteuid() == 0 {
		u, err := user.Lookup(mailUser)
		if err != nil {
			t.Fatal(err)
		}
		s.uid, _ = strconv.Atoi(u.Uid)
		s.gid, _ = strconv.Atoi(u.Gid)
	}
	os.Chmod(dir, 0o755) // the mail user works in it
	s.write("users", "u:{PLAIN}"+password+"\n", 0o644)
	if err := os.MkdirAll(s.tree(), 0o755); err != nil {
		t.Fatal(err)
	}
	s.giveTree()
	return s
}

func (s *site) tree() string { return filepath.Join(s.dir, "mail", "u", "Maildir") }

func (s *site) write(name, text string, mode os.FileMode) string {
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		s.t.Fatal(err)
	}
	s.give(path)
	return path
}

// give hands a file to the owner of the mail.
func (s *site) give(path string) {
	if s.uid >= 0 {
		os.Lchown(path, s.uid, s.gid)
	}
}

func (s *site) giveTree() {
	s.give(s.dir)
	filepath.WalkDir(filepath.Join(s.dir, "mail"), func(p string, _ os.DirEntry, _ error) error {
		s.give(p)
		return nil
	})
}

// asOwner makes a command run as the owner of the mail.
func (s *site) asOwner(cmd *exec.Cmd) *exec.Cmd {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if s.uid >= 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(s.uid), Gid: uint32(s.gid)}
	}
	cmd.Dir = s.dir
	return cmd
}

// server is one running server.
type server struct {
	site       *site
	name       string
	imap, pop3 string
	log        string
	command    func() *exec.Cmd
	cmd        *exec.Cmd
	done       chan struct{}
}

func (s *site) newServer(name string) *server {
	s.n++
	name = fmt.Sprintf("%s%d", name, s.n)
	return &server{site: s, name: name, imap: s.address(), pop3: s.address(), log: filepath.Join(s.dir, name+".log")}
}

func (s *site) address() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// postroom starts the real binary.
func (s *site) postroom() *server { return s.postroomWith("") }

// postroomWith starts it in a user namespace of its own, in which a limit on inotify is set,
// as "max_inotify_watches=5"; "" for none.
func (s *site) postroomWith(limit string) *server {
	v := s.newServer("postroom")
	process := ""
	if limit != "" {
		process = "[process]\nuser = \"root\"\n" // which it is there only
	}
	conf := s.write(v.name+".toml", fmt.Sprintf(`[mail]
root = %q
[auth]
users = %q
[imap]
listen = [%q]
[pop3]
listen = [%q]
[limits]
connections_per_user = 200
[log]
level = "info"
%s`, filepath.Join(s.dir, "mail", "{user}", "Maildir"), filepath.Join(s.dir, "users"), v.imap, v.pop3, process), 0o644)
	v.command = func() *exec.Cmd {
		if limit == "" {
			return s.asOwner(exec.Command(binary, "serve", "--config", conf))
		}
		name, value, _ := strings.Cut(limit, "=")
		return s.asOwner(exec.Command("unshare", "-Ur", "sh", "-c",
			fmt.Sprintf(`echo %s >/proc/sys/user/%s && exec "$0" "$@"`, value, name), binary, "serve", "--config", conf))
	}
	v.start()
	return v
}

// dovecot starts Debian's Dovecot.
func (s *site) dovecot() *server {
	if _, err := os.Stat(dovecotPath); err != nil || s.uid < 0 {
		s.t.Skip("Dovecot is not installed, or not root")
	}
	v := s.newServer("dovecot")
	run, err := os.MkdirTemp(s.dir, "run")
	if err != nil {
		s.t.Fatal(err)
	}
	os.Chmod(run, 0o755)
	conf := strings.NewReplacer("@DIR@", s.dir, "@RUN@", run, "@LOG@", v.log, "@USER@", mailUser, "@GROUP@", mailGroup,
		"@IMAP@", port(v.imap), "@POP3@", port(v.pop3)).Replace(dovecotConf)
	path := s.write(v.name+".conf", conf, 0o644)
	v.command = func() *exec.Cmd {
		cmd := exec.Command(dovecotPath, "-F", "-c", path)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		return cmd
	}
	v.start()
	return v
}

func port(addr string) string {
	_, p, _ := net.SplitHostPort(addr)
	return p
}

// start starts the process and waits for both greetings.
func (v *server) start() {
	t := v.site.t
	log, err := os.OpenFile(v.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := v.command()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr.Pdeathsig = syscall.SIGTERM
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	v.cmd, v.done = cmd, done
	go func() {
		cmd.Wait()
		close(done)
	}()
	t.Cleanup(v.stop)
	for _, addr := range []string{v.imap, v.pop3} {
		for end := time.Now().Add(30 * time.Second); !greets(addr); time.Sleep(20 * time.Millisecond) {
			select {
			case <-done:
				text, _ := os.ReadFile(v.log)
				t.Fatalf("%s ended at its start:\n%s", v.name, text)
			default:
			}
			if time.Now().After(end) {
				t.Fatalf("%s does not listen on %s", v.name, addr)
			}
		}
	}
}

func greets(addr string) bool {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return false
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	_, err = c.Read(make([]byte, 1))
	return err == nil
}

// stop ends the server. It may be called again.
func (v *server) stop() {
	select {
	case <-v.done:
		return
	default:
	}
	v.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-v.done:
		if !v.cmd.ProcessState.Success() && strings.HasPrefix(v.name, "postroom") {
			v.site.t.Errorf("%s: %v", v.name, v.cmd.ProcessState)
		}
	case <-time.After(20 * time.Second):
		v.site.t.Errorf("%s does not end", v.name)
	}
	syscall.Kill(-v.cmd.Process.Pid, syscall.SIGKILL)
	<-v.done
}

// pause stops the process where it is, or lets it go on.
func (v *server) pause(on bool) {
	sig := syscall.SIGCONT
	if on {
		sig = syscall.SIGSTOP
	}
	syscall.Kill(-v.cmd.Process.Pid, sig)
}
