package outbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postroom/internal/account"
	"postroom/internal/compose"
	"postroom/internal/submit"
)

// script is a Sender that answers each attempt as it is told, and remembers what it got.
type script struct {
	mu      sync.Mutex
	answers []func(m submit.Message) submit.Result // guarded by mu: of the next attempts; all is accepted after them
	got     []string                               // guarded by mu: recipients and text
}

func (s *script) Send(ctx context.Context, m submit.Message) submit.Result {
	r, err := m.Open()
	if err != nil {
		return submit.All(m, submit.Again, err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil || int64(len(text)) != m.Size {
		return submit.All(m, submit.Again, fmt.Errorf("%d octets, %d announced, %v", len(text), m.Size, err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, strings.Join(m.To, ",")+"\n"+string(text))
	if len(s.answers) == 0 {
		return submit.All(m, submit.Accepted, nil)
	}
	answer := s.answers[0]
	s.answers = s.answers[1:]
	return answer(m)
}

func (s *script) attempts() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

func all(o submit.Outcome) func(submit.Message) submit.Result {
	return func(m submit.Message) submit.Result { return submit.All(m, o, errors.New("said "+string(o))) }
}

// first gives the first recipient one outcome, the rest another.
func first(o, rest submit.Outcome) func(submit.Message) submit.Result {
	return func(m submit.Message) submit.Result {
		r := submit.All(m, rest, errors.New("said "+string(rest)))
		r.Recipients[0].Outcome, r.Recipients[0].Text = o, "said "+string(o)
		return r
	}
}

// world is a user with an Outbox.
type world struct {
	t        *testing.T
	accounts *account.Service
	user     *account.User
	sender   *script
	service  *Service
}

func newWorld(t *testing.T, answers ...func(submit.Message) submit.Result) *world {
	t.Helper()
	accounts, err := account.New(account.Config{Root: t.TempDir() + "/{user}"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(accounts.Close)
	w := &world{t: t, accounts: accounts, sender: &script{answers: answers}}
	if w.user, err = accounts.Open(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.user.Close)
	w.start(nil)
	return w
}

func (w *world) start(change func(*Options)) {
	opt := Options{
		Accounts: w.accounts, Sender: w.sender, Names: func() []string { return []string{"nobody", "alice"} },
		Has: func(string) bool { return true }, Backoff: func(int) time.Duration { return 10 * time.Millisecond }, Lease: 300 * time.Millisecond,
	}
	if change != nil {
		change(&opt)
	}
	service := New(opt)
	w.service = service
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := service.Close(ctx); err != nil {
			w.t.Error(err)
		}
	})
}

func identity() compose.Identity { return compose.Identity{Now: time.Now(), Rand: rand.Reader} }

func (w *world) put(to string) *compose.Draft {
	w.t.Helper()
	d := &compose.Draft{From: compose.Address{Addr: "alice@example.org"}, To: to, Bcc: "secret@example.org", Subject: "Hello", Text: "Hi\n"}
	if err := w.service.Put(w.t.Context(), w.user, d, identity()); err != nil {
		w.t.Fatal(err)
	}
	return d
}

// messages tells what is in a mailbox: flags and keywords of each.
func (w *world) messages(box string) (out []string) {
	w.t.Helper()
	m, err := w.user.Select(w.t.Context(), box, true)
	if errors.Is(err, account.ErrNoFolder) {
		return nil
	}
	if err != nil {
		w.t.Fatal(err)
	}
	defer m.Close()
	snap, err := m.Sync(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range snap.Len() {
		out = append(out, string(snap.AppendFlags(nil, i)))
	}
	return out
}

func (w *world) list() ([]Entry, []Notice) {
	w.t.Helper()
	entries, notices, err := w.service.List(w.t.Context(), w.user)
	if err != nil {
		w.t.Fatal(err)
	}
	return entries, notices
}

func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			entries, notices := w.list()
			w.t.Fatalf("%s: never; entries %+v, notices %+v, Outbox %v, Sent %v", what, entries, notices, w.messages(Box), w.messages(sent))
		}
	}
}

func (w *world) done() {
	w.t.Helper()
	w.eventually("sent", func() bool {
		st, err := read(w.user)
		return err == nil && len(st.Entries) == 0 && len(w.messages(Box)) == 0 && len(w.messages(sent)) == 1
	})
}

func TestSent(t *testing.T) {
	w := newWorld(t)
	d := w.put("bob@example.org")
	w.done()
	got := w.sender.attempts()
	if len(got) != 1 || !strings.HasPrefix(got[0], "bob@example.org,secret@example.org\n") || strings.Contains(strings.SplitN(got[0], "\n", 2)[1], "secret") ||
		!strings.Contains(got[0], "Message-Id: <"+d.MessageID+">") {
		t.Errorf("the server got %q", got)
	}
	if f := w.messages(sent)[0]; !strings.Contains(f, `\Seen`) || !strings.Contains(f, submittedKeyword) || strings.Contains(f, pendingKeyword) {
		t.Errorf("flags in Sent: %s", f)
	}
}

// TestOriginal has the answered message marked.
func TestOriginal(t *testing.T) {
	for kind, want := range map[compose.Kind]string{compose.ReplyAll: `\Answered`, compose.Forward: forwardedKeyword} {
		w := newWorld(t)
		a, err := w.user.Append(t.Context(), "INBOX", account.AppendOptions{})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(a, "Subject: x\r\n\r\nx\r\n")
		validity, uids, err := account.Commit(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		d := &compose.Draft{From: compose.Address{Addr: "alice@example.org"}, To: "b@example.org",
			Original: compose.Original{Kind: kind, Box: "INBOX", UIDValidity: validity, UID: uids[0]}}
		if err := w.service.Put(t.Context(), w.user, d, identity()); err != nil {
			t.Fatal(err)
		}
		w.done()
		if f := w.messages("INBOX")[0]; !strings.Contains(f, want) {
			t.Errorf("%s: the original has %s", kind, f)
		}
	}
}

// TestRetry has the server fail in all ways before it takes the message; the Message-ID stays.
func TestRetry(t *testing.T) {
	w := newWorld(t, all(submit.Again), all(submit.Again), first(submit.Accepted, submit.Again), all(submit.Unknown))
	d := w.put("b@example.org, c@example.org")
	w.done()
	var to []string
	for _, got := range w.sender.attempts() {
		to = append(to, strings.SplitN(got, "\n", 2)[0])
		if !strings.Contains(got, "Message-Id: <"+d.MessageID+">") {
			t.Errorf("another message id: %q", got)
		}
	}
	const everybody, rest = "b@example.org,c@example.org,secret@example.org", "c@example.org,secret@example.org"
	if want := []string{everybody, everybody, everybody, rest, rest}; !slices.Equal(to, want) {
		t.Errorf("sent to %q, want %q", to, want)
	}
	_, notices := w.list()
	if len(notices) != 1 || notices[0].Subject != "Hello" {
		t.Fatalf("notices %+v", notices)
	}
	if err := w.service.Dismiss(t.Context(), w.user, notices[0].ID); err != nil {
		t.Fatal(err)
	}
	if _, notices = w.list(); len(notices) != 0 {
		t.Errorf("after Dismiss: %+v", notices)
	}
}

// TestRefused leaves in the Outbox what the server does not take, and tells why.
func TestRefused(t *testing.T) {
	w := newWorld(t, first(submit.Refused, submit.Accepted))
	w.put("b@example.org, c@example.org")
	w.eventually("filed", func() bool { e, _ := w.list(); return len(e) == 1 && e[0].Filed && !e[0].UnderWay(time.Now()) })
	e, _ := w.list()
	if e[0].Refused() != 1 || e[0].Accepted() != 2 || e[0].Recipients[0].Text != "said refused" {
		t.Errorf("%+v", e[0])
	}
	if n := len(w.messages(sent)); n != 1 || len(w.messages(Box)) != 1 {
		t.Errorf("%d in Sent, %d in Outbox", n, len(w.messages(Box)))
	}
	box, v, uid, err := w.service.TakeBack(t.Context(), w.user, e[0].UIDValidity, e[0].UID, identity())
	if err != nil || box != drafts || v == 0 || uid == 0 {
		t.Fatalf("TakeBack: %q %d %d %v", box, v, uid, err)
	}
	if len(w.messages(Box)) != 0 || len(w.messages(drafts)) != 1 || len(w.messages(sent)) != 1 {
		t.Errorf("Outbox %v, Drafts %v, Sent %v", w.messages(Box), w.messages(drafts), w.messages(sent))
	}
	if e, _ := w.list(); len(e) != 0 || len(w.sender.attempts()) != 1 {
		t.Errorf("entries %+v after %d attempts", e, len(w.sender.attempts()))
	}
}

func TestTakeBackAndSendNow(t *testing.T) {
	w := newWorld(t)
	long := func(o *Options) { o.Backoff = func(int) time.Duration { return time.Hour } }
	w.start(long)
	w.sender.mu.Lock()
	w.sender.answers = append(w.sender.answers, all(submit.Again), all(submit.Refused))
	w.sender.mu.Unlock()
	w.put("b@example.org")
	w.eventually("an attempt", func() bool { e, _ := w.list(); return len(e) == 1 && e[0].Attempts == 1 })
	e, _ := w.list()
	if e[0].Error != "said again" {
		t.Errorf("error %q", e[0].Error)
	}
	w.eventually("no keyword", func() bool { return !strings.Contains(w.messages(Box)[0], pendingKeyword) })
	if err := w.service.SendNow(t.Context(), w.user, e[0].UIDValidity, e[0].UID); err != nil {
		t.Fatal(err)
	}
	w.eventually("a refusal", func() bool { e, _ := w.list(); return len(e) == 1 && e[0].Refused() == 2 && !e[0].UnderWay(time.Now()) })
	if err := w.service.SendNow(t.Context(), w.user, e[0].UIDValidity, e[0].UID); err != nil {
		t.Fatal(err)
	}
	w.done()
	if err := w.service.SendNow(t.Context(), w.user, e[0].UIDValidity, e[0].UID); !errors.Is(err, ErrNoEntry) {
		t.Errorf("SendNow of what is gone: %v", err)
	}
	if _, _, _, err := w.service.TakeBack(t.Context(), w.user, e[0].UIDValidity, e[0].UID, identity()); !errors.Is(err, ErrNoEntry) {
		t.Errorf("TakeBack of what is gone: %v", err)
	}
}

// TestDied finds what a process left that died while it was sending: it is sent again, and the user is told.
func TestDied(t *testing.T) {
	w := newWorld(t)
	hang := make(chan struct{})
	w.start(func(o *Options) { o.Sender = hanging(hang) })
	dead := w.service
	d := w.put("b@example.org")
	<-hang
	e, _ := w.list()
	if !e[0].UnderWay(time.Now()) || !strings.Contains(w.messages(Box)[0], pendingKeyword) {
		t.Errorf("while it is sent: %+v, flags %v", e[0], w.messages(Box))
	}
	if _, _, _, err := w.service.TakeBack(t.Context(), w.user, e[0].UIDValidity, e[0].UID, identity()); !errors.Is(err, ErrUnderWay) {
		t.Errorf("TakeBack while it is sent: %v", err)
	}
	// Like a process that was killed: nothing of the attempt is written down.
	if err := edit(t.Context(), w.user, func(st *state) error { st.Entries[0].ID = "other"; return nil }); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = dead.Close(ctx)
	if err := edit(t.Context(), w.user, func(st *state) error { st.Entries[0].ID = d.MessageID; return nil }); err != nil {
		t.Fatal(err)
	}
	w.start(nil)
	w.done()
	if _, notices := w.list(); len(notices) != 1 || len(w.sender.attempts()) != 1 {
		t.Errorf("notices %+v, %d attempts", notices, len(w.sender.attempts()))
	}
}

type hanging chan struct{}

func (h hanging) Send(ctx context.Context, m submit.Message) submit.Result {
	h <- struct{}{}
	<-ctx.Done()
	return submit.All(m, submit.Unknown, ctx.Err())
}

// TestForeign does not send what somebody put into the Outbox, and sends nothing that was deleted there.
func TestForeign(t *testing.T) {
	w := newWorld(t, all(submit.Again))
	w.put("b@example.org")
	w.eventually("an attempt", func() bool { return len(w.sender.attempts()) >= 1 })
	m, err := w.user.Select(t.Context(), Box, false)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	w.done()
	a, err := w.user.Append(t.Context(), Box, account.AppendOptions{})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(a, "From: alice@example.org\r\nTo: b@example.org\r\nSubject: forged\r\n\r\nx\r\n")
	if _, _, err := account.Commit(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	w.put("gone@example.org")
	w.eventually("the second", func() bool { return len(w.messages(sent)) == 2 })
	e, _ := w.list()
	if len(e) != 1 || e[0].ID != "" || len(w.messages(Box)) != 1 {
		t.Errorf("entries %+v, Outbox %v", e, w.messages(Box))
	}
	for _, got := range w.sender.attempts() {
		if strings.Contains(got, "forged") {
			t.Error("a message that is not the user's was sent")
		}
	}
}

// TestDeleted takes a deletion for a taking back.
func TestDeleted(t *testing.T) {
	w := newWorld(t)
	w.start(func(o *Options) { o.Backoff = func(int) time.Duration { return 200 * time.Millisecond } })
	w.sender.mu.Lock()
	w.sender.answers = append(w.sender.answers, all(submit.Again))
	w.sender.mu.Unlock()
	w.put("b@example.org")
	w.eventually("an attempt", func() bool { e, _ := w.list(); return len(e) == 1 && e[0].Attempts == 1 })
	m, err := w.user.Select(t.Context(), Box, false)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Remove(t.Context(), []uint32{m.Current().UID(0)}); err != nil {
		t.Fatal(err)
	}
	w.eventually("forgotten", func() bool { st, err := read(w.user); return err == nil && len(st.Entries) == 0 })
	if n := len(w.sender.attempts()); n != 1 || len(w.messages(sent)) != 0 {
		t.Errorf("%d attempts, Sent %v", n, w.messages(sent))
	}
}
