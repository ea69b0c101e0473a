package storm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// unknownFlags stands for flags that the session was not told since it changed them silently.
const unknownFlags = "?"

// message is what a session was told of one message; uid is 0 until it was told.
type message struct {
	uid    uint32
	flags  string // sorted, without \Recent
	modSeq uint64
}

// session is one IMAP session and its client's model of the mailbox. It
// belongs to one goroutine.
type session struct {
	o      *oracle
	who    string
	server *server
	rng    *rand.Rand

	condstore, qresync bool

	*imapConn
	folder   string
	validity uint32
	uidNext  uint32 // as SELECT told it
	highest  uint64 // HIGHESTMODSEQ as SELECT told it
	caughtUp uint64 // MODSEQ up to which the view is complete
	view     []message
	removed  int // messages taken out of the view
	// byNumber: a command runs during which no EXPUNGE may be told (RFC 9051 section 7.5.1).
	byNumber bool
	resync   *resync           // while a QRESYNC is judged
	found    []any             // of the last SEARCH
	onOK     func(text string) // is shown untagged OKs, if not nil
}

func (s *session) fault(kind, format string, args ...any) {
	if kind == "numbering" && s.imapConn != nil {
		format += "; before it:\n\t%s"
		args = append(args, strings.Join(s.trace[max(0, len(s.trace)-maxTrace):], "\n\t"))
	}
	s.o.fault(kind, s.who+": "+format, args...)
}

// connect logs in.
func (s *session) connect() error {
	c, err := dialIMAP(s.server.imap)
	if err != nil {
		return err
	}
	s.imapConn, s.view, s.folder = c, nil, ""
	if err := s.ok("LOGIN u " + password); err != nil {
		return err
	}
	if s.qresync {
		return s.ok("ENABLE QRESYNC")
	}
	return nil
}

// ok runs a command that has to be answered OK.
func (s *session) ok(format string, args ...any) error {
	cmd := fmt.Sprintf(format, args...)
	status, text, err := s.do(cmd)
	if err == nil && status != "OK" {
		err = fmt.Errorf("%.200s: %s %s", cmd, status, text)
	}
	return err
}

// do runs a command to its end, taking in what the server tells meanwhile.
func (s *session) do(cmd string) (status, text string, err error) {
	tag, err := s.send(cmd)
	if err != nil {
		return "", "", err
	}
	return s.until(tag, cmd)
}

func (s *session) until(tag, cmd string) (status, text string, err error) {
	s.o.count("commands", 1)
	verb, _, _ := strings.Cut(cmd, " ")
	s.byNumber = verb == "FETCH" || verb == "STORE" || verb == "SEARCH"
	defer func() { s.byNumber = false }()
	for {
		res, err := s.read()
		if err != nil {
			return "", "", fmt.Errorf("%.200s: %w", cmd, err)
		}
		if res.tag == tag {
			if res.word(0) == "BAD" {
				s.fault("session", "%.200s: BAD %s", cmd, res.text)
			}
			return res.word(0), res.text, nil
		}
		if err := s.take(res); err != nil {
			return "", "", fmt.Errorf("%.200s: %w", cmd, err)
		}
	}
}

// take applies an untagged response to the view.
func (s *session) take(res *response) error {
	switch {
	case res.word(0) == "BYE":
		return fmt.Errorf("%w %s", errBye, res.text)
	case res.word(0) == "OK":
		if s.onOK != nil {
			s.onOK(res.text)
		}
		if v, ok := code(res.text, "UIDVALIDITY"); ok {
			s.validity = number(v)
		} else if v, ok := code(res.text, "UIDNEXT"); ok {
			s.uidNext = number(v)
		} else if v, ok := code(res.text, "HIGHESTMODSEQ"); ok {
			s.highest = number64(v)
		}
	case res.word(0) == "SEARCH":
		s.found = res.items[1:]
	case res.word(0) == "ESEARCH":
		s.fault("session", "ESEARCH was not asked for")
	case res.word(0) == "VANISHED":
		s.vanished(res)
	case res.word(1) == "EXISTS":
		n := int(number(res.word(0)))
		if n < len(s.view) {
			s.fault("numbering", "%d EXISTS after %d messages", n, len(s.view))
			return nil
		}
		s.o.count("arrivals told", n-len(s.view))
		for len(s.view) < n {
			s.view = append(s.view, message{flags: unknownFlags})
		}
	case res.word(1) == "EXPUNGE":
		s.expunge(int(number(res.word(0))))
	case res.word(1) == "FETCH":
		s.fetched(int(number(res.word(0))), res)
	}
	return nil
}

