package maildir

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

var together = flag.Duration("together", time.Second, "how long TestTogether is to run")

// TestTogether lets everything that changes two folders happen at once, by two stores as two processes would: deliveries that
// are announced and claimed, flags and keywords, moves in both directions, expunges, private marks. What it holds them to: the counts of each
// snapshot are those of its messages, MODSEQs only rise, who only looks when he is told ends with the truth, who hops
// between the processes misses nothing, and each message that nobody expunged is in one folder at the end.
func TestTogether(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Maildir")
	g := &gathering{t: t, dir: dir, seed: rand.Uint64(), end: make(chan struct{})}
	t.Logf("seed %d", g.seed)
	var views []*onlooker
	for p := range 2 {
		tree := testTree(t, testStore(t, Options{PollInterval: 50 * time.Millisecond, Logger: discard}), dir)
		for k, name := range []string{Inbox, "Other"} {
			if p == 0 && name != Inbox {
				must(t, tree.Create(t.Context(), name, nil))
			}
			f := open(t, tree, name)
			t.Cleanup(f.Close)
			must(t, f.TellModSeqs(t.Context()))
			g.folders[p][k] = f
			views = append(views, g.look(f, Interest{}), g.look(f, Interest{Early: true}), g.look(f, Interest{Early: true, Claims: true}))
		}
	}
	g.run()
	for _, v := range views {
		v.finish()
	}
	g.finish()
}

type gathering struct {
	t       *testing.T
	dir     string
	seed    uint64
	folders [2][2]*Folder // of each process INBOX and the other
	end     chan struct{}
	workers sync.WaitGroup
	sources uint64 // of chance, that were made
	ids     int    // messages delivered
}

// work calls do, with a source of chance of its own, until the end.
func (g *gathering) work(do func(r *rand.Rand) error) {
	g.sources++
	r := rand.New(rand.NewPCG(g.seed, g.sources))
	g.workers.Go(func() {
		for {
			select {
			case <-g.end:
				return
			default:
			}
			if err := do(r); err != nil && !errors.Is(err, ErrBusy) {
				g.t.Error(err)
				return
			}
			time.Sleep(time.Duration(r.IntN(3000)) * time.Microsecond)
		}
	})
}

// some gives UIDs of messages in a snapshot.
func some(r *rand.Rand, s *Snapshot, most int) (uids []uint32) {
	if s.Len() == 0 {
		return nil
	}
	first := r.IntN(s.Len())
	for i := first; i < min(s.Len(), first+1+r.IntN(most)); i++ {
		uids = append(uids, s.UID(i))
	}
	return uids
}

func (g *gathering) run() {
	ctx := g.t.Context()
	for p := range g.folders {
		g.work(func(r *rand.Rand) error {
			f := g.folders[p][r.IntN(2)]
			ch := Change{Op: StoreOp(1 + r.IntN(2)), Flags: []Flags{Seen, Flagged, 0}[r.IntN(3)], Keep: Deleted}
			if ch.Flags == 0 {
				ch.Keywords = []string{"word" + strconv.Itoa(r.IntN(40))}
			}
			_, err := f.Store(ctx, some(r, f.Snapshot(), 20), ch)
			return err
		})
		g.work(func(r *rand.Rand) error {
			k := r.IntN(2)
			from := g.folders[p][k]
			_, err := from.MoveTo(ctx, some(r, from.Snapshot(), 10), g.folders[p][1-k], CopyOptions{})
			return err
		})
		g.work(func(r *rand.Rand) error {
			f := g.folders[p][r.IntN(2)]
			_, err := f.Expunge(ctx, some(r, f.Snapshot(), 400), true)
			return err
		})
	}
	g.work(g.hop())
	g.work(g.marks())
	for begun := time.Now(); time.Since(begun) < *together; g.ids++ {
		g.deliver()
		time.Sleep(time.Millisecond)
	}
	close(g.end)
	g.workers.Wait()
}

// doomed messages have \Deleted, which nobody changes.
func doomed(id int) bool { return id%3 == 0 }

func (g *gathering) deliver() {
	name := fmt.Sprintf("%d.%d_together", 1_000_000+g.ids, g.ids)
	to := g.dir + []string{"/new/" + name, "/.Other/new/" + name}[g.ids/2%2]
	if doomed(g.ids) {
		to = g.dir + "/cur/" + name + ":2,T"
	}
	temp := g.dir + "/tmp/" + name
	err := os.WriteFile(temp, []byte(strconv.Itoa(g.ids)), 0o600)
	if err == nil {
		err = os.Rename(temp, to)
	}
	if err != nil {
		g.t.Error(err)
	}
}

