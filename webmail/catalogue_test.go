package webmail

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestCatalogue: both languages have the same keys, with the same verbs; every key that is used is there, and
// none that is not.
func TestCatalogue(t *testing.T) {
	c, err := loadCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	if len(c.languages) < 2 || c.languages[0].Tag != "en" {
		t.Fatalf("languages: %d, the first %s", len(c.languages), c.languages[0].Tag)
	}
	en := c.languages[0].byKey
	verb := regexp.MustCompile(`%[^%]`)
	tables := make(map[string]bool)
	for key := range en {
		tables[key[:strings.IndexByte(key, '.')]] = true
	}
	for _, l := range c.languages[1:] {
		for key, text := range en {
			other, ok := l.byKey[key]
			if !ok {
				t.Errorf("%s lacks %s", l.Tag, key)
			} else if a, b := verb.FindAllString(text, -1), verb.FindAllString(other, -1); !slices.Equal(a, b) {
				t.Errorf("%s: %s has the verbs %v, in en %v", l.Tag, key, b, a)
			}
			if other == "" {
				t.Errorf("%s: %s is empty", l.Tag, key)
			}
		}
		for key := range l.byKey {
			if _, ok := en[key]; !ok {
				t.Errorf("%s has %s, which en lacks", l.Tag, key)
			}
		}
	}
	// In Go any string that begins with the name of a table and a dot is a key.
	names := strings.Join(slices.Sorted(maps.Keys(tables)), "|")
	inGo := regexp.MustCompile(`"((?:` + names + `)\.[a-z][a-z0-9.]*)"`)
	inTemplate := regexp.MustCompile(`\b[tn] "([a-z0-9.]+)"`)
	used := make(map[string]bool)
	look := func(pattern string, re *regexp.Regexp) {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range re.FindAllStringSubmatch(string(data), -1) {
				key := m[1]
				_, plain := en[key]
				_, many := en[key+".other"]
				if !plain && !many && !(re == inGo && notKeys[key]) {
					t.Errorf("%s uses %s, which is in no catalogue", file, key)
				}
				used[key], used[key+".one"], used[key+".other"] = true, true, true
			}
		}
	}
	look("*.go", inGo)
	look("templates/*.html", inTemplate)
	for key := range en {
		if !used[key] {
			t.Errorf("nothing uses %s", key)
		}
	}
}

// notKeys are strings in Go that look like keys and are none.
var notKeys = map[string]bool{"settings.toml": true, "keys.js": true, "import.js": true, "contacts.vcf": true, "compose.js": true, "list.js": true, "live.js": true}

// TestNothingInline: no template has a script, a style or a handler of events in it, nor code for htmx to evaluate.
func TestNothingInline(t *testing.T) {
	bad := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|\shx-on|\shx-vals="?js|javascript:|<script(?:>|\s+[^s])|\bhx-trigger="[^"]*\[`)
	looked := 0
	err := fs.WalkDir(templateFiles, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(templateFiles, name)
		looked++
		for _, m := range bad.FindAllString(string(data), -1) {
			t.Errorf("%s has %q", name, m)
		}
		return err
	})
	if err != nil || looked < 5 {
		t.Error(looked, err)
	}
}

// TestIcons: every icon that is named is in the sprite.
func TestIcons(t *testing.T) {
	sprite, err := os.ReadFile("static/icons.svg")
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"inbox", "folder", "person", "public"}
	for _, icon := range specialIcons {
		names = append(names, icon)
	}
	files, _ := filepath.Glob("templates/*.html")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\bicon "([a-z]+)"`).FindAllStringSubmatch(string(data), -1) {
			names = append(names, m[1])
		}
	}
	for _, name := range names {
		if !strings.Contains(string(sprite), `<symbol id="`+name+`"`) {
			t.Errorf("there is no icon %q", name)
		}
	}
}
