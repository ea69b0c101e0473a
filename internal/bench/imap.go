package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"time"
)

// The one password of all users.
const password = "secret"

// patience bounds every command. It is far above what any needs, with the
// slower side and a folder of 1,000,000.
const patience = 10 * time.Minute

// imapConn is one connection of a client that costs as little as it can.
type imapConn struct {
	net.Conn
	d    *drain
	seq  int
	addr string
}

// dialIMAP connects and reads the greeting. With conf it is TLS at once. buffer
// is the octets to read at a time.
func dialIMAP(addr string, conf *tls.Config, buffer int) (*imapConn, error) {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	if conf != nil {
		conn = tls.Client(conn, conf)
	}
	c := &imapConn{Conn: conn, d: newDrain(conn, buffer), addr: addr}
	conn.SetDeadline(time.Now().Add(patience))
	greeting, err := c.d.line()
	if err != nil || !strings.HasPrefix(string(greeting), "* OK") {
		conn.Close()
		return nil, fmt.Errorf("greeting of %s: %q, %w", addr, greeting, err)
	}
	return c, nil
}

// send sends a command and tells its tag.
func (c *imapConn) send(cmd string) (string, error) {
	c.seq++
	tag := fmt.Sprintf("a%d", c.seq)
	c.SetDeadline(time.Now().Add(patience))
	_, err := c.Write([]byte(tag + " " + cmd + "\r\n"))
	return tag, err
}

// do sends a command and reads its answer, which has to be OK.
func (c *imapConn) do(cmd string) (*answer, error) {
	tag, err := c.send(cmd)
	if err != nil {
		return nil, err
	}
	a, err := c.d.until(tag)
	if err == nil && a.status != "OK" {
		err = fmt.Errorf("%.60s: %s", cmd, a.text)
	}
	return a, err
}

// idle sends IDLE and waits until the server is listening.
func (c *imapConn) idle() (tag string, err error) {
	if tag, err = c.send("IDLE"); err != nil {
		return "", err
	}
	for {
		l, err := c.d.line()
		if err != nil || l[0] == '+' {
			return tag, err
		}
	}
}

// awaitExists reads until * n EXISTS.
func (c *imapConn) awaitExists(n int) error {
	want := fmt.Sprintf("* %d EXISTS\r\n", n)
	for {
		l, err := c.d.line()
		if err != nil || string(l) == want {
			return err
		}
	}
}

// done ends an IDLE.
func (c *imapConn) done(tag string) (*answer, error) {
	if _, err := c.Write([]byte("DONE\r\n")); err != nil {
		return nil, err
	}
	return c.d.until(tag)
}

// logout ends the connection and waits until the server has closed it.
func (c *imapConn) logout() error {
	defer c.Close()
	if _, err := c.send("LOGOUT"); err != nil {
		return err
	}
	for {
		if _, err := c.d.line(); err != nil {
			return nil
		}
	}
}
