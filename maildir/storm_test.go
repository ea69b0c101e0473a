package maildir

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The storm test: processes outside rename, deliver, move and delete messages
// as fast as they can in a folder of 20,000, while sessions watch and change
// it too, and the event queue is made to overflow. The oracle knows only what
// sessions are told, and which messages were ever deleted by anyone.
var (
	stormTime     = flag.Duration("storm", 4*time.Second, "how long the storm test runs")
	stormMessages = flag.Int("storm-messages", 20000, "how many messages it begins with")
)

const stormWorkers = 3

func TestMain(m *testing.M) {
	if spec := os.Getenv("POSTROOM_STORM_WORKER"); spec != "" {
		stormWorker(spec)
		return
	}
	os.Exit(m.Run())
}

func TestStorm(t *testing.T) {
	t.Run("watched", func(t *testing.T) { storm(t, Options{}, true) })
	t.Run("polled", func(t *testing.T) { storm(t, Options{NoWatch: true, PollInterval: 100 * time.Millisecond}, false) })
}

func stormFile(worker, n int) string { return fmt.Sprintf("%d.w%d_%d.storm", 1000000+n, worker, n) }

func storm(t *testing.T, opt Options, overflow bool) {
	dir := filepath.Join(t.TempDir(), "Maildir")
	s := testStore(t, opt)
	tree := testTree(t, s, dir)
	for i := range *stormMessages {
		base := stormFile(i%stormWorkers, i)
		put(t, dir+"/cur/"+base+":2,", "X-Id: "+base+"\n\n")
	}
	o := newOracle(t)
	ctx, cancel := context.WithTimeout(t.Context(), *stormTime)
	defer cancel()
	var outside, sessions sync.WaitGroup
	for w := range stormWorkers {
		outside.Go(func() { o.runWorker(ctx, dir, w) })
	}
	if overflow {
		outside.Go(func() { o.stallWatcher(ctx, s.watch) })
	}
	end := make(chan struct{})
	for _, kind := range []string{"idle", "noop", "lagging", "reader", "storer", "expunger"} {
		sess := o.newSession(t, tree, kind)
		sessions.Go(func() { sess.run(end) })
	}
	outside.Wait()
	close(end)
	sessions.Wait()
	for _, sess := range o.sessions {
		sess.finish()
	}
	o.compareWithDisk(dir)
	t.Logf("%d outside changes, %d deliveries, %d deletions; sessions were told of %d arrivals, %d expunges, %d flag changes; %d overflows",
		o.changes, o.deliveries, len(o.deleted), o.told.arrived, o.told.expunged, o.told.flags, o.overflows)
	if o.told.expunged == 0 || o.told.flags == 0 || o.changes == 0 {
		t.Error("the storm did nothing")
	}
	if overflow && o.overflows == 0 {
		t.Error("no overflow was provoked")
	}
}

// oracle holds what is known of all messages from what sessions were told.
type oracle struct {
	t *testing.T

	mu         sync.Mutex
	idOf       map[uint32]string
	uidOf      map[string]uint32
	deleted    map[string]int // by how many: said before the file is removed
	sessions   []*stormSession
	changes    int
	deliveries int
	overflows  int
	told       struct{ arrived, expunged, flags int }
	failed     int
}

func newOracle(t *testing.T) *oracle {
	return &oracle{t: t, idOf: map[uint32]string{}, uidOf: map[string]uint32{}, deleted: map[string]int{}}
}

func (o *oracle) failf(format string, args ...any) {
	o.mu.Lock()
	o.failed++
	n := o.failed
	o.mu.Unlock()
	if n <= 20 {
		o.t.Errorf(format, args...)
	}
}

// identify notes that a session saw this message under this UID.
func (o *oracle) identify(uid uint32, id string) {
	o.mu.Lock()
	other, seen := o.idOf[uid]
	otherUID, seenID := o.uidOf[id]
	o.idOf[uid], o.uidOf[id] = id, uid
	o.mu.Unlock()
	if seen && other != id {
		o.failf("UID %d names %s and %s", uid, other, id)
	}
	if seenID && otherUID != uid {
		o.failf("%s has UIDs %d and %d", id, otherUID, uid)
	}
}

func (o *oracle) willDelete(id string) {
	o.mu.Lock()
	o.deleted[id]++
	o.mu.Unlock()
}

