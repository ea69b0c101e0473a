package account

import (
	"errors"
	"fmt"
	"sync"

	"postroom/aclfile"
	"postroom/maildir"
)

// Rights are what a user may do with a mailbox (RFC 4314 section 2.1).
type Rights = aclfile.Rights

// The rights.
const (
	Lookup        = aclfile.Lookup
	Read          = aclfile.Read
	WriteSeen     = aclfile.WriteSeen
	WriteFlags    = aclfile.Write
	Insert        = aclfile.Insert
	Post          = aclfile.Post
	CreateMailbox = aclfile.Create
	DeleteMailbox = aclfile.Delete
	DeleteMessage = aclfile.WriteDeleted
	Expunge       = aclfile.Expunge
	Administer    = aclfile.Administer
	AllRights     = aclfile.All
)

// Presets are sets of rights that have a name, for people to choose from.
var Presets = map[string]Rights{
	"read":  Lookup | Read | WriteSeen,
	"write": Lookup | Read | WriteSeen | WriteFlags | Insert | Post | DeleteMessage | Expunge,
	"full":  aclfile.All,
}

// ErrNoRight: the mailbox is there, and the user may know it, but may not do that. Who may not even look it up gets
// ErrNoFolder, as for a name that is not there.
var ErrNoRight = errors.New("no right to do that")

// refused holds what a user has against what a command wants. It is the one
// place where a missing right becomes an answer.
func (p *place) refused(have, want Rights) error {
	switch {
	case have.Has(want):
		return nil
	case have.Has(Lookup):
		return fmt.Errorf("%q: %w: it wants %s", p.full, ErrNoRight, want&^have)
	}
	return p.missing()
}

// need tells whether the user has all of want at p, as the ACL file stands now.
func (u *User) need(p *place, want Rights) (Rights, error) {
	have, err := u.rightsAt(p)
	if err != nil {
		return 0, err
	}
	return have, p.refused(have, want)
}

// rightsAt gives the rights at an existing folder.
func (u *User) rightsAt(p *place) (Rights, error) {
	acl, err := u.service.acls.read(p, p.name, nil)
	if err != nil {
		return 0, err
	}
	return u.evaluate(p, acl), nil
}

// evaluate gives the user's rights by an ACL.
func (u *User) evaluate(p *place, acl *aclfile.File) Rights {
	if u.administrator {
		return AllRights
	}
	return acl.Effective(u.service.subjectOf(u.name, p), 0)
}

// subjectOf is a user as the ACLs of a place see him.
func (s *Service) subjectOf(user string, p *place) aclfile.Subject {
	return aclfile.Subject{User: user, Groups: s.groups(user), Owner: p.space != public && p.owner == user}
}

// aclCache keeps ACL files as they were parsed. What it gives is as new as the
// file: each reading looks at the file's stamp. It is safe for concurrent use.
type aclCache struct {
	service *Service
	mu      sync.Mutex
	files   map[aclKey]cachedACL // guarded by mu
}

type aclKey struct{ root, name string }

type cachedACL struct {
	version maildir.ACLVersion
	file    *aclfile.File
}

// maxCachedACLs bounds the cache; beyond it all is read again when asked for.
const maxCachedACLs = 1 << 14

// read gives the ACL of a folder of p's tree, by the open folder if there is one: never nil, one without
// entries where there is no file, a broken one where it cannot be understood.
func (c *aclCache) read(p *place, name string, f *maildir.Folder) (*aclfile.File, error) {
	key := aclKey{p.tree.Path(), name}
	c.mu.Lock()
	have := c.files[key]
	c.mu.Unlock()
	var (
		file maildir.ACLFile
		same bool
		err  error
	)
	if f != nil {
		file, same, err = f.ReadACL(have.version)
	} else {
		file, same, err = p.tree.ReadACL(name, have.version)
	}
	switch {
	case isMissing(err):
		return nil, err
	case have.file != nil && (same || err != nil) && file.Version == have.version:
		return have.file, nil // or as unreadable as before
	}
	got := cachedACL{version: file.Version, file: have.file}
	if !same || have.file == nil {
		got.file = c.service.parseACL(p, name, file, err)
	}
	c.mu.Lock()
	if len(c.files) >= maxCachedACLs {
		clear(c.files)
	}
	c.files[key] = got
	c.mu.Unlock()
	return got.file, nil
}

// forget makes all files be read again: what a Courier file comes to depends on who is in which group.
func (c *aclCache) forget() {
	c.mu.Lock()
	clear(c.files)
	c.mu.Unlock()
}

func isMissing(err error) bool { return errors.Is(err, ErrNoFolder) || errors.Is(err, ErrGone) }
