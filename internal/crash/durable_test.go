//go:build linux && amd64

package crash

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// durable is a disk that keeps only what was synced: of a directory the names it
// had when it was synced last, of a file the octets. A rename is one
// step, as it is in every journal: when one of the two directories is synced, the other has it, too. Nothing else is
// ever written by itself. Inode numbers must not be used twice, which holds on tmpfs.
type durable struct {
	mu     sync.Mutex // guards all
	root   string
	disk   disk
	broken map[uint64]bool // files of which a sync has failed: the octets are lost, and no later sync brings them back
}

// disk is a state of the durable disk. The inner maps are never changed once they are in.
type disk struct {
	dirs  map[uint64]map[string]uint64 // by inode: the inodes of its names
	files map[uint64]content
	isDir map[uint64]bool // of the inodes that have names; a directory that never was synced is empty
}

type content struct {
	data  []byte
	mtime time.Time
}

// newDurable takes all that is below root as durable.
func newDurable(root string) (*durable, error) {
	d := &durable{root: root, broken: map[uint64]bool{}, disk: disk{dirs: map[uint64]map[string]uint64{}, files: map[uint64]content{}, isDir: map[uint64]bool{}}}
	return d, filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return d.synced(path)
	})
}

func (d *durable) now() disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	return disk{maps.Clone(d.disk.dirs), maps.Clone(d.disk.files), maps.Clone(d.disk.isDir)}
}

// arrived notes that another program has put a file into a directory, durably. The server may have taken the file to
// another name since, even durably; without that it is where it was put.
func (d *durable) arrived(path string, fi fs.FileInfo, data []byte) error {
	in, err := os.Lstat(filepath.Dir(path))
	if err != nil {
		return err
	}
	tmp, err := os.Lstat(filepath.Join(filepath.Dir(filepath.Dir(path)), "tmp"))
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	ino, dir := inodeOf(fi), inodeOf(in)
	if _, ok := d.disk.files[ino]; !ok && !d.broken[ino] {
		d.disk.files[ino] = content{data, fi.ModTime()}
	}
	for at, names := range d.disk.dirs {
		for name, had := range names {
			switch {
			case had != ino:
			case at == inodeOf(tmp):
				left := maps.Clone(names)
				delete(left, name)
				d.disk.dirs[at] = left
			default:
				return nil
			}
		}
	}
	names := maps.Clone(d.disk.dirs[dir])
	if names == nil {
		names = map[string]uint64{}
	}
	names[filepath.Base(path)] = ino
	d.disk.dirs[dir] = names
	d.disk.isDir[ino] = false
	return nil
}

// lose notes that a sync of a file failed.
func (d *durable) lose(ino uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.broken[ino] = true
}

// synced notes that a file or directory was synced.
func (d *durable) synced(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	fi, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if fi.Mode().IsRegular() && d.broken[inodeOf(fi)] {
		return nil
	}
	if fi.Mode().IsRegular() {
		data, err := os.ReadFile(path)
		d.disk.files[inodeOf(fi)] = content{data, fi.ModTime()}
		return err
	}
	names, err := d.inodesIn(path)
	if err != nil {
		return err
	}
	dir := inodeOf(fi)
	old := d.disk.dirs[dir]
	d.disk.dirs[dir] = names
	return d.finishRenames(dir, old, names)
}

// finishRenames completes the other half of the renames that the sync of one directory made durable.
func (d *durable) finishRenames(dir uint64, old, names map[string]uint64) error {
	came, went := map[uint64]bool{}, map[uint64]bool{}
	for name, ino := range names {
		came[ino] = old[name] != ino
	}
	for name, ino := range old {
		went[ino] = names[name] != ino
	}
	return filepath.WalkDir(d.root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		fi, err := e.Info()
		if err != nil || inodeOf(fi) == dir {
			return err
		}
		live, err := d.inodesIn(path)
		if err != nil {
			return err
		}
		other := inodeOf(fi)
		kept := maps.Clone(d.disk.dirs[other])
		for name, ino := range live {
			if went[ino] && kept[name] != ino {
				if kept == nil {
					kept = map[string]uint64{}
				}
				kept[name] = ino
			}
		}
		maps.DeleteFunc(kept, func(name string, ino uint64) bool { return came[ino] && live[name] != ino })
		if kept != nil {
			d.disk.dirs[other] = kept
		}
		return nil
	})
}

func (d *durable) inodesIn(dir string) (map[string]uint64, error) {
	entries, err := os.ReadDir(dir)
	out := make(map[string]uint64, len(entries))
	for _, e := range entries {
		if fi, err := e.Info(); err == nil {
			out[e.Name()] = inodeOf(fi)
			d.disk.isDir[inodeOf(fi)] = fi.IsDir()
		}
	}
	return out, err
}

func inodeOf(fi fs.FileInfo) uint64 { return fi.Sys().(*syscall.Stat_t).Ino }

// write makes the tree as it is after the power came back. A name of a file that never was synced is an empty file.
func (d disk) write(root uint64, to string) error {
	made := map[uint64]string{} // files, for further links
	var fill func(dir uint64, to string) error
	fill = func(dir uint64, to string) error {
		if err := os.MkdirAll(to, 0o700); err != nil {
			return err
		}
		for name, ino := range d.dirs[dir] {
			path := filepath.Join(to, name)
			if d.isDir[ino] {
				if err := fill(ino, path); err != nil {
					return err
				}
				continue
			}
			if first := made[ino]; first != "" {
				if err := os.Link(first, path); err != nil {
					return err
				}
				continue
			}
			c := d.files[ino]
			made[ino] = path
			if err := os.WriteFile(path, c.data, 0o600); err != nil {
				return err
			}
			if err := os.Chtimes(path, c.mtime, c.mtime); err != nil {
				return err
			}
		}
		return nil
	}
	return fill(root, to)
}
