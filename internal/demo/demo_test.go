package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"mime"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	store "postroom/maildir"

	"postroom/internal/message"
)

var testNow = time.Date(2026, 6, 12, 15, 4, 5, 987654321, time.FixedZone("", 2*3600))

func build(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	if err := Build(root, testNow); err != nil {
		t.Fatal(err)
	}
	return root
}

// tree lists everything below dir: mode, time and content of each file by path.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		if d.IsDir() {
			all[rel] = "directory"
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		entry := fmt.Sprintf("%v %s", fi.Mode(), data)
		if strings.Contains(path, "/new/") || strings.Contains(path, "/cur/") {
			entry = fmt.Sprintf("%d %s", fi.ModTime().Unix(), entry)
		}
		all[rel] = entry
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestCounts(t *testing.T) {
	root := build(t)
	for user, want := range map[string]struct{ files, unseen int }{
		"alice": {51, 5},
		"bob":   {19, 2},
	} {
		var all, unseen int
		for path := range tree(t, filepath.Join(root, user, "Maildir")) {
			switch filepath.Base(filepath.Dir(path)) {
			case "new":
				unseen++
				fallthrough
			case "cur":
				all++
			}
		}
		if all != want.files || unseen != want.unseen {
			t.Errorf("%s: %d messages, %d in new/; want %d, %d", user, all, unseen, want.files, want.unseen)
		}
	}
}

// Every place that a sample names is a folder that is made.
func TestPlaces(t *testing.T) {
	samples, err := loadSamples(testNow)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range samples {
		if len(s.places) == 0 || s.date.IsZero() || s.date.After(testNow) {
			t.Errorf("%s: places %v, date %v", s.name, s.places, s.date)
		}
		for _, p := range s.places {
			if !slices.ContainsFunc(folders[p.user], func(f folder) bool { return f.name == p.folder }) {
				t.Errorf("%s: no folder %s of %q", s.name, p.folder, p.user)
			}
			if strings.Trim(p.flags, "DFPRST") != "" {
				t.Errorf("%s: flags %q", s.name, p.flags)
			}
		}
	}
}

var fileName = regexp.MustCompile(`^(\d+)\.M\d{6}P1\.demo,S=(\d+),W=(\d+)(?::2,[A-Z]*[a-z]*)?$`)

// Every message is sound MIME, dated as its file is, and its name tells its sizes.
func TestMessagesParse(t *testing.T) {
	root := build(t)
	ids := make(map[string]string)
	for path := range tree(t, root) {
		if d := filepath.Base(filepath.Dir(path)); d != "new" && d != "cur" {
			continue
		}
		t.Run(strings.ReplaceAll(path, "/", "|"), func(t *testing.T) {
			file := filepath.Join(root, path)
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(data, []byte("<no value>")) || bytes.Contains(data, []byte("{{")) {
				t.Error("a template that was not filled in")
			}
			fi, err := os.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			m := checkHeader(t, data, fi.ModTime())
			id := m.Header.Get("Message-Id")
			folder := filepath.Dir(filepath.Dir(path))
			if other, dup := ids[folder+id]; dup {
				t.Errorf("same Message-ID as %s", other)
			}
			ids[folder+id] = path
			checkParsed(t, data, filepath.Base(path), fi.ModTime())
		})
	}
}

// checkHeader looks at a message as net/mail does.
func checkHeader(t *testing.T, data []byte, modified time.Time) *mail.Message {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	date, err := m.Header.Date()
	if err != nil || !date.Equal(modified) {
		t.Errorf("Date %v, %v; file of %v", date, err, modified)
	}
	parser := mail.AddressParser{WordDecoder: &mime.WordDecoder{
		CharsetReader: func(_ string, r io.Reader) (io.Reader, error) { return r, nil },
	}}
	for _, f := range []string{"From", "To", "Cc", "Bcc", "Reply-To", "Sender"} {
		// net/mail knows no group without members.
		if v := m.Header.Get(f); v != "" && v != "undisclosed-recipients:;" {
			if _, err := parser.ParseList(v); err != nil {
				t.Errorf("%s: %q: %v", f, v, err)
			}
		}
	}
	if m.Header.Get("Message-Id") == "" || m.Header.Get("From") == "" {
		t.Error("no Message-ID or no From")
	}
	return m
}

