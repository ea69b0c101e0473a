package maildir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// dovecot-keywords names the letters a..z of a folder's file names, one line
// each: "<n> <keyword>", n from 0 to 25. Names are compared without case in ASCII.
const (
	keywordsName     = "dovecot-keywords"
	moreKeywordsName = "postroom-keywords"
	maxKeywordsFile  = 1 << 20
	maxKeywordOctets = 255
)

// keywordTable is immutable: a change makes a new one.
type keywordTable struct {
	names [maxLetters]string
	more  []string // in use without a letter
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
	return &n
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
	lock, err := l.lock(ctx, d, keywordsName)
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
