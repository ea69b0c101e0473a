package transcript

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// outside does what other programs do: it works on files below the root.
func (r *runner) outside(lines []string) (int, error) {
	words := strings.Fields(lines[0])
	r.record(lines[0])
	arg := func(i int) string {
		if i < len(words) {
			return filepath.Join(r.env.Root, words[i])
		}
		return ""
	}
	switch {
	case words[0] == "file" && len(words) == 2, words[0] == "append" && len(words) == 2:
		text, n := indented(lines[1:])
		for _, l := range lines[1 : 1+n] {
			r.record(l)
		}
		return 1 + n, writeFile(arg(1), text, words[0] == "append")
	case words[0] == "move" && len(words) == 3:
		return 1, os.Rename(arg(1), arg(2))
	case words[0] == "remove" && len(words) == 2:
		return 1, os.RemoveAll(arg(1))
	case words[0] == "mkdir" && len(words) == 2:
		return 1, os.MkdirAll(arg(1), 0o700)
	case words[0] == "sleep" && len(words) == 2:
		d, err := time.ParseDuration(words[1])
		time.Sleep(d)
		return 1, err
	}
	return 0, fmt.Errorf("not understood")
}

// indented takes the lines that a tab begins. Empty ones belong to them when
// more follow.
func indented(lines []string) (text string, n int) {
	for i, l := range lines {
		if strings.HasPrefix(l, "\t") {
			n = i + 1
		} else if l != "" {
			break
		}
	}
	var b strings.Builder
	for _, l := range lines[:n] {
		b.WriteString(strings.TrimPrefix(l, "\t") + "\n")
	}
	return b.String(), n
}

// writeFile gives a message the arrival time that its name begins with, so
// that INTERNALDATE is the same in every run.
func writeFile(name, text string, add bool) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	if add {
		f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		if _, err := f.WriteString(text); err != nil {
			f.Close()
			return err
		}
		return f.Close()
	}
	dir := filepath.Dir(name)
	if base := filepath.Base(dir); base != "cur" && base != "new" {
		return os.WriteFile(name, []byte(text), 0o600)
	}
	// As a delivery does it: whole, or not there.
	tmp := filepath.Join(filepath.Dir(dir), "tmp", filepath.Base(name))
	for _, d := range []string{"tmp", "new", "cur"} {
		if err := os.MkdirAll(filepath.Join(filepath.Dir(dir), d), 0o700); err != nil {
			return err
		}
	}
	if err := os.WriteFile(tmp, []byte(text), 0o600); err != nil {
		return err
	}
	var sec int64
	if _, err := fmt.Sscanf(filepath.Base(name), "%d.", &sec); err == nil {
		when := time.Unix(sec, 0)
		if err := os.Chtimes(tmp, when, when); err != nil {
			return err
		}
	}
	return os.Rename(tmp, name)
}

func (r *runner) record(line string) {
	if r.env.Record != nil {
		fmt.Fprintln(r.env.Record, line)
	}
}

var validity = regexp.MustCompile(`UIDVALIDITY (\d{6,})`)

var varying = []struct {
	re   *regexp.Regexp
	with string
}{
	{validity, `UIDVALIDITY {{v=\d+}}`},
	{regexp.MustCompile(`(APPENDUID|COPYUID) \d{6,}`), `$1 {{\d+}}`},
	{regexp.MustCompile(`MODSEQ \d{6,}`), `MODSEQ {{\d+}}`},
	{regexp.MustCompile(`MODSEQ \(\d{6,}\)`), `MODSEQ ({{\d+}})`},
	{regexp.MustCompile(`\[CAPABILITY .*`), `[CAPABILITY {{.*}}`},
}

// recordLines writes what the server says until it falls silent.
func (r *runner) recordLines(s *session) {
	for wait := time.Second; ; wait = 150 * time.Millisecond {
		select {
		case line, ok := <-s.lines:
			if !ok {
				r.record(s.name + ": closed")
				return
			}
			if m := validity.FindStringSubmatch(line); m != nil {
				r.vars["v"] = m[1]
			}
			for _, v := range varying {
				line = v.re.ReplaceAllString(line, v.with)
			}
			r.record(s.name + ": S: " + line)
		case <-time.After(wait):
			return
		}
	}
}
