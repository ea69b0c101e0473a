package account

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// behindTheDoor are the packages that nobody but this one may use: whoever goes round it goes round the rights.
var behindTheDoor = []string{"postroom/maildir", "postroom/aclfile"}

// mayPass are those that serve nobody.
var mayPass = []string{"maildir", "aclfile", "internal/account"}

// TestOnlyDoor holds the imports of the whole module against that; tests may look behind the door.
func TestOnlyDoor(t *testing.T) {
	root := filepath.Join("..", "..")
	looked := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(rel))
		if slices.Contains(mayPass, dir) || strings.HasPrefix(dir, "maildir/") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		looked++
		for _, imp := range f.Imports {
			name, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				return err
			}
			if slices.Contains(behindTheDoor, name) {
				t.Errorf("%s imports %s: it must ask internal/account", rel, name)
			}
			protocol := dir == "imapd" || dir == "pop3d" || dir == "webmail"
			if protocol && name == "os" {
				t.Errorf("%s imports os: a protocol opens no files", rel)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if looked < 50 {
		t.Errorf("only %d files were looked at", looked)
	}
}
