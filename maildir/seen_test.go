package maildir

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// sharing is a folder with messages 1 to n, none of them seen, and a reader's tree.
type sharing struct {
	store  *Store
	owner  string // path
	reader string
	folder *Folder
	tree   *Tree // the reader's
}

func share(t *testing.T, n int) *sharing {
	t.Helper()
	return shareWith(t, n, Options{NoWatch: true})
}

func shareWith(t *testing.T, n int, opt Options) *sharing {
	t.Helper()
	top := t.TempDir()
	sh := &sharing{owner: top + "/owner", reader: top + "/reader"}
	testTree(t, testStore(t, opt), sh.owner)
	for i := range n {
		put(t, fmt.Sprintf("%s/cur/%d.x:2,", sh.owner, 10_000+i), "x\n")
	}
	return sh.againWith(t, opt)
}

// again is another process that serves both trees.
func (sh *sharing) again(t *testing.T) *sharing {
	t.Helper()
	return sh.againWith(t, Options{NoWatch: true})
}

func (sh *sharing) againWith(t *testing.T, opt Options) *sharing {
	t.Helper()
	s := testStore(t, opt)
	p := &sharing{store: s, owner: sh.owner, reader: sh.reader, tree: testTree(t, s, sh.reader)}
	p.folder = open(t, testTree(t, s, sh.owner), Inbox)
	t.Cleanup(p.folder.Close)
	must(t, p.folder.TellModSeqs(t.Context()))
	return p
}

func (sh *sharing) key() SeenKey {
	snap := sh.folder.Snapshot()
	return SeenKey{GUID: snap.GUID(), UIDValidity: snap.UIDValidity(), Hint: "owner/INBOX"}
}

func (sh *sharing) open(t *testing.T) *SeenState {
	t.Helper()
	st, err := sh.tree.Seen(sh.key())
	must(t, err)
	return st
}

func (sh *sharing) mark(t *testing.T, st *SeenState, seen bool, uids ...uint32) *Snapshot {
	t.Helper()
	ch := Change{Op: StoreAdd, Flags: Seen}
	if !seen {
		ch.Op = StoreRemove
	}
	res, err := st.Store(t.Context(), sh.folder, uids, ch)
	must(t, err)
	return res.Snapshot
}

func (sh *sharing) path() string { return sh.reader + "/" + seenName }

func (sh *sharing) text(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(sh.path())
	must(t, err)
	return string(text)
}

// seenUIDs lists what a snapshot shows as seen.
func seenUIDs(s *Snapshot) string {
	var out uidSet
	for i := range s.Len() {
		if s.Flags(i)&Seen != 0 {
			out = out.extend(uidRange{s.UID(i), s.UID(i)})
		}
	}
	return string(out.append(nil))
}

func (sh *sharing) want(t *testing.T, st *SeenState, seen string) {
	t.Helper()
	if got := seenUIDs(st.Over(sh.folder)); got != seen {
		t.Errorf("seen are %q, not %q", got, seen)
	}
}

