package storm

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// settle bounds how long after the storm all may need to know the same: longer than
// folders without events are polled, and than Dovecot looks at directories.
const settle = 30 * time.Second

// one is a message as a session or the disk shows it.
type one struct{ id, flags string }

// view is a folder as a fresh session sees it.
type view struct {
	validity uint32
	byUID    map[uint32]one
	modSeq   map[uint32]uint64
}

// judge compares all that is known with all that is there.
func (st *storm) judge(set setting) {
	st.lastRuns()
	views := map[string]view{}
	st.settled("the end", func() []string {
		clear(views)
		return append(st.compareAll(views), st.compareSessions(views)...)
	})
	st.conserved()
	if set.shared {
		st.oneSequence(views)
	}
	st.resyncAll()
	for _, k := range st.clients {
		if k.last != nil {
			k.last.Close()
		}
	}
	st.uidLists()
	for _, v := range st.servers {
		v.stop()
		v.start()
	}
	st.settled("after a restart", func() []string {
		again := map[string]view{}
		diff := st.compareAll(again)
		for k, was := range views {
			if again[k].validity != was.validity {
				diff = append(diff, fmt.Sprintf("%s: UIDVALIDITY %d, was %d", k, again[k].validity, was.validity))
			}
			diff = append(diff, compareViews(k, again[k].byUID, was.byUID)...)
		}
		return diff
	})
	st.resyncAll()
	st.logs()
}

// settled repeats a comparison until nothing differs, and reports what still does in the end.
func (st *storm) settled(when string, compare func() []string) {
	var diff []string
	for end := time.Now().Add(settle); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
		if diff = compare(); len(diff) == 0 {
			return
		}
	}
	for _, d := range diff {
		st.o.fault("end", "%s: %s", when, d)
	}
}

// lastRuns: with nobody else at work a synchroniser has to end well, over IMAP with the same messages on both sides.
// On the Maildir itself mbsync misses files that others rename while it reads, and takes them for deleted.
func (st *storm) lastRuns() {
	for _, p := range st.programs {
		if p.near == nil {
			continue
		}
		var err error
		for range 4 {
			err = p.run()
		}
		if err != nil {
			st.o.fault("end", "%s with nobody else at work: %v", p.name, err)
			continue
		}
		if p.talk == nil {
			continue
		}
		for folder, dir := range p.near {
			near, far := idsIn(dir), idsIn(st.dir(folder))
			for id := range far {
				if !near[id] {
					st.notFetched(p, folder, id)
				}
			}
			for id := range near {
				if !far[id] {
					st.o.fault("end", "%s still has %s of %s", p.name, id, folder)
				}
			}
		}
	}
}

// notFetched judges a message that mbsync lacks. It sets \Deleted, or finds it set, and takes the message for expunged
// by its CLOSE. When another client's STORE FLAGS has taken \Deleted back in between the message stays, and mbsync, which has given
// up the pair and asks only for UIDs above all that it has seen, never looks at it again. Nothing else is tolerated.
func (st *storm) notFetched(p *program, folder, id string) {
	uids := st.o.uidsOf(folder, id)
	if st.o.mayHaveStayed(id) && slices.ContainsFunc(p.talk.expunged[folder], func(u uint32) bool { return slices.Contains(uids, u) }) {
		st.o.count("messages "+p.name+" took for expunged when others had taken \\Deleted back", 1)
		return
	}
	var lines []string
	for _, uid := range uids {
		lines = append(lines, p.talk.about(uid)...)
	}
	st.o.fault("end", "%s has not fetched %s of %s, which had the UIDs %v:\n\t%s", p.name, id, folder, uids, strings.Join(lines, "\n\t"))
}

func idsIn(dir string) map[string]bool {
	ids := map[string]bool{}
	for _, name := range listing(dir) {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
			id, _ := idOfMail(b)
			ids[id] = true
		}
	}
	return ids
}

// compareAll compares what fresh sessions of each server see with the files, and with each other.
func (st *storm) compareAll(views map[string]view) (diff []string) {
	for _, folder := range lastingFolders {
		for i, v := range st.servers {
			seen, err := st.fresh(v, folder)
			if err != nil {
				return append(diff, fmt.Sprintf("%s: %s: %v", v.name, folder, err))
			}
			views[v.name+" "+folder] = seen
			if i > 0 {
				first := views[st.servers[0].name+" "+folder]
				if first.validity != seen.validity {
					diff = append(diff, fmt.Sprintf("%s: UIDVALIDITY %d and %d", folder, first.validity, seen.validity))
				}
				diff = append(diff, compareViews(folder+": "+st.servers[0].name+" and "+v.name, first.byUID, seen.byUID)...)
			}
			var told []one
			for _, m := range seen.byUID {
				told = append(told, m)
			}
			diff = append(diff, compareLists(v.name+" "+folder, told, st.onDisk(folder))...)
		}
	}
	return diff
}

