package crash

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Alice lets bob into one of her mailboxes. Of an accident the ACL file comes out as it was or as it was to be, whole; what bob
// has seen there is his alone, lasts through a crash of the server, and never becomes more by itself. A
// power cut may make it less: what is marked is written at once and synced later.

const (
	othersPrefix = "Other Users"
	shared       = "Old" // the mailbox that bob is let into
)

// theirs is the name that a mailbox of alice's has for bob.
func theirs(name string) string { return othersPrefix + "/" + user + "/" + name }

// acl is what the entries of an ACL say, by identifier, without that of the owner.
type acl map[string]string

func (a acl) with(who, rights string) acl {
	out := maps.Clone(a)
	if out[who] = rights; rights == "" {
		delete(out, who)
	}
	return out
}

// invite gives the ledger a guest, who knows nothing yet.
func (l *ledger) invite() {
	l.guest = newLedger(guest)
	l.guest.letters = l.letters
}

// each calls f with the ledger and with that of the guest.
func (l *ledger) each(f func(*ledger)) {
	f(l)
	if l.guest != nil {
		f(l.guest)
	}
}

// asGuest is a session of the guest's with the same server.
func (s *session) asGuest() *session {
	g := &session{ledger: s.guest, mu: s.mu, imap: s.imap, pop3: s.pop3, again: s.again}
	g.wire = s.wire
	return g
}

// toGuest calls f with what the guest knows of a mailbox, if he has ever had a right to it.
func (l *ledger) toGuest(name string, f func(g *box)) {
	if l.guest != nil && l.guest.boxes[theirs(name)] != nil {
		f(l.guest.boxes[theirs(name)])
	}
}

// unseen is flags as the guest sees them of a message that he has not seen.
func unseen(flags set) set {
	out := flags.clone()
	delete(out, `\seen`)
	return out
}

// setACL is SETACL, or DELETEACL if there are no rights.
func (s *session) setACL(name, who, rights string) error {
	b := s.boxes[name]
	if b == nil {
		return nil
	}
	var after []acl
	for _, a := range b.acls {
		after = append(after, a.with(who, rights))
	}
	b.acls = append(after, b.acls...)
	s.letIn(name)
	command := fmt.Sprintf("SETACL %s %s %s", name, who, rights)
	if rights == "" {
		command = fmt.Sprintf("DELETEACL %s %s", name, who)
	}
	_, ok, err := s.do(command)
	if ok {
		b.acls = after
		s.letIn(name)
	}
	return err
}

// letIn notes what the ACL of a mailbox, as far as it is known, means for the guest.
func (l *ledger) letIn(name string) {
	b := l.boxes[name]
	some, all := false, true
	for _, a := range b.acls {
		in := a[guest] != ""
		some, all = some || in, all && in
	}
	g := l.guest.boxes[theirs(name)]
	if g == nil && some {
		g = newBox(false)
		g.foreign = true
		for _, e := range b.msgs {
			g.maybe(e.id, unseen(e.may))
			g.extra[e.id].sure = e.sure
		}
		for id, x := range b.extra {
			for range x.most {
				g.maybe(id, unseen(x.may))
			}
			g.extra[id].sure = x.sure
		}
		l.guest.boxes[theirs(name)] = g
	}
	if g != nil {
		g.sure, g.away = all, !some
	}
}

// checkACL compares an ACL with what it may be, which it then is.
func (l *ledger) checkACL(c *client, name string) []string {
	a, err := c.ok("GETACL " + quoted(name))
	if err != nil {
		return []string{err.Error()}
	}
	have := acl{}
	for _, line := range a.lines {
		if line[0] == "NO" {
			return []string{name + ": " + flat(line)}
		}
		for i := 2; line[0] == "ACL" && i+1 < len(line); i += 2 {
			if who := flat(line[i]); who != l.user {
				have[who] = flat(line[i+1])
			}
		}
	}
	b := l.boxes[name]
	for _, may := range b.acls {
		if maps.Equal(have, may) {
			b.acls = []acl{have}
			l.letIn(name)
			return nil
		}
	}
	return []string{fmt.Sprintf("%s: the ACL is %v, not one of %v", name, have, b.acls)}
}

// forgetful is what the guest knows after a power cut: what he marked as seen in his host's mailboxes may not be.
func (l *ledger) forgetful() *ledger {
	if l.guest == nil {
		return l
	}
	for name, b := range l.guest.boxes {
		if strings.HasPrefix(name, othersPrefix) {
			for _, e := range b.msgs {
				delete(e.must, `\seen`)
			}
		}
	}
	return l
}

const aclList = "dovecot-acl-list"

