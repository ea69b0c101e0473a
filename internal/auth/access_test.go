package auth

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/xdg-go/scram"
)

func TestAllowNets(t *testing.T) {
	for _, c := range []struct {
		extra, from string
		ok          bool
	}{
		{"", "192.0.2.1", true},
		{"allow_nets=192.0.2.0/24", "192.0.2.1", true},
		{"allow_nets=192.0.2.0/24", "::ffff:192.0.2.1", true},
		{"allow_nets=192.0.2.0/24", "192.0.3.1", false},
		{"allow_nets=::ffff:192.0.2.1", "192.0.2.1", true},
		{"allow_nets=::ffff:192.0.2.0/120", "192.0.2.1", true},
		{"allow_nets=10.0.0.1,192.0.2.1", "192.0.2.1", true},
		{"allow_nets=2001:db8::/32", "2001:db8::1", true},
		{"allow_nets=2001:db8::/32", "2001:db9::1", false},
		{"allow_nets=fe80::/10", "fe80::1%eth0", true},
		{"allow_nets=0.0.0.0/0", "2001:db8::1", false},
		{"allow_nets=local", "127.0.0.1", false}, // as in Dovecot: connections without an address
		{"allow_nets=local", "", true},
		{"allow_nets=10.0.0.0/8", "", false},
		{"allow_nets=", "192.0.2.1", false},
		{"allow_nets", "192.0.2.1", false},
		{"x=1 allow_nets=10.0.0.0/8 y", "192.0.2.1", false},
		{"allow_nets=10.0.0.0/8 allow_real_nets=10.1.0.0/16", "10.1.2.3", true},
		{"allow_real_nets=10.1.0.0/16 allow_nets=10.0.0.0/8", "10.2.2.3", false},
		{"nologin", "192.0.2.1", false},
		{"nologin=y", "192.0.2.1", false},
		{"nologin=", "192.0.2.1", false},
		{"allow_nets=192.0.2.0/24 nologin reason=x", "192.0.2.1", false},
		{"fail", "192.0.2.1", false},
		{"userdb_nologin_note=y nologins=1", "192.0.2.1", true},
	} {
		a, err := parseAccess(c.extra)
		if err != nil {
			t.Errorf("%s: %v", c.extra, err)
			continue
		}
		from := netip.Addr{}
		if c.from != "" {
			from = netip.MustParseAddr(c.from)
		}
		if why := a.refuses(from); (why == "") != c.ok {
			t.Errorf("%q from %q: %q", c.extra, c.from, why)
		}
	}
	for _, bad := range []string{"allow_nets=example.org", "allow_nets=10.0.0.0/33", "allow_nets=10.0.0.1, allow_real_nets=1.2.3", "allow_nets=fe80::1%eth0", "allow_nets=/8"} {
		f := parseFile("users", []byte("# c\nalice:{PLAIN}x::::::"+bad+"\n"))
		if p := f.Problems(); len(p) != 1 || !strings.HasPrefix(p[0].Error(), `users:2: user "alice": allow_`) {
			t.Errorf("%s: %v", bad, p)
		}
		if _, ok := f.Lookup("alice"); ok {
			t.Errorf("%s: alice may log in", bad)
		}
	}
}

