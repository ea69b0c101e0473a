package search

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postroom/internal/account"
)

// first is a key that matches all, and does something when the first message is tried.
func first(do func()) Key {
	return Test(CostNone, func(m *Candidate) (bool, error) {
		if m.Index() == 0 {
			do()
		}
		return true, nil
	})
}

// TestNow: a search goes through what was told, and finds it as it is now. What has come since is not told yet; what has
// gone since has the flags that were told.
func TestNow(t *testing.T) {
	b := newBox(t, letters...)
	told := b.mbox.Current()
	b.store(3, account.StoreAdd, account.Seen)
	b.store(2, account.StoreRemove, account.Seen)
	must(t, b.mbox.Remove(t.Context(), []uint32{1}))
	b.append(letters[0])
	for asked, r := range map[string]struct {
		key  Key
		want string
	}{
		"ALL":           {All(), all},
		"SEEN":          {Flag(account.Seen), "plain empty"},
		"UNSEEN":        {Not(Flag(account.Seen)), "words bad parts long"},
		"KEYWORD work":  {Keyword("work"), "plain words"},
		"FROM ann":      {Header("From", "ann"), "empty"},
		"SEEN FROM ann": {And(Flag(account.Seen), Header("From", "ann")), "empty"},
	} {
		if got := b.find(told, r.key); got != r.want {
			t.Errorf("%s: %q, want %q", asked, got, r.want)
		}
	}
	if got, want := b.find(b.sync(), Flag(account.Seen)), "empty plain"; got != want {
		t.Errorf("once that was told: %q, want %q", got, want)
	}
}

// TestBackwards: the order of what is found is the walk's.
func TestBackwards(t *testing.T) {
	b := newBox(t, letters...)
	told := b.mbox.Current()
	for _, r := range []struct {
		key  Key
		want string
	}{{All(), "long parts bad empty words plain"}, {Header("From", "ann"), "empty plain"}, {Body("all"), "long words"}} {
		if got := b.walk(told, told.Backwards(), r.key); got != r.want {
			t.Errorf("%q, want %q", got, r.want)
		}
	}
}

// TestVanishes: what must be read of a message and cannot, because it was expunged while the search went on, is
// neither so nor not so, and is no failure. Another session removes it, or another program its file.
func TestVanishes(t *testing.T) {
	reads := map[string]Key{
		"FROM":        Header("From", "ann@"),
		`HEADER ""`:   Header("X-Two", ""),
		"SENTON":      Sent(On, at(1, 0, 0)),
		"dated":       Dated(On, at(1, 0, 0), time.UTC),
		"LARGER":      Larger(1),
		"BODY":        Body("x"),
		"TEXT":        Text("ann"),
		"attached":    Attachment(),
		"OR OR":       Or(Header("Subject", "zz"), Text("ann")),
		"FROM LARGER": And(Header("From", "ann"), Larger(1)),
	}
	ways := []string{"removed", "unlinked"}
	victims := make([]letter, 2*len(ways)*len(reads)) // nobody has looked at them
	for i := range victims {
		victims[i] = letter{name: fmt.Sprint(i), arrived: at(11, 0, 0), text: fmt.Sprintf("X-Number: %d\n%s", i, lf(letters[0].text))}
	}
	b := newBox(t, victims...)
	b.uncached()
	i := 0
	for asked, read := range reads {
		for _, key := range []Key{read, Not(read)} {
			for _, way := range ways {
				told, uid := b.mbox.Current(), uint32(i+1)
				if found := b.find(told, And(key, Test(CostNone, func(m *Candidate) (bool, error) {
					if m.UID() != uid {
						return false, nil
					}
					if way == "removed" {
						must(t, b.mbox.Remove(t.Context(), []uint32{uid}))
					} else {
						b.unlink(victims[i].text)
					}
					return true, nil
				}))); found != none {
					t.Errorf("%s, %s: found %q", asked, way, found)
				}
				i++
			}
		}
	}
	if n := b.sync().Len(); n != 0 {
		t.Errorf("%d are left", n)
	}
}

// unlink removes the file that has the text.
func (b *box) unlink(text string) {
	b.t.Helper()
	files, err := filepath.Glob(filepath.Join(b.root, "alice", "[cn]*", "*"))
	must(b.t, err)
	for _, f := range files {
		if got, err := os.ReadFile(f); err == nil && string(got) == text {
			must(b.t, os.Remove(f))
			return
		}
	}
	b.t.Fatalf("no file of %.20q", text)
}

// TestFailed: of a message that cannot be read it is told once, whatever is asked; the others are found. What a cheaper
// test has settled asks no more.
func TestFailed(t *testing.T) {
	b := newBox(t, letters...)
	broken := errors.New("broken")
	bad := Test(CostBody, func(m *Candidate) (bool, error) {
		if m.UID() == 4 {
			return true, broken
		}
		return m.UID()%2 == 0, nil
	})
	for asked, r := range map[string]struct {
		key    Key
		want   string
		failed bool
	}{
		"it":           {bad, "words long", true},
		"NOT":          {Not(bad), "plain empty parts", true},
		"it SEEN":      {And(bad, Flag(account.Seen)), "words", false},
		"it UNSEEN":    {And(bad, Not(Flag(account.Seen))), "long", true},
		"OR it DRAFT":  {Or(bad, Flag(account.Draft)), "words bad long", false},
		"OR it SEEN":   {Or(bad, Flag(account.Seen)), "plain words long", true},
		"OR it it":     {Or(bad, bad), "words long", true},
		"NOT (it ALL)": {Not(And(bad, All())), "plain empty parts", true},
	} {
		var found []string
		failed := 0
		told := b.mbox.Current()
		must(t, Run(t.Context(), b.mbox, told, told.Walk(told), r.key, func(m *Candidate) bool {
			found = append(found, b.letters[m.Index()].name)
			return true
		}, func(uid uint32, err error) {
			if failed++; uid != 4 || !errors.Is(err, broken) {
				t.Errorf("%s: UID %d: %v", asked, uid, err)
			}
		}))
		if got := strings.Join(found, " "); got != r.want || failed == 1 != r.failed || failed > 1 {
			t.Errorf("%s: %q, failed %d times; want %q, %v", asked, got, failed, r.want, r.failed)
		}
	}
}

// TestEnds: a search ends where found says that this is enough, and where nobody waits for it any more. Then no message
// is told to be at fault.
func TestEnds(t *testing.T) {
	b := newBox(t, letters...)
	told := b.mbox.Current()
	run := func(ctx context.Context, key Key, most int) (n int, err error) {
		err = Run(ctx, b.mbox, told, told.Walk(told), key, func(*Candidate) bool {
			n++
			return n < most
		}, func(uid uint32, err error) { t.Errorf("UID %d: %v", uid, err) })
		return n, err
	}
	if n, err := run(t.Context(), All(), 2); n != 2 || err != nil {
		t.Errorf("after two: %d, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if n, err := run(ctx, And(Text(".org"), first(cancel)), 9); n != 1 || !errors.Is(err, context.Canceled) {
		t.Errorf("after the first: %d, %v", n, err)
	}
	if n, err := run(ctx, All(), 9); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("before it began: %d, %v", n, err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	if n, err := run(ctx, Test(CostInfo, func(m *Candidate) (bool, error) {
		if m.Index() == 2 {
			cancel()
			return false, errors.New("cut short")
		}
		return true, nil
	}), 9); n != 2 || !errors.Is(err, context.Canceled) {
		t.Errorf("while one was read: %d, %v", n, err)
	}
}
