package maildir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const lockSuffix = ".lock" // of the name of what the lock guards

// Dot locks as Dovecot makes them, so that both may write one tree: FILE.lock
// is made with O_CREAT|O_EXCL and holds "pid:host". A lock is stale when it
// names a dead process of this host, or nobody, because its maker died before
// writing it (both when it is at least 2 s old); when it names
// this very process (whose goroutines exclude each other by a mutex, so it is
// left over from an earlier process with our number); or when neither it nor the file it
// guards has changed for 120 s. A lock without a name may also be one made on a full disk,
// so we keep a flock on each that we hold, and break none that has one.
//
// The lock of dovecot-acl is its new contents: it names nobody, is stale by its age alone, and is released by
// being renamed.
const (
	lockWait     = 10 * time.Second
	lockStale    = 120 * time.Second
	lockYoung    = 2 * time.Second
	lockPollMin  = time.Millisecond
	lockPollMax  = 100 * time.Millisecond
	lockMaxOctet = 1024
)

// lockRules are what locks differ in.
type lockRules struct {
	wait  time.Duration
	named bool      // the file holds pid:host
	kept  *keptLock // may be nil
}

type dotlock struct {
	by   *locker
	dir  *dir
	name string   // of the lock file
	file *os.File // has a flock, which ends with the process; nil: see lockOrNone
	id   fileID
	kept *keptLock // what is to become of the file; nil: it is deleted
}

// locker makes dot locks for one host and process. Two objects of this process
// may want one lock, for they may have opened one directory under two names: the table of
// what is held keeps them apart, and a lock file of our own that is not in it is left over.
type locker struct {
	host  string
	pid   int
	clock func() time.Time

	mu   sync.Mutex
	held map[heldLock]bool // guarded by mu
}

type heldLock struct {
	dir  fileID
	name string
}

func (l *locker) hold(k heldLock) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held[k] {
		return false
	}
	l.held[k] = true
	return true
}

func (l *locker) release(k heldLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, k)
}

// lock takes the lock of the file named guarded in d. The caller holds the
// mutex that keeps this process's goroutines off the same lock. kept may be nil. The error is
// ErrBusy after 10 s, ErrReadOnly where no file can be made.
func (l *locker) lock(ctx context.Context, d *dir, guarded string, kept *keptLock) (*dotlock, error) {
	return l.lockBy(ctx, d, guarded, lockRules{wait: lockWait, named: true, kept: kept})
}

// lockBy is lock by other rules. Where the caller holds no mutex the table of held locks does what it would, for
// as long as rules.wait.
func (l *locker) lockBy(ctx context.Context, d *dir, guarded string, rules lockRules) (*dotlock, error) {
	name := guarded + lockSuffix
	deadline := time.Now().Add(rules.wait)
	pause := lockPollMin
	key := heldLock{d.id, name}
	for {
		if l.hold(key) {
			k, again, err := l.try(d, name, guarded, rules)
			if k != nil {
				return k, nil
			}
			l.release(key)
			if err != nil {
				return nil, err
			}
			if again {
				continue
			}
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("lock %s: held by %s: %w", name, l.holder(d, name, rules), ErrBusy)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("lock %s: %w: %w", name, ErrBusy, ctx.Err())
		case <-time.After(pause):
		}
		pause = min(pause*3/2+time.Millisecond, lockPollMax)
	}
}

// try makes the lock file once; again tells that a stale one was removed.
func (l *locker) try(d *dir, name, guarded string, rules lockRules) (k *dotlock, again bool, err error) {
	var f *os.File
	if k, err = rules.kept.take(l, d, name); k == nil && err == nil {
		f, err = d.create(name, d.filePerm())
	}
	switch {
	case k != nil:
		return k, false, nil
	case err == nil:
		if k, err = l.fill(d, name, f, rules); k != nil {
			k.kept = rules.kept
		}
		return k, false, err
	case !errors.Is(err, fs.ErrExist):
		return nil, false, wrapSys("lock", name, err)
	}
	return nil, l.breakStale(d, name, guarded, rules), nil
}

