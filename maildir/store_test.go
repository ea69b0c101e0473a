package maildir

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	gomaildir "github.com/emersion/go-maildir"
)

// testStore makes a store that ends with the test.
func testStore(t testing.TB, opt Options) *Store {
	t.Helper()
	if opt.Logger == nil {
		opt.Logger = testLogger(t)
	}
	s := NewStore(opt)
	t.Cleanup(s.Close)
	return s
}

func testLogger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

var discard = slog.New(slog.DiscardHandler)

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

func testTree(t testing.TB, s *Store, path string) *Tree {
	t.Helper()
	tree, err := s.OpenTree(path, TreeOptions{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tree.Close)
	return tree
}

func open(t testing.TB, tree *Tree, name string) *Folder {
	t.Helper()
	f, err := tree.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func put(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func flagsText(s *Snapshot, i int) string { return string(s.AppendFlags(nil, i)) }

// dump shows a snapshot: UID, flags and place of each message.
func dump(s *Snapshot) string {
	var b strings.Builder
	for i := range s.Len() {
		where := "cur"
		if s.InNew(i) {
			where = "new"
		}
		fmt.Fprintf(&b, "%d %s (%s)\n", s.UID(i), where, flagsText(s, i))
	}
	return b.String()
}

func bothWays(t *testing.T, do func(t *testing.T, opt Options)) {
	t.Run("watched", func(t *testing.T) { do(t, Options{}) })
	t.Run("polled", func(t *testing.T) { do(t, Options{NoWatch: true, PollInterval: 20 * time.Millisecond}) })
}

func TestOutsideChanges(t *testing.T) {
	bothWays(t, func(t *testing.T, opt Options) {
		dir := filepath.Join(t.TempDir(), "Maildir")
		s := testStore(t, opt)
		tree := testTree(t, s, dir)
		put(t, dir+"/new/1000.a.host", "Subject: a\n\nhello\n")
		put(t, dir+"/cur/1001.b.host:2,S", "Subject: b\n\nhello\n")
		put(t, dir+"/cur/1002.c.host", "Subject: c\n\nno info part\n")
		f := open(t, tree, Inbox)
		defer f.Close()
		sync := func(want string) *Snapshot {
			t.Helper()
			snap, err := f.Sync(t.Context())
			must(t, err)
			if got := dump(snap); got != want {
				t.Fatalf("got\n%swant\n%s", got, want)
			}
			return snap
		}
		first := sync("1 new ()\n2 cur (\\Seen)\n3 cur ()\n")
		must(t, os.Rename(dir+"/cur/1001.b.host:2,S", dir+"/cur/1001.b.host:2,FS"))
		put(t, dir+"/new/1003.d.host", "x\n\n")
		second := sync("1 new ()\n2 cur (\\Flagged \\Seen)\n3 cur ()\n4 new ()\n")
		if second.ModSeq(1) <= first.ModSeq(1) || second.ModSeq(0) != first.ModSeq(0) {
			t.Error("MODSEQ did not follow the change")
		}
		must(t, os.Rename(dir+"/new/1000.a.host", dir+"/cur/1000.a.host:2,"))
		must(t, os.Remove(dir+"/cur/1002.c.host"))
		sync("1 cur ()\n2 cur (\\Flagged \\Seen)\n4 new ()\n")
		if gone, ok := f.ExpungedSince(second.HighestModSeq()); !ok || len(gone) != 1 || gone[0] != 3 {
			t.Errorf("expunged since: %v %v", gone, ok)
		}
		// The same base name again is a new message.
		put(t, dir+"/cur/1002.c.host", "back\n")
		sync("1 cur ()\n2 cur (\\Flagged \\Seen)\n4 new ()\n5 cur ()\n")
	})
}

func TestOwnChanges(t *testing.T) {
	bothWays(t, func(t *testing.T, opt Options) {
		ctx := t.Context()
		dir := filepath.Join(t.TempDir(), "Maildir")
		tree := testTree(t, testStore(t, opt), dir)
		must(t, tree.Create(ctx, "Work", nil))
		put(t, dir+"/new/1000.a.host", "Subject: a\n\nhello\n")
		put(t, dir+"/cur/1001.b.host:2,S", "Subject: b\n\nhello\n")
		f, w := open(t, tree, Inbox), open(t, tree, "Work")
		defer f.Close()
		defer w.Close()
		res, err := f.Store(ctx, []uint32{1, 2, 9}, Change{Op: StoreAdd, Flags: Flagged, Keywords: []string{"$Label1", "Junk"}})
		must(t, err)
		if got, want := dump(res.Snapshot), "1 cur (\\Flagged $Label1 Junk)\n2 cur (\\Flagged \\Seen $Label1 Junk)\n"; got != want {
			t.Fatalf("got\n%s", got)
		}
		if fmt.Sprint(res.Missing) != "[9]" {
			t.Error("missing", res.Missing)
		}
		if kw, _ := os.ReadFile(dir + "/dovecot-keywords"); string(kw) != "0 $Label1\n1 Junk\n" {
			t.Errorf("keywords file %q", kw)
		}
		c, err := f.CopyTo(ctx, []uint32{1, 2}, w, CopyOptions{})
		must(t, err)
		if fmt.Sprint(c.From, c.To) != "[1 2] [1 2]" {
			t.Error(c)
		}
		if got := dump(w.Snapshot()); got != "1 cur (\\Flagged $Label1 Junk)\n2 cur (\\Flagged \\Seen $Label1 Junk)\n" {
			t.Error(got)
		}
		_, err = f.Store(ctx, []uint32{1}, Change{Op: StoreAdd, Flags: Deleted})
		must(t, err)
		snap, err := f.Expunge(ctx, []uint32{1, 2}, true)
		must(t, err)
		if got := dump(snap); got != "2 cur (\\Flagged \\Seen $Label1 Junk)\n" {
			t.Error(got)
		}
		_, uids, err := CommitDeliveries(ctx, deliver(t, f, "Subject: x\r\n\r\nbody\r\n\rbare\n", Seen), deliver(t, f, "y\n", 0))
		must(t, err)
		if fmt.Sprint(uids) != "[3 4]" {
			t.Error(uids)
		}
		snap, err = f.Sync(ctx)
		must(t, err)
		if got := dump(snap); got != "2 cur (\\Flagged \\Seen $Label1 Junk)\n3 cur (\\Seen)\n4 new ()\n" {
			t.Error(got)
		}
		m, err := f.Open(ctx, 3)
		must(t, err)
		defer m.Close()
		b := make([]byte, m.Size())
		_, err = m.ReadAt(b, 0)
		must(t, err)
		if string(b) != "Subject: x\n\nbody\n\rbare\n" {
			t.Errorf("%q", b)
		}
		if _, size, err := f.Info(ctx, 3, true); err != nil || size != int64(len("Subject: x\r\n\r\nbody\r\n\rbare\r\n")) {
			t.Error(size, err)
		}
		claimed, err := f.ClaimNew(ctx, snap.UIDNext())
		must(t, err)
		if fmt.Sprint(claimed) != "[4]" || f.Snapshot().CountNew() != 0 {
			t.Error(claimed)
		}
	})
}

func deliver(t testing.TB, f *Folder, text string, flags Flags) *Delivery {
	t.Helper()
	d, err := f.NewDelivery(DeliveryOptions{Flags: flags})
	must(t, err)
	_, err = d.Write([]byte(text))
	must(t, err)
	return d
}

// UIDs hold over restarts, whatever the uid list held beside them.
func TestListSurvivesRestart(t *testing.T) {
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "Maildir")
	var before string
	for round := range 3 {
		s := NewStore(Options{})
		tree, err := s.OpenTree(dir, TreeOptions{Create: true})
		must(t, err)
		f := open(t, tree, Inbox)
		snap, err := f.Sync(ctx)
		must(t, err)
		got := fmt.Sprint(snap.UIDValidity(), snap.GUID(), "\n", dump(snap))
		if round > 0 && got != before {
			t.Fatalf("after restart\n%s\nbefore\n%s", got, before)
		}
		for i := range 3 {
			put(t, fmt.Sprintf("%s/new/%d.x%d", dir, 2000+round, i), "m\n")
		}
		must(t, f.TellModSeqs(ctx))
		snap, err = f.Sync(ctx)
		must(t, err)
		before = fmt.Sprint(snap.UIDValidity(), snap.GUID(), "\n", dump(snap))
		f.Close()
		tree.Close()
		s.Close()
	}
}

func TestFolderReplaced(t *testing.T) {
	bothWays(t, func(t *testing.T, opt Options) {
		ctx := t.Context()
		dir := filepath.Join(t.TempDir(), "Maildir")
		tree := testTree(t, testStore(t, opt), dir)
		seen := map[uint32]bool{}
		for range 3 {
			must(t, tree.Create(ctx, "Work", nil))
			f := open(t, tree, "Work")
			if v := f.Snapshot().UIDValidity(); seen[v] {
				t.Fatal("UIDVALIDITY used twice", v)
			} else {
				seen[v] = true
			}
			must(t, os.RemoveAll(dir+"/.Work"))
			if _, err := f.Sync(ctx); !errors.Is(err, ErrGone) {
				t.Error("after rm -r:", err)
			}
			f.Close()
			must(t, os.MkdirAll(dir+"/.Work/cur", 0o700))
			put(t, dir+"/.Work/cur/1.x:2,", "other\n")
			g := open(t, tree, "Work")
			if v := g.Snapshot().UIDValidity(); seen[v] || g.Snapshot().Len() != 1 {
				t.Fatal("folder made anew:", v, g.Snapshot().Len())
			} else {
				seen[v] = true
			}
			must(t, tree.Rename(ctx, "Work", "Old"))
			if !g.Snapshot().Gone() {
				t.Error("renamed under a session, and it does not know")
			}
			g.Close()
			must(t, tree.Delete(ctx, "Old"))
		}
	})
}

// A tree that this process may not write is served read-only: with the UIDs of
// the list where it names all, else with UIDs that hold only for now.
func TestReadOnlyTree(t *testing.T) {
	if notAsRoot(t) {
		return
	}
	const list = "3 V7 N3 G589d653119a6046b5111000083ecc375\n1 :1000.a\n2 :1001.b\n"
	for _, c := range []struct {
		what, list string
		sticky     bool
		second     int // UID of the second message
	}{{"with a list", list, true, 2}, {"without", "", false, 2}, {"with half a list", list[:len(list)-len("2 :1001.b\n")], false, 3}} {
		t.Run(c.what, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "Maildir")
			must(t, gomaildir.Dir(dir).Init())
			put(t, dir+"/cur/1000.a:2,S", "x\n")
			put(t, dir+"/new/1001.b", "y\n")
			if c.list != "" {
				put(t, dir+"/dovecot-uidlist", c.list)
			}
			asReader(t, dir, func() {
				tree := testTree(t, testStore(t, Options{}), dir)
				f := open(t, tree, Inbox)
				defer f.Close()
				s := f.Snapshot()
				if s.Writable() || s.Sticky() != c.sticky || c.sticky != (s.UIDValidity() == 7) {
					t.Errorf("writable %v sticky %v UIDVALIDITY %d", s.Writable(), s.Sticky(), s.UIDValidity())
				}
				if got := dump(s); got != fmt.Sprintf("1 cur (\\Seen)\n%d new ()\n", c.second) {
					t.Error(got)
				}
				if _, err := f.Store(t.Context(), []uint32{1}, Change{Op: StoreAdd, Flags: Flagged}); !errors.Is(err, ErrReadOnly) {
					t.Error(err)
				}
				if _, err := f.NewDelivery(DeliveryOptions{}); !errors.Is(err, ErrReadOnly) {
					t.Error(err)
				}
				if _, err := f.Expunge(t.Context(), []uint32{1}, false); !errors.Is(err, ErrReadOnly) {
					t.Error(err)
				}
				if err := tree.Create(t.Context(), "x", nil); !errors.Is(err, ErrReadOnly) {
					t.Error(err)
				}
			})
		})
	}
}

