package crash

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// ledger is what a client knows: what it was told, and what may be because a command had no answer or
// was refused. It also keeps what every UID ever named, for good.
type ledger struct {
	user       string
	guest      *ledger // unless nil: what another user knows, who has rights in this one's mailboxes; sharing_test.go
	boxes      map[string]*box
	subs       map[string]bool   // subscribed: certainly (true), maybe (false)
	letters    map[string]letter // by id
	named      map[uidKey]string // the id of every UID that was seen
	ghosts     map[uidKey]bool   // messages that may be there again
	somewhere  map[string]bool   // ids that were being moved: a mailbox has them; if true, no other, since a file that is renamed is in one place at every moment
	renewed    bool              // a mailbox may have a new UIDVALIDITY: its uid list was damaged
	reassigned bool              // messages may have new UIDs: their records were cut off
	stuck      bool              // the disk takes nothing, not even removals: what was refused may be there, and no MODSEQ is noted
	waiting    bool              // arrivals may be without a UID for now: the disk is full
}

// uidKey names a message for ever. No two mailboxes of a tree share a UIDVALIDITY here, since none may be given twice.
type uidKey struct {
	foreign       bool // in another user's tree, whose numbers are its own
	validity, uid uint32
}

// letter is one content. Copies have the same id.
type letter struct {
	id   string
	text string // with CRLF, as the client sent it or must get it
	date string // INTERNALDATE; "" if it is not known
}

// box is a mailbox.
type box struct {
	sure     bool   // it certainly exists
	foreign  bool   // it is another user's
	validity uint32 // 0: not told yet
	modSeq   uint64 // the highest told
	msgs     map[uint32]*entry
	extra    map[string]*extra // by id: messages whose UID the client does not know
	acls     []acl             // what the ACL may be; none is ever changed
	away     bool              // its owner has taken it from us, with the rights to it

	view    map[uint32]set // what a client with QRESYNC has in its cache, as of viewSeq
	viewSeq uint64
}

type entry struct {
	id        string
	sure      bool
	must, may set // flags that are there; that may be
}

type extra struct {
	most int  // how many there may be
	sure bool // at least one is there
	may  set
}

func newLedger(user string) *ledger {
	return &ledger{
		user:  user,
		boxes: map[string]*box{"INBOX": newBox(true)}, subs: map[string]bool{}, letters: map[string]letter{},
		named: map[uidKey]string{}, ghosts: map[uidKey]bool{}, somewhere: map[string]bool{},
	}
}

func newBox(sure bool) *box {
	return &box{sure: sure, msgs: map[uint32]*entry{}, extra: map[string]*extra{}, acls: []acl{{}}}
}

// clone is the ledger at this moment, for a check made later.
func (l *ledger) clone() *ledger {
	c := *l
	c.boxes = map[string]*box{}
	for n, b := range l.boxes {
		c.boxes[n] = b.clone()
	}
	c.subs, c.letters, c.named = maps.Clone(l.subs), maps.Clone(l.letters), maps.Clone(l.named)
	c.somewhere, c.ghosts = maps.Clone(l.somewhere), maps.Clone(l.ghosts)
	if l.guest != nil {
		c.guest = l.guest.clone()
		c.guest.letters = c.letters
	}
	return &c
}

func (b *box) clone() *box {
	c := *b
	c.msgs, c.extra = map[uint32]*entry{}, map[string]*extra{}
	for u, e := range b.msgs {
		ne := *e
		ne.must, ne.may = e.must.clone(), e.may.clone()
		c.msgs[u] = &ne
	}
	for id, x := range b.extra {
		nx := *x
		nx.may = x.may.clone()
		c.extra[id] = &nx
	}
	c.view = maps.Clone(b.view) // its sets are never changed
	return &c
}

func (b *box) maybe(id string, flags set) {
	x := b.extra[id]
	if x == nil {
		x = &extra{may: set{}}
		b.extra[id] = x
	}
	x.most++
	maps.Copy(x.may, flags)
}

