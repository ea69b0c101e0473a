package maildir

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// checkTree gives what Check finds, a line each, and its counts.
func checkTree(t *testing.T, dir string, opt CheckOptions) (lines []string, res CheckResult) {
	t.Helper()
	s := NewStore(Options{Logger: discard, NoWatch: true})
	defer s.Close()
	tree, err := s.OpenTree(dir, TreeOptions{})
	must(t, err)
	defer tree.Close()
	opt.Found = func(f Finding) {
		line := fmt.Sprintf("%s %s:%d", f.Kind, f.File, f.Line)
		if f.Note {
			line += " note"
		}
		if f.Repaired {
			line += " repaired"
		}
		lines = append(lines, line)
	}
	res, err = tree.Check(t.Context(), opt)
	must(t, err)
	slices.Sort(lines)
	return lines, res
}

// TestCheckClean: a tree in normal use has no findings but notes, and Check writes nothing.
func TestCheckClean(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Maildir")
	seedIndexed(t, dir, Options{}, 30)
	before := listAll(t, dir)
	lines, res := checkTree(t, dir, CheckOptions{})
	if res.Problems != 0 || res.Messages != 28 || res.Folders != 1 || len(lines) != 1 || lines[0] != "stale dovecot-uidlist:0 note" {
		t.Error(res, lines)
	}
	if after := listAll(t, dir); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
}

// listAll shows all names, sizes and times below dir.
func listAll(t *testing.T, dir string) string {
	var b strings.Builder
	must(t, filepath.Walk(dir, func(path string, fi os.FileInfo, err error) error {
		if err == nil {
			fmt.Fprintln(&b, path, fi.Mode(), fi.Size(), fi.ModTime().UnixNano())
		}
		return err
	}))
	return b.String()
}

// TestCheckRepair breaks a folder in all ways that Check names, and holds that repair loses no message.
func TestCheckRepair(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Maildir")
	seedIndexed(t, dir, Options{}, 30)
	put(t, dir+"/cur/:2,S", "no base\n")
	put(t, dir+"/cur/5000.line\nbreak:2,", "a line break\n")
	put(t, dir+"/new/1004.m.host", "a twin of 1004\n")
	must(t, os.Mkdir(dir+"/cur/directory", 0o700))
	must(t, syscall.Mkfifo(dir+"/cur/fifo", 0o600))
	list, err := os.ReadFile(dir + "/" + uidlistName)
	must(t, err)
	rows := strings.SplitAfter(strings.TrimSuffix(string(list), "\n"), "\n")
	last := rows[len(rows)-1]
	put(t, dir+"/"+uidlistName, strings.Join(rows, "")+"\n"+last+"\n31 :to") // a line twice, and one torn
	index, err := os.ReadFile(dir + "/" + indexName)
	must(t, err)
	index[extentsStart+5] ^= 1
	must(t, os.WriteFile(dir+"/"+indexName, index, 0o600))
	must(t, os.Mkdir(dir+"/..postroom-make.x", 0o700))
	old := time.Now().Add(-2 * time.Hour)
	must(t, os.Chtimes(dir+"/..postroom-make.x", old, old))

	want := []string{
		"damaged dovecot-uidlist:32",
		"damaged dovecot-uidlist:33",
		"damaged postroom.index:0",
		"leftover ..postroom-make.x:0 note",
		"odd new/1004.m.host:0",
		"odd cur/directory:0",
		"odd cur/fifo:0",
		"unusable cur/5000.line\nbreak:2,:0",
		"unusable cur/:2,S:0",
	}
	has := func(lines []string, want string) bool { return slices.Contains(lines, want) }
	lines, res := checkTree(t, dir, CheckOptions{})
	for _, w := range want {
		if !has(lines, w) {
			t.Errorf("not found: %q", w)
		}
	}
	if res.Problems < 8 {
		t.Error(res)
	}
	if t.Failed() {
		t.Fatal(strings.Join(lines, "\n"))
	}
	lines, res = checkTree(t, dir, CheckOptions{Repair: true})
	if res.Problems != 2 || !has(lines, "odd cur/directory:0") || !has(lines, "odd cur/fifo:0") {
		t.Errorf("after the repair: %+v\n%s", res, strings.Join(lines, "\n"))
	}
	reopen(t, dir, Options{}, func(f *Folder) {
		snap := f.Snapshot()
		if snap.Len() != 31 {
			t.Errorf("%d messages of 31\n%s", snap.Len(), dump(snap))
		}
		if i, ok := snap.Find(5); !ok || snap.BaseName(i) != "1004.m.host" {
			t.Error("UID 5 is another message")
		}
	})
	lines, res = checkTree(t, dir, CheckOptions{})
	if res.Problems != 2 {
		t.Errorf("afterwards: %+v\n%s", res, strings.Join(lines, "\n"))
	}
}

// TestCheckRestored puts an older copy back: no UID and no MODSEQ told since is given again.
func TestCheckRestored(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "Maildir")
	seedIndexed(t, dir, Options{}, 10)
	must(t, os.CopyFS(top+"/copy", os.DirFS(dir)))
	var told Snapshot
	reopen(t, dir, Options{}, func(f *Folder) {
		must(t, f.TellModSeqs(t.Context()))
		for i := range 20 {
			put(t, fmt.Sprintf("%s/cur/%d.late.host:2,", dir, 9000+i), "x\n")
		}
		snap, err := f.Sync(t.Context())
		must(t, err)
		told = *snap
	})
	must(t, os.RemoveAll(dir))
	must(t, os.Rename(top+"/copy", dir))
	if lines, res := checkTree(t, dir, CheckOptions{Restored: true}); res.Problems != 0 || !slices.Contains(lines, "raised dovecot-uidlist:0 note") {
		t.Error(res, lines)
	}
	reopen(t, dir, Options{}, func(f *Folder) {
		put(t, dir+"/cur/9999.new.host:2,", "x\n")
		snap, err := f.Sync(t.Context())
		must(t, err)
		last := snap.Len() - 1
		if snap.UIDValidity() != told.UIDValidity() || snap.UID(last) < told.UIDNext()+restoredUIDs-30 || snap.ModSeq(0) <= told.HighestModSeq() {
			t.Errorf("UIDVALIDITY %d, UID %d, MODSEQ %d; told were UIDVALIDITY %d, UIDNEXT %d, MODSEQ %d",
				snap.UIDValidity(), snap.UID(last), snap.ModSeq(0), told.UIDValidity(), told.UIDNext(), told.HighestModSeq())
		}
		if i, ok := snap.Find(1); !ok || snap.BaseName(i) != "1000.m.host" {
			t.Error("UID 1 is another message")
		}
	})
}
