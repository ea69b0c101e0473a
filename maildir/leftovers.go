package maildir

import (
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// What crashes leave behind: files in tmp/ that never became messages, and folders
// half made or half deleted. It is removed 36 hours after it was last changed, as other
// servers do, unless the process that its name tells of is alive.
const (
	leftoverAge = 36 * time.Hour
	sweepEvery  = 24 * time.Hour
	maxSwept    = 1 << 16 // directories whose last sweep is remembered

	makePrefix  = "..postroom-make."
	trashPrefix = "..postroom-trash."
)

// sweepDue tells, once in sweepEvery, that a directory is to be swept.
func (s *Store) sweepDue(id fileID, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, ok := s.swept[id]; ok && now.Sub(last) < sweepEvery {
		return false
	}
	if s.swept == nil || len(s.swept) >= maxSwept {
		s.swept = make(map[fileID]time.Time)
	}
	s.swept[id] = now
	return true
}

// sweep removes what crashes have left in the folder's tmp/ and in the root of its tree.
func (f *Folder) sweep() {
	now := f.store.opt.Clock()
	if f.store.sweepDue(f.tmp.id, now) && f.tmp.writable() {
		f.sweepDir(f.tmp, now, func(name string) bool { return name[0] != '.' }, f.tmp.remove)
	}
	if top := f.tree.top; f.store.sweepDue(top.id, now) && top.writable() {
		f.sweepDir(top, now, func(name string) bool {
			return strings.HasPrefix(name, makePrefix) || strings.HasPrefix(name, trashPrefix)
		}, top.removeAll)
	}
}

func (f *Folder) sweepDir(d *dir, now time.Time, mine func(name string) bool, remove func(name string) error) {
	var old []string
	_, err := d.readNames(false, func(name []byte, typ direntType, _ uint64) {
		n := string(name)
		if !mine(n) || f.store.names.alive(n) {
			return
		}
		fi, err := d.stat(n)
		if err == nil && now.Sub(unixNano(stampOf(fi).ctime)) >= leftoverAge {
			old = append(old, n)
		}
	})
	for _, n := range old {
		if rerr := remove(n); rerr != nil && err == nil {
			err = rerr
		}
	}
	if err != nil {
		f.log.Warn("removing what crashes have left", "error", err)
	}
	if len(old) > 0 {
		f.log.Info("removed what crashes had left", "count", len(old), "first", old[0])
	}
}

// maker finds the process in a name such as 1700000000.M12P345.host.
var maker = regexp.MustCompile(`\.M[0-9]+P([0-9]{1,9})(?:[^0-9]|$)`)

// alive tells whether the process that made a name may still be at it.
func (n *names) alive(name string) bool {
	m := maker.FindStringSubmatch(name)
	if m == nil || !strings.HasSuffix(name, n.host) {
		return false
	}
	pid, _ := strconv.Atoi(m[1])
	if pid == n.pid {
		return strings.HasSuffix(name, n.tail) // else of an earlier process with our number
	}
	return pid > 0 && syscall.Kill(pid, 0) != syscall.ESRCH
}
