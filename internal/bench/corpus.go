package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// corpus is the mail that all trees are made of: files in one directory, owned
// by the mail user. Trees are copies, or, where no file is deleted or changed, hard links.
type corpus struct {
	dir   string
	owner owner
	mails []mail // in order of their dates and names
}

// mail is one file of the corpus.
type mail struct {
	base string // name up to ":2,", as Dovecot's deliveries are named
	size int    // octets on disk
	wire int    // octets with CRLF
}

// info follows each base name: some messages are seen, some answered.
func info(i int) string {
	switch {
	case i%10 == 9:
		return ":2,RS"
	case i%4 != 3:
		return ":2,S"
	}
	return ":2,"
}

// newCorpus writes n messages. After that the directory is only read.
func newCorpus(dir string, o owner, seed uint64, n int) (*corpus, error) {
	c := &corpus{dir: dir, owner: o}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for i := range n {
		l := newLetter(seed, i, n)
		m := mail{size: l.b.Len(), wire: l.b.Len() + bytes.Count(l.b.Bytes(), []byte("\n"))}
		m.base = baseName(l, m)
		path := c.path(i)
		if err := os.WriteFile(path, l.b.Bytes(), 0o600); err != nil {
			return nil, err
		}
		if err := o.give(path); err != nil {
			return nil, err
		}
		if err := os.Chtimes(path, l.date, l.date); err != nil {
			return nil, err
		}
		c.mails = append(c.mails, m)
	}
	return c, nil
}

func baseName(l *letter, m mail) string {
	return fmt.Sprintf("%d.M%06dP%d.bench,S=%d,W=%d", l.date.Unix(), l.i%1000000, 1000+l.i%30000, m.size, m.wire)
}

func (c *corpus) path(i int) string { return filepath.Join(c.dir, fmt.Sprint(i)) }

// nth tells which file is message i of a folder of n. Folders of all sizes span the same time: what is looked for by
// dates is in a small one, too.
func (c *corpus) nth(i, n int) int {
	if all := len(c.mails); n < all {
		return i * all / n
	}
	return i % len(c.mails)
}

// wire is the octets of a folder of n messages as they are sent.
func (c *corpus) wire(n int) int {
	sum := 0
	for i := range n {
		sum += c.mails[c.nth(i, n)].wire
	}
	return sum
}

// fill makes a Maildir of n messages at dir. With more messages than the corpus has, each file gets several names.
func (c *corpus) fill(dir string, n int, links bool) error {
	if err := c.emptyMaildir(dir); err != nil {
		return err
	}
	for i := range n {
		k := c.nth(i, n)
		base := c.mails[k].base
		if again := i / len(c.mails); again > 0 {
			base = strings.Replace(base, ".M", fmt.Sprintf(".R%dM", again), 1)
		}
		to := filepath.Join(dir, "cur", base+info(i))
		if links || i >= len(c.mails) {
			if err := os.Link(c.path(k), to); err != nil {
				return err
			}
			continue
		}
		if err := c.copy(k, to); err != nil {
			return err
		}
	}
	return nil
}

// emptyMaildir makes dir and, as far as they are missing, the directories above it.
func (c *corpus) emptyMaildir(dir string) error {
	for _, d := range []string{"", "tmp", "new", "cur"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			return err
		}
		if err := c.owner.give(filepath.Join(dir, d)); err != nil {
			return err
		}
	}
	return c.owner.give(filepath.Dir(dir))
}

func (c *corpus) copy(k int, to string) error {
	text, err := os.ReadFile(c.path(k))
	if err != nil {
		return err
	}
	if err := os.WriteFile(to, text, 0o600); err != nil {
		return err
	}
	if err := c.owner.give(to); err != nil {
		return err
	}
	st, err := os.Stat(c.path(k))
	if err != nil {
		return err
	}
	return os.Chtimes(to, st.ModTime(), st.ModTime())
}

// warm reads every file below dir, so that the page cache has them.
func warm(dir string) error {
	buf := make([]byte, 256<<10)
	return filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return ignoreGone(err)
		}
		f, err := os.Open(path)
		if err != nil {
			return ignoreGone(err)
		}
		defer f.Close()
		for {
			if _, err := f.Read(buf); err != nil {
				return nil
			}
		}
	})
}

// ignoreGone: a server may take away its own files meanwhile.
func ignoreGone(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}
