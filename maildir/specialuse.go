package maildir

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
)

// postroom-special-use in the root of a tree tells which folders were created
// for a use of RFC 6154: a line each, the attribute, a space, the folder's directory
// name. Directories that are not there any more mean nothing.
const (
	specialUseName    = "postroom-special-use"
	maxSpecialUseFile = 1 << 20
)

// SpecialUses gives the attributes of folders, by name.
func (t *Tree) SpecialUses() (map[string]string, error) {
	lines, err := t.readSpecialUses()
	if err != nil || len(lines) == 0 {
		return nil, err
	}
	names, _, err := t.listing()
	if err != nil {
		return nil, err
	}
	byDir := make(map[string]string, len(names))
	for name, d := range names {
		byDir[d] = name
	}
	out := make(map[string]string, len(lines))
	for _, l := range lines {
		attr, d, _ := strings.Cut(l, " ")
		if name, ok := byDir[d]; ok {
			out[name] = attr
		}
	}
	return out, nil
}

// SetSpecialUse notes that a folder was created for a use.
func (t *Tree) SetSpecialUse(ctx context.Context, name, attr string) error {
	t.makeMu.Lock()
	defer t.makeMu.Unlock()
	d, err := t.lookup(name)
	if err != nil {
		return err
	}
	return t.editSpecialUses(ctx, func(lines []string) []string {
		return append(withoutUse(lines, d), attr+" "+d)
	})
}

// withoutUse drops the lines of a directory.
func withoutUse(lines []string, dirName string) []string {
	return slices.DeleteFunc(lines, func(l string) bool { return strings.HasSuffix(l, " "+dirName) })
}

// editSpecialUses replaces the file, if edit changes anything. The caller holds makeMu.
func (t *Tree) editSpecialUses(ctx context.Context, edit func(lines []string) []string) error {
	lines, err := t.readSpecialUses()
	if err != nil || slices.Equal(edit(slices.Clone(lines)), lines) {
		return err
	}
	lock, err := t.store.lock.lock(ctx, t.top, specialUseName, nil)
	if err != nil {
		return err
	}
	defer lock.unlock()
	if lines, err = t.readSpecialUses(); err != nil {
		return err
	}
	text := strings.Join(append(edit(lines), ""), "\n")
	_, err = t.top.replaceFile(specialUseName+".tmp", specialUseName, []byte(text))
	return wrapSys("write", specialUseName, err)
}

// forgetUse drops the use of a directory that is gone, or was made by others. It is no failure of what
// was asked for if it cannot.
func (t *Tree) forgetUse(ctx context.Context, dirName string) {
	err := t.editSpecialUses(ctx, func(lines []string) []string { return withoutUse(lines, dirName) })
	if err != nil {
		t.store.log.Error("dropping the special use of a folder", "folder", t.fullPath(dirName), "error", err)
	}
}

// step is the renaming of one folder's directory.
type step struct{ from, to string }

// copyUses gives directories that are about to be renamed their uses under the new names as well: whatever
// ends the process meanwhile, a line of a directory that is not there means nothing.
func (t *Tree) copyUses(ctx context.Context, steps []step) error {
	return t.editSpecialUses(ctx, func(lines []string) []string {
		for _, s := range steps {
			lines = withoutUse(lines, s.to)
			for _, l := range lines {
				if attr, d, _ := strings.Cut(l, " "); d == s.from {
					lines = append(lines, attr+" "+s.to)
					break
				}
			}
		}
		return lines
	})
}

func (t *Tree) readSpecialUses() ([]string, error) {
	data, _, err := t.top.readFile(specialUseName, maxSpecialUseFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, wrapSys("read", specialUseName, err)
	}
	var lines []string
	for l := range strings.SplitSeq(string(data), "\n") {
		if attr, d, ok := strings.Cut(l, " "); ok && strings.HasPrefix(attr, `\`) && strings.HasPrefix(d, ".") {
			lines = append(lines, l)
		}
	}
	return lines, nil
}
