package imapd

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
)

// Commands that are sent without waiting, also ambiguous ones (RFC 9051 section
// 5.5), run in their order. Other sessions expunge and append meanwhile, and no
// number moves during a FETCH, STORE or SEARCH of numbers.
func TestPipelines(t *testing.T) {
	s := startServer(t, nil)
	for i := range 40 {
		s.deliver(t, "alice", fmt.Sprintf("17000000%02d.a", i), 100)
	}
	rounds := 40
	if testing.Short() {
		rounds = 15
	}
	var group sync.WaitGroup
	for n := range 4 {
		c := s.login(t, "alice")
		group.Go(func() { pipelines(c, rand.New(rand.NewPCG(uint64(n), 2)), rounds) })
	}
	group.Wait()
}

func pipelines(c *client, rnd *rand.Rand, rounds int) {
	v := &view{told: make(map[uint32]bool)}
	if !c.pipeline(v, []string{"SELECT INBOX", "FETCH 1:* (UID)"}) {
		return
	}
	for range rounds {
		batch := []string{"NOOP"}
		for range 1 + rnd.IntN(8) {
			// The client does not know what is left when its command runs.
			n := 1 + rnd.IntN(max(len(v.uids), 1))
			batch = append(batch, []string{
				fmt.Sprintf("FETCH %d (FLAGS)", n), fmt.Sprintf("FETCH %d:* (UID FLAGS)", n), "FETCH 1:* (UID)",
				fmt.Sprintf(`STORE %d +FLAGS (\Deleted)`, n), fmt.Sprintf(`STORE %d FLAGS.SILENT ()`, n),
				"EXPUNGE", "SEARCH DELETED", "NOOP", fmt.Sprintf("COPY %d INBOX", n), "APPEND INBOX {5+}\r\nx: y\n",
			}[rnd.IntN(10)])
		}
		if !c.pipeline(v, append(batch, "NOOP", "UID FETCH 1:* (FLAGS)")) {
			return
		}
	}
}

// pipeline sends commands at once, and holds each response against the command
// that it precedes the end of.
func (c *client) pipeline(v *view, commands []string) bool {
	var all strings.Builder
	for i, command := range commands {
		fmt.Fprintf(&all, "p%d %s\r\n", i, command)
	}
	c.send(all.String())
	for i, command := range commands {
		for {
			line := c.line()
			if end, ok := strings.CutPrefix(line, fmt.Sprintf("p%d ", i)); ok {
				// Of fewer messages than the client knew a number may be too high.
				if !strings.HasPrefix(end, "OK") && !strings.Contains(end, "EXPUNGEISSUED") && !strings.Contains(end, "No message has that number") {
					c.t.Errorf("%s: %s", command, end)
					return false
				}
				break
			}
			if !strings.HasPrefix(line, "* ") {
				c.t.Errorf("during %s: %s", command, line)
				return false
			}
			if err := v.take(line, command); err != nil {
				c.t.Errorf("%s in %q: %q: %v", command, commands, line, err)
				return false
			}
		}
	}
	return true
}
