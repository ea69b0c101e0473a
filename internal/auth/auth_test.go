package auth

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xdg-go/scram"
)

var here = netip.MustParseAddr("192.0.2.1")

func usersFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	return path
}

// service has a clock that stands still, and remembers how long it was asked to sleep.
func service(t *testing.T, text string, mechanisms ...string) (*Service, *[]time.Duration) {
	t.Helper()
	var slept []time.Duration
	var mu sync.Mutex
	now := time.Unix(1_800_000_000, 0)
	s, err := New(Options{
		Users:      usersFile(t, text),
		Mechanisms: mechanisms,
		Clock:      func() time.Time { now = now.Add(10 * time.Millisecond); return now },
		Sleep: func(_ context.Context, d time.Duration) error {
			mu.Lock()
			defer mu.Unlock()
			slept = append(slept, d)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, &slept
}

func TestSchemesMadeHereAreVerifiedHere(t *testing.T) {
	for name, s := range schemes {
		if s.make == nil {
			continue
		}
		stored, err := Hash(name, "pässword 1")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		p, err := parsePassword(stored)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if ok, err := p.matches("pässword 1"); !ok || err != nil {
			t.Errorf("%s: %s: %v %v", name, stored, ok, err)
		}
		if ok, _ := p.matches("pässword 2"); ok {
			t.Errorf("%s takes any password", name)
		}
	}
}

// Made by doveadm pw of Debian's Dovecot 2.3.19, for "secret".
func TestSchemesMadeElsewhere(t *testing.T) {
	for _, stored := range []string{
		"{SHA512-CRYPT}$6$k9SyaSNhXVb06nDM$9N7oijnKQXKyo3zfR/QoG5wf6/nFT8JIKy2dpkm18ATE5Bf7J4Fb.kZk.UUiH5L0IGyDmtJjdZTBPDnMJUMpx1",
		"{SHA256-CRYPT}$5$GZaoy43BXNWrqbR7$98oVOFeccQ8ATUT1ZLxZmiBB8ggidOw1I91QxReHaF3",
		"{BLF-CRYPT}$2y$05$pM7F35/CzTmBMX.204dDRuAVUmURjntns9rWgY7jCZsBNSq.942uC",
		"{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$kQksjkxrM4/hnr/zKfXlpw$ex2njsgMBLhismHgIr3Q1F+Sn5W9iMT3udu6F2wmO3w",
		"{SSHA512}ZAAiR63gw9WQp9yJAItyoDrWnfJN2tX6xkMj9N+hoMWtSIffIR2+yDRTKAZzTnScNVPmbWSsQlL5VqxRpU0pwTgu7XU=",
		"{SSHA256}LSh/iY5gvCYVP+KiLHLSt0f/0vlP7aLmAuSDjTGTI4xUVPEF",
		"{PBKDF2}$1$yifym9ZMw0zGembL$5000$a2b9b95c56cb17b8b1dbc0577fec1ef6fc3f27d0",
		"{SCRAM-SHA-256}4096,B3WdLs05bmfIgzQfBr7Jdg==,qQmDg9SlQo2P5OkFUFQgKFxRKnrW1xQiY4IVjM//2q8=,d09EiO4G9BEiOKNCQbE2l7754pYd+2zyQ3a28uwTDSQ=",
	} {
		p, err := parsePassword(stored)
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := p.matches("secret"); !ok || err != nil {
			t.Errorf("%s: %v %v", stored, ok, err)
		}
		if ok, err := p.matches("secreT"); ok || err != nil {
			t.Errorf("%s, wrong password: %v %v", stored, ok, err)
		}
	}
}

func TestCostsAreBounded(t *testing.T) {
	for _, stored := range []string{
		"{ARGON2ID}$argon2id$v=19$m=999999999,t=1,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA",
		"{BLF-CRYPT}$2y$31$abcdefghijklmnopqrstuuN9rZ7jL5mKzQ6O3kz0Zb5Jm6f5m4v6a",
		"{SHA512-CRYPT}$6$rounds=999999999$salt$abc",
		"{PBKDF2}$1$salt$999999999$00ff",
		"{SCRAM-SHA-256}999999999,c2FsdA==,c2FsdA==,c2FsdA==",
		"{CRYPT}$y$j9T$salt$hash",
		"{SSHA512}xx",
	} {
		p, err := parsePassword(stored)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if ok, err := p.matches("secret"); ok || err == nil {
			t.Errorf("%s: %v %v", stored, ok, err)
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%s took %v", stored, d)
		}
	}
}

func TestAuthenticate(t *testing.T) {
	s, slept := service(t, "# users\nalice:{PLAIN}secret:1000:1000::/home/a:/bin/sh:userdb_acl_groups=staff,board x=1\nbob:{SSHA256}"+
		strings.TrimPrefix(mustHash(t, "SSHA256", "pw"), "{SSHA256}")+"\n")
	try := func(user, password string) error {
		name, err := s.Authenticate(t.Context(), Request{Protocol: "imap", RemoteAddr: here, User: user, Password: password})
		if err == nil && name != user {
			t.Errorf("%s is %s", user, name)
		}
		return err
	}
	if err := try("alice", "secret"); err != nil {
		t.Error(err)
	}
	if err := try("bob", "pw"); err != nil {
		t.Error(err)
	}
	var refusals []string
	for _, c := range [][2]string{{"alice", "wrong"}, {"nobody", "secret"}, {"alice", ""}, {"", ""}, {"alice", strings.Repeat("x", 5000)}} {
		err := try(c[0], c[1])
		if !errors.Is(err, ErrFailed) {
			t.Errorf("%q: %v", c, err)
			continue
		}
		refusals = append(refusals, err.Error())
	}
	for _, r := range refusals {
		if r != refusals[0] {
			t.Errorf("refusals differ: %q", refusals)
		}
	}
	if last := (*slept)[len(*slept)-1]; last == 0 {
		t.Error("many failures, and no delay")
	}
	if g := s.Groups("alice"); !slices.Equal(g, []string{"staff", "board"}) || s.Groups("bob") != nil || s.Has("carol") {
		t.Error(g)
	}
}

func mustHash(t *testing.T, scheme, password string) string {
	t.Helper()
	h, err := Hash(scheme, password)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestThrottle(t *testing.T) {
	now := time.Unix(1000, 0)
	th := newThrottle(func() time.Time { return now })
	other := netip.MustParseAddr("198.51.100.7")
	delay := func(from netip.Addr, user string) time.Duration {
		a := th.begin(from, user)
		defer a.end(undecided)
		return a.delay
	}
	want := []time.Duration{0, 0, 0, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 15 * time.Second, 15 * time.Second}
	for i, w := range want {
		if d := delay(here, "alice"); d != w {
			t.Errorf("after %d failures: %v, want %v", i, d, w)
		}
		th.begin(here, "alice").end(failed)
	}
	if delay(here, "bob") == 0 {
		t.Error("the address is not slowed down for another user")
	}
	if delay(other, "alice") == 0 {
		t.Error("the user is not slowed down at another address")
	}
	th.begin(other, "alice").end(succeeded)
	if delay(other, "alice") != 0 {
		t.Error("a login forgets nothing")
	}
	now = now.Add(forgetAfter)
	if delay(here, "bob") != 0 {
		t.Error("never forgotten")
	}
}

func TestFileKeepsWhatIsNotOurs(t *testing.T) {
	const text = "# first\n\nalice:{PLAIN}a:1:2:gecos:/h:/s:x=1 y\n# last\nbob:{PLAIN}b\n"
	path := usersFile(t, text)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(Update(path, nil, func(f *File) error { return f.Set("alice", "{PLAIN}new") }))
	must(Update(path, nil, func(f *File) error { return f.Set("carol", "{PLAIN}c") }))
	must(Update(path, nil, func(f *File) error { f.Remove("bob"); return nil }))
	got, _ := os.ReadFile(path)
	if want := "# first\n\nalice:{PLAIN}new:1:2:gecos:/h:/s:x=1 y\n# last\ncarol:{PLAIN}c\n"; string(got) != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if fi, _ := os.Stat(path); fi.Mode().Perm() != 0o640 {
		t.Error(fi.Mode())
	}
	for _, bad := range []string{"", "a/b", "../x", "a:b", ".x", "a b", "a\x00", "-x", strings.Repeat("x", 300)} {
		if err := Update(path, nil, func(f *File) error { return f.Set(bad, "{PLAIN}x") }); err == nil {
			t.Errorf("%q is taken as a name", bad)
		}
	}
}

func TestBrokenLines(t *testing.T) {
	path := usersFile(t, "ok:{PLAIN}x\nnopassword\nalice:{NONSENSE}x\nok:{PLAIN}y\nbob:{PLAIN\ncarol:\n")
	_, err := New(Options{Users: path})
	if err == nil {
		t.Fatal("taken at the start")
	}
	for _, want := range []string{path + ":2: ", path + ":3: ", path + ":4: ", path + ":5: ", path + ":6: "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
	s, _ := service(t, "alice:{PLAIN}a\n")
	if err := os.WriteFile(s.opt.Users, []byte("alice:{PLAIN}b\nbroken\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err != nil {
		t.Error(err)
	}
	if _, err := s.Authenticate(t.Context(), Request{RemoteAddr: here, User: "alice", Password: "b"}); err != nil {
		t.Error(err)
	}
}

func TestSASL(t *testing.T) {
	s, _ := service(t, "alice:"+mustHash(t, "SCRAM-SHA-256", "pencil")+"\nbob:{PLAIN}pw\n", "LOGIN", "PLAIN", "SCRAM-SHA-256", "EXTERNAL")
	ci := ConnInfo{Protocol: "imap", RemoteAddr: here}
	if got := strings.Join(s.Mechanisms(ci), " "); got != "SCRAM-SHA-256 PLAIN LOGIN" {
		t.Error(got)
	}
	run := func(mech string, responses ...string) (string, error) {
		server, user, err := s.StartSASL(mech, ci)
		if err != nil {
			return "", err
		}
		for _, r := range responses {
			var in []byte
			if r != "<none>" {
				in = []byte(r)
			}
			if _, done, err := server.Next(in); err != nil || done {
				return user(), err
			}
		}
		return "", errors.New("not done")
	}
	for _, c := range []struct {
		mech      string
		responses []string
		user      string
	}{
		{"PLAIN", []string{"\x00bob\x00pw"}, "bob"},
		{"PLAIN", []string{"<none>", "bob\x00bob\x00pw"}, "bob"},
		{"PLAIN", []string{"alice\x00bob\x00pw"}, ""},
		{"PLAIN", []string{"\x00alice\x00pencil"}, "alice"},
		{"LOGIN", []string{"<none>", "bob", "pw"}, "bob"},
		{"LOGIN", []string{"bob", "pw"}, "bob"},
		{"LOGIN", []string{"<none>", "bob", "no"}, ""},
		{"EXTERNAL", []string{""}, ""},
	} {
		user, err := run(c.mech, c.responses...)
		if user != c.user || (err == nil) != (c.user != "") {
			t.Errorf("%s %q: %q %v", c.mech, c.responses, user, err)
		}
	}
}

func TestSCRAM(t *testing.T) {
	s, _ := service(t, "alice:"+mustHash(t, "SCRAM-SHA-256", "pencil")+"\nbob:{PLAIN}pw\n", "SCRAM-SHA-256")
	for _, c := range []struct {
		user, password string
		ok             bool
	}{{"alice", "pencil", true}, {"alice", "pen", false}, {"bob", "pw", false}, {"nobody", "x", false}} {
		if ok, err := scramLogin(t, s, c.user, c.password); ok != c.ok {
			t.Errorf("%s %s: %v", c.user, c.password, err)
		}
	}
	// Who has a new password need not wait.
	if err := os.WriteFile(s.opt.Users, []byte("alice:"+mustHash(t, "SCRAM-SHA-256", "crayon")+"\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	if ok, err := scramLogin(t, s, "alice", "crayon"); !ok {
		t.Error("with a new password:", err)
	}
}

func scramLogin(t *testing.T, s *Service, name, password string) (ok bool, err error) {
	t.Helper()
	client, err := scram.SHA256.NewClient(name, password, "")
	if err != nil {
		t.Fatal(err)
	}
	conv := client.NewConversation()
	server, user, err := s.StartSASL("SCRAM-SHA-256", ConnInfo{RemoteAddr: here})
	if err != nil {
		t.Fatal(err)
	}
	msg, err := conv.Step("")
	var done bool
	for err == nil && !done {
		var answer []byte
		if answer, done, err = server.Next([]byte(msg)); err == nil {
			msg, err = conv.Step(string(answer))
		}
	}
	return err == nil && done && conv.Valid() && user() == name, err
}

func TestMalformedPasswordsAreFoundAtStart(t *testing.T) {
	for _, pw := range []string{
		"{ARGON2ID}rubbish", "{ARGON2ID}$argon2id$v=19,m=3000000$m=65536,t=3,p=1$c2FsdA$aGFzaA", "{BLF-CRYPT}x", "{SHA512-CRYPT}$7$x",
		"{SCRAM-SHA-256}nonsense", "{PBKDF2}x", "{SSHA256}!", "{CRYPT}abc",
	} {
		if f := parseFile("users", []byte("alice:"+pw+"\n")); len(f.Problems()) != 1 {
			t.Errorf("%s: %v", pw, f.Problems())
		}
	}
}

func FuzzUsersFile(f *testing.F) {
	f.Add("alice:{PLAIN}x:1:2::/h:/s:a=b\n# c\n\nbob:{SSHA512}AAAA\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		file := parseFile("users", []byte(text))
		for _, u := range file.Users() {
			if CheckName(u.Name) != nil {
				t.Fatalf("%q is a user", u.Name)
			}
		}
	})
}

func FuzzStoredPassword(f *testing.F) {
	for _, s := range []string{"{PLAIN}x", "$6$a$b", "{PBKDF2}$1$s$10$00", "{SCRAM-SHA-256}1,YQ==,YQ==,YQ==", "{BLF-CRYPT}$2y$05$x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "argon2") || strings.Contains(text, "rounds=") || strings.Contains(text, "$2") || len(text) > 500 {
			return // dear ones within the bounds
		}
		if p, err := parsePassword(text); err == nil {
			p.matches("secret")
		}
	})
}

// Who was added, or has a new password, can log in at once: a refusal is not given on an old file.
func TestChangedUsersLogInAtOnce(t *testing.T) {
	s, _ := service(t, "alice:{PLAIN}a\n")
	login := func(user, password string) error {
		_, err := s.Authenticate(t.Context(), Request{RemoteAddr: here, User: user, Password: password})
		return err
	}
	if err := login("alice", "a"); err != nil { // now the file has been looked at
		t.Fatal(err)
	}
	if err := os.WriteFile(s.opt.Users, []byte("alice:{PLAIN}new\nbob:{PLAIN}bb\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := login("bob", "bb"); err != nil {
		t.Error("added:", err)
	}
	if err := os.WriteFile(s.opt.Users, []byte("alice:{PLAIN}newest\nbob:{PLAIN}bb\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := login("alice", "newest"); err != nil {
		t.Error("changed:", err)
	}
	if err := login("alice", "new"); !errors.Is(err, ErrFailed) {
		t.Error("the old password:", err)
	}
}

// Mark changes with what concerns a user's logins, and with nothing else.
func TestMark(t *testing.T) {
	const before = "alice:{PLAIN}a::::::allow_nets=192.0.2.0/24\nbob:{PLAIN}b\n"
	for after, same := range map[string]bool{
		before: true,
		"alice:{PLAIN}a::::::allow_nets=192.0.2.0/24 userdb_acl_groups=x\nbob:{PLAIN}c\n": true,
		"alice:{PLAIN}b::::::allow_nets=192.0.2.0/24\n":                                   false,
		"alice:{PLAIN}a::::::allow_nets=192.0.2.0/25\n":                                   false,
		"alice:{PLAIN}a::::::nologin allow_nets=192.0.2.0/24\n":                           false,
	} {
		s, _ := service(t, before)
		was, ok := s.Mark("alice")
		if err := os.WriteFile(s.opt.Users, []byte(after), 0o640); err != nil || !ok {
			t.Fatal(ok, err)
		}
		if err := s.Reload(); err != nil {
			t.Fatal(err)
		}
		if now, ok := s.Mark("alice"); !ok || (now == was) != same {
			t.Errorf("%q: there %v, the same %v", after, ok, now == was)
		}
	}
	s, _ := service(t, before)
	if _, ok := s.Mark("carol"); ok {
		t.Error("carol has a mark")
	}
}