func (s *session) expunge(n int) {
	if s.byNumber {
		s.fault("numbering", "EXPUNGE %d during a command by sequence numbers", n)
	}
	if n < 1 || n > len(s.view) {
		s.fault("numbering", "EXPUNGE %d of %d", n, len(s.view))
		return
	}
	if uid := s.view[n-1].uid; uid != 0 {
		s.o.expunged(s.who, s.server.name, s.validity, uid)
	}
	s.view = slices.Delete(s.view, n-1, n)
	s.removed++
}

// vanished applies VANISHED (RFC 7162 section 3.2.10).
func (s *session) vanished(res *response) {
	if earlier, ok := res.items[1].([]any); ok {
		if s.resync == nil || len(earlier) != 1 {
			s.fault("session", "VANISHED (EARLIER) was not asked for")
			return
		}
		s.resync.vanished(numbersOf(res.word(2)))
		return
	}
	if s.byNumber {
		s.fault("numbering", "VANISHED during a command by sequence numbers")
	}
	for _, uid := range numbersOf(res.word(1)) {
		i := slices.IndexFunc(s.view, func(m message) bool { return m.uid == uid })
		if i < 0 { // then it is one whose UID was not told yet, below the next that was
			i = slices.IndexFunc(s.view, func(m message) bool { return m.uid > uid })
			if i < 0 {
				i = len(s.view)
			}
			if i--; i >= 0 && s.view[i].uid != 0 {
				i = -1
			}
		}
		if i < 0 {
			s.fault("numbering", "VANISHED %d, which is not there", uid)
			continue
		}
		s.o.expunged(s.who, s.server.name, s.validity, uid)
		s.view = slices.Delete(s.view, i, i+1)
		s.removed++
		if s.resync != nil {
			delete(s.resync.known, uid)
		}
	}
}

func (s *session) fetched(n int, res *response) {
	list, _ := res.items[2].([]any)
	if n < 1 || n > len(s.view) || len(list)%2 != 0 {
		s.fault("numbering", "FETCH %d of %d", n, len(s.view))
		return
	}
	m := &s.view[n-1]
	content, flags, told := "", unknownFlags, false
	for i := 0; i < len(list); i += 2 {
		key, _ := list[i].(string)
		switch key {
		case "UID":
			uid, _ := list[i+1].(string)
			s.isUID(n, number(uid))
		case "FLAGS":
			words, _ := list[i+1].([]any)
			flags = flagsOf(words)
			m.flags = flags
		case "MODSEQ":
			if v, ok := list[i+1].([]any); ok && len(v) == 1 {
				text, _ := v[0].(string)
				m.modSeq, told = number64(text), true
			}
		case "BODY[]":
			if content, _ = list[i+1].(string); content == "NIL" { // it has gone
				content = ""
			}
		}
	}
	if m.uid == 0 {
		return
	}
	if told {
		s.o.toldModSeq(s.who, s.server.name, s.validity, m.uid, m.modSeq, flags)
	}
	if content != "" {
		s.o.identify(s.who, s.validity, m.uid, []byte(content))
	}
	if flags != unknownFlags {
		s.o.count("flags told", 1)
		if s.resync != nil {
			s.resync.fetched(*m)
		}
	}
}

// isUID checks the UID of a sequence number against what was told before.
func (s *session) isUID(n int, uid uint32) {
	m := &s.view[n-1]
	switch {
	case m.uid == uid:
		return
	case m.uid != 0:
		s.fault("numbering", "message %d has UID %d, told as %d", n, uid, m.uid)
	}
	m.uid = uid
	for i := n - 2; i >= 0; i-- {
		if before := s.view[i].uid; before != 0 {
			if before >= uid {
				s.fault("numbering", "message %d has UID %d, message %d has %d", i+1, before, n, uid)
			}
			return
		}
	}
}

