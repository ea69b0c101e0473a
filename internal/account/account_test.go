package account

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postroom/aclfile"
)

// people are the users of a test; groups may change while it runs.
type people struct {
	mu         sync.Mutex
	groups     map[string][]string
	generation atomic.Uint64
}

func (p *people) Names() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var names []string
	for n := range p.groups {
		names = append(names, n)
	}
	return names
}

func (p *people) Has(name string) bool { return slices.Contains(p.Names(), name) }

func (p *people) Groups(name string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.groups[name]
}

func (p *people) Generation() uint64 { return p.generation.Load() }

func (p *people) set(name string, groups ...string) {
	p.mu.Lock()
	p.groups[name] = groups
	p.mu.Unlock()
	p.generation.Add(1)
}

// house is a service over a directory of its own, with alice, bob, carol (of the staff), and john.doe@example.org.
type house struct {
	t      testing.TB
	root   string
	svc    *Service
	people *people
}

func newHouse(t testing.TB, change ...func(*Config)) *house {
	h := &house{t: t, root: t.TempDir(), people: &people{groups: map[string][]string{
		"alice": nil, "bob": nil, "carol": {"staff"}, "john.doe@example.org": nil,
	}}}
	cfg := Config{
		Root: filepath.Join(h.root, "{user}", "Maildir"), Users: h.people,
		OtherUsers: "Other Users", Public: filepath.Join(h.root, "public"), PublicPrefix: "Public",
	}
	for _, f := range change {
		f(&cfg)
	}
	svc, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h.svc = svc
	t.Cleanup(svc.Close)
	return h
}

func (h *house) open(user string) *User {
	h.t.Helper()
	u, err := h.svc.Open(h.t.Context(), user)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(u.Close)
	return u
}

func (h *house) create(u *User, names ...string) {
	h.t.Helper()
	for _, n := range names {
		if err := u.Create(h.t.Context(), n, ""); err != nil {
			h.t.Fatal(err)
		}
	}
}

// write puts an ACL file into a folder's directory, as an editor does.
func (h *house) write(owner, dir, text string) {
	h.t.Helper()
	path := filepath.Join(h.root, owner, "Maildir", dir, "dovecot-acl")
	if owner == "public" {
		path = filepath.Join(h.root, "public", dir, "dovecot-acl")
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) names(u *User) []string {
	h.t.Helper()
	list, err := u.Mailboxes(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	var out []string
	for _, e := range list {
		name := e.Name
		if e.NonExistent {
			name = "(" + name + ")"
		}
		out = append(out, name)
	}
	return out
}

// eventually waits for what happens elsewhere.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: ", what)
		}
	}
}

func put(t testing.TB, u *User, box, text string) error {
	t.Helper()
	a, err := u.Append(t.Context(), box, AppendOptions{Flags: Flagged | Seen, Keywords: []string{"work"}})
	if err != nil {
		return err
	}
	defer a.Abort()
	if _, err := a.Write([]byte(text)); err != nil {
		return err
	}
	_, _, err = Commit(context.Background(), a)
	return err
}

const mail = "Subject: x\r\n\r\ntext\r\n"

