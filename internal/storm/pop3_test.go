package storm

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// pop3 is one POP3 session: it lists, reads some messages, deletes a few and quits.
func (k *kind) pop3(s *session) error {
	nc, err := net.DialTimeout("tcp", s.server.pop3, patience)
	if err != nil {
		return err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	p := &pop3Conn{Conn: nc, r: bufio.NewReader(nc)}
	if _, err := p.answer(); err != nil {
		return err
	}
	for _, cmd := range []string{"USER u", "PASS " + password, "STAT", "NOOP"} {
		if _, err := p.do(cmd); err != nil {
			return err
		}
	}
	if _, err := p.lines("LIST"); err != nil {
		return err
	}
	uidl, err := p.lines("UIDL")
	if err != nil {
		return err
	}
	deleted := 0
	for range min(len(uidl), 10) {
		n, unique, _ := strings.Cut(uidl[k.rng.IntN(len(uidl))], " ")
		if len(unique) != 16 {
			s.fault("session", "UIDL %s", unique)
			return nil
		}
		uid, _ := strconv.ParseUint(unique[:8], 16, 32)
		validity, _ := strconv.ParseUint(unique[8:], 16, 32)
		text, err := p.lines("RETR " + n)
		if err != nil {
			if p.refused {
				continue // others have removed it
			}
			return err
		}
		s.o.selected(s.who, "INBOX", uint32(validity))
		content := []byte(strings.Join(text, "\n") + "\n")
		s.o.identify(s.who, uint32(validity), uint32(uid), content)
		s.o.count("messages by POP3", 1)
		if id, whole := idOfMail(content); whole && deleted < 2 && !k.st.empty("INBOX") && k.rng.IntN(4) == 0 {
			deleted++
			s.o.leaves("INBOX", id, 1)
			if _, err := p.do("DELE " + n); err != nil && !p.refused {
				return err
			}
		}
	}
	s.o.count("sessions by POP3", 1)
	if _, err := p.do("QUIT"); err != nil && !p.refused {
		return err
	}
	return nil
}

type pop3Conn struct {
	net.Conn
	r       *bufio.Reader
	refused bool // the last answer was -ERR
}

func (p *pop3Conn) answer() (string, error) {
	line, err := p.r.ReadString('\n')
	p.refused = strings.HasPrefix(line, "-ERR")
	if err == nil && !strings.HasPrefix(line, "+OK") {
		err = fmt.Errorf("%s", strings.TrimSpace(line))
	}
	return line, err
}

func (p *pop3Conn) do(cmd string) (string, error) {
	p.SetDeadline(time.Now().Add(patience))
	if _, err := p.Write([]byte(cmd + "\r\n")); err != nil {
		return "", err
	}
	line, err := p.answer()
	if err != nil {
		err = fmt.Errorf("%s: %w", cmd, err)
	}
	return line, err
}

// lines runs a command with an answer of several lines.
func (p *pop3Conn) lines(cmd string) ([]string, error) {
	if _, err := p.do(cmd); err != nil {
		return nil, err
	}
	var out []string
	for {
		line, err := p.r.ReadString('\n')
		line = strings.TrimRight(line, "\r\n")
		if err != nil || line == "." {
			return out, err
		}
		out = append(out, strings.TrimPrefix(line, "."))
	}
}
