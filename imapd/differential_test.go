package imapd

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	sequences    = flag.Int("dovecot.n", 12, "sequences of commands to compare with Dovecot")
	sequenceSeed = flag.Uint64("dovecot.seed", 1, "seed of the first of them")
	sequenceLen  = flag.Int("dovecot.len", 60, "commands in one sequence")
)

// commandMails are well-formed; internal/message compares what is not. All have
// a Date: Dovecot takes one that is missing for 1970, we for none.
var commandMails = []string{
	"From: Bob <bob@example.org>\nTo: alice@example.org\nSubject: one\nDate: Tue, 14 Nov 2023 22:13:21 +0000\nMessage-ID: <1@example.org>\n\nHello,\nthis is one.\n",
	"From: carol@example.org\nTo: alice@example.org, bob@example.org\nCc: dan@example.org\nSubject: two three\nDate: Wed, 15 Nov 2023 01:00:00 +0300\nMIME-Version: 1.0\n" +
		"Content-Type: multipart/mixed; boundary=x\n\npreamble\n--x\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\nb=C3=BCro=\n part\n--x\n" +
		"Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\nAAECAwQFBgcICQ==\n--x--\nepilogue\n",
	"From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\nSubject: =?iso-8859-1?q?b=FCro?=\nDate: Wed, 15 Nov 2023 23:00:00 -0500\nMIME-Version: 1.0\nContent-Type: message/rfc822\n\n" +
		"From: inner@example.org\nSubject: inner one\nContent-Type: multipart/alternative; boundary=\"y\"\n\n--y\n\ntext of y\n--y\nContent-Type: text/html\n\n<p>text</p>\n--y--\n",
	"From: eve@example.org\nX-Odd: one\n  folded\nSubject: odd\nDate: 15 Nov 2023 12:00:00 GMT\n\n" + "a line of some length that repeats itself\na line of some length that repeats itself\n",
	"Date: Thu, 16 Nov 2023 12:00:00 +0000\nSubject: only a header\n\n",
	"From: a@example.org\nDate: Tue, 14 Nov 2023 12:00:00 +0000\nBcc: hidden@example.org\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/related; boundary=b\n\n--b\n\nfirst\n--b\nContent-Type: image/png\nContent-Transfer-Encoding: base64\nContent-Disposition: inline; filename=x.png\n\niVBORw0KGgo=\n--b--\n--a\nContent-Type: message/rfc822\n\nSubject: deep\n\ndeep text\n--a--\n",
}

// makeTree writes the same tree every time, with UIDs given.
func makeTree(t *testing.T, root string) {
	t.Helper()
	for i, folder := range []string{"", ".Work", ".Work.Deep", ".Empty", ".A B", ".&AOQ-x", ".Store"} {
		dir := filepath.Join(root, folder)
		makeFolder(t, dir)
		count := []int{9, 4, 2, 0, 1, 1, 3}[i]
		list := fmt.Sprintf("3 V%d N%d G%032x\n", 1700000000+i, 2*count+1, i+1)
		for n := range count {
			name := fmt.Sprintf("17000000%02d.M%dP1.x", n, i)
			list += fmt.Sprintf("%d :%s\n", 2*n+1, name)
			path := filepath.Join(dir, "cur", name+":2,"+[]string{"", "S", "F", "RS", "", "T", "D"}[(n+i)%7])
			write(t, path, commandMails[(n+i)%len(commandMails)])
			at := time.Date(2023, 11, 14+n%3, 5*n%24, 13, n, 0, time.UTC)
			if err := os.Chtimes(path, at, at); err != nil {
				t.Fatal(err)
			}
		}
		write(t, filepath.Join(dir, "dovecot-uidlist"), list)
		if folder != "" {
			write(t, filepath.Join(dir, "maildirfolder"), "")
		}
	}
	write(t, filepath.Join(root, "subscriptions"), "V\t2\n\nINBOX\nWork\tDeep\nGone\n")
}