// What is written: a line each mark, and the whole when something is to be unread again. No file of the folder is touched.
func TestSeenFile(t *testing.T) {
	sh := share(t, 10)
	names, err := os.ReadDir(sh.owner + "/cur")
	must(t, err)
	st := sh.open(t)
	line := func(modSeq uint64, rest string) string {
		return fmt.Sprintf("%s %d %d %s\n", sh.key().GUID, sh.key().UIDValidity, modSeq, rest)
	}
	now := sh.mark(t, st, true, 2, 3, 7)
	first := now.HighestModSeq()
	want := seenHeader + "\n" + line(first, `2:3,7 "owner/INBOX"`)
	if got := sh.text(t); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	now = sh.mark(t, st, true, 10, 11) // there is no 11
	second := now.HighestModSeq()
	if want += line(second, "10"); sh.text(t) != want || second <= first {
		t.Errorf("got\n%swant\n%s", sh.text(t), want)
	}
	if now = sh.mark(t, st, true, 7, 10); now.HighestModSeq() != second || sh.text(t) != want {
		t.Error("what is seen already was marked again")
	}
	now = sh.mark(t, st, false, 7)
	if want = seenHeader + "\n" + line(now.HighestModSeq(), `2:3,10 "owner/INBOX"`); sh.text(t) != want {
		t.Errorf("got\n%swant\n%s", sh.text(t), want)
	}
	if now.Unseen() != 7 || now.FirstUnseen() != 0 || now.ModSeq(6) != now.HighestModSeq() || now.ModSeq(9) != second {
		t.Error("unseen", now.Unseen(), "first", now.FirstUnseen(), "MODSEQs", now.ModSeq(6), now.ModSeq(9))
	}
	sh.mark(t, st, false, 2, 3, 10)
	if got := sh.text(t); !strings.HasSuffix(got, ` - "owner/INBOX"`+"\n") {
		t.Errorf("%q", got) // the MODSEQ must not be forgotten
	}
	after, err := os.ReadDir(sh.owner + "/cur")
	must(t, err)
	if !slices.EqualFunc(names, after, func(a, b os.DirEntry) bool { return a.Name() == b.Name() }) {
		t.Error("a shared file was renamed")
	}
	st.Close()
	// A folder that has another name since is noted at the next mark.
	key := sh.key()
	key.Hint = "owner/A \"b\"\n\x01"
	st, err = sh.tree.Seen(key)
	must(t, err)
	sh.mark(t, st, true, 1)
	st.Close()
	if got := sh.text(t); !strings.HasSuffix(got, ` 1 "owner/A \"b\"\n\x01"`+"\n") {
		t.Errorf("%q", got)
	}
}

// UIDs that are no message's make no runs of their own.
func TestSeenRuns(t *testing.T) {
	sh := share(t, 9)
	_, err := sh.folder.Expunge(t.Context(), []uint32{2, 4, 6}, false)
	must(t, err)
	st := sh.open(t)
	defer st.Close()
	sh.mark(t, st, true, 1, 3, 5, 7)
	sh.mark(t, st, true, 9)
	if got := st.View().seen; !slices.Equal(got, uidSet{{1, 7}, {9, 9}}) {
		t.Error(got)
	}
	_, err = sh.folder.Expunge(t.Context(), []uint32{8}, false)
	must(t, err)
	sh.mark(t, st, false, 5)
	sh.want(t, st, "1,3,7,9")
	if got := st.View().seen; !slices.Equal(got, uidSet{{1, 3}, {7, 9}}) {
		t.Error(got)
	}
	put(t, sh.owner+"/cur/20000.y:2,S", "x\n")
	_, err = sh.folder.Sync(t.Context())
	must(t, err)
	sh.want(t, st, "1,3,7,9") // the flag in the file's name is the owner's
}

// The file cut at each octet, with marks made after: nothing fails, and no message looks seen that was not marked.
func TestSeenCut(t *testing.T) {
	sh := share(t, 30)
	st := sh.open(t)
	for _, uids := range [][]uint32{{1, 2, 3}, {12}, {20, 22}, {30}} {
		sh.mark(t, st, true, uids...)
	}
	st.Close()
	whole := sh.text(t)
	marked := func(text string) uidSet { // by the lines that are whole
		var set uidSet
		for _, line := range strings.Split(text[:strings.LastIndexByte(text, '\n')+1], "\n")[1:] {
			if f := strings.Fields(line); len(f) > 3 {
				part, _ := parseUIDSet(f[3])
				set = set.union(part)
			}
		}
		return set
	}
	for n := range len(whole) {
		p := sh.cut(t, whole[:n])
		st := p.open(t)
		want := uidSet(nil)
		if strings.Contains(whole[:n], "\n") {
			want = marked(whole[:n])
		}
		p.want(t, st, string(want.append(nil)))
		p.mark(t, st, true, 25)
		want = want.union(uidSet{{25, 25}})
		st.Close()
		q := p.again(t)
		again := q.open(t)
		q.want(t, again, string(want.append(nil)))
		again.Close()
		for i, line := range strings.Split(strings.TrimSuffix(p.text(t), "\n"), "\n") {
			if i == 0 && line != seenHeader || i > 0 && len(strings.Fields(line)) < 4 {
				t.Fatalf("cut at %d: line %q", n, line)
			}
		}
		q.end()
		p.end()
	}
}

// cut is another process that finds the file with this text.
func (sh *sharing) cut(t *testing.T, text string) *sharing {
	t.Helper()
	replace(t, sh.path(), text)
	return sh.again(t)
}

