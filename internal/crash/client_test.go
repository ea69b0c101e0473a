package crash

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// client is a bare IMAP client: it hides nothing of what the server says.
type client struct {
	conn net.Conn
	r    *bufio.Reader
	tag  int
	wire io.Writer // unless nil: what is said
}

// answer is what came in answer to one command.
type answer struct {
	status string // OK, NO or BAD
	text   string // what follows it
	lines  []resp // untagged
}

// resp is an untagged response as a list; strings are string, lists []any, NIL "NIL".
type resp []any

// errRefused is a tagged NO or BAD.
var errRefused = errors.New("refused")

const clientPatience = 30 * time.Second

func dial(addr string) (*client, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(clientPatience))
	c := &client{conn: conn, r: bufio.NewReader(conn)}
	_, err = c.r.ReadString('\n')
	return c, err
}

// login dials, logs in and enables QRESYNC.
func login(addr, user string) (*client, error) {
	c, err := dial(addr)
	if err != nil {
		return nil, err
	}
	if _, err = c.ok("LOGIN " + user + " secret"); err == nil {
		_, err = c.ok("ENABLE QRESYNC")
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *client) close() { c.conn.Close() }

// do sends a command and reads to its tagged response. An error means that the connection is no more.
func (c *client) do(command string) (answer, error) {
	c.tag++
	tag := "a" + strconv.Itoa(c.tag)
	c.conn.SetDeadline(time.Now().Add(clientPatience))
	c.say("%s %.200s\n", tag, command)
	if _, err := io.WriteString(c.conn, tag+" "+command+"\r\n"); err != nil {
		return answer{}, err
	}
	var a answer
	for {
		r, err := c.response()
		if err != nil {
			return a, err
		}
		c.say("%.300s\n", flat(r))
		switch first := r[0].(string); first {
		case "*":
			a.lines = append(a.lines, r[1:])
		case tag:
			a.status = strings.ToUpper(r[1].(string))
			a.text = flat(r[2:])
			return a, nil
		default:
			return a, fmt.Errorf("unexpected %q", flat(r))
		}
	}
}

func (c *client) say(format string, args ...any) {
	if c.wire != nil {
		fmt.Fprintf(c.wire, format, args...)
	}
}

// ok is do for commands that must succeed.
func (c *client) ok(command string) (answer, error) {
	a, err := c.do(command)
	if err == nil && a.status != "OK" {
		err = fmt.Errorf("%.60q: %w: %s %s", command, errRefused, a.status, a.text)
	}
	return a, err
}

// response reads one, with its literals, as a list.
func (c *client) response() (resp, error) {
	p := parser{r: c.r}
	out := p.list(0)
	if p.err == nil && len(out) < 2 {
		p.err = fmt.Errorf("odd response %v", out)
	}
	if p.err != nil {
		return nil, p.err
	}
	if _, ok := out[0].(string); !ok {
		return nil, fmt.Errorf("odd response %v", out)
	}
	return out, nil
}

// parser reads what servers say: atoms, quoted strings, literals, lists in ( and [.
type parser struct {
	r   *bufio.Reader
	err error
}

// list reads items up to end, which is ')', ']' or 0 for the end of the line.
func (p *parser) list(end byte) []any {
	var out []any
	for p.err == nil {
		b := p.byte()
		switch {
		case p.err != nil:
		case b == end && end != 0, b == '\n' && end == 0:
			return out
		case b == ' ' || b == '\r':
		case b == '(':
			out = append(out, p.list(')'))
		case b == '[':
			out = append(out, p.list(']'))
		case b == '"':
			out = append(out, p.quoted())
		case b == '{':
			out = append(out, p.literal())
		default:
			p.r.UnreadByte()
			out = append(out, p.atom())
		}
	}
	return out
}

func (p *parser) byte() byte {
	b, err := p.r.ReadByte()
	if err != nil && p.err == nil {
		p.err = err
	}
	return b
}

func (p *parser) quoted() string {
	var s []byte
	for p.err == nil {
		b := p.byte()
		if b == '"' {
			break
		}
		if b == '\\' {
			b = p.byte()
		}
		s = append(s, b)
	}
	return string(s)
}

func (p *parser) literal() string {
	size, err := p.r.ReadString('\n')
	n, aerr := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(size), "}"))
	if err = errors.Join(err, aerr); err != nil {
		p.err = err
		return ""
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(p.r, b); err != nil {
		p.err = err
	}
	return string(b)
}

