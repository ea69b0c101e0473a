package message

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Dovecot's imap process serves one connection on its standard input and
// output, already logged in, without a master: no port, no privilege. It
// never runs as root.
const (
	dovecotIMAP = "/usr/lib/dovecot/imap"
	nobody      = 65534
	firstName   = 1000000000
)

// dovecot is a connection to a Dovecot whose INBOX holds given messages.
type dovecot struct {
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Reader
	cmd *exec.Cmd

	number []int // sequence numbers of the messages given
}

// haveDovecot skips or fails the test where there is no Dovecot to ask.
func haveDovecot(t *testing.T) {
	t.Helper()
	lack := ""
	if _, err := os.Stat(dovecotIMAP); err != nil {
		lack = "no " + dovecotIMAP + " (Debian package dovecot-imapd)"
	} else if os.Getuid() != 0 {
		lack = "cannot run Dovecot as another user: not root"
	}
	if lack == "" {
		return
	}
	if os.Getenv("POSTROOM_SKIP_DOVECOT") == "" {
		t.Fatalf("%s; set POSTROOM_SKIP_DOVECOT=1 to do without the comparison", lack)
	}
	t.Skipf("NOT COMPARED with Dovecot: %s", lack)
}

// dovecotDir makes a folder with a Maildir and a configuration.
func dovecotDir(t *testing.T, msgs [][]byte) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "postroom-message")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, d := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, "Maildir", d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for i, b := range msgs {
		name := filepath.Join(dir, "Maildir/cur", fmt.Sprintf("%d.x:2,S", firstName+i))
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	conf := fmt.Sprintf("base_dir = %[1]s/run\nstate_dir = %[1]s/state\nlog_path = %[1]s/log\nssl = no\n"+
		"mail_location = maildir:%[1]s/Maildir\nfirst_valid_uid = 1\n", dir)
	if err := os.WriteFile(filepath.Join(dir, "dovecot.conf"), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := exec.Command("chown", "-R", strconv.Itoa(nobody), dir).Run(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func startDovecot(t *testing.T, msgs [][]byte) *dovecot {
	t.Helper()
	dir := dovecotDir(t, msgs)
	d := &dovecot{t: t}
	d.cmd = exec.Command(dovecotIMAP, "-c", filepath.Join(dir, "dovecot.conf"))
	d.cmd.Env = []string{"USER=nobody", "HOME=" + dir}
	d.cmd.Dir = dir
	d.cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: nobody, Gid: nobody, NoSetGroups: false},
		Pdeathsig:  syscall.SIGKILL,
	}
	var log bytes.Buffer
	d.cmd.Stderr = &log
	var err error
	if d.in, err = d.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	d.out = bufio.NewReaderSize(out, 1<<20)
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.in.Close()
		d.cmd.Process.Kill()
		d.cmd.Wait()
		if t.Failed() {
			more, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Logf("Dovecot said:\n%.4000s%.4000s", log.String(), more)
		}
	})
	d.line() // greeting
	d.send("S SELECT INBOX")
	for !strings.HasPrefix(d.line(), "S OK") {
	}
	// Which message has which number is Dovecot's to choose; X-GUID is the
	// file's base name.
	d.number = make([]int, len(msgs))
	for i := range msgs {
		d.send(fmt.Sprintf("N FETCH %d X-GUID", i+1))
		guid := d.fetch("N")["X-GUID"]
		n, err := strconv.Atoi(strings.TrimSuffix(strings.Trim(guid, `"`), ".x"))
		if err != nil {
			t.Fatalf("X-GUID %s", guid)
		}
		d.number[n-firstName] = i + 1
	}
	return d
}

func (d *dovecot) send(s string) {
	if _, err := io.WriteString(d.in, s+"\r\n"); err != nil {
		d.t.Errorf("to Dovecot: %v", err)
	}
}

// line reads up to a line end; literals are for value to read.
func (d *dovecot) line() string {
	s, err := d.out.ReadString('\n')
	if err != nil {
		d.t.Fatalf("from Dovecot: %v after %q", err, s)
	}
	return s
}

// fetch reads the answer to one FETCH: item names and their values.
func (d *dovecot) fetch(tag string) map[string]string {
	items := map[string]string{}
	for {
		b, err := d.out.Peek(2)
		if err != nil {
			d.t.Fatalf("from Dovecot: %v", err)
		}
		if string(b) != "* " {
			l := d.line()
			if !strings.HasPrefix(l, tag+" OK") {
				items["error"] = l
			}
			return items
		}
		d.word() // *
		d.word() // number
		if w := d.word(); w != "FETCH" {
			items["untagged"] = w + " " + d.line()
			continue
		}
		d.byte() // (
		for {
			key := d.key()
			items[key] = value(d.t, d.out)
			if d.byte() == ')' {
				break
			}
		}
		d.line()
	}
}

func (d *dovecot) byte() byte {
	c, err := d.out.ReadByte()
	if err != nil {
		d.t.Fatalf("from Dovecot: %v", err)
	}
	return c
}

func (d *dovecot) word() string {
	s, err := d.out.ReadString(' ')
	if err != nil {
		d.t.Fatalf("from Dovecot: %v after %q", err, s)
	}
	return s[:len(s)-1]
}

// key reads an item's name, which may hold spaces in brackets.
func (d *dovecot) key() string {
	var b []byte
	for depth := 0; ; {
		c := d.byte()
		switch {
		case c == '[':
			depth++
		case c == ']':
			depth--
		case c == ' ' && depth == 0:
			return string(b)
		}
		b = append(b, c)
	}
}

// value reads any value of an answer and writes it in one form, whether it
// came quoted or as a literal: NIL, number, "string", (list).
func value(t *testing.T, r *bufio.Reader) string {
	var b strings.Builder
	appendValue(t, r, &b)
	return b.String()
}

func appendValue(t *testing.T, r *bufio.Reader, b *strings.Builder) {
	must := func(c byte, err error) byte {
		if err != nil {
			t.Fatalf("value ends early: %v after %q", err, b.String())
		}
		return c
	}
	switch c := must(r.ReadByte()); c {
	case '(':
		b.WriteByte('(')
		for i := 0; ; i++ {
			switch c := must(r.ReadByte()); c {
			case ')':
				b.WriteByte(')')
				return
			case ' ':
			default:
				must(0, r.UnreadByte())
			}
			if i > 0 {
				b.WriteByte(' ')
			}
			appendValue(t, r, b)
		}
	case '"':
		var s []byte
		for c := must(r.ReadByte()); c != '"'; c = must(r.ReadByte()) {
			if c == '\\' {
				c = must(r.ReadByte())
			}
			s = append(s, c)
		}
		b.WriteString(strconv.Quote(string(s)))
	case '{', '~':
		n, err := r.ReadString('\n')
		must(0, err)
		size, err := strconv.Atoi(strings.Trim(n, "{}\r\n"))
		must(0, err)
		s := make([]byte, size)
		_, err = io.ReadFull(r, s)
		must(0, err)
		b.WriteString(strconv.Quote(string(s)))
	default:
		b.WriteByte(c)
		for {
			c, err := r.ReadByte()
			if err == io.EOF {
				return
			}
			must(c, err)
			if c == ' ' || c == ')' || c == '\r' {
				must(0, r.UnreadByte())
				return
			}
			b.WriteByte(c)
		}
	}
}
