package storm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// outsider is a program that works on the files. It belongs to one goroutine.
type outsider struct {
	st    *storm
	ctx   context.Context
	rng   *rand.Rand
	name  string
	names map[string][]string // by folder: new/NAME and cur/NAME as it last read them
	read  map[string]time.Time
}

var names atomic.Int64

// newBase is a base name that nobody has had.
func newBase() string {
	now := time.Now()
	return fmt.Sprintf("%d.M%dP%dQ%d.outside", now.Unix(), now.Nanosecond()/1000, os.Getpid(), names.Add(1))
}

func baseOf(name string) string {
	base, _, _ := strings.Cut(filepath.Base(name), ":")
	if i := strings.LastIndex(base, ",U="); i > 0 {
		base = base[:i]
	}
	return base
}

// infoOf gives the letters of a name.
func infoOf(name string) string {
	_, info, _ := strings.Cut(name, ":2,")
	return info
}

// run does act again and again.
func (w *outsider) run(pause time.Duration, act func(w *outsider)) {
	for wait(w.ctx, time.Duration(w.rng.Int64N(int64(2*pause)+1))) {
		act(w)
	}
}

// folder is one that lasts: mostly INBOX.
func (w *outsider) folder() string {
	if w.rng.IntN(2) == 0 {
		return "INBOX"
	}
	return lastingFolders[w.rng.IntN(len(lastingFolders))]
}

// some gives the path of a message as it was a moment ago, relative to the folder.
func (w *outsider) some(folder string) string {
	if w.names == nil {
		w.names, w.read = map[string][]string{}, map[string]time.Time{}
	}
	if time.Since(w.read[folder]) > 300*time.Millisecond {
		w.names[folder] = listing(w.st.dir(folder))
		w.read[folder] = time.Now()
	}
	list := w.names[folder]
	if len(list) == 0 {
		return ""
	}
	i := w.rng.IntN(len(list))
	name := list[i]
	list[i] = list[len(list)-1]
	w.names[folder] = list[:len(list)-1]
	return name
}

func listing(dir string) []string {
	var out []string
	for _, sub := range []string{"new", "cur"} {
		entries, _ := os.ReadDir(filepath.Join(dir, sub))
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), ".") {
				out = append(out, sub+"/"+e.Name())
			}
		}
	}
	return out
}

// idAt reads the id of a message; "" when it has gone.
func (w *outsider) idAt(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	id, whole := idOfMail(b)
	if !whole {
		w.st.o.fault("content", "%s: %s is not whole on disk: %.200q", w.name, path, b)
	}
	return id
}

// unexpected reports an error that no race explains.
func (w *outsider) unexpected(err error) {
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) {
		w.st.o.fault("session", "%s: %v", w.name, err)
	}
}

// place puts a message into a folder by way of tmp/.
func (w *outsider) place(dir, name string, content []byte, byLink bool) error {
	tmp := filepath.Join(dir, "tmp", newBase())
	if err := os.WriteFile(tmp, content, 0o600); err != nil {
		return err
	}
	w.st.give(tmp)
	if !byLink {
		return os.Rename(tmp, filepath.Join(dir, name))
	}
	defer os.Remove(tmp)
	return os.Link(tmp, filepath.Join(dir, name))
}

// deliver is a delivery agent.
func (w *outsider) deliver() {
	folder := w.folder()
	if w.st.full(folder) {
		return
	}
	for range 1 + w.rng.IntN(4)*w.rng.IntN(3) {
		id := w.st.newID("deliver")
		w.st.o.arrives(folder, id, 1)
		if err := w.place(w.st.dir(folder), "new/"+newBase(), newMail(id, w.rng), w.rng.IntN(4) == 0); err != nil {
			w.unexpected(err)
			return
		}
		w.st.o.arrived(id)
		w.st.o.count("deliveries", 1)
	}
}

// flag is a mail program that changes flags and keywords, and puts away what is new.
func (w *outsider) flag() {
	folder := w.folder()
	name := w.some(folder)
	if name == "" {
		return
	}
	letters := []byte(infoOf(name))
	toggle := []byte("FRSD")
	toggle = append(toggle, w.st.letters(folder)...)
	for range 1 + w.rng.IntN(2) {
		c := toggle[w.rng.IntN(len(toggle))]
		if i := slices.Index(letters, c); i >= 0 {
			letters = slices.Delete(letters, i, i+1)
		} else {
			letters = append(letters, c)
		}
	}
	slices.Sort(letters)
	base, _, _ := strings.Cut(filepath.Base(name), ":")
	to := "cur/" + base + ":2," + string(letters)
	if w.rng.IntN(30) == 0 {
		to = "new/" + base
	}
	dir := w.st.dir(folder)
	if strings.HasPrefix(to, "new/") && slices.Contains(letters, 'T') {
		defer w.st.o.replaces([]string{w.idAt(filepath.Join(dir, name))})()
	}
	if err := os.Rename(filepath.Join(dir, name), filepath.Join(dir, to)); err != nil {
		w.unexpected(err)
		return
	}
	w.st.o.count("renames by others", 1)
}

