package addressbook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Bounds of a Directory.
const (
	maxDirectoryFiles = 20_000
	maxDirectoryFile  = 16 << 20 // octets of one file
)

// Directory is a Source of the vCards in the files of a directory whose names end with .vcf, which nobody changes through
// it. A file that was changed is read again.
type Directory struct {
	path  string
	index index
}

// NewDirectory gives the vCards below a path, which is read when it is first asked; it need not be there yet.
func NewDirectory(path string, log *slog.Logger) *Directory {
	return &Directory{path: path, index: index{log: log, clock: time.Now}}
}

// Search implements Source.
func (d *Directory) Search(ctx context.Context, q Query) ([]Contact, bool, error) {
	return d.index.search(ctx, directoryShelf{d.path}, q)
}

// Get implements Source.
func (d *Directory) Get(_ context.Context, id string) (Contact, error) {
	return getOne(directoryShelf{d.path}, id)
}

// VCard implements Source.
func (d *Directory) VCard(_ context.Context, id string) ([]byte, error) {
	return vcardOf(directoryShelf{d.path}, id)
}

type directoryShelf struct{ path string }

// fileVersion is what a file is known by.
type fileVersion struct {
	ino         uint64
	size        int64
	mtime, ctim int64 // nanoseconds since 1970
}

func versionOf(fi fs.FileInfo) fileVersion {
	v := fileVersion{size: fi.Size(), mtime: fi.ModTime().UnixNano()}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		v.ino, v.ctim = st.Ino, st.Ctim.Nano()
	}
	return v
}

func usableName(name string) bool {
	return strings.EqualFold(filepath.Ext(name), ".vcf") && name[0] != '.' && !strings.ContainsAny(name, "/\x00")
}

func (s directoryShelf) list() ([]shelved, error) {
	dir, err := os.Open(s.path)
	if err != nil {
		return nil, fmt.Errorf("address book: %w", err)
	}
	defer dir.Close()
	var out []shelved
	for {
		names, err := dir.Readdirnames(1000)
		for _, name := range names {
			if !usableName(name) {
				continue
			}
			fi, err := os.Stat(filepath.Join(s.path, name))
			if err != nil || !fi.Mode().IsRegular() {
				continue // gone meanwhile, or nothing to read
			}
			if out = append(out, shelved{name, versionOf(fi)}); len(out) > maxDirectoryFiles {
				return nil, fmt.Errorf("address book %s: more than %d files: %w", s.path, maxDirectoryFiles, ErrTooBig)
			}
		}
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("address book: %w", err)
		}
	}
}

func (s directoryShelf) read(name string) ([]byte, any, error) {
	if name == "" || !usableName(name) {
		return nil, nil, ErrNoContact
	}
	// Nobody is waited for, should it be a FIFO now.
	f, err := os.OpenFile(filepath.Join(s.path, name), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("%s: %w", name, ErrNoContact)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("address book: %w", err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("address book: %w", err)
	}
	if !fi.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s: %w", name, ErrNoContact)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxDirectoryFile+1))
	if err != nil {
		return nil, nil, fmt.Errorf("address book: %w", err)
	}
	if len(data) > maxDirectoryFile {
		return nil, nil, fmt.Errorf("%s: more than %d octets: %w", name, maxDirectoryFile, ErrTooBig)
	}
	return data, versionOf(fi), nil
}