// end closes the store early; a thousand are too many to wait for the end of the test.
func (sh *sharing) end() { sh.store.Close() }

// The file as others leave it, also while it is in use.
func TestSeenFileByHand(t *testing.T) {
	sh := share(t, 20)
	st := sh.open(t)
	defer st.Close()
	sh.mark(t, st, true, 5)
	var told atomic.Int64
	defer st.OnChange(func() { told.Add(1) })()
	id := fmt.Sprintf("%s %d", sh.key().GUID, sh.key().UIDValidity)
	highest := st.View().highest
	before := st.Over(sh.folder)
	replace(t, sh.path(), fmt.Sprintf("%s\r\n%s 12 3,1:2\r\nrubbish\n\xff\x00\n%s 12 0\n%s 12 7 hint\n%s 99999999999999999999 8\nxyz 1 1 9\n%s 12\n%s %d 4 \"h\"\n%s 12 1",
		seenHeader, id, id, id, id, id, id, highest+1, id))
	st.Sync()
	sh.want(t, st, "1:4")
	var changed []uint32
	after := st.Over(sh.folder)
	before.Diff(after, nil, func(i int) { changed = append(changed, after.UID(i)) })
	if told.Load() != 1 || !slices.Equal(changed, []uint32{1, 2, 3, 4, 5}) {
		t.Errorf("told %d times of %v", told.Load(), changed)
	}
	st.Sync()
	if told.Load() != 1 {
		t.Error("told again of what is not new")
	}
	sh.mark(t, st, true, 6) // the torn line is cut off
	if got := sh.text(t); strings.Contains(got, "12 1\n") || !strings.Contains(got, "\n"+id) {
		t.Errorf("%q", got)
	}
	must(t, os.Remove(sh.path()))
	st.Sync()
	sh.want(t, st, "")
	sh.mark(t, st, true, 8)
	sh.want(t, st, "8")
	// A header that is none costs nothing but itself, and an old file of another version is not overwritten.
	replace(t, sh.path(), "hello\n"+id+" 1 2:3\n")
	st.Sync()
	sh.want(t, st, "2:3")
	sh.mark(t, st, true, 9)
	if got := sh.text(t); !strings.HasPrefix(got, seenHeader+"\n") || strings.Contains(got, "hello") {
		t.Errorf("%q", got)
	}
	replace(t, sh.path(), "postroom-seen 2\n"+id+" 1 2:3\n")
	st.Sync()
	sh.want(t, st, "")
	if _, err := st.Store(t.Context(), sh.folder, []uint32{1}, Change{Op: StoreAdd, Flags: Seen}); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	if got := sh.text(t); got != "postroom-seen 2\n"+id+" 1 2:3\n" {
		t.Errorf("%q", got)
	}
}

// What stands in the file's place and is none keeps nobody from reading mail.
func TestSeenNoFile(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"FIFO":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"directory": func(path string) error { return os.MkdirAll(path+"/x", 0o700) },
		"link":      func(path string) error { return os.Symlink("/etc/passwd", path) },
	} {
		t.Run(name, func(t *testing.T) {
			sh := share(t, 3)
			must(t, make(sh.path()))
			st := sh.open(t)
			defer st.Close()
			sh.want(t, st, "")
			if _, err := st.Store(t.Context(), sh.folder, []uint32{1}, Change{Op: StoreAdd, Flags: Seen}); err == nil {
				t.Error("marked")
			}
			sh.want(t, st, "")
			must(t, os.RemoveAll(sh.path()))
			sh.mark(t, st, true, 2)
			sh.want(t, st, "2")
		})
	}
}

