package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"postroom/internal/config"
)

// All of IPv4 and all of IPv6 at one port, as config.toml.example has it.
func TestBothFamiliesAtOnePort(t *testing.T) {
	var last error
	for range 20 { // another process may take the port in between
		probe, err := net.Listen("tcp6", "[::1]:0")
		if err != nil {
			t.Skip("no IPv6 here:", err)
		}
		port := probe.Addr().(*net.TCPAddr).Port
		probe.Close()
		cfg := config.Default()
		cfg.IMAP.Listen = []string{fmt.Sprintf("0.0.0.0:%d", port), fmt.Sprintf("[::]:%d", port)}
		cfg.POP3.Listen = nil
		ls, err := listen(&cfg)
		if last = err; err != nil {
			continue
		}
		defer ls.close()
		for i, to := range []string{"127.0.0.1", "::1"} {
			c, err := net.Dial("tcp", net.JoinHostPort(to, fmt.Sprint(port)))
			if err != nil {
				t.Fatal(to, err)
			}
			defer c.Close()
			accepted, err := ls[i].Accept()
			if err != nil {
				t.Fatal(err)
			}
			accepted.Close()
		}
		return
	}
	t.Fatal(last)
}

// Whoever reads the log may go: the sessions stay.
func TestLogReaderGoes(t *testing.T) {
	s := newSite(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := s.serve(s.config(asRoot()), s.path("notify"), func(cmd *exec.Cmd) { cmd.Stderr = w })
	w.Close()
	buf := make([]byte, 64<<10)
	for !strings.Contains(c.errs.String(), "msg=serving ") {
		n, err := r.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.errs.Write(buf[:n])
	}
	r.Close()
	for range 3 {
		if !c.login("alice", "one") {
			t.Error("no login")
		}
	}
	c.reload()
	c.end()
}
