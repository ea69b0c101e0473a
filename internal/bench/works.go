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
	out := []family{pushFamily(smallFolder)}
	for _, n := range o.sizes {
		out = append(out, selectFamily(n), pushFamily(n), openFamily(n))
		if n > mostFiles {
			continue
		}
		out = append(out, readFamily(n), changeFamily(n), appendFamily(n, o), sessionFamily(n, o), webFamily(n))
		if n <= touched {
			out = append(out, takeFamily(n))
		}
		out = append(out, mixedFamily(n, o), besideFamily(n))
	}
	for _, tls := range []bool{false, true} {
		out = append(out, idleFamily(tls))
	}
	return append(out, sharingFamily())
}

func listWorks(o options) {
	for _, f := range families(o) {
		for _, w := range f.works {
			fmt.Printf("%s/%d\t%s\n", w.name, f.messages, w.title)
		}
	}
}
