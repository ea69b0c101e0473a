package order

import (
	"context"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestBaseSubject(t *testing.T) {
	for _, c := range []struct {
		in, want string
		reply    bool
	}{
		{"Plan", "Plan", false},
		{"Re: Plan", "Plan", true},
		{"RE[2]: re :Fwd: Plan", "Plan", true},
		{"[list] Re: [list] Plan", "Plan", true},
		{"[list] Plan", "Plan", false},
		{"[list]", "[list]", false},
		{"Plan (fwd) (FWD)", "Plan", true},
		{"[fwd: Re: Plan]", "Plan", true},
		{"AW: WG: Plan", "Plan", true},
		{"  a \t b  ", "a b", false},
		{"Re:", "", true},
		{"Result: fine", "Result: fine", false},
		{"[a[b] x", "[a[b] x", false},
	} {
		if got, reply := BaseSubject(c.in); got != c.want || reply != c.reply {
			t.Errorf("%q: %q %v", c.in, got, reply)
		}
	}
}

// letter makes a message: its number is its Message-ID, "-" for none.
func letter(id, refs, subject string, minute int) string {
	m := "Subject: " + subject + "\nFrom: x@example.org\nDate: " + time.Date(2026, 3, 1, 0, minute, 0, 0, time.UTC).Format(time.RFC1123Z) + "\n"
	if id != "-" {
		m += "Message-ID: <" + id + "@x>\n"
	}
	if refs != "" {
		m += "References:"
		for r := range strings.FieldsSeq(refs) {
			m += " <" + r + "@x>"
		}
		m += "\n"
	}
	return m + "\ntext\n"
}

func (b *box) threads(x *Index) string {
	b.t.Helper()
	threads, err := x.Threads(b.t.Context(), b.mbox, b.sync())
	must(b.t, err)
	var out []string
	for i := range threads.Len() {
		var s strings.Builder
		for _, n := range threads.Thread(i) {
			fmt.Fprintf(&s, "%s%d", strings.Repeat(".", int(n.Depth)), n.UID)
		}
		out = append(out, s.String())
	}
	return strings.Join(out, " ")
}

func newIndex() *Index { return &Index{seed: maphash.MakeSeed()} }

func TestThreads(t *testing.T) {
	for name, c := range map[string]struct {
		mails []string
		want  string
	}{
		"answers":            {[]string{letter("a", "", "S", 1), letter("b", "a", "Re: S", 2), letter("c", "a b", "Re: S", 3), letter("d", "a", "Re: S", 4)}, "1.2..3.4"},
		"alone":              {[]string{letter("a", "", "S", 1), letter("b", "", "T", 2)}, "1 2"},
		"reports stay apart": {[]string{letter("a", "", "S", 1), letter("b", "", "S", 2)}, "1 2"},
		"by subject":         {[]string{letter("a", "", "S", 1), letter("b", "", "Re: S", 2), letter("c", "", "Re: S", 3)}, "1.2.3"},
		"original is gone":   {[]string{letter("b", "a", "Re: S", 1), letter("c", "a", "Re: S", 2)}, "1.2"},
		"by subject alone":   {[]string{letter("b", "", "Re: S", 1), letter("c", "", "Re: S", 2)}, "1.2"},
		"one dummy":          {[]string{letter("b", "a", "S", 1)}, "1"},
		"same Message-ID":    {[]string{letter("a", "", "S", 1), letter("a", "", "T", 2), letter("b", "a", "U", 3)}, "2 1.3"},
		"no Message-ID":      {[]string{letter("-", "", "S", 1), letter("-", "", "T", 2)}, "1 2"},
		"circle":             {[]string{letter("a", "b", "S", 1), letter("b", "a", "T", 2)}, "2.1"},
		"of itself":          {[]string{letter("a", "a", "S", 1)}, "1"},
		"children by date":   {[]string{letter("a", "", "S", 1), letter("c", "a", "T", 9), letter("b", "a", "U", 5)}, "1.3.2"},
		"dummies between":    {[]string{letter("a", "", "S", 1), letter("d", "a x y", "T", 2)}, "1.2"},
		"newest thread last": {[]string{letter("a", "", "S", 1), letter("b", "", "T", 2), letter("c", "a", "U", 3)}, "2 1.3"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := newBox(t, c.mails...).threads(newIndex()); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// TestFollow: an index that follows deliveries and removals says what a new one says.
func TestFollow(t *testing.T) {
	mails := conversations(300)
	b := newBox(t, mails[:100]...)
	r := rand.New(rand.NewPCG(3, 3))
	old := newIndex()
	for at := 100; at < len(mails); at += 50 {
		for _, m := range mails[at : at+50] {
			b.deliver(m)
		}
		snap := b.sync()
		var gone []uint32
		for i := range snap.Len() {
			if r.IntN(3) == 0 {
				gone = append(gone, snap.UID(i))
			}
		}
		b.remove(gone...)
		snap = b.sync()
		fresh := newIndex()
		for _, by := range []By{Sent, From, Subject, Size} {
			want, err := fresh.Sorted(t.Context(), b.mbox, snap, by)
			must(t, err)
			got, err := old.Sorted(t.Context(), b.mbox, snap, by)
			must(t, err)
			if !slices.Equal(got, want) || len(got) != snap.Len() {
				t.Fatalf("order %d: %v, want %v", by, got, want)
			}
		}
		if got, want := b.threads(old), b.threads(fresh); got != want {
			t.Fatalf("threads: %s, want %s", got, want)
		}
	}
}

// TestUnfinished: what was read before the context ended is not read again.
func TestUnfinished(t *testing.T) {
	b := newBox(t, conversations(200)...)
	x := newIndex()
	ctx := &fewLooks{Context: t.Context(), left: 2}
	if _, err := x.Sorted(ctx, b.mbox, b.sync(), Sent); err != context.Canceled {
		t.Fatal(err)
	}
	if n := x.Len(); n == 0 || n == 200 {
		t.Fatal(n, "messages are known")
	}
	uids, err := x.Sorted(t.Context(), b.mbox, b.sync(), Sent)
	if err != nil || len(uids) != 200 {
		t.Error(len(uids), err)
	}
}

// fewLooks is a context that is cancelled after some looks at it.
type fewLooks struct {
	context.Context
	left int
}

func (c *fewLooks) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// TestHostileChains: references made to be climbed for ever take no time to speak of, and lose no message.
func TestHostileChains(t *testing.T) {
	x := newIndex()
	const n = 50_000
	for i := range uint32(n) {
		at := uint32(len(x.refs))
		x.refs = append(x.refs, uint64(n-i), uint64(i+2), uint64(i+1)^1, uint64(1+(i*7919)%n))
		x.entries = append(x.entries, entry{uid: i + 1, id: uint64(i + 1), ref: at, nref: 4})
	}
	begun := time.Now()
	f := newForest(x)
	f.link()
	f.prune()
	f.gather()
	threads := f.flatten()
	if d := time.Since(begun); d > 10*time.Second {
		t.Error("it took", d)
	}
	seen := make(map[uint32]bool)
	for _, node := range threads.nodes {
		seen[node.UID] = true
	}
	if len(seen) != n || len(threads.nodes) != n {
		t.Errorf("%d nodes, %d messages of %d", len(threads.nodes), len(seen), n)
	}
}

// TestBook: what was used least recently goes first.
func TestBook(t *testing.T) {
	b := newBox(t, letter("a", "", "S", 1))
	now := time.Unix(0, 0)
	book := NewBook(1, func() time.Time { now = now.Add(time.Second); return now })
	must(t, b.user.Create(t.Context(), "Work", ""))
	other, err := b.user.Select(t.Context(), "Work", true)
	must(t, err)
	defer other.Close()
	first := book.Index(b.sync())
	if book.Index(b.sync()) != first {
		t.Error("a mailbox has two indexes")
	}
	book.Index(other.Current()) // it is empty, so both have room
	if book.Index(b.sync()) != first {
		t.Error("the index went although there was room")
	}
	small := NewBook(0, book.clock)
	first = small.Index(b.sync())
	small.Index(other.Current())
	if len(small.indexes) != 1 || small.Index(b.sync()) == first {
		t.Error("the index stayed although there was no room")
	}
	book.Forget(now.Add(time.Second))
	if len(book.indexes) != 0 {
		t.Error(len(book.indexes), "indexes are left")
	}
}