// asReader calls do with a tree whose modes keep its owner from writing.
func asReader(t *testing.T, dir string, do func()) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		t.Cleanup(func() { os.Chmod(p, 0o700) })
		return os.Chmod(p, 0o555)
	}))
	do()
}

// notAsRoot runs the calling test in a process of another user when this one
// is root's, whom no mode keeps from writing. It tells whether the test has been run so.
func notAsRoot(t *testing.T) bool {
	t.Helper()
	if os.Getuid() != 0 {
		return false
	}
	const nobody = 65534
	top, err := os.MkdirTemp("", "postroom-test-")
	must(t, err)
	defer os.RemoveAll(top)
	self, err := os.ReadFile(os.Args[0])
	must(t, err)
	must(t, os.WriteFile(top+"/test", self, 0o755))
	must(t, os.Mkdir(top+"/tmp", 0o700))
	must(t, os.Chown(top+"/tmp", nobody, nobody))
	must(t, os.Chmod(top, 0o755))
	cmd := exec.Command(top+"/test", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir = top
	cmd.Env = append(os.Environ(), "TMPDIR="+top+"/tmp")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("as another user: %v\n%s", err, out)
	}
	return true
}

// Where the system gives no more watches folders are polled, which is said once.
func TestOutOfWatches(t *testing.T) {
	var log strings.Builder
	var logMu sync.Mutex
	logger := slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
		logMu.Lock()
		defer logMu.Unlock()
		return log.Write(p)
	}), nil))
	s := testStore(t, Options{Logger: logger, PollInterval: 10 * time.Millisecond})
	s.watch.addWatch = func(string) error { return syscall.ENOSPC }
	dir := filepath.Join(t.TempDir(), "Maildir")
	tree := testTree(t, s, dir)
	must(t, tree.Create(t.Context(), "Work", nil))
	f, w := open(t, tree, Inbox), open(t, tree, "Work")
	defer f.Close()
	defer w.Close()
	told := make(chan struct{}, 1)
	defer w.Subscribe(tokens(told)).Cancel()
	put(t, dir+"/.Work/new/1000.a", "x\n")
	for w.Snapshot().Len() == 0 {
		select {
		case <-told:
		case <-time.After(10 * time.Second):
			t.Fatal("polling found nothing")
		}
	}
	logged := func() string {
		logMu.Lock()
		defer logMu.Unlock()
		return log.String()
	}
	for end := time.Now().Add(10 * time.Second); !strings.Contains(logged(), "polled") && time.Now().Before(end); {
		time.Sleep(time.Millisecond) // the watch may be asked for when the message has been found
	}
	if n := strings.Count(logged(), "polled"); n != 1 || !strings.Contains(logged(), "max_user_watches") {
		t.Errorf("said %d times: %s", n, logged())
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// mbsync renames files to carry its own UIDs: to clients nothing happens.
func TestMbsyncNamesKeepTheirUID(t *testing.T) {
	bothWays(t, func(t *testing.T, opt Options) {
		dir := filepath.Join(t.TempDir(), "Maildir")
		tree := testTree(t, testStore(t, opt), dir)
		put(t, dir+"/cur/1000.a:2,S", "x\n")
		put(t, dir+"/cur/1001.b,U=7:2,S", "y\n")
		f := open(t, tree, Inbox)
		defer f.Close()
		must(t, os.Rename(dir+"/cur/1000.a:2,S", dir+"/cur/1000.a,U=12:2,FS"))
		must(t, os.Rename(dir+"/cur/1001.b,U=7:2,S", dir+"/cur/1001.b:2,S"))
		snap, err := f.Sync(t.Context())
		must(t, err)
		if got := dump(snap); got != "1 cur (\\Flagged \\Seen)\n2 cur (\\Seen)\n" {
			t.Error(got)
		}
		_, err = f.Store(t.Context(), []uint32{1}, Change{Op: StoreAdd, Flags: Answered})
		must(t, err)
		_, _, err = CommitDeliveries(t.Context(), deliver(t, f, "z\n", Seen))
		must(t, err)
		list, _ := os.ReadFile(dir + "/dovecot-uidlist")
		if !strings.Contains(string(list), "\n1 :1000.a,U=12\n2 :1001.b\n3 ") {
			t.Errorf("uid list %q", list)
		}
	})
}

// A second file of one base name is another message, unless it is a link to the first.
func TestTwins(t *testing.T) {
	bothWays(t, func(t *testing.T, opt Options) {
		var later atomic.Int64
		opt.Clock = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
		opt.PollInterval = 20 * time.Millisecond
		dir := filepath.Join(t.TempDir(), "Maildir")
		tree := testTree(t, testStore(t, opt), dir)
		put(t, dir+"/cur/1000.a:2,S", "one\n")
		put(t, dir+"/cur/1000.b:2,S", "linked\n")
		f := open(t, tree, Inbox)
		defer f.Close()
		put(t, dir+"/new/1000.a", "two\n")
		must(t, os.Link(dir+"/cur/1000.b:2,S", dir+"/cur/1000.b:2,FS"))
		if snap, err := f.Sync(t.Context()); err != nil || snap.Len() != 2 {
			t.Fatal(snap.Len(), err)
		}
		later.Store(int64(time.Minute))
		for deadline := time.Now().Add(10 * time.Second); f.Snapshot().Len() != 3; {
			if time.Now().After(deadline) {
				t.Fatal("the second file was not found:", dump(f.Snapshot()))
			}
			time.Sleep(5 * time.Millisecond)
		}
		if got := dump(f.Snapshot()); got != "1 cur (\\Seen)\n2 cur (\\Seen)\n3 new ()\n" {
			t.Error(got)
		}
		if names, _ := filepath.Glob(dir + "/*/1000.*"); len(names) != 2 {
			t.Error(names)
		}
	})
}

// A file changed in size is a new message; one with another date is not.
func TestReplacedContent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Maildir")
	tree := testTree(t, testStore(t, Options{}), dir)
	put(t, dir+"/cur/1000.a:2,S", "one\n")
	put(t, dir+"/cur/1001.b:2,S", "two\n")
	f := open(t, tree, Inbox)
	defer f.Close()
	for uid := range uint32(2) {
		m, err := f.Open(t.Context(), uid+1)
		must(t, err)
		m.Close()
	}
	put(t, dir+"/tmp/b", "two\n") // a restored file: another inode, another date
	must(t, os.Chtimes(dir+"/tmp/b", time.Now(), time.Unix(1000, 0)))
	must(t, os.Rename(dir+"/tmp/b", dir+"/cur/1001.b:2,S"))
	put(t, dir+"/cur/1000.a:2,S", "one and more\n")
	if _, err := f.Open(t.Context(), 1); !errors.Is(err, ErrExpunged) {
		t.Error(err)
	}
	m, err := f.Open(t.Context(), 2)
	must(t, err)
	if m.Date().Unix() != 1000 {
		t.Error(m.Date())
	}
	m.Close()
	snap, err := f.Sync(t.Context())
	must(t, err)
	if got := dump(snap); got != "2 cur (\\Seen)\n3 cur (\\Seen)\n" {
		t.Error(got)
	}
}