// fresh is what a new session sees.
func (st *storm) fresh(v *server, folder string) (view, error) {
	s := &session{o: st.o, who: "fresh@" + v.name, server: v, rng: rand.New(rand.NewPCG(9, 9)), condstore: true}
	if err := s.connect(); err != nil {
		return view{}, err
	}
	defer s.logout()
	if err := s.selectFolder(folder, " (CONDSTORE)"); err != nil {
		return view{}, err
	}
	if err := s.ok("FETCH 1:* (UID FLAGS MODSEQ BODY.PEEK[])"); err != nil {
		return view{}, err
	}
	out := view{validity: s.validity, byUID: map[uint32]one{}, modSeq: map[uint32]uint64{}}
	for _, m := range s.view {
		out.byUID[m.uid] = one{st.o.idOf(s.validity, m.uid), m.flags}
		out.modSeq[m.uid] = m.modSeq
	}
	return out, nil
}

// onDisk is what the files say.
func (st *storm) onDisk(folder string) []one {
	var out []one
	dir := st.dir(folder)
	names := map[byte]string{}
	list, _ := os.ReadFile(filepath.Join(dir, "dovecot-keywords"))
	for line := range strings.Lines(string(list)) {
		if no, name, ok := strings.Cut(strings.TrimSpace(line), " "); ok && len(no) == 1 {
			names['a'+no[0]-'0'] = strings.ToLower(name)
		}
	}
	system := map[byte]string{'S': `\seen`, 'F': `\flagged`, 'R': `\answered`, 'D': `\draft`, 'T': `\deleted`}
	for _, name := range listing(dir) {
		b, _ := os.ReadFile(filepath.Join(dir, name))
		id, _ := idOfMail(b)
		var flags []string
		for _, c := range []byte(infoOf(name)) {
			if f := system[c] + names[c]; f != "" {
				flags = append(flags, f)
			}
		}
		slices.Sort(flags)
		out = append(out, one{id, strings.Join(flags, " ")})
	}
	return out
}

func compareLists(who string, told, disk []one) (diff []string) {
	n := map[one]int{}
	for _, m := range told {
		n[m]++
	}
	for _, m := range disk {
		n[m]--
	}
	for m, k := range n {
		if k > 0 {
			diff = append(diff, fmt.Sprintf("%s: told and not on disk: %v", who, m))
		} else if k < 0 {
			diff = append(diff, fmt.Sprintf("%s: on disk and not told: %v", who, m))
		}
	}
	return diff
}

func compareViews(who string, a, b map[uint32]one) (diff []string) {
	for uid, m := range a {
		if b[uid] != m {
			diff = append(diff, fmt.Sprintf("%s: UID %d is %v and %v", who, uid, m, b[uid]))
		}
	}
	for uid, m := range b {
		if _, there := a[uid]; !there {
			diff = append(diff, fmt.Sprintf("%s: UID %d is not there, and %v", who, uid, m))
		}
	}
	return diff
}

// compareSessions lets every lasting session hear what it was not told yet, and compares its
// view with a fresh one.
func (st *storm) compareSessions(views map[string]view) (diff []string) {
	for _, k := range st.clients {
		s := k.last
		if s == nil || s.folder == "" {
			continue
		}
		if err := s.noop(); err != nil {
			k.failed(s, err)
			continue
		}
		want := views[s.server.name+" "+s.folder].byUID
		if len(s.view) != len(want) {
			diff = append(diff, fmt.Sprintf("%s: %d messages, a fresh session sees %d", s.who, len(s.view), len(want)))
		}
		for i, m := range s.view {
			w, there := want[m.uid]
			if !there {
				diff = append(diff, fmt.Sprintf("%s: message %d, UID %d, is not in a fresh session", s.who, i+1, m.uid))
			} else if m.flags != unknownFlags && m.flags != w.flags {
				diff = append(diff, fmt.Sprintf("%s: UID %d has (%s), in a fresh session (%s)", s.who, m.uid, m.flags, w.flags))
			}
		}
	}
	return diff
}