func makeFolder(t *testing.T, dir string) {
	t.Helper()
	for _, d := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// pair is the same session with both servers.
type pair struct {
	t      *testing.T
	us, it *side
	dir    string // Dovecot's
	said   []string
	wrong  bool
	copied bool // a COPY or MOVE was done
}

// startPair begins it on two equal trees.
func startPair(t *testing.T, fill func(t *testing.T, root string)) *pair {
	t.Helper()
	ours, theirs := t.TempDir(), ""
	var err error
	if theirs, err = os.MkdirTemp("", "postroom-imapd"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(theirs) })
	fill(t, filepath.Join(ours, "alice", "Maildir"))
	fill(t, filepath.Join(theirs, "Maildir"))
	return &pair{t: t, dir: theirs, us: newPostroom(t, ours), it: startDovecot(t, theirs)}
}

// run runs a command on both sides and compares what they say.
func (p *pair) run(command string) *reply {
	p.t.Helper()
	p.said = append(p.said, command)
	a := p.us.read(p.t, p.us.run(p.t, command))
	b := p.it.read(p.t, p.it.run(p.t, command))
	p.copied = p.copied || isVerb(command, "COPY", "MOVE") || isVerb(command, "APPEND") && strings.Contains(command, " (")
	if p.copied {
		a.noRecent()
		b.noRecent()
	}
	for _, d := range onPurpose {
		d.level(strings.ToUpper(command), a, b)
	}
	ours, theirs := a.texts(), b.texts()
	if slices.Equal(ours, theirs) {
		return a
	}
	p.wrong = true
	var diff []string
	for _, l := range ours {
		if !slices.Contains(theirs, l) {
			diff = append(diff, fmt.Sprintf("Postroom only: %.600q", l))
		}
	}
	for _, l := range theirs {
		if !slices.Contains(ours, l) {
			diff = append(diff, fmt.Sprintf("Dovecot only:  %.600q", l))
		}
	}
	if len(diff) == 0 {
		diff = append(diff, fmt.Sprintf("Postroom: %.600q", ours), fmt.Sprintf("Dovecot: %.600q", theirs))
	}
	p.t.Errorf("%.300q:\n\t%s", command, strings.Join(diff, "\n\t"))
	return a
}

// mark notes what either side says now of the selected mailbox: its UIDVALIDITY,
// its highest MODSEQ and one above that, for later commands.
func (p *pair) mark(box string, n int) {
	for _, s := range []*side{p.us, p.it} {
		next, err := strconv.ParseUint(s.modSeq, 10, 64)
		if err != nil {
			p.t.Fatalf("%s: HIGHESTMODSEQ %q", s.name, s.modSeq)
		}
		s.marks[box+"V"] = s.validity
		s.marks[fmt.Sprint(box, n)] = s.modSeq
		s.marks[fmt.Sprint(box, n, "+")] = strconv.FormatUint(next+1, 10)
	}
}

// TestDifferentialDovecot sends the same commands to Dovecot and compares all
// that is answered.
func TestDifferentialDovecot(t *testing.T) {
	haveDovecot(t)
	for n := range *sequences {
		seed := *sequenceSeed + uint64(n)
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			compareSequence(t, seed)
		})
	}
}

func compareSequence(t *testing.T, seed uint64) {
	p := startPair(t, makeTree)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the last commands:\n\t%.6000s", strings.Join(p.said[max(0, len(p.said)-12):], "\n\t"))
		}
	})
	g := &commandGen{Rand: rand.New(rand.NewPCG(seed, 0)), marks: make(map[string]int)}
	switch seed % 3 {
	case 1:
		g.condstore = true
		p.run("ENABLE CONDSTORE")
	case 2:
		g.condstore, g.qresync = true, true
		p.run("ENABLE QRESYNC")
	}
	for range *sequenceLen {
		command := g.next()
		if g.box == "" {
			command = g.open()
		}
		r := p.run(command)
		words := strings.Fields(command)
		verb := words[0]
		switch {
		case p.wrong || r.kind == "BYE" || t.Failed():
			return
		case (verb == "SELECT" || verb == "EXAMINE") && r.kind == "OK":
			g.box, g.readOnly = words[1], verb == "EXAMINE"
		case verb == "SELECT" || verb == "EXAMINE" || verb == "CLOSE" || verb == "UNSELECT":
			g.box = ""
		}
		g.count, g.last = p.us.count, max(2*p.us.count, g.last)
		if (g.box == "INBOX" || g.box == "Work") && g.condstore && g.chance(8) {
			p.run("NOOP")
			p.run("STATUS " + g.box + " (HIGHESTMODSEQ)")
			p.mark(g.box, g.marks[g.box])
			g.marks[g.box]++
		}
	}
}
