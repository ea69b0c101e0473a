package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// ready gives a directory with the files that a configuration may name, and
// replaces @DIR@ in text by it.
func ready(t *testing.T, text string) (dir, out string) {
	t.Helper()
	dir = t.TempDir()
	for _, f := range []string{"users", "cert.pem", "key.pem"} {
		if err := os.WriteFile(filepath.Join(dir, f), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, strings.ReplaceAll(text, "@DIR@", dir)
}

// Each file in testdata/broken begins with the error it must give, as comments.
func TestBrokenConfigs(t *testing.T) {
	files, _ := filepath.Glob("testdata/broken/*.toml")
	if len(files) < 13 {
		t.Fatalf("only %d broken configurations", len(files))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			dir, text := ready(t, string(data))
			var want []string
			for _, line := range strings.Split(text, "\n") {
				if w, ok := strings.CutPrefix(line, "#! "); ok {
					want = append(want, w)
				}
			}
			_, err = Parse("c.toml", text)
			if err == nil {
				t.Fatal("taken")
			}
			if got := strings.ReplaceAll(err.Error(), dir, "@DIR@"); got != strings.ReplaceAll(strings.Join(want, "\n"), dir, "@DIR@") {
				t.Errorf("got  %s\nwant %s", got, strings.Join(want, "\n"))
			}
		})
	}
}

// The example is the manual: it has every key, each with its default.
func TestExampleIsComplete(t *testing.T) {
	data, err := os.ReadFile("../../config.toml.example")
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	var keys []string
	table := ""
	documented := false
	for _, line := range strings.Split(string(data), "\n") {
		switch {
		case strings.HasPrefix(line, "["):
			table = strings.Trim(line, "[]")
			text.WriteString(line + "\n")
		case strings.HasPrefix(line, "# "):
			documented = true
		case strings.HasPrefix(line, "#"):
			setting := line[1:]
			key := strings.TrimSpace(strings.SplitN(setting, "=", 2)[0])
			keys = append(keys, table+"."+key)
			text.WriteString(setting + "\n")
			if !documented {
				t.Errorf("%s.%s is not explained", table, key)
			}
		case line == "":
			documented = false
		default:
			t.Errorf("a line that is neither comment nor table: %q", line)
		}
	}
	if want := Keys(); !reflect.DeepEqual(keys, want) {
		t.Errorf("keys of the example\n%v\nkeys there are\n%v", keys, want)
	}
	dir, all := ready(t, strings.Replace(text.String(), "/etc/postroom/users", "@DIR@/users", 1))
	c, err := Parse("example", all)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Auth.Users, want.File, want.text = dir+"/users", "example", c.text
	// An empty list and none are the same.
	if fmt.Sprint(*c) != fmt.Sprint(want) {
		t.Errorf("the example's values are not the defaults:\n%+v\n%+v", *c, want)
	}
}

func TestGoodConfig(t *testing.T) {
	dir, text := ready(t, `
[mail]
root = "/srv/{domain}/{local}"
separator = "."
[auth]
users = "@DIR@/users"
[imap]
listen_tls = ["0.0.0.0:993", "[::]:993"]
[pop3]
listen = ["127.0.0.1:0", "127.0.0.1:0"]
[tls]
certificate = "@DIR@/cert.pem"
key = "@DIR@/key.pem"
[limits]
message_size = "25M"
imap_idle_time = "1h"
`)
	c, err := Parse("c.toml", text)
	if err != nil {
		t.Fatal(err)
	}
	if c.Limits.MessageSize != 25<<20 || c.TLS.Key != dir+"/key.pem" || len(c.IMAP.Listen) != 1 || len(c.IMAP.ListenTLS) != 2 {
		t.Errorf("%+v", c)
	}
	if _, err := Read(filepath.Join(dir, "none.toml")); err == nil || !strings.Contains(err.Error(), "config.toml.example") {
		t.Error(err)
	}
}

func FuzzConfig(f *testing.F) {
	f.Add("[mail]\nroot = \"/x/{user}\"\n")
	f.Add("a.b.c = [1, {x=1}]\n[[x]]\n")
	f.Fuzz(func(t *testing.T, text string) { Parse("c.toml", text) })
}
