package main

import "testing"

func TestOptions(t *testing.T) {
	o, err := parseOptions([]string{"--quick"})
	if err != nil || len(o.sizes) != 1 || o.sizes[0] != 10000 || o.rounds != 3 {
		t.Errorf("--quick: %+v, %v", o, err)
	}
	o, err = parseOptions([]string{"--quick", "--messages", "500,20000", "--rounds", "1"})
	if err != nil || len(o.sizes) != 2 || o.sizes[1] != 20000 || o.rounds != 1 {
		t.Errorf("sizes and rounds: %+v, %v", o, err)
	}
	for _, args := range [][]string{{"--messages", "x"}, {"--messages", "1"}, {"--rounds", "0"}, {"--only", "("}, {"more"}, {"--dir"}} {
		if _, err := parseOptions(args); err == nil {
			t.Errorf("%q passes", args)
		}
	}
}

// TestWorks: every name is there once for each size, so that --only can tell them.
func TestWorks(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range families(options{sizes: []int{10000, 100000, 1000000}}) {
		for _, w := range f.works {
			key := w.name + "/" + count(f.messages)
			if seen[key] {
				t.Errorf("%s is there twice", key)
			}
			seen[key] = true
			if w.run == nil || w.title == "" {
				t.Errorf("%s is not complete", key)
			}
		}
	}
	for _, want := range []string{"select-warm/1,000,000", "push/1,000,000", "push/1,000", "open/1,000,000", "store/100,000", "expunge/10,000"} {
		if !seen[want] {
			t.Errorf("%s is missing", want)
		}
	}
}
