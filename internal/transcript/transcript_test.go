package transcript

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// echo answers each line with "* echo LINE" and its length, until "bye".
func echo(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewScanner(conn)
	for in.Scan() {
		if in.Text() == "bye" {
			return
		}
		fmt.Fprintf(conn, "* echo %s\r\n* %d\r\n", in.Text(), len(in.Text()))
	}
}

// script runs text and gives the failure it ends with, "" for none.
func script(t *testing.T, text string) (failure, root string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "script.txt")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	rec := &recorder{TB: t}
	done := make(chan struct{})
	go func() { // Fatalf ends its goroutine, not the test
		defer close(done)
		Run(rec, file, Env{Root: dir, Wait: 300 * time.Millisecond, Dial: func() (net.Conn, error) {
			client, server := net.Pipe()
			go echo(server)
			return client, nil
		}})
	}()
	<-done
	return rec.failure, dir
}

func TestScript(t *testing.T) {
	failure, root := script(t, `# a comment
A: C: hello
A: S: * echo {{word=\w+}}
A: S: * {{n=\d}}
A: C: {{$word}} {{repeat 3 ab}}\x2e
B: C: other
A: S? * {{[0-9]+}}
A: S? * echo hello ababab.
B: S~ * {{$n}}
B: quiet 20ms
file x/cur/1700000001.a:2,
	Subject: one

	text
move x/cur/1700000001.a:2, x/cur/1700000001.a:2,S
A: C: bye
A: closed
B: close
`)
	if failure != "" {
		t.Error(failure)
	}
	name := filepath.Join(root, "x/cur/1700000001.a:2,S")
	text, err := os.ReadFile(name)
	if err != nil || string(text) != "Subject: one\n\ntext\n" {
		t.Errorf("%q, %v", text, err)
	}
	if fi, err := os.Stat(name); err != nil || fi.ModTime().Unix() != 1700000001 {
		t.Error("arrival time", err)
	}
}

func TestScriptFails(t *testing.T) {
	for text, want := range map[string]string{
		"A: C: a\nA: S: * echo b\n":                       "script.txt:2: A: S: * echo b\n\tcame: * echo a",
		"A: C: a\nA: S~ b\n":                              "nothing comes",
		"A: C: a\nA: S: * echo a\nA: S: * 1\nA: closed\n": "still open",
		"A: C: a\nA: quiet 100ms\n":                       "came: * echo a",
		"A: C: {{$none}}\n":                               "{{$none}} means nothing",
		"A: C: a\nA: S? * 2\nA: S? * echo a\n":            "wanted any of: * 2",
		"nonsense\n":                                      "not understood",
	} {
		if failure, _ := script(t, text); !strings.Contains(failure, want) {
			t.Errorf("%q: %q, want %q", text, failure, want)
		}
	}
}

// recorder catches Fatalf.
type recorder struct {
	testing.TB
	failure string
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.failure = fmt.Sprintf(format, args...)
	r.TB.(*testing.T).Logf("as wanted or not: %s", r.failure)
	runtime.Goexit()
}
