// Package transcript runs protocol sessions that are written down as text.
//
// A script is read line by line. A line that begins with a session's name
// belongs to that session, which is connected when it is first named:
//
//	# a comment
//	file alice/Maildir/cur/1700000001.a:2,S
//		From: bob@example.org
//
//		Indented by a tab; an empty line stays empty.
//	A: S: * OK {{.*}}
//	A: C: a1 LOGIN alice secret
//	A: S~ a1 OK
//	B: C: ...
//
// What a session may do:
//
//	C: text     send text and CRLF
//	C- text     send text alone
//	S: pattern  the next line must match pattern, whole
//	S? pattern  this line and the S? lines around it come in any order
//	S~ pattern  skip lines up to one that matches
//	quiet 50ms  nothing comes for so long
//	starttls    do the handshake
//	connect     connect now
//	closed      the server closes, and sends nothing before
//	close       close the connection
//
// and what happens beside the sessions, to files below the root:
//
//	file NAME, append NAME, move FROM TO, remove NAME, mkdir NAME, sleep 50ms
//
// In a pattern {{re}} matches a regular expression and {{name=re}} also keeps
// what it matched; {{$name}} stands for it from then on, in C: lines as well.
// {{repeat n text}} in a C line stands for n times text, \xff for an octet. All else is literal.
package transcript

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Env is what a script runs against.
type Env struct {
	Root string                   // files lie below it
	Dial func() (net.Conn, error) // connects a session
	TLS  *tls.Config              // for starttls
	Wait time.Duration            // how long to wait for a line; 5 s if zero
	// Record, if set, receives the script with the server's lines as they
	// came, to be read before it is believed.
	Record io.Writer
}

// Run runs the script in the named file.
func Run(t testing.TB, file string, env Env) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if env.Wait == 0 {
		env.Wait = 5 * time.Second
	}
	r := &runner{t: t, env: env, sessions: make(map[string]*session), vars: make(map[string]string)}
	defer r.close()
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	for i := 0; i < len(lines); {
		n, err := r.step(lines[i:])
		if err != nil {
			t.Fatalf("%s:%d: %s\n\t%v%s", filepath.Base(file), i+1, lines[i], err, r.tail())
		}
		i += n
	}
}

type runner struct {
	t        testing.TB
	env      Env
	sessions map[string]*session
	vars     map[string]string
	log      []string
}

// session is one connection. A goroutine reads its lines; it ends with the
// connection.
type session struct {
	name  string
	conn  net.Conn
	lines chan string // closed at the end of the connection
	done  chan struct{}
}

var sessionLine = regexp.MustCompile(`^([A-Z][0-9]*): (C:|C-|S:|S\?|S~|quiet|starttls|connect|closed|close)(?: (.*))?$`)

// step runs the line at the head and tells how many it used.
func (r *runner) step(lines []string) (int, error) {
	line := lines[0]
	if strings.TrimSpace(line) == "" || line[0] == '#' {
		r.record(line)
		return 1, nil
	}
	m := sessionLine.FindStringSubmatch(line)
	if m == nil {
		return r.outside(lines)
	}
	s, err := r.session(m[1])
	if err != nil {
		return 0, err
	}
	if r.env.Record != nil && strings.HasPrefix(m[2], "S") {
		return 1, nil
	}
	if m[2] == "S?" {
		return r.anyOrder(s, lines)
	}
	r.record(line)
	return 1, r.act(s, m[2], m[3])
}

func (r *runner) act(s *session, verb, arg string) error {
	switch verb {
	case "C:", "C-":
		text, err := r.expand(arg)
		if err != nil {
			return err
		}
		r.note(s.name + " C: " + text)
		if verb == "C:" {
			text += "\r\n"
		}
		if _, err := io.WriteString(s.conn, text); err != nil {
			return err
		}
		if r.env.Record != nil {
			r.recordLines(s)
		}
	case "S:":
		line, err := r.next(s)
		if err != nil {
			return err
		}
		return r.match(arg, line)
	case "S~":
		for {
			line, err := r.next(s)
			if err != nil {
				return err
			}
			if r.match(arg, line) == nil {
				return nil
			}
		}
	case "quiet":
		d, err := time.ParseDuration(arg)
		if err != nil {
			return err
		}
		select {
		case line := <-s.lines:
			return fmt.Errorf("came: %s", line)
		case <-time.After(d):
		}
	case "starttls":
		return r.startTLS(s)
	case "closed":
		select {
		case line, ok := <-s.lines:
			if ok {
				return fmt.Errorf("came: %s", line)
			}
		case <-time.After(r.env.Wait):
			return errors.New("still open")
		}
	case "close":
		return s.conn.Close()
	}
	return nil
}

