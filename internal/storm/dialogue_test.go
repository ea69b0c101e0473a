package storm

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// dialogue keeps what mbsync said to a server, and did with the answers, for a judge who
// wants to know why. It belongs to the goroutine that runs mbsync, then to the judge.
type dialogue struct {
	dir  string
	runs int
	// expunged holds, by folder, the UIDs of pairs that mbsync gave up: it had seen \Deleted at the
	// server or set it itself, and takes the message for expunged once CLOSE is answered.
	expunged map[string][]uint32
}

func (st *storm) newDialogue(name string) *dialogue {
	d := &dialogue{dir: filepath.Join(st.site.dir, name), expunged: map[string][]uint32{}}
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		st.t.Fatal(err)
	}
	return d
}

// What mbsync -Ds says: which box, and that it forgets a pair whose far side has the UID.
var (
	saysBox    = regexp.MustCompile(`^Opening far side box (.+)\.\.\.$`)
	saysGiveUp = regexp.MustCompile(`log: - ([1-9][0-9]*) [0-9]+ \(killing\)$`)
)

// keep notes a run.
func (d *dialogue) keep(out []byte, end error) error {
	d.runs++
	box := ""
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		if m := saysBox.FindStringSubmatch(line); m != nil {
			box = m[1]
		} else if m := saysGiveUp.FindStringSubmatch(line); m != nil {
			if uid, err := strconv.ParseUint(m[1], 10, 32); err == nil {
				d.expunged[box] = append(d.expunged[box], uint32(uid))
			}
		}
	}
	f, err := os.Create(filepath.Join(d.dir, fmt.Sprintf("%05d.gz", d.runs)))
	if err != nil {
		return err
	}
	defer f.Close()
	z := gzip.NewWriter(f)
	fmt.Fprintf(z, "%sended %s: %v\n", out, time.Now().Format(time.StampMicro), end)
	return z.Close()
}

// about gives the lines of the last runs in which a UID stands, of any folder.
func (d *dialogue) about(uid uint32) (lines []string) {
	const most = 60
	word := regexp.MustCompile(`\b` + strconv.FormatUint(uint64(uid), 10) + `\b`)
	for run := 1; run <= d.runs; run++ {
		for _, line := range d.linesOf(run) {
			if word.MatchString(line) {
				lines = append(lines, fmt.Sprintf("run %d: %.200s", run, line))
			}
		}
	}
	return lines[max(0, len(lines)-most):]
}

func (d *dialogue) linesOf(run int) []string {
	f, err := os.Open(filepath.Join(d.dir, fmt.Sprintf("%05d.gz", run)))
	if err != nil {
		return nil
	}
	defer f.Close()
	z, err := gzip.NewReader(bufio.NewReader(f))
	if err != nil {
		return nil
	}
	text, _ := io.ReadAll(z)
	return strings.Split(string(text), "\n")
}
