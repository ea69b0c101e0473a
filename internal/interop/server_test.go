package interop

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// The one password of all users; see newSite.
const password = "secret"

// site is what a server serves: a folder of Maildirs, users, a certificate. It
// outlives servers, so that one can take over from another.
type site struct {
	dir  string // DIR/mail/USER/Maildir, DIR/users, DIR/cert.pem, DIR/key.pem
	cert string // path; good for localhost and 127.0.0.1
}

// server is one running server; addresses are HOST:PORT on loopback.
type server struct {
	name                     string
	site                     *site
	imap, imaps, pop3, pop3s string
	web                      string // plain HTTP
	cmd                      *exec.Cmd
	log                      string // path
	done                     chan struct{}
	once                     sync.Once
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{dir: scratch(t)}
	s.cert = filepath.Join(s.dir, "cert.pem")
	certificate(t, s.cert, filepath.Join(s.dir, "key.pem"))
	users := write(t, s.dir, "users", "alice:{PLAIN}"+password+"\nbob:{PLAIN}"+password+"\n")
	// Dovecot reads it as a user of its own.
	if err := os.Chmod(users, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(s.dir, "mail"), 0o755); err != nil {
		t.Fatal(err)
	}
	giveToMailUser(t, s.dir)
	return s
}

// maildir is the root of a user's tree.
func (s *site) maildir(user string) string {
	return filepath.Join(s.dir, "mail", user, "Maildir")
}

// serve starts the server that the tests are run for.
func (s *site) serve(t *testing.T) *server {
	t.Helper()
	if *serverFlag == "dovecot" {
		return s.dovecot(t)
	}
	return s.postroom(t)
}

// postroom starts the real binary as the mail user.
func (s *site) postroom(t *testing.T) *server {
	t.Helper()
	v := s.newServer(t, "postroom")
	v.start(t, v.mailCommand(t, binary, "serve", "--config", v.config(t, "")))
	return v
}

// postroomAsRoot starts it as root, to become the mail user by itself.
func (s *site) postroomAsRoot(t *testing.T) *server {
	t.Helper()
	v := s.newServer(t, "postroom")
	cmd := exec.Command(binary, "serve", "--config", v.config(t, fmt.Sprintf("[process]\nuser = %q\n", mailUser)))
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	v.start(t, cmd)
	return v
}

// mailCommand is a command that runs as the mail user.
func (v *server) mailCommand(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	asMailUser(t, cmd.SysProcAttr)
	return cmd
}

// config writes postroom's configuration file; more goes to its end.
func (v *server) config(t *testing.T, more string) string {
	t.Helper()
	s := v.site
	return write(t, s.dir, "postroom.toml", fmt.Sprintf(`
[mail]
root = %q

[auth]
users = %q

[tls]
certificate = %q
key = %q

[imap]
listen = [%q]
listen_tls = [%q]

[pop3]
listen = [%q]
listen_tls = [%q]

[web]
listen = [%q]

[log]
level = "debug"

%s`, filepath.Join(s.dir, "mail", "{user}", "Maildir"), filepath.Join(s.dir, "users"),
		s.cert, filepath.Join(s.dir, "key.pem"), v.imap, v.imaps, v.pop3, v.pop3s, v.web, more))
}

func (s *site) newServer(t *testing.T, name string) *server {
	t.Helper()
	return &server{
		name: name, site: s, done: make(chan struct{}),
		imap: freeAddr(t), imaps: freeAddr(t), pop3: freeAddr(t), pop3s: freeAddr(t), web: freeAddr(t),
		log: filepath.Join(s.dir, name+".log"),
	}
}

// start starts the server's process and waits until all its ports answer.
// Whatever the test does, the server is stopped at its end and has to end well.
func (v *server) start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	log, err := os.OpenFile(v.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, v.site.dir
	cmd.SysProcAttr.Setpgid = true
	cmd.SysProcAttr.Pdeathsig = syscall.SIGTERM
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v.cmd = cmd
	go func() {
		cmd.Wait()
		close(v.done)
	}()
	t.Cleanup(func() {
		v.stop(t)
		if t.Failed() {
			text, _ := os.ReadFile(v.log)
			t.Logf("end of %s:\n%s", v.log, tail(string(text)))
		}
	})
	for _, addr := range []string{v.imap, v.imaps, v.pop3, v.pop3s} {
		if addr == "" {
			continue
		}
		eventually(t, v.name+" to listen on "+addr, func() bool {
			select {
			case <-v.done:
				text, _ := os.ReadFile(v.log)
				t.Fatalf("%s ended at its start: %v\n%s", v.name, cmd.ProcessState, text)
			default:
			}
			return greets(addr, addr == v.imaps || addr == v.pop3s)
		})
	}
}

// greets tells whether a server answers. A plain port has to send its greeting
// and not only accept: Dovecot accepts before it can log anybody in.
func greets(addr string, tls bool) bool {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return false
	}
	defer c.Close()
	if tls {
		return true
	}
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	_, err = c.Read(make([]byte, 1))
	return err == nil
}

// stop ends the server as an operator would: SIGTERM, then exit status 0 within
// ten seconds, whatever its clients do.
func (v *server) stop(t *testing.T) {
	t.Helper()
	v.once.Do(func() {
		defer syscall.Kill(-v.cmd.Process.Pid, syscall.SIGKILL)
		select {
		case <-v.done:
			t.Errorf("%s ended by itself: %v", v.name, v.cmd.ProcessState)
			return
		default:
		}
		v.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-v.done:
			if code := v.cmd.ProcessState.ExitCode(); code != 0 {
				t.Errorf("%s: %v after SIGTERM, want exit status 0", v.name, v.cmd.ProcessState)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s still runs 10 s after SIGTERM", v.name)
			syscall.Kill(-v.cmd.Process.Pid, syscall.SIGKILL)
			<-v.done
		}
	})
	if text, err := os.ReadFile(v.log); err == nil && bytes.Contains(text, []byte("DATA RACE")) {
		t.Errorf("%s: the race detector reports a race", v.name)
	}
}

// port splits off the port of an address, which is how most clients want it.
func port(addr string) string {
	_, p, _ := net.SplitHostPort(addr)
	return p
}

// nextPort starts below the kernel's range for outgoing connections, so that
// none of those takes a port between our finding it free and the server's
// binding it. It starts elsewhere in each process because a port that was just
// in use may not be bound again at once.
var nextPort atomic.Int32

func init() { nextPort.Store(int32(12000 + os.Getpid()%16000)) }

func freeAddr(t *testing.T) string {
	t.Helper()
	for range 1000 {
		n := nextPort.Add(1)
		addr := fmt.Sprintf("127.0.0.1:%d", 12000+(n-12000)%20000)
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		l.Close()
		return addr
	}
	t.Fatal("no free port")
	return ""
}

// certificate makes a self-signed certificate that clients can be told to trust.
func certificate(t *testing.T, certPath, keyPath string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		// Without CA the TLS libraries of some clients do not take it as its own issuer.
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{
		certPath: {Type: "CERTIFICATE", Bytes: der},
		keyPath:  {Type: "PRIVATE KEY", Bytes: pkcs8},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
