package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// options are the command line.
type options struct {
	dir    string
	sizes  []int // messages of the folders
	rounds int
	only   *regexp.Regexp
	sides  *regexp.Regexp
	keep   bool
	json   bool
	quick  bool
	seed   uint64
	nice   int
}

// choose leaves out the sides that are not wanted.
func (o options) choose(sides []side) []side {
	var out []side
	for _, s := range sides {
		if o.sides.MatchString(s.name) {
			out = append(out, s)
		}
	}
	return out
}

func main() {
	opt, err := parseOptions(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = wanted()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	debug.SetGCPercent(400)
	if err := run(opt); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parseOptions(args []string) (options, error) {
	var o options
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.StringVar(&o.dir, "dir", "", "make the trees below `DIR`, which has to be on the file system to be measured (default: the system's place for temporary files)")
	messages := fs.String("messages", "10000,100000,1000000", "sizes of the folders, `N,N...`; works beyond 100000 are those that are wanted at 1000000")
	fs.IntVar(&o.rounds, "rounds", 5, "rounds of each work; medians are compared")
	only := fs.String("only", "", "only works whose name/messages match `REGEXP`; --list shows them")
	sides := fs.String("sides", "", "only sides whose names match `REGEXP`")
	fs.BoolVar(&o.keep, "keep", false, "do not delete the trees at the end")
	fs.BoolVar(&o.json, "json", false, "print JSON with every round instead of tables")
	fs.BoolVar(&o.quick, "quick", false, "folders of 10,000 only, three rounds, fewer sessions and appends")
	fs.Uint64Var(&o.seed, "seed", 1, "of the mail that is made")
	fs.IntVar(&o.nice, "nice", 0, "`PRIORITY` of the servers and the clients alike, for machines that have other things to do")
	list := fs.Bool("list", false, "list the works and do none")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("what is %q? Everything is said by flags", fs.Arg(0))
	}
	set := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { set[f.Name] = true })
	if o.quick && !set["messages"] {
		*messages = "10000"
	}
	if o.quick && !set["rounds"] {
		o.rounds = 3
	}
	for f := range strings.SplitSeq(*messages, ",") {
		n, err := strconv.Atoi(f)
		if err != nil || n < 100 || n > 5_000_000 {
			return o, fmt.Errorf("--messages: %q is no number from 100 to 5000000", f)
		}
		o.sizes = append(o.sizes, n)
	}
	if o.rounds < 1 {
		return o, errors.New("--rounds: at least one is needed")
	}
	var err1, err2 error
	o.only, err1 = regexp.Compile(*only)
	o.sides, err2 = regexp.Compile(*sides)
	if err := errors.Join(err1, err2); err != nil {
		return o, err
	}
	if *list {
		listWorks(o)
		return o, flag.ErrHelp
	}
	return o, nil
}

// wanted says what the machine lacks.
func wanted() error {
	if _, err := os.Stat(dovecotPath); err != nil {
		return fmt.Errorf("%s is missing: apt-get install dovecot-imapd dovecot-pop3d", dovecotPath)
	}
	if _, err := exec.LookPath("go"); err != nil {
		return errors.New("go is missing: it builds what is measured")
	}
	if os.Geteuid() != 0 {
		return errors.New("it has to run as root: Dovecot does, and the servers are put into control groups")
	}
	return nil
}

// needFiles is for 10,000 connections and what else is open. Server and
// client are processes of their own.
const needFiles = 12_000

// manyFiles raises the limit of open files as far as it is allowed; servers inherit it.
func manyFiles() error {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return err
	}
	l.Cur = l.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("raising the limit of open files: %w", err)
	}
	if l.Max < needFiles {
		return fmt.Errorf("no more than %d files may be open and %d are needed: raise the hard limit (ulimit -Hn)", l.Max, needFiles)
	}
	return nil
}

// prioritize sets the priority of this process, all its threads, and those it starts.
func prioritize(nice int) error {
	if nice == 0 {
		return nil
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range tasks {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			return err
		}
		if err := unix.Setpriority(unix.PRIO_PROCESS, tid, nice); err != nil {
			return fmt.Errorf("setting the priority: %w", err)
		}
	}
	return nil
}

func run(opt options) (err error) {
	if err := manyFiles(); err != nil {
		return err
	}
	if err := prioritize(opt.nice); err != nil {
		return err
	}
	r, err := newRig(opt)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	m := newMachine(r.dir, opt.rounds)
	go func() { ended <- r.runAll() }()
	select {
	case err = <-ended:
	case s := <-signals:
		// With its servers gone the work that runs fails at once.
		r.abort()
		<-ended
		err = fmt.Errorf("ended by %v", s)
	}
	if len(r.results) > 0 {
		if opt.json {
			err = errors.Join(err, writeJSON(os.Stdout, m, r.results))
		} else {
			writeTables(os.Stdout, m, r.results)
		}
	}
	return errors.Join(err, r.close())
}

// newRig makes the directory of a run, and what all works need.
func newRig(opt options) (*rig, error) {
	o, err := mailOwner()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(opt.dir, "bench")
	if err != nil {
		return nil, err
	}
	r := &rig{opt: opt, dir: dir, owner: o, running: newRunning()}
	// The mail user has to get through.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, errors.Join(err, r.close())
	}
	if r.cert, r.key, err = certificate(dir); err != nil {
		return nil, errors.Join(err, r.close())
	}
	if r.postroom, err = buildPostroom(dir); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

// runAll runs every family. A work that fails is told, and the next family follows.
func (r *rig) runAll() error {
	largest := 0
	for _, n := range r.opt.sizes {
		largest = max(largest, min(n, mostFiles))
	}
	r.progress("making %d messages", largest)
	var err error
	if r.corpus, err = newCorpus(r.dir+"/corpus", r.owner, r.opt.seed, largest); err != nil {
		return err
	}
	var errs []error
	for _, f := range families(r.opt) {
		if r.aborted() {
			break
		}
		if err := r.runFamily(f, r.opt.only); err != nil {
			r.progress("%s, %d messages, failed: %v", f.name, f.messages, err)
			errs = append(errs, fmt.Errorf("%s: %w", f.name, err))
		}
	}
	return errors.Join(errs...)
}

// close deletes the directory; the servers are stopped by then.
func (r *rig) close() error {
	if r.opt.keep {
		r.progress("kept: %s", r.dir)
		return nil
	}
	return os.RemoveAll(r.dir)
}