func (l *locker) fill(d *dir, name string, f *os.File, rules lockRules) (*dotlock, error) {
	fi, err := f.Stat()
	if err == nil {
		syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) // where there is none, only the times count
	}
	if err == nil && rules.named {
		_, err = fmt.Fprintf(f, "%d:%s", l.pid, l.host)
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			// The file's being there is the lock; a full disk must not keep mail from being deleted.
			err = nil
		}
	}
	if err != nil {
		d.remove(name)
		f.Close()
		return nil, wrapSys("lock", name, err)
	}
	return &dotlock{by: l, dir: d, name: name, file: f, id: stampOf(fi).fileID}, nil
}

func (l *locker) holder(d *dir, name string, rules lockRules) string {
	data, _, err := d.readFile(name, lockMaxOctet)
	if !rules.named || err != nil || len(data) == 0 {
		return "an unknown process"
	}
	return strconv.Quote(string(data))
}

// breakStale removes a stale lock and tells whether trying again at once is worth while.
// Two processes may judge the same lock: each takes flock on the file it
// judged and looks again, so that neither removes a newer lock of the other.
func (l *locker) breakStale(d *dir, name, guarded string, rules lockRules) bool {
	f, err := d.open(name)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil || !l.stale(d, f, fi, guarded, rules) {
		return false
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return false
	}
	now, err := d.stat(name)
	if err != nil || stampOf(now).fileID != stampOf(fi).fileID {
		return true
	}
	return d.remove(name) == nil
}

func (l *locker) stale(d *dir, f *os.File, fi fs.FileInfo, guarded string, rules lockRules) bool {
	age := l.clock().Sub(fi.ModTime())
	if rules.named && l.abandoned(f, age) {
		return true
	}
	if age < lockStale {
		return false
	}
	g, err := d.stat(guarded)
	return err != nil || l.clock().Sub(g.ModTime()) >= lockStale
}

// abandoned tells whether a lock of this age is one whose maker is no more, by what it holds.
func (l *locker) abandoned(f *os.File, age time.Duration) bool {
	var buf [lockMaxOctet]byte
	n, _ := f.ReadAt(buf[:], 0)
	pid, host, ok := strings.Cut(string(buf[:n]), ":")
	young := age.Abs() < lockYoung // a lock of tomorrow is one of before the clock was set back
	if n == 0 {
		return !young
	}
	p, err := strconv.Atoi(strings.TrimSpace(pid))
	if !ok || err != nil || p <= 0 || host != l.host {
		return false
	}
	return p == l.pid || !young && syscall.Kill(p, 0) == syscall.ESRCH
}

// lockOrNone is lock, but on a disk so full that the lock's file cannot be made it gives a lock that keeps
// only this process's goroutines out. As long as the disk is full nobody else can make the file either.
func (l *locker) lockOrNone(ctx context.Context, d *dir, guarded string, kept *keptLock) (*dotlock, error) {
	k, err := l.lock(ctx, d, guarded, kept)
	if !errors.Is(err, ErrNoSpace) {
		return k, err
	}
	key := heldLock{d.id, guarded + lockSuffix}
	if !l.hold(key) {
		return nil, err
	}
	return &dotlock{by: l, dir: d, name: key.name}, nil
}

// none tells that there is no lock file.
func (k *dotlock) none() bool { return k.file == nil }

// ours tells whether the lock file is still the one that was made; else somebody broke the lock, or it was renamed.
func (k *dotlock) ours() bool {
	fi, err := k.dir.stat(k.name)
	return err == nil && stampOf(fi).fileID == k.id
}

// unlock releases the lock, unless somebody broke it meanwhile.
func (k *dotlock) unlock() {
	if !k.none() {
		ours := k.ours()
		switch {
		case ours && k.kept.keep(k):
		case ours:
			if err := k.dir.remove(k.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				k.dir.remove(k.name) // once more: other processes would wait for minutes, as the file does not tell that nobody holds it
			}
			fallthrough
		default:
			k.discard()
		}
	}
	k.by.release(heldLock{k.dir.id, k.name})
}

// discard closes the file, which is the lock no more.
func (k *dotlock) discard() {
	if k.kept != nil && k.file == k.kept.file {
		k.kept.drop()
		return
	}
	k.file.Close()
}