// Things that are no messages are passed over, and hurt nobody.
func TestOddFiles(t *testing.T) {
	bothWays(t, func(t *testing.T, opt Options) {
		dir := filepath.Join(t.TempDir(), "Maildir")
		tree := testTree(t, testStore(t, opt), dir)
		long := strings.Repeat("x", 253)
		put(t, dir+"/cur/"+long, "long\n")
		put(t, dir+"/cur/1000.a:2,S:2,F", "two colons\n")
		put(t, dir+"/cur/1001.\xe9:2,S", "not UTF-8\n")
		put(t, dir+"/cur/1002.b:2,", "plain\n")
		put(t, dir+"/cur/.hidden", "x")
		put(t, dir+"/cur/:2,S", "no base\n")
		put(t, dir+"/cur/a\nb", "x")
		must(t, os.Mkdir(dir+"/cur/1003.dir:2,", 0o700))
		must(t, syscall.Mkfifo(dir+"/cur/1004.fifo:2,", 0o600))
		must(t, os.Symlink("1002.b:2,", dir+"/cur/1005.link:2,"))
		f := open(t, tree, Inbox)
		defer f.Close()
		put(t, dir+"/new/1006.c", "x\n")
		must(t, syscall.Mkfifo(dir+"/new/1007.fifo", 0o600))
		must(t, os.Mkdir(dir+"/new/1008.dir", 0o700))
		snap, err := f.Sync(t.Context())
		must(t, err)
		var ids []string
		for i := range snap.Len() {
			ids = append(ids, snap.BaseName(i))
			m, err := f.Open(t.Context(), snap.UID(i))
			must(t, err)
			m.Close()
		}
		if want := []string{"1000.a", "1001.\xe9", "1002.b", long, "1006.c"}; !slices.Equal(ids, want) {
			t.Errorf("%q", ids)
		}
		// A name with no room for its flags keeps its message.
		i := slices.Index(ids, long)
		if _, err := f.Store(t.Context(), []uint32{snap.UID(i)}, Change{Op: StoreAdd, Flags: Seen}); !errors.Is(err, ErrTooMany) {
			t.Error(err)
		}
		if s, err := f.Sync(t.Context()); err != nil || s.Len() != len(ids) {
			t.Error(s.Len(), err)
		}
	})
}

