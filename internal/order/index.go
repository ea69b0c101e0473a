package order

import (
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"strings"
	"sync"

	"postroom/internal/account"
	"postroom/internal/message"
)

// Bounds of an Index.
const (
	MaxMessages = 1_000_000 // of a mailbox that can be sorted
	maxSubject  = 250       // octets kept of a folded subject
	maxName     = 60        // and of a name
	maxRefs     = 60        // Message-IDs kept of References: the first, and the last ones
)

// ErrTooMany says that a mailbox has more than MaxMessages.
var ErrTooMany = errors.New("order: too many messages to sort")

// Index is what sorting and threads need of one mailbox. It is safe for concurrent use.
type Index struct {
	mu      sync.Mutex // guards all that follows, and is held while messages are read
	seed    maphash.Seed
	entries []entry  // ascending by UID
	texts   []byte   // the entries' subjects and names
	refs    []uint64 // the entries' references
	wasted  int      // entries whose texts and refs are nobody's any more
	next    uint32   // UIDs from here on have not been looked at

	sorted  map[By][]uint32 // the orders asked for since the last change
	threads *Threads
}

// entry is one message.
type entry struct {
	sent    int64  // seconds since 1970: the Date field, else INTERNALDATE
	size    int64  // octets
	id      uint64 // hash of the Message-ID; 0 if it has none
	uid     uint32
	text    uint32 // in texts: subject, name
	ref     uint32 // in refs
	subject uint8  // octets
	name    uint8
	nref    uint8
	reply   bool // the subject says that it is a reply or a forwarded message
}

func (x *Index) subjectOf(e *entry) []byte { return x.texts[e.text : e.text+uint32(e.subject)] }
func (x *Index) nameOf(e *entry) []byte {
	at := e.text + uint32(e.subject)
	return x.texts[at : at+uint32(e.name)]
}
func (x *Index) refsOf(e *entry) []uint64 { return x.refs[e.ref : e.ref+uint32(e.nref)] }

// Len is the number of messages that are known, for who tells how far it is.
func (x *Index) Len() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.entries)
}

// followLocked makes the index that of a snapshot of the mailbox. When the context ends, what was read is kept, so that the
// next attempt goes on there.
func (x *Index) followLocked(ctx context.Context, mbox *account.Mailbox, snap *account.Snapshot) error {
	if snap.Len() > MaxMessages {
		return ErrTooMany
	}
	x.dropLocked(snap)
	from := snap.Index(x.next)
	if from == snap.Len() {
		return nil
	}
	rd := mbox.Read(ctx)
	defer rd.Close()
	x.entries = slices.Grow(x.entries, snap.Len()-from)
	for i := from; i < snap.Len(); i++ {
		if i%64 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		uid := snap.UID(i)
		rd.Seek(snap, i)
		if err := x.addLocked(rd, uid); err != nil && !errors.Is(err, account.ErrExpunged) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			x.entries = append(x.entries, entry{uid: uid, text: uint32(len(x.texts)), ref: uint32(len(x.refs))}) // it stands in the list all the same
		}
		x.next = uid + 1
		x.sorted, x.threads = nil, nil
	}
	return nil
}

// dropLocked forgets messages that the snapshot lacks.
func (x *Index) dropLocked(snap *account.Snapshot) {
	known := snap.Len()
	if x.next < snap.UIDNext() {
		known = snap.Index(x.next)
	}
	if known == len(x.entries) { // there are only UIDs of the snapshot, and that many
		return
	}
	kept, w := x.entries[:0], snap.Walk(snap)
	more := w.Next()
	for _, e := range x.entries {
		for more && w.UID() < e.uid {
			more = w.Next()
		}
		if more && w.UID() == e.uid {
			kept = append(kept, e)
		} else {
			x.wasted++
		}
	}
	if len(kept) < len(x.entries) {
		x.sorted, x.threads = nil, nil
	}
	x.entries = kept
	if x.wasted > len(x.entries) {
		x.compactLocked()
	}
}