// staleACLList finds a list of the folders with an ACL that is older than the first of them: Dovecot would believe it.
func (s *site) staleACLList() []string {
	_, lerr := os.Stat(filepath.Join(s.tree, aclList))
	_, aerr := os.Stat(filepath.Join(s.tree, "."+shared, "dovecot-acl"))
	if lerr == nil && aerr == nil {
		return []string{aclList + " lacks an ACL"}
	}
	return nil
}

// idle has IDLE running while during puts a message into the mailbox, and waits to be told.
func (s *session) idle(during func() error) error {
	if err := s.connect(); err != nil {
		return err
	}
	if s.selected == "" {
		return during() // SELECT was refused
	}
	var a answer
	var err error
	if s.wait(func() { err = s.c.beginIdle() }); err != nil {
		return err
	}
	if err := during(); err != nil {
		return err
	}
	patience := clientPatience
	if s.waiting {
		patience = time.Second // while there is no UID to be had it need not be told
	}
	if s.wait(func() { a, err = s.c.endIdle("EXISTS", patience) }); err == nil && a.status != "OK" {
		s.refused = append(s.refused, "IDLE: "+a.text)
	}
	return err
}

// beginIdle sends IDLE and waits until the server has begun.
func (c *client) beginIdle() error {
	c.tag++
	c.conn.SetDeadline(time.Now().Add(clientPatience))
	c.say("a%d IDLE\n", c.tag)
	fmt.Fprintf(c.conn, "a%d IDLE\r\n", c.tag)
	for {
		r, err := c.response()
		if err != nil || r[0] == "+" {
			return err
		}
		c.say("%.300s\n", flat(r))
	}
}

// endIdle waits for a response about the mailbox, such as EXISTS, and ends IDLE; after a shorter patience than
// the client's it ends it without having been told.
func (c *client) endIdle(until string, patience time.Duration) (a answer, err error) {
	done := sync.OnceFunc(func() { fmt.Fprint(c.conn, "DONE\r\n") })
	if patience < clientPatience {
		defer time.AfterFunc(patience, done).Stop()
	}
	for {
		r, err := c.response()
		if err != nil {
			return a, fmt.Errorf("in IDLE: %w", err)
		}
		c.say("%.300s\n", flat(r))
		if r[0] != "*" {
			a.status, a.text = flat(r[1]), flat(r[2:])
			return a, nil
		}
		if len(r) > 2 && r[2] == until {
			done()
		}
	}
}

// inCompany is what alice and bob do with a mailbox of hers.
func (s *session) inCompany(root string, restart func() error) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.asGuest()
	defer func() {
		g.hangUp()
		s.refused, s.strange = append(s.refused, g.refused...), append(s.strange, g.strange...)
	}()
	box := theirs(shared)
	err = inTurn(
		func() error { return s.look("INBOX") },
		func() error {
			return s.idle(func() error { return s.place(root, "INBOX", "new/1700000021.M1P1.other", "") })
		},
		func() error { return s.look("INBOX") },
		func() error { return s.setACL(shared, guest, "lrs") },
		func() error { return s.setACL(shared, "$staff", "lri") },
		func() error { return g.look(box) },
		func() error { return g.store(g.uids("o5"), "+", `\Seen`) },
		func() error { return s.append(shared, part{"s1", `\Seen`, someDate, 5}, part{"s2", "", "", 5}) },
		func() error { return s.place(root, shared, "new/1700000022.M1P1.other", "") },
		func() error { return g.look(box) },
		func() error { return g.store(g.uids("s1", "o6"), "+", `\Seen`) },
		func() error { return g.look(box) },
		func() error { return g.store(g.uids("o5"), "-", `\Seen`) },
		func() error { return g.store(g.uids("s2"), "+", `\Seen`) },
		func() error { return g.copy("COPY", g.uids("s1"), "INBOX") },
		func() error { return s.setACL(shared, guest, "lrsw") },
		func() error { return s.look(shared) },
	)
	if err != nil {
		return err
	}
	s.hangUp()
	g.hangUp()
	if s.wait(func() { err = restart() }); err != nil {
		return err
	}
	return inTurn(
		func() error { return g.look(box) },
		func() error { return s.setACL(shared, "$staff", "") },
		func() error { return g.store(g.uids("s2"), "-", `\Seen`) },
		func() error { return s.setACL(shared, guest, "") },
		func() error { return s.setACL(shared, guest, "lrs") },
		func() error { return g.look(box) },
		func() error { return g.store(g.all(), "+", `\Seen`) },
		func() error { return g.look(box) },
	)
}

// seedInCompany is seed, with a list as Dovecot leaves it in a tree that has no ACLs.
func (s *session) seedInCompany(root string) error {
	s.invite()
	return errors.Join(s.seed(root), os.WriteFile(filepath.Join(root, aclList), nil, 0o600))
}

// quoted is a mailbox name as commands have it.
func quoted(name string) string {
	if strings.Contains(name, " ") {
		return fmt.Sprintf("%q", name)
	}
	return name
}
