package maildir

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Folder is one open folder, shared by all sessions of the process. Reading
// its state, Snapshot, takes no lock. It is safe for concurrent use.
type Folder struct {
	tree    *Tree
	store   *Store
	name    string
	dirName string
	log     *slog.Logger

	// Set while loading, before loaded is closed; then constant.
	home, new, cur, tmp *dir
	loaded              chan struct{}
	loadErr             error

	watched atomic.Bool // events come; else the folder is polled

	queue *queue
	snap  atomic.Pointer[Snapshot]
	once  sync.Once // loading

	cache   cache
	damaged atomic.Bool // the index turned out to be no good: the folder must be read
	stop    context.CancelFunc
	done    chan struct{} // closed when the pump has ended; nil without a pump

	refs      int           // guarded by store.mu: users
	idleElem  *list.Element // guarded by store.mu: in store.idle
	idleSince time.Time     // guarded by store.mu

	subMu sync.Mutex
	subs  map[*Subscriber]struct{} // guarded by subMu

	claiming sync.Mutex // held while messages are moved out of new/; taken before mu

	// mu guards what follows. It is also what keeps this process's goroutines
	// off the folder's dot lock, which is only ever taken with mu held.
	mu     sync.Mutex
	state  builder
	bases  baseIndex
	list   uidList
	kw     *keywordTable
	kwSeen stamp
	more   moreFile
	syncs  syncRuns

	odd       map[string]*presence // known bases whose present names are not just the record's
	fresh     map[string]*presence // bases without a UID yet
	arriving  int                  // how many of them are announced; 0 whenever mu is free
	expected  map[event]int        // events that our own changes will cause
	bulks     int                  // commands that change so much that the folder is not watched
	dirty     bool                 // events were lost: nothing is expunged before a whole scan
	scanned   [2]stamp             // new/ and cur/ before the last polling scan
	proved    bool                 // any change since then has given them other stamps
	lateWatch bool                 // events are still to be asked for
	retryAt   time.Time            // after a failed attempt to give UIDs
	spare     []event              // the queue's other buffer
	adopted   map[string]uidRecord // recorded by another program, not in the state yet
	unsynced  [2]bool              // new/ and cur/: changed by us since they were synced
	moving    *move                // that takes messages out of here just now; nil if none does

	index   *indexFile // as last read or saved; nil if there is none
	saved   *Snapshot  // what the index holds
	savedAt time.Time

	modSeq    uint64 // the highest given
	untold    untold // what happened and is in no snapshot yet
	drawn     uint64 // the number that untold.draw asked for last
	modSeqOut bool   // clients are told MODSEQs: the mark in the list must stay above
	history   history
	gone      bool
	writable  bool
	sticky    bool
	listPin   *os.File // the uid list that list was read from, if it is open: see pinListLocked
	lockFile  keptLock // of the list's lock
	lockless  bool     // the list's lock that was taken last is none: the list must not be written
	saidError string   // the last failure logged, so that a lasting one is logged once
}

// place is where a name was seen.
type place struct {
	dir  subdir
	name string
}

// presence is the set of names that a base has now.
type presence struct {
	places []place
	// delivered: an event told of it in new/, when nobody knew the name.
	delivered bool
	came      int    // how often a name was said to be there
	other     bool   // one of them had other flags than the message is told to have
	ino       uint64 // of the file, as the last scan said; 0 if an event told of it
}

func (p *presence) has(at place) bool {
	for _, q := range p.places {
		if q == at {
			return true
		}
	}
	return false
}

func (p *presence) set(at place, present bool) {
	for i, q := range p.places {
		if q == at {
			if !present {
				p.places = append(p.places[:i], p.places[i+1:]...)
			}
			return
		}
	}
	if present {
		p.places = append(p.places, at)
		p.came++
	}
}

// doubt is a presence without a name, as it was seen.
type doubt struct {
	p    *presence
	came int
}

// doubt tells whether there is no name, and gives how that was seen.
func (p *presence) doubt() (doubt, bool) { return doubt{p, p.came}, len(p.places) == 0 }

// settled tells whether p, after a barrier that was sent when d was seen, proves that the file is gone: it has had
// no name all the time. One that came and went meanwhile may be in the midst of its next rename.
func (d doubt) settled(p *presence) bool { return p == d.p && len(p.places) == 0 && p.came == d.came }

// first is the place of the message itself, should there be a second file of its base: a copy put back
// comes to new/, while clients know the one in cur/.
func (p *presence) first() place {
	for _, at := range p.places {
		if at.dir == inCur {
			return at
		}
	}
	return p.places[0]
}

// listName is what the uid list calls it.
func (p *presence) listName() string { return fullBase(p.first().name) }

func newFolder(t *Tree, name, dirName string) *Folder {
	f := &Folder{
		tree: t, store: t.store, name: name, dirName: dirName,
		log:      t.store.log.With("folder", t.fullPath(dirName)),
		loaded:   make(chan struct{}),
		queue:    newQueue(),
		subs:     make(map[*Subscriber]struct{}),
		odd:      make(map[string]*presence),
		fresh:    make(map[string]*presence),
		expected: make(map[event]int),
		adopted:  make(map[string]uidRecord),
	}
	f.cache.folder = f
	return f
}

// Name is the folder's name when it was opened.
func (f *Folder) Name() string { return f.name }

// Snapshot is the newest state.
func (f *Folder) Snapshot() *Snapshot { return f.snap.Load() }