func TestOtherUsersFolders(t *testing.T) {
	h := newHouse(t)
	alice, bob := h.open("alice"), h.open("bob")
	h.create(alice, "Work", "Work/Plans", "Secret")
	own := []string{"INBOX"}
	if got := h.names(bob); !slices.Equal(got, own) {
		t.Fatal(got)
	}
	h.write("alice", ".Work.Plans", "user=bob lr\n")
	want := []string{"INBOX", "(Other Users)", "(Other Users/alice)", "(Other Users/alice/Work)", "Other Users/alice/Work/Plans"}
	eventually(t, "bob sees what was shared with him", func() bool { return slices.Equal(h.names(bob), want) })

	m, err := bob.Select(t.Context(), "Other Users/alice/Work/Plans", false)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if !m.ReadOnly() || m.Examined() {
		t.Error("who may only read has a read-only mailbox that was not examined")
	}
	if err := put(t, bob, "Other Users/alice/Work/Plans", mail); !errors.Is(err, ErrNoRight) {
		t.Error(err)
	}
	// What is hidden and what is not there is one and the same.
	for _, name := range []string{"Other Users/alice/Secret", "Other Users/alice/Nothing", "Other Users/nobody/x", "Other Users/alice", "Other Users", "Other Users/bob/INBOX", "Public", "Public/x"} {
		if _, err := bob.Select(t.Context(), name, false); !errors.Is(err, ErrNoFolder) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := bob.MyRights(t.Context(), name); !errors.Is(err, ErrNoFolder) {
			t.Errorf("%s: %v", name, err)
		}
		if err := bob.Subscribe(t.Context(), name); !errors.Is(err, ErrNoFolder) {
			t.Errorf("%s: %v", name, err)
		}
		if err := bob.Delete(t.Context(), name); !errors.Is(err, ErrNoFolder) {
			t.Errorf("%s: %v", name, err)
		}
	}
	h.write("alice", ".Work.Plans", "user=bob i\n")
	if err := put(t, bob, "Other Users/alice/Work/Plans", mail); err != nil {
		t.Error("the right to insert alone lets one drop mail: ", err)
	}
	eventually(t, "the folder is hidden again", func() bool { return slices.Equal(h.names(bob), own) })
	if _, err := m.Refresh(); !errors.Is(err, ErrNoRight) {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(h.root, "alice", "Maildir", ".Work.Plans", "dovecot-acl")); err != nil {
		t.Fatal(err)
	}
	if err := put(t, bob, "Other Users/alice/Work/Plans", mail); !errors.Is(err, ErrNoFolder) {
		t.Error(err)
	}
}

func TestACL(t *testing.T) {
	h := newHouse(t)
	alice, bob, carol := h.open("alice"), h.open("bob"), h.open("carol")
	h.create(alice, "Work")
	const work = "Other Users/alice/Work"
	set := func(u *User, box, id string, mode ACLMode, rights Rights) error {
		t.Helper()
		ident, negative, err := aclfile.ParseIMAP(id)
		if err != nil {
			t.Fatal(err)
		}
		_, err = u.SetACL(t.Context(), box, ident, negative, mode, rights)
		return err
	}
	if err := set(bob, work, "bob", ReplaceRights, AllRights); !errors.Is(err, ErrNoFolder) {
		t.Error(err)
	}
	if err := set(alice, "Work", "bob", ReplaceRights, Lookup|Read|WriteSeen); err != nil {
		t.Fatal(err)
	}
	if err := set(bob, work, "bob", ReplaceRights, AllRights); !errors.Is(err, ErrNoRight) {
		t.Error(err)
	}
	if err := set(alice, "Work", "$staff", ReplaceRights, Lookup|Administer); err != nil {
		t.Fatal(err)
	}
	if err := set(carol, work, "carol", AddRights, Read); err != nil {
		t.Fatal(err)
	}
	if got, err := carol.MyRights(t.Context(), work); err != nil || got != Read {
		if !errors.Is(err, ErrNoFolder) && got != Read { // her own line has replaced her group's
			t.Error(got, err)
		}
	}
	for _, id := range []string{"anyone", "authenticated"} {
		if err := set(alice, "Work", id, ReplaceRights, Lookup); !errors.Is(err, ErrPolicy) {
			t.Error(id, err)
		}
	}
	// Who owns the folder cannot be locked out of it, by whatever name.
	for _, id := range []string{"alice", "owner"} {
		if err := set(alice, "Work", id, ReplaceRights, 0); err != nil {
			t.Error(err)
		}
	}
	if got, err := alice.MyRights(t.Context(), "Work"); err != nil || got != Lookup|Administer {
		t.Error(got, err)
	}
	acl, err := alice.GetACL(t.Context(), "Work")
	if err != nil || acl.Owner != "alice" || len(acl.Entries) != 4 {
		t.Errorf("%+v %v", acl, err)
	}
	data, err := os.ReadFile(filepath.Join(h.root, "alice", "Maildir", ".Work", "dovecot-acl"))
	if want := "group=staff al\nowner \nuser=bob lrs\nuser=carol r\n"; err != nil || string(data) != want {
		t.Errorf("%q %v", data, err)
	}
	if err := alice.DeleteACL(t.Context(), "Work", Identifier{Kind: aclfile.Owner}, false); err != nil {
		t.Error(err)
	}
	if got, err := alice.MyRights(t.Context(), "Work"); err != nil || got != AllRights {
		t.Error(got, err)
	}
	// A bad line: nobody but the owner has rights, who is told of it and can make it good only by hand.
	h.write("alice", ".Work", "user=bob lr\nuser=carol lz\n")
	if _, err := bob.MyRights(t.Context(), work); !errors.Is(err, ErrNoFolder) {
		t.Error(err)
	}
	if acl, err := alice.GetACL(t.Context(), "Work"); err != nil || acl.Err == nil || !strings.Contains(acl.Err.Error(), "2") {
		t.Errorf("%+v %v", acl, err)
	}
	if err := set(alice, "Work", "bob", ReplaceRights, Lookup); !errors.Is(err, ErrBadACL) {
		t.Error(err)
	}
}

