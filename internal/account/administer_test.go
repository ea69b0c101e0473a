package account

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"postroom/aclfile"
)

// Who administers the server makes the public tree, and needs no right in it; INBOX is its top.
func TestAdministratePublic(t *testing.T) {
	h := newHouse(t)
	if _, err := h.svc.AdministratePublic(t.Context(), false); !errors.Is(err, ErrNoFolder) {
		t.Fatal(err)
	}
	u, err := h.svc.AdministratePublic(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	h.create(u, "News", "Public/Plans")
	staff := Identifier{Kind: aclfile.Group, Name: "staff"}
	for _, name := range []string{"INBOX", "Public/News"} {
		if _, err := u.SetACL(t.Context(), name, staff, false, ReplaceRights, Lookup|CreateMailbox); err != nil {
			t.Error(name, err)
		}
	}
	acls, err := u.FolderACLs()
	if err != nil || len(acls) != 2 || acls[0].Folder != "INBOX" || acls[1].Folder != "News" || acls[0].File != filepath.Join(h.root, "public", "dovecot-acl") {
		t.Errorf("%+v %v", acls, err)
	}
	// With the rights at the top a member of the group makes folders there, another user does not.
	if err := h.open("carol").Create(t.Context(), "Public/Carol", ""); err != nil {
		t.Error(err)
	}
	if err := h.open("bob").Create(t.Context(), "Public/Bob", ""); !errors.Is(err, ErrNoFolder) {
		t.Error(err)
	}
	without := newHouse(t, func(c *Config) { c.Public = "" })
	if _, err := without.svc.AdministratePublic(t.Context(), true); !errors.Is(err, ErrCannot) {
		t.Error(err)
	}
}

// The file behind an ACL is told with every bad line of it, and what others share is told with the user's own rights.
func TestFolderACL(t *testing.T) {
	h := newHouse(t)
	h.create(h.open("alice"), "Work", "Work/Bad", "Private")
	h.open("bob")
	h.write("alice", ".Work", "user=bob lr\n")
	h.write("alice", ".Work.Bad", "user=bob lr\nbob l\n\nuser=carol z\n")
	u, err := h.svc.Administrate(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	acls, err := u.FolderACLs()
	if err != nil || len(acls) != 2 {
		t.Fatalf("%+v %v", acls, err)
	}
	if a := acls[0]; a.Folder != "Work" || len(a.Entries) != 1 || len(a.Bad) != 0 || !a.Exists || a.Courier {
		t.Errorf("%+v", a)
	}
	if a := acls[1]; len(a.Entries) != 0 || len(a.Bad) != 2 || a.Bad[0].Line != 2 || a.Bad[1].Line != 4 {
		t.Errorf("%+v", a)
	}
	file := filepath.Join(h.root, "alice", "Maildir", ".Private", "dovecot-acl")
	if a, err := u.FolderACL("Private"); err != nil || a.Exists || a.File != file {
		t.Errorf("%+v %v", a, err)
	}
	courier := filepath.Join(filepath.Dir(file), "courierimapacl")
	if err := os.WriteFile(courier, []byte("user=bob lr\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if a, err := u.FolderACL("Private"); err != nil || !a.Exists || !a.Courier || a.File != courier {
		t.Errorf("%+v %v", a, err)
	}
	bob, err := h.svc.Administrate(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	defer bob.Close()
	eventually(t, "bob's share", func() bool {
		list, err := bob.Shared(t.Context())
		return err == nil && len(list) == 2 && list[1].Name == "Other Users/alice/Work" && list[1].Rights == Lookup|Read
	})
}
