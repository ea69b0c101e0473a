package submit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"postroom/internal/message"
)

// Sendmail sends by a command that takes a message as sendmail does: PATH -i -f FROM -- TO..., the message on standard input
// with LF line ends.
type Sendmail struct {
	Path string
	// Timeout bounds the whole; 10 min if zero.
	Timeout time.Duration
}

// Exit statuses of sendmail (sysexits.h) that speak of the message itself.
const (
	exDataErr = 65
	exNoUser  = 67
	exNoHost  = 68
)

// Send implements Sender.
func (s *Sendmail) Send(ctx context.Context, m Message) Result {
	ctx, cancel := context.WithTimeout(ctx, orElse(s.Timeout, 10*time.Minute))
	defer cancel()
	in, err := m.Open()
	if err != nil {
		return All(m, Again, err)
	}
	defer in.Close()
	cmd := exec.CommandContext(ctx, s.Path, append([]string{"-i", "-f", m.From, "--"}, m.To...)...)
	// Its children go with it: a wrapper's would take the end of its input for the end of the message.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second // for children that keep its output open
	var said limited
	cmd.Stdout, cmd.Stderr = &said, &said
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return All(m, Again, fmt.Errorf("%s: %w", s.Path, err))
	}
	if err := cmd.Start(); err != nil {
		return All(m, Again, fmt.Errorf("%s: %w", s.Path, err))
	}
	read := &counting{r: in}
	_, werr := io.Copy(stdin, &toLF{r: read})
	if read.err != nil || werr == nil && read.n != m.Size {
		cancel() // it would take the beginning for the whole: it is killed before its input ends
		_ = cmd.Wait()
		return All(m, Again, fmt.Errorf("the message could not be read: %d octets of %d: %w", read.n, m.Size, errors.Join(read.err, werr)))
	}
	whole := werr == nil // else it wanted no more
	stdin.Close()
	err = cmd.Wait()
	return All(m, exitMeaning(err, whole), s.describe(err, said.String()))
}

// exitMeaning reads how the command ended. It may stop reading when it has seen enough to refuse.
func exitMeaning(err error, whole bool) Outcome {
	var exit *exec.ExitError
	switch {
	case err == nil && whole:
		return Accepted
	case err == nil:
		return Unknown // it says that all is well, and has not read all
	case errors.As(err, &exit) && exit.Exited():
		switch exit.ExitCode() {
		case exDataErr, exNoUser, exNoHost:
			return Refused
		}
		return Again
	case whole:
		return Unknown // killed with the message in its hands
	}
	return Again
}

func (s *Sendmail) describe(err error, said string) error {
	said = strings.TrimSpace(message.Printable(said))
	switch {
	case err == nil && said == "":
		return errors.New("taken by " + s.Path)
	case err == nil:
		return errors.New(said)
	case said == "":
		return fmt.Errorf("%s: %w", s.Path, err)
	}
	return fmt.Errorf("%s: %w: %s", s.Path, err, said)
}

// limited keeps the beginning of what is written to it.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if room := 4096 - l.Len(); room > 0 {
		l.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// counting counts what was read, and remembers whether reading failed.
type counting struct {
	r   io.Reader
	n   int64
	err error
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}

// toLF turns CRLF into LF.
type toLF struct {
	r  io.Reader
	cr bool // a CR was held back
}

func (t *toLF) Read(p []byte) (int, error) {
	if len(p) < 2 {
		return 0, io.ErrShortBuffer
	}
	n, err := t.r.Read(p[1:])
	out := 0
	for _, c := range p[1 : 1+n] {
		if t.cr && c != '\n' {
			p[out] = '\r'
			out++
		}
		if t.cr = c == '\r'; !t.cr {
			p[out] = c
			out++
		}
	}
	if err == io.EOF && t.cr {
		t.cr = false
		p[out] = '\r'
		out++
	}
	return out, err
}
