package account

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func entries(t *testing.T, u *User, name string) []ACLEntry {
	t.Helper()
	f, err := u.FolderACL(name)
	if err != nil {
		t.Fatal(err)
	}
	return f.Entries
}

func TestReplaceACL(t *testing.T) {
	h := newHouse(t)
	alice, ctx := h.open("alice"), t.Context()
	h.create(alice, "a", "b", "c")
	h.write("alice", ".a", "user=bob lrs\n-user=carol w\ngroup=staff lr\n")
	h.write("alice", ".b", "# kept\nuser=bob lr\nuser=zoe lr\n")
	h.write("alice", ".c", "anyone lr\n")
	a, b := entries(t, alice, "a"), entries(t, alice, "b")
	if got := len(CompareACLs(b, a)); got != 4 {
		t.Errorf("%d changes: %+v", got, CompareACLs(b, a))
	}
	if err := alice.ReplaceACL(ctx, "b", a, a); !errors.Is(err, ErrACLChanged) {
		t.Errorf("from what it is not: %v", err)
	}
	if err := alice.ReplaceACL(ctx, "b", b, a); err != nil {
		t.Fatal(err)
	}
	if got := entries(t, alice, "b"); len(CompareACLs(got, a)) != 0 {
		t.Errorf("it is %+v", got)
	}
	data, err := os.ReadFile(filepath.Join(h.root, "alice", "Maildir", ".b", "dovecot-acl"))
	if err != nil || !strings.Contains(string(data), "# kept\n") || strings.Contains(string(data), "zoe") {
		t.Errorf("the file: %v\n%s", err, data)
	}
	if err := alice.ReplaceACL(ctx, "b", a, entries(t, alice, "c")); !errors.Is(err, ErrPolicy) {
		t.Errorf("rights for everybody: %v", err)
	}
	if err := alice.ReplaceACL(ctx, "c", entries(t, alice, "c"), append(a, entries(t, alice, "c")...)); err != nil {
		t.Errorf("rights that everybody has already: %v", err)
	}
	bob := h.open("bob")
	if err := bob.ReplaceACL(ctx, "Other Users/alice/a", a, nil); !errors.Is(err, ErrNoRight) {
		t.Errorf("without the right to administer: %v", err)
	}
	if err := bob.ReplaceACL(ctx, "Other Users/alice/none", a, nil); !errors.Is(err, ErrNoFolder) {
		t.Errorf("a mailbox that is not there: %v", err)
	}
}

func TestPeople(t *testing.T) {
	h := newHouse(t)
	h.people.set("bobby", "team", "staff")
	alice := h.open("alice")
	for _, c := range []struct {
		text          string
		limit         int
		users, groups []string
	}{
		{"", 9, []string{"bob", "bobby", "carol", "john.doe@example.org"}, []string{"staff", "team"}},
		{"O", 9, []string{"bob", "bobby", "carol", "john.doe@example.org"}, []string{}},
		{"exa", 9, []string{"john.doe@example.org"}, []string{}},
		{"t", 1, []string{}, []string{"team"}},
	} {
		users, groups := alice.People(c.text, c.limit)
		if len(users)+len(c.users) > 0 && !reflect.DeepEqual(users, c.users) || len(groups)+len(c.groups) > 0 && !reflect.DeepEqual(groups, c.groups) {
			t.Errorf("%q: %q and %q", c.text, users, groups)
		}
	}
	if !alice.Known("bob") || alice.Known("staff") || !alice.KnownGroup("staff") || alice.KnownGroup("bob") || alice.KnownGroup("") {
		t.Error("who is known and who is not")
	}
}
