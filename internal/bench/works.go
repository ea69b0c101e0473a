package main

import "fmt"

// mostFiles is how many files are made; folders that are larger have several
// names for each of them.
const mostFiles = 100_000

// Users of the works with idle connections.
const idleUsers = 1000

func idleUser(i int) string { return fmt.Sprintf("u%04d", i) }

// families lists all works, in the order in which they are run.
func families(o options) []family {
	var out []family
	for _, n := range o.sizes {
		out = append(out, selectFamily(n))
		if n > mostFiles {
			continue
		}
		out = append(out, fetchFamily(n))
	}
	return out
}

func listWorks(o options) {
	for _, f := range families(o) {
		for _, w := range f.works {
			fmt.Printf("%s/%d\t%s\n", w.name, f.messages, w.title)
		}
	}
}

// ptr is for the floors, of which a work has one or none.
func ptr[T any](v T) *T { return &v }
