package demo

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"
)

// A sample is a mail with lines in front that say when it came and where it is:
//
//	#age 2d3h                      or #at 2025-03-14T09:12:00, in UTC
//	#put alice INBOX FS $Label1    user, folder, flags, keywords
//	#put bob Sent S                the same mail, in another place
//	#crlf                          lines end in CRLF; otherwise in LF
//
// Flags are the letters of a file's name; "-" is none, and "new" none and not
// yet seen by any client, thus in new/. What follows is a text/template in
// UTF-8; funcs.go has the functions that make dates, charsets, transfer
// encodings and attachments of it.

//go:embed samples/*.eml
var sampleFiles embed.FS

type sample struct {
	name   string
	number int // in the order of names; makes file names unique
	date   time.Time
	crlf   bool
	places []place
	data   []byte
}

type place struct {
	user, folder string
	isNew        bool
	flags        string
	keywords     []string
}

// loadSamples reads all templates, as of now, oldest mail first.
func loadSamples(now time.Time) ([]*sample, error) {
	now = now.Truncate(time.Second)
	names, err := fs.Glob(sampleFiles, "samples/*.eml")
	if err != nil {
		return nil, err
	}
	var all []*sample
	for i, n := range names {
		text, err := sampleFiles.ReadFile(n)
		if err != nil {
			return nil, err
		}
		s, err := newSample(string(text), now)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n, err)
		}
		s.name, s.number = path.Base(n), i+1
		all = append(all, s)
	}
	slices.SortStableFunc(all, func(a, b *sample) int { return a.date.Compare(b.date) })
	return all, nil
}

func newSample(text string, now time.Time) (*sample, error) {
	s := new(sample)
	for strings.HasPrefix(text, "#") {
		line, rest, _ := strings.Cut(text, "\n")
		if err := s.directive(strings.Fields(line), now); err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		text = rest
	}
	t, err := template.New("").Funcs(funcs(s.date, now)).Parse(text)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, nil); err != nil {
		return nil, err
	}
	s.data = b.Bytes()
	if s.crlf {
		s.data = bytes.ReplaceAll(s.data, []byte("\n"), []byte("\r\n"))
	}
	return s, nil
}

func (s *sample) directive(words []string, now time.Time) error {
	switch {
	case words[0] == "#age" && len(words) == 2:
		age, err := parseAge(words[1])
		s.date = now.Add(-age)
		return err
	case words[0] == "#at" && len(words) == 2:
		at, err := time.ParseInLocation("2006-01-02T15:04:05", words[1], time.UTC)
		s.date = at
		return err
	case words[0] == "#crlf" && len(words) == 1:
		s.crlf = true
		return nil
	case words[0] == "#put" && len(words) >= 4:
		p := place{user: words[1], folder: words[2], keywords: words[4:]}
		switch words[3] {
		case "new":
			p.isNew = true
		case "-":
		default:
			p.flags = words[3]
		}
		s.places = append(s.places, p)
		return nil
	}
	return fmt.Errorf("no such directive")
}

// parseAge reads a duration that may begin with days: 12d, 2d3h, 45m.
func parseAge(s string) (time.Duration, error) {
	var days int
	if d, rest, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.Atoi(d)
		if err != nil {
			return 0, err
		}
		if days = n; rest == "" {
			return time.Duration(days) * 24 * time.Hour, nil
		}
		s = rest
	}
	d, err := time.ParseDuration(s)
	return time.Duration(days)*24*time.Hour + d, err
}

// write puts the mail into the folder at dir, as a delivery at its date would
// have left it. It is not go-maildir's Delivery, which names files by the
// clock, at random, and cannot set flags that are keywords.
func (s *sample) write(dir string, p place, keywords []string) error {
	lines := bytes.Count(s.data, []byte("\n")) - bytes.Count(s.data, []byte("\r\n"))
	name := fmt.Sprintf("%d.M%06dP1.demo,S=%d,W=%d",
		s.date.Unix(), s.number, len(s.data), len(s.data)+lines)
	sub := "new"
	if !p.isNew {
		sub = "cur"
		name += ":2," + p.letters(keywords)
	}
	file := filepath.Join(dir, sub, name)
	if err := os.WriteFile(file, s.data, 0o600); err != nil {
		return err
	}
	return os.Chtimes(file, s.date, s.date)
}

// letters gives the flags as a file name has them: capitals, then keywords,
// each in the order of the alphabet.
func (p place) letters(keywords []string) string {
	l := []byte(p.flags)
	for _, k := range p.keywords {
		l = append(l, byte('a'+slices.Index(keywords, k)))
	}
	slices.Sort(l)
	return string(l)
}