// anyOrder matches a run of S? lines of one session.
func (r *runner) anyOrder(s *session, lines []string) (int, error) {
	var want []string
	prefix := s.name + ": S? "
	for len(want) < len(lines) && strings.HasPrefix(lines[len(want)], prefix) {
		want = append(want, strings.TrimPrefix(lines[len(want)], prefix))
	}
	n := len(want)
next:
	for len(want) > 0 {
		line, err := r.next(s)
		if err != nil {
			return 0, err
		}
		for i, p := range want {
			if r.match(p, line) == nil {
				want = append(want[:i], want[i+1:]...)
				continue next
			}
		}
		return 0, fmt.Errorf("came: %s\n\twanted any of: %s", line, strings.Join(want, "\n\t"))
	}
	return n, nil
}

func (r *runner) next(s *session) (string, error) {
	select {
	case line, ok := <-s.lines:
		if !ok {
			return "", errors.New("connection closed")
		}
		r.note(s.name + " S: " + line)
		return line, nil
	case <-time.After(r.env.Wait):
		return "", errors.New("nothing comes")
	}
}

var octet = regexp.MustCompile(`\\x[0-9a-f]{2}`)

var hole = regexp.MustCompile(`\{\{(.*?)\}\}`)

// match compares line with pattern and keeps what {{name=re}} matched.
func (r *runner) match(pattern, line string) error {
	var b strings.Builder
	var names []string
	b.WriteString(`(?s)\A`)
	at := 0
	for _, m := range hole.FindAllStringSubmatchIndex(pattern, -1) {
		b.WriteString(regexp.QuoteMeta(pattern[at:m[0]]))
		inner := pattern[m[2]:m[3]]
		name, re, named := strings.Cut(inner, "=")
		switch {
		case strings.HasPrefix(inner, "$"):
			b.WriteString(regexp.QuoteMeta(r.vars[inner[1:]]))
		case named && regexp.MustCompile(`^\w+$`).MatchString(name):
			b.WriteString("(" + re + ")")
			names = append(names, name)
		default:
			b.WriteString("(?:" + inner + ")")
		}
		at = m[1]
	}
	b.WriteString(regexp.QuoteMeta(pattern[at:]) + `\z`)
	re, err := regexp.Compile(b.String())
	if err != nil {
		return err
	}
	got := re.FindStringSubmatch(line)
	if got == nil {
		return fmt.Errorf("came: %s", line)
	}
	for i, name := range names {
		r.vars[name] = got[i+1]
	}
	return nil
}

// expand fills the holes of a C line.
func (r *runner) expand(text string) (string, error) {
	var failed error
	out := hole.ReplaceAllStringFunc(text, func(h string) string {
		inner := h[2 : len(h)-2]
		if v, ok := r.vars[strings.TrimPrefix(inner, "$")]; ok && inner[0] == '$' {
			return v
		}
		var n int
		if rest, ok := strings.CutPrefix(inner, "repeat "); ok {
			count, what, _ := strings.Cut(rest, " ")
			var err error
			if n, err = strconv.Atoi(count); err == nil {
				return strings.Repeat(what, n)
			}
		}
		if r.env.Record == nil {
			failed = fmt.Errorf("%s means nothing", h)
		}
		return "0"
	})
	return octet.ReplaceAllStringFunc(out, func(x string) string {
		n, _ := strconv.ParseUint(x[2:], 16, 8)
		return string([]byte{byte(n)})
	}), failed
}

func (r *runner) session(name string) (*session, error) {
	if s := r.sessions[name]; s != nil {
		return s, nil
	}
	conn, err := r.env.Dial()
	if err != nil {
		return nil, err
	}
	s := &session{name: name, conn: conn}
	s.read()
	r.sessions[name] = s
	if r.env.Record != nil {
		r.recordLines(s)
	}
	return s, nil
}

func (s *session) read() {
	s.lines, s.done = make(chan string, 100000), make(chan struct{})
	go func(conn net.Conn, lines chan<- string, done chan<- struct{}) {
		defer close(done)
		in := bufio.NewReader(conn)
		for {
			line, err := in.ReadString('\n')
			if line != "" {
				lines <- strings.TrimRight(line, "\r\n")
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return // starttls takes over
			}
			if err != nil {
				close(lines)
				return
			}
		}
	}(s.conn, s.lines, s.done)
}

func (r *runner) startTLS(s *session) error {
	_ = s.conn.SetReadDeadline(time.Now()) // ends the reading goroutine
	<-s.done
	_ = s.conn.SetReadDeadline(time.Time{})
	c := tls.Client(s.conn, r.env.TLS)
	_ = c.SetDeadline(time.Now().Add(r.env.Wait))
	if err := c.Handshake(); err != nil {
		return err
	}
	_ = c.SetDeadline(time.Time{})
	s.conn = c
	s.read()
	return nil
}

func (r *runner) close() {
	for _, s := range r.sessions {
		_ = s.conn.Close()
		<-s.done
	}
}

func (r *runner) note(line string) {
	if len(line) > 300 {
		line = line[:300] + "..."
	}
	r.log = append(r.log, line)
}

// tail is what was said last, for a failure's message.
func (r *runner) tail() string {
	last := r.log[max(0, len(r.log)-12):]
	return "\nwhat was said last:\n\t" + strings.Join(last, "\n\t")
}