// What a reader has marked in several processes, and what clients of them are told.
func TestSeenProcesses(t *testing.T) {
	a := share(t, 100)
	b := a.again(t)
	sa, sb := a.open(t), b.open(t)
	defer sa.Close()
	defer sb.Close()
	see := func(p *sharing, st *SeenState) *Snapshot {
		t.Helper()
		_, err := p.folder.Sync(t.Context())
		must(t, err)
		return st.Over(p.folder)
	}
	client := cachedBy(see(a, sa))
	for n := range uint32(40) {
		p, st := a, sa
		if n%2 == 1 {
			p, st = b, sb
		}
		p.mark(t, st, n%5 != 4, 1+n*7%50, 2+n*11%50)
		if n%8 == 3 {
			client.back(t, see(a, sa))
		}
		if n%8 == 7 {
			client.back(t, see(b, sb))
		}
		if x, y := shown(see(a, sa)), shown(see(b, sb)); x != y {
			t.Fatalf("after %d: one sees\n%sthe other\n%s", n, x, y)
		}
	}
	// What was marked and unmarked by one looks to the other as it did, but was changed for a client that knows it marked.
	see(b, sb)
	a.mark(t, sa, true, 77)
	client = cachedBy(see(a, sa))
	a.mark(t, sa, false, 77)
	client.back(t, see(b, sb))
	// It is not asked for: the store looks by itself.
	c := a.againWith(t, Options{NoWatch: true, PollInterval: time.Millisecond})
	sc := c.open(t)
	defer sc.Close()
	news := make(chan struct{}, 100)
	defer sc.OnChange(func() { news <- struct{}{} })()
	a.mark(t, sa, true, 99)
	<-news
	if !sc.View().seen.contains(99) {
		t.Error("told, but not seen")
	}
}