func (o *oracle) checkExpunge(who string, uid uint32) {
	o.mu.Lock()
	id, known := o.idOf[uid]
	ok := !known || o.deleted[id] > 0
	o.told.expunged++
	o.mu.Unlock()
	if !ok {
		o.failf("%s: false EXPUNGE of UID %d (%s), which nobody deleted", who, uid, id)
	}
}

// runWorker runs one outside process until ctx ends, and hears from it what it deletes.
func (o *oracle) runWorker(ctx context.Context, dir string, w int) {
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("POSTROOM_STORM_WORKER=%d:%d:%s", w, *stormMessages, dir))
	in, err := cmd.StdinPipe()
	must(o.t, err)
	out, err := cmd.StdoutPipe()
	must(o.t, err)
	must(o.t, cmd.Start())
	go func() {
		<-ctx.Done()
		in.Close() // the worker ends
	}()
	for sc := bufio.NewScanner(out); sc.Scan(); {
		verb, arg, _ := strings.Cut(sc.Text(), " ")
		switch verb {
		case "delete":
			o.willDelete(arg)
			fmt.Fprintln(in, "go") // after the worker was heard it may remove the file
		case "kept": // the storm ended before it was removed
			o.mu.Lock()
			o.deleted[arg]--
			o.mu.Unlock()
		case "done":
			var changes, deliveries int
			fmt.Sscan(arg, &changes, &deliveries)
			o.mu.Lock()
			o.changes += changes
			o.deliveries += deliveries
			o.mu.Unlock()
		default:
			o.t.Errorf("storm worker: %s", sc.Text())
		}
	}
	if err := cmd.Wait(); err != nil {
		o.t.Errorf("storm worker: %v", err)
	}
}

// stallWatcher keeps the reader of events from its work until the kernel's queue overflows.
func (o *oracle) stallWatcher(ctx context.Context, w *watcher) {
	for sleep(ctx, 700*time.Millisecond) == nil {
		before := w.overflows.Load()
		w.mu.Lock()
		time.Sleep(600 * time.Millisecond)
		w.mu.Unlock()
		time.Sleep(10 * time.Millisecond)
		if w.overflows.Load() == before {
			w.overflow() // too slow a machine to fill the kernel's queue: what waits in ours is lost in its stead
		}
		o.mu.Lock()
		o.overflows = int(w.overflows.Load())
		o.mu.Unlock()
	}
}

// stormSession is one IMAP session's knowledge: what it was told, in order.
type stormSession struct {
	o      *oracle
	folder *Folder
	kind   string
	snap   *Snapshot // told so far
	view   []uint32  // the UIDs by sequence number, kept by EXPUNGE and EXISTS alone
	wake   chan struct{}
	rng    *rand.Rand
}

func (o *oracle) newSession(t *testing.T, tree *Tree, kind string) *stormSession {
	f := open(t, tree, Inbox)
	s := &stormSession{o: o, folder: f, kind: kind, wake: make(chan struct{}, 1), rng: rand.New(rand.NewPCG(1, uint64(len(kind))))}
	f.Subscribe(tokens(s.wake))
	s.snap = f.Snapshot()
	for i := range s.snap.Len() {
		s.view = append(s.view, s.snap.UID(i))
	}
	s.identifyFrom(0)
	o.sessions = append(o.sessions, s)
	return s
}

// identifyFrom does what a client does with new messages: it fetches them.
func (s *stormSession) identifyFrom(i int) {
	for ; i < s.snap.Len(); i++ {
		s.fetch(i)
	}
}

func (s *stormSession) fetch(i int) {
	uid := s.snap.UID(i)
	m, err := s.folder.Open(context.Background(), uid)
	if errors.Is(err, ErrExpunged) {
		return
	}
	if err != nil {
		s.o.failf("%s: opening UID %d: %v", s.kind, uid, err)
		return
	}
	defer m.Close()
	b := make([]byte, m.Size())
	if _, err := m.ReadAt(b, 0); err != nil {
		s.o.failf("%s: reading UID %d: %v", s.kind, uid, err)
		return
	}
	s.o.identify(uid, strings.TrimSpace(strings.TrimPrefix(string(b), "X-Id: ")))
}