// Who may not log in gets the answer that a wrong password gets, by every
// mechanism, and at the same cost; the reason is told apart from it.
func TestRestrictedUsersAreRefused(t *testing.T) {
	pw := mustHash(t, "SCRAM-SHA-256", "pencil")
	s, slept := service(t, "alice:"+pw+"::::::allow_nets=192.0.2.0/24\ncarol:"+pw+"::::::nologin=y reason=gone\n")
	outside := netip.MustParseAddr("198.51.100.1")
	_, wrong := s.Authenticate(t.Context(), Request{RemoteAddr: here, User: "alice", Password: "no"})
	for _, c := range []struct {
		user string
		from netip.Addr
		why  string
	}{{"alice", here, ""}, {"alice", outside, "the address is not in allow_nets"}, {"carol", here, "nologin is set"}} {
		ci := ConnInfo{RemoteAddr: c.from, TLS: true, TLSState: &tls.ConnectionState{
			VerifiedChains: [][]*x509.Certificate{{{Subject: pkix.Name{CommonName: c.user}}}},
		}}
		login := map[string]func() error{
			"password": func() error {
				_, err := s.Authenticate(t.Context(), Request{RemoteAddr: c.from, User: c.user, Password: "pencil"})
				return err
			},
			"SCRAM": func() error { return scramAs(s, c.user, ci) },
		}
		for mechanism, response := range map[string]string{"PLAIN": "\x00" + c.user + "\x00pencil", "EXTERNAL": ""} {
			login[mechanism] = func() error {
				server, _, err := s.StartSASL(mechanism, ci)
				if err == nil {
					_, _, err = server.Next([]byte(response))
				}
				return err
			}
		}
		for method, try := range login {
			err := try()
			if c.why == "" {
				if err != nil {
					t.Errorf("%s by %s: %v", c.user, method, err)
				}
				continue
			}
			var f *Failure
			if !errors.As(err, &f) || !errors.Is(err, ErrFailed) || f.Reason != c.why || f.Err.Error() != errors.Unwrap(wrong).Error() || f.Name != c.user {
				t.Errorf("%s by %s from %s: %v", c.user, method, c.from, err)
			}
		}
	}
	// They count as failures.
	*slept = nil
	for range 2 {
		s.Authenticate(t.Context(), Request{RemoteAddr: outside, User: "alice", Password: "pencil"})
	}
	if (*slept)[1] == 0 {
		t.Error("no delay after many of them")
	}
}

func scramAs(s *Service, user string, ci ConnInfo) error {
	client, err := scram.SHA256.NewClient(user, "pencil", "")
	if err != nil {
		return err
	}
	conv := client.NewConversation()
	server, _, err := s.StartSASL("SCRAM-SHA-256", ci)
	if err != nil {
		return err
	}
	msg, err := conv.Step("")
	for done := false; err == nil && !done; {
		var answer []byte
		if answer, done, err = server.Next([]byte(msg)); err == nil {
			msg, err = conv.Step(string(answer))
		}
	}
	return err
}