// remove deletes messages.
func (w *outsider) remove() {
	folder := w.folder()
	name := w.some(folder)
	if name == "" || w.st.empty(folder) {
		return
	}
	path := filepath.Join(w.st.dir(folder), name)
	id := w.idAt(path)
	if id == "" {
		return
	}
	w.st.o.leaves(folder, id, 1)
	if err := os.Remove(path); err != nil {
		w.st.o.leaves(folder, id, -1)
		w.unexpected(err)
		return
	}
	w.st.o.count("deletions by others", 1)
}

// move moves a message to another folder, keeping its base name or not.
func (w *outsider) move() {
	from, to := w.folder(), w.folder()
	name := w.some(from)
	if name == "" || from == to || strings.Contains(infoOf(name), "T") {
		return
	}
	path := filepath.Join(w.st.dir(from), name)
	id := w.idAt(path)
	if id == "" {
		return
	}
	base := newBase()
	if keep := baseOf(name); w.rng.IntN(2) == 0 && w.st.reserve(to, keep) {
		base = keep
	}
	into := "cur/" + base + ":2," + infoOf(name)
	if w.rng.IntN(4) == 0 {
		into = "new/" + base
	}
	w.st.o.arrives(to, id, 1)
	w.st.o.leaves(from, id, 1)
	if err := os.Rename(path, filepath.Join(w.st.dir(to), into)); err != nil {
		w.st.o.leaves(from, id, -1)
		w.st.o.arrives(to, id, -1)
		w.unexpected(err)
		return
	}
	w.st.o.arrived(id)
	w.st.o.count("moves by others", 1)
}

// copy copies a message, by a hard link or as cp -p does.
func (w *outsider) copy() {
	from, to := w.folder(), w.folder()
	name := w.some(from)
	if name == "" || w.st.full(to) || strings.Contains(infoOf(name), "T") {
		return
	}
	path := filepath.Join(w.st.dir(from), name)
	content, err := os.ReadFile(path)
	if err != nil {
		return
	}
	id, _ := idOfMail(content)
	base := newBase()
	if keep := baseOf(name); from != to && w.rng.IntN(2) == 0 && w.st.reserve(to, keep) {
		base = keep
	}
	into := "cur/" + base + ":2," + infoOf(name)
	w.st.o.arrives(to, id, 1)
	if w.rng.IntN(2) == 0 {
		err = os.Link(path, filepath.Join(w.st.dir(to), into))
	} else {
		var fi os.FileInfo
		if fi, err = os.Stat(path); err == nil {
			tmp := filepath.Join(w.st.dir(to), "tmp", newBase())
			if err = os.WriteFile(tmp, content, 0o600); err == nil {
				w.st.give(tmp)
				os.Chtimes(tmp, fi.ModTime(), fi.ModTime())
				err = os.Rename(tmp, filepath.Join(w.st.dir(to), into))
			}
		}
	}
	if err != nil {
		w.st.o.arrives(to, id, -1)
		w.unexpected(err)
		return
	}
	w.st.o.arrived(id)
	w.st.o.count("copies by others", 1)
}

// makeFolders makes, fills, renames and removes folders.
func (w *outsider) makeFolders() {
	name := w.st.newFolder("disk")
	made := w.st.dir(name) + "-making"
	for _, sub := range []string{"", "cur", "new", "tmp"} {
		if err := os.Mkdir(filepath.Join(made, sub), 0o700); err != nil {
			w.unexpected(err)
			return
		}
		w.st.give(filepath.Join(made, sub))
	}
	w.unexpected(os.Rename(made, w.st.dir(name)))
	w.st.setFleeting(name, true)
	defer w.st.setFleeting(name, false)
	for range 5 {
		id := w.st.newID("fleeting")
		w.unexpected(w.place(w.st.dir(name), "new/"+newBase(), newMail(id, w.rng), false))
		if !wait(w.ctx, 30*time.Millisecond) {
			break
		}
	}
	w.unexpected(os.Rename(w.st.dir(name), w.st.dir(name+"r")))
	w.st.setFleeting(name+"r", true)
	defer w.st.setFleeting(name+"r", false)
	wait(w.ctx, 100*time.Millisecond)
	w.st.o.count("folders made by others", 1)
	for range 100 { // a server may write into it meanwhile
		if os.RemoveAll(w.st.dir(name+"r")) == nil {
			return
		}
	}
	w.st.o.fault("session", "%s cannot be removed", name)
}
