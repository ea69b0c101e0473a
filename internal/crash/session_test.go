package crash

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// session works through a script as one client and keeps the ledger. A method
// gives an error when it cannot go on, as when the server was killed; a refusal is noted and is no error.
type session struct {
	*ledger
	imap, pop3 func() string // addresses of the server that runs now
	c          *client       // nil: the next command connects
	selected   string

	// mu is held while the ledger is written, and not while the server is waited for: then others may copy it.
	// A guest's session has that of his host's, since one ledger is in the other.
	mu *sync.Mutex

	again    bool     // what is refused is tried once more
	refused  []string // tagged NOs and BADs
	strange  []string // what the server told and should not have
	letterNo int

	wire *os.File // unless nil: what is said

	placed func(path string, fi fs.FileInfo, data []byte) // unless nil: called for each file that is put into the tree past the server
}

func newSession(l *ledger) *session { return &session{ledger: l, mu: new(sync.Mutex)} }

func (s *session) connect() error {
	if s.c != nil {
		return nil
	}
	var c *client
	var err error
	s.wait(func() { c, err = login(s.imap(), s.user) })
	if err != nil {
		return err
	}
	s.c, s.selected = c, ""
	if s.wire != nil {
		c.wire = s.wire
		c.say("-- connected\n")
	}
	return nil
}

// wait calls f, which waits for the server.
func (s *session) wait(f func()) {
	s.mu.Unlock()
	defer s.mu.Lock()
	f()
}

// copyLedger is the ledger as it is now; for other goroutines than the script's.
func (s *session) copyLedger() *ledger {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ledger.clone()
}

func (s *session) hangUp() {
	if s.c != nil {
		s.c.close()
		s.c = nil
	}
}

// do sends a command and tells whether it was answered OK.
func (s *session) do(command string) (a answer, ok bool, err error) {
	if err := s.connect(); err != nil {
		return a, false, s.noted(err)
	}
	s.wait(func() { a, err = s.c.do(command) })
	if err == nil && a.status == "NO" && s.again {
		s.wait(func() { a, err = s.c.do(command) })
	}
	if err == nil && a.status != "OK" {
		s.refused = append(s.refused, fmt.Sprintf("%.50q: %s %s", command, a.status, a.text))
	}
	return a, err == nil && a.status == "OK", err
}

// sees notes that the server named a message by a UID, whatever came after.
func (s *session) sees(b *box, validity, uid uint32, id string) {
	k := uidKey{b.foreign, validity, uid}
	if old, ok := s.named[k]; ok && old != id {
		s.strange = append(s.strange, fmt.Sprintf("UID %d of UIDVALIDITY %d names %s, it was %s", uid, validity, id, old))
	}
	s.named[k] = id
}

// look selects a mailbox, reads all of it and compares.
func (s *session) look(name string) error {
	if err := s.connect(); err != nil {
		return s.noted(err)
	}
	s.selected = ""
	var st state
	var err error
	s.wait(func() { st, err = s.c.look(name, s.boxes[name]) })
	for uid, m := range st.msgs {
		s.sees(s.boxes[name], st.validity, uid, idOf(m.body))
	}
	if err != nil {
		return s.noted(err)
	}
	s.selected = name
	s.strange = append(s.strange, s.compare(name, st)...)
	return nil
}

// noted is err, unless it is a refusal, which is noted and is no error. LOGIN is refused where the user's tree cannot be made.
func (s *session) noted(err error) error {
	if errors.Is(err, errRefused) {
		s.refused = append(s.refused, err.Error())
		return nil
	}
	return err
}

// uids gives the UIDs of the messages with these ids that certainly are in the selected mailbox.
func (s *session) uids(ids ...string) (uids []uint32) {
	if b := s.boxes[s.selected]; b != nil {
		for uid, e := range b.msgs {
			if e.sure && slices.Contains(ids, e.id) {
				uids = append(uids, uid)
			}
		}
	}
	slices.Sort(uids)
	return uids
}

// all gives every UID that certainly is in the selected mailbox.
func (s *session) all() (uids []uint32) {
	if b := s.boxes[s.selected]; b != nil {
		for uid, e := range b.msgs {
			if e.sure {
				uids = append(uids, uid)
			}
		}
	}
	slices.Sort(uids)
	return uids
}

func joined(uids []uint32) string {
	var out []string
	for _, u := range uids {
		out = append(out, fmt.Sprint(u))
	}
	return strings.Join(out, ",")
}

// part is one message of an APPEND.
type part struct {
	id    string
	flags string // "" or "\Seen kw"
	date  string // "" for now
	lines int
}

