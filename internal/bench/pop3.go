package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"time"
)

// pop3Conn is a POP3 client that only counts.
type pop3Conn struct {
	net.Conn
	d *drain
}

func dialPOP3(addr, user string) (*pop3Conn, error) {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	c := &pop3Conn{Conn: conn, d: newDrain(conn, 64<<10)}
	conn.SetDeadline(time.Now().Add(patience))
	if err := c.ok(); err == nil {
		if err = c.do("USER " + user); err == nil {
			err = c.do("PASS " + password)
		}
		if err == nil {
			return c, nil
		}
	}
	conn.Close()
	return nil, err
}

// ok reads a status line, which has to be +OK.
func (c *pop3Conn) ok() error {
	l, err := c.d.line()
	if err == nil && !bytes.HasPrefix(l, []byte("+OK")) {
		err = fmt.Errorf("POP3: %q", bytes.TrimSpace(l))
	}
	return err
}

func (c *pop3Conn) do(cmd string) error {
	c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write([]byte(cmd + "\r\n")); err != nil {
		return err
	}
	return c.ok()
}

// multi sends a command and counts the lines and octets of its answer, without
// the status line, the dots that were stuffed and the last line.
func (c *pop3Conn) multi(cmd string) (lines int, octets int64, err error) {
	if err := c.do(cmd); err != nil {
		return 0, 0, err
	}
	return c.dotted()
}

func (c *pop3Conn) dotted() (lines int, octets int64, err error) {
	for {
		l, err := c.d.line()
		if err != nil {
			return lines, octets, err
		}
		if l[0] == '.' {
			if len(l) == 3 {
				return lines, octets, nil
			}
			octets--
		}
		lines++
		octets += int64(len(l))
	}
}

// quit ends the session and waits until the server has closed the connection.
func (c *pop3Conn) quit() error {
	defer c.Close()
	if err := c.do("QUIT"); err != nil {
		return err
	}
	if _, err := c.d.line(); err == nil {
		return errors.New("POP3: more after QUIT")
	}
	return nil
}
