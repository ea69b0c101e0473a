package imapd

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"

	"postroom/internal/account"
	"postroom/internal/auth"
	"postroom/internal/transcript"
)

// TestMain fails the run if a goroutine of ours outlives its test.
func TestMain(m *testing.M) {
	code := m.Run()
	if left := leftGoroutines(); code == 0 && left != "" {
		os.Stderr.WriteString("goroutines left behind:\n" + left)
		code = 1
	}
	os.Exit(code)
}

func leftGoroutines() string {
	var left string
	for range 50 {
		buf := make([]byte, 1<<20)
		buf = buf[:runtime.Stack(buf, true)]
		left = ""
		for i, g := range strings.Split(string(buf), "\n\n") {
			if i > 0 && strings.Contains(g, "postroom/") {
				left += g + "\n\n"
			}
		}
		if left == "" {
			return ""
		}
		time.Sleep(100 * time.Millisecond)
	}
	return left
}

// testAuth knows every user, with the password "secret".
type testAuth struct{ mechs []string }

func (a testAuth) Authenticate(_ context.Context, r auth.Request) (string, error) {
	switch {
	case r.User == "down":
		return "", auth.ErrTemporary
	case r.Password != "secret":
		return "", &auth.Failure{Name: r.User, Err: auth.ErrFailed}
	}
	return r.User, nil
}

func (a testAuth) Mechanisms(auth.ConnInfo) []string {
	if a.mechs != nil {
		return a.mechs
	}
	return []string{"PLAIN"}
}

func (a testAuth) StartSASL(mech string, ci auth.ConnInfo) (sasl.Server, func() string, error) {
	var name string
	return sasl.NewPlainServer(func(_, user, password string) error {
		var err error
		name, err = a.Authenticate(context.Background(), auth.Request{User: user, Password: password})
		return err
	}), func() string { return name }, nil
}

// server is a Server on a loopback socket over a fresh tree.
type server struct {
	*Server
	root     string
	addr     string
	accounts *account.Service
	client   *tls.Config
	stop     func()
}

func startServer(t testing.TB, change func(*Options)) *server {
	t.Helper()
	return startServerAt(t, t.TempDir(), change)
}

func startServerAt(t testing.TB, root string, change func(*Options)) *server {
	t.Helper()
	return startServerFor(t, root, nil, change)
}

// startServerFor serves the accounts of a configuration that is changed first.
func startServerFor(t testing.TB, root string, accounts func(*account.Config), change func(*Options)) *server {
	t.Helper()
	s := &server{root: root}
	log := slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if os.Getenv("POSTROOM_TEST_LOG") == "" {
		log = slog.New(slog.DiscardHandler)
	}
	var err error
	cfg := account.Config{Root: filepath.Join(s.root, "{user}", "Maildir"), Logger: log}
	if accounts != nil {
		accounts(&cfg)
	}
	s.accounts, err = account.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server, client := testTLS(t)
	s.client = client
	opt := Options{Accounts: s.accounts, Auth: testAuth{}, TLS: server, Logger: log}
	if change != nil {
		change(&opt)
	}
	s.Server = NewServer(opt)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	s.stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		<-done
		s.accounts.Close()
	})
	t.Cleanup(s.stop)
	return s
}

func (s *server) dial() (net.Conn, error) { return net.Dial("tcp", s.addr) }

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

var testTLS = func() func(t testing.TB) (server, client *tls.Config) {
	make := sync.OnceValues(func() (tls.Certificate, error) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return tls.Certificate{}, err
		}
		tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
		der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
		return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
	})
	return func(t testing.TB) (*tls.Config, *tls.Config) {
		cert, err := make()
		if err != nil {
			t.Fatal(err)
		}
		return &tls.Config{Certificates: []tls.Certificate{cert}}, &tls.Config{InsecureSkipVerify: true}
	}
}()

var record = flag.Bool("record", false, "write the server's lines into copies of the transcripts, in testdata/*.recorded")

// TestTranscripts runs every script of testdata, each against a tree of its own.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			s := startServerFor(t, t.TempDir(), accountsFor(file), optionsFor(file))
			env := transcript.Env{Root: s.root, Dial: s.dial, TLS: s.client}
			if *record {
				f, err := os.Create(file + ".recorded")
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				env.Record = io.Writer(f)
			}
			transcript.Run(t, file, env)
		})
	}
}

// accountsFor lets users share where a script is about that, by its name.
func accountsFor(file string) func(*account.Config) {
	return func(cfg *account.Config) {
		if strings.Contains(file, "rfc4314") || strings.Contains(file, "rfc8440") {
			share(cfg)
			cfg.AnyoneAllowed = strings.Contains(file, "anyone")
		}
	}
}

// optionsFor sets what a script needs that is not the default, by its name.
func optionsFor(file string) func(*Options) {
	return func(o *Options) {
		switch {
		case strings.Contains(file, "literal-minus"):
			o.LiteralMinus = true
		case strings.Contains(file, "limits"):
			o.Limits = Limits{Append: 1000, Line: 2000, LineBeforeLogin: 500, Literal: 200, BadCommands: 5, PerUser: 2, Appends: 2, CommandsBeforeLogin: 8}
		case strings.Contains(file, "timeout"):
			o.Limits = Limits{LoginTimeout: 300 * time.Millisecond, IdleTimeout: 300 * time.Millisecond, StallTimeout: 200 * time.Millisecond}
		}
	}
}
