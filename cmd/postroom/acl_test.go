package main

import (
	"encoding/json"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// aclSite is a directory with a configuration, users and alice's folder Work, for the acl commands.
type aclSite struct {
	t      *testing.T
	dir    string
	config string
}

func newACLSite(t *testing.T, process string) *aclSite {
	t.Helper()
	s := &aclSite{t: t, dir: t.TempDir()}
	s.config = s.path("config.toml")
	s.write("config.toml", "[mail]\nroot = \""+s.path("mail/{user}")+"\"\npublic = \""+s.path("mail/public")+"\"\n[auth]\nusers = \""+s.path("users")+"\"\n"+process)
	s.write("users", "alice:{PLAIN}x\nbob:{PLAIN}x::::::userdb_acl_groups=staff\ncarol:{PLAIN}x\n")
	for _, dir := range []string{"alice", "alice/.Work", "bob"} {
		for _, sub := range []string{"cur", "new", "tmp"} {
			if err := os.MkdirAll(s.path("mail/"+dir+"/"+sub), 0o700); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s
}

func (s *aclSite) path(name string) string { return filepath.Join(s.dir, name) }

func (s *aclSite) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// acl runs "postroom acl VERB --config FILE ARGS".
func (s *aclSite) acl(verb string, args ...string) (stdout, stderr string, status int) {
	s.t.Helper()
	return postroom(s.t, "", append([]string{"acl", verb, "--config", s.config}, args...)...)
}

// must runs a command that goes well and has nothing to complain of.
func (s *aclSite) must(want, verb string, args ...string) {
	s.t.Helper()
	if out, errs, status := s.acl(verb, args...); status != 0 || errs != "" || out != want {
		s.t.Fatalf("%s %q: exit status %d\n%swant\n%sstderr: %s", verb, args, status, out, want, errs)
	}
}

// file holds an ACL file against what it should be; "" for none.
func (s *aclSite) file(name, want string) {
	s.t.Helper()
	data, err := os.ReadFile(s.path("mail/" + name + "/dovecot-acl"))
	if string(data) != want || (err != nil) != (want == "") {
		s.t.Fatalf("%s: %q, want %q (%v)", name, data, want, err)
	}
}

func TestACLSet(t *testing.T) {
	s := newACLSite(t, asRoot())
	for _, c := range []struct{ who, rights, file string }{
		{"bob", "read", "user=bob lrs\n"},
		{"user=bob", "+w", "user=bob lrws\n"},
		{"bob", "-read", "user=bob w\n"},
		{"bob", "write", "user=bob eilprwts\n"},
		{"bob", "full", "user=bob akxeilprwts\n"},
		{"bob", "rl", "user=bob lr\n"},
		{"bob", "", "user=bob \n"},
		{"-bob", "w", "user=bob \n-user=bob w\n"},
		{"-user=bob", "+i", "user=bob \n-user=bob iw\n"},
		{"group=staff", "read", "group=staff lrs\nuser=bob \n-user=bob iw\n"},
		{"authenticated", "lr", "authenticated lr\ngroup=staff lrs\nuser=bob \n-user=bob iw\n"},
		{"alice", "-x", "authenticated lr\ngroup=staff lrs\nowner akeilprwts\nuser=bob \n-user=bob iw\n"},
	} {
		s.must("", "set", "--user", "alice", "Work", c.who, c.rights)
		s.file("alice/.Work", c.file)
	}
	for _, who := range []string{"alice", "bob", "-bob", "group=staff", "authenticated"} {
		s.must("", "remove", "--user", "alice", "Work", who)
	}
	s.file("alice/.Work", "")
}

// What was refused has changed nothing.
func TestACLRefused(t *testing.T) {
	s := newACLSite(t, asRoot())
	const before = "# ours\nuser=bob lrs\n"
	s.write("mail/alice/.Work/dovecot-acl", before)
	for _, c := range []struct {
		name, verb string
		args       []string
		status     int
		err        string
	}{
		{"nobody's folder", "set", []string{"Work", "bob", "read"}, 2, "--user"},
		{"two trees", "show", []string{"--user", "alice", "--public"}, 2, "do not go together"},
		{"unknown owner", "set", []string{"--user", "dave", "Work", "bob", "read"}, 2, `users: there is no user "dave"`},
		{"no mail", "show", []string{"--user", "carol"}, 1, "carol has no mail yet"},
		{"no folder", "set", []string{"--user", "alice", "Wrok", "bob", "read"}, 1, "--create makes it"},
		{"unknown user", "set", []string{"--user", "alice", "Work", "bbo", "read"}, 2, `there is no user "bbo"; --force`},
		{"unknown group", "set", []string{"--user", "alice", "Work", "group=stuff", "read"}, 2, `nobody is in a group "stuff"; --force`},
		{"unknown kind", "set", []string{"--user", "alice", "Work", "gruop=staff", "read"}, 2, "gruop=staff"},
		{"unknown right", "set", []string{"--user", "alice", "Work", "bob", "lrz"}, 2, `"lrz"`},
		{"a mistyped word", "set", []string{"--user", "alice", "Work", "bob", "red"}, 2, `"red"`},
		{"two signs", "set", []string{"--user", "alice", "Work", "bob", "+-r"}, 2, `"+-r"`},
		{"a flag behind", "set", []string{"--user", "alice", "Work", "bob", "-s", "--force"}, 2, "flags stand before FOLDER"},
		{"no rights", "set", []string{"--user", "alice", "Work", "bob"}, 2, "accepts 3 arg"},
		{"nothing to remove", "remove", []string{"--user", "alice", "Work", "group=staff"}, 1, "dovecot-acl: it says nothing of group=staff"},
		{"of the other sign", "remove", []string{"--user", "alice", "Work", "-bob"}, 1, "it says nothing of -user=bob"},
		{"explain, no user", "explain", []string{"--user", "alice", "Work", "dave"}, 2, `there is no user "dave"`},
		{"explain, no folder", "explain", []string{"--user", "alice", "Wrok", "bob"}, 1, `"Wrok": no such folder`},
		{"seen", "seen", []string{"--user", "alice", "Work", "default"}, 2, `"private" or "shared"`},
		{"no public tree", "show", []string{"--public"}, 1, "--create"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.t = t
			out, errs, status := s.acl(c.verb, c.args...)
			if status != c.status || out != "" || !strings.HasPrefix(errs, "postroom: ") || !strings.Contains(errs, c.err) {
				t.Errorf("exit status %d, want %d\nstdout: %s\nstderr: %s", status, c.status, out, errs)
			}
			s.file("alice/.Work", before)
		})
	}
	s.t = t
	s.must("", "set", "--user", "alice", "--force", "Work", "bbo", "read")
	s.file("alice/.Work", "user=bbo lrs\n"+before)
}

// Everybody may be let in, with a warning when they may change something.
func TestACLForEverybody(t *testing.T) {
	s := newACLSite(t, asRoot())
	s.must("", "set", "--user", "alice", "Work", "anyone", "read")
	out, errs, status := s.acl("set", "--user", "alice", "Work", "anyone", "+i")
	if status != 0 || out != "" || errs != "postroom: warning: everybody may change Work now\n" {
		t.Errorf("%d %q %q", status, out, errs)
	}
	s.file("alice/.Work", "anyone ilrs\n")
	s.must("", "set", "--user", "alice", "Work", "anyone", "-i")
}

func TestACLShow(t *testing.T) {
	s := newACLSite(t, asRoot())
	s.must("", "show")
	s.must("owner lrswipkxtea\n", "show", "--user", "alice", "Work")
	s.write("mail/alice/.Work/dovecot-acl", "# ours\n-user=bob w\nuser=bob lrsw :private\n\"group=the board\" lr\n")
	s.must("owner lrswipkxtea\ngroup=the board lr\nuser=bob lrsw :private\n-user=bob w\n", "show", "--user", "alice", "Work")
	s.must("", "set", "--public", "--create", "News", "group=staff", "read")
	s.must("", "set", "--public", "INBOX", "group=staff", "lk")
	const work, public = "alice: Work: group=the board lr, user=bob lrsw :private, -user=bob w\n", "public: INBOX: group=staff lk\npublic: News: group=staff lrs\n"
	s.must(work, "show", "--user", "alice")
	s.must(public, "show", "--public")
	s.must("group=staff lrs\n", "show", "--public", "News")
	s.must(work+public, "show")
	s.must("bob: Other Users/alice/Work: lrs\nbob: Public/News: lrs\n", "show", "--user", "bob")
	out, _, _ := s.acl("show", "--user", "bob", "--json")
	var shown shownACLs
	if err := json.Unmarshal([]byte(out), &shown); err != nil || len(shown.ACLs) != 0 || len(shown.Shared) != 2 || shown.Shared[1] != (shownShare{"bob", "Public/News", "lrs"}) {
		t.Error(err, out)
	}
	out, _, _ = s.acl("show", "--user", "alice", "--json", "Work")
	shown = shownACLs{}
	if err := json.Unmarshal([]byte(out), &shown); err != nil || len(shown.ACLs) != 1 || len(shown.ACLs[0].Entries) != 4 || shown.ACLs[0].Entries[2].Line != 3 {
		t.Error(err, out)
	}
}

// A bad file is named by path, line and reason, by every command that meets it.
func TestACLBadFile(t *testing.T) {
	s := newACLSite(t, asRoot())
	file := s.path("mail/alice/.Work/dovecot-acl")
	s.write("mail/alice/.Work/dovecot-acl", "user=bob lr\nuser=bob lq\n# fine\nbob lr\n")
	for _, args := range [][]string{
		{"show", "--user", "alice", "Work"}, {"show", "--user", "alice"}, {"show"},
		{"set", "--user", "alice", "Work", "bob", "read"}, {"remove", "--user", "alice", "Work", "bob"},
	} {
		_, errs, status := s.acl(args[0], args[1:]...)
		if status != 1 || !strings.Contains(errs, file+":2: ") || !strings.Contains(errs, file+":4: ") || strings.Contains(errs, file+":1: ") || !strings.Contains(errs, "editor") {
			t.Errorf("%q: exit status %d, %s", args, status, errs)
		}
	}
	out, _, status := s.acl("show", "--user", "alice", "--json")
	var shown shownACLs
	if err := json.Unmarshal([]byte(out), &shown); status != 1 || err != nil || len(shown.ACLs) != 1 || len(shown.ACLs[0].Bad) != 2 || shown.ACLs[0].Bad[1].Line != 4 {
		t.Error(status, err, out)
	}
	if out, _, _ := s.acl("explain", "--user", "alice", "Work", "bob"); !strings.Contains(out, "l: denied because of a bad file: line 2") {
		t.Error(out)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(file, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, errs, status := s.acl("show", "--user", "alice", "Work"); status != 1 || strings.Count(errs, file) != 1 || !strings.Contains(errs, "not a regular file") {
		t.Errorf("exit status %d, %s", status, errs)
	}
}

func TestACLExplain(t *testing.T) {
	s := newACLSite(t, asRoot())
	file := s.path("mail/alice/.Work/dovecot-acl")
	s.write("mail/alice/.Work/dovecot-acl", "# ours\ngroup=staff lrst\n-user=bob s\n")
	s.must("bob has \"lrt\" by "+file+`
l: granted by line 2: group=staff lrst
r: granted by line 2: group=staff lrst
s: denied by line 3: -user=bob s
w: denied by no line
i: denied by no line
p: denied by no line
k: denied by no line
x: denied by no line
t: granted by line 2: group=staff lrst
e: denied by no line
a: denied by no line
`, "explain", "--user", "alice", "Work", "bob")
	out, _, _ := s.acl("explain", "--user", "alice", "--json", "Work", "bob")
	var shown struct {
		Rights  string
		Reasons []shownReason
	}
	if err := json.Unmarshal([]byte(out), &shown); err != nil || shown.Rights != "lrt" || len(shown.Reasons) != 11 || shown.Reasons[2].Line != 3 || shown.Reasons[2].Granted {
		t.Error(err, out)
	}
	if out, _, _ := s.acl("explain", "--user", "alice", "INBOX", "alice"); !strings.Contains(out, "which is not there") || !strings.Contains(out, "a: granted by default") {
		t.Error(out)
	}
	// Courier's file is not ours to cite, but what it comes to is.
	if err := os.Rename(file, s.path("mail/alice/.Work/courierimapacl")); err != nil {
		t.Fatal(err)
	}
	s.write("mail/alice/.Work/courierimapacl", "owner aceilrstwx\nuser=bob lr\n")
	if out, _, _ := s.acl("explain", "--user", "alice", "Work", "bob"); !strings.Contains(out, `bob has "lr" by `) || !strings.Contains(out, "courierimapacl, its lines counted") {
		t.Error(out)
	}
}

func TestACLSeen(t *testing.T) {
	s := newACLSite(t, asRoot())
	s.must("private\n", "seen", "--user", "alice", "Work")
	s.must("", "seen", "--user", "alice", "Work", "shared")
	s.must("shared\n", "seen", "--user", "alice", "Work")
	s.must("", "seen", "--user", "alice", "Work", "private")
	s.must("private\n", "seen", "--user", "alice", "Work")
}

// Root's command leaves nothing of root's in the trees.
func TestACLAsRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("this wants to be run as root")
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Skip(err)
	}
	s := newACLSite(t, "[process]\nuser = \"nobody\"\n")
	// The way to a test's directory is barred to others.
	for dir := s.dir; dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	give := func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, atoi(t, nobody.Uid), atoi(t, nobody.Gid))
	}
	if err := filepath.WalkDir(s.path("mail"), give); err != nil {
		t.Fatal(err)
	}
	s.must("", "set", "--user", "alice", "--create", "Plans", "bob", "read")
	s.must("", "set", "--user", "alice", "Work", "bob", "read")
	s.must("", "seen", "--user", "alice", "Work", "shared")
	s.must("", "set", "--public", "--create", "News/Local", "group=staff", "full")
	looked := 0
	err = filepath.WalkDir(s.path("mail"), func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		looked++
		if owner := ownerOf(t, path); !strings.HasPrefix(owner, nobody.Uid+":") {
			t.Errorf("%s is of %s", path, owner)
		}
		return nil
	})
	if err != nil || looked < 20 {
		t.Error(looked, err)
	}
}

func atoi(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
