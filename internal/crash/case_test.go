//go:build linux && amd64

package crash

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
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
	if s.wire, err = os.Create(filepath.Join(dir, "wire")); err != nil {
		return nil, err
	}
	if err := s.seed(st.tree); err != nil {
		return nil, err
	}
	return &trial{site: st, s: s, tracer: &tracer{root: st.tree, judge: j}}, nil
}

// start starts the server and waits until it answers or was killed.
func (c *trial) start() error {
	for range 5 {
		err := c.startOnce()
		if err != nil || c.killed() {
			return err
		}
		select {
		case <-c.now.done: // somebody else has taken a port
		default:
			return nil
		}
	}
	return errors.New("the server ends by itself")
}

func (c *trial) startOnce() error {
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
	defer c.s.wire.Close()
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

// inParallel calls do for 1, 1+step, 1+2*step ... until it says that there are no more, a few at a time.
func inParallel(step int, do func(k int) (more bool)) {
	var next atomic.Int64
	var over atomic.Bool
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) + 1 {
		wg.Go(func() {
			for !over.Load() {
				if k := int(next.Add(1)-1)*step + 1; !do(k) {
					over.Store(true)
				}
			}
		})
	}
	wg.Wait()
}

// nth picks the k-th of some calls; asked by one goroutine.
func nth(k int, some func(call) bool) func(call) bool {
	seen := 0
	return func(c call) bool {
		if some(c) {
			seen++
			return seen == k
		}
		return false
	}
}

func anyCall(call) bool { return true }

// A lock's few octets are written in one piece whatever happens to the process.
func canTear(c call) bool {
	return c.name == "write" && c.size > 1 && !strings.HasSuffix(c.path, ".lock")
}

func isSync(c call) bool { return strings.HasSuffix(c.name, "sync") }

func takesRoom(c call) bool { return needsRoom[c.name] }

// needsTrace skips where processes cannot be traced.
var needsTrace = sync.OnceValue(func() error {
	c, err := newTrialIn(fates(func(call) (fate, syscall.Errno) { return letGo, 0 }))
	if err != nil {
		return err
	}
	defer c.remove(nil)
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

// scriptCalls are the calls that the script makes when nothing is wrong, which must go well.
var scriptCalls = sync.OnceValues(func() (calls []call, err error) {
	c, err := newTrialIn(fates(func(c call) (fate, syscall.Errno) {
		calls = append(calls, c)
		return letGo, 0
	}))
	if err != nil {
		return nil, err
	}
	defer c.remove(nil)
	if err = errors.Join(c.run(), c.end()); err != nil {
		text, _ := os.ReadFile(filepath.Join(c.dir, "log"))
		return nil, fmt.Errorf("%w; the log:\n%s", err, text)
	}
	if len(c.s.refused)+len(c.s.strange) > 0 {
		return nil, fmt.Errorf("without a fault: %v %v", c.s.refused, c.s.strange)
	}
	if wrong := c.recheck(c.s.ledger); wrong != nil {
		return nil, fmt.Errorf("without a fault: %v", wrong)
	}
	return calls, nil
})

// stepsOver gives the step over the calls that some picks.
func stepsOver(t *testing.T, some func(call) bool) int {
	t.Helper()
	mustTrace(t)
	calls, err := scriptCalls()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, c := range calls {
		if some(c) {
			n++
		}
	}
	return stepFor(n)
}