// append sends one APPEND with all parts.
func (s *session) append(name string, parts ...part) error {
	b := s.boxes[name]
	if b == nil {
		return nil
	}
	command := "APPEND " + name
	for _, p := range parts {
		m := s.newLetter(p.id, p.date, p.lines)
		b.maybe(p.id, setOf(strings.Fields(p.flags)...))
		s.toGuest(name, func(g *box) { g.maybe(p.id, unseen(setOf(strings.Fields(p.flags)...))) })
		command += " (" + p.flags + ")"
		if p.date != "" {
			command += fmt.Sprintf(" %q", p.date)
		}
		command += fmt.Sprintf(" {%d+}\r\n%s", len(m.text), m.text)
	}
	a, ok, err := s.do(command)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if ok || !s.stuck {
			b.notMaybe(p.id) // refused: it was withdrawn
		}
		if !ok && !s.stuck {
			s.toGuest(name, func(g *box) { g.notMaybe(p.id) })
		}
	}
	if !ok {
		return nil
	}
	f := a.tagged("APPENDUID")
	if len(f) < 2 || len(uidSet(f[1])) != len(parts) {
		return fmt.Errorf("APPENDUID %q", f)
	}
	for i, uid := range uidSet(f[1]) {
		s.sees(b, uint32(number(f[0])), uid, parts[i].id)
		if err := s.told(b, uint32(number(f[0])), uid, parts[i].id, setOf(strings.Fields(parts[i].flags)...)); err != nil {
			s.strange = append(s.strange, err.Error())
		}
		s.toGuest(name, func(g *box) { g.extra[parts[i].id].sure = true })
	}
	return nil
}

// store is UID STORE in the selected mailbox; op is "+", "-" or "".
func (s *session) store(uids []uint32, op string, flags ...string) error {
	b := s.boxes[s.selected]
	if b == nil || len(uids) == 0 {
		return nil
	}
	want := setOf(flags...)
	for _, u := range uids {
		e := b.msgs[u]
		if op != "-" {
			maps.Copy(e.may, want)
		}
		for f := range e.must {
			if op == "-" && want[f] || op == "" && !want[f] {
				delete(e.must, f)
			}
		}
	}
	_, ok, err := s.do(fmt.Sprintf("UID STORE %s %sFLAGS (%s)", joined(uids), op, strings.Join(flags, " ")))
	if err != nil || !ok {
		return err
	}
	for _, u := range uids {
		e := b.msgs[u]
		if op != "-" {
			maps.Copy(e.must, want)
		}
		for f := range e.may {
			if op == "-" && want[f] || op == "" && !want[f] {
				delete(e.may, f)
			}
		}
	}
	return nil
}

// copy is UID COPY or UID MOVE from the selected mailbox.
func (s *session) copy(verb string, uids []uint32, to string) error {
	b, dest := s.boxes[s.selected], s.boxes[to]
	if b == nil || dest == nil || len(uids) == 0 {
		return nil
	}
	move := verb == "MOVE"
	for _, u := range uids {
		e := b.msgs[u]
		dest.maybe(e.id, e.may)
		if move {
			e.sure = false
			s.somewhere[e.id] = true
		}
	}
	a, ok, err := s.do(fmt.Sprintf("UID %s %s %s", verb, joined(uids), quoted(to)))
	f := a.copyUID()
	var from, as []uint32
	if len(f) == 3 {
		from, as = uidSet(f[1]), uidSet(f[2])
		for i, u := range from {
			if e := b.msgs[u]; e != nil {
				s.sees(dest, uint32(number(f[0])), as[i], e.id)
			}
		}
	}
	if err != nil {
		return err
	}
	if !ok {
		for _, u := range uids {
			if !move && !s.stuck { // a refused MOVE may have moved some
				dest.notMaybe(b.msgs[u].id)
			}
		}
		return nil
	}
	if s.again && len(from) == 0 {
		for _, u := range uids {
			s.mayReturn(b, u)
		}
		return nil // the first attempt was refused, and yet it had moved them
	}
	if !slices.Equal(from, uids) {
		s.strange = append(s.strange, fmt.Sprintf("COPYUID %v for %v", f, uids))
	}
	for i, u := range from {
		e := b.msgs[u]
		dest.notMaybe(e.id)
		if err := s.told(dest, uint32(number(f[0])), as[i], e.id, nil); err != nil {
			s.strange = append(s.strange, err.Error())
			continue
		}
		dest.msgs[as[i]].must, dest.msgs[as[i]].may = e.must.clone(), e.may.clone()
		if move {
			delete(b.msgs, u)
			delete(s.somewhere, e.id)
		}
	}
	return nil
}

