package crash

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// check has a client compare everything a server tells of a user's mail with the ledger, and another that of his guest.
func (l *ledger) check(addr string) []string {
	wrong := l.checkMail(addr)
	if l.guest != nil {
		for _, w := range l.guest.checkMail(addr) {
			wrong = append(wrong, "to "+l.guest.user+": "+w)
		}
	}
	return wrong
}

func (l *ledger) checkMail(addr string) []string {
	c, err := login(addr, l.user)
	if err != nil {
		return []string{"log in: " + err.Error()}
	}
	defer c.close()
	names, subs, err := c.list()
	if err != nil {
		return []string{err.Error()}
	}
	wrong := l.checkNames(names, subs)
	found := map[string]int{}
	for _, name := range names {
		if b := l.boxes[name]; b == nil || b.away {
			continue // said already
		}
		s, err := c.look(name, l.boxes[name])
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %v", name, err))
			continue
		}
		wrong = append(wrong, l.compare(name, s)...)
		if l.guest != nil {
			wrong = append(wrong, l.checkACL(c, name)...)
		}
		for _, m := range s.msgs {
			found[idOf(m.body)]++
		}
	}
	for id, once := range l.somewhere {
		if n := found[id]; n == 0 || once && n > 1 {
			wrong = append(wrong, fmt.Sprintf("%s was moved and is there %d times", id, n))
		}
	}
	return wrong
}

func (l *ledger) checkNames(names, subs []string) (wrong []string) {
	for name, b := range l.boxes {
		if there := slices.Contains(names, name); b.sure && !there {
			wrong = append(wrong, name+" is lost")
		} else if !there && !b.away {
			delete(l.boxes, name)
		}
	}
	for _, name := range names {
		if b := l.boxes[name]; b == nil || b.away {
			wrong = append(wrong, name+" should not be there")
		}
	}
	for name, sure := range l.subs {
		if sure && !slices.Contains(subs, name) {
			wrong = append(wrong, "the subscription of "+name+" is lost")
		}
	}
	for _, name := range subs {
		if _, ok := l.subs[name]; !ok {
			wrong = append(wrong, name+" should not be subscribed")
		}
	}
	l.subs = map[string]bool{}
	for _, name := range subs {
		l.subs[name] = true
	}
	return wrong
}

// list gives the mailboxes that can be selected, and the subscribed names.
func (c *client) list() (names, subs []string, err error) {
	for _, q := range []struct {
		command string
		to      *[]string
	}{{`LIST "" "*"`, &names}, {`LIST (SUBSCRIBED) "" "*"`, &subs}} {
		a, err := c.ok(q.command)
		if err != nil {
			return nil, nil, err
		}
		for _, l := range a.lines {
			if len(l) < 4 || l[0] != "LIST" {
				continue
			}
			attrs := strings.ToLower(flat(l[1]))
			if !strings.Contains(attrs, `\noselect`) && !strings.Contains(attrs, `\nonexistent`) || q.to == &subs {
				*q.to = append(*q.to, flat(l[3]))
			}
		}
	}
	return names, subs, nil
}

// look selects a mailbox as a client that has a cache of it would, and then reads all of it anew.
func (c *client) look(name string, b *box) (s state, err error) {
	command := "SELECT " + quoted(name)
	if b.view != nil {
		command += fmt.Sprintf(" (QRESYNC (%d %d))", b.validity, b.viewSeq)
	}
	sel, err := c.ok(command)
	if err != nil {
		return s, err
	}
	s.validity, s.uidNext, s.modSeq = uint32(sel.number("UIDVALIDITY")), uint32(sel.number("UIDNEXT")), sel.number("HIGHESTMODSEQ")
	if b.view != nil && s.validity == b.validity {
		s.resynced = maps.Clone(b.view)
		for uid, f := range sel.fetches() {
			s.resynced[uid] = f.flags
		}
		for _, uid := range sel.vanished() {
			delete(s.resynced, uid)
		}
	}
	all, err := c.ok("UID FETCH 1:* (FLAGS MODSEQ RFC822.SIZE INTERNALDATE ENVELOPE BODY.PEEK[])")
	if err != nil {
		return s, err
	}
	s.msgs = all.fetches()
	for uid, m := range s.msgs {
		if m.body == "" {
			return s, fmt.Errorf("UID %d: no content: %s", uid, all.text)
		}
		// A change may have come between the two commands.
		s.modSeq = max(s.modSeq, m.modSeq)
	}
	return s, nil
}
