package maildir

import "slices"

// mendListLocked looks whether the uid list has lost records at its end: the index, saved when it was longer,
// knows of UIDs that the list would give again. Then the index tells which messages had them,
// and the list is written anew. Neither alone can be trusted for this: a list without its end looks like a whole one.
func (f *Folder) mendListLocked(recs []found, files *listing, past *prior) []found {
	if past == nil {
		return recs
	}
	s := &past.file.sum
	if s.guid != f.list.guid || s.uidValidity != f.list.uidValidity || s.uidNext <= f.list.next() {
		return recs
	}
	f.log.Warn("the uid list has lost its end; the index tells it", "from_uid", f.list.next(), "to_uid", s.uidNext-1)
	f.list.uidNext, f.list.untidy = s.uidNext, true
	for _, c := range past.chunks {
		old := c.get()
		for i := range old.recs {
			file := files.find(old.base(i))
			if file != nil && file.uid == 0 {
				file.uid = old.recs[i].uid
				recs = append(recs, found{uid: file.uid, virtual: -1, file: file})
			}
		}
	}
	slices.SortFunc(recs, func(a, b found) int { return int(int64(a.uid) - int64(b.uid)) })
	return recs
}