// report tells the session what is new, and checks that it is told right.
func (s *stormSession) report(newer *Snapshot) {
	old := s.snap
	if newer == old {
		return
	}
	shift, flags := 0, 0
	old.Diff(newer, func(i int, uid uint32) {
		seq := i - shift
		if seq >= len(s.view) || s.view[seq] != uid {
			s.o.failf("%s: EXPUNGE %d is not UID %d", s.kind, seq+1, uid)
			return
		}
		s.view = slices.Delete(s.view, seq, seq+1)
		shift++
		s.o.checkExpunge(s.kind, uid)
	}, func(i int) { flags++ })
	s.snap = newer
	from := len(s.view)
	for i := from; i < newer.Len(); i++ {
		uid := newer.UID(i)
		if uid < old.UIDNext() || i > 0 && uid <= newer.UID(i-1) {
			s.o.failf("%s: new message %d has UID %d, UIDNEXT was %d", s.kind, i+1, uid, old.UIDNext())
		}
		s.view = append(s.view, uid)
	}
	for i := range newer.Len() {
		if newer.UID(i) != s.view[i] {
			s.o.failf("%s: sequence number %d is UID %d, told as %d", s.kind, i+1, newer.UID(i), s.view[i])
			break
		}
	}
	s.o.mu.Lock()
	s.o.told.flags += flags
	s.o.told.arrived += newer.Len() - from
	s.o.mu.Unlock()
	s.identifyFrom(from)
}

func (s *stormSession) run(end chan struct{}) {
	for {
		select {
		case <-end:
			return
		default:
		}
		switch s.kind {
		case "idle":
			select {
			case <-s.wake:
			case <-end:
				return
			}
			s.report(s.folder.Snapshot())
		case "noop":
			s.sync()
		case "lagging":
			time.Sleep(300 * time.Millisecond)
			s.sync()
		case "reader":
			if n := s.snap.Len(); n > 0 {
				s.fetch(s.rng.IntN(n))
			}
			if s.rng.IntN(50) == 0 {
				s.sync()
			}
		case "storer":
			s.store()
		case "expunger":
			s.expunge()
		}
	}
}

func (s *stormSession) sync() {
	snap, err := s.folder.Sync(context.Background())
	if err != nil {
		s.o.failf("%s: %v", s.kind, err)
		return
	}
	s.report(snap)
}

func (s *stormSession) some(n int) []uint32 {
	var uids []uint32
	for range n {
		if l := s.snap.Len(); l > 0 {
			uids = append(uids, s.snap.UID(s.rng.IntN(l)))
		}
	}
	slices.Sort(uids)
	return slices.Compact(uids)
}

func (s *stormSession) store() {
	op := []StoreOp{StoreAdd, StoreRemove}[s.rng.IntN(2)]
	res, err := s.folder.Store(context.Background(), s.some(30), Change{Op: op, Flags: Flagged | Answered, Keywords: []string{"storm"}})
	if err != nil {
		s.o.failf("%s: %v", s.kind, err)
	}
	s.report(res.Snapshot)
}

func (s *stormSession) expunge() {
	time.Sleep(20 * time.Millisecond)
	uids := s.some(2)
	s.o.mu.Lock()
	for _, u := range uids {
		s.o.deleted[s.o.idOf[u]]++
	}
	s.o.mu.Unlock()
	snap, err := s.folder.Expunge(context.Background(), uids, false)
	if err != nil {
		s.o.failf("%s: %v", s.kind, err)
	}
	for _, u := range uids {
		if _, there := snap.Find(u); there {
			s.o.failf("%s: UID %d is there after its EXPUNGE", s.kind, u)
		}
	}
	s.report(snap)
}

// finish lets the session see the end, when nobody changes anything any more, and gives up the folder.
func (s *stormSession) finish() {
	if s.kind == "idle" {
		if _, err := s.folder.Sync(context.Background()); err != nil {
			s.o.failf("%s: %v", s.kind, err)
		}
		select {
		case <-s.wake:
		default:
			if _, untold := s.snap.news(s.folder.Snapshot()); untold {
				s.o.failf("%s: it was not woken", s.kind)
			}
		}
	}
	s.sync()
	s.folder.Close()
}

