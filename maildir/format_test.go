package maildir

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gomaildir "github.com/emersion/go-maildir"
)

func TestWithFlags(t *testing.T) {
	for _, c := range []struct {
		name  string
		flags Flags
		want  string
	}{
		{"1.a", 0, "1.a:2,"},
		{"1.a:2,S", Seen | Flagged, "1.a:2,FS"},
		{"1.a:2,FPS", Seen, "1.a:2,PS"},                                     // P is not ours, and stays
		{"1.a,S=3:2,Sab,x=y", Deleted | 1<<letterShift, "1.a,S=3:2,Ta,x=y"}, // what follows the comma stays
		{"1.a:1,foo", Seen, "1.a:1,foo:2,S"},                                // not our info part
		{"1.a:b:2,S", 0, "1.a:b:2,"},
		{"1.a:2,SS", Seen, "1.a:2,S"},
	} {
		if got := withFlags(c.name, c.flags); got != c.want {
			t.Errorf("withFlags(%q, %x) = %q, want %q", c.name, c.flags, got, c.want)
		}
	}
}

func TestSizeField(t *testing.T) {
	for name, want := range map[string]int64{
		"1.a,S=12:2,S": 12, "1.a,S=12,W=14": 12, "1.a,W=14,S=12": 12, "1.a": -1, "1.a,S=": -1, "1.a,S=1x": -1,
		"1.a:2,S=5": -1, "1.a,S=99999999999999999999": -1,
	} {
		if got := sizeField(name, 'S'); got != want {
			t.Errorf("sizeField(%q) = %d, want %d", name, got, want)
		}
	}
}