func (b *box) notMaybe(id string) {
	if x := b.extra[id]; x != nil {
		if x.most--; x.most == 0 {
			delete(b.extra, id)
		}
	}
}

// told notes a UID that the server gave to a content.
func (l *ledger) told(b *box, validity, uid uint32, id string, flags set) error {
	if b.validity == 0 {
		b.validity = validity
	}
	if b.validity != validity && l.renewed {
		b.renew()
		b.validity = validity
	}
	if b.validity != validity {
		return fmt.Errorf("UIDVALIDITY %d, was %d", validity, b.validity)
	}
	k := uidKey{b.foreign, validity, uid}
	if old, ok := l.named[k]; ok && old != id {
		return fmt.Errorf("UID %d of UIDVALIDITY %d names %s, it was %s", uid, validity, id, old)
	}
	l.named[k] = id
	if e := b.msgs[uid]; e != nil {
		e.sure = true
		return nil
	}
	b.msgs[uid] = &entry{id: id, sure: true, must: flags.clone(), may: flags.clone()}
	return nil
}

// state is what a server tells of one mailbox.
type state struct {
	validity, uidNext uint32
	modSeq            uint64
	msgs              map[uint32]fetched
	resynced          map[uint32]set // the client's cache after QRESYNC; nil if it could not be used
}

// compare checks a mailbox against the ledger and gives all that is wrong. Then the ledger holds what was seen.
func (l *ledger) compare(name string, s state) []string {
	var wrong []string
	bad := func(format string, args ...any) { wrong = append(wrong, name+": "+fmt.Sprintf(format, args...)) }
	b := l.boxes[name]
	if b.validity != 0 && s.validity != b.validity {
		if !l.renewed {
			bad("UIDVALIDITY %d, was %d", s.validity, b.validity)
		}
		b.renew()
	}
	b.validity = s.validity
	if s.modSeq < b.modSeq && !l.stuck {
		bad("HIGHESTMODSEQ %d, was %d", s.modSeq, b.modSeq)
	}
	if l.reassigned {
		for uid, e := range b.msgs {
			if _, there := s.msgs[uid]; !there {
				b.forget(uid, e)
			}
		}
	}
	count := map[string]int{}
	for _, uid := range slices.Sorted(maps.Keys(s.msgs)) {
		m := s.msgs[uid]
		id := idOf(m.body)
		count[id]++
		k := uidKey{b.foreign, s.validity, uid}
		if old, ok := l.named[k]; ok && old != id {
			bad("UID %d names %q, it was %q", uid, id, old)
		}
		l.named[k] = id
		l.compareContent(id, m, bad)
		if uid >= s.uidNext {
			bad("UID %d is above UIDNEXT %d", uid, s.uidNext)
		}
		e := b.msgs[uid]
		if e == nil && l.ghosts[k] {
			continue
		}
		if e == nil {
			x := b.extra[id]
			if x == nil || x.most == 0 {
				bad("UID %d (%s, %v) should not be there", uid, id, m.flags)
				continue
			}
			x.most, x.sure = x.most-1, false
			e = &entry{id: id, must: set{}, may: x.may}
		}
		compareFlags(uid, e, m.flags, bad)
	}
	for k := range l.named {
		if k.foreign == b.foreign && k.validity == s.validity && k.uid >= s.uidNext {
			bad("UIDNEXT %d, but UID %d was told", s.uidNext, k.uid)
		}
	}
	for uid, e := range b.msgs {
		if _, there := s.msgs[uid]; e.sure && !there {
			bad("UID %d (%s) is lost", uid, e.id)
		}
	}
	for id, x := range b.extra {
		if x.sure && !l.waiting {
			bad("%s is lost", id)
		}
	}
	l.compareResync(s, bad)
	b.adopt(s, l.waiting || l.stuck) // what could not be withdrawn may be found later, too
	return wrong
}

