package storm

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
)

// oracle knows what actors said they would do, and what sessions were told.
type oracle struct {
	t *testing.T
	// shared: MODSEQs of all servers are one sequence.
	shared bool
	// tolerated faults are counted and fail nothing.
	tolerated func(kind string) bool

	mu      sync.Mutex
	clock   uint64                    // guarded by mu: orders what was told and what was begun
	spaces  map[uint32]*space         // guarded by mu: by UIDVALIDITY
	valid   map[string]uint32         // guarded by mu: the UIDVALIDITY of each lasting folder
	born    map[string]map[string]int // guarded by mu: how often an id may have come into a folder
	dies    map[string]map[string]int // guarded by mu: how often it may have left it
	sure    map[string]int            // guarded by mu: files of an id that certainly were made
	mortal  map[string]int            // guarded by mu: how many of them may have gone
	loose   map[string]bool           // guarded by mu: ids that a program may double at will
	doomed  map[string]bool           // guarded by mu: ids that may have \Deleted, and may be expunged wherever they come to
	moving  map[string]int            // guarded by mu: ids on their way to another folder
	setting map[string]int            // guarded by mu: ids whose flags are just being replaced
	spared  map[string]bool           // guarded by mu: ids that may have lost \Deleted again
	faults  map[string]int            // guarded by mu
	done    map[string]int            // guarded by mu: what was done and told, for the figures
}

// space is all UIDs of one UIDVALIDITY.
type space struct {
	folder string // "" when it does not last
	id     map[uint32]string
	uids   map[string]int               // how many UIDs an id has had
	gone   map[string]map[uint32]uint64 // by server: when a UID was told as expunged
	ended  map[uint32]bool              // all UIDs told as expunged
	gones  map[string]int               // how many UIDs of an id were
	high   map[string]uint64            // by server: the highest MODSEQ told
	state  map[modSeqOf]string          // flags of a message at a MODSEQ
}

type modSeqOf struct {
	server string
	uid    uint32
	modSeq uint64
}

func newOracle(t *testing.T) *oracle {
	return &oracle{
		t: t, tolerated: func(string) bool { return false },
		spaces: map[uint32]*space{}, valid: map[string]uint32{}, born: map[string]map[string]int{}, dies: map[string]map[string]int{},
		sure: map[string]int{}, mortal: map[string]int{}, loose: map[string]bool{}, doomed: map[string]bool{}, moving: map[string]int{}, setting: map[string]int{}, spared: map[string]bool{}, faults: map[string]int{}, done: map[string]int{},
	}
}

// maxShown is how many faults of a kind are reported in full.
const maxShown = 12

func (o *oracle) fault(kind, format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.faultLocked(kind, format, args...)
}

func (o *oracle) faultLocked(kind, format string, args ...any) {
	o.faults[kind]++
	if o.faults[kind] > maxShown {
		return
	}
	text := kind + ": " + fmt.Sprintf(format, args...)
	if o.tolerated(kind) {
		o.t.Log(text)
	} else {
		o.t.Error(text)
	}
}

func (o *oracle) count(what string, n int) {
	o.mu.Lock()
	o.done[what] += n
	o.mu.Unlock()
}

func (o *oracle) counted(what string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.done[what]
}

// lasting tells whether nobody removes or renames the folder.
func lasting(folder string) bool { return slices.Contains(lastingFolders, folder) }

func add(m map[string]map[string]int, folder, id string, n int) {
	if m[folder] == nil {
		m[folder] = map[string]int{}
	}
	m[folder][id] += n
}

// arrives says that a message is about to be put into a folder (or, n < 0, that it was not).
func (o *oracle) arrives(folder, id string, n int) {
	o.mu.Lock()
	add(o.born, folder, id, n)
	o.mu.Unlock()
}

// arrived says that it certainly was.
func (o *oracle) arrived(id string) {
	o.mu.Lock()
	o.sure[id]++
	o.mu.Unlock()
}

