package storm

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// kind is one client: what it does again and again until the storm ends. It belongs to one goroutine.
type kind struct {
	st     *storm
	name   string
	folder string
	rng    *rand.Rand
	ctx    context.Context
	act    func(*kind, *session) error // nil: it has no lasting session
	life   func(*kind, *session) error // one connection of a client that comes and goes
	pause  time.Duration
	states []*resync
	last   *session // kept to be judged in the end
}

// keywords that clients set; they fit into any folder.
var keywords = []string{"$Storm0", "$Storm1", "$Storm2", "$Storm3"}

var systemFlags = []string{`\Seen`, `\Flagged`, `\Answered`, `\Draft`}

// rest waits about d; false when the storm is over.
func (k *kind) rest(d time.Duration) bool {
	return wait(k.ctx, time.Duration(k.rng.Int64N(int64(2*d)+1)))
}

func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return ctx.Err() == nil
	}
}

// newSession is a session of this client, with any of the servers.
func (k *kind) newSession() *session {
	return k.sessionAt(k.st.servers[k.rng.IntN(len(k.st.servers))])
}

func (k *kind) sessionAt(srv *server) *session {
	return &session{
		o: k.st.o, who: k.name + "@" + srv.name, server: srv, rng: k.rng,
		condstore: strings.Contains(k.name, "condstore"), qresync: strings.Contains(k.name, "qresync"),
	}
}

// run is the client until the storm ends; its last session stays open.
func (k *kind) run() {
	for k.ctx.Err() == nil {
		s := k.newSession()
		var err error
		if k.life != nil {
			err = k.life(k, s)
		} else {
			err = k.session(s)
		}
		if err != nil {
			k.failed(s, err)
		}
		if !k.rest(20 * time.Millisecond) {
			return
		}
	}
}

// failed judges the end of a session: only in a folder that others replace may it end.
func (k *kind) failed(s *session, err error) {
	s.Close()
	if k.last == s {
		k.last = nil
	}
	if lasting(s.folder) || s.folder == "" && lasting(k.folder) {
		s.fault("session", "ended: %v", err)
	}
	k.st.o.count("sessions ended by the server", 1)
}

func (s *session) Close() {
	if s.imapConn != nil {
		s.imapConn.Close()
	}
}

// session is one lasting session.
func (k *kind) session(s *session) error {
	if err := s.connect(); err != nil {
		return err
	}
	k.last = s
	more := ""
	if s.condstore {
		more = " (CONDSTORE)"
	}
	if err := s.selectFolder(k.folder, more); err != nil {
		return err
	}
	end := time.Now().Add(time.Duration(3+k.rng.IntN(20)) * time.Second)
	for k.rest(k.pause) {
		if err := k.act(k, s); err != nil {
			return err
		}
		if err := s.learn(); err != nil {
			return err
		}
		if time.Now().After(end) && k.ctx.Err() == nil {
			k.last = nil
			s.logout()
			return nil
		}
	}
	return nil
}

func (k *kind) idle(s *session) error { return s.idle(k.ctx, time.Second) }

// fetch reads messages by number and by UID.
func (k *kind) fetch(s *session) error {
	if n := len(s.view); n > 0 && k.rng.IntN(2) == 0 {
		from := 1 + k.rng.IntN(n)
		to := min(n, from+k.rng.IntN(20))
		if _, _, err := s.do(fmt.Sprintf("FETCH %d:%d (UID FLAGS BODY.PEEK[])", from, to)); err != nil {
			return err
		}
	} else if uids, _ := s.some(10); len(uids) > 0 {
		slices.Sort(uids)
		if _, _, err := s.do("UID FETCH " + setOf(uids) + " (FLAGS BODY.PEEK[])"); err != nil {
			return err
		}
	}
	if k.rng.IntN(3) == 0 {
		return s.noop()
	}
	return nil
}