// Many folders made and opened for the first time at once each get a
// UIDVALIDITY of their own, and none of them fails.
func TestUIDValidityAtOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Maildir")
	for i := range 20 {
		must(t, os.MkdirAll(fmt.Sprintf("%s/.found%d/cur", dir, i), 0o700))
	}
	tree := testTree(t, testStore(t, Options{}), dir)
	var mu sync.Mutex
	seen := map[uint32]string{}
	var wg sync.WaitGroup
	for i := range 20 {
		for _, name := range []string{fmt.Sprint("found", i), fmt.Sprint("made", i)} {
			wg.Go(func() {
				if strings.HasPrefix(name, "made") {
					if err := tree.Create(t.Context(), name, nil); err != nil {
						t.Error(err)
					}
				}
				f, err := tree.Open(t.Context(), name)
				if err != nil {
					t.Error(err)
					return
				}
				defer f.Close()
				mu.Lock()
				defer mu.Unlock()
				v := f.Snapshot().UIDValidity()
				if other := seen[v]; other != "" {
					t.Errorf("%s and %s have UIDVALIDITY %d", name, other, v)
				}
				seen[v] = name
			})
		}
	}
	wg.Wait()
	if left, _ := filepath.Glob(dir + "/dovecot-uidvalidity*"); len(left) != 2 {
		t.Error(left)
	}
}

