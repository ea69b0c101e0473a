package maildir

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What a copier has a right to is what comes along, on each of the ways that a message can take.
func TestCopyOptions(t *testing.T) {
	for _, way := range []string{"copied", "moved"} {
		for _, octets := range []bool{false, true} {
			t.Run(way+map[bool]string{true: " by octets"}[octets], func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "Maildir")
				tree := testTree(t, testStore(t, Options{}), dir)
				must(t, tree.Create(t.Context(), "to", nil))
				put(t, dir+"/cur/1.a,S=2:2,FS", "x\n")
				put(t, dir+"/new/2.b", "y\n")
				f, to := open(t, tree, Inbox), open(t, tree, "to")
				defer f.Close()
				defer to.Close()
				must(t, errOf(f.Store(t.Context(), []uint32{1}, Change{Op: StoreAdd, Keywords: numbered("k", 28)})))
				before, err := os.Stat(dir + "/cur/" + namesIn(t, dir+"/cur")[0])
				must(t, err)
				var asked []Flags
				opt := CopyOptions{Octets: octets, DropKeywords: true, Flags: func(uid uint32, now Flags) Flags {
					asked = append(asked, now)
					return map[uint32]Flags{1: Flagged | Deleted, 2: Seen | flagNew}[uid]
				}}
				do := f.CopyTo
				if way == "moved" {
					do = f.MoveTo
				}
				c, err := do(t.Context(), []uint32{1, 2, 3}, to, opt)
				must(t, err)
				if !slices.Equal(c.To, []uint32{1, 2}) || !slices.Equal(c.Missing, []uint32{3}) || !slices.Equal(asked, []Flags{Flagged | Seen, 0}) {
					t.Error(c, asked)
				}
				if got := dump(to.Snapshot()); got != "1 cur (\\Flagged \\Deleted)\n2 cur (\\Seen)\n" {
					t.Error(got)
				}
				if all := to.Snapshot().AllKeywords(); len(all) != 0 {
					t.Error("keywords came along:", all)
				}
				for _, n := range namesIn(t, dir+"/.to/cur") {
					after, err := os.Stat(dir + "/.to/cur/" + n)
					must(t, err)
					if strings.HasSuffix(n, "FT") && os.SameFile(before, after) == octets {
						t.Errorf("%s is the same file as its original: %v", n, !octets)
					}
				}
				if left := f.Snapshot().Len(); left != map[string]int{"copied": 2, "moved": 0}[way] {
					t.Error(left, "are left")
				}
			})
		}
	}
}

func namesIn(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