// store changes flags and keywords in each of the ways there are.
func (k *kind) store(s *session) error {
	uids, ids := s.some(1 + k.rng.IntN(12))
	if len(uids) == 0 {
		return s.noop()
	}
	slices.Sort(uids)
	list := []string{systemFlags[k.rng.IntN(len(systemFlags))], keywords[k.rng.IntN(len(keywords))]}
	op := []string{"+FLAGS", "-FLAGS", "FLAGS", "+FLAGS.SILENT", "-FLAGS.SILENT"}[k.rng.IntN(5)]
	if strings.Contains(op, "SILENT") {
		for i := range s.view {
			if slices.Contains(uids, s.view[i].uid) {
				s.view[i].flags = unknownFlags
			}
		}
	}
	if op == "FLAGS" {
		defer k.st.o.replaces(ids)()
	}
	since := ""
	if (s.condstore || s.qresync) && k.rng.IntN(2) == 0 {
		since = fmt.Sprintf(" (UNCHANGEDSINCE %d)", max(1, s.highest))
	}
	status, text, err := s.do(fmt.Sprintf("UID STORE %s%s %s (%s)", setOf(uids), since, op, strings.Join(list, " ")))
	if err == nil && status == "NO" && !strings.Contains(text, "EXPUNGEISSUED") && !strings.Contains(text, "[MODIFIED") {
		s.fault("session", "STORE: NO %s", text)
	}
	return err
}

// copy copies, or moves, messages to another folder that lasts.
func (k *kind) copy(s *session) error { return k.transfer(s, "COPY") }

func (k *kind) move(s *session) error { return k.transfer(s, "MOVE") }

func (k *kind) transfer(s *session, verb string) error {
	to := lastingFolders[k.rng.IntN(len(lastingFolders))]
	if verb == "COPY" && k.st.full(to) || to == s.folder && verb == "MOVE" {
		return s.noop()
	}
	uids, ids := s.someThat(1+k.rng.IntN(4), k.st.o.setOut)
	defer k.st.o.cameIn(ids)
	if len(uids) == 0 {
		return s.noop()
	}
	for _, id := range ids {
		k.st.o.arrives(to, id, 1)
		if verb == "MOVE" {
			k.st.o.leaves(s.folder, id, 1)
		}
	}
	byUID := map[uint32]string{}
	for i, uid := range uids {
		byUID[uid] = ids[i]
	}
	slices.Sort(uids)
	seen := ""
	tag, err := s.send(fmt.Sprintf("UID %s %s %s", verb, setOf(uids), to))
	if err != nil {
		return err
	}
	status, text, err := s.untilWith(tag, "UID "+verb, func(t string) {
		if v, ok := code(t, "COPYUID"); ok {
			seen = v
		}
	})
	if err != nil {
		return err
	}
	if v, ok := code(text, "COPYUID"); ok {
		seen = v
	}
	if status == "NO" && !strings.Contains(text, "EXPUNGEISSUED") && !strings.Contains(text, "no longer") {
		s.fault("session", "%s: NO %s", verb, text)
	}
	if f := strings.Fields(seen); len(f) == 3 {
		from, into := numbersOf(f[1]), numbersOf(f[2])
		if len(from) != len(into) {
			s.fault("session", "COPYUID %s", seen)
			return nil
		}
		for i := range from {
			id := byUID[from[i]]
			k.st.o.selected(s.who, to, number(f[0]))
			k.st.o.names(s.who, number(f[0]), into[i], id)
			k.st.o.arrived(id)
			k.st.o.count("copied and moved by sessions", 1)
		}
	}
	return nil
}

// untilWith is until, and shows the texts of untagged OKs.
func (s *session) untilWith(tag, cmd string, ok func(text string)) (string, string, error) {
	s.onOK = ok
	defer func() { s.onOK = nil }()
	return s.until(tag, cmd)
}

// expungeSome deletes messages, by EXPUNGE or UID EXPUNGE.
func (k *kind) expungeSome(s *session) error {
	if k.st.empty(s.folder) {
		return s.noop()
	}
	uids, ids := s.someThat(1+k.rng.IntN(3), k.st.o.doom)
	if len(uids) == 0 {
		return s.noop()
	}
	for _, id := range ids {
		k.st.o.leaves(s.folder, id, 1)
	}
	slices.Sort(uids)
	if _, _, err := s.do("UID STORE " + setOf(uids) + ` +FLAGS (\Deleted)`); err != nil {
		return err
	}
	cmd := "EXPUNGE"
	if k.rng.IntN(2) == 0 {
		cmd = "UID EXPUNGE " + setOf(uids)
	}
	k.st.o.count("expunges by sessions", len(uids))
	status, text, err := s.do(cmd)
	if err != nil {
		return err
	}
	if status != "OK" {
		s.fault("session", "%s: %s %s", cmd, status, text)
		return nil
	}
	return nil
}

