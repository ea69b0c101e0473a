package storm

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	stormTime  = flag.Duration("storm", 0, "how long each storm lasts; 0 is a short one")
	serverFlag = flag.String("server", "postroom", "the server in the storm: postroom or dovecot")
)

// lastingFolders are made before the storm and last until its end.
var lastingFolders = []string{"INBOX", "Work", "Archive"}

// seeds is how many messages each begins with; storms keep about as many.
var seeds = map[string]int{"INBOX": 1200, "Work": 300, "Archive": 300}

// storm is one run.
type storm struct {
	t        *testing.T
	o        *oracle
	site     *site
	servers  []*server
	clients  []*kind
	programs []*program

	mu       sync.Mutex
	sizes    map[string]int             // guarded by mu: messages in a folder, a moment ago
	bases    map[string]map[string]bool // guarded by mu: base names that were put into a folder by others
	kept     map[string][]byte          // guarded by mu: keyword letters of a folder
	comeGo   []string                   // guarded by mu: folders that come and go
	folderNo int                        // guarded by mu
}

// setting is how a storm is made.
type setting struct {
	title string
	start func(s *site) []*server
	// tools: mail programs, notmuch and mbsync work on the files; without, deliveries alone.
	tools bool
	// overflow stops the server from time to time while more is done than the kernel keeps for it.
	overflow bool
	// shared: the servers have one sequence of MODSEQs.
	shared    bool
	tolerated func(kind string) bool
}

// duration is how long a storm lasts.
func duration() time.Duration {
	if *stormTime > 0 {
		return *stormTime
	}
	return 8 * time.Second
}

// run is one storm from the seed to the comparison in the end.
func (set setting) run(t *testing.T) {
	st := &storm{
		t: t, o: newOracle(t), site: newSite(t), sizes: map[string]int{}, bases: map[string]map[string]bool{},
		kept: map[string][]byte{},
	}
	st.o.shared = set.shared
	if set.tolerated != nil {
		st.o.tolerated = set.tolerated
	}
	st.seed()
	st.servers = set.start(st.site)
	st.firstKeywords()
	ctx, cancel := context.WithTimeout(t.Context(), duration())
	defer cancel()
	var wg sync.WaitGroup
	st.startClients(ctx, &wg)
	st.startOutsiders(ctx, &wg, set)
	if set.overflow {
		wg.Go(func() { st.overflow(ctx) })
	}
	wg.Wait()
	st.judge(set)
	st.o.report(set.title)
	for _, what := range []string{"expunges told", "flags told", "deliveries", "sessions by POP3", "resyncs"} {
		if st.o.counted(what) == 0 {
			t.Errorf("the storm had no %s", what)
		}
	}
}

// seed fills the folders.
func (st *storm) seed() {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, folder := range lastingFolders {
		dir := st.dir(folder)
		for _, sub := range []string{"cur", "new", "tmp"} {
			if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
				st.t.Fatal(err)
			}
		}
		for range seeds[folder] {
			id := st.newID("seed")
			st.o.arrives(folder, id, 1)
			st.o.arrived(id)
			if err := os.WriteFile(filepath.Join(dir, "cur", newBase()+":2,S"), newMail(id, rng), 0o600); err != nil {
				st.t.Fatal(err)
			}
		}
	}
	st.site.giveTree()
	st.count()
}

// dir is where a folder lies.
func (st *storm) dir(folder string) string {
	if folder == "INBOX" {
		return st.site.tree()
	}
	return filepath.Join(st.site.tree(), "."+folder)
}

func (st *storm) give(path string) { st.site.give(path) }

// count looks how many messages there are, and which letters have names.
func (st *storm) count() {
	for _, folder := range lastingFolders {
		n := len(listing(st.dir(folder)))
		var letters []byte
		list, _ := os.ReadFile(filepath.Join(st.dir(folder), "dovecot-keywords"))
		for line := range strings.Lines(string(list)) {
			if no, _, ok := strings.Cut(line, " "); ok && len(no) == 1 {
				letters = append(letters, 'a'+no[0]-'0')
			}
		}
		st.mu.Lock()
		st.sizes[folder], st.kept[folder] = n, letters
		st.mu.Unlock()
	}
}

func (st *storm) full(folder string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.sizes[folder] > seeds[folder]*3/2+200 || !lasting(folder)
}

func (st *storm) empty(folder string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.sizes[folder] < seeds[folder]/2
}

func (st *storm) letters(folder string) []byte {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.kept[folder]
}

// reserve takes a base name for a folder; false when it was put there before.
// Two files of one base name are another matter than this storm's.
func (st *storm) reserve(folder, base string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.bases[folder] == nil {
		st.bases[folder] = map[string]bool{}
	}
	if st.bases[folder][base] || strings.Contains(base, folder) {
		return false
	}
	if m, _ := filepath.Glob(filepath.Join(st.dir(folder), "*", base+"*")); len(m) > 0 {
		return false
	}
	st.bases[folder][base] = true
	return true
}

func (st *storm) newFolder(of string) string {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.folderNo++
	return fmt.Sprintf("Fleeting-%s-%d", of, st.folderNo)
}

func (st *storm) setFleeting(folder string, there bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if there {
		st.comeGo = append(st.comeGo, folder)
	} else if i := slices.Index(st.comeGo, folder); i >= 0 {
		st.comeGo = slices.Delete(st.comeGo, i, i+1)
	}
}

func (st *storm) fleeting() []string {
	st.mu.Lock()
	defer st.mu.Unlock()
	return slices.Clone(st.comeGo)
}