// A barrier that is slow is sent again; whichever sendings come back, and
// however late, it passes once.
func TestBarrierSentAgain(t *testing.T) {
	s := testStore(t, Options{})
	passed := make(chan struct{})
	pass := func(name string) {
		s.watch.mu.Lock()
		defer s.watch.mu.Unlock()
		s.watch.passBarrierLocked(name)
	}
	var sent []string
	for range 3 {
		n, _, err := s.watch.register(passed)
		must(t, err)
		sent = append(sent, fmt.Sprint(n))
		pass(fmt.Sprint(n))
	}
	for _, n := range sent {
		pass(n)
	}
	<-passed
}

// A message's new name is never one that another file has: nothing is overwritten.
func TestNothingIsOverwritten(t *testing.T) {
	bothWays(t, func(t *testing.T, opt Options) {
		dir := filepath.Join(t.TempDir(), "Maildir")
		tree := testTree(t, testStore(t, opt), dir)
		put(t, dir+"/cur/1000.a:2,", "one\n")
		put(t, dir+"/cur/1001.b:2,", "linked\n")
		put(t, dir+"/new/1002.c", "in new\n")
		f := open(t, tree, Inbox)
		defer f.Close()
		put(t, dir+"/cur/1000.a:2,S", "two\n")
		must(t, os.Link(dir+"/cur/1001.b:2,", dir+"/cur/1001.b:2,S"))
		put(t, dir+"/cur/1002.c:2,", "in cur\n")
		_, err := f.Store(t.Context(), []uint32{1, 2}, Change{Op: StoreAdd, Flags: Seen})
		must(t, err)
		_, err = f.ClaimNew(t.Context(), 1000)
		must(t, err)
		snap, err := f.Sync(t.Context())
		must(t, err)
		var contents []string
		for i := range snap.Len() {
			m, err := f.Open(t.Context(), snap.UID(i))
			must(t, err)
			b := make([]byte, m.Size())
			_, err = m.ReadAt(b, 0)
			must(t, err)
			m.Close()
			contents = append(contents, strings.TrimSpace(string(b)))
		}
		slices.Sort(contents)
		if want := []string{"in cur", "in new", "linked", "one", "two"}; !slices.Equal(contents, want) {
			t.Errorf("%q\n%s", contents, dump(snap))
		}
		// And the link that is left is followed wherever others rename it.
		must(t, os.Rename(dir+"/cur/1001.b:2,S", dir+"/cur/1001.b:2,FS"))
		must(t, os.Rename(dir+"/cur/1001.b:2,FS", dir+"/cur/1001.b:2,S"))
		if snap, err := f.Sync(t.Context()); err != nil || snap.Len() != 5 {
			t.Error(snap.Len(), err)
		}
	})
}

