package maildir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// movable makes a tree with INBOX, of n messages in cur/, and folder w, and opens both.
func movable(t *testing.T, opt Options, n int) (dir string, f, w *Folder) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "Maildir")
	tree := testTree(t, testStore(t, opt), dir)
	must(t, tree.Create(t.Context(), "w", nil))
	for i := range n {
		put(t, fmt.Sprintf("%s/cur/%d.m.host:2,", dir, 1000+i), fmt.Sprintf("%d\n", i))
	}
	f, w = open(t, tree, Inbox), open(t, tree, "w")
	t.Cleanup(f.Close)
	t.Cleanup(w.Close)
	return dir, f, w
}

// inodes are those of the messages of a folder, by UID.
func inodes(t *testing.T, f *Folder) map[uint32]uint64 {
	t.Helper()
	out := make(map[uint32]uint64)
	snap := f.Snapshot()
	for i := range snap.Len() {
		d, name := f.at(snap, i)
		fi, err := d.stat(name)
		must(t, err)
		out[snap.UID(i)] = stampOf(fi).ino
	}
	return out
}

func wantDump(t *testing.T, f *Folder, want string) {
	t.Helper()
	if got := dump(f.Snapshot()); got != want {
		t.Errorf("%s holds\n%swant\n%s", f.Name(), got, want)
	}
}

// TestMove: the files are renamed, and take along their flags, their keywords, those without a letter too, and what was known of them.
func TestMove(t *testing.T) { bothWays(t, testMove) }

func testMove(t *testing.T, opt Options) {
	ctx := t.Context()
	dir, f, w := movable(t, opt, 3)
	put(t, dir+"/new/2000.m.host", "new\n")
	_, err := f.Sync(ctx)
	must(t, err)
	var words []string
	for i := range maxLetters {
		words = append(words, fmt.Sprint("k", i))
	}
	_, err = f.Store(ctx, []uint32{1}, Change{Op: StoreAdd, Keywords: words})
	must(t, err)
	_, err = f.Store(ctx, []uint32{2}, Change{Op: StoreAdd, Flags: Seen, Keywords: []string{"k7", "Beyond"}})
	must(t, err)
	date, _, err := f.Info(ctx, 2, true)
	must(t, err)
	before, since := inodes(t, f), f.Snapshot().HighestModSeq()

	c, err := f.MoveTo(ctx, []uint32{2, 4, 9}, w, CopyOptions{})
	must(t, err)
	if got := fmt.Sprint(c.From, c.To, c.Missing); got != "[2 4] [1 2] [9]" || c.UIDValidity != w.Snapshot().UIDValidity() {
		t.Errorf("moved %s, UIDVALIDITY %d", got, c.UIDValidity)
	}
	wantDump(t, w, "1 cur (\\Seen k7 Beyond)\n2 cur ()\n")
	if f.Snapshot().Len() != 2 {
		t.Errorf("%d messages are left", f.Snapshot().Len())
	}
	if gone, ok := f.ExpungedSince(since); !ok || fmt.Sprint(gone) != "[2 4]" {
		t.Errorf("expunged %v, %v", gone, ok)
	}
	after := inodes(t, w)
	if after[1] != before[2] || after[2] != before[4] {
		t.Errorf("inodes %v were %v", after, before)
	}
	snap := w.Snapshot()
	i, _ := snap.Find(1)
	if chunk, r := snap.at(i); chunk.facts[r].ino.Load() != before[2] || chunk.facts[r].date.Load() != date.UnixNano() {
		t.Error("what was known of the file was not taken along")
	}
	// What events and the directories say agrees, and so does who opens the tree anew.
	for _, f := range []*Folder{f, w} {
		snap := f.Snapshot()
		now, err := f.Sync(ctx)
		must(t, err)
		if dump(now) != dump(snap) || now.UIDNext() != snap.UIDNext() {
			t.Errorf("%s: a look changed\n%sto\n%s", f.Name(), dump(snap), dump(now))
		}
	}
	tree := testTree(t, testStore(t, Options{NoWatch: true}), dir)
	again := open(t, tree, "w")
	defer again.Close()
	wantDump(t, again, dump(w.Snapshot()))
}

// TestMoveOfRenamed: others have just renamed and removed messages, and no event has been read yet.
func TestMoveOfRenamed(t *testing.T) { bothWays(t, testMoveOfRenamed) }

func testMoveOfRenamed(t *testing.T, opt Options) {
	dir, f, w := movable(t, opt, 5)
	must(t, os.Rename(dir+"/cur/1002.m.host:2,", dir+"/cur/1002.m.host:2,FS"))
	must(t, os.Rename(dir+"/cur/1003.m.host:2,", dir+"/new/1003.m.host"))
	must(t, os.Remove(dir+"/cur/1001.m.host:2,"))
	c, err := f.MoveTo(t.Context(), []uint32{1, 2, 3, 4}, w, CopyOptions{})
	must(t, err)
	if got := fmt.Sprint(c.From, c.To, c.Missing); got != "[1 3 4] [1 2 3] [2]" {
		t.Errorf("moved %s", got)
	}
	wantDump(t, w, "1 cur ()\n2 cur (\\Flagged \\Seen)\n3 cur ()\n")
	wantDump(t, f, "5 cur ()\n")
}

