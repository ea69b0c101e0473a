//go:build linux && amd64

package crash

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// cut is what a power cut before one call leaves, and what the client knew then.
type cut struct {
	at     call
	ledger *ledger
	disk   disk   // of the durable disk
	image  string // of the file system: a path
}

// recorder takes a cut at every step-th call.
type recorder struct {
	t    *testing.T
	step int
	s    *session
	take func(c *cut) error
	sync func(path string) // nil: the ends of calls are not wanted
	cuts []*cut
}

func (r *recorder) before(c call) (fate, syscall.Errno) {
	if c.n%r.step == 0 {
		k := &cut{at: c, ledger: r.s.copyLedger().forgetful()}
		if err := r.take(k); err != nil {
			r.t.Error(err)
		}
		r.cuts = append(r.cuts, k)
	}
	return letGo, 0
}

func (r *recorder) after(c call) {
	if c.errno == 0 && isSync(c) {
		r.sync(c.path)
	}
}

func (r *recorder) wantAfter() bool { return r.sync != nil }

// TestPowerUnsynced cuts the power before each call and drops all that was not synced.
func TestPowerUnsynced(t *testing.T) { eachStory(t, testPowerUnsynced) }

func testPowerUnsynced(t *testing.T, st *story) {
	r := &recorder{t: t, step: stepsOver(t, st, anyCall)}
	c, err := newTrialIn(st, r)
	if err != nil {
		t.Fatal(err)
	}
	r.dropUnsynced(c, func() error { return c.run() })
}

// TestPowerNewUser is TestPowerUnsynced for a user whose tree is made on the way, as by the first message.
func TestPowerNewUser(t *testing.T) {
	mustTrace(t)
	r := &recorder{t: t, step: 1}
	c, err := newTrialIn(newcomer, r)
	if err != nil {
		t.Fatal(err)
	}
	r.dropUnsynced(c, func() error { return c.run() })
}

// dropUnsynced has work done, and compares what each cut leaves of it.
func (r *recorder) dropUnsynced(c *trial, work func() error) {
	t := r.t
	defer c.remove(t)
	fi, err := os.Stat(c.mail)
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDurable(c.mail)
	if err != nil {
		t.Fatal(err)
	}
	r.s = c.s
	r.take = func(k *cut) error {
		k.disk = d.now()
		return nil
	}
	r.sync = func(path string) {
		if err := d.synced(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
	}
	c.s.placed = func(path string, fi fs.FileInfo, data []byte) {
		if err := d.arrived(path, fi, data); err != nil {
			t.Error(err)
		}
	}
	if err := errors.Join(work(), c.end()); err != nil {
		t.Fatal(err)
	}
	for _, w := range append(c.s.refused, c.s.strange...) {
		t.Error(w)
	}
	r.compare(t, func(k *cut, s *site) error {
		return k.disk.write(inodeOf(fi), s.mail)
	}, func(*site) {})
}

// compare restores each cut and has a server tell what is there.
func (r *recorder) compare(t *testing.T, restore func(*cut, *site) error, after func(*site)) {
	var n count
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(r.cuts)); i = next.Add(1) - 1 {
				r.compareOne(t, r.cuts[i], restore, after)
				n.cases.Add(1)
			}
		})
	}
	wg.Wait()
	n.say(t, "the power was cut, nothing lost")
}

func (r *recorder) compareOne(t *testing.T, k *cut, restore func(*cut, *site) error, after func(*site)) {
	dir, err := os.MkdirTemp(memory(), "postroom-crash-")
	if err != nil {
		t.Error(err)
		return
	}
	defer os.RemoveAll(dir)
	s, err := newSite(dir)
	if err != nil {
		t.Error(err)
		return
	}
	defer s.log.Close()
	if err := restore(k, s); err != nil {
		t.Error(err)
		return
	}
	defer after(s)
	for _, w := range s.recheck(k.ledger) {
		t.Errorf("before %s: %s", k.at, w)
	}
}

// TestPowerImage cuts the power before each call by copying the image of the mounted
// ext4 file system that the tree is on; its journal recovers the copy. The file system is told to
// write nothing by itself for as long as it can.
func TestPowerImage(t *testing.T) { eachStory(t, testPowerImage) }

func testPowerImage(t *testing.T, st *story) {
	step := stepsOver(t, st, anyCall)
	dir := scratch(t)
	image := filepath.Join(dir, "image")
	mail := filepath.Join(dir, "site", "mail")
	if err := errors.Join(makeImage(image), os.MkdirAll(mail, 0o700)); err != nil {
		t.Skip("no image can be made: ", err)
	}
	if err := mountImage(image, mail); err != nil {
		t.Skip("images cannot be mounted here: ", err)
	}
	mounted := true
	defer func() {
		if mounted {
			unix.Unmount(mail, unix.MNT_DETACH)
		}
	}()
	r := &recorder{t: t, step: step}
	c, err := newTrial(filepath.Join(dir, "site"), st, r)
	if err != nil {
		t.Fatal(err)
	}
	unix.Sync()
	r.s = c.s
	r.take = func(k *cut) error {
		k.image = fmt.Sprintf("%s.%d", image, k.at.n)
		return copySparse(image, k.image)
	}
	if err := errors.Join(c.run(), c.end()); err != nil {
		t.Fatal(err)
	}
	mounted = false
	if err := unix.Unmount(mail, 0); err != nil {
		t.Error(err)
	}
	r.compare(t, func(k *cut, s *site) error {
		return mountImage(k.image, s.mail)
	}, func(s *site) {
		// A process that is being started next to us has our files for a moment.
		if !agreeWhen(func() bool { return unix.Unmount(s.mail, 0) == nil }) {
			t.Error("the image stays in use")
			unix.Unmount(s.mail, unix.MNT_DETACH)
		}
	})
}

const imageSize = 12 << 20

func makeImage(path string) error {
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(path, imageSize); err != nil {
		return err
	}
	out, err := exec.Command("mkfs.ext4", "-q", "-b", "1024", "-J", "size=1", "-E", "lazy_itable_init=0,lazy_journal_init=0", path).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func mountImage(image, at string) error {
	out, err := exec.Command("mount", "-o", "loop,commit=300,noauto_da_alloc,noatime", image, at).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mount: %w: %s", err, out)
	}
	return nil
}

// copySparse copies a file, leaving out blocks of zeros.
func copySparse(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	const block = 4096
	var zero [block]byte
	for off := 0; off < len(data); off += block {
		b := data[off:min(off+block, len(data))]
		if string(b) != string(zero[:len(b)]) {
			if _, err := f.WriteAt(b, int64(off)); err != nil {
				return err
			}
		}
	}
	return f.Truncate(int64(len(data)))
}
