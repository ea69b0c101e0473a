package imapd

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// view is a mailbox as one client knows it from what it was told: UIDs by
// sequence number, 0 where the UID is not known yet.
type view struct {
	uids []uint32
	told map[uint32]bool // every UID that had a number, and whether it still has one
}

// take applies one untagged line and finds what no client may be told.
func (v *view) take(line, command string) error {
	w := strings.Fields(line)
	if len(w) < 3 || w[0] != "*" {
		return nil
	}
	n, err := strconv.Atoi(w[1])
	if err != nil {
		return nil
	}
	switch w[2] {
	case "EXISTS":
		if n < len(v.uids) {
			return fmt.Errorf("EXISTS %d after %d", n, len(v.uids))
		}
		v.uids = append(v.uids, make([]uint32, n-len(v.uids))...)
	case "EXPUNGE":
		if strings.HasPrefix(command, "FETCH") || strings.HasPrefix(command, "STORE") || strings.HasPrefix(command, "SEARCH") {
			return fmt.Errorf("EXPUNGE during %s", command)
		}
		if n < 1 || n > len(v.uids) {
			return fmt.Errorf("EXPUNGE %d of %d", n, len(v.uids))
		}
		if uid := v.uids[n-1]; uid != 0 {
			v.told[uid] = false
		}
		v.uids = append(v.uids[:n-1], v.uids[n:]...)
	case "FETCH":
		if n < 1 || n > len(v.uids) {
			return fmt.Errorf("FETCH %d of %d", n, len(v.uids))
		}
		i := strings.Index(line, "UID ")
		if i < 0 {
			return nil
		}
		uid64, _ := strconv.ParseUint(strings.FieldsFunc(line[i+4:], func(r rune) bool { return r == ' ' || r == ')' })[0], 10, 32)
		uid := uint32(uid64)
		switch known := v.uids[n-1]; {
		case known == 0:
			if there, seen := v.told[uid]; seen {
				return fmt.Errorf("UID %d comes again (it was expunged: %v)", uid, !there)
			}
			v.uids[n-1], v.told[uid] = uid, true
		case known != uid:
			return fmt.Errorf("message %d has UID %d, it had %d", n, uid, known)
		}
	}
	return nil
}

// Many sessions change one mailbox at once, and each holds what it is told
// against what it was told before: numbers and UIDs agree all the time.
func TestManySessions(t *testing.T) {
	s := startServer(t, nil)
	for i := range 30 {
		s.deliver(t, "alice", fmt.Sprintf("17000000%02d.a", i), 100)
	}
	rounds := 120
	if testing.Short() {
		rounds = 30
	}
	var group sync.WaitGroup
	for n := range 6 {
		c := s.login(t, "alice")
		group.Go(func() { manySession(c, rand.New(rand.NewPCG(uint64(n), 1)), rounds) })
	}
	group.Wait()
}

func manySession(c *client, rnd *rand.Rand, rounds int) {
	v := &view{told: make(map[uint32]bool)}
	run := func(command string) bool {
		lines, end := c.try(command)
		for _, l := range lines {
			if err := v.take(l, command); err != nil {
				c.t.Errorf("%s: %q: %v", command, l, err)
				return false
			}
		}
		if !strings.HasPrefix(end, "x OK") && !strings.Contains(end, "EXPUNGEISSUED") {
			c.t.Errorf("%s: %s (the client knows %d messages)", command, end, len(v.uids))
			return false
		}
		return true
	}
	if !run("SELECT INBOX") || !run("NOOP") {
		return
	}
	for range rounds {
		command := "NOOP"
		some := 0
		if len(v.uids) > 0 {
			some = 1 + rnd.IntN(len(v.uids))
		}
		switch k := rnd.IntN(10); {
		case k == 0:
			command = "APPEND INBOX {18+}\r\nSubject: x\r\n\r\nabc\r\n"
			command = strings.Replace(command, "{18+}", "{"+strconv.Itoa(len("Subject: x\r\n\r\nabc"))+"+}", 1)
			command = strings.TrimSuffix(command, "\r\n")
		case some == 0 || k == 1:
		case k == 2:
			command = fmt.Sprintf(`STORE %d +FLAGS (\Deleted)`, some)
		case k == 3:
			command = fmt.Sprintf(`STORE %d:* -FLAGS.SILENT (\Seen)`, some)
		case k == 4:
			command = "EXPUNGE"
		case k == 5:
			command = fmt.Sprintf("COPY %d INBOX", some)
		case k == 6:
			command = fmt.Sprintf("UID FETCH %d:* (FLAGS)", max(v.uids[some-1], 1))
		case k == 7:
			command = "SEARCH DELETED"
		case k == 8:
			command = fmt.Sprintf("FETCH %d (UID BODY[]<0.1>)", some)
		default:
			command = "FETCH 1:* (UID FLAGS)"
		}
		if !run(command) {
			return
		}
	}
}