// TestMoveByCopy: where files cannot be renamed from one folder to the other they are copied and expunged.
func TestMoveByCopy(t *testing.T) {
	ctx := t.Context()
	dir, f, w := movable(t, Options{}, 3)
	c, err := f.MoveTo(ctx, []uint32{2}, f, CopyOptions{})
	must(t, err)
	if fmt.Sprint(c.From, c.To) != "[2] [4]" {
		t.Errorf("within one folder: %v to %v", c.From, c.To)
	}
	wantDump(t, f, "1 cur ()\n3 cur ()\n4 cur ()\n")
	before := inodes(t, f)
	c, err = f.MoveTo(ctx, []uint32{1}, w, CopyOptions{Octets: true})
	must(t, err)
	if inodes(t, w)[c.To[0]] == before[1] {
		t.Error("another owner's folder has the same file")
	}
	wantDump(t, f, "3 cur ()\n4 cur ()\n")
	elsewhere, err := os.MkdirTemp("/dev/shm", "move")
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { os.RemoveAll(elsewhere) })
	if other, err := os.Stat(elsewhere); err != nil || stampOf(other).dev == f.cur.id.dev {
		t.Skipf("%s and %s are one file system", elsewhere, dir)
	}
	far := open(t, testTree(t, f.store, elsewhere+"/Maildir"), Inbox)
	defer far.Close()
	_, err = f.MoveTo(ctx, []uint32{3}, far, CopyOptions{})
	must(t, err)
	wantDump(t, f, "4 cur ()\n")
	wantDump(t, far, "1 cur ()\n")
}

// TestMoveUndone: when the move fails after the renames, the files get their names back; one whose name is taken by then
// stays where it is, and both folders say so.
func TestMoveUndone(t *testing.T) { bothWays(t, testMoveUndone) }

func testMoveUndone(t *testing.T, opt Options) {
	ctx := t.Context()
	dir, f, w := movable(t, opt, 3)
	before := inodes(t, f)
	m := &move{from: f, to: w}
	func() {
		endF, err := f.beginChange(ctx)
		must(t, err)
		defer endF()
		endW, err := w.beginChange(ctx)
		must(t, err)
		defer endW()
		_, err = w.addAllLocked(ctx, m.outgoingLocked(ctx, []uint32{1, 2, 3}), func() error {
			put(t, dir+"/cur/1001.m.host:2,", "another\n")
			return syscall.EIO
		})
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("failed with %v", err)
		}
		w.tellLocked(true)
		m.leaveLocked()
		f.tellLocked(true)
	}()
	if !m.undone {
		t.Error("nothing was undone")
	}
	for _, f := range []*Folder{f, w} {
		_, err := f.Sync(ctx)
		must(t, err)
	}
	wantDump(t, f, "1 cur ()\n3 cur ()\n4 cur ()\n")
	wantDump(t, w, "1 cur ()\n")
	if in, out := inodes(t, f), inodes(t, w); in[1] != before[1] || in[3] != before[3] || out[1] != before[2] {
		t.Errorf("inodes %v and %v, were %v", in, out, before)
	}
}

// TestMoveIntoEachOther: two that move messages in opposite directions do not wait for each other, and in the end
// each message is in one of the folders.
func TestMoveIntoEachOther(t *testing.T) { bothWays(t, testMoveIntoEachOther) }

func testMoveIntoEachOther(t *testing.T, opt Options) {
	const n, rounds = 40, 25
	_, f, w := movable(t, opt, n)
	before := inodes(t, f)
	var movers sync.WaitGroup
	for _, way := range [][2]*Folder{{f, w}, {w, f}, {f, w}} {
		movers.Go(func() {
			for range rounds {
				snap := way[0].Snapshot()
				var uids []uint32
				for i := 0; i < snap.Len(); i += 2 {
					uids = append(uids, snap.UID(i))
				}
				if _, err := way[0].MoveTo(t.Context(), uids, way[1], CopyOptions{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	movers.Wait()
	files := make(map[uint64]int)
	for _, f := range []*Folder{f, w} {
		snap, err := f.Sync(t.Context())
		must(t, err)
		for _, ino := range inodes(t, f) {
			files[ino]++
		}
		if len(inodes(t, f)) != snap.Len() {
			t.Errorf("%s is not as its snapshot", f.Name())
		}
	}
	for _, ino := range before {
		if files[ino] != 1 {
			t.Errorf("a message is in %d places", files[ino])
		}
	}
	if len(files) != n {
		t.Errorf("%d files of %d", len(files), n)
	}
}