func TestCreateBelow(t *testing.T) {
	h := newHouse(t)
	alice, bob := h.open("alice"), h.open("bob")
	h.create(alice, "Work")
	const work = "Other Users/alice/Work"
	for name, acl := range map[string]string{"nothing": "", "lookup": "user=bob l\n", "create": "user=bob lk\n"} {
		h.write("alice", ".Work", acl)
		err := bob.Create(t.Context(), work+"/a/b", "")
		switch name {
		case "nothing":
			if !errors.Is(err, ErrNoFolder) {
				t.Error(name, err)
			}
		case "lookup":
			if !errors.Is(err, ErrNoRight) {
				t.Error(name, err)
			}
		default:
			if err != nil {
				t.Error(name, err)
			}
			if got, err := bob.MyRights(t.Context(), work+"/a/b"); err != nil || got != Lookup|CreateMailbox {
				t.Error("the parent's ACL is not the child's: ", got, err)
			}
			if err := bob.Delete(t.Context(), work+"/a/b"); !errors.Is(err, ErrNoRight) {
				t.Error(err)
			}
			if err := alice.Delete(t.Context(), "Work/a/b"); err != nil {
				t.Error(err)
			}
		}
	}
	for _, name := range []string{"Other Users/alice/Top", "Other Users/nobody/x", "Public/x"} {
		if err := bob.Create(t.Context(), name, ""); !errors.Is(err, ErrNoFolder) {
			t.Error(name, err)
		}
	}
	if err := bob.Create(t.Context(), "Other Users", ""); !errors.Is(err, ErrCannot) {
		t.Error(err)
	}
}

func TestRenameWantsRights(t *testing.T) {
	h := newHouse(t)
	alice, bob := h.open("alice"), h.open("bob")
	h.create(alice, "A", "A/child", "B")
	const other = "Other Users/alice/"
	h.write("alice", ".A", "user=bob lr\n")
	h.write("alice", ".A.child", "user=bob lx\n")
	h.write("alice", ".B", "user=bob l\n")
	if err := bob.Rename(t.Context(), other+"A", other+"B/x"); !errors.Is(err, ErrNoRight) {
		t.Error("without x: ", err)
	}
	if err := bob.Rename(t.Context(), other+"A/child", other+"B/x"); !errors.Is(err, ErrNoRight) {
		t.Error("without k on the new parent: ", err)
	}
	if err := bob.Rename(t.Context(), other+"A/child", "mine"); !errors.Is(err, ErrCannot) {
		t.Error("into another tree: ", err)
	}
	h.write("alice", ".B", "user=bob lk\n")
	if err := bob.Rename(t.Context(), other+"A/child", other+"B/x"); err != nil {
		t.Fatal(err)
	}
	if got, err := bob.MyRights(t.Context(), other+"B/x"); err != nil || got != Lookup|DeleteMailbox {
		t.Error("the ACL did not go along as it was: ", got, err)
	}
}

