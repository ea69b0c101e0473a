package maildir

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"hash/fnv"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// postroom.modseq holds the highest MODSEQ that any process gave in the folder, so
// that several that serve one tree draw from one sequence:
//
//	0  "PRmodsq1"
//	8  a hash of the boot's id
//	16 the number
//	24 CRC-32C of all that
//
// It is read and written under flock. A number is drawn after the change that
// it is for was made on disk. So who finds that others have drawn since he last looked and
// passes a barrier has seen all their changes, and may tell his clients a HIGHESTMODSEQ above theirs:
// number.go does so still under flock, so that nobody draws meanwhile.
//
// The file is derived and never synced. When it is lost, or was written before the
// machine was started last, the mark in the uid list takes its place: it is above every MODSEQ told.
const (
	counterName  = "postroom.modseq"
	counterMagic = "PRmodsq1"
	counterSize  = 28
	// counterWait is how long another process may hold the counter. Longer, and it was
	// stopped in the midst of it: then numbers far above its are taken.
	counterWait = 2 * time.Second
)

// bootID tells one run of the machine from the next; 0 if the system does not say.
func bootID() uint64 {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return 0
	}
	h := fnv.New64a()
	h.Write([]byte(strings.TrimSpace(string(b))))
	return h.Sum64()
}

// counterFile is the open counter, locked unless held is false.
type counterFile struct {
	file *os.File
	held bool
}

// openCounter opens and locks the counter, making it if it is not there.
func (f *Folder) openCounter(ctx context.Context) (*counterFile, error) {
	deadline := time.Now().Add(counterWait)
	for {
		file, err := f.home.openOrCreate(counterName)
		if err != nil {
			return nil, err
		}
		held, err := lockFile(ctx, file, deadline)
		if err != nil {
			file.Close()
			return nil, err
		}
		// Deleted meanwhile? Then others lock another file.
		if fi, err := file.Stat(); held && err == nil && linksOf(fi) == 0 && time.Now().Before(deadline) {
			file.Close()
			continue
		}
		return &counterFile{file, held}, nil
	}
}

// lockFile takes flock, trying until deadline; false when somebody else keeps it.
func lockFile(ctx context.Context, file *os.File, deadline time.Time) (bool, error) {
	for wait := time.Duration(0); ; wait = min(wait+200*time.Microsecond, 10*time.Millisecond) {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			return false, nil // a file system without locks: one process has to do
		case !time.Now().Before(deadline):
			return false, nil
		}
		if err := sleep(ctx, wait); err != nil {
			return false, err
		}
	}
}

// read gives the number; ok is false when it cannot be trusted.
func (c *counterFile) read(boot uint64) (n uint64, ok bool) {
	var b [counterSize]byte
	if k, err := c.file.ReadAt(b[:], 0); k != counterSize || err != nil && k == 0 {
		return 0, false
	}
	return parseCounter(b[:], boot)
}

func parseCounter(b []byte, boot uint64) (n uint64, ok bool) {
	if string(b[:8]) != counterMagic || crc32.Checksum(b[:24], castagnoli) != binary.LittleEndian.Uint32(b[24:]) {
		return 0, false
	}
	n = binary.LittleEndian.Uint64(b[16:])
	return n, boot != 0 && binary.LittleEndian.Uint64(b[8:]) == boot && n <= maxModSeq
}

// maxModSeq is the largest that clients can be told (RFC 7162 section 1: 63 bits).
const maxModSeq = 1<<63 - 1

func (c *counterFile) write(boot, n uint64) error {
	b := make([]byte, 0, counterSize)
	b = append(b, counterMagic...)
	b = binary.LittleEndian.AppendUint64(b, boot)
	b = binary.LittleEndian.AppendUint64(b, n)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	_, err := c.file.WriteAt(b, 0)
	return err
}

// close unlocks and closes.
func (c *counterFile) close() { c.file.Close() }

// drawLocked draws MODSEQs for changes that have been made on disk and gives the one before the first of
// them. When others have drawn since, it calls see while nobody can draw; only then it asks count how many are wanted.
// Where the counter cannot be had the process counts by itself, far above what others may have given.
func (f *Folder) drawLocked(see func() error, count func() int) (before uint64, err error) {
	if !f.writable {
		return f.countLocked(count()), nil
	}
	c, err := f.openCounter(f.store.ctx)
	if err != nil {
		f.fail("drawing a MODSEQ", err)
		f.home.remove(counterName) // it tells less than clients will have heard; without it the mark counts
		return f.countLocked(count()), nil
	}
	defer c.close()
	given, ok := c.read(f.store.boot)
	if !ok {
		given = max(f.modSeq, f.markOnDisk())
	}
	for seen := f.modSeq; ok && given > seen; {
		if err := see(); err != nil {
			return 0, err
		}
		seen = given
		if now, still := c.read(f.store.boot); still { // who did not wait for the lock may have drawn meanwhile
			given = max(given, now)
		}
	}
	if !c.held {
		given += modSeqStep
	}
	f.modSeq = max(given, f.modSeq)
	before = f.countLocked(count())
	if err := c.write(f.store.boot, f.modSeq); err != nil {
		f.fail("writing the MODSEQ counter", err)
		f.home.remove(counterName)
	}
	return before, nil
}

// countLocked takes the next n numbers.
func (f *Folder) countLocked(n int) (before uint64) {
	before = f.modSeq
	f.modSeq += uint64(n)
	return before
}

// allotLocked draws n numbers for a folder that is being loaded: what others have done, the next Sync sees
// before anybody is told anything.
func (f *Folder) allotLocked(n int) (before uint64) {
	before, _ = f.drawLocked(func() error { return nil }, func() int { return n })
	return before
}

// DrawModSeq gives a MODSEQ above all that were told of the folder, for something that is not kept in it: what one reader
// has seen. No message changes, and who has asked for changes is not woken; the newest snapshot has it as its HIGHESTMODSEQ, or a
// higher one, when this returns.
func (f *Folder) DrawModSeq(ctx context.Context) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone {
		return 0, ErrGone
	}
	f.untold.any, f.untold.draw = true, true
	f.tellLocked(false)
	drawn := f.drawn
	return drawn, f.raiseMarkLocked(ctx) // nobody may be told a number above the mark
}

// markOnDisk is the mark in the uid list as it stands now: another process may have raised it.
func (f *Folder) markOnDisk() uint64 {
	h, err := readUIDListHeader(f.home)
	if err != nil {
		return f.list.modSeqMark
	}
	return max(h.modSeqMark, f.list.modSeqMark)
}

// givenByOthers reads what was given so far, without a lock: 0 if it does not tell.
func (f *Folder) givenByOthers() uint64 {
	for range 3 { // it may be half written just then
		b, _, err := f.home.readFile(counterName, counterSize)
		if err != nil || len(b) != counterSize {
			return 0
		}
		if n, ok := parseCounter(b, f.store.boot); ok {
			return n
		}
	}
	return 0
}

// firstModSeqLocked sets the MODSEQ of a folder that is being loaded. known is the highest in
// its index; the folder's own must not be below any that was told.
func (f *Folder) firstModSeqLocked(known uint64) {
	told := f.givenByOthers()
	if told == 0 && f.list.modSeqMark > 0 {
		told = f.list.modSeqMark + 1
	}
	f.modSeq = max(known, told)
}
