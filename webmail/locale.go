package webmail

import (
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"golang.org/x/text/language"
)

//go:embed locale/*.toml
var localeFiles embed.FS

// catalogue is all text, in each language.
type catalogue struct {
	languages []*texts // the first is what is shown to who wants none of them
	matcher   language.Matcher
}

// texts are those of one language.
type texts struct {
	Tag   string // as in <html lang>
	Name  string // of the language, in itself
	byKey map[string]string
	month [12]string
	day   [7]string // from Sunday
}

// loadCatalogue reads the embedded files.
func loadCatalogue() (*catalogue, error) {
	c := &catalogue{}
	files, err := fs.Glob(localeFiles, "locale/*.toml")
	if err != nil {
		return nil, err
	}
	var tags []language.Tag
	for _, file := range files {
		data, err := localeFiles.ReadFile(file)
		if err != nil {
			return nil, err
		}
		l, err := parseTexts(strings.TrimSuffix(path.Base(file), ".toml"), string(data))
		if err != nil {
			return nil, fmt.Errorf("webmail: %s: %w", file, err)
		}
		if l.Tag == "en" {
			c.languages = append([]*texts{l}, c.languages...)
		} else {
			c.languages = append(c.languages, l)
		}
	}
	for _, l := range c.languages {
		tags = append(tags, language.Make(l.Tag))
	}
	c.matcher = language.NewMatcher(tags)
	return c, nil
}

func parseTexts(tag, data string) (*texts, error) {
	l := &texts{Tag: tag, byKey: make(map[string]string)}
	var tree map[string]any
	if _, err := toml.Decode(data, &tree); err != nil {
		return nil, err
	}
	l.flatten("", tree)
	l.Name = l.byKey["language.name"]
	if n := copy(l.month[:], strings.Fields(l.byKey["date.months"])); n != len(l.month) {
		return nil, fmt.Errorf("date.months has %d words", n)
	}
	if n := copy(l.day[:], strings.Fields(l.byKey["date.days"])); n != len(l.day) {
		return nil, fmt.Errorf("date.days has %d words", n)
	}
	return l, nil
}

func (l *texts) flatten(prefix string, tree map[string]any) {
	for k, v := range tree {
		switch v := v.(type) {
		case string:
			l.byKey[prefix+k] = v
		case map[string]any:
			l.flatten(prefix+k+".", v)
		}
	}
}

// T is the text of a key, with arguments for its verbs. A key that is not there shows itself; a test sees to it that none is.
func (l *texts) T(key string, args ...any) string {
	text, ok := l.byKey[key]
	if !ok {
		return key
	}
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}

// N is the text for a number of things. Further arguments come behind the number.
func (l *texts) N(key string, count int, args ...any) string {
	form := ".other"
	if count == 1 {
		form = ".one"
	}
	return l.T(key+form, append([]any{count}, args...)...)
}

// pick finds the language for an Accept-Language header.
func (c *catalogue) pick(accept string) *texts {
	if len(accept) > 1000 {
		accept = ""
	}
	tags, _, err := language.ParseAcceptLanguage(accept)
	if err != nil {
		return c.languages[0]
	}
	_, i, confidence := c.matcher.Match(tags...)
	if confidence == language.No {
		i = 0
	}
	return c.languages[i]
}

// named gives a language by its tag, nil if there is none.
func (c *catalogue) named(tag string) *texts {
	for _, l := range c.languages {
		if l.Tag == tag {
			return l
		}
	}
	return nil
}

// locale is how one user reads: his language and his time zone.
type locale struct {
	*texts
	zone *time.Location
	now  time.Time
}

// localeOf is the locale of a request; n is nil for who has not signed in.
func (s *Server) localeOf(r *http.Request, n *session) locale {
	loc := locale{zone: time.Local, now: s.clock()}
	if n != nil {
		p := n.preferences()
		loc.texts = s.texts.named(p.Language)
		if z, err := time.LoadLocation(p.Zone); err == nil && p.Zone != "" {
			loc.zone = z
		}
	}
	if loc.texts == nil {
		loc.texts = s.texts.pick(r.Header.Get("Accept-Language"))
	}
	return loc
}

// locale is that of a request of the session.
func (n *session) locale(r *http.Request) locale { return n.srv.localeOf(r, n) }

// layout formats a moment by a text that is a layout of the package time; names of months and days are the language's.
func (l locale) layout(key string, t time.Time) string {
	t = t.In(l.zone)
	out := t.Format(strings.NewReplacer("Jan", "\x01", "Mon", "\x02").Replace(l.T(key)))
	return strings.NewReplacer("\x01", l.month[t.Month()-1], "\x02", l.day[t.Weekday()]).Replace(out)
}

// Short is a moment as it stands in a list: the time for today, the day for this year.
func (l locale) Short(t time.Time) string {
	now := l.now.In(l.zone)
	switch t = t.In(l.zone); {
	case t.Year() == now.Year() && t.YearDay() == now.YearDay():
		return l.layout("date.time", t)
	case t.Year() == now.Year():
		return l.layout("date.day", t)
	}
	return l.layout("date.date", t)
}

// Long is a moment in full.
func (l locale) Long(t time.Time) string { return l.layout("date.full", t) }

// Size is a number of octets for people.
func (l locale) Size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1000_000:
		return fmt.Sprintf("%d kB", (n+500)/1000)
	case n < 1000_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}
