package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// pss sums the proportional set sizes, in octets, of the processes given.
// Those that ended meanwhile count nothing.
func pss(pids []int) (int64, error) {
	var sum int64
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			continue
		}
		kib, ok := rollupPss(string(b))
		if ok {
			sum += kib << 10
		}
	}
	if sum == 0 {
		return 0, fmt.Errorf("no Pss of the %d processes could be read", len(pids))
	}
	return sum, nil
}

// rollupPss finds the Pss line of a smaps_rollup, in KiB. A process that is
// ending has an empty one.
func rollupPss(text string) (kib int64, ok bool) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 3 && f[0] == "Pss:" {
			n, err := strconv.ParseInt(f[1], 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
