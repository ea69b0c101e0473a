package interop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// browser is Chromium with testdata/roundcube.js at its keyboard.
type browser struct {
	steps   io.WriteCloser
	answers chan []byte // closed at the end of the script
}

// openBrowser starts it. It ends with the test, and its profile, which lies in
// the folder, with it.
func openBrowser(t *testing.T, c client, url string) *browser {
	t.Helper()
	script, err := filepath.Abs("testdata/roundcube.js")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", script, url)
	c.env = append(c.env, "TMPDIR="+c.dir)
	c.prepare(t, cmd)
	steps, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// No step is given before the last was answered, so one answer has room.
	b := &browser{steps, make(chan []byte, 1)}
	go func() {
		defer close(b.answers)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			b.answers <- bytes.Clone(lines.Bytes())
		}
	}()
	t.Cleanup(func() {
		// At the end of its input the script closes the browser. Chromium is in a
		// process group of its own, and ends when the script's pipe to it does.
		steps.Close()
		kill := time.AfterFunc(time.Minute, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
		defer kill.Stop()
		for range b.answers {
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the browser's script: %v\n%s", err, tail(said.String()))
		}
	})
	return b
}

// do takes a step, and gives the rows of the sharing table that the page shows
// then, sorted: the page has one that was edited last until it is loaded anew.
func (b *browser) do(t *testing.T, step ...string) string {
	t.Helper()
	line, err := json.Marshal(step)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.steps.Write(append(line, '\n')); err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Rows  []string
		Error string
	}
	select {
	case text, ok := <-b.answers:
		if !ok {
			t.Fatalf("%v: the browser's script ended", step)
		}
		if err := json.Unmarshal(text, &answer); err != nil {
			t.Fatalf("%v: %v in %s", step, err, text)
		}
	case <-time.After(commandLimit):
		t.Fatalf("%v: no answer after %v", step, commandLimit)
	}
	if answer.Error != "" {
		t.Fatalf("%v: %s", step, answer.Error)
	}
	return strings.Join(sorted(answer.Rows), "\n")
}
