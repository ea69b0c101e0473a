package interop

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tree is what lies in Maildirs on disk: for each folder name as IMAP has it, a
// sorted list of the messages, each a digest of its text and its system flags.
type tree map[string][]string

// readTree reads a list of Maildirs; keys of the map are folder names, values
// their directories.
func readTree(t *testing.T, folders map[string]string) tree {
	t.Helper()
	out := tree{}
	for name, dir := range folders {
		var list []string
		for _, sub := range []string{"new", "cur"} {
			entries, err := os.ReadDir(filepath.Join(dir, sub))
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				text, err := os.ReadFile(filepath.Join(dir, sub, e.Name()))
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, fmt.Sprintf("%.8x %s", digest(text), systemFlags(e.Name())))
			}
		}
		slices.Sort(list)
		out[name] = list
	}
	return out
}

// digest is of the text with LF line ends and without the header lines that
// synchronisers add for themselves.
func digest(text []byte) [32]byte {
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	var kept [][]byte
	header := true
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		header = header && len(line) > 0
		if header && (bytes.HasPrefix(line, []byte("X-TUID: ")) || bytes.HasPrefix(line, []byte("X-OfflineIMAP: "))) {
			continue
		}
		kept = append(kept, line)
	}
	return sha256.Sum256(bytes.Join(kept, []byte("\n")))
}

func systemFlags(name string) string {
	_, info, _ := strings.Cut(name, ":2,")
	var flags []rune
	for _, c := range info {
		if strings.ContainsRune("DFRST", c) {
			flags = append(flags, c)
		}
	}
	return string(flags)
}

// String is a line a message, for same.
func (tr tree) String() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(tr)) {
		fmt.Fprintf(&b, "%s: %d messages\n", name, len(tr[name]))
		for _, m := range tr[name] {
			fmt.Fprintf(&b, "%s: %s\n", name, m)
		}
	}
	return b.String()
}

// mailFolders gives the directories of a Maildir++ tree by folder name, with /
// between the parts. Names are taken as they are: the tests that use it have
// names in ASCII.
func mailFolders(t *testing.T, root string) map[string]string {
	t.Helper()
	folders := map[string]string{"INBOX": root}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name := e.Name(); e.IsDir() && strings.HasPrefix(name, ".") {
			folders[strings.ReplaceAll(name[1:], ".", "/")] = filepath.Join(root, name)
		}
	}
	return folders
}

// plainFolders gives the Maildirs below a folder that nests them as ordinary
// directories, as mbsync's "Verbatim" and offlineimap's default do.
func plainFolders(t *testing.T, root string) map[string]string {
	t.Helper()
	folders := map[string]string{}
	err := filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.IsDir() && e.Name() == "cur" {
			name, _ := filepath.Rel(root, filepath.Dir(path))
			folders[name] = filepath.Dir(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return folders
}

// fileNames lists every file below a folder, to tell that a run changed none.
func fileNames(t *testing.T, root string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() && (strings.Contains(path, "/cur/") || strings.Contains(path, "/new/")) {
			fmt.Fprintln(&b, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// pick gives the file of the message whose subject number is n in a folder.
func pick(t *testing.T, folder string, n int) string {
	t.Helper()
	mark := fmt.Appendf(nil, "\nThis is message %d.\n", n)
	for _, sub := range []string{"new", "cur"} {
		entries, err := os.ReadDir(filepath.Join(folder, sub))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			path := filepath.Join(folder, sub, e.Name())
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), mark) {
				return path
			}
		}
	}
	t.Fatalf("message %d is not in %s", n, folder)
	return ""
}

// setInfo renames a message's file as any Maildir program does to set flags.
func setInfo(t *testing.T, path, info string) {
	t.Helper()
	base, _, _ := strings.Cut(filepath.Base(path), ":")
	to := filepath.Join(filepath.Dir(filepath.Dir(path)), "cur", base+":2,"+info)
	if err := os.Rename(path, to); err != nil {
		t.Fatal(err)
	}
}