// A folder that was renamed while open is watched under its new name too.
func TestRenamedFolderIsWatched(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Maildir")
	tree := testTree(t, testStore(t, Options{}), dir)
	must(t, tree.Create(t.Context(), "X", nil))
	old := open(t, tree, "X")
	must(t, tree.Rename(t.Context(), "X", "Y"))
	f := open(t, tree, "Y")
	defer f.Close()
	for i := range 2 {
		put(t, fmt.Sprintf("%s/.Y/new/100%d.a", dir, i), "x\n")
		if snap, err := f.Sync(t.Context()); err != nil || snap.Len() != i+1 {
			t.Error(snap.Len(), err)
		}
		if i == 0 {
			old.Close()
		}
	}
}

// UIDs that another server has recorded are kept, whatever command sees them first.
func TestRecordsOfOthersAreKept(t *testing.T) {
	bothWays(t, func(t *testing.T, opt Options) {
		for _, first := range []string{"sync", "store", "append", "mark"} {
			dir := filepath.Join(t.TempDir(), "Maildir")
			tree := testTree(t, testStore(t, opt), dir)
			put(t, dir+"/cur/1000.a:2,", "one\n")
			f := open(t, tree, Inbox)
			lock, err := (&locker{host: "elsewhere", pid: 1, clock: time.Now, held: map[heldLock]bool{}}).lock(t.Context(), f.home, uidlistName, nil)
			must(t, err)
			put(t, dir+"/cur/1001.b:2,S", "theirs\n")
			list, err := os.OpenFile(dir+"/dovecot-uidlist", os.O_APPEND|os.O_WRONLY, 0)
			must(t, err)
			fmt.Fprint(list, "7 :1001.b\n")
			list.Close()
			lock.unlock()
			switch first {
			case "store":
				_, err = f.Store(t.Context(), []uint32{1}, Change{Op: StoreAdd, Flags: Seen})
			case "append":
				_, _, err = CommitDeliveries(t.Context(), deliver(t, f, "ours\n", Seen))
			case "mark":
				err = f.TellModSeqs(t.Context())
			}
			must(t, err)
			snap, err := f.Sync(t.Context())
			must(t, err)
			if _, ok := snap.Find(7); !ok {
				t.Errorf("%s: UID 7 was given to a message:\n%s", first, dump(snap))
			}
			if data, _ := os.ReadFile(dir + "/dovecot-uidlist"); strings.Count(string(data), "1001.b") != 1 {
				t.Errorf("%s: uid list %q", first, data)
			}
			f.Close()
		}
	})
}