// append puts messages there, and is told their UIDs.
func (k *kind) append(s *session) error {
	if k.st.full(s.folder) {
		return s.noop()
	}
	id := k.st.newID("append")
	text := strings.ReplaceAll(string(newMail(id, k.rng)), "\n", "\r\n")
	k.st.o.arrives(s.folder, id, 1)
	tag, err := s.send(fmt.Sprintf("APPEND %s (%s %s) {%d+}\r\n%s", s.folder, systemFlags[k.rng.IntN(4)], keywords[k.rng.IntN(4)], len(text), text))
	if err != nil {
		return err
	}
	status, answer, err := s.until(tag, "APPEND")
	if err != nil {
		return err
	}
	if status != "OK" {
		if lasting(s.folder) {
			s.fault("session", "APPEND: %s %s", status, answer)
		}
		return nil
	}
	k.st.o.arrived(id)
	k.st.o.count("appended", 1)
	v, _ := code(answer, "APPENDUID")
	if f := strings.Fields(v); len(f) == 2 {
		k.st.o.names(s.who, number(f[0]), number(f[1]), id)
	} else {
		s.fault("session", "APPEND: %s", answer)
	}
	return nil
}

// search looks for messages whose place it knows.
func (k *kind) search(s *session) error {
	uids, ids := s.some(1)
	if len(uids) == 0 || k.rng.IntN(4) == 0 {
		if _, _, err := s.do("SEARCH ALL"); err != nil {
			return err
		}
		if len(s.found) > len(s.view) {
			s.fault("numbering", "SEARCH ALL gave %d of %d", len(s.found), len(s.view))
		}
		return s.noop()
	}
	if status, text, err := s.do("UID SEARCH HEADER X-Storm-Id " + ids[0]); err != nil || status != "OK" {
		if err == nil {
			s.fault("session", "SEARCH: %s %s", status, text)
		}
		return err
	}
	for _, f := range s.found {
		text, _ := f.(string)
		if id := k.st.o.idOf(s.validity, number(text)); id != "" && id != ids[0] {
			s.fault("identity", "SEARCH for %s gave UID %s, which is %s", ids[0], text, id)
		}
	}
	return s.noop()
}

// makeFolders makes, fills, renames and deletes folders, and looks at all there are.
func (k *kind) makeFolders(s *session) error {
	defer s.Close()
	if err := s.connect(); err != nil {
		return err
	}
	name := k.st.newFolder("imap")
	for _, cmd := range []string{"CREATE " + name, "SUBSCRIBE " + name, "LIST \"\" *", "RENAME " + name + " " + name + "r", "SELECT " + name + "r", "DELETE " + name + "r", "UNSUBSCRIBE " + name} {
		if k.ctx.Err() != nil {
			cmd = "NOOP"
		}
		if status, text, err := s.do(cmd); err != nil {
			return err
		} else if strings.HasPrefix(s.server.name, "dovecot") && strings.HasPrefix(text, "[ALREADYEXISTS]") {
			k.st.o.count("CREATE of new names refused by Dovecot", 1) // also when it is alone
		} else if status != "OK" {
			s.fault("session", "%s: %s %s", cmd, status, text)
		}
		if strings.HasPrefix(cmd, "SELECT") && s.folder == "" {
			s.folder = name + "r"
			if err := k.append(s); err != nil {
				return err
			}
			if err := s.ok("UNSELECT"); err != nil {
				return err
			}
			s.folder = ""
		}
	}
	for _, f := range lastingFolders {
		if err := s.ok("STATUS %s (MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)", f); err != nil {
			return err
		}
	}
	k.st.o.count("folders made by sessions", 1)
	s.logout()
	return nil
}

// visit has a session in a folder that others make, rename and remove.
func (k *kind) visit(s *session) error {
	defer s.Close()
	names := k.st.fleeting()
	if len(names) == 0 {
		return nil
	}
	if err := s.connect(); err != nil {
		return err
	}
	s.folder = names[k.rng.IntN(len(names))]
	if err := s.selectFolder(s.folder, ""); err != nil {
		return nil // it has gone
	}
	for range 5 {
		if !k.rest(100 * time.Millisecond) {
			break
		}
		if err := s.noop(); err != nil {
			return nil
		}
	}
	k.st.o.count("visits to folders that come and go", 1)
	s.logout()
	return nil
}

var nextID atomic.Int64

// newID is the id of a new message; none is part of another, for SEARCH.
func (st *storm) newID(of string) string { return fmt.Sprintf("%s-%dx", of, nextID.Add(1)) }