// compactLocked gives back what belonged to messages that are gone.
func (x *Index) compactLocked() {
	var texts []byte
	var refs []uint64
	entries := slices.Clone(x.entries)
	for i := range entries {
		e := &entries[i]
		text, ref := uint32(len(texts)), uint32(len(refs))
		texts = append(append(texts, x.subjectOf(e)...), x.nameOf(e)...)
		refs = append(refs, x.refsOf(e)...)
		e.text, e.ref = text, ref
	}
	x.entries, x.texts, x.refs, x.wasted = entries, texts, refs, 0
}

// wanted are the fields that an entry is made of.
var wanted = message.NewFieldSet([]string{"subject", "from", "message-id", "references", "in-reply-to"})

// fields are those of one message, the first of each name.
type fields struct{ subject, from, id, references, inReplyTo *string }

func (f *fields) take(name, value string) bool {
	var at **string
	switch {
	case strings.EqualFold(name, "subject"):
		at = &f.subject
	case strings.EqualFold(name, "from"):
		at = &f.from
	case strings.EqualFold(name, "message-id"):
		at = &f.id
	case strings.EqualFold(name, "references"):
		at = &f.references
	case strings.EqualFold(name, "in-reply-to"):
		at = &f.inReplyTo
	default:
		return true
	}
	if *at == nil {
		*at = &value
	}
	return true
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// addLocked adds the message that rd is at.
func (x *Index) addLocked(rd *account.Reading, uid uint32) error {
	rec, err := rd.Record()
	if err != nil {
		return err
	}
	var f fields
	if !rec.EachField(wanted, f.take) { // some are too long for the cache
		f = fields{}
		parsed, err := rd.Structure()
		if err != nil {
			return err
		}
		file, err := rd.File()
		if err != nil {
			return err
		}
		if err := message.EachField(file, parsed, parsed.Root.Head, f.take); err != nil {
			return err
		}
	}
	e := entry{uid: uid, size: rec.Size()}
	if t, ok := rec.SentDate(); ok {
		e.sent = t.Unix()
	} else {
		t, err := rd.Date()
		if err != nil {
			return err
		}
		e.sent = t.Unix()
	}
	e.text, e.ref = uint32(len(x.texts)), uint32(len(x.refs))
	subject, reply := BaseSubject(message.DecodeText(value(f.subject)))
	e.reply = reply
	e.subject = x.addText(subject, maxSubject)
	e.name = x.addText(sender(value(f.from)), maxName)
	if id, ok := firstID(value(f.id)); ok {
		e.id = x.hash(id)
	}
	e.nref = x.addRefs(value(f.references), value(f.inReplyTo))
	x.entries = append(x.entries, e)
	return nil
}

// addText appends a text as it is compared, and tells its length.
func (x *Index) addText(s string, most int) uint8 {
	start := len(x.texts)
	x.texts = message.AppendFolded(x.texts, s)
	x.texts = x.texts[:min(len(x.texts), start+most)]
	return uint8(len(x.texts) - start)
}

// sender is what a list shows of From: the first address's name, or the address.
func sender(from string) string {
	list := message.ParseAddresses(from)
	switch {
	case len(list) == 0:
		return ""
	case list[0].Name != "":
		return list[0].Name
	}
	return list[0].Addr
}

func (x *Index) hash(id string) uint64 { return max(1, maphash.String(x.seed, id)) }

// addRefs notes the messages that a message answers: those of References, or if there is none the first of In-Reply-To
// (RFC 5256 section 3, step 1).
func (x *Index) addRefs(references, inReplyTo string) uint8 {
	start := len(x.refs)
	for id := range eachID(references) {
		if h := x.hash(id); len(x.refs) < start+maxRefs {
			x.refs = append(x.refs, h)
		} else {
			x.refs = append(append(x.refs[:start+1], x.refs[start+2:]...), h)
		}
	}
	if len(x.refs) == start {
		if id, ok := firstID(inReplyTo); ok {
			x.refs = append(x.refs, x.hash(id))
		}
	}
	return uint8(len(x.refs) - start)
}
