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

// story is a script with the tree that it begins with.
type story struct {
	name   string
	seed   func(s *session, root string) error
	script func(s *session, root string, restart func() error) error
	calls  func() ([]call, error) // that it makes when nothing is wrong
}

var (
	alone     = newStory("alone", (*session).seed, (*session).alone)
	inCompany = newStory("in company", (*session).seedInCompany, (*session).inCompany)
	newcomer  = newStory("newcomer", (*session).seedNothing, (*session).newcomer) // for tests of its own
)

func newStory(name string, seed func(*session, string) error, script func(*session, string, func() error) error) *story {
	st := &story{name: name, seed: seed, script: script}
	st.calls = sync.OnceValues(func() ([]call, error) { return undisturbed(st) })
	return st
}

// eachStory runs a test with each story.
func eachStory(t *testing.T, test func(t *testing.T, st *story)) {
	for _, st := range []*story{alone, inCompany} {
		t.Run(st.name, func(t *testing.T) { test(t, st) })
	}
}

// trial is one run of a story against the traced binary.
type trial struct {
	*site
	story  *story
	s      *session
	tracer *tracer
	now    *traced
}

// newTrial seeds a site in dir.
func newTrial(dir string, st *story, j judge) (*trial, error) {
	at, err := newSite(dir)
	if err != nil {
		return nil, err
	}
	s := newSession(newLedger(user))
	s.imap, s.pop3 = at.addr(0), at.addr(1)
	if s.wire, err = os.Create(filepath.Join(dir, "wire")); err != nil {
		return nil, err
	}
	if err := st.seed(s, at.tree); err != nil {
		return nil, err
	}
	return &trial{site: at, story: st, s: s, tracer: &tracer{root: at.mail, judge: j}}, nil
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
		err = c.story.script(c.s, c.tree, c.restart)
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
	c, err := newTrialIn(alone, fates(func(call) (fate, syscall.Errno) { return letGo, 0 }))
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

// undisturbed gives the calls that a story makes when nothing is wrong, which must go well.
func undisturbed(st *story) (calls []call, err error) {
	c, err := newTrialIn(st, fates(func(c call) (fate, syscall.Errno) {
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
}

// stepsOver gives the step over the calls that some picks.
func stepsOver(t *testing.T, st *story, some func(call) bool) int {
	t.Helper()
	mustTrace(t)
	calls, err := st.calls()
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