// hop is a client that goes from one process to the other.
func (g *gathering) hop() func(r *rand.Rand) error {
	var clients [2]*clientCache
	for k := range clients {
		clients[k] = cachedBy(g.folders[0][k].Snapshot())
	}
	return func(r *rand.Rand) error {
		k := r.IntN(2)
		f, c := g.folders[r.IntN(2)][k], clients[k]
		s, err := f.Sync(g.t.Context())
		if err != nil {
			return err
		}
		if vanished, ok := f.ExpungedSince(c.highest); ok {
			told := make(map[uint32]bool)
			for _, uid := range vanished {
				told[uid] = true
			}
			for uid := range c.flags {
				if _, there := s.Find(uid); !there && !told[uid] {
					return fmt.Errorf("%s: UID %d has vanished, which is not told to who knows MODSEQ %d", f.Name(), uid, c.highest)
				}
			}
		}
		if s.HighestModSeq() < c.highest {
			return fmt.Errorf("HIGHESTMODSEQ went from %d to %d", c.highest, s.HighestModSeq())
		}
		for i := range s.Len() {
			if was, known := c.flags[s.UID(i)]; s.ModSeq(i) <= c.highest && (!known || was != s.Flags(i)) {
				return fmt.Errorf("%s: UID %d, MODSEQ %d, is not told to who knows %05b at MODSEQ %d: it is %05b", f.Name(), s.UID(i), s.ModSeq(i), was, c.highest, s.Flags(i))
			}
		}
		clients[k] = cachedBy(s)
		return nil
	}
}

// marks is a reader with marks of his own, at both processes.
func (g *gathering) marks() func(r *rand.Rand) error {
	path := g.t.TempDir() + "/reader"
	var states [2]*SeenState
	for p := range states {
		states[p] = seenState(g.t, testTree(g.t, g.folders[p][0].store, path), g.folders[p][0])
		g.t.Cleanup(states[p].Close)
	}
	return func(r *rand.Rand) error {
		p := r.IntN(2)
		f, st := g.folders[p][0], states[p]
		_, err := st.Store(g.t.Context(), f, some(r, f.Snapshot(), 30), Change{Op: StoreOp(1 + r.IntN(2)), Flags: Seen})
		if err != nil {
			return err
		}
		return counted(st.Over(f))
	}
}

// counted holds a snapshot's counts against its messages.
func counted(s *Snapshot) error {
	var n, unseen, deleted, inNew int
	first, last := -1, uint32(0)
	for i := range s.Len() {
		n++
		flags := s.Flags(i)
		if flags&Seen == 0 {
			if unseen++; first < 0 {
				first = i
			}
		}
		if flags&Deleted != 0 {
			deleted++
		}
		if s.InNew(i) {
			inNew++
		}
		if s.ModSeq(i) > s.HighestModSeq() {
			return fmt.Errorf("UID %d has MODSEQ %d, above %d", s.UID(i), s.ModSeq(i), s.HighestModSeq())
		}
		if s.UID(i) <= last || s.UID(i) >= s.UIDNext() {
			return fmt.Errorf("UID %d after %d, the next will be %d", s.UID(i), last, s.UIDNext())
		}
		last = s.UID(i)
	}
	if unseen != s.Unseen() || deleted != s.Deleted() || inNew != s.CountNew() || first != s.FirstUnseen() {
		return fmt.Errorf("%d messages: unseen %d, deleted %d, in new/ %d, first %d; it says %d, %d, %d, %d", n, unseen, deleted, inNew, first, s.Unseen(), s.Deleted(), s.CountNew(), s.FirstUnseen())
	}
	return nil
}

// onlooker is a session in IDLE: it looks when it is told, and at no other time.
type onlooker struct {
	t     *testing.T
	f     *Folder
	in    Interest
	woken chan struct{}
	end   chan struct{}
	done  sync.WaitGroup
	told  *Snapshot
	early int
	view  []seenMessage // as the client has it
}

type seenMessage struct {
	uid   uint32
	flags string
}

