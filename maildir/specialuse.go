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
	lock, err := t.store.lock.lock(ctx, t.top, specialUseName)
	if err != nil {
		return err
	}
	defer lock.unlock()
	lines, err := t.readSpecialUses()
	if err != nil {
		return err
	}
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.HasSuffix(l, " "+d) })
	lines = append(lines, attr+" "+d)
	_, err = t.top.replaceFile(specialUseName+".tmp", specialUseName, []byte(strings.Join(lines, "\n")+"\n"))
	return wrapSys("write", specialUseName, err)
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