// compareWithDisk: in the end every session knows exactly what is there.
func (o *oracle) compareWithDisk(dir string) {
	disk := map[string]Flags{}
	for _, sub := range []string{"new", "cur"} {
		entries, err := os.ReadDir(filepath.Join(dir, sub))
		must(o.t, err)
		for _, e := range entries {
			disk[baseOf(e.Name())] = flagsOf(e.Name())
		}
	}
	for _, s := range o.sessions {
		told := map[string]Flags{}
		for i, uid := range s.view {
			told[o.idOf[uid]] = s.snap.Flags(i)
		}
		for id, want := range disk {
			if got, ok := told[id]; !ok {
				o.failf("%s: %s is on disk and was not told", s.kind, id)
			} else if got != want&System {
				o.failf("%s: %s has flags %x, told %x", s.kind, id, want&System, got)
			}
		}
		if len(told) != len(disk) || len(s.view) != len(disk) {
			o.failf("%s: %d messages told, %d on disk", s.kind, len(s.view), len(disk))
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for id, n := range o.deleted {
		if _, there := disk[id]; there && n > 0 {
			o.t.Errorf("%s was deleted and is there", id)
			break
		}
	}
}

// stormWorker is an outside process: it works on its share of the messages
// until standard input ends.
func stormWorker(spec string) {
	part := strings.SplitN(spec, ":", 3)
	w, _ := strconv.Atoi(part[0])
	n, _ := strconv.Atoi(part[1])
	k := &worker{dir: part[2], w: w, files: map[string]string{}, rng: rand.New(rand.NewPCG(7, uint64(w)))}
	for i := w; i < n; i += stormWorkers {
		base := stormFile(w, i)
		k.files[base] = "cur/" + base + ":2,"
	}
	k.bases = slices.Collect(maps.Keys(k.files))
	slices.Sort(k.bases)
	k.next = n + w
	stop := make(chan struct{})
	answers := make(chan struct{}, 1)
	go func() {
		for sc := bufio.NewScanner(os.Stdin); sc.Scan(); {
			answers <- struct{}{}
		}
		close(stop)
	}()
	for {
		select {
		case <-stop:
			fmt.Println("done", k.changes, k.deliveries)
			return
		default:
			k.step(answers, stop)
		}
	}
}

type worker struct {
	dir                 string
	w, next             int
	files               map[string]string // base to new/name or cur/name
	bases               []string
	rng                 *rand.Rand
	changes, deliveries int
}

func (k *worker) step(answers, stop chan struct{}) {
	if len(k.bases) == 0 {
		k.deliver()
		return
	}
	i := k.rng.IntN(len(k.bases))
	base := k.bases[i]
	switch n := k.rng.IntN(1000); {
	case n < 8:
		k.deliver()
	case n < 14:
		fmt.Println("delete", base)
		select {
		case <-answers:
		case <-stop:
			fmt.Println("kept", base)
			return
		}
		if !k.move(i, "") {
			fmt.Println("kept", base)
		}
	case n < 100:
		if strings.HasPrefix(k.files[base], "cur/") {
			k.move(i, "new/"+base)
		} else {
			k.move(i, "cur/"+base+":2,")
		}
	default:
		k.move(i, "cur/"+withFlags(base, Flags(k.rng.IntN(32))))
	}
}

func (k *worker) deliver() {
	base := stormFile(k.w, k.next)
	k.next += stormWorkers
	tmp := filepath.Join(k.dir, "tmp", base)
	if os.WriteFile(tmp, []byte("X-Id: "+base+"\n\n"), 0o600) == nil && os.Rename(tmp, filepath.Join(k.dir, "new", base)) == nil {
		k.files[base] = "new/" + base
		k.bases = append(k.bases, base)
		k.deliveries++
	}
}

// move renames a message, or removes it if to is "". Others may have renamed it:
// then it is looked for, and forgotten if it is not found. It tells whether it did it.
func (k *worker) move(i int, to string) bool {
	did := false
	base := k.bases[i]
	for range 100 {
		from := filepath.Join(k.dir, k.files[base])
		var err error
		if to == "" {
			err = os.Remove(from)
		} else {
			err = os.Rename(from, filepath.Join(k.dir, to))
		}
		if err == nil {
			k.changes++
			if to != "" {
				k.files[base] = to
				return true
			}
			did = true
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			fmt.Println("failed:", err)
			return false
		}
		if !k.find(base) {
			break
		}
	}
	delete(k.files, base)
	k.bases[i] = k.bases[len(k.bases)-1]
	k.bases = k.bases[:len(k.bases)-1]
	return did
}

func (k *worker) find(base string) bool {
	for _, sub := range []string{"new", "cur", "new", "cur", "new", "cur"} { // a listing can miss it
		entries, _ := os.ReadDir(filepath.Join(k.dir, sub))
		for _, e := range entries {
			if baseOf(e.Name()) == base {
				k.files[base] = sub + "/" + e.Name()
				return true
			}
		}
	}
	return false
}