// firstKeywords gives letters to the keywords and reads every message once.
func (st *storm) firstKeywords() {
	for _, folder := range lastingFolders {
		s := &session{o: st.o, who: "first", server: st.servers[0], rng: rand.New(rand.NewPCG(2, 2))}
		err := s.connect()
		if err == nil {
			err = s.selectFolder(folder, "")
		}
		if err == nil {
			err = s.ok("STORE 1 +FLAGS (%s)", strings.Join(keywords, " "))
		}
		if err == nil {
			err = s.ok("FETCH 1:* (UID BODY.PEEK[])")
		}
		if err != nil {
			st.t.Fatal(err)
		}
		s.logout()
	}
	st.count()
}

// startClients starts the sessions of all kinds.
func (st *storm) startClients(ctx context.Context, wg *sync.WaitGroup) {
	acts := []kind{
		{name: "idle", act: (*kind).idle, pause: time.Millisecond},
		{name: "idle qresync", act: (*kind).idle, pause: time.Millisecond},
		{name: "noop condstore", act: func(_ *kind, s *session) error { return s.noop() }, pause: 20 * time.Millisecond},
		{name: "lagging", act: func(_ *kind, s *session) error { return s.noop() }, pause: time.Second},
		{name: "fetch", act: (*kind).fetch, pause: 20 * time.Millisecond},
		{name: "fetch qresync", act: (*kind).fetch, pause: 20 * time.Millisecond},
		{name: "store", act: (*kind).store, pause: 30 * time.Millisecond},
		{name: "store condstore", act: (*kind).store, pause: 30 * time.Millisecond},
		{name: "store qresync", act: (*kind).store, pause: 30 * time.Millisecond},
		{name: "copy", act: (*kind).copy, pause: 100 * time.Millisecond},
		{name: "move qresync", act: (*kind).move, pause: 100 * time.Millisecond},
		{name: "move work", folder: "Work", act: (*kind).move, pause: 60 * time.Millisecond},
		{name: "expunge", act: (*kind).expungeSome, pause: 100 * time.Millisecond},
		{name: "expunge qresync", folder: "Archive", act: (*kind).expungeSome, pause: 100 * time.Millisecond},
		{name: "append", act: (*kind).append, pause: 60 * time.Millisecond},
		{name: "append work", folder: "Work", act: (*kind).append, pause: 100 * time.Millisecond},
		{name: "search", act: (*kind).search, pause: 100 * time.Millisecond},
		{name: "idle work", folder: "Work", act: (*kind).idle, pause: time.Millisecond},
		{name: "idle archive", folder: "Archive", act: (*kind).idle, pause: time.Millisecond},
		{name: "pop3", life: (*kind).pop3},
		{name: "hop qresync", life: (*kind).hop},
		{name: "hop work qresync", folder: "Work", life: (*kind).hop},
		{name: "folders", folder: "none", life: (*kind).makeFolders},
		{name: "visit", folder: "none", life: (*kind).visit},
	}
	for i, k := range acts {
		k.st, k.ctx, k.rng = st, ctx, rand.New(rand.NewPCG(3, uint64(i)))
		if k.folder == "" {
			k.folder = "INBOX"
		}
		st.clients = append(st.clients, &k)
		wg.Go(k.run)
	}
}

// startOutsiders starts those who work on the files.
func (st *storm) startOutsiders(ctx context.Context, wg *sync.WaitGroup, set setting) {
	n := uint64(0)
	outside := func(name string, pause time.Duration, act func(*outsider)) {
		n++
		w := &outsider{st: st, ctx: ctx, name: name, rng: rand.New(rand.NewPCG(4, n))}
		wg.Go(func() { w.run(pause, act) })
	}
	outside("count", 150*time.Millisecond, func(*outsider) { st.count() })
	outside("deliver", 20*time.Millisecond, (*outsider).deliver)
	if !set.tools {
		return
	}
	outside("flag", time.Millisecond, (*outsider).flag)
	outside("flag", time.Millisecond, (*outsider).flag)
	outside("remove", 30*time.Millisecond, (*outsider).remove)
	outside("move", 20*time.Millisecond, (*outsider).move)
	outside("copy", 40*time.Millisecond, (*outsider).copy)
	outside("folders", 200*time.Millisecond, (*outsider).makeFolders)
	st.startPrograms(ctx, wg)
}

// maxPause bounds how long a server is stopped; clients wait meanwhile.
const maxPause = 5 * time.Second

// overflow stops the server while one message is renamed more often than the kernel has room for events.
func (st *storm) overflow(ctx context.Context) {
	w := &outsider{st: st, ctx: ctx, name: "overflow", rng: rand.New(rand.NewPCG(5, 5))}
	limit := 16384
	if b, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events"); err == nil {
		fmt.Sscan(string(b), &limit)
	}
	rest := 2 * time.Second
	for wait(ctx, rest) {
		for _, v := range st.servers {
			v.pause(true)
		}
		begun, renames := time.Now(), 0
		for end := time.Now().Add(maxPause); renames <= limit/2 && ctx.Err() == nil && time.Now().Before(end); {
			name := w.some("INBOX")
			if name == "" {
				break
			}
			base, _, _ := strings.Cut(filepath.Base(name), ":")
			dir := st.dir("INBOX")
			at := name
			for range 400 { // back and forth: each is two events
				to := "cur/" + base + ":2," + []string{"S", "FS"}[renames%2]
				if os.Rename(filepath.Join(dir, at), filepath.Join(dir, to)) != nil {
					break
				}
				at = to
				renames++
			}
		}
		for _, v := range st.servers {
			v.pause(false)
		}
		rest = max(2*time.Second, 3*time.Since(begun)) // a server that is stopped most of the time keeps no client's deadlines
		if renames > limit/2 {
			st.o.count("overflows provoked", 1)
		}
	}
}
