package maildir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// dovecot-keywords names the letters a..z of a folder's file names, one line
// each: "<n> <keyword>", n from 0 to 25. Names are compared without case in ASCII.
const (
	keywordsName     = "dovecot-keywords"
	maxKeywordsFile  = 1 << 20
	maxKeywordOctets = 255
)

// keywordTable is immutable: a change makes a new one.
type keywordTable struct {
	names [maxLetters]string
	more  []string // in use without a letter (morekeywords.go)
	both  bool     // some of more have one since: Dovecot named it
}

// letter gives the flag of a keyword, 0 if it has none.
func (t *keywordTable) letter(keyword string) Flags {
	for i, n := range t.names {
		if n != "" && strings.EqualFold(n, keyword) {
			return 1 << (letterShift + i)
		}
	}
	return 0
}

// missing gives the letters in f that have no name.
func (t *keywordTable) missing(f Flags) Flags {
	var m Flags
	for i, n := range t.names {
		if bit := Flags(1) << (letterShift + i); n == "" && f&bit != 0 {
			m |= bit
		}
	}
	return m
}

// withMore adds names that have no letter.
func (t *keywordTable) withMore(names []string) *keywordTable {
	if len(names) == 0 {
		return t
	}
	n := *t
	n.more = append(n.more[:len(n.more):len(n.more)], names...)
	n.both = n.overlap()
	return &n
}

func (t *keywordTable) overlap() bool {
	return slices.ContainsFunc(t.more, func(w string) bool { return t.letter(w) != 0 })
}

// moreName gives the spelling of a keyword in use without a letter.
func (t *keywordTable) moreName(keyword string) (string, bool) {
	for _, w := range t.more {
		if len(w) == len(keyword) && strings.EqualFold(w, keyword) {
			return w, true
		}
	}
	return "", false
}

// withUnknown names every letter in f that has none, as Dovecot would.
func (t *keywordTable) withUnknown(f Flags) *keywordTable {
	if t.missing(f) == 0 {
		return t
	}
	n := *t
	for i := range n.names {
		if n.names[i] == "" && f&(1<<(letterShift+i)) != 0 {
			name := fmt.Sprintf("unknown-%d", i)
			for n.letter(name) != 0 {
				name += "?"
			}
			n.names[i] = name
		}
	}
	return &n
}

// add names the lowest free letter; ok is false when none is free.
func (t *keywordTable) add(keyword string) (nt *keywordTable, f Flags, ok bool) {
	for i, n := range t.names {
		if n == "" {
			c := *t
			c.names[i] = keyword
			c.both = c.overlap()
			return &c, 1 << (letterShift + i), true
		}
	}
	return t, 0, false
}

func parseKeywords(data []byte) *keywordTable {
	t := new(keywordTable)
	for line := range bytes.SplitSeq(data, []byte{'\n'}) {
		num, name, ok := strings.Cut(string(line), " ")
		n, err := strconv.Atoi(num)
		if !ok || err != nil || n < 0 || n >= maxLetters || !validKeyword(name) {
			continue
		}
		if t.names[n] == "" && t.letter(name) == 0 {
			t.names[n] = name
		}
	}
	return t
}

func (t *keywordTable) format() []byte {
	var b bytes.Buffer
	for i, n := range t.names {
		if n != "" {
			fmt.Fprintf(&b, "%d %s\n", i, n)
		}
	}
	return b.Bytes()
}

// validKeyword tells whether s can be an IMAP flag-keyword, which is an atom.
func validKeyword(s string) bool {
	if s == "" || len(s) > maxKeywordOctets || s[0] == '\\' {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`(){%*"\]`, c) >= 0 {
			return false
		}
	}
	return true
}

// readKeywords reads the table; a missing file is an empty table.
func readKeywords(d *dir) (*keywordTable, stamp, error) {
	data, st, err := d.readFile(keywordsName, maxKeywordsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return new(keywordTable), stamp{}, nil
	}
	if err != nil {
		return nil, stamp{}, wrapSys("read", keywordsName, err)
	}
	return parseKeywords(data), st, nil
}

// writeKeywords replaces the table. The caller holds the uid list's lock. The
// lock file is the new file, as Dovecot does it. Readers tell a new table by
// the second of its mtime, so that must grow.
func writeKeywords(ctx context.Context, l *locker, d *dir, t *keywordTable, old stamp) (stamp, error) {
	lock, err := l.lock(ctx, d, keywordsName, nil)
	if err != nil {
		return stamp{}, err
	}
	st, err := d.replaceFile(keywordsName+".tmp", keywordsName, t.format())
	lock.unlock()
	if err != nil {
		return stamp{}, wrapSys("write", keywordsName, err)
	}
	const second = 1e9
	if old.mtime/second >= st.mtime/second {
		if err := d.setTimes(keywordsName, unixNano(old.mtime/second*second+second)); err != nil {
			return stamp{}, wrapSys("set time of", keywordsName, err)
		}
	}
	fi, err := d.stat(keywordsName)
	if err != nil {
		return stamp{}, wrapSys("stat", keywordsName, err)
	}
	return stampOf(fi), nil
}