// conserved: of each message there are as many files as were made, but for those that somebody may have removed.
func (st *storm) conserved() {
	have := map[string]int{}
	dirs, _ := filepath.Glob(filepath.Join(st.site.tree(), ".*"))
	for _, dir := range append(dirs, st.site.tree()) {
		for _, name := range listing(dir) {
			if b, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
				id, _ := idOfMail(b)
				have[id]++
			}
		}
	}
	st.o.mu.Lock()
	defer st.o.mu.Unlock()
	for id, made := range st.o.sure {
		if have[id] < made-st.o.mortal[id] {
			st.o.faultLocked("lost", "%s: %d files, of %d of which at most %d were removed", id, have[id], made, st.o.mortal[id])
		}
	}
}

// oneSequence: no MODSEQ stands for a change of one message at one server and of another at the other.
func (st *storm) oneSequence(views map[string]view) {
	for _, folder := range lastingFolders {
		at := make([]map[uint64][]uint32, len(st.servers))
		for i, v := range st.servers {
			at[i] = map[uint64][]uint32{}
			for uid, m := range views[v.name+" "+folder].modSeq {
				at[i][m] = append(at[i][m], uid)
			}
		}
		for m, uids := range at[0] {
			other, both := at[1][m]
			if both && !slices.ContainsFunc(uids, func(u uint32) bool { return slices.Contains(other, u) }) {
				st.o.fault("modseq", "%s: MODSEQ %d is of %v at one server and of %v at the other", folder, m, uids, other)
			}
		}
	}
}

// resyncAll resynchronises from every state that was kept.
func (st *storm) resyncAll() {
	for _, k := range st.clients {
		for _, r := range k.states {
			s := k.newSession()
			k.stay(s, r)
			s.who = "last " + s.who
			err := s.connect()
			if err == nil {
				err = s.resynchronise(r)
			}
			if err != nil {
				s.fault("session", "ended: %v", err)
				continue
			}
			s.logout()
		}
	}
}

// uidLists: UIDs ascend, and none is there twice.
func (st *storm) uidLists() {
	for _, folder := range lastingFolders {
		list, err := os.ReadFile(filepath.Join(st.dir(folder), "dovecot-uidlist"))
		if err != nil {
			st.o.fault("end", "%v", err)
			continue
		}
		last := uint64(0)
		for i, line := range strings.Split(strings.TrimSuffix(string(list), "\n"), "\n") {
			no, _, _ := strings.Cut(line, " ")
			uid, err := strconv.ParseUint(no, 10, 32)
			if i > 0 && (err != nil || uid <= last) {
				st.o.fault("end", "uid list of %s: %q after UID %d", folder, line, last)
			}
			if i > 0 {
				last = uid
			}
		}
	}
}

// logs counts what the servers complained of. Postroom has nothing to complain of.
func (st *storm) logs() {
	for _, v := range st.servers {
		text, _ := os.ReadFile(v.log)
		for _, what := range []string{"panic: ", "fatal error: ", "DATA RACE"} {
			if i := strings.Index(string(text), what); i >= 0 && strings.HasPrefix(v.name, "postroom") {
				st.t.Logf("%s: %.6000s", v.name, text[i:])
			}
		}
		for line := range strings.Lines(string(text)) {
			bad := strings.Contains(line, "level=ERROR") || strings.Contains(line, "panic") || strings.Contains(line, "DATA RACE")
			switch {
			case strings.Contains(line, "Fleeting") || strings.Contains(line, "no such file or directory"):
				st.o.count("complaints of folders that went", 1)
			case strings.HasPrefix(v.name, "postroom") && bad:
				st.o.fault("log", "%s: %s", v.name, strings.TrimSpace(line))
			case strings.Contains(line, "level=WARN"):
				st.o.count("warnings logged", 1)
				if st.o.counted("warnings logged") < 6 {
					st.t.Log(strings.TrimSpace(line))
				}
			case strings.Contains(line, "Expunged message reappeared"):
				st.o.count("\"Expunged message reappeared\" logged", 1)
			case strings.Contains(line, "Error: ") || strings.Contains(line, "Panic: "):
				st.o.count("errors logged", 1)
				if st.o.counted("errors logged") < 6 {
					st.t.Log(strings.TrimSpace(line))
				}
			}
		}
	}
}
