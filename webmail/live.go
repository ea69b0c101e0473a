package webmail

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"postroom/internal/account"
	"postroom/internal/message"
)

// A page that is open hears of what has changed by one stream of server-sent events. It is told that something has, and asks
// for what it shows again; so nothing is lost when a stream breaks off, the machine sleeps or events come twice. Events:
//
//	counts  unread messages by mailbox, of those that have changed; at the beginning of all: JSON
//	list    the mailbox of the page is another
//	mail    messages that have come into it or the inbox, for notifications: JSON
//	tree    there are other mailboxes, or other rights
//	gone    the mailbox of the page is gone, or may not be read any more
//	bye     another page of the session has taken the stream's place
//
// The goroutine of the request is the only one there is; it ends with the request, the session or the server.

// Bounds of a stream.
const (
	maxStreams   = 4                      // of a session; one more ends the oldest, whose page asks again when it is looked at
	maxWatched   = 48                     // mailboxes that one stream has open to be told of changes at once
	liveSettle   = 100 * time.Millisecond // changes that come together are told together
	livePoll     = 20 * time.Second       // the other mailboxes, and which there are, are looked at so often
	liveBeat     = 25 * time.Second       // a comment, so that no proxy takes the stream for dead
	maxAnnounced = 3                      // messages of one event
)

// stream is a page that listens.
type stream struct {
	n      *session
	w      http.ResponseWriter
	ctl    *http.ResponseController
	loc    locale
	poke   chan struct{} // something may have changed; it holds one
	cancel context.CancelFunc
	boxes  map[string]*watchedBox
	told   map[string]int // unread messages by mailbox, as the page knows them
	page   string         // the page's mailbox
	tree   string         // which mailboxes there are, and with which rights
	failed error          // of writing
}

// watchedBox is a mailbox that a stream has open.
type watchedBox struct {
	mbox *account.Mailbox
	sub  *account.Subscriber
	snap *account.Snapshot // as it was told
}

func events(w http.ResponseWriter, r *http.Request, n *session) error {
	box := n.user.Canonical(cmp.Or(r.FormValue("box"), inbox))
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	s := &stream{
		n: n, w: w, ctl: http.NewResponseController(w), loc: n.locale(r), poke: make(chan struct{}, 1), cancel: cancel,
		boxes: make(map[string]*watchedBox), told: make(map[string]int), page: box,
	}
	defer s.close()
	if err := s.watch(ctx, box); err != nil { // the page's own mailbox decides of the answer
		return err
	}
	defer n.addStream(s)()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx would keep events back
	w.WriteHeader(http.StatusOK)
	s.lookAround(ctx)
	s.tellCounts(ctx)
	s.send("list", "")
	s.run(ctx)
	return nil
}