func TestPublicFolders(t *testing.T) {
	h := newHouse(t)
	carol, bob := h.open("carol"), h.open("bob")
	if got := h.names(carol); !slices.Equal(got, []string{"INBOX"}) {
		t.Fatal(got)
	}
	for _, d := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(h.root, "public", d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	h.write("public", "", "group=staff lrwstikxe\n")
	eventually(t, "the public tree is found", func() bool { return carol.Create(t.Context(), "Public/News", "") == nil })
	if err := put(t, carol, "Public/News", mail); err != nil {
		t.Fatal(err)
	}
	want := []string{"INBOX", "(Public)", "Public/News"}
	eventually(t, "carol sees it", func() bool { return slices.Equal(h.names(carol), want) })
	if got := h.names(bob); len(got) != 1 {
		t.Error(got)
	}
	if _, err := carol.Select(t.Context(), "Public/INBOX", false); !errors.Is(err, ErrNoFolder) {
		t.Error(err)
	}
	m, err := carol.Select(t.Context(), "Public/News", false)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	woken := make(chan struct{}, 10)
	defer m.Notify(func() { woken <- struct{}{} }, false).Cancel()
	h.people.set("carol") // leaves the staff
	select {
	case <-woken:
	case <-time.After(10 * time.Second):
		t.Error("who leaves a group is not told")
	}
	if _, err := m.Refresh(); !errors.Is(err, ErrNoRight) {
		t.Error(err)
	}
}

// A user's name may hold the separator, and his own folders hide what has their names elsewhere.
func TestNames(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.Separator = '.' })
	john, bob := h.open("john.doe@example.org"), h.open("bob")
	h.create(john, "Work")
	h.write("john.doe@example.org", ".Work", "user=bob lrswit\n")
	const work = "Other Users.john:doe@example:org.Work"
	eventually(t, "bob sees it", func() bool { return slices.Contains(h.names(bob), work) })
	if err := put(t, bob, work, mail); err != nil {
		t.Error(err)
	}
	if err := bob.Subscribe(t.Context(), work); err != nil {
		t.Error(err)
	}
	if subs, err := bob.Subscriptions(t.Context()); err != nil || !slices.Equal(subs, []string{work}) {
		t.Error(subs, err)
	}
	if err := os.MkdirAll(filepath.Join(h.root, "bob", "Maildir", ".Other Users.x", "cur"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := bob.Select(t.Context(), "Other Users.x", false); err != nil {
		t.Error("a folder of the user's own cannot be reached: ", err)
	}
}

// A subscription to a name with dots in a part lasts, also where folders have their names in plain UTF-8.
func TestDottedUserSubscription(t *testing.T) {
	for _, utf8 := range []bool{false, true} {
		t.Run(map[bool]string{false: "UTF-7", true: "UTF-8"}[utf8], func(t *testing.T) { testDottedUserSubscription(t, utf8) })
	}
}

func testDottedUserSubscription(t *testing.T, utf8 bool) {
	h := newHouse(t)
	john, bob := h.open("john.doe@example.org"), h.open("bob")
	if utf8 {
		if err := os.MkdirAll(filepath.Join(h.root, "bob", "Maildir", ".Entwürfe", "cur"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	h.create(john, "Work")
	h.write("john.doe@example.org", ".Work", "user=bob lr\n")
	const work = "Other Users/john.doe@example.org/Work"
	eventually(t, "bob sees it", func() bool { return slices.Contains(h.names(bob), work) })
	if err := bob.Subscribe(t.Context(), work); err != nil {
		t.Error(err)
	}
	if subs, err := bob.Subscriptions(t.Context()); err != nil || !slices.Equal(subs, []string{work}) {
		t.Error(subs, err)
	}
}

// Between trees of different owners octets are copied: one owner's file must not be another's.
func TestCopyBetweenOwners(t *testing.T) {
	h := newHouse(t)
	alice, bob := h.open("alice"), h.open("bob")
	h.create(alice, "Work")
	h.write("alice", ".Work", "user=bob lrit\n")
	if err := put(t, bob, "INBOX", mail); err != nil {
		t.Fatal(err)
	}
	m, err := bob.Select(t.Context(), "INBOX", false)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s, err := m.Sync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Copy(t.Context(), []uint32{s.UID(0)}, "Other Users/alice/Work"); err != nil {
		t.Fatal(err)
	}
	w, err := alice.Select(t.Context(), "Work", true)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ws, err := w.Sync(t.Context())
	if err != nil || ws.Len() != 1 {
		t.Fatal(ws.Len(), err)
	}
	if f := ws.Flags(0); f != 0 || len(ws.Keywords(0)) != 0 {
		t.Errorf("flags %v %v went along, which bob may not set there", f, ws.Keywords(0))
	}
	ino := func(user, dir string) os.FileInfo {
		list, err := filepath.Glob(filepath.Join(h.root, user, "Maildir", dir, "[cn][ue][rw]", "*"))
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		fi, err := os.Stat(list[0])
		if err != nil {
			t.Fatal(err)
		}
		return fi
	}
	if os.SameFile(ino("bob", ""), ino("alice", ".Work")) {
		t.Error("the two owners share one file")
	}
}
