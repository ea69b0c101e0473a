package maildir

import "slices"

// mendListLocked looks whether the uid list has lost records at its end: the index, saved when it was longer,
// knows of UIDs that the list would give again, or of more octets in the same file; other programs put another
// file in its place. Then the index tells which messages had the UIDs,
// and the list is written anew. The list alone cannot tell: without its end it looks like a whole one.
func (f *Folder) mendListLocked(recs []found, files *listing, past *prior) []found {
	if past == nil {
		return recs
	}
	s := &past.file.sum
	cut := s.list.fileID == f.list.stamp.fileID && f.list.consumed < s.consumed || f.list.next() < s.uidNext
	if s.guid != f.list.guid || s.uidValidity != f.list.uidValidity || !cut {
		return recs
	}
	f.log.Warn("the uid list has lost its end; the index tells it", "uid_next", f.list.next(), "uid_next_was", s.uidNext)
	f.list.uidNext, f.list.untidy = max(f.list.uidNext, s.uidNext), true
	given := make(map[uint32]bool, len(recs))
	for _, r := range recs {
		given[r.uid] = true
	}
	for _, c := range past.chunks {
		old := c.get()
		for i := range old.recs {
			file := files.find(old.base(i))
			if file != nil && file.uid == 0 && !given[old.recs[i].uid] {
				file.uid = old.recs[i].uid
				recs = append(recs, found{uid: file.uid, virtual: -1, file: file})
			}
		}
	}
	slices.SortFunc(recs, func(a, b found) int { return int(int64(a.uid) - int64(b.uid)) })
	return recs
}