// leaves says that a message may go from a folder at any time from now on (or, n < 0, that it did not).
func (o *oracle) leaves(folder, id string, n int) {
	o.mu.Lock()
	add(o.dies, folder, id, n)
	o.mortal[id] += n
	o.mu.Unlock()
}

// doom says that a message may be marked \Deleted from now on; false when it is just
// being copied, with its flags, to where nobody has said so.
func (o *oracle) doom(id string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.moving[id] > 0 {
		return false
	}
	o.doomed[id] = true
	if o.setting[id] > 0 {
		o.spared[id] = true
	}
	return true
}

// replaces says that all flags of messages are about to be replaced; ended says that they have been.
func (o *oracle) replaces(ids []string) (ended func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, id := range ids {
		o.setting[id]++
		if o.doomed[id] {
			o.spared[id] = true
		}
	}
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, id := range ids {
			o.setting[id]--
		}
	}
}

// mayHaveStayed tells whether a message may have had \Deleted and lost it again.
func (o *oracle) mayHaveStayed(id string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.spared[id]
}

// setOut says that a message is about to be copied with its flags; false when it may have \Deleted.
func (o *oracle) setOut(id string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.doomed[id] {
		return false
	}
	o.moving[id]++
	return true
}

// cameIn ends what setOut began.
func (o *oracle) cameIn(ids []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, id := range ids {
		o.moving[id]--
	}
}

// leftToProgram says that a program now handles copies of a message at its own will.
func (o *oracle) leftToProgram(id string) {
	o.mu.Lock()
	o.loose[id] = true
	o.mu.Unlock()
}

// begin gives the time at which something is begun.
func (o *oracle) begin() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.clock++
	return o.clock
}

func (o *oracle) spaceLocked(validity uint32) *space {
	sp := o.spaces[validity]
	if sp == nil {
		sp = &space{
			id: map[uint32]string{}, uids: map[string]int{}, gone: map[string]map[uint32]uint64{}, ended: map[uint32]bool{},
			gones: map[string]int{}, high: map[string]uint64{}, state: map[modSeqOf]string{},
		}
		o.spaces[validity] = sp
	}
	return sp
}

// selected notes the UIDVALIDITY that a folder was told to have.
func (o *oracle) selected(who, folder string, validity uint32) {
	o.mu.Lock()
	defer o.mu.Unlock()
	sp := o.spaceLocked(validity)
	if !lasting(folder) {
		return
	}
	if was := o.valid[folder]; was != 0 && was != validity {
		o.faultLocked("validity", "%s: %s has UIDVALIDITY %d, had %d", who, folder, validity, was)
	}
	o.valid[folder] = validity
	sp.folder = folder
}

// identify notes that a message was seen under a UID.
func (o *oracle) identify(who string, validity, uid uint32, content []byte) {
	id, whole := idOfMail(content)
	if !whole {
		o.fault("content", "%s: UID %d is not whole: %.300q", who, uid, content)
		return
	}
	o.names(who, validity, uid, id)
}

// names is identify, for who knows the id.
func (o *oracle) names(who string, validity, uid uint32, id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	sp := o.spaceLocked(validity)
	if was, seen := sp.id[uid]; seen {
		if was != id {
			o.faultLocked("identity", "%s: UID %d of %d names %s and %s", who, uid, validity, was, id)
		}
		return
	}
	sp.id[uid] = id
	sp.uids[id]++
	if sp.folder != "" && !o.loose[id] && sp.uids[id] > o.born[sp.folder][id] {
		o.faultLocked("reassigned", "%s: %s has now UID %d, the %d. in %s, where it was put %d times", who, id, uid, sp.uids[id], sp.folder, o.born[sp.folder][id])
	}
	if sp.ended[uid] {
		o.judgeExpungeLocked(who, sp, uid, id)
	}
}