func (l *ledger) compareContent(id string, m fetched, bad func(string, ...any)) {
	want, ok := l.letters[id]
	switch {
	case !ok:
		bad("UID %d: %.60q is no message of ours", m.uid, m.body)
		return
	case m.body != want.text:
		bad("UID %d (%s): %d octets differ from the %d that were sent", m.uid, id, len(m.body), len(want.text))
	case m.size != fmt.Sprint(len(want.text)):
		bad("UID %d (%s): RFC822.SIZE %s of %d octets", m.uid, id, m.size, len(want.text))
	}
	if !strings.Contains(m.envelope, "Letter "+id+" ") {
		bad("UID %d (%s): ENVELOPE %s", m.uid, id, m.envelope)
	}
	if want.date != "" && !sameTime(m.date, want.date) {
		bad("UID %d (%s): INTERNALDATE %s, was %s", m.uid, id, m.date, want.date)
	}
}

func sameTime(a, b string) bool {
	const form = "_2-Jan-2006 15:04:05 -0700"
	x, err1 := time.Parse(form, a)
	y, err2 := time.Parse(form, b)
	return err1 == nil && err2 == nil && x.Equal(y)
}

func compareFlags(uid uint32, e *entry, have set, bad func(string, ...any)) {
	for f := range e.must {
		if !have[f] {
			bad("UID %d (%s) lost %s", uid, e.id, f)
		}
	}
	for f := range have {
		if !e.may[f] {
			bad("UID %d (%s) has %s", uid, e.id, f)
		}
	}
}

// compareResync: what a client has in its cache after QRESYNC is what the server has.
func (l *ledger) compareResync(s state, bad func(string, ...any)) {
	if s.resynced == nil || l.stuck {
		return
	}
	for uid, flags := range s.resynced {
		m, ok := s.msgs[uid]
		if !ok {
			bad("QRESYNC: the cache has UID %d, which is gone", uid)
		} else if !maps.Equal(flags, m.flags) {
			bad("QRESYNC: the cache has %v for UID %d, it is %v", flags, uid, m.flags)
		}
	}
	for uid := range s.msgs {
		if _, ok := s.resynced[uid]; !ok {
			bad("QRESYNC: the cache lacks UID %d", uid)
		}
	}
}

// renew: under another UIDVALIDITY no UID is known any more; the messages are.
func (b *box) renew() {
	for uid, e := range b.msgs {
		b.forget(uid, e)
	}
	b.msgs, b.view, b.modSeq = map[uint32]*entry{}, nil, 0
}

// forget: the message is there, under whichever UID.
func (b *box) forget(uid uint32, e *entry) {
	b.maybe(e.id, e.may)
	b.extra[e.id].sure = b.extra[e.id].sure || e.sure
	delete(b.msgs, uid)
}

// adopt makes what was seen what is known.
func (b *box) adopt(s state, waiting bool) {
	b.sure, b.modSeq = true, max(b.modSeq, s.modSeq)
	b.msgs = map[uint32]*entry{}
	maps.DeleteFunc(b.extra, func(_ string, x *extra) bool { return x.most == 0 || !waiting })
	b.view, b.viewSeq = map[uint32]set{}, s.modSeq
	for uid, m := range s.msgs {
		b.msgs[uid] = &entry{id: idOf(m.body), sure: true, must: m.flags.clone(), may: m.flags.clone()}
		b.view[uid] = m.flags
	}
}

// newLetter makes a message and remembers it.
func (l *ledger) newLetter(id, date string, lines int) letter {
	var b strings.Builder
	fmt.Fprintf(&b, "From: Crash <crash@example.org>\r\nTo: alice@example.org\r\nSubject: Letter %s of many\r\n", id)
	fmt.Fprintf(&b, "Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%s@example.org>\r\nX-Crash: %s\r\n\r\n", id, id)
	for i := range lines {
		fmt.Fprintf(&b, "Line %d of letter %s.\r\n", i, id)
	}
	m := letter{id: id, text: b.String(), date: date}
	l.letters[id] = m
	return m
}

func idOf(text string) string {
	_, rest, _ := strings.Cut(text, "X-Crash: ")
	id, _, _ := strings.Cut(rest, "\r\n")
	return id
}
