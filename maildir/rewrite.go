package maildir

import "slices"

// addLocked appends a message to the state; its UID is above all others. It gets its MODSEQ before it is told.
func (f *Folder) addLocked(m newMessage) {
	m.modSeq = unnumbered
	f.state.append(m)
	f.bases.add(baseOf(m.name), m.uid)
	f.untold.changed = append(f.untold.changed, m.uid)
	f.untold.any = true
}

// rewriteListLocked writes the whole list: the records of all messages, with
// what other programs noted about them, and more. The caller holds the lock.
func (f *Folder) rewriteListLocked(more []uidRecord) error {
	if err := f.listWritable(); err != nil {
		return err
	}
	notes := f.notesInList()
	listed := make(map[string]bool)
	if len(f.adopted) > 0 {
		for _, r := range more {
			listed[r.base] = true
		}
		more = slices.Clone(more)
		for _, r := range f.adopted {
			if !listed[r.base] {
				more = append(more, r)
			}
		}
	}
	if !slices.IsSortedFunc(more, byUID) {
		slices.SortFunc(more, byUID)
	}
	was := f.list
	f.list.lastUID = max(f.list.lastUID, f.lastUID())
	if n := len(more); n > 0 {
		f.list.lastUID = max(f.list.lastUID, more[n-1].uid)
	}
	if f.modSeq > f.list.modSeqMark && (f.modSeqOut || !f.list.persisted) { // a new list would soon be written again for that
		f.list.modSeqMark = f.modSeq + modSeqStep
	}
	const line = 80 // octets, about
	w := f.list.begin(line * (f.state.n + len(more)))
	for _, c := range f.state.chunks {
		r := c.get()
		for i := range r.recs {
			m := &r.recs[i]
			for len(more) > 0 && more[0].uid < m.uid {
				w.add(&more[0])
				more = more[1:]
			}
			name := fullBase(view(r.names[m.nameOff : m.nameOff+uint32(m.nameLen)]))
			w.add(&uidRecord{uid: m.uid, ext: notes[m.uid], name: name})
		}
	}
	for i := range more {
		w.add(&more[i])
	}
	if err := f.list.replace(f.home, w); err != nil {
		if f.stampOf(uidlistName) == was.stamp { // nobody can have seen the new UIDs: a full disk must not use them up
			f.list = was
		}
		return err
	}
	f.pinListLocked()
	return nil
}

// pinListLocked keeps the list that was just read or written open. A file system gives the inode number of a file
// that was replaced to the next that is made, which may be the next list; as long as the old one is open it does not.
func (f *Folder) pinListLocked() {
	old := f.listPin
	f.listPin = nil
	if file, err := f.home.open(uidlistName); err == nil {
		if fi, err := file.Stat(); err == nil && stampOf(fi).fileID == f.list.stamp.fileID {
			f.listPin = file
		} else {
			file.Close()
		}
	}
	if old != nil {
		old.Close()
	}
}

// listPinned tells whether a list with the inode number of f.list is that very file.
func (f *Folder) listPinned() bool {
	if f.listPin == nil {
		return false
	}
	fi, err := f.listPin.Stat()
	return err == nil && stampOf(fi).fileID == f.list.stamp.fileID
}

// notesInList gives what other programs noted beside UIDs, by UID. An error loses those
// notes, not UIDs: these are in the state.
func (f *Folder) notesInList() map[uint32]string {
	if !f.list.persisted {
		return nil
	}
	notes := make(map[uint32]string)
	old, err := readUIDList(f.home, uidlistName, func(r uidRecord) {
		if r.ext == "" {
			return
		}
		if uid, _, _, ok := f.lookupBase(r.base); ok && uid == r.uid {
			notes[uid] = r.ext
		}
	})
	if err == nil && old.persisted {
		f.list.others = old.others
	}
	return notes
}