// atom takes BODY[...] as one.
func (p *parser) atom() string {
	var s []byte
	for p.err == nil {
		b := p.byte()
		if len(s) > 0 && (strings.IndexByte(" \r\n()]", b) >= 0 || b == '[' && string(s) != "BODY") {
			p.r.UnreadByte()
			break
		}
		s = append(s, b)
		for b == '[' && p.err == nil {
			in := p.byte()
			s = append(s, in)
			if in == ']' {
				break
			}
		}
	}
	return string(s)
}

// flat writes a response as text again, roughly.
func flat(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case resp:
		return flat([]any(v))
	case []any:
		var parts []string
		for _, e := range v {
			if l, ok := e.([]any); ok {
				parts = append(parts, "("+flat(l)+")")
			} else {
				parts = append(parts, flat(e))
			}
		}
		return strings.Join(parts, " ")
	}
	return fmt.Sprint(v)
}

// code finds a response code, such as [UIDNEXT 4], in untagged OKs.
func (a answer) code(name string) (value string, ok bool) {
	for _, l := range a.lines {
		if len(l) < 2 || l[0] != "OK" {
			continue
		}
		if c, isList := l[1].([]any); isList && len(c) > 0 && c[0] == name {
			return flat(c[1:]), true
		}
	}
	return "", false
}

// number is code for numbers; 0 if it is not there.
func (a answer) number(name string) uint64 {
	v, _ := a.code(name)
	n, _ := strconv.ParseUint(v, 10, 64)
	return n
}

// tagged is the arguments of a code in the tagged response: COPYUID, APPENDUID.
func (a answer) tagged(name string) []string {
	i := strings.Index(a.text, "("+name+" ")
	if i < 0 {
		return nil
	}
	rest, _, _ := strings.Cut(a.text[i+1:], ")")
	return strings.Fields(rest)[1:]
}

// copyUID is the COPYUID code, in the tagged OK or, as for MOVE, before it.
func (a answer) copyUID() []string {
	if f := a.tagged("COPYUID"); f != nil {
		return f
	}
	v, _ := a.code("COPYUID")
	return strings.Fields(v)
}

// fetched is what FETCH told of one message.
type fetched struct {
	uid      uint32
	flags    set
	modSeq   uint64
	size     string
	date     string
	envelope string
	body     string
}

// fetches collects the FETCH responses by UID.
func (a answer) fetches() map[uint32]fetched {
	out := map[uint32]fetched{}
	for _, l := range a.lines {
		if len(l) != 3 || l[1] != "FETCH" {
			continue
		}
		items, _ := l[2].([]any)
		var f fetched
		for i := 0; i+1 < len(items); i += 2 {
			switch key, v := items[i], items[i+1]; key {
			case "UID":
				f.uid = uint32(number(flat(v)))
			case "FLAGS":
				f.flags = set{}
				for _, x := range v.([]any) {
					f.flags.add(flat(x))
				}
			case "MODSEQ":
				f.modSeq = number(flat(v))
			case "RFC822.SIZE":
				f.size = flat(v)
			case "INTERNALDATE":
				f.date = flat(v)
			case "ENVELOPE":
				f.envelope = flat(v)
			case "BODY[]":
				f.body = flat(v)
			}
		}
		if f.uid != 0 {
			out[f.uid] = f
		}
	}
	return out
}

// vanished collects the UIDs of VANISHED responses.
func (a answer) vanished() []uint32 {
	var out []uint32
	for _, l := range a.lines {
		if l[0] == "VANISHED" {
			out = append(out, uidSet(flat(l[len(l)-1]))...)
		}
	}
	return out
}

func number(s string) uint64 {
	n, _ := strconv.ParseUint(s, 10, 64)
	return n
}

// uidSet expands a sequence set; the sets of these tests are small.
func uidSet(s string) []uint32 {
	var out []uint32
	for part := range strings.SplitSeq(s, ",") {
		lo, hi, ranged := strings.Cut(part, ":")
		first := uint32(number(lo))
		last := first
		if ranged {
			last = uint32(number(hi))
		}
		if last < first {
			first, last = last, first
		}
		for u := first; u <= last && u != 0; u++ {
			out = append(out, u)
		}
	}
	return out
}

// set is a set of flags, compared without case; \Recent is no one's.
type set map[string]bool

func setOf(flags ...string) set {
	s := set{}
	for _, f := range flags {
		s.add(f)
	}
	return s
}

func (s set) add(flag string) {
	if f := strings.ToLower(flag); f != `\recent` {
		s[f] = true
	}
}

func (s set) clone() set {
	c := set{}
	for f := range s {
		c[f] = true
	}
	return c
}