func TestArrivalOrder(t *testing.T) {
	want := []string{"5.z", "1000.M2P1.h", "1000.M10P1.h", "1001.a", "abc"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, func(a, b string) int { return arrivalOf(a).compare(arrivalOf(b)) })
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestFolderNames(t *testing.T) {
	for _, sep := range []byte{'/', '.'} {
		tree := &Tree{sep: sep}
		for _, name := range []string{"Work", "R&D", "Přílohy", "日本語", "a b", "&", "x&y-", "emoji 😀"} {
			for _, enc := range []encoding{modifiedUTF7, plainUTF8} {
				full := "top" + string(sep) + name
				d, err := tree.dirName(full, enc)
				if err != nil {
					t.Fatal(err)
				}
				if got := tree.decodeDir(d, enc); got != full {
					t.Errorf("%q became %q became %q", full, d, got)
				}
			}
		}
	}
	tree := &Tree{sep: '/'}
	for name, want := range map[string]string{
		"Přílohy": ".P&AVkA7Q-lohy", "R&D": ".R&-D", "Folder/Sub": ".Folder.Sub", "example.com": ".example&AC4-com",
	} {
		if got, err := tree.dirName(name, modifiedUTF7); err != nil || got != want {
			t.Errorf("%q: %q %v, want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"", "/", "a//b", "/a", "a/", "a\x00b", "a\nb", "\xff", strings.Repeat("x", 300), strings.Repeat("a/", 70) + "a"} {
		if d, err := tree.dirName(name, modifiedUTF7); !errors.Is(err, ErrBadName) {
			t.Errorf("%q: %q %v", name, d, err)
		}
	}
}

// Whatever directories a tree holds, each that can be a folder has a name of
// its own that leads back to it.
func TestTreeInTheWild(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Maildir")
	must(t, gomaildir.Dir(dir).Init())
	for _, d := range []string{".Work", ".P&AVkA7Q-lohy", ".R&-D", ".bad&", ".Work.Sub", ".Alone.Child", "..hidden", ".x..y", ".INBOX", ".\xe9t\xe9"} {
		must(t, os.MkdirAll(filepath.Join(dir, d, "cur"), 0o700))
	}
	must(t, os.WriteFile(dir+"/.file", nil, 0o600))
	tree := testTree(t, testStore(t, Options{}), dir)
	names, err := tree.Folders()
	must(t, err)
	want := []string{"INBOX", "Alone/Child", "Přílohy", "R&D", "Work", "Work/Sub", "bad&", "\uf7e9t\uf7e9"}
	if !slices.Equal(names, want) {
		t.Errorf("got %q\nwant %q", names, want)
	}
	for _, n := range names {
		f := open(t, tree, n)
		f.Close()
	}
	if _, err := tree.Open(t.Context(), "Alone"); !errors.Is(err, ErrNoFolder) {
		t.Error(err)
	}
	utf8dir := filepath.Join(t.TempDir(), "Maildir")
	for _, d := range []string{".Přílohy", ".R&D", ".a&-b"} {
		must(t, os.MkdirAll(filepath.Join(utf8dir, d, "cur"), 0o700))
	}
	names, err = testTree(t, testStore(t, Options{}), utf8dir).Folders()
	must(t, err)
	if want := []string{"INBOX", "Přílohy", "R&D", "a&-b"}; !slices.Equal(names, want) {
		t.Errorf("UTF-8 tree: got %q", names)
	}
}

func TestSubscriptions(t *testing.T) {
	for _, c := range []struct{ before, after string }{
		{"", "V\t2\n\nNew\tS&AOQ-b\nINBOX\n"},
		{"V\t2\n\nFolder\tSub\nP&AVkA7Q-lohy\nINBOX\n", "V\t2\n\nFolder\tSub\nP&AVkA7Q-lohy\nINBOX\nNew\tS&AOQ-b\n"},
		{"Folder.Sub\nINBOX\n", "Folder.Sub\nINBOX\nNew.S&AOQ-b\n"},
	} {
		dir := filepath.Join(t.TempDir(), "Maildir")
		tree := testTree(t, testStore(t, Options{}), dir)
		if c.before != "" {
			put(t, dir+"/subscriptions", c.before)
		}
		for _, n := range []string{"New/Säb", Inbox} {
			must(t, tree.Subscribe(t.Context(), n, true))
			must(t, tree.Subscribe(t.Context(), n, true))
		}
		got, _ := os.ReadFile(dir + "/subscriptions")
		if string(got) != c.after {
			t.Errorf("got %q\nwant %q", got, c.after)
		}
		must(t, tree.Subscribe(t.Context(), "New/Säb", false))
		names, err := tree.Subscriptions()
		must(t, err)
		if slices.Contains(names, "New/Säb") || !slices.Contains(names, Inbox) {
			t.Error(names)
		}
	}
}

func TestUIDListForms(t *testing.T) {
	const guid = "589d653119a6046b5111000083ecc375"
	for _, c := range []struct {
		what, list, want string
	}{
		{"version 3", "3 V7 N3 G" + guid + "\n1 :a\n2 S40 W44 :b\n", "3 V7 N3 G" + guid + "\n1 :a\n2 S40 W44 :b\n"},
		{"stale records stay", "3 V7 N3 G" + guid + "\n1 :a\n2 :b\n9 :gone\n", "3 V7 N3 G" + guid + "\n1 :a\n2 :b\n9 :gone\n"},
		{"unknown keys stay", "3 V7 N3 G" + guid + " Xyz\n1 :a\n2 Q1 P0001 :b\nno", "3 V7 N3 G" + guid + " Xyz\n1 :a\n2 Q1 P0001 :b\n"},
		{"version 1", "1 7 3\n1 a\n2 b:2,S\n", "3 V7 N3 G*\n1 :a\n2 :b\n"},
		{"no GUID", "3 V7 N3\n1 :a\n2 :b\n", "3 V7 N3 G*\n1 :a\n2 :b\n"},
		{"later line counts", "3 V7 N3 G" + guid + "\n1 :a\n2 :b\n3 :a\n", "3 V7 N4 G" + guid + "\n2 :b\n3 :a\n"},
		{"torn tail", "3 V7 N3 G" + guid + "\n1 :a\n2 :b\n3 :", "3 V7 N3 G" + guid + "\n1 :a\n2 :b\n"},
		{"unlisted", "3 V7 N3 G" + guid + "\n1 :a\n", "3 V7 N3 G" + guid + "\n1 :a\n3 :b\n"},
		{"not ascending", "3 V7 N3 G" + guid + "\n2 :b\n1 :a\n", "3 V7 N3 G" + guid + "\n1 :a\n2 :b\n"},
	} {
		t.Run(c.what, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "Maildir")
			tree := testTree(t, testStore(t, Options{}), dir)
			put(t, dir+"/cur/a:2,", "1\n")
			put(t, dir+"/cur/b:2,S", "2\n")
			put(t, dir+"/dovecot-uidlist", c.list)
			f := open(t, tree, Inbox)
			defer f.Close()
			data, _ := os.ReadFile(dir + "/dovecot-uidlist")
			got := string(data)
			if prefix, _, found := strings.Cut(c.want, "*"); found && len(got) > len(prefix)+32 {
				got = prefix + "*" + got[len(prefix)+32:]
			}
			if got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			if v := f.Snapshot().UIDValidity(); v != 7 {
				t.Error("UIDVALIDITY", v)
			}
		})
	}
}

func TestDamagedUIDListGivesNewValidity(t *testing.T) {
	for _, list := range []string{"3 V0 N1\n", "2 V7 N1\n", "3 V7 N1 Gxx\n", "3 V7 N3\nx :a\n", "", "3 V7"} {
		dir := filepath.Join(t.TempDir(), "Maildir")
		tree := testTree(t, testStore(t, Options{}), dir)
		put(t, dir+"/cur/a:2,", "1\n")
		put(t, dir+"/dovecot-uidlist", list)
		f := open(t, tree, Inbox)
		if s := f.Snapshot(); s.UIDValidity() <= 7 || s.Len() != 1 || s.UID(0) != 1 {
			t.Errorf("%q: UIDVALIDITY %d, %d messages", list, s.UIDValidity(), s.Len())
		}
		f.Close()
	}
}

func TestKeywordFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Maildir")
	tree := testTree(t, testStore(t, Options{}), dir)
	put(t, dir+"/dovecot-keywords", "0 $Label1\nbad\n2 Junk\n3 junk\n26 far\n")
	put(t, dir+"/cur/a:2,Sacz", "1\n")
	f := open(t, tree, Inbox)
	defer f.Close()
	if got := flagsText(f.Snapshot(), 0); got != `\Seen $Label1 Junk unknown-25` {
		t.Error(got)
	}
	_, err := f.Store(t.Context(), []uint32{1}, Change{Op: StoreAdd, Keywords: []string{"New", "JUNK"}})
	must(t, err)
	kw, _ := os.ReadFile(dir + "/dovecot-keywords")
	if string(kw) != "0 $Label1\n1 New\n2 Junk\n25 unknown-25\n" {
		t.Errorf("%q", kw)
	}
	if _, err := os.Stat(dir + "/cur/a:2,Sabcz"); err != nil {
		t.Error(err)
	}
	many := numbered("k", maxLetters+maxMoreNames+1)
	if _, err := f.Store(t.Context(), []uint32{1}, Change{Op: StoreAdd, Keywords: many}); !errors.Is(err, ErrTooMany) {
		t.Error(err)
	}
	for _, bad := range []string{"", "a b", `\Foo`, "a(b", "ü"} {
		if _, err := f.Store(t.Context(), []uint32{1}, Change{Op: StoreAdd, Keywords: []string{bad}}); !errors.Is(err, ErrCannot) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzUIDList(f *testing.F) {
	f.Add([]byte("3 V7 N3 G589d653119a6046b5111000083ecc375 M5 X\n1 :a\n2 S40 W44 Pq :b\n"))
	f.Add([]byte("1 7 3\n1 a\n2 b:2,S\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		top := t.TempDir()
		put(t, top+"/"+uidlistName, string(data))
		d, err := openTopDir(top)
		must(t, err)
		defer d.close()
		var recs []uidRecord
		l, err := readUIDList(d, uidlistName, func(r uidRecord) { recs = append(recs, r) })
		if err != nil {
			return
		}
		if l.consumed > int64(len(data)) || l.uidValidity == 0 && l.persisted {
			t.Fatalf("%+v", l)
		}
		// What was read is read again the same after a rewrite.
		slices.SortFunc(recs, func(a, b uidRecord) int { return int(int64(a.uid) - int64(b.uid)) })
		recs = slices.CompactFunc(recs, func(a, b uidRecord) bool { return a.uid == b.uid })
		if n := len(recs); n > 0 {
			l.lastUID = recs[n-1].uid
		}
		w := l.begin(0)
		for i := range recs {
			w.add(&recs[i])
		}
		must(t, l.replace(d, w))
		var again []uidRecord
		l2, err := readUIDList(d, uidlistName, func(r uidRecord) { again = append(again, r) })
		must(t, err)
		if !slices.Equal(recs, again) || l2.next() != l.next() || l2.guid != l.guid || l2.untidy {
			t.Fatalf("%v\n%v\n%+v", recs, again, l2)
		}
	})
}

func FuzzFolderName(f *testing.F) {
	for _, s := range []string{"Work", "P&AVkA7Q-lohy", "R&-D", "&", "&-", "&AC4-", "a&2D3-", "\xff.x"} {
		f.Add(s)
	}
	tree := &Tree{sep: '/'}
	f.Fuzz(func(t *testing.T, s string) {
		if dec, ok := decodeMUTF7(s); ok {
			if enc, err := encodePart(dec, modifiedUTF7); err == nil {
				if again, ok := decodeMUTF7(enc); !ok || again != dec {
					t.Fatalf("%q is %q is %q is %q", s, dec, enc, again)
				}
			}
		}
		if d, err := tree.dirName(s, modifiedUTF7); err == nil {
			if got := tree.decodeDir(d, modifiedUTF7); got != s {
				t.Fatalf("%q became %q became %q", s, d, got)
			}
		}
	})
}

func FuzzMessageName(f *testing.F) {
	for _, s := range []string{"1.a:2,S", "1:2,:2,FS", "a,S=1,W=2:2,Sab,x", ":2,"} {
		f.Add(s, uint32(5))
	}
	f.Fuzz(func(t *testing.T, name string, flags uint32) {
		fl := Flags(flags) & (System | allLetters)
		if !usable([]byte(name)) || strings.Contains(name, "/") {
			return
		}
		n := withFlags(name, fl)
		if flagsOf(n) != fl {
			t.Fatalf("%q with %x is %q with %x", name, fl, n, flagsOf(n))
		}
		if withFlags(n, fl) != n {
			t.Fatalf("%q is not stable", n)
		}
		if strings.Contains(name, ":") && baseOf(n) != baseOf(name) {
			t.Fatalf("%q became %q: another base", name, n)
		}
	})
}

func FuzzSubscriptions(f *testing.F) {
	f.Add("V\t2\n\nFolder\tSub\nINBOX\n")
	f.Add("a.b\r\n\n..\n")
	f.Fuzz(func(t *testing.T, text string) {
		v2, names := parseSubscriptions(text)
		again2, again := parseSubscriptions(string(formatSubscriptions(v2, names)))
		if len(names) > 0 && (v2 != again2 || len(again) != len(names)) {
			t.Fatalf("%v %q\n%v %q", v2, names, again2, again)
		}
	})
}