func (g *gathering) look(f *Folder, in Interest) *onlooker {
	v := &onlooker{t: g.t, f: f, in: in, woken: make(chan struct{}, 1), end: make(chan struct{})}
	v.in.Tell = tokens(v.woken).Tell
	sub := f.Subscribe(v.in)
	v.told = f.Snapshot()
	v.add(v.told, 0)
	v.done.Go(func() {
		defer sub.Cancel()
		for {
			select {
			case <-v.woken:
				if err := v.look(); err != nil {
					g.t.Errorf("%s: %+v: %v", f.Name(), in, err)
					return
				}
			case <-v.end:
				return
			}
		}
	})
	return v
}

func (v *onlooker) add(s *Snapshot, from int) {
	for i := from; i < s.Len(); i++ {
		v.view = append(v.view, seenMessage{s.UID(i), flagsText(s, i)})
	}
}

func (v *onlooker) look() error {
	s := v.f.Snapshot()
	if err := counted(s); err != nil {
		return err
	}
	if s.HighestModSeq() < v.told.HighestModSeq() {
		return fmt.Errorf("HIGHESTMODSEQ went from %d to %d", v.told.HighestModSeq(), s.HighestModSeq())
	}
	gone := make(map[uint32]bool)
	var changed []int
	v.told.Diff(s, func(_ int, uid uint32) { gone[uid] = true }, func(i int) { changed = append(changed, i) })
	var view []seenMessage
	for _, m := range v.view {
		if !gone[m.uid] {
			view = append(view, m)
		}
	}
	for _, i := range changed {
		view[i].flags = flagsText(s, i)
	}
	v.view = view
	v.add(s, len(view))
	v.told, v.early = s, 0
	if v.in.Early {
		v.early = s.Arriving()
	}
	return v.agrees(s)
}

// agrees tells how the client's view differs from a snapshot.
func (v *onlooker) agrees(s *Snapshot) error {
	if len(v.view) != s.Len() {
		return fmt.Errorf("%d messages, the client has %d", s.Len(), len(v.view))
	}
	for i, m := range v.view {
		if m.uid != s.UID(i) || m.flags != flagsText(s, i) {
			return fmt.Errorf("UID %d (%s), the client has %+v", s.UID(i), flagsText(s, i), m)
		}
	}
	return nil
}

// finish tells whether the client knows the truth, now that nothing happens any more.
func (v *onlooker) finish() {
	_, err := v.f.Sync(v.t.Context())
	must(v.t, err)
	for len(v.woken) > 0 {
		time.Sleep(time.Millisecond)
	}
	close(v.end)
	v.done.Wait()
	s := v.f.Snapshot()
	if v.in.Early && v.told != s && len(v.view)+v.early != s.Len() {
		v.t.Errorf("%s: %d messages, %d and %d to come were told last", v.f.Name(), s.Len(), len(v.view), v.early)
	}
	if v.in.Early && v.early > 0 {
		v.add(s, len(v.view)) // those whose coming was told: nothing was to be said when they had UIDs
	}
	if err := v.agrees(s); err != nil {
		v.t.Errorf("%s: %+v: in the end: %v", v.f.Name(), v.in, err)
	}
}

// finish compares the processes with each other, and all messages with what was delivered.
func (g *gathering) finish() {
	var dumps [2][2]string
	for p := range g.folders {
		for k, f := range g.folders[p] {
			s, err := f.Sync(g.t.Context())
			must(g.t, err)
			var b strings.Builder
			for i := range s.Len() {
				words := strings.Fields(flagsText(s, i))
				slices.Sort(words) // those without a letter have no order
				fmt.Fprintln(&b, s.UID(i), words)
			}
			dumps[p][k] = b.String()
		}
	}
	if dumps[0] != dumps[1] {
		g.t.Errorf("the processes differ:\n%q\n%q", dumps[0], dumps[1])
	}
	found := make(map[int]int)
	for _, sub := range []string{"new", "cur", ".Other/new", ".Other/cur"} {
		files, err := filepath.Glob(filepath.Join(g.dir, sub, "*"))
		must(g.t, err)
		for _, name := range files {
			text, err := os.ReadFile(name)
			must(g.t, err)
			id, err := strconv.Atoi(string(text))
			must(g.t, err)
			found[id]++
		}
	}
	for id := range g.ids {
		if n := found[id]; n > 1 || n == 0 && !doomed(id) {
			g.t.Errorf("message %d is there %d times", id, n)
		}
	}
	g.t.Logf("%d messages delivered, %d left", g.ids, len(found))
}