func flagsOf(words []any) string {
	var list []string
	for _, w := range words {
		if f, ok := w.(string); ok && !strings.EqualFold(f, `\Recent`) {
			list = append(list, strings.ToLower(f))
		}
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// selectFolder selects and learns the UIDs and flags of all that is there.
func (s *session) selectFolder(folder, more string) error {
	begun := s.o.begin()
	var before uint64
	s.o.mu.Lock()
	validity := s.o.valid[folder]
	s.o.mu.Unlock()
	if validity != 0 {
		before = s.o.highest(s.server.name, validity)
	}
	s.view, s.folder, s.validity, s.uidNext, s.highest = nil, folder, 0, 0, 0
	if err := s.ok("SELECT %s%s", folder, more); err != nil {
		s.folder = ""
		return err
	}
	s.o.selected(s.who, folder, s.validity)
	if s.validity == validity && s.highest != 0 {
		s.o.toldHighest(s.who, s.server.name, s.validity, s.highest, before)
	}
	s.caughtUp = s.highest
	n, next, removed := len(s.view), s.uidNext, s.removed
	if err := s.ok("UID FETCH 1:* (UID FLAGS%s)", s.modSeqItem()); err != nil {
		return err
	}
	var uids []uint32
	for i, m := range s.view {
		if m.uid != 0 {
			uids = append(uids, m.uid)
		}
		if i < n && m.uid >= next && s.removed == removed {
			s.fault("numbering", "UID %d was there, UIDNEXT was %d", m.uid, next)
		}
	}
	s.o.there(s.who, s.server.name, s.validity, uids, begun)
	return nil
}

func (s *session) modSeqItem() string {
	if s.condstore || s.qresync {
		return " MODSEQ"
	}
	return ""
}

// learn reads what is new to the session.
func (s *session) learn() error {
	from := uint32(0)
	fresh := false
	for _, m := range s.view {
		if m.uid == 0 {
			fresh = true
			break
		}
		from = m.uid
	}
	if !fresh {
		return nil
	}
	status, text, err := s.do(fmt.Sprintf("UID FETCH %d:* (UID FLAGS%s BODY.PEEK[])", from+1, s.modSeqItem()))
	if err == nil && status != "OK" && !strings.HasPrefix(text, "[EXPUNGEISSUED]") {
		err = fmt.Errorf("UID FETCH: %s %s", status, text)
	}
	return err
}

// noop lets the session be told everything; after it the view is complete up to the
// highest MODSEQ that it was told.
func (s *session) noop() error {
	if err := s.ok("NOOP"); err != nil {
		return err
	}
	return s.learn()
}

// some picks up to n messages of which it is known what they are.
func (s *session) some(n int) (uids []uint32, ids []string) {
	return s.someThat(n, func(string) bool { return true })
}

// someThat picks those that take says yes to.
func (s *session) someThat(n int, take func(id string) bool) (uids []uint32, ids []string) {
	for range n {
		if len(s.view) == 0 {
			break
		}
		uid := s.view[s.rng.IntN(len(s.view))].uid
		if uid == 0 || slices.Contains(uids, uid) {
			continue
		}
		if id := s.o.idOf(s.validity, uid); id != "" && take(id) {
			uids, ids = append(uids, uid), append(ids, id)
		}
	}
	return uids, ids
}

// idle waits in IDLE for something to be told, at most d.
func (s *session) idle(ctx context.Context, d time.Duration) error {
	tag, err := s.send("IDLE")
	if err != nil {
		return err
	}
	end := time.Now().Add(d)
	for started := false; ; {
		if started {
			s.SetReadDeadline(end)
			if _, err := s.r.Peek(1); err != nil {
				var timeout interface{ Timeout() bool }
				if !errors.As(err, &timeout) || !timeout.Timeout() {
					return err
				}
				break
			}
			s.SetReadDeadline(time.Now().Add(patience))
			end = time.Now().Add(min(time.Until(end), 5*time.Millisecond)) // what comes with it
		}
		res, err := s.read()
		if err != nil {
			return err
		}
		if res.tag == "+" {
			started = true
			continue
		}
		if res.tag == tag {
			return fmt.Errorf("IDLE: %v %s", res.items, res.text)
		}
		if err := s.take(res); err != nil {
			return err
		}
		if ctx.Err() != nil {
			break
		}
	}
	s.SetDeadline(time.Now().Add(patience))
	s.note("C DONE")
	if _, err := s.Write([]byte("DONE\r\n")); err != nil {
		return err
	}
	status, text, err := s.until(tag, "IDLE")
	if err == nil && status != "OK" {
		err = fmt.Errorf("IDLE: %s %s", status, text)
	}
	return err
}

func (s *session) logout() {
	s.do("LOGOUT")
	s.Close()
}
