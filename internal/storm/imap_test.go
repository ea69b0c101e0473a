package storm

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

// patience bounds every answer. It is above what Dovecot waits for its locks.
const patience = 4 * time.Minute

var errBye = errors.New("BYE")

// imapConn is one connection, and a reader of responses that knows no more than their grammar.
type imapConn struct {
	net.Conn
	r     *bufio.Reader
	tag   int
	trace []string // the last lines in both directions
}

// maxTrace is how many lines are kept to explain a fault.
const maxTrace = 30

func (c *imapConn) note(format string, args ...any) {
	if len(c.trace) >= 2*maxTrace {
		c.trace = append(c.trace[:0], c.trace[maxTrace:]...)
	}
	c.trace = append(c.trace, time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
}

// response is one line with its literals. What follows OK, NO, BAD, BYE or + is text.
type response struct {
	tag   string
	items []any // string or []any
	text  string
}

func (r *response) word(i int) string {
	if i < len(r.items) {
		s, _ := r.items[i].(string)
		return s
	}
	return ""
}

func dialIMAP(addr string) (*imapConn, error) {
	nc, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	c := &imapConn{Conn: nc, r: bufio.NewReaderSize(nc, 32<<10)}
	c.SetDeadline(time.Now().Add(patience))
	if r, err := c.read(); err != nil || r.word(0) != "OK" {
		nc.Close()
		return nil, fmt.Errorf("greeting: %v, %w", r, err)
	}
	return c, nil
}

// send sends a command.
func (c *imapConn) send(cmd string) (tag string, err error) {
	c.tag++
	tag = "t" + strconv.Itoa(c.tag)
	c.SetDeadline(time.Now().Add(patience))
	c.note("C %.120s", cmd)
	_, err = io.WriteString(c, tag+" "+cmd+"\r\n")
	return tag, err
}

// read reads one response.
func (c *imapConn) read() (*response, error) {
	res, err := c.readOne()
	if err == nil {
		c.note("S %s %.100v %.100s", res.tag, res.items, res.text)
	}
	return res, err
}

func (c *imapConn) readOne() (*response, error) {
	tag, end, err := c.atom()
	if err != nil {
		return nil, err
	}
	res := &response{tag: tag}
	if tag == "+" {
		res.text, err = c.line(end)
		return res, err
	}
	for end == ' ' {
		var item any
		if item, end, err = c.item(); err != nil {
			return nil, err
		}
		res.items = append(res.items, item)
		if len(res.items) == 1 && (item == "OK" || item == "NO" || item == "BAD" || item == "BYE") {
			res.text, err = c.line(end)
			return res, err
		}
	}
	if end != '\r' {
		return nil, fmt.Errorf("%q ends in %q", res, end)
	}
	_, err = c.r.Discard(1)
	return res, err
}

func (c *imapConn) line(end byte) (string, error) {
	if end == '\r' {
		_, err := c.r.Discard(1)
		return "", err
	}
	s, err := c.r.ReadString('\n')
	return strings.TrimRight(s, "\r\n"), err
}

// atom reads up to a space, parenthesis or line end, which it takes; what is in brackets belongs to it.
func (c *imapConn) atom() (s string, end byte, err error) {
	var b []byte
	for depth := 0; ; {
		x, err := c.r.ReadByte()
		if err != nil {
			return "", 0, err
		}
		switch {
		case x == '[':
			depth++
		case x == ']':
			depth--
		case x == '\r', depth == 0 && (x == ' ' || x == ')'):
			return string(b), x, nil
		}
		b = append(b, x)
	}
}

// item reads one item and the octet after it.
func (c *imapConn) item() (item any, end byte, err error) {
	x, err := c.r.ReadByte()
	if err != nil {
		return nil, 0, err
	}
	switch x {
	case '(':
		return c.list()
	case '"':
		item, err = c.quoted()
	case '{':
		item, err = c.literal()
	default:
		c.r.UnreadByte()
		return first3(c.atom())
	}
	if err == nil {
		end, err = c.r.ReadByte()
	}
	return item, end, err
}

func first3(s string, end byte, err error) (any, byte, error) { return s, end, err }

func (c *imapConn) list() (any, byte, error) {
	list := []any{}
	if x, err := c.r.Peek(1); err == nil && x[0] == ')' {
		c.r.Discard(1)
	} else {
		for end := byte(' '); end == ' '; {
			var item any
			var err error
			if item, end, err = c.item(); err != nil {
				return nil, 0, err
			}
			list = append(list, item)
		}
	}
	end, err := c.r.ReadByte()
	return list, end, err
}

func (c *imapConn) quoted() (string, error) {
	var b []byte
	for {
		x, err := c.r.ReadByte()
		if err != nil || x == '"' {
			return string(b), err
		}
		if x == '\\' {
			if x, err = c.r.ReadByte(); err != nil {
				return "", err
			}
		}
		b = append(b, x)
	}
}

func (c *imapConn) literal() (string, error) {
	s, err := c.r.ReadString('\n')
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(strings.TrimSuffix(s, "}\r\n"))
	if err != nil || n > 1<<20 {
		return "", fmt.Errorf("literal %q: %w", s, err)
	}
	b := make([]byte, n)
	_, err = io.ReadFull(c.r, b)
	return string(b), err
}

// code gives the arguments of a response code in a text, such as "5 7" of [COPYUID 5 7].
func code(text, name string) (string, bool) {
	if !strings.HasPrefix(strings.ToUpper(text), "["+name) {
		return "", false
	}
	inner, _, ok := strings.Cut(text[1:], "]")
	return strings.TrimSpace(inner[len(name):]), ok
}

func number(s string) uint32 {
	n, _ := strconv.ParseUint(s, 10, 32)
	return uint32(n)
}

func number64(s string) uint64 {
	n, _ := strconv.ParseUint(s, 10, 64)
	return n
}

// numbersOf expands a set such as 1:3,7. Ranges of a server end where it says.
func numbersOf(set string) []uint32 {
	var out []uint32
	for part := range strings.SplitSeq(set, ",") {
		from, to, isRange := strings.Cut(part, ":")
		a := number(from)
		b := a
		if isRange {
			b = number(to)
		}
		for n := uint64(a); n <= uint64(b) && n > 0 && len(out) < 1<<20; n++ {
			out = append(out, uint32(n))
		}
	}
	return out
}

func setOf(uids []uint32) string {
	var b strings.Builder
	for i, u := range uids {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatUint(uint64(u), 10))
	}
	return b.String()
}
