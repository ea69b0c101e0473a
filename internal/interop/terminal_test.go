package interop

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// terminal is a program on a screen of its own, in tmux.
type terminal struct {
	client client
	socket string
}

// openTerminal starts a program on a new screen. It ends with the test.
func openTerminal(t *testing.T, c client, name string, args ...string) *terminal {
	t.Helper()
	term := &terminal{client: c, socket: filepath.Join(c.dir, "tmux-"+name)}
	// -D keeps tmux in the foreground, as our child, so that nothing outlives us.
	c.start(t, "tmux", "-D", "-S", term.socket, "-f", "/dev/null")
	eventually(t, "tmux to start", func() bool {
		conn, err := net.Dial("unix", term.socket)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	term.tmux(t, append([]string{"new-session", "-d", "-s", "it", "-x", "120", "-y", "40", name}, args...)...)
	return term
}

func (term *terminal) tmux(t *testing.T, args ...string) string {
	t.Helper()
	return term.client.run(t, "tmux", append([]string{"-S", term.socket, "-f", "/dev/null"}, args...)...)
}

// keys types; names like Enter are keys of that name.
func (term *terminal) keys(t *testing.T, keys ...string) {
	t.Helper()
	term.tmux(t, append([]string{"send-keys", "-t", "it"}, keys...)...)
}

// screen is what a person would see.
func (term *terminal) screen(t *testing.T) string {
	t.Helper()
	return term.tmux(t, "capture-pane", "-p", "-t", "it")
}

// shows waits until a line of the screen has all the pieces, in this order.
func (term *terminal) shows(t *testing.T, pieces ...string) {
	t.Helper()
	term.until(t, "to show "+strings.Join(pieces, " ... "), func(screen string) bool { return hasLine(screen, pieces) })
}

// hides waits until no line of the screen has all the pieces.
func (term *terminal) hides(t *testing.T, pieces ...string) {
	t.Helper()
	term.until(t, "to show no longer "+strings.Join(pieces, " ... "), func(screen string) bool { return !hasLine(screen, pieces) })
}

func (term *terminal) until(t *testing.T, what string, ok func(screen string) bool) {
	t.Helper()
	last := ""
	t.Cleanup(func() {
		if t.Failed() && last != "" {
			t.Logf("the screen that was waited for %s:\n%s", what, last)
		}
	})
	eventually(t, "the screen "+what, func() bool {
		last = term.screen(t)
		return ok(last)
	})
	last = ""
}

func hasLine(screen string, pieces []string) bool {
	for line := range strings.Lines(screen) {
		found := true
		for _, p := range pieces {
			at := strings.Index(line, p)
			if at < 0 {
				found = false
				break
			}
			line = line[at+len(p):]
		}
		if found {
			return true
		}
	}
	return false
}

// quit ends the program with the keys it wants for that, and waits for its end.
func (term *terminal) quit(t *testing.T, keys ...string) {
	t.Helper()
	term.keys(t, keys...)
	eventually(t, "the program to end", func() bool {
		_, status := term.client.try(t, "tmux", "-S", term.socket, "-f", "/dev/null", "has-session", "-t", "it")
		return status != 0
	})
}