// Close gives back one Open. The folder stays in memory for a while.
func (f *Folder) Close() {
	s := f.store
	s.mu.Lock()
	f.refs--
	var drop bool
	if f.refs == 0 && !s.closed {
		snap := f.snap.Load()
		if snap == nil || snap.gone || f.tree.folders[f.dirName] != f {
			s.forgetLocked(f)
			drop = true
		} else {
			f.idleSince = s.opt.Clock()
			f.idleElem = s.idle.PushBack(f)
		}
	}
	s.mu.Unlock()
	if drop {
		f.unload()
	}
}

// unload ends the pump and closes the directories.
func (f *Folder) unload() {
	f.once.Do(func() { f.loadErr = ErrClosed; close(f.loaded) })
	<-f.loaded
	if f.done != nil {
		f.stop()
		<-f.done
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done != nil {
		ctx, cancel := context.WithTimeout(context.Background(), counterWait)
		f.saveIndexLocked(ctx)
		cancel()
	}
	if snap := f.snap.Load(); snap != nil {
		f.store.memory.moved.Add(int64(snap.Len()))
	}
	f.index.close()
	f.cache.close()
	for _, d := range []*dir{f.new, f.cur} {
		if d != nil && f.watched.Load() {
			f.store.watch.drop(d, f.queue)
		}
	}
	f.closeDirs()
}

func (f *Folder) closeDirs() {
	f.lockFile.drop()
	for _, d := range []*dir{f.new, f.cur, f.tmp, f.home} {
		d.close()
	}
	f.new, f.cur, f.tmp, f.home = nil, nil, nil, nil
	if f.listPin != nil {
		f.listPin.Close()
		f.listPin = nil
	}
}

// dirOf gives the open directory of a place.
func (f *Folder) dirOf(s subdir) *dir {
	if s == inNew {
		return f.new
	}
	return f.cur
}

// stillThere tells whether the folder's path still leads to this folder.
func (f *Folder) stillThere() bool {
	id, err := f.tree.identity(f.dirName)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	return id == f.home.id && !f.Snapshot().gone
}

// vanish marks the folder gone: its sessions say BYE, a new Open looks anew.
func (f *Folder) vanish() {
	s := f.store
	s.mu.Lock()
	if f.tree.folders[f.dirName] == f {
		delete(f.tree.folders, f.dirName)
	}
	s.mu.Unlock()
	f.mu.Lock()
	f.vanishLocked()
	f.mu.Unlock()
}

func (f *Folder) vanishLocked() {
	if f.gone {
		return
	}
	f.gone = true
	f.giveNumbersLocked(f.countLocked(f.untold.count())) // nobody goes on from these
	f.publishLocked()
}

// uidNextLocked is the least UID that a message to come may have: others may have recorded
// some that are not in the state yet.
func (f *Folder) uidNextLocked() uint32 {
	next, last := f.list.next(), f.lastUID()
	for _, r := range f.adopted {
		if r.uid > last {
			next = min(next, r.uid)
		}
	}
	return next
}

// publishLocked makes the working state what everybody sees. Where nothing is
// new but the highest MODSEQ nobody is told: a thousand sessions would wake each other for nothing.
func (f *Folder) publishLocked() {
	now := f.snap.Load()
	next := f.state.freeze(now)
	next.keywords = f.kw
	next.uidValidity, next.uidNext, next.guid = f.list.uidValidity, f.uidNextLocked(), f.list.guid
	next.modSeq, next.sticky, next.writable, next.gone = f.modSeq, f.sticky, f.writable, f.gone
	next.arriving = f.arriving
	if now != nil && now.same(next) {
		return
	}
	f.snap.Store(next)
	f.notify(now, next)
}

// currentPlace is where the record of a known UID says its file is.
func (f *Folder) currentPlace(ci, ri int) place {
	return f.state.chunks[ci].get().place(ri)
}

// lookupBase gives the UID of a known base and where its record is.
func (f *Folder) lookupBase(base string) (uid uint32, ci, ri int, ok bool) {
	if !f.bases.built() {
		f.bases.build(&f.state)
	}
	f.bases.candidates(base, func(u uint32) bool {
		if ci, ri, ok = f.state.locate(u); ok {
			ok = f.state.chunks[ci].get().hasBase(ri, base)
		}
		uid = u
		return ok
	})
	return uid, ci, ri, ok
}

// fail logs a failure that concerns the folder, once as long as it is the same.
func (f *Folder) fail(what string, err error) {
	if msg := fmt.Sprint(what, err); f.saidError != msg {
		f.saidError = msg
		f.log.Error(what, "error", err)
	}
}

// history remembers expunged UIDs, so that a client that was away can be told.
type history struct {
	floor    uint64 // nothing is known of what was expunged at or below
	expunged []expungedUID
}

type expungedUID struct {
	modSeq uint64
	uid    uint32
}

const maxHistory = 1 << 16 // expunged UIDs kept

func (h *history) add(modSeq uint64, uids []uint32) {
	for _, u := range uids {
		h.expunged = append(h.expunged, expungedUID{modSeq, u})
	}
	if over := len(h.expunged) - maxHistory; over > 0 {
		over = max(over, maxHistory/4) // not at every expunge
		h.floor = h.expunged[over-1].modSeq
		h.expunged = append([]expungedUID(nil), h.expunged[over:]...)
	}
}