// expunged notes that a session was told of an expunge.
func (o *oracle) expunged(who, server string, validity, uid uint32) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.done["expunges told"]++
	sp := o.spaceLocked(validity)
	if sp.gone[server] == nil {
		sp.gone[server] = map[uint32]uint64{}
	}
	o.clock++
	if _, again := sp.gone[server][uid]; !again {
		sp.gone[server][uid] = o.clock
	}
	if sp.ended[uid] {
		return
	}
	sp.ended[uid] = true
	if id, known := sp.id[uid]; known {
		o.judgeExpungeLocked(who, sp, uid, id)
	}
}

func (o *oracle) judgeExpungeLocked(who string, sp *space, uid uint32, id string) {
	sp.gones[id]++
	if sp.folder != "" && !o.loose[id] && sp.gones[id] > o.dies[sp.folder][id] {
		o.faultLocked("vanished", "%s: EXPUNGE of UID %d (%s) in %s, which was removed %d times and told %d times", who, uid, id, sp.folder, o.dies[sp.folder][id], sp.gones[id])
	}
}

// there notes what a SELECT begun at that time found.
func (o *oracle) there(who, server string, validity uint32, uids []uint32, begun uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	sp := o.spaceLocked(validity)
	for _, uid := range uids {
		if at, gone := sp.gone[server][uid]; gone && at < begun {
			o.faultLocked("reappeared", "%s: UID %d (%s) is there, which was told as expunged before", who, uid, sp.id[uid])
		}
	}
}

func (o *oracle) sequence(server string) string {
	if o.shared {
		return ""
	}
	return server
}

// highest gives the highest MODSEQ told so far.
func (o *oracle) highest(server string, validity uint32) uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.spaceLocked(validity).high[o.sequence(server)]
}

// toldHighest: HIGHESTMODSEQ is not below what had been told when it was asked for.
func (o *oracle) toldHighest(who, server string, validity uint32, modSeq, before uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if modSeq < before {
		o.faultLocked("modseq", "%s: HIGHESTMODSEQ %d of %d, after %d had been told", who, modSeq, validity, before)
	}
	high := o.spaceLocked(validity).high
	high[o.sequence(server)] = max(high[o.sequence(server)], modSeq)
}

// toldModSeq notes the MODSEQ of a message with these flags.
func (o *oracle) toldModSeq(who, server string, validity, uid uint32, modSeq uint64, flags string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	sp := o.spaceLocked(validity)
	server = o.sequence(server)
	sp.high[server] = max(sp.high[server], modSeq)
	if flags == unknownFlags {
		return
	}
	k := modSeqOf{server, uid, modSeq}
	if was, seen := sp.state[k]; seen && was != flags {
		o.faultLocked("modseq", "%s: UID %d has flags (%s) and (%s) at MODSEQ %d", who, uid, was, flags, modSeq)
	}
	sp.state[k] = flags
}

// idOf gives the id of a UID, "" if nobody has read it yet.
func (o *oracle) idOf(validity, uid uint32) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.spaceLocked(validity).id[uid]
}

// uidsOf gives the UIDs that an id has had in a lasting folder, ascending.
func (o *oracle) uidsOf(folder, id string) (uids []uint32) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for uid, of := range o.spaceLocked(o.valid[folder]).id {
		if of == id {
			uids = append(uids, uid)
		}
	}
	slices.Sort(uids)
	return uids
}

// report prints the figures.
func (o *oracle) report(title string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(o.done)) {
		fmt.Fprintf(&b, ", %s %d", k, o.done[k])
	}
	o.t.Logf("%s: %s", title, strings.TrimPrefix(b.String(), ", "))
	b.Reset()
	for _, k := range slices.Sorted(maps.Keys(o.faults)) {
		fmt.Fprintf(&b, ", %s %d", k, o.faults[k])
	}
	if b.Len() == 0 {
		b.WriteString(", none")
	}
	o.t.Logf("%s: faults: %s", title, strings.TrimPrefix(b.String(), ", "))
}
