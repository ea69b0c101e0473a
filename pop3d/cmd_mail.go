package pop3d

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"postroom/internal/account"
)

// number parses a message number and checks that the message is there and not
// marked (RFC 1939 section 5: a marked one may not be named).
func (s *session) number(text string) (int, error) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, badCommand("Not a message number.")
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > s.drop.len() {
		return 0, refuse("", "There is no such message.")
	}
	if s.drop.marked(n - 1) {
		return 0, refuse("", "Message is deleted.")
	}
	return n - 1, nil
}

// size of message n. One that cannot be read has none: it must not keep the user
// from the others. The log tells it once, RETR each time.
func (s *session) size(n int) (int64, error) {
	size, err := s.drop.size(s.server.ctx, n)
	switch {
	case err == nil:
		return size, nil
	case errors.Is(err, account.ErrGone) || s.server.ctx.Err() != nil:
		return 0, err
	}
	s.log.Error("a message has no size", "uidl", s.drop.uidl(n), "error", err)
	s.drop.noSize(n)
	return 0, nil
}

// total is the size of all messages that are not marked.
func (s *session) total() (int64, error) {
	var sum int64
	for n := range s.drop.len() {
		if s.drop.marked(n) {
			continue
		}
		size, err := s.size(n)
		if err != nil {
			return 0, err
		}
		sum += size
	}
	return sum, nil
}

// stat: RFC 1939 section 5. Marked messages are not counted.
func (s *session) stat(string) error {
	size, err := s.total()
	if err != nil {
		return s.mapError("STAT", err)
	}
	s.ok("%d %d", s.drop.left(), size)
	return nil
}

// list: LIST [msg], RFC 1939 section 5.
func (s *session) list(arg string) error {
	return s.listing("LIST", arg, func(n int) (string, error) {
		size, err := s.size(n)
		return strconv.FormatInt(size, 10), err
	})
}

// uidl: UIDL [msg], RFC 1939 section 7.
func (s *session) uidl(arg string) error {
	return s.listing("UIDL", arg, func(n int) (string, error) { return s.drop.uidl(n), nil })
}

// listing is one line of a message, or a line for each that is not marked.
func (s *session) listing(name, arg string, value func(n int) (string, error)) error {
	if arg != "" {
		n, err := s.number(arg)
		if err != nil {
			return err
		}
		text, err := value(n)
		if err != nil {
			return s.mapError(name, err)
		}
		s.ok("%d %s", n+1, text)
		return nil
	}
	if name == "LIST" {
		// All sizes first: once the answer has begun it cannot become an error.
		if _, err := s.total(); err != nil {
			return s.mapError(name, err)
		}
	}
	s.ok("%d messages:", s.drop.left())
	for n := range s.drop.len() {
		if s.drop.marked(n) {
			continue
		}
		text, err := value(n)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(s.conn.w, "%d %s\r\n", n+1, text); err != nil {
			return err
		}
	}
	s.line(".")
	return nil
}

// retr: RETR msg, RFC 1939 section 5. It sets no flag: the session only looks.
func (s *session) retr(arg string) error {
	n, err := s.number(arg)
	if err != nil {
		return err
	}
	size, err := s.size(n)
	if err != nil {
		return s.mapError("RETR", err)
	}
	sent, err := s.send(n, fmt.Sprintf("%d octets", size), wholeBody)
	s.counts.retrBytes += sent
	if err != nil {
		return err
	}
	s.counts.retr++
	return nil
}

// top: TOP msg n, RFC 1939 section 7: the header, the empty line and n lines.
func (s *session) top(arg string) error {
	first, second, _ := strings.Cut(arg, " ")
	n, err := s.number(first)
	if err != nil {
		return err
	}
	second = strings.TrimLeft(second, " ")
	if second == "" || strings.Trim(second, "0123456789") != "" {
		return badCommand("TOP needs a message number and a number of lines.")
	}
	lines, err := strconv.ParseInt(second, 10, 64)
	if err != nil {
		return badCommand("Too many lines.")
	}
	sent, err := s.send(n, "Top of the message follows.", lines)
	s.counts.topBytes += sent
	if err != nil {
		return err
	}
	s.counts.top++
	return nil
}

// send answers with message n up to so many lines of its body. Errors before the
// first octet are answers; later ones end the session, with no final dot, so
// that the client knows the message as cut off.
func (s *session) send(n int, text string, lines int64) (int64, error) {
	msg, err := s.drop.open(s.server.ctx, n)
	if err != nil {
		return 0, s.mapError("opening a message", err)
	}
	defer msg.Close()
	s.ok("%s", text)
	w := newMessageWriter(s.conn.w, lines)
	defer w.release()
	if err := s.copyMessage(w, msg); err != nil {
		return w.sent, s.sendFailed(n, w, err)
	}
	if err := w.finish(); err != nil {
		return w.sent, err
	}
	return w.sent, nil
}

// copyMessage gives the file's octets to w, as many as w wants.
func (s *session) copyMessage(w *messageWriter, msg *account.Message) error {
	if text := msg.Text(); text != nil && (s.utf8 || isASCII(header(text))) {
		for len(text) > 0 && !w.done() {
			n := min(len(text), copyBuffer)
			if err := w.write(text[:n]); err != nil {
				return err
			}
			text = text[n:]
		}
		return nil
	}
	write, flush := w.write, func() error { return nil }
	if !s.utf8 {
		d := newSurrogate(w.write)
		write, flush = d.write, d.flush
	}
	for off := int64(0); off < msg.Size() && !w.done(); {
		if err := s.server.ctx.Err(); err != nil {
			return err
		}
		chunk := w.in[:min(int64(len(w.in)), msg.Size()-off)]
		// Fewer octets than the file had when it was opened: somebody
		// truncates it, and no size that was told holds.
		if n, err := msg.ReadAt(chunk, off); n < len(chunk) {
			return &readError{cmp.Or(err, io.ErrUnexpectedEOF)}
		}
		off += int64(len(chunk))
		if err := write(chunk); err != nil {
			return err
		}
	}
	return flush()
}

// header gives the beginning of a message that holds its header, and perhaps more.
func header(text []byte) []byte {
	for rest := text; ; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			return text
		}
		if rest = rest[i+1:]; bytes.HasPrefix(rest, []byte("\n")) || bytes.HasPrefix(rest, []byte("\r\n")) {
			return text[:len(text)-len(rest)]
		}
	}
}

// readError is one of the file, where others are the socket's.
type readError struct{ error }

func (s *session) sendFailed(n int, w *messageWriter, err error) error {
	if _, ok := err.(*readError); !ok {
		return err
	}
	s.log.Error("reading a message failed", "uidl", s.drop.uidl(n), "sent", w.sent, "error", err)
	return ending{"message cannot be read", err, false}
}

// dele: DELE msg, RFC 1939 section 5. It marks, for who may remove; QUIT removes, if that is still so.
func (s *session) dele(arg string) error {
	n, err := s.number(arg)
	if err != nil {
		return err
	}
	if err := s.drop.box.MayRemove(); err != nil {
		return s.mapError("marking", err)
	}
	s.drop.mark(n)
	s.counts.dele++
	s.ok("Marked to be deleted.")
	return nil
}

// rset: RSET, RFC 1939 section 5.
func (s *session) rset(string) error {
	s.drop.unmark()
	s.counts.dele = 0
	s.ok("No message is marked.")
	return nil
}