// expunge sets \Deleted and expunges.
func (s *session) expunge(uids []uint32) error {
	if err := s.store(uids, "+", `\Deleted`); err != nil {
		return err
	}
	b := s.boxes[s.selected]
	if b == nil || len(uids) == 0 {
		return nil
	}
	for _, u := range uids {
		b.msgs[u].sure = false
		delete(s.somewhere, b.msgs[u].id)
	}
	_, ok, err := s.do("UID EXPUNGE " + joined(uids))
	if err != nil || !ok {
		for _, u := range uids {
			s.mayReturn(b, u)
		}
		return err
	}
	for _, u := range uids {
		if b.msgs[u].must[`\deleted`] { // else the STORE was refused
			delete(b.msgs, u)
		}
	}
	return nil
}

func (s *session) create(name, use string) error {
	if s.boxes[name] == nil {
		s.boxes[name] = newBox(false)
	}
	command := "CREATE " + name
	if use != "" {
		command += " (USE (" + use + "))"
	}
	_, ok, err := s.do(command)
	if ok {
		s.boxes[name] = newBox(true)
	}
	return err
}

func (s *session) remove(name string) error {
	b := s.boxes[name]
	if b == nil {
		return nil
	}
	b.sure = false
	s.mayGo(b)
	_, ok, err := s.do("DELETE " + name)
	if ok {
		delete(s.boxes, name)
	}
	return err
}

// mayReturn: that the message was deleted has been refused. It may be seen to be gone, and be there again after a power cut.
func (s *session) mayReturn(b *box, uid uint32) { s.ghosts[uidKey{b.foreign, b.validity, uid}] = true }

// mayGo: that a message of the mailbox was being moved is no reason any more that it must be anywhere.
func (s *session) mayGo(b *box) {
	for _, e := range b.msgs {
		delete(s.somewhere, e.id)
	}
	for id := range b.extra {
		delete(s.somewhere, id)
	}
}

// rename moves a mailbox and its children.
func (s *session) rename(from, to string) error {
	var moved []string
	for name, b := range s.boxes {
		if name == from || strings.HasPrefix(name, from+"/") {
			moved = append(moved, name)
			for _, e := range b.msgs {
				s.somewhere[e.id] = false
			}
		}
	}
	sure := map[string]bool{}
	for _, name := range moved {
		b := s.boxes[name]
		sure[name], b.sure = b.sure, false
		s.boxes[to+name[len(from):]] = b.clone() // only one of both names is there
	}
	_, ok, err := s.do("RENAME " + from + " " + to)
	if ok {
		for _, name := range moved {
			s.boxes[to+name[len(from):]].sure = sure[name]
			s.mayGo(s.boxes[name])
			delete(s.boxes, name)
		}
	}
	return err
}

func (s *session) subscribe(name string, on bool) error {
	verb := map[bool]string{true: "SUBSCRIBE ", false: "UNSUBSCRIBE "}[on]
	s.subs[name] = false
	_, ok, err := s.do(verb + name)
	if ok && on {
		s.subs[name] = true
	} else if ok {
		delete(s.subs, name)
	}
	return err
}

// popDelete deletes the first n messages of INBOX by POP3.
func (s *session) popDelete(n int) error {
	conn, err := net.Dial("tcp", s.pop3())
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(clientPatience))
	r := bufio.NewReader(conn)
	line := func() (l string, err error) {
		s.wait(func() { l, err = r.ReadString('\n') })
		return strings.TrimSpace(l), err
	}
	if _, err := line(); err != nil {
		return err
	}
	said := ""
	ok := func(command string) bool {
		fmt.Fprintf(conn, "%s\r\n", command)
		said, err = line()
		if err == nil && !strings.HasPrefix(said, "+OK") {
			s.refused = append(s.refused, command+": "+said)
			return false
		}
		return err == nil
	}
	if !ok("USER "+s.user) || !ok("PASS secret") {
		return err
	}
	box := s.boxes["INBOX"]
	var marked []uint32
	for i := 1; i <= n; i++ {
		if !ok(fmt.Sprintf("UIDL %d", i)) {
			return err
		}
		var uid, validity uint32
		if _, serr := fmt.Sscanf(said, fmt.Sprintf("+OK %d %%8x%%8x", i), &uid, &validity); serr != nil {
			return fmt.Errorf("%q: %w", said, serr)
		}
		if !ok(fmt.Sprintf("DELE %d", i)) {
			return err
		}
		if e := box.msgs[uid]; e != nil {
			marked = append(marked, uid)
			e.sure = false
			delete(s.somewhere, e.id)
		} else {
			for _, x := range box.extra { // it is one of those
				x.sure = false
			}
		}
	}
	quit := ok("QUIT")
	for _, u := range marked {
		if quit {
			delete(box.msgs, u)
		} else {
			s.mayReturn(box, u)
		}
	}
	return err
}
