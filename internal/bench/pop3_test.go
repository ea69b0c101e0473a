package main

import (
	"strings"
	"testing"
)

func TestDotted(t *testing.T) {
	text := "one\r\n..two\r\n..\r\n\r\n.\r\n+OK next\r\n"
	c := &pop3Conn{d: newDrain(strings.NewReader(text), 4)}
	lines, octets, err := c.dotted()
	if err != nil || lines != 4 || octets != int64(len("one\r\n.two\r\n.\r\n\r\n")) {
		t.Errorf("%d lines, %d octets, %v", lines, octets, err)
	}
	if err := c.ok(); err != nil {
		t.Error(err)
	}
	if _, _, err := c.dotted(); err == nil {
		t.Error("no error at the end")
	}
}