// Who tidies the temporary directory takes nothing away that is not made again.
func TestBarrierDirectoryRemoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Maildir")
	s := testStore(t, Options{})
	f := open(t, testTree(t, s, dir), Inbox)
	defer f.Close()
	s.watch.mu.Lock()
	priv := s.watch.priv
	s.watch.mu.Unlock()
	must(t, os.RemoveAll(priv))
	put(t, dir+"/new/1000.a", "x\n")
	if snap, err := f.Sync(t.Context()); err != nil || snap.Len() != 1 {
		t.Error(snap, err)
	}
}

// TestAdmitOnAFullDisk: many new files for whose records there is no room leave those served that have UIDs, and get theirs
// when there is room again.
func TestAdmitOnAFullDisk(t *testing.T) {
	top := t.TempDir()
	if err := syscall.Mount("tmpfs", top, "tmpfs", 0, "size=256k"); err != nil {
		t.Skip("no file system to fill:", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(top, syscall.MNT_DETACH)) })
	dir := top + "/Maildir"
	must(t, gomaildir.Dir(dir).Init())
	for i := range 3 {
		put(t, fmt.Sprintf("%s/cur/%d.old:2,S", dir, 1_000_000_000+i), "")
	}
	var validity uint32
	served(t, dir, func(f *Folder) { validity = f.Snapshot().UIDValidity() })
	const more = 600 // whose records need more than the page that the list has already
	for i := range more {
		put(t, fmt.Sprintf("%s/cur/%d.new:2,F", dir, 1_100_000_000+more-i), "")
	}
	put(t, dir+"/new/1100000001.new", "") // another file of that base name
	put(t, dir+"/"+moreKeywordsName, "later :1100000001.new\n")
	must(t, os.WriteFile(top+"/filler", nil, 0o600))
	filler, err := os.OpenFile(top+"/filler", os.O_WRONLY, 0)
	must(t, err)
	for err == nil {
		_, err = filler.Write(make([]byte, 4096))
	}
	filler.Close()

	var ahead atomic.Int64 // of the store's clock: what failed is tried again in a while
	s := testStore(t, Options{Clock: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	f := open(t, testTree(t, s, dir), Inbox)
	defer f.Close()
	if n := f.Snapshot().Len(); n != 3 {
		t.Errorf("%d messages are served on the full disk, not the 3 that have UIDs", n)
	}
	f.mu.Lock()
	odd := len(f.odd)
	f.mu.Unlock()
	if odd > 0 {
		t.Errorf("%d messages without a UID are known by several names", odd)
	}
	for range 5 { // which uses no UIDs up
		ahead.Add(int64(2 * assignRetry))
		if snap, err := f.Sync(t.Context()); err != nil || snap.Len() != 3 {
			t.Fatalf("tried again: %d messages, %v", snap.Len(), err)
		}
	}
	must(t, os.Remove(top+"/filler"))
	put(t, dir+"/new/1200000000.last", "")
	ahead.Add(int64(2 * assignRetry))
	snap, err := f.Sync(t.Context())
	must(t, err)
	if snap.Len() != 3+more+1 || snap.UIDValidity() != validity {
		t.Fatalf("%d messages, UIDVALIDITY %d, not %d, %d", snap.Len(), snap.UIDValidity(), 3+more+1, validity)
	}
	for i := range snap.Len() {
		if i < 3 && snap.UID(i) != uint32(i+1) || i > 0 && snap.UID(i) <= snap.UID(i-1) {
			t.Errorf("message %d has UID %d", i, snap.UID(i))
		}
		if i > 3 && i < 3+more && snap.BaseName(i) <= snap.BaseName(i-1) {
			t.Errorf("%s comes after %s", snap.BaseName(i), snap.BaseName(i-1))
		}
	}
	if uid := snap.UID(3); uid > 3+2*more {
		t.Errorf("the first of the new messages has UID %d", uid)
	}
	wantKeywords(t, "noted before the UID", snap, snap.UID(3), "later")
}

// TestUIDListGivesOneTwice: of two files with one UID the first keeps it and the other gets its own; each is one message.
func TestUIDListGivesOneTwice(t *testing.T) {
	for _, more := range []int{0, 100} { // few and many that have no UID
		dir := t.TempDir() + "/Maildir"
		must(t, gomaildir.Dir(dir).Init())
		names := []string{"1000000001.a", "1000000002.b", "1000000003.c"}
		for i := range more {
			names = append(names, fmt.Sprint(1_100_000_000+i, ".new"))
		}
		for _, name := range names {
			put(t, dir+"/cur/"+name+":2,S", "")
		}
		put(t, dir+"/"+uidlistName, "3 V1 N9 G0123456789abcdef0123456789abcdef\n5 :1000000001.a\n5 :1000000002.b\n5 :1000000003.c\n")
		served(t, dir, func(f *Folder) {
			snap := f.Snapshot()
			if snap.Len() != len(names) {
				t.Fatalf("%d messages, not %d", snap.Len(), len(names))
			}
			for i, name := range names {
				if snap.BaseName(i) != name || i == 0 && snap.UID(i) != 5 || i > 0 && snap.UID(i) != uint32(8+i) {
					t.Errorf("message %d is %s, UID %d", i, snap.BaseName(i), snap.UID(i))
				}
			}
		})
	}
}

// TestUIDsUsedUp: where there are no UIDs any more, few and many new files are refused alike, and the list stays as it is.
func TestUIDsUsedUp(t *testing.T) {
	for _, c := range []struct{ next, files uint32 }{{maxUID + 1, 2}, {maxUID - 1, 1}, {maxUID - 1, 2}, {maxUID - 5, 30}, {maxUID - 5, 100}} {
		dir := t.TempDir() + "/Maildir"
		must(t, gomaildir.Dir(dir).Init())
		for i := range c.files {
			put(t, fmt.Sprintf("%s/cur/%d.m:2,S", dir, 1_000_000_000+i), "")
		}
		list := fmt.Sprintf("3 V1 N%d G0123456789abcdef0123456789abcdef\n", c.next)
		put(t, dir+"/"+uidlistName, list)
		tree := testTree(t, testStore(t, Options{Logger: discard, NoWatch: true}), dir)
		f, err := tree.Open(t.Context(), Inbox)
		if err == nil {
			f.Close()
		}
		fits := uint64(c.next)+uint64(c.files) <= maxUID
		if now, _ := os.ReadFile(dir + "/" + uidlistName); fits != (err == nil) || !fits && (!errors.Is(err, ErrTooMany) || string(now) != list) {
			t.Errorf("UIDNEXT %d, %d files: %v, the list is %q", c.next, c.files, err, now)
		}
	}
}

// TestFailedRewriteUsesNoUIDs: UIDs that stood only in a list that never came into being are given again.
func TestFailedRewriteUsesNoUIDs(t *testing.T) {
	dir := t.TempDir() + "/Maildir"
	must(t, gomaildir.Dir(dir).Init())
	put(t, dir+"/cur/1000000000.old:2,S", "")
	served(t, dir, func(f *Folder) {
		must(t, os.MkdirAll(dir+"/"+uidlistTemp+"/in the way", 0o700))
		f.mu.Lock()
		defer f.mu.Unlock()
		was := f.list
		rec := uidRecord{uid: was.next() + 100, base: "1000000001.new", name: "1000000001.new"}
		if err := f.rewriteListLocked([]uidRecord{rec}); err == nil {
			t.Fatal("the list was written through a directory")
		}
		if f.list.next() != was.next() || f.list.modSeqMark != was.modSeqMark {
			t.Errorf("the next UID is %d, not %d, the mark %d, not %d", f.list.next(), was.next(), f.list.modSeqMark, was.modSeqMark)
		}
		must(t, os.RemoveAll(dir+"/"+uidlistTemp))
		must(t, f.rewriteListLocked([]uidRecord{rec}))
		if f.list.next() != rec.uid+1 {
			t.Errorf("the next UID is %d, not %d", f.list.next(), rec.uid+1)
		}
	})
}