// words are keywords as a folder holds them.
type words struct {
	letters Flags
	more    []string // without a letter, in the folder's spelling
}

// wordsMode says what becomes of keywords that the folder does not know.
type wordsMode int

const (
	wordsKnown wordsMode = iota // passed over
	wordsAll                    // made known, or ErrTooMany
	wordsFit                    // made known as far as there is room
)

// resolve finds keywords in the table, and those that are not.
func (t *keywordTable) resolve(keywords []string) (w words, missing []string) {
	for _, k := range keywords {
		if l := t.letter(k); l != 0 {
			w.letters |= l
		} else if name, ok := t.moreName(k); !ok {
			if !hasWord(missing, k) {
				missing = append(missing, k)
			}
		} else if !slices.Contains(w.more, name) {
			w.more = append(w.more, name)
		}
	}
	return w, missing
}

// addWords gives the table with further keywords, whether letters were named for them, and those
// for which there is no room.
func (f *Folder) addWords(missing []string) (table *keywordTable, named bool, left []string) {
	table = f.kw
	for _, k := range missing {
		if t, _, ok := table.add(k); ok {
			table, named = t, true
		} else if len(table.more) < maxMoreNames {
			table = table.withMore([]string{f.more.intern(k, func(string) {})})
		} else {
			left = append(left, k)
		}
	}
	return table, named, left
}

// wordsLocked gives keywords the form in which the folder holds them, naming letters in
// dovecot-keywords while there are any. The caller holds the list's lock.
func (f *Folder) wordsLocked(ctx context.Context, keywords []string, mode wordsMode) (words, error) {
	for _, k := range keywords {
		if !validKeyword(k) {
			return words{}, fmt.Errorf("keyword %q: %w", k, ErrCannot)
		}
	}
	w, missing := f.kw.resolve(keywords)
	if len(missing) == 0 || mode == wordsKnown {
		return w, nil
	}
	// Another program may have named it: read again before adding.
	if err := f.rereadKeywordsLocked(); err != nil {
		return words{}, err
	}
	_, missing = f.kw.resolve(keywords)
	table, named, left := f.addWords(missing)
	if len(left) > 0 && f.forgetUnusedLocked() {
		_, missing = f.kw.resolve(keywords)
		table, named, left = f.addWords(missing)
	}
	if len(left) > 0 && mode == wordsAll {
		return words{}, fmt.Errorf("keyword %q: the folder has %d already: %w", left[0], maxLetters+maxMoreNames, ErrTooMany)
	}
	if w, _ := table.resolve(keywords); mode == wordsAll && len(w.more) > maxMoreOfMessage {
		// No message could have them all: nothing is named for a change that cannot be.
		return words{}, fmt.Errorf("%d keywords, of which %d have no letter: %w", len(keywords), len(w.more), ErrTooMany)
	}
	if named {
		seen, err := writeKeywords(ctx, f.store.lock, f.home, table, f.kwSeen)
		if err != nil {
			return words{}, err
		}
		f.kwSeen = seen
	}
	f.kw = table
	w, _ = f.kw.resolve(keywords)
	return w, nil
}

// rereadKeywordsLocked reads the names of the letters.
func (f *Folder) rereadKeywordsLocked() error {
	kw, seen, err := readKeywords(f.home)
	if err != nil {
		return err
	}
	f.kw, f.kwSeen = kw.withUnknown(f.lettersInUse()).withMore(f.kw.more), seen
	return nil
}

// forgetUnusedLocked forgets names that no message has any more; false if it could not.
func (f *Folder) forgetUnusedLocked() bool {
	return f.followMoreLocked(true) == nil && f.more.seen != (stamp{}) && f.rewriteMoreLocked() == nil
}

// lettersInUse are those that any message has.
func (f *Folder) lettersInUse() Flags {
	var letters Flags
	for _, c := range f.state.chunks {
		for _, m := range c.get().recs {
			letters |= m.flags & allLetters
		}
	}
	return letters
}

// CanAddKeyword tells whether a keyword that the folder does not know yet can be stored.
func (s *Snapshot) CanAddKeyword() bool {
	return slices.Contains(s.keywords.names[:], "") || len(s.keywords.more) < maxMoreNames
}