// TestHop for a reader whose sessions mark and unmark in both processes, beside the owner's who change flags.
func TestSeenHop(t *testing.T) {
	const n = 400
	procs := make([]*sharing, 2)
	procs[0] = share(t, n)
	procs[1] = procs[0].again(t)
	states := []*SeenState{procs[0].open(t), procs[1].open(t)}
	var wg sync.WaitGroup
	var end atomic.Bool
	defer wg.Wait()
	defer end.Store(true)
	for k, p := range procs {
		wg.Go(func() {
			for i := uint32(k); !end.Load(); i += 3 {
				op := []StoreOp{StoreAdd, StoreAdd, StoreRemove}[i/25%3]
				if _, err := states[k].Store(t.Context(), p.folder, []uint32{1 + i%25}, Change{Op: op, Flags: Seen}); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for uid := uint32(26 + k); !end.Load() && uid <= n; uid += 2 {
				if _, err := p.folder.Store(t.Context(), []uint32{uid}, Change{Op: StoreAdd, Flags: Flagged}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	client := cachedBy(states[0].Over(procs[0].folder))
	for k := range 100 {
		p, st := procs[k/3%2], states[k/3%2]
		if k%3 == 0 { // it has come from the other: SELECT
			_, err := p.folder.Sync(t.Context())
			must(t, err)
		}
		client.back(t, st.Over(p.folder))
	}
	end.Store(true)
	wg.Wait()
	for k, st := range states {
		st.Sync()
		_, err := procs[k].folder.Sync(t.Context())
		must(t, err)
	}
	if a, b := shown(states[0].Over(procs[0].folder)), shown(states[1].Over(procs[1].folder)); a != b {
		t.Errorf("one sees\n%sthe other\n%s", a, b)
	}
	for _, st := range states {
		st.Close()
	}
}

// What was answered OK is there after kill -9.
func TestSeenKill(t *testing.T) {
	const env = "POSTROOM_SEEN_CHILD"
	if at := os.Getenv(env); at != "" {
		sh := (&sharing{owner: at + "/owner", reader: at + "/reader"}).again(t)
		st := sh.open(t)
		for uid := uint32(1); uid <= 3000; uid += 2 {
			sh.mark(t, st, true, uid)
			fmt.Println("marked", uid)
		}
		return
	}
	sh := share(t, 3000)
	cmd := exec.Command(os.Args[0], "-test.run=^TestSeenKill$")
	cmd.Env = append(os.Environ(), env+"="+filepath.Dir(sh.owner))
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	var marked uint64
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if n, ok := strings.CutPrefix(lines.Text(), "marked "); ok {
			marked, err = strconv.ParseUint(n, 10, 32)
			must(t, err)
			if marked >= 201 {
				cmd.Process.Kill()
			}
		}
	}
	cmd.Wait()
	if marked < 201 {
		t.Fatal("marked only up to", marked)
	}
	p := sh.again(t)
	st := p.open(t)
	defer st.Close()
	now := st.Over(p.folder)
	for i := range int(marked) {
		if now.UID(i)%2 == 1 && now.Flags(i)&Seen == 0 {
			t.Errorf("UID %d was marked, and is unread", now.UID(i))
		}
	}
	if now.Flags(1)&Seen != 0 {
		t.Error("UID 2 was never marked")
	}
	p.mark(t, st, true, 2) // a lock that was left over is in nobody's way
}

// One state for all sessions of a reader; the owner's sessions are not woken by what others read.
func TestSeenSharedByAll(t *testing.T) {
	sh := share(t, 10)
	a, b := sh.open(t), sh.open(t)
	if a != b {
		t.Fatal("two states")
	}
	var told, all atomic.Int64
	cancel := b.OnChange(func() { told.Add(1) })
	defer sh.folder.Subscribe(Interest{Tell: func() { all.Add(1) }}).Cancel()
	before := sh.folder.Snapshot()
	now := sh.mark(t, a, true, 1, 2, 3)
	after := sh.folder.Snapshot()
	if told.Load() != 1 || all.Load() != 0 {
		t.Errorf("told the reader %d times, all %d times", told.Load(), all.Load())
	}
	before.Diff(after, nil, func(i int) { t.Error("a shared flag changed of message", i) })
	if after.HighestModSeq() <= before.HighestModSeq() || now.HighestModSeq() != after.HighestModSeq() || after.Unseen() != 10 || now.Unseen() != 7 {
		t.Error("HIGHESTMODSEQ", before.HighestModSeq(), after.HighestModSeq(), now.HighestModSeq(), "unseen", after.Unseen(), now.Unseen())
	}
	if b.Over(sh.folder) != now {
		t.Error("another snapshot of the same")
	}
	cancel()
	a.Close()
	sh.mark(t, b, true, 4)
	if told.Load() != 1 {
		t.Error("told after the end")
	}
	b.Close()
	if sh.tree.seen.unsynced {
		t.Error("closed with marks that are not synced")
	}
	st := sh.open(t)
	defer st.Close()
	sh.want(t, st, "1:4")
	// Of what happened before it was opened single changes are not known: all count as changed then.
	if s := st.Over(sh.folder); s.ModSeq(0) != s.ModSeq(9) || s.ModSeq(9) != s.HighestModSeq() {
		t.Error(s.ModSeq(0), s.ModSeq(9), s.HighestModSeq())
	}
}

// STORE's conditions and forms, as far as they are about \Seen.
func TestSeenStore(t *testing.T) {
	sh := share(t, 6)
	st := sh.open(t)
	defer st.Close()
	first := sh.mark(t, st, true, 1, 2)
	since := first.HighestModSeq()
	sh.mark(t, st, true, 3)
	res, err := st.Store(t.Context(), sh.folder, []uint32{1, 3, 4, 9}, Change{Op: StoreReplace, Flags: Flagged, UnchangedSince: &since})
	must(t, err)
	if !slices.Equal(res.Modified, []uint32{3}) || !slices.Equal(res.Missing, []uint32{9}) || seenUIDs(res.Snapshot) != "2:3" {
		t.Error(res.Modified, res.Missing, seenUIDs(res.Snapshot))
	}
	if res.Snapshot.Flags(3) != 0 {
		t.Error("a shared flag was changed")
	}
	must(t, errOf(st.Store(t.Context(), sh.folder, []uint32{1, 2}, Change{Op: StoreReplace, Flags: Seen})))
	must(t, errOf(st.Store(t.Context(), sh.folder, []uint32{3}, Change{Op: StoreRemove, Flags: Flagged})))
	must(t, errOf(st.Store(t.Context(), sh.folder, []uint32{4}, Change{Op: StoreAdd, Flags: Seen, Keep: Seen})))
	sh.want(t, st, "1:3")
	other, err := sh.tree.Seen(SeenKey{GUID: strings.Repeat("0", 32), UIDValidity: 1})
	must(t, err)
	defer other.Close()
	if _, err := other.Store(t.Context(), sh.folder, []uint32{1}, Change{Op: StoreAdd, Flags: Seen}); !errors.Is(err, ErrGone) {
		t.Error(err)
	}
	for _, key := range []SeenKey{{GUID: "", UIDValidity: 1}, {GUID: strings.Repeat("0", 32)}, {GUID: strings.Repeat("x", 32), UIDValidity: 1}} {
		if _, err := sh.tree.Seen(key); !errors.Is(err, ErrCannot) {
			t.Error(key, err)
		}
	}
}

func errOf(_ StoreResult, err error) error { return err }

// A snapshot that is one reader's is good for all that snapshots are good for, and shows the folder as it is to all others.
func TestSeenOverlay(t *testing.T) {
	sh := share(t, 3)
	st := sh.open(t)
	defer st.Close()
	must(t, errOf(sh.folder.Store(t.Context(), []uint32{1}, Change{Op: StoreAdd, Flags: Seen, Keywords: []string{"k"}})))
	base := sh.folder.Snapshot()
	mine := sh.mark(t, st, true, 2)
	if flagsText(mine, 0) != "k" || flagsText(mine, 1) != `\Seen` || flagsText(base, 0) != `\Seen k` {
		t.Error(flagsText(mine, 0), flagsText(mine, 1), flagsText(base, 0))
	}
	if mine.WithSeen(nil) != sh.folder.Snapshot() || mine.WithSeen(st.View()).base() != sh.folder.Snapshot() {
		t.Error("a view on a view")
	}
	rd := sh.folder.NewReading(t.Context())
	defer rd.Close()
	rd.Seek(mine, 1)
	if size, err := rd.Size(); err != nil || size != 3 {
		t.Error(size, err)
	}
	// \Seen becomes everybody's, or the reader's own, while he looks.
	for _, c := range []struct{ before, after *Snapshot }{{mine, sh.folder.Snapshot()}, {sh.folder.Snapshot(), mine}} {
		var changed []uint32
		c.before.Diff(c.after, nil, func(i int) { changed = append(changed, c.after.UID(i)) })
		if !slices.Equal(changed, []uint32{1, 2}) {
			t.Error(changed)
		}
	}
}

// The bounds: too many runs drop the oldest mail, too many folders those that were marked longest ago.
func TestSeenBounds(t *testing.T) {
	sh := share(t, 5)
	var b []byte
	b = append(b, seenHeader+"\n"...)
	for i := range maxSeenFolders + 20 {
		b = appendSeenLine(b, seenID{fmt.Sprintf("%032x", i), 7}, 1, uidSet{{1, 1}}, "")
	}
	var odd uidSet
	for uid := uint32(1); len(odd) < maxSeenRuns+100; uid += 2 {
		odd = append(odd, uidRange{uid, uid})
	}
	many := seenID{fmt.Sprintf("%032x", 5), 7}
	b = appendSeenLine(b, many, 9, odd, "")
	put(t, sh.path(), string(b))
	st := sh.open(t)
	defer st.Close()
	sh.mark(t, st, true, 1, 2)
	sh.mark(t, st, false, 2)
	p := sh.again(t)
	defer p.end()
	must(t, p.tree.PruneSeen(t.Context(), func(SeenKey) bool { return true }))
	entries := p.tree.seen.entries
	if len(entries) != maxSeenFolders {
		t.Error(len(entries), "folders")
	}
	for i, want := range map[int]bool{0: false, 4: false, 5: true, 21: false, 22: true, maxSeenFolders: true} {
		if _, ok := entries[seenID{fmt.Sprintf("%032x", i), 7}]; ok != want {
			t.Errorf("folder %d is there: %v", i, ok)
		}
	}
	if got := entries[many].seen; len(got) != maxSeenRuns || got[0].from != 201 {
		t.Error(len(got), got[0])
	}
	pst := p.open(t)
	defer pst.Close()
	p.want(t, pst, "1")
	// A file beyond all bounds is read as far as they go, and put right.
	put(t, sh.path(), seenHeader+"\n"+strings.Repeat(string(appendSeenLine(nil, many, 1, uidSet{{1, 1}}, strings.Repeat("x", 900))), maxSeenFile/900))
	sh.mark(t, st, true, 4)
	fi, err := os.Stat(sh.path())
	must(t, err)
	if fi.Size() > 2000 {
		t.Error(fi.Size(), "octets")
	}
	sh.want(t, st, "4")
}

// Lines that add nothing do not pile up.
func TestSeenCompact(t *testing.T) {
	sh := share(t, 3)
	st := sh.open(t)
	defer st.Close()
	sh.mark(t, st, true, 1)
	line := strings.SplitAfter(sh.text(t), "\n")[1]
	replace(t, sh.path(), seenHeader+"\n"+strings.Repeat(line, seenSlack+5))
	sh.mark(t, st, true, 2)
	if n := strings.Count(sh.text(t), "\n"); n != 2 {
		t.Error(n, "lines")
	}
	sh.want(t, st, "1:2")
}

func TestPruneSeen(t *testing.T) {
	sh := share(t, 3)
	st := sh.open(t)
	sh.mark(t, st, true, 1)
	id := "11111111111111111111111111111111 5"
	put(t, sh.path(), sh.text(t)+id+" 3 1:9 \"bob/Old\"\n22222222222222222222222222222222 5 3 1:9 \"bob/Kept\"\n")
	must(t, sh.tree.PruneSeen(t.Context(), func(k SeenKey) bool { return k.Hint == "bob/Kept" }))
	if got := sh.text(t); strings.Contains(got, "bob/Old") || !strings.Contains(got, "bob/Kept") || !strings.Contains(got, "owner/INBOX") {
		t.Errorf("%q", got)
	}
	st.Close()
	must(t, sh.tree.PruneSeen(t.Context(), func(k SeenKey) bool { return k.Hint == "bob/Kept" }))
	if got := sh.text(t); strings.Contains(got, "owner/INBOX") {
		t.Errorf("%q: it is open no more", got)
	}
	st = sh.open(t)
	defer st.Close()
	sh.want(t, st, "")
}

// MODSEQs drawn for what is in no folder are nobody else's, also across processes.
func TestDrawModSeq(t *testing.T) {
	a := share(t, 5)
	b := a.again(t)
	var mu sync.Mutex
	drawn := map[uint64]bool{}
	var wg sync.WaitGroup
	for _, p := range []*sharing{a, b} {
		wg.Go(func() {
			for range 50 {
				n, err := p.folder.DrawModSeq(t.Context())
				if err != nil {
					t.Error(err)
				}
				if n > p.folder.Snapshot().HighestModSeq() {
					t.Error("drawn", n, "but HIGHESTMODSEQ is", p.folder.Snapshot().HighestModSeq())
				}
				mu.Lock()
				if drawn[n] {
					t.Error("drawn twice:", n)
				}
				drawn[n] = true
				mu.Unlock()
			}
		})
		wg.Go(func() {
			for i := range 50 {
				_, err := p.folder.Store(t.Context(), []uint32{1 + uint32(i%5)}, Change{Op: StoreOp(1 + i/5%2), Flags: Flagged})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	snap, err := a.folder.Sync(t.Context())
	must(t, err)
	for i := range snap.Len() {
		if drawn[snap.ModSeq(i)] {
			t.Error("drawn, and a message's:", snap.ModSeq(i))
		}
	}
	if mark := a.folder.markOnDisk(); mark < snap.HighestModSeq() {
		t.Error("the mark", mark, "is below HIGHESTMODSEQ", snap.HighestModSeq())
	}
}

// A STORE by somebody who may change some flags only.
func TestStoreKeeps(t *testing.T) {
	sh := share(t, 1)
	f := sh.folder
	many := numbered("k", 30) // the last have no letter
	for _, c := range []struct {
		ch   Change
		want string
	}{
		{Change{Op: StoreReplace, Flags: Seen | Flagged | Deleted, Keywords: many}, `\Flagged \Seen \Deleted ` + strings.Join(many, " ")},
		{Change{Op: StoreReplace, Keep: System, Keywords: []string{"k1", "k29"}}, `\Flagged \Seen \Deleted k1 k29`},
		{Change{Op: StoreReplace, Flags: Draft | Seen, Keep: Seen | Deleted, KeepKeywords: true, Keywords: []string{"x"}}, `\Draft \Seen \Deleted k1 k29`},
		{Change{Op: StoreRemove, Flags: System, Keep: Seen, KeepKeywords: true, Keywords: []string{"k1", "k29"}}, `\Seen k1 k29`},
		{Change{Op: StoreAdd, Flags: System, Keep: Deleted, KeepKeywords: true, Keywords: []string{"x", "k2"}}, `\Draft \Flagged \Answered \Seen k1 k29`},
		{Change{Op: StoreRemove, Keywords: []string{"k1", "k29"}, Flags: System}, ``},
	} {
		res, err := f.Store(t.Context(), []uint32{1}, c.ch)
		must(t, err)
		if got := flagsText(res.Snapshot, 0); got != c.want {
			t.Errorf("%+v: %s, want %s", c.ch, got, c.want)
		}
	}
	if slices.Contains(f.Snapshot().AllKeywords(), "x") {
		t.Error("a keyword was made known that must not be stored")
	}
	before := f.Snapshot()
	must(t, errOf(f.Store(t.Context(), []uint32{1}, Change{Op: StoreAdd, Flags: System, Keep: System})))
	if f.Snapshot() != before {
		t.Error("something changed")
	}
}

// What cannot be written is refused, and is not seen later either.
func TestSeenRefused(t *testing.T) {
	if notAsRoot(t) {
		return
	}
	sh := share(t, 5)
	st := sh.open(t)
	defer st.Close()
	refused := func(kind error, seen bool) {
		t.Helper()
		op := StoreAdd
		if !seen {
			op = StoreRemove
		}
		res, err := st.Store(t.Context(), sh.folder, []uint32{1, 2}, Change{Op: op, Flags: Seen})
		if err == nil || kind != nil && !errors.Is(err, kind) || res.Snapshot == nil {
			t.Errorf("%v, want %v", err, kind)
		}
	}
	must(t, os.Chmod(sh.reader, 0o500))
	refused(ErrReadOnly, true)
	sh.want(t, st, "")
	must(t, os.Chmod(sh.reader, 0o700))
	sh.mark(t, st, true, 1)
	must(t, os.Chmod(sh.path(), 0o400)) // it can be read and replaced, and nothing appended
	refused(ErrReadOnly, true)
	sh.want(t, st, "1")
	must(t, os.Mkdir(sh.reader+"/"+seenTemp, 0o700))
	put(t, sh.reader+"/"+seenTemp+"/x", "") // it can not be replaced either
	refused(nil, true)
	refused(nil, false)
	sh.want(t, st, "1")
	other, err := sh.tree.Seen(sh.key())
	must(t, err)
	sh.want(t, other, "1")
	other.Close()
	p := sh.again(t)
	pst := p.open(t)
	p.want(t, pst, "1")
	pst.Close()
	must(t, os.RemoveAll(sh.reader+"/"+seenTemp))
	must(t, os.Chmod(sh.path(), 0o600))
	sh.mark(t, st, true, 3)
	sh.mark(t, st, false, 1)
	sh.want(t, st, "3")
}

// FuzzSeenFile: whatever stands in the file, mail can be read and marked, and then the file says so.
func FuzzSeenFile(f *testing.F) {
	id := strings.Repeat("0a", 16) + " 5 "
	f.Add([]byte(seenHeader + "\n" + id + "7 1:5,7 \"a\\n/b\"\n" + id + "9 -\n"))
	f.Add([]byte(seenHeader + "\n" + id + "7 1:5,7"))
	f.Add([]byte("postroom-seen 2\n" + id + "7 1\n"))
	f.Add([]byte("\n\n\r\n" + id + "9223372036854775807 4294967294 \"\"\n"))
	store := NewStore(Options{NoWatch: true, Logger: discard})
	f.Cleanup(store.Close)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		dir := t.TempDir()
		tree, err := store.OpenTree(dir, TreeOptions{})
		must(t, err)
		defer tree.Close()
		put(t, dir+"/"+seenName, string(data))
		st, err := tree.Seen(SeenKey{GUID: strings.Repeat("0a", 16), UIDValidity: 5, Hint: "h"})
		must(t, err)
		defer st.Close()
		s := st.file
		s.mu.Lock()
		defer s.mu.Unlock()
		was := st.View()
		err = st.writeLocked(&Snapshot{uidNext: 1}, uidSet{{7, 7}}, nil, was.highest)
		if s.refused != nil {
			return
		}
		must(t, err)
		want := st.View().seen
		s.distrust()
		must(t, s.followLocked())
		if got := s.entries[st.id]; !want.contains(7) || got == nil || len(got.seen.differ(want)) > 0 || got.highest != was.highest || got.hint != "h" {
			t.Errorf("%+v, want %v", got, want)
		}
	})
}
