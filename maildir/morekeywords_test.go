package maildir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// numbered makes keywords.
func numbered(word string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint(word, i)
	}
	return out
}

// wantKeywords compares the keywords of a message, without order.
func wantKeywords(t *testing.T, what string, s *Snapshot, uid uint32, want ...string) {
	t.Helper()
	i, ok := s.Find(uid)
	if !ok {
		t.Errorf("%s: UID %d is not there", what, uid)
		return
	}
	got := s.Keywords(i)
	slices.Sort(got)
	want = slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Errorf("%s: UID %d has %d keywords %.200q, not %d %.200q", what, uid, len(got), got, len(want), want)
	}
	for _, k := range want {
		if !s.HasKeyword(i, strings.ToUpper(k)) {
			t.Errorf("%s: UID %d: not found by %s", what, uid, strings.ToUpper(k))
		}
	}
	if text := flagsText(s, i); len(strings.Fields(text))-strings.Count(text, `\`) != len(want) {
		t.Errorf("%s: UID %d: told as %q", what, uid, text)
	}
}

// moreTree makes a tree with three messages in INBOX, of which the first has 300 keywords.
func moreTree(t *testing.T, opt Options) (dir string, s *Store, f *Folder) {
	dir = filepath.Join(t.TempDir(), "Maildir")
	s = testStore(t, opt)
	tree := testTree(t, s, dir)
	for i, name := range []string{"a", "b", "c"} {
		put(t, fmt.Sprintf("%s/cur/100%d.%s:2,S", dir, i, name), "x\n\n")
	}
	f = open(t, tree, Inbox)
	_, err := f.Store(t.Context(), []uint32{1}, Change{Op: StoreAdd, Keywords: numbered("k", 300)})
	must(t, err)
	return dir, s, f
}

func store(t *testing.T, f *Folder, uids []uint32, op StoreOp, keywords ...string) *Snapshot {
	t.Helper()
	res, err := f.Store(t.Context(), uids, Change{Op: op, Keywords: keywords})
	must(t, err)
	return res.Snapshot
}

func TestMoreKeywords(t *testing.T) {
	bothWays(t, func(t *testing.T, opt Options) {
		dir, s, f := moreTree(t, opt)
		defer f.Close()
		wantKeywords(t, "added", f.Snapshot(), 1, numbered("k", 300)...)
		before := f.Snapshot()
		// With and without letter in one command, in whatever case; whom it does not change keeps its MODSEQ.
		now := store(t, f, []uint32{1, 2}, StoreAdd, "K3", "k299", "K200")
		wantKeywords(t, "more added", now, 2, "k3", "k299", "k200")
		if now.ModSeq(0) != before.ModSeq(0) || now.ModSeq(1) <= before.ModSeq(1) || now.HighestModSeq() != now.ModSeq(1) {
			t.Errorf("MODSEQs %d %d, then %d %d of %d", before.ModSeq(0), before.ModSeq(1), now.ModSeq(0), now.ModSeq(1), now.HighestModSeq())
		}
		now = store(t, f, []uint32{1, 2}, StoreRemove, "K299", "k3", "unheard-of")
		wantKeywords(t, "removed", now, 2, "k200")
		if i, _ := now.Find(1); now.HasKeyword(i, "k299") || now.HasKeyword(i, "k3") || now.HasKeyword(i, "unheard-of") {
			t.Error("removed keywords are there")
		}
		now = store(t, f, []uint32{1}, StoreReplace, "k1", "k100", "New")
		wantKeywords(t, "replaced", now, 1, "k1", "k100", "New")
		wantKeywords(t, "untouched", now, 3)
		text, err := os.ReadFile(dir + "/" + moreKeywordsName)
		must(t, err)
		if !strings.HasSuffix(string(text), "k100 New :1000.a\n") {
			t.Errorf("%q", text)
		}
		now = store(t, f, []uint32{1, 2}, StoreReplace)
		wantKeywords(t, "cleared", now, 1)
		if text, _ = os.ReadFile(dir + "/" + moreKeywordsName); !strings.HasSuffix(string(text), "\n:1000.a\n:1001.b\n") {
			t.Errorf("%q", text)
		}
		// Restart, with and without the index.
		store(t, f, []uint32{2}, StoreAdd, "k7", "k277", "k288")
		f.Close()
		for _, lost := range []bool{false, true} {
			s.Close()
			if lost {
				os.Remove(dir + "/" + indexName)
			}
			s = testStore(t, opt)
			f = open(t, testTree(t, s, dir), Inbox)
			wantKeywords(t, fmt.Sprint("restart, index lost: ", lost), f.Snapshot(), 2, "k7", "k277", "k288")
			wantKeywords(t, "restart", f.Snapshot(), 1)
			if all := f.Snapshot().AllKeywords(); !slices.Contains(all, "k288") {
				t.Errorf("defined are %q", all)
			}
			f.Close()
		}
		f = open(t, testTree(t, s, dir), Inbox)
		// mutt renames, mbsync too.
		must(t, os.Rename(dir+"/cur/1001.b:2,h", dir+"/cur/1001.b,U=5:2,Fh"))
		now, err = f.Sync(t.Context())
		must(t, err)
		wantKeywords(t, "renamed", now, 2, "k7", "k277", "k288")
		now = store(t, f, []uint32{2}, StoreRemove, "k277")
		wantKeywords(t, "after the rename", now, 2, "k7", "k288")
	})
}

func TestMoreKeywordsCopied(t *testing.T) {
	dir, s, f := moreTree(t, Options{})
	defer f.Close()
	ctx := t.Context()
	tree := testTree(t, s, dir)
	must(t, tree.Create(ctx, "Work", nil))
	w := open(t, tree, "Work")
	defer w.Close()
	// In the other folder other keywords have the letters.
	d, err := w.NewDelivery(DeliveryOptions{Keywords: append(numbered("w", 30), "k290")})
	must(t, err)
	_, err = d.Write([]byte("x\r\n\r\n"))
	must(t, err)
	_, _, err = CommitDeliveries(ctx, d)
	must(t, err)
	wantKeywords(t, "appended", w.Snapshot(), 1, append(numbered("w", 30), "k290")...)
	for _, octets := range []bool{false, true} {
		c, err := f.CopyTo(ctx, []uint32{1, 2}, w, CopyOptions{Octets: octets})
		must(t, err)
		wantKeywords(t, "copied", w.Snapshot(), c.To[0], numbered("k", 300)...)
		wantKeywords(t, "copied", w.Snapshot(), c.To[1])
	}
	back, err := w.CopyTo(ctx, []uint32{2}, f, CopyOptions{})
	must(t, err)
	_, err = w.Expunge(ctx, []uint32{2}, false)
	must(t, err)
	wantKeywords(t, "moved back", f.Snapshot(), back.To[0], numbered("k", 300)...)
	// A folder that has no room left takes the message with those that fit.
	must(t, tree.Create(ctx, "Full", nil))
	full := open(t, tree, "Full")
	defer full.Close()
	for i := range 3 {
		d, err := full.NewDelivery(DeliveryOptions{Keywords: numbered(fmt.Sprint("f", i, "."), 340)})
		must(t, err)
		_, _, err = CommitDeliveries(ctx, d)
		must(t, err)
	}
	room := full.Snapshot().CanAddKeyword()
	c, err := f.CopyTo(ctx, []uint32{1}, full, CopyOptions{})
	must(t, err)
	i, _ := full.Snapshot().Find(c.To[0])
	if n := len(full.Snapshot().Keywords(i)); !room || n != maxLetters+maxMoreNames-3*340 || full.Snapshot().CanAddKeyword() {
		t.Errorf("%d keywords fitted; room before: %v", n, room)
	}
	if _, err := full.Store(ctx, c.To, Change{Op: StoreAdd, Keywords: []string{"another"}}); !errors.Is(err, ErrTooMany) {
		t.Error(err)
	}
	// What no message has any more makes room.
	_, err = full.Expunge(ctx, []uint32{3}, false)
	must(t, err)
	wantKeywords(t, "room", store(t, full, []uint32{1}, StoreReplace, "another"), 1, "another")
}

func TestMoreKeywordsBounds(t *testing.T) {
	_, _, f := moreTree(t, Options{})
	defer f.Close()
	if _, err := f.Store(t.Context(), []uint32{2}, Change{Op: StoreAdd, Keywords: numbered("k", maxLetters+maxMoreOfMessage+1)}); !errors.Is(err, ErrTooMany) {
		t.Error(err)
	}
	wantKeywords(t, "too many", f.Snapshot(), 2)
	wantKeywords(t, "as many as go", store(t, f, []uint32{2}, StoreAdd, numbered("k", maxLetters+maxMoreOfMessage)...), 2, numbered("k", maxLetters+maxMoreOfMessage)...)
}

// replace puts a file in the place of another in one step: nobody sees it half.
func replace(t *testing.T, path, content string) {
	t.Helper()
	put(t, path+".new", content)
	must(t, os.Rename(path+".new", path))
}

// The file as others leave it.
func TestMoreKeywordsFile(t *testing.T) {
	bothWays(t, func(t *testing.T, opt Options) {
		dir, s, f := moreTree(t, opt)
		path := dir + "/" + moreKeywordsName
		store(t, f, []uint32{2}, StoreAdd, "k1", "k270")
		sync := func() *Snapshot {
			t.Helper()
			snap, err := f.Sync(t.Context())
			must(t, err)
			return snap
		}
		text, err := os.ReadFile(path)
		must(t, err)
		// A torn line is not there, and is cut off.
		replace(t, path, string(text)+"k280 :100")
		wantKeywords(t, "torn", sync(), 2, "k1", "k270")
		wantKeywords(t, "torn", store(t, f, []uint32{3}, StoreAdd, "k280"), 3, "k280")
		now, err := os.ReadFile(path)
		must(t, err)
		if string(now) != string(text)+"k280 :1002.c\n" {
			t.Errorf("%q", now[len(text):])
		}
		// Bad lines take nothing with them. A file written by hand holds what it says, for clients too.
		before := sync()
		replace(t, path, "no colon\nk270:glued\nk270 :a/b\n:\n(bad) :1001.b\n\xff\xfe\n"+
			"gone :1000.z\nk280 k280 :1002.c\nHand k281 :1001.b\r\n")
		after := sync()
		wantKeywords(t, "by hand", after, 1, numbered("k", 26)...)
		wantKeywords(t, "by hand", after, 2, "k1", "Hand", "k281")
		wantKeywords(t, "by hand", after, 3, "k280")
		if after.ModSeq(0) <= before.ModSeq(0) || after.ModSeq(1) <= before.ModSeq(1) || after.ModSeq(2) != before.ModSeq(2) {
			t.Error("MODSEQs do not tell who changed")
		}
		// A message that comes later has what was noted for it.
		put(t, dir+"/cur/1000.z:2,", "z\n\n")
		wantKeywords(t, "arrived", sync(), 4, "gone")
		// Lost while served: what is known is written again.
		must(t, os.Remove(path))
		wantKeywords(t, "lost", sync(), 2, "k1", "Hand", "k281")
		now, err = os.ReadFile(path)
		must(t, err)
		if string(now) != "Hand k281 :1001.b\nk280 :1002.c\ngone :1000.z\n" {
			t.Errorf("%q", now)
		}
		must(t, os.Remove(path))
		store(t, f, []uint32{3}, StoreRemove, "k280")
		// Lost while not served: the index knows.
		f.Close()
		s.Close()
		must(t, os.Remove(path))
		s = testStore(t, opt)
		f = open(t, testTree(t, s, dir), Inbox)
		defer func() { f.Close() }()
		wantKeywords(t, "lost at rest", sync(), 2, "k1", "Hand", "k281")
		if now, _ = os.ReadFile(path); !strings.Contains(string(now), "Hand k281 :1001.b\n") {
			t.Errorf("%q", now)
		}
		// Dovecot gives a keyword a letter: the message has it once, and loses it when it is told to.
		f.Close()
		s.Close()
		kw, err := os.ReadFile(dir + "/" + keywordsName)
		must(t, err)
		put(t, dir+"/"+keywordsName, strings.Replace(string(kw), "5 k5\n", "5 hand\n", 1))
		must(t, os.Rename(dir+"/cur/1001.b:2,Sb", dir+"/cur/1001.b:2,Sbf"))
		s = testStore(t, opt)
		f = open(t, testTree(t, s, dir), Inbox)
		wantKeywords(t, "letter", f.Snapshot(), 2, "k1", "hand", "k281")
		wantKeywords(t, "letter removed", store(t, f, []uint32{2}, StoreRemove, "HAND"), 2, "k1", "k281")
		// An empty file means that nobody has any.
		replace(t, path, "")
		wantKeywords(t, "emptied", sync(), 2, "k1")
	})
}

func TestMoreKeywordsRewritten(t *testing.T) {
	dir, _, f := moreTree(t, Options{})
	defer f.Close()
	for i := range moreSlack + 20 {
		store(t, f, []uint32{2, 3}, []StoreOp{StoreAdd, StoreRemove}[i%2], "k299")
	}
	data, err := os.ReadFile(dir + "/" + moreKeywordsName)
	must(t, err)
	if n := strings.Count(string(data), "\n"); n > moreSlack+10 {
		t.Errorf("%d lines of three messages", n)
	}
	wantKeywords(t, "rewritten", f.Snapshot(), 1, numbered("k", 300)...)
	other := open(t, testTree(t, testStore(t, Options{}), dir), Inbox)
	defer other.Close()
	wantKeywords(t, "read again", other.Snapshot(), 1, numbered("k", 300)...)
}

func TestMoreKeywordsTwoStores(t *testing.T) {
	bothWays(t, func(t *testing.T, opt Options) {
		dir, _, f := moreTree(t, opt)
		defer f.Close()
		other := open(t, testTree(t, testStore(t, opt), dir), Inbox)
		defer other.Close()
		high := f.Snapshot().HighestModSeq()
		for round := range 20 {
			from, to := f, other
			if round%2 == 1 {
				from, to = other, f
			}
			word := fmt.Sprint("r", round)
			now := store(t, from, []uint32{2}, StoreReplace, "k1", word, "k290")
			wantKeywords(t, word, now, 2, "k1", word, "k290")
			i, _ := now.Find(2)
			if now.ModSeq(i) <= high {
				t.Errorf("round %d: MODSEQ %d after %d", round, now.ModSeq(i), high)
			}
			high = now.HighestModSeq()
			seen, err := to.Sync(t.Context())
			must(t, err)
			wantKeywords(t, word+" seen", seen, 2, "k1", word, "k290")
			if seen.HighestModSeq() < high {
				t.Errorf("round %d: the other says %d after %d", round, seen.HighestModSeq(), high)
			}
			high = seen.HighestModSeq()
		}
	})
}

func FuzzMoreKeywords(f *testing.F) {
	f.Add([]byte("k1 k2 :1.a\n:1.a\nx :1.b,U=3\n"))
	f.Add([]byte("no\n:\n(:)\na :b/c\n\xff :1.\xff\ntorn"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for line := range strings.SplitSeq(string(data), "\n") {
			words, base, ok := parseMoreLine(line)
			if !ok {
				continue
			}
			b := appendMoreLine(nil, words, base)
			again, base2, ok := parseMoreLine(strings.TrimSuffix(string(b), "\n"))
			if !ok || base2 != base || !slices.Equal(again, words) {
				t.Fatalf("%q became %q %q %v", line, again, base2, ok)
			}
		}
	})
}

// TestKeywordsAtOnce: a command that brings more names than there is room for stores none of them in part.
func TestKeywordsAtOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Maildir")
	tree := testTree(t, testStore(t, Options{}), dir)
	put(t, dir+"/cur/1.m:2,", "x\n")
	f := open(t, tree, Inbox)
	defer f.Close()
	store(t, f, []uint32{1}, StoreAdd, numbered("k", 300)...)
	if _, err := f.Store(t.Context(), []uint32{1}, Change{Op: StoreAdd, Keywords: numbered("x", 750)}); !errors.Is(err, ErrTooMany) {
		t.Error(err)
	}
	wantKeywords(t, "after the refusal", f.Snapshot(), 1, numbered("k", 300)...)
	if all := f.Snapshot().AllKeywords(); len(all) != 300 {
		t.Errorf("%d keywords are known: %v", len(all), all)
	}
}
