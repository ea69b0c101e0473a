package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"golang.org/x/sys/unix"
)

// family is works that are done one after another on the same trees by the
// same servers.
type family struct {
	name     string
	messages int
	sides    []side // all if nil
	links    bool   // trees of hard links: no work deletes a file
	durable  bool   // Dovecot with mail_fsync=always, as Postroom always does
	build    func(s *site) error
	works    []work
}

// work is one row of the table.
type work struct {
	name, title string
	sides       []side // the family's if nil
	rounds      int    // the run's if 0
	floor       *floor
	part        int // of how many messages it is; 0 is all: the floor's share
	judge       bounds
	prepare     func(s *site) error // before each round, not measured
	run         func(s *site) (sample, error)
}

// bounds are what the work must reach; 0 is no bound.
type bounds struct {
	cpu   float64 // Postroom's CPU by Dovecot's
	wall  float64 // Postroom's wall time by Dovecot's
	floor float64 // Postroom's CPU by the floor's
	most  time.Duration
	// figures judges values; they are rows of the second table.
	figures []figure
}

// figure is a value of its own kind.
type figure struct {
	key, title, unit string
	ratioLeast       float64 // Postroom's by Dovecot's at least
	most             float64 // Postroom's at most
}

// rig is one run of the program.
type rig struct {
	opt       options
	dir       string
	cert, key string // paths
	postroom  string // the binary
	owner     owner
	corpus    *corpus
	running   *running
	last      sample // of the side that ran last; for floorSend
	results   []*result

	perDelivery []float64 // Postroom's CPU in the smallest folder, ms; see work_push.go
}

// runFamily makes the trees, runs the works and takes all away.
func (r *rig) runFamily(f family, only *regexp.Regexp) (err error) {
	var works []work
	for _, w := range f.works {
		if only.MatchString(w.name + "/" + fmt.Sprint(f.messages)) {
			works = append(works, w)
		}
	}
	if len(works) == 0 {
		return nil
	}
	r.progress("%s, %d messages: making trees", f.name, f.messages)
	var sites []*site
	defer func() { err = errors.Join(err, r.clear(sites)) }()
	if f.sides == nil {
		f.sides = allSides
	}
	for _, sd := range r.opt.choose(f.sides) {
		s, err := r.newSite(sd, f.durable)
		if err != nil {
			return err
		}
		sites = append(sites, s)
		if f.build != nil {
			err = f.build(s)
		} else {
			err = r.corpus.fill(s.inbox(), f.messages, f.links)
		}
		if err != nil {
			return err
		}
		if err := s.start(); err != nil {
			return err
		}
	}
	for _, w := range works {
		if err := r.runWork(f, w, sites); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	return nil
}

// clear stops the servers of a family and deletes its trees.
func (r *rig) clear(sites []*site) error {
	var errs []error
	for _, s := range sites {
		errs = append(errs, s.stop())
		if !r.opt.keep {
			errs = append(errs, os.RemoveAll(s.dir))
		}
	}
	return errors.Join(append(errs, os.RemoveAll(filepath.Join(r.dir, "floor")))...)
}

// runWork does one work in rounds of all sides.
func (r *rig) runWork(f family, w work, sites []*site) error {
	rounds := w.rounds
	if rounds == 0 || rounds > r.opt.rounds {
		rounds = r.opt.rounds
	}
	var tree *floorTree
	if w.floor != nil {
		var err error
		if tree, err = r.newFloorTree(f.messages, w.part, f.links && !w.floor.fresh); err != nil {
			return err
		}
		defer os.RemoveAll(tree.dir)
	}
	res := &result{Work: w.name, Title: w.title, Messages: f.messages, bounds: w.judge, Sides: map[string]*series{}}
	if w.floor != nil {
		res.FloorName = w.floor.name
	}
	if err := r.settle(); err != nil {
		return err
	}
	for round := range rounds {
		r.progress("%s, %d messages: round %d of %d", w.name, f.messages, round+1, rounds)
		for _, s := range sites {
			if w.sides != nil && !has(w.sides, s.side) {
				continue
			}
			if err := r.oneRound(f, w, s, res); err != nil {
				return err
			}
		}
		if r.aborted() {
			return errAborted
		}
		if tree != nil {
			if err := floorRound(f, w, tree, res); err != nil {
				return err
			}
		}
	}
	r.results = append(r.results, res)
	for _, l := range res.lines() {
		r.progress("%s", l)
	}
	return nil
}

func has(sides []side, s side) bool {
	for _, t := range sides {
		if s == t {
			return true
		}
	}
	return false
}

func (r *rig) oneRound(f family, w work, s *site, res *result) error {
	if w.prepare != nil {
		if err := w.prepare(s); err != nil {
			return fmt.Errorf("%s, preparing: %w", s.side.name, err)
		}
	}
	if f.messages <= mostFiles { // beyond that only names are read
		if err := warm(s.inbox()); err != nil {
			return err
		}
	}
	got, err := w.run(s)
	if err != nil {
		return fmt.Errorf("%w\nlog of %s: %s", err, s.side.name, s.logTail())
	}
	r.last = got
	return res.add(s.side.name, got)
}

func floorRound(f family, w work, tree *floorTree, res *result) error {
	if w.floor.fresh && tree.turn > 0 {
		if err := tree.refill(f.messages, false); err != nil {
			return err
		}
		// A file that the disk has never seen is taken away for less.
		if err := tree.rig.settle(); err != nil {
			return err
		}
	}
	if err := warm(tree.dir); err != nil {
		return err
	}
	got, err := w.floor.run(tree)
	if err != nil {
		return fmt.Errorf("floor %s: %w", w.floor.name, err)
	}
	tree.turn++
	res.Floor.add(got)
	return nil
}

// settle lets the file system write what the preparation has left, so that it
// is not paid for in a round.
func (r *rig) settle() error {
	fd, err := unix.Open(r.dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Syncfs(fd)
}

func (r *rig) progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}
