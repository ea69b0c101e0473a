//go:build linux && amd64

package crash

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// trial is one run of the script against the traced binary.
type trial struct {
	*site
	s      *session
	tracer *tracer
	now    *traced
}

// newTrial seeds a site in dir.
func newTrial(dir string, j judge) (*trial, error) {
	st, err := newSite(dir)
	if err != nil {
		return nil, err
	}
	s := &session{ledger: newLedger(), user: user, imap: st.addr(0), pop3: st.addr(1)}
	if err := s.seed(st.tree); err != nil {
		return nil, err
	}
	return &trial{site: st, s: s, tracer: &tracer{root: st.tree, judge: j}}, nil
}

// start starts the server and waits until it answers or is dead.
func (c *trial) start() error {
	file, err := c.config()
	if err != nil {
		return err
	}
	if c.now, err = c.tracer.start(c.log, binary, "serve", "--config", file); err != nil {
		return err
	}
	if !agreeWhen(func() bool {
		select {
		case <-c.now.done:
			return true
		default:
		}
		conn, err := net.Dial("tcp", c.s.pop3())
		if err == nil {
			conn.Close()
		}
		return err == nil
	}) {
		return errors.New("the server does not start")
	}
	return nil
}

// restart ends the server as an administrator does, and starts another.
func (c *trial) restart() error {
	if err := c.now.stop(syscall.SIGTERM); err != nil {
		return err
	}
	if c.killed() {
		return errKilled
	}
	return c.start()
}

var errKilled = errors.New("killed")

func (c *trial) killed() bool {
	c.tracer.mu.Lock()
	defer c.tracer.mu.Unlock()
	return c.tracer.killed
}

// run works through the script. Its error is the harness's; that the server was killed is none.
func (c *trial) run() error {
	defer c.s.hangUp()
	err := c.start()
	if err == nil {
		err = c.s.script(c.tree, c.restart)
	}
	if c.killed() {
		err = nil
	}
	return err
}

// end kills the server, if it lives, and closes the log.
func (c *trial) end() error {
	defer c.log.Close()
	if c.now == nil {
		return nil
	}
	return c.now.stop(syscall.SIGKILL)
}

// where tells which call the case was about.
func (c *trial) where() string {
	c.tracer.mu.Lock()
	defer c.tracer.mu.Unlock()
	return c.tracer.last.String()
}

// inParallel calls do for 1, 2, 3 ... until it says that there are no more, a few at a time; step
// leaves out all but every step-th.
func inParallel(step int, do func(k int) (more bool)) {
	var next atomic.Int64
	var over atomic.Bool
	var wg sync.WaitGroup
	for range max(3, runtime.GOMAXPROCS(0)+1) {
		wg.Go(func() {
			for !over.Load() {
				k := int(next.Add(1)-1)*step + 1
				if !do(k) {
					over.Store(true)
				}
			}
		})
	}
	wg.Wait()
}

// stepFor spreads about sample cases over all of them, unless all are wanted.
func stepFor(all, sample int) int {
	if *wholeFlag {
		return 1
	}
	return max(1, all/sample)
}

// needsTrace skips where processes cannot be traced.
var needsTrace = sync.OnceValue(func() error {
	c, err := newTrialIn("", fates(func(call) (fate, syscall.Errno) { return letGo, 0 }))
	if err != nil {
		return err
	}
	defer c.remove()
	err = c.start()
	return errors.Join(err, c.end())
})

func mustTrace(t *testing.T) {
	t.Helper()
	if err := needsTrace(); err != nil {
		t.Skip("processes cannot be traced here: ", err)
	}
}

// fates is a judge that only decides before.
type fates func(c call) (fate, syscall.Errno)

func (f fates) before(c call) (fate, syscall.Errno) { return f(c) }
func (fates) after(call)                            {}
func (fates) wantAfter() bool                       { return false }

// callsOfScript is how many calls the script makes when nothing is wrong, which must go well.
var callsOfScript = sync.OnceValues(func() (int, error) {
	c, err := newTrialIn("", fates(func(call) (fate, syscall.Errno) { return letGo, 0 }))
	if err != nil {
		return 0, err
	}
	defer c.remove()
	err = errors.Join(c.run(), c.end())
	if err != nil {
		text, _ := os.ReadFile(filepath.Join(c.dir, "log"))
		return 0, fmt.Errorf("%w; the log:\n%s", err, text)
	}
	if err == nil && len(c.s.refused)+len(c.s.strange) > 0 {
		err = fmt.Errorf("without a fault: %v %v", c.s.refused, c.s.strange)
	}
	if err == nil {
		if wrong := c.recheck(c.s.ledger); wrong != nil {
			err = fmt.Errorf("without a fault: %v", wrong)
		}
	}
	return c.tracer.calls, err
})