// Fields of Dovecot that restrict, and do nothing here, do not go by in silence.
func TestForeignFieldsAreWarnedAbout(t *testing.T) {
	var log bytes.Buffer
	path := usersFile(t, "alice:{PLAIN}x::::::proxy=y host=10.0.0.1 userdb_mail=maildir:~/x userdb_quota_rule=*:storage=1G\nbob:{PLAIN}x::::::proxy allow_nets=local nodelay\n")
	s, err := New(Options{Users: path, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, want := range []string{"field=proxy users=2 ", "field=host users=1 ", "field=userdb_quota_rule users=1 ", " line=1\n"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in\n%s", want, &log)
		}
	}
	if n := strings.Count(log.String(), "\n"); n != 3 {
		t.Errorf("%d lines:\n%s", n, &log)
	}
	log.Reset()
	var many strings.Builder
	many.WriteString("alice:{PLAIN}x::::::deny=y")
	for i := range 1000 {
		many.WriteString(" x" + strings.Repeat("y", i))
	}
	if err := os.WriteFile(path, []byte(many.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(log.String(), "\n"); n != maxWarnings || !strings.Contains(log.String(), "field=deny") {
		t.Errorf("%d lines for 1001 fields", n)
	}
}

func TestExternal(t *testing.T) {
	s, _ := service(t, "alice:{PLAIN}x\nalice@example.org:{PLAIN}x\n")
	for _, c := range []struct {
		cert     *x509.Certificate
		as, user string
	}{
		{&x509.Certificate{Subject: pkix.Name{CommonName: "alice"}}, "", "alice"},
		{&x509.Certificate{Subject: pkix.Name{CommonName: "alice"}}, "alice", "alice"},
		{&x509.Certificate{Subject: pkix.Name{CommonName: "alice"}}, "alice@example.org", ""},
		{&x509.Certificate{Subject: pkix.Name{CommonName: "alice"}, EmailAddresses: []string{"alice@example.org"}}, "", "alice@example.org"},
		{&x509.Certificate{Subject: pkix.Name{CommonName: "alice"}, EmailAddresses: []string{"bob@example.org"}}, "", ""},
		{&x509.Certificate{Subject: pkix.Name{CommonName: "alice"}, EmailAddresses: []string{"bob@example.org", "alice@example.org"}}, "", ""},
		{&x509.Certificate{Subject: pkix.Name{CommonName: "bob"}}, "", ""},
		{&x509.Certificate{Subject: pkix.Name{CommonName: "bob"}}, "alice", ""},
	} {
		ci := ConnInfo{RemoteAddr: here, TLS: true, TLSState: &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{c.cert}}}}
		server, user, err := s.StartSASL("EXTERNAL", ci)
		if err != nil {
			t.Fatal(err)
		}
		_, done, err := server.Next([]byte(c.as))
		if user() != c.user || (err == nil && done) != (c.user != "") {
			t.Errorf("%s %q as %q: %q %v", c.cert.Subject.CommonName, c.cert.EmailAddresses, c.as, user(), err)
		}
	}
	// A certificate that nobody has verified names nobody.
	for _, state := range []*tls.ConnectionState{nil, {}, {PeerCertificates: []*x509.Certificate{{Subject: pkix.Name{CommonName: "alice"}}}}} {
		ci := ConnInfo{RemoteAddr: here, TLSState: state}
		if got := strings.Join(s.Mechanisms(ci), " "); got != "PLAIN LOGIN" {
			t.Error(got)
		}
		if _, _, err := s.StartSASL("EXTERNAL", ci); err == nil {
			t.Error("begun")
		}
	}
}

func TestTriedNames(t *testing.T) {
	s, _ := service(t, "alice:{PLAIN}x\n")
	for name, want := range map[string]string{
		"bob": "bob", "": "", "a\r\nlevel=INFO msg=login": "a\ufffd\ufffdlevel=INFO msg=login", "\xff\x1b[31m": "\ufffd\ufffd[31m",
		strings.Repeat("ü", 100): strings.Repeat("ü", 32) + "...", strings.Repeat("€", 100): strings.Repeat("€", 21) + "...",
	} {
		_, err := s.Authenticate(t.Context(), Request{RemoteAddr: here, User: name, Password: "wrong"})
		if got := Tried(err); got != want {
			t.Errorf("%q is logged as %q, want %q", name, got, want)
		}
		if strings.Contains(err.Error(), "wrong") {
			t.Error("the password is in the error")
		}
	}
	if Tried(nil) != "" || Tried(ErrFailed) != "" {
		t.Error("a name out of nothing")
	}
}

// RFC 4013: a name or a password that is typed in two ways is one; and one user
// however it is typed as far as failures count.
func TestPreparedNamesAndPasswords(t *testing.T) {
	s, slept := service(t, "jos\u00e9:"+mustHash(t, "SSHA256", "caf\u00e9")+"\nraw\uff21:{PLAIN}x\n")
	for _, c := range []struct{ user, password, want string }{
		{"jos\u00e9", "caf\u00e9", "jos\u00e9"},
		{"jose\u0301", "cafe\u0301", "jos\u00e9"},
		{"\uff4aos\u00e9", "caf\u00e9", "jos\u00e9"},
		{"raw\uff21", "x", "raw\uff21"},
		{"rawA", "x", ""},
		{"jose", "caf\u00e9", ""},
	} {
		user, err := s.Authenticate(context.Background(), Request{RemoteAddr: here, User: c.user, Password: c.password})
		if user != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q %q: %q %v", c.user, c.password, user, err)
		}
	}
	*slept = nil
	for i, user := range []string{"victim", "vic\u00adtim", "v\u00adictim", "\uff56ictim", "vi\u00adctim"} {
		from := netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
		s.Authenticate(t.Context(), Request{RemoteAddr: from, User: user, Password: "x"})
	}
	if last := (*slept)[len(*slept)-1]; last < time.Second {
		t.Error("a name typed in five ways is five users:", *slept)
	}
	for text, ok := range map[string]bool{"a b": true, "\u00a0": true, "a\x00": false, "\ue000": false, "\u05d01": true, "\U0001f600": true, "\u200e": false} {
		if _, err := Prepare(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
