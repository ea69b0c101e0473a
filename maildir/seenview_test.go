package maildir

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// seenModel is what a reader sees, kept message by message.
type seenModel struct {
	shared map[uint32]Flags
	seen   map[uint32]bool
}

// want describes a snapshot as the model has it.
func (m *seenModel) want() (text string, unseen, first int) {
	var b strings.Builder
	first = -1
	for i, uid := range slices.Sorted(mapKeys(m.shared)) {
		flags := m.shared[uid] &^ Seen
		if m.seen[uid] {
			flags |= Seen
		} else {
			if unseen++; first < 0 {
				first = i
			}
		}
		fmt.Fprintf(&b, "%d %05b\n", uid, flags)
	}
	return b.String(), unseen, first
}

func mapKeys[V any](m map[uint32]V) func(yield func(uint32) bool) {
	return func(yield func(uint32) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func shown(s *Snapshot) string {
	var b strings.Builder
	for i := range s.Len() {
		fmt.Fprintf(&b, "%d %05b\n", s.UID(i), s.Flags(i))
		if strings.Contains(flagsText(s, i), `\Seen`) != (s.Flags(i)&Seen != 0) {
			fmt.Fprintf(&b, "but (%s)\n", flagsText(s, i))
		}
	}
	return b.String()
}

// told is a session that keeps what Diff tells it.
type told struct {
	at     *Snapshot
	flags  map[uint32]Flags
	modSeq map[uint32]uint64
}

func (o *told) follow(t *testing.T, now *Snapshot) {
	t.Helper()
	o.at.Diff(now, func(_ int, uid uint32) { delete(o.flags, uid) }, func(i int) {
		if now.ModSeq(i) < o.modSeq[now.UID(i)] {
			t.Fatalf("the MODSEQ of UID %d went from %d to %d", now.UID(i), o.modSeq[now.UID(i)], now.ModSeq(i))
		}
		o.flags[now.UID(i)] = now.Flags(i)
	})
	for i := now.Index(o.at.UIDNext()); i < now.Len(); i++ {
		o.flags[now.UID(i)] = now.Flags(i)
	}
	if now.HighestModSeq() < o.at.HighestModSeq() {
		t.Fatalf("HIGHESTMODSEQ went from %d to %d", o.at.HighestModSeq(), now.HighestModSeq())
	}
	o.at = now
	var b strings.Builder
	for _, uid := range slices.Sorted(mapKeys(o.flags)) {
		fmt.Fprintf(&b, "%d %05b\n", uid, o.flags[uid])
	}
	if got := b.String(); got != shown(now) {
		t.Fatalf("told\n%swhere it is\n%s", got, shown(now))
	}
	for i := range now.Len() {
		if now.ModSeq(i) > now.HighestModSeq() {
			t.Fatalf("UID %d has MODSEQ %d, above HIGHESTMODSEQ %d", now.UID(i), now.ModSeq(i), now.HighestModSeq())
		}
		o.modSeq[now.UID(i)] = now.ModSeq(i)
	}
}

// Random changes, private, shared and by expunging, against a model that keeps each message by itself. Sessions that
// look at once and others that look seldom are told all of it, and a client that was away gets it by CHANGEDSINCE.
func TestSeenModel(t *testing.T) {
	for seed, n := range []int{40, 40, 600} {
		t.Run(fmt.Sprint(n), func(t *testing.T) { seenModelRun(t, rand.New(rand.NewPCG(uint64(seed), 1)), n) })
	}
}

func seenModelRun(t *testing.T, rng *rand.Rand, n int) {
	dir := filepath.Join(t.TempDir(), "Maildir")
	s := testStore(t, Options{NoWatch: true, Logger: discard})
	owner, reader := testTree(t, s, dir), testTree(t, s, filepath.Join(filepath.Dir(dir), "Reader"))
	m := &seenModel{shared: map[uint32]Flags{}, seen: map[uint32]bool{}}
	for i := range n {
		put(t, fmt.Sprintf("%s/cur/%d.x:2,%s", dir, 1000+i, []string{"", "S", "FS"}[i%3]), "x\n")
		m.shared[uint32(i+1)] = []Flags{0, Seen, Flagged | Seen}[i%3]
	}
	f := open(t, owner, Inbox)
	defer f.Close()
	must(t, f.TellModSeqs(t.Context()))
	st := seenState(t, reader, f)
	start := st.Over(f)
	sessions := make([]*told, 3)
	for k := range sessions {
		sessions[k] = &told{at: start, flags: map[uint32]Flags{}, modSeq: map[uint32]uint64{}}
		for i := range start.Len() {
			sessions[k].flags[start.UID(i)] = start.Flags(i)
		}
	}
	away := cachedBy(start) // a client that knows this, and comes back
	for step := range 120 {
		uids := someUIDs(rng, f.Snapshot())
		ch := Change{Op: StoreOp(rng.IntN(3)), Flags: []Flags{0, Seen, Seen | Flagged}[rng.IntN(3)]}
		switch rng.IntN(12) {
		case 0:
			_, err := f.Expunge(t.Context(), uids[:min(3, len(uids))], false)
			must(t, err)
			for _, uid := range uids[:min(3, len(uids))] {
				delete(m.shared, uid)
			}
		case 1, 2:
			_, err := f.Store(t.Context(), uids, ch)
			must(t, err)
			for _, uid := range uids {
				m.shared[uid] = ch.apply(m.shared[uid], 0)
			}
		case 3:
			if st.refs == 1 { // as after a new login
				st.Close()
				var err error
				st, err = reader.Seen(SeenKey{GUID: f.Snapshot().GUID(), UIDValidity: f.Snapshot().UIDValidity()})
				must(t, err)
			}
		default:
			before := st.Over(f)
			res, err := st.Store(t.Context(), f, uids, ch)
			must(t, err)
			for _, uid := range uids {
				was := m.seen[uid]
				m.seen[uid] = ch.apply(map[bool]Flags{true: Seen}[was], 0)&Seen != 0
				i, _ := res.Snapshot.Find(uid)
				j, _ := before.Find(uid)
				if risen := res.Snapshot.ModSeq(i) > before.ModSeq(j); risen != (was != m.seen[uid]) && before.ModSeq(j) > st.View().floor {
					t.Fatalf("UID %d: seen %v, then %v; MODSEQ %d, then %d", uid, was, m.seen[uid], before.ModSeq(j), res.Snapshot.ModSeq(i))
				}
			}
		}
		now := st.Over(f)
		text, unseen, first := m.want()
		if got := shown(now); got != text || now.Unseen() != unseen || now.FirstUnseen() != first {
			t.Fatalf("step %d: %d unseen, first %d, want %d, %d; got\n%swant\n%s", step, now.Unseen(), now.FirstUnseen(), unseen, first, got, text)
		}
		for k, o := range sessions {
			if rng.IntN(1+4*k*k) == 0 {
				o.follow(t, now)
			}
		}
		if rng.IntN(10) == 0 {
			away.back(t, now)
		}
	}
}

func someUIDs(rng *rand.Rand, s *Snapshot) []uint32 {
	var uids []uint32
	i, step := rng.IntN(s.Len()), 1+rng.IntN(3)
	for k := rng.IntN(60); k >= 0 && i < s.Len(); k, i = k-1, i+step {
		uids = append(uids, s.UID(i))
	}
	return uids
}

// clientCache is a client's: flags as they were at a MODSEQ.
type clientCache struct {
	highest uint64
	flags   map[uint32]Flags
}

func cachedBy(s *Snapshot) *clientCache {
	c := &clientCache{s.HighestModSeq(), map[uint32]Flags{}}
	for i := range s.Len() {
		c.flags[s.UID(i)] = s.Flags(i)
	}
	return c
}

// back asks for what was changed since, and must then have it all.
func (c *clientCache) back(t *testing.T, s *Snapshot) {
	t.Helper()
	if s.HighestModSeq() < c.highest {
		t.Fatalf("HIGHESTMODSEQ went from %d to %d", c.highest, s.HighestModSeq())
	}
	for i := range s.Len() {
		if s.ModSeq(i) <= c.highest && c.flags[s.UID(i)] != s.Flags(i) {
			t.Fatalf("UID %d: %05b is not told to who knows %05b at MODSEQ %d: it is at %d", s.UID(i), s.Flags(i), c.flags[s.UID(i)], c.highest, s.ModSeq(i))
		}
	}
	*c = *cachedBy(s)
}

func seenState(t testing.TB, reader *Tree, f *Folder) *SeenState {
	t.Helper()
	snap := f.Snapshot()
	st, err := reader.Seen(SeenKey{GUID: snap.GUID(), UIDValidity: snap.UIDValidity(), Hint: "owner/" + f.Name()})
	must(t, err)
	return st
}
