package maildir

import "strings"

// Walk goes through a snapshot, one message after another, and shows each as a newer snapshot has it: a client's
// numbers are those of what it was told, and what it asks about is what is. It costs no search a message. It is not
// for concurrent use.
type Walk struct {
	told, newer *Snapshot
	back        bool // from the last message to the first; newer is told then

	i      int      // the message
	ci, r  int      // where it is in told
	recs   *records // told.chunks[ci]'s
	shared bool     // newer has the same chunk
	now    cursor   // in newer, at no message with a UID below the message's

	as    *Snapshot // newer, or told if the message is gone there
	shown *records  // as that has it
	at    int       // in shown
}

// Walk begins before the first message of s; newer is a later snapshot of the same folder, or s.
func (s *Snapshot) Walk(newer *Snapshot) *Walk {
	return &Walk{told: s, newer: newer, i: -1, ci: -1, now: cursor{s: newer}}
}

// Backwards begins behind the last message of s, and goes to the first.
func (s *Snapshot) Backwards() *Walk {
	return &Walk{told: s, newer: s, back: true, i: s.n, ci: len(s.chunks), shared: true}
}

// Next goes to the next message, and tells whether there is one.
func (w *Walk) Next() bool {
	if w.back {
		return w.previous()
	}
	if w.r++; w.recs == nil || w.r >= len(w.recs.recs) {
		if !w.nextChunk() {
			return false
		}
	}
	w.i++
	w.as, w.shown, w.at = w.told, w.recs, w.r
	if w.shared {
		w.as = w.newer
		return true
	}
	uid := w.recs.recs[w.r].uid
	for w.now.valid() && w.now.rec().uid < uid {
		w.now.next()
	}
	if w.now.valid() && w.now.rec().uid == uid {
		w.as, w.shown, w.at = w.newer, w.now.s.chunks[w.now.c].get(), w.now.r
	}
	return true
}

func (w *Walk) previous() bool {
	if w.r--; w.recs == nil || w.r < 0 {
		if w.ci <= 0 {
			return false
		}
		w.ci--
		w.recs = w.told.chunks[w.ci].get()
		w.r = len(w.recs.recs) - 1
	}
	w.i--
	w.as, w.shown, w.at = w.told, w.recs, w.r
	return true
}

// nextChunk goes to the first message of the next chunk, and to the chunk of newer that may have it.
func (w *Walk) nextChunk() bool {
	if w.ci++; w.ci >= len(w.told.chunks) {
		w.ci = len(w.told.chunks)
		return false
	}
	c := w.told.chunks[w.ci]
	w.recs, w.r = c.get(), 0
	for first := w.recs.recs[0].uid; w.now.valid() && w.newer.chunks[w.now.c].last() < first; {
		w.now.nextChunk()
	}
	w.shared = w.now.valid() && w.newer.chunks[w.now.c] == c
	return true
}

// Index is the message's in the snapshot that is walked.
func (w *Walk) Index() int { return w.i }

// UID of the message.
func (w *Walk) UID() uint32 { return w.shown.recs[w.at].uid }

// Flags are its system flags.
func (w *Walk) Flags() Flags { return w.as.flagsOf(&w.shown.recs[w.at]) }

// ModSeq of the message.
func (w *Walk) ModSeq() uint64 { return w.as.modSeqOf(&w.shown.recs[w.at]) }

// HasKeyword is the snapshot's.
func (w *Walk) HasKeyword(keyword string) bool {
	return w.shown.hasKeyword(w.at, w.as.keywords, keyword)
}

// SentDay is Reading.SentDay, if it is known.
func (w *Walk) SentDay() (day int32, known bool) { return w.shown.facts[w.at].sentDay() }

// DateNano is Reading.DateNano, if it is known.
func (w *Walk) DateNano() (n int64, known bool) {
	n = w.shown.facts[w.at].date.Load()
	return n, n != 0
}

// hasKeyword tells whether message i has the keyword; case does not matter.
func (r *records) hasKeyword(i int, words *keywordTable, keyword string) bool {
	m := &r.recs[i]
	if m.flags&words.letter(keyword) != 0 {
		return true
	}
	for _, k := range r.extra[m.uid] {
		if strings.EqualFold(k, keyword) {
			return true
		}
	}
	return false
}
