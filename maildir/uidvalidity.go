package maildir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
)

// dovecot-uidvalidity in the root of a tree holds, in 8 hex digits, the
// UIDVALIDITY given last; beside it an empty file carries the same number in
// its name. Renaming that file to the next number is what makes the number
// ours alone, whoever else counts at the same time.
const uidValidityName = "dovecot-uidvalidity"

// nextUIDValidity takes a UIDVALIDITY that no folder of the tree has or had.
func nextUIDValidity(root *dir, now time.Time) (uint32, error) {
	for range 100 {
		last, stale, err := lastUIDValidity(root)
		if err != nil {
			return 0, err
		}
		for _, name := range stale {
			root.remove(name)
		}
		next := last + 1
		if next == 0 {
			next = 1
		}
		if last == 0 {
			next = uint32(now.Unix())
			f, err := root.create(uidValidityFile(next), 0o444)
			if errors.Is(err, fs.ErrExist) {
				continue
			}
			if err != nil {
				return 0, wrapSys("create", uidValidityName, err)
			}
			f.Close()
		} else if err := root.rename(uidValidityFile(last), uidValidityFile(next)); errors.Is(err, fs.ErrNotExist) {
			continue // somebody took it
		} else if err != nil {
			return 0, wrapSys("rename", uidValidityName, err)
		}
		// Nobody holds a lock here: a temporary name that is nobody else's takes its place. The counter
		// file is what counts, so it does not matter whose number is written last.
		temp := fmt.Sprintf("%s.tmp.%d", uidValidityFile(next), os.Getpid())
		_, err = root.replaceFile(temp, uidValidityName, fmt.Appendf(nil, "%08x", next))
		return next, wrapSys("write", uidValidityName, err)
	}
	return 0, fmt.Errorf("%s: %w", uidValidityName, ErrBusy)
}

func uidValidityFile(n uint32) string { return fmt.Sprintf("%s.%08x", uidValidityName, n) }

// lastUIDValidity finds the highest number; lower ones are leftovers. Where
// only the main file is there, its counter file is made anew.
func lastUIDValidity(root *dir) (last uint32, stale []string, err error) {
	_, err = root.readNames(false, func(name []byte, _ direntType, _ uint64) {
		hex, ok := strings.CutPrefix(string(name), uidValidityName+".")
		if !ok || len(hex) != 8 {
			return
		}
		n, err := strconv.ParseUint(hex, 16, 32)
		if err != nil {
			return
		}
		if uint32(n) > last {
			if last != 0 {
				stale = append(stale, uidValidityFile(last))
			}
			last = uint32(n)
		} else {
			stale = append(stale, string(name))
		}
	})
	if err != nil {
		return 0, nil, err
	}
	if last != 0 {
		return last, stale, nil
	}
	data, _, err := root.readFile(uidValidityName, 64)
	if err != nil {
		return 0, nil, nil // a fresh count: it starts at the current time
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(data)), 16, 32)
	if err != nil || n == 0 {
		return 0, nil, nil
	}
	f, err := root.create(uidValidityFile(uint32(n)), 0o444)
	if err == nil {
		f.Close()
	} else if !errors.Is(err, fs.ErrExist) {
		return 0, nil, wrapSys("create", uidValidityName, err)
	}
	return uint32(n), nil, nil
}
