package webmail

import (
	"bufio"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// listener is a page that hears events.
type listener struct {
	t      testing.TB
	events chan [2]string // name and data; closed when the stream ends
	close  func()
}

func (b *browser) listen(path string) *listener {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.base+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	resp, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		b.t.Fatal("status", resp.StatusCode)
	}
	l := &listener{t: b.t, events: make(chan [2]string, 100), close: func() { resp.Body.Close() }}
	b.t.Cleanup(l.close)
	go func() { // ends with the body
		defer close(l.events)
		name := ""
		for in := bufio.NewScanner(resp.Body); in.Scan(); {
			if event, ok := strings.CutPrefix(in.Text(), "event: "); ok {
				name = event
			} else if data, ok := strings.CutPrefix(in.Text(), "data: "); ok {
				l.events <- [2]string{name, data}
			}
		}
	}()
	return l
}

// want waits for an event whose data holds a text; others may come before it.
func (l *listener) want(name, text string) {
	l.t.Helper()
	end := time.After(10 * time.Second)
	for {
		select {
		case e, ok := <-l.events:
			if !ok {
				l.t.Fatalf("the stream has ended before %s %q", name, text)
			}
			if e[0] == name && strings.Contains(e[1], text) {
				return
			}
		case <-end:
			l.t.Fatalf("no %s %q", name, text)
		}
	}
}

// TestLive: what others do to mailboxes is told to a page that is open.
func TestLive(t *testing.T) {
	s := newSite(t)
	s.folder("alice", "Work")
	b := s.login("alice")
	l := b.listen("/events?box=INBOX")
	l.want("counts", `"INBOX":0`)
	l.want("list", "")
	// A delivery by a file.
	path := filepath.Join(s.root("alice"), "new", "1700000000.M1.test")
	if err := os.WriteFile(path, []byte(mail("Zoe <zoe@example.org>", "Hello", "Hi")), 0o600); err != nil {
		t.Fatal(err)
	}
	l.want("list", "")
	l.want("mail", `"subject":"Hello"`)
	l.want("counts", `"INBOX":1`)
	// Another mailbox than the page's.
	v, uids := s.append("alice", "Work", 0, mail("bob@example.org", "Task", "Do"))
	l.want("counts", `"Work":1`)
	b.post("/act", "do", "read", "m", keyOf("Work", v, uids[0]))
	l.want("counts", `"Work":0`)
	b.fragment("/sidebar?box=INBOX").want(t, http.StatusOK, `data-box="Work"`, `<span class="count"`, "!<html")
	// The session ends, and the stream with it.
	b.post("/logout")
	for range l.events {
	}
}

// TestLiveRightLost: who may not read the page's mailbox any more hears of it, and then nothing.
func TestLiveRightLost(t *testing.T) {
	s := newSite(t)
	s.folder("alice", "Shared")
	s.grant("alice", "Shared", "bob", "lr")
	b := s.login("bob")
	l := b.listen("/events?box=" + "Other+Users/alice/Shared")
	l.want("list", "")
	s.grant("alice", "Shared", "bob", "l")
	l.want("gone", "")
	s.append("alice", "Shared", 0, mail("carol@example.org", "Secret", "x"))
	for e := range l.events {
		if e[0] == "list" || e[0] == "mail" {
			t.Error("told of what may not be read:", e)
		}
	}
}

// TestStreamsAreFew: a session's fifth stream ends its first.
func TestStreamsAreFew(t *testing.T) {
	s := newSite(t)
	b := s.login("alice")
	first := b.listen("/events")
	first.want("list", "")
	for range maxStreams {
		b.listen("/events").want("list", "")
	}
	first.want("bye", "")
}

// TestLiveIsNobody: what a page does by itself keeps no session alive.
func TestLiveIsNobody(t *testing.T) {
	s := newSite(t)
	b := s.login("alice")
	s.later(20 * time.Minute)
	b.listen("/events").want("list", "")
	b.head.Set("Postroom-Live", "1")
	b.fragment("/").want(t, http.StatusOK)
	b.head.Del("Postroom-Live")
	s.later(15 * time.Minute)
	b.get("/").want(t, http.StatusSeeOther)
}