// run tells of what changes until the stream ends.
func (s *stream) run(ctx context.Context) {
	beat, poll := time.NewTicker(liveBeat), time.NewTicker(livePoll)
	defer beat.Stop()
	defer poll.Stop()
	for s.failed == nil {
		select {
		case <-ctx.Done():
			if s.n.ctx.Err() == nil {
				s.send("bye", "")
			}
			return
		case <-s.poke:
			if !sleep(ctx, liveSettle) {
				continue
			}
			s.look(ctx)
		case <-poll.C:
			s.lookAround(ctx)
			s.look(ctx)
		case <-beat.C:
			s.write(": still here\n\n")
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// tell is called by the store, under its locks.
func (s *stream) tell() {
	select {
	case s.poke <- struct{}{}:
	default:
	}
}

// watch opens a mailbox and listens to it.
func (s *stream) watch(ctx context.Context, name string) error {
	m, err := s.n.user.Select(ctx, name, true)
	if err != nil {
		return err
	}
	b := &watchedBox{mbox: m}
	b.sub = m.Notify(s.tell, false)
	if b.snap, err = m.Sync(ctx); err != nil {
		b.close()
		return err
	}
	s.boxes[name] = b
	return nil
}

func (b *watchedBox) close() {
	b.sub.Cancel()
	b.mbox.Close()
}

func (s *stream) close() {
	for _, b := range s.boxes {
		b.close()
	}
}

// lookAround looks which mailboxes there are, and listens to as many as it may.
func (s *stream) lookAround(ctx context.Context) {
	list, err := s.n.folders(ctx)
	if err != nil {
		return // the next look tells
	}
	var tree strings.Builder
	there := make(map[string]bool)
	for _, f := range list {
		fmt.Fprintf(&tree, "%q %v %s %s\n", f.Name, f.NonExistent, f.Rights, f.SpecialUse)
		there[f.Name] = f.Link != ""
	}
	if s.tree != "" && s.tree != tree.String() {
		s.send("tree", "")
	}
	s.tree = tree.String()
	for name, b := range s.boxes {
		if !there[name] && name != s.page {
			b.close()
			delete(s.boxes, name)
			delete(s.told, name)
		}
	}
	for _, f := range list {
		switch {
		case !there[f.Name] || s.boxes[f.Name] != nil:
		case len(s.boxes) < maxWatched:
			_ = s.watch(ctx, f.Name) // what cannot be opened now is tried again
		default:
			if s.n.count(ctx, &f); f.Total >= 0 {
				s.count(f.Name, f.Unread)
			}
		}
	}
}

// look tells of what has changed in the mailboxes that are open.
func (s *stream) look(ctx context.Context) {
	for _, name := range slices.Sorted(maps.Keys(s.boxes)) {
		b := s.boxes[name]
		now := b.mbox.Current()
		_, err := b.mbox.Refresh()
		if now.Gone() || errors.Is(err, account.ErrNoRight) || errors.Is(err, account.ErrNoFolder) {
			b.close()
			delete(s.boxes, name)
			delete(s.told, name)
			if name == s.page {
				s.send("gone", "")
				s.cancel()
				return
			}
			s.tree = " " // so that the page looks, too
			s.lookAround(ctx)
			continue
		}
		if now == b.snap {
			continue
		}
		before := b.snap
		b.snap = now
		changed := now.Len() != before.Len() || now.UIDNext() != before.UIDNext()
		if !changed {
			before.Diff(now, func(int, uint32) { changed = true }, func(int) { changed = true })
		}
		if !changed {
			continue
		}
		if name == s.page {
			s.send("list", "")
		}
		if now.UIDNext() > before.UIDNext() && (name == s.page || name == inbox) {
			s.announce(ctx, b.mbox, now, before.UIDNext())
		}
	}
	s.tellCounts(ctx)
}

// count notes an unread count; changed ones are told by tellCounts.
func (s *stream) count(name string, unread int) (changed bool) {
	old, known := s.told[name]
	s.told[name] = unread
	return !known || old != unread
}

// tellCounts tells of the unread messages of mailboxes where they are others than the page knows.
func (s *stream) tellCounts(context.Context) {
	counts := make(map[string]int)
	for name, b := range s.boxes {
		if n := b.snap.Unseen(); s.count(name, n) {
			counts[name] = n
		}
	}
	if len(counts) > 0 {
		s.sendJSON("counts", counts)
	}
}

// announced is a message that has come.
type announced struct {
	Box     string `json:"box"`
	From    string `json:"from"`
	Subject string `json:"subject"`
	Link    string `json:"link"`
}

// announce tells of unread messages whose UIDs are from on, the last ones first.
func (s *stream) announce(ctx context.Context, m *account.Mailbox, now *account.Snapshot, from uint32) {
	rd := m.Read(ctx)
	defer rd.Close()
	var list []announced
	for i := now.Len() - 1; i >= now.Index(from) && len(list) < maxAnnounced; i-- {
		if now.Flags(i)&account.Seen != 0 {
			continue
		}
		rd.Seek(now, i)
		rec, err := rd.Record()
		if err != nil {
			continue // gone again
		}
		fields, err := listed(rd, rec)
		if err != nil {
			continue
		}
		list = append(list, announced{
			Box: m.Name(), From: names(message.ParseAddresses(fields["from"])),
			Subject: message.Printable(message.DecodeText(fields["subject"])),
			Link:    boxLink("/message", m.Name(), now.UIDValidity(), "uid", uidText(now.UID(i))),
		})
	}
	if len(list) > 0 {
		s.sendJSON("mail", list)
	}
}

func (s *stream) sendJSON(event string, data any) {
	text, err := json.Marshal(data)
	if err != nil {
		s.failed = err
		return
	}
	s.send(event, string(text))
}

// send writes an event; data has no line ends.
func (s *stream) send(event, data string) { s.write("event: " + event + "\ndata: " + data + "\n\n") }

func (s *stream) write(text string) {
	if s.failed != nil {
		return
	}
	if _, s.failed = s.w.Write([]byte(text)); s.failed == nil {
		s.failed = s.ctl.Flush()
	}
}

// addStream counts a stream of the session, and ends the oldest if there are too many. What it gives takes the stream out.
func (n *session) addStream(s *stream) (remove func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.streams = append(n.streams, s)
	if len(n.streams) > maxStreams {
		n.streams[0].cancel()
		n.streams = slices.Delete(n.streams, 0, 1)
	}
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if i := slices.Index(n.streams, s); i >= 0 {
			n.streams = slices.Delete(n.streams, i, i+1)
		}
	}
}

// sidebarPart is the pane of folders alone, for a page that was told that there are others.
func sidebarPart(w http.ResponseWriter, r *http.Request, n *session) error {
	s, err := n.sidebar(r.Context(), r.FormValue("box"))
	if err != nil {
		return err
	}
	return n.fragment(w, r, "sidebar", sidebarData{s})
}

type sidebarData struct{ Folders *sidebar }