// checkParsed looks at a message as internal/message does.
func checkParsed(t *testing.T, data []byte, name string, modified time.Time) {
	t.Helper()
	m, err := message.Parse(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	f := fileName.FindStringSubmatch(name)
	if f == nil {
		t.Fatalf("name %q", name)
	}
	for i, want := range []int64{modified.Unix(), m.RawSize, m.Size} {
		if got, _ := strconv.ParseInt(f[i+1], 10, 64); got != want {
			t.Errorf("name %q: %d where %d belongs", name, got, want)
		}
	}
	var walk func(p *message.Part, path []int)
	walk = func(p *message.Part, path []int) {
		switch p.Kind {
		case message.Leaf:
			if strings.EqualFold(p.Type, "multipart") {
				t.Errorf("part %v: a multipart without parts", path)
			}
			r, err := message.OpenDecoded(bytes.NewReader(data), m, path)
			if err == nil {
				_, err = io.Copy(io.Discard, r)
			}
			if err != nil {
				t.Errorf("part %v: %v", path, err)
			}
		case message.Multipart:
			if len(p.Children) == 0 {
				t.Errorf("part %v: no parts", path)
			}
		}
		for i, c := range p.Children {
			sub := append(slices.Clone(path), i+1)
			if p.Kind == message.Embedded && c.Kind == message.Multipart {
				sub = path // a multipart in a message has no number of its own
			}
			walk(c, sub)
		}
	}
	root := m.Root
	if root.Kind == message.Leaf {
		walk(root, []int{1})
	} else {
		walk(root, nil)
	}
}

// The kinds of mail that the demo is to show are there.
func TestVariety(t *testing.T) {
	samples, err := loadSamples(testNow)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, s := range samples {
		all.Write(s.data)
	}
	text := all.String()
	for _, want := range []string{
		"format=flowed", "multipart/alternative", "multipart/related", "multipart/digest",
		"multipart/report", "multipart/signed", "message/rfc822", "message/delivery-status",
		"text/calendar", "application/pdf", "application/zip", "text/csv", "image/png",
		"charset=iso-8859-1", "charset=iso-8859-2", "charset=ISO-2022-JP", "charset=Shift_JIS",
		"filename*0*=", "undisclosed-recipients:;", "Gr\xfc\xdfe", "\x1b$B", "=?iso-8859-2?q?",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no mail with %q", want)
		}
	}
}

// The maildir package finds folders, subscriptions and keywords as meant.
func TestStoreReadsTrees(t *testing.T) {
	root := build(t)
	st := store.NewStore(store.Options{Logger: slog.New(slog.DiscardHandler), NoWatch: true})
	defer st.Close()
	for _, u := range Users() {
		tr, err := st.OpenTree(filepath.Join(root, u.Name, "Maildir"), store.TreeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, f := range folders[u.Name] {
			want = append(want, f.name)
		}
		slices.Sort(want)
		got, err := tr.Folders()
		slices.Sort(got)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: folders %q, %v; want %q", u.Name, got, err, want)
		}
		subs, err := tr.Subscriptions()
		if err != nil || !slices.Equal(subs, want) {
			t.Errorf("%s: subscriptions %q, %v; want %q", u.Name, subs, err, want)
		}
		for _, f := range want {
			opened, err := tr.Open(context.Background(), f)
			if err != nil {
				t.Errorf("%s %s: %v", u.Name, f, err)
				continue
			}
			opened.Close()
		}
		tr.Close()
	}
}

func TestKeywords(t *testing.T) {
	root := build(t)
	data, err := os.ReadFile(filepath.Join(root, "alice/Maildir/dovecot-keywords"))
	if want := "0 Work\n1 $Forwarded\n2 $Label1\n"; err != nil || string(data) != want {
		t.Errorf("%q, %v; want %q", data, err, want)
	}
}

// What is made depends on the time alone, and is not made twice.
func TestBuildRepeats(t *testing.T) {
	root, again := build(t), build(t)
	first := tree(t, root)
	if second := tree(t, again); !maps.Equal(first, second) {
		t.Error("two trees of one time differ")
	}
	inbox := filepath.Join(root, "alice/Maildir/new")
	if err := os.RemoveAll(inbox); err != nil { // an owner may do what he likes
		t.Fatal(err)
	}
	first = tree(t, root)
	if err := Build(root, testNow.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(first, tree(t, root)) {
		t.Error("a tree that was there was changed")
	}
}

// One user's tree missing is made, the other's left.
func TestBuildMissingOne(t *testing.T) {
	root := build(t)
	bob := filepath.Join(root, "bob/Maildir")
	if err := os.RemoveAll(bob); err != nil {
		t.Fatal(err)
	}
	if err := Build(root, testNow); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(bob, "cur")); err != nil {
		t.Error(err)
	}
	left, err := filepath.Glob(filepath.Join(root, "*/.building-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
