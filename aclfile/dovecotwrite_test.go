package aclfile

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// quoted writes a string of IMAP.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(s) + `"`
}

// TestFormatAsDovecot lets Dovecot and Set do the same changes, each to a file of its
// own that was not there before, and compares the files.
func TestFormatAsDovecot(t *testing.T) {
	haveDovecot(t)
	const folders, changes, seed = 10, 25, 2
	r := rand.New(rand.NewPCG(seed, 0))
	files := make([]*File, folders)
	var commands []string
	for i := range files {
		files[i] = New()
		for range changes {
			commands = append(commands, change(t, r, files[i], fmt.Sprintf("f%d", i)))
		}
	}
	dir := dovecotTree(t, make([]string, folders))
	owner := subjects[1] // whom no group-override locks out
	for n, lines := range startDovecot(t, dir, filepath.Join(dir, "Maildir"), owner).ask(t, commands) {
		if tagged := lines[len(lines)-1]; !strings.HasPrefix(tagged, "OK") {
			t.Errorf("%s: %s", commands[n], tagged)
		}
	}
	for i, f := range files {
		got, err := os.ReadFile(aclOf(dir, fmt.Sprintf("f%d", i)))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(f.Format()) {
			t.Errorf("seed %d, file %d: Dovecot\n%sPostroom\n%sby\n%s", seed, i, got, f.Format(),
				strings.Join(commands[i*changes:(i+1)*changes], "\n"))
		}
	}
}

// change makes one change to a file, and gives the command that does the same. It keeps
// away from what the package's comment says Dovecot does otherwise.
func change(t *testing.T, r *rand.Rand, f *File, folder string) string {
	t.Helper()
	id := someIdentifier(r)
	for id.Kind == Owner || id.Name == "alice" {
		id = someIdentifier(r)
	}
	negative := r.IntN(3) == 0
	if r.IntN(6) == 0 {
		if _, err := f.Remove(id, negative); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("DELETEACL %s %s", folder, quoted(id.IMAP(negative)))
	}
	mode, rights := Mode(r.IntN(3)), someRights(r)
	if mode == Replace && rights == 0 {
		rights = Lookup
	}
	if _, err := f.Set(id, negative, mode, rights); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("SETACL %s %s %s", folder, quoted(id.IMAP(negative)), quoted([]string{"", "+", "-"}[mode]+rights.String()))
}

// TestInheritAsDovecot compares the files of new folders, but for what the package's
// comment says of entries without rights.
func TestInheritAsDovecot(t *testing.T) {
	haveDovecot(t)
	const folders, seed = 80, 3
	r := rand.New(rand.NewPCG(seed, 0))
	parents := make([]string, folders)
	commands := make([]string, folders)
	for i := range parents {
		parents[i] = someFile(r)
		commands[i] = fmt.Sprintf("CREATE f%d/new", i)
	}
	dir := dovecotTree(t, parents)
	compared := 0
	for n, lines := range startDovecot(t, dir, filepath.Join(dir, "Maildir"), subjects[1]).ask(t, commands) {
		if tagged := lines[len(lines)-1]; !strings.HasPrefix(tagged, "OK") {
			continue // the owner may not create there
		}
		f, err := Parse([]byte(parents[n]))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(aclOf(dir, fmt.Sprintf("f%d.new", n)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if want := copied(f); string(got) != want {
			t.Errorf("seed %d, file %d\n%s: Dovecot\n%sPostroom\n%s", seed, n, parents[n], got, want)
		}
		compared++
	}
	if compared < folders/2 {
		t.Errorf("only %d folders were made", compared)
	}
}

// copied is what Dovecot copies of a file: identifiers with no rights at all stay behind.
func copied(f *File) string {
	some := make(map[Identifier]bool)
	for _, e := range f.Entries() {
		some[e.Identifier] = some[e.Identifier] || e.Rights != 0
	}
	out := ""
	for _, e := range f.Entries() {
		if some[e.Identifier] {
			out += e.text() + "\n"
		}
	}
	return out
}

func aclOf(dir, folder string) string {
	return filepath.Join(dir, "Maildir", "."+folder, "dovecot-acl")
}
