package maildir

// A command that changes many messages causes events for each, and handling
// them costs half as much as the changes themselves. Such a command gives up
// the folder's watches for its time, and a scan at its end tells what others
// did meanwhile. Sessions are told of its own changes as ever, of others' a moment later.
const (
	bulkLeast = 256 // messages; fewer are not worth a scan
	bulkShare = 4   // nor is less than this part of the folder
)

// bulk calls do, which is going to change n files of the folder.
func (f *Folder) bulk(n int, do func() error) error {
	if !f.beginBulk(n) {
		return do()
	}
	defer f.endBulk()
	return do()
}

// beginBulk gives up the watches, if that is worth it.
func (f *Folder) beginBulk(n int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	watches := f.watched.Load() || f.lateWatch
	if f.bulks == 0 && (!watches || n < bulkLeast || n*bulkShare < f.state.n) || f.bulks > 0 && n < bulkLeast {
		return false
	}
	if f.bulks++; f.bulks == 1 {
		f.unwatchLocked()
	}
	return true
}

// endBulk asks for events again, and looks what happened without.
func (f *Folder) endBulk() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.bulks--; f.bulks > 0 || f.gone || f.new == nil || !f.watch() {
		return
	}
	f.watched.Store(true)
	f.dirty = true
	if err := f.settleLocked(f.store.ctx); err != nil {
		f.fail("reading the folder", err) // it stays dirty: the next look reads it
	}
}

// unwatchLocked gives up the watches, or what was to be one.
func (f *Folder) unwatchLocked() {
	f.lateWatch = false
	if !f.watched.Swap(false) {
		return
	}
	for _, d := range []*dir{f.new, f.cur} {
		f.store.watch.drop(d, f.queue)
	}
	clear(f.expected)
}
