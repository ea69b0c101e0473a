package maildir

import "sync"

// syncTouched makes own changes durable against power loss. Who finds nothing left to do
// waits for whoever is at it, and fails with him.
func (f *Folder) syncTouched() error {
	f.mu.Lock()
	before := f.syncs.runs
	f.mu.Unlock()
	f.syncs.mu.Lock()
	defer f.syncs.mu.Unlock()
	f.mu.Lock()
	if f.syncs.failed > before {
		f.mu.Unlock()
		return f.syncs.err
	}
	touched, more := f.unsynced, f.more.unsynced
	f.unsynced, f.more.unsynced = [2]bool{}, false
	f.mu.Unlock()
	err := f.syncAll(touched, more)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.syncs.runs++
	if err != nil {
		f.syncs.failed, f.syncs.err = f.syncs.runs, err
		for s, t := range touched {
			f.unsynced[s] = f.unsynced[s] || t
		}
		if more {
			f.more.unsynced, f.more.broken = true, true
		}
	}
	return err
}

func (f *Folder) syncAll(touched [2]bool, more bool) error {
	if more {
		if err := f.syncMore(); err != nil {
			return err
		}
	}
	return f.syncUsed(touched)
}

// syncRuns counts the syncs of own changes.
type syncRuns struct {
	mu     sync.Mutex // held during one; taken before Folder.mu
	runs   int        // ended; guarded by Folder.mu, like what follows
	failed int        // the last that failed
	err    error      // of that
}

// syncDirs makes renames and removals durable against power loss.
func (f *Folder) syncDirs(which ...subdir) error {
	for _, s := range which {
		if err := f.dirOf(s).sync(); err != nil {
			return wrapSys("sync", f.name+"/"+s.String(), err)
		}
	}
	return nil
}

// syncPlaces syncs each directory that was put into.
func (f *Folder) syncPlaces(placed []place) error {
	var used [2]bool
	for _, p := range placed {
		used[p.dir] = true
	}
	return f.syncUsed(used)
}

// syncUsed syncs new/ and cur/ as far as they are used.
func (f *Folder) syncUsed(used [2]bool) error {
	for s, u := range used {
		if u {
			if err := f.syncDirs(subdir(s)); err != nil {
				return err
			}
		}
	}
	return nil
}
