package compose

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"mime"
	"strings"
	"unicode/utf8"

	gomessage "github.com/emersion/go-message"

	"postroom/internal/message"
)

// Fields of drafts that no other program need know; none is sent.
const (
	originalField = "X-Postroom-Original"
	typedPrefix   = "X-Postroom-Typed-" // To, Cc, Bcc as they were typed, if that is more than addresses
)

// private are the fields that Outgoing leaves out.
var private = []string{"Bcc", "Resent-Bcc", originalField, typedPrefix + "To", typedPrefix + "Cc", typedPrefix + "Bcc", "X-Mozilla-Draft-Info", "X-Draft-Info"}

// WriteDraft writes a draft as it is stored: with what was typed though it may be no address yet, and with Bcc. It
// makes the MessageID if there is none.
func (d *Draft) WriteDraft(w io.Writer, id Identity) error { return d.write(w, id, true) }

// WriteMessage writes a message that is to be sent. It still has Bcc, which Outgoing leaves out: the copy that the
// sender keeps tells whom he wrote to. It makes the MessageID if there is none.
func (d *Draft) WriteMessage(w io.Writer, id Identity) error {
	if _, err := d.Recipients(); err != nil {
		return err
	}
	return d.write(w, id, false)
}

func (d *Draft) write(w io.Writer, id Identity, draft bool) error {
	if err := d.check(); err != nil {
		return err
	}
	if !goodID(d.MessageID) {
		var err error
		if d.MessageID, err = NewMessageID(id.Rand, d.From.Addr); err != nil {
			return err
		}
	}
	header, err := d.header(id, draft)
	if err != nil {
		return err
	}
	if len(d.Attachments) == 0 && d.Next == nil {
		return writeText(w, nil, header, d.Text)
	}
	boundary, err := newBoundary(id.Rand)
	if err != nil {
		return err
	}
	header.SetContentType("multipart/mixed", map[string]string{"boundary": boundary})
	mixed, err := gomessage.CreateWriter(w, header)
	if err != nil {
		return fmt.Errorf("writing a message: %w", err)
	}
	if err := writeText(nil, mixed, gomessage.Header{}, d.Text); err != nil {
		return err
	}
	for i := range d.Attachments {
		if err := d.Attachments[i].write(mixed); err != nil {
			return err
		}
	}
	for n := len(d.Attachments); d.Next != nil; n++ {
		a, err := d.Next()
		if err != nil {
			return err
		}
		if a == nil {
			break
		}
		if n >= MaxAttachments {
			return fmt.Errorf("%w: it has more than %d attachments", ErrTooLarge, MaxAttachments)
		}
		if err := a.write(mixed); err != nil {
			return err
		}
	}
	return mixed.Close()
}

// field is one of a header that is being made.
type field struct{ name, value string }

func (d *Draft) header(id Identity, draft bool) (gomessage.Header, error) {
	fields := []field{{"Date", id.Now.Format("Mon, 02 Jan 2006 15:04:05 -0700")}}
	if d.From.Addr != "" {
		addr, err := CheckAddr(d.From.Addr)
		if err != nil {
			return gomessage.Header{}, &BadAddress{d.From.Addr, err}
		}
		fields = append(fields, field{"From", encodeAddress(Address{Name: d.From.Name, Addr: addr})})
	}
	for _, l := range []field{{"To", d.To}, {"Cc", d.Cc}, {"Bcc", d.Bcc}} {
		list, whole := goodAddresses(l.value)
		if len(list) > 0 {
			fields = append(fields, field{l.name, encodeAddresses(list)})
		}
		if draft && !whole {
			fields = append(fields, field{typedPrefix + l.name, encodeText(strings.ReplaceAll(l.value, "\n", ", "))})
		}
	}
	fields = append(fields, field{"Message-ID", "<" + d.MessageID + ">"})
	if subject := encodeText(d.Subject); subject != "" {
		fields = append(fields, field{"Subject", subject})
	}
	if ids := FormatIDs(trimIDs(d.InReplyTo)); ids != "" {
		fields = append(fields, field{"In-Reply-To", ids})
	}
	if ids := FormatIDs(trimIDs(d.References)); ids != "" {
		fields = append(fields, field{"References", ids})
	}
	if o := d.Original.encode(); draft && o != "" {
		fields = append(fields, field{originalField, o})
	}
	fields = append(fields, field{"MIME-Version", "1.0"})
	var h gomessage.Header
	for i := len(fields) - 1; i >= 0; i-- { // Add puts a field on top
		h.Add(fields[i].name, fields[i].value)
	}
	return h, nil
}

// goodAddresses gives those of a list that can be written down; whole tells that those are all there is.
func goodAddresses(typed string) (list []Address, whole bool) {
	whole = true
	for _, piece := range splitList(typed) {
		a, err := parseOne(piece)
		if err != nil {
			whole = false
			continue
		}
		list = append(list, a)
	}
	return list, whole
}

// writeText writes the text as the body of a message, or as a part of mixed.
func writeText(w io.Writer, mixed *gomessage.Writer, header gomessage.Header, text string) error {
	body := flow(cleanText(text))
	encoding := "7bit"
	if !sevenBit(body) {
		encoding = "quoted-printable"
	}
	header.SetContentType("text/plain", map[string]string{"charset": "utf-8", "format": "flowed"})
	header.Set("Content-Transfer-Encoding", encoding)
	var out *gomessage.Writer
	var err error
	if mixed != nil {
		out, err = mixed.CreatePart(header)
	} else {
		out, err = gomessage.CreateWriter(w, header)
	}
	if err == nil {
		_, err = io.WriteString(out, body)
	}
	if err == nil {
		err = out.Close()
	}
	if err != nil {
		return fmt.Errorf("writing a message: %w", err)
	}
	return nil
}

// cleanText drops what no text has: control characters but tabs, and CRs.
func cleanText(s string) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\r\n", "\n"), "\ufffd")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\r':
			return '\n'
		case r == '\n' || r == '\t' || r >= ' ' && r != 0x7f:
			return r
		}
		return -1
	}, s)
}

// sevenBit tells whether a text with CRLF needs no encoding (RFC 2045 section 2.7).
func sevenBit(s string) bool {
	line := 0
	for i := range len(s) {
		if s[i] > '~' {
			return false
		}
		if line++; s[i] == '\n' {
			line = 0
		}
		if line > 998 {
			return false
		}
	}
	return true
}

func newBoundary(rand io.Reader) (string, error) {
	var b [15]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return "", fmt.Errorf("boundary: %w", err)
	}
	return "=_" + hex.EncodeToString(b[:]), nil // RFC 2045 section 6.7: no encoded text has "=_"
}

// write adds an attachment to a multipart.
func (a *Attachment) write(mixed *gomessage.Writer) error {
	typ, encoding := a.mediaType(), "base64"
	name := cleanName(a.Name)
	if strings.HasPrefix(typ, "message/") { // RFC 2046 section 5.2.1: never base64
		var err error
		if encoding, err = a.messageEncoding(); err != nil {
			return err
		}
		if encoding == "base64" {
			typ = "application/octet-stream"
		} else {
			typ = "message/rfc822"
		}
	}
	var h gomessage.Header
	// RFC 2231 by the standard library: go-message would write RFC 2047's encoded words.
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	h.Set("Content-Transfer-Encoding", encoding)
	h.SetContentType(typ, nil)
	out, err := mixed.CreatePart(h)
	if err != nil {
		return fmt.Errorf("attachment %q: %w", name, err)
	}
	in, err := a.Open()
	if err != nil {
		return fmt.Errorf("attachment %q: %w", name, err)
	}
	defer in.Close()
	if _, err = io.Copy(out, in); err == nil {
		err = out.Close()
	}
	if err != nil {
		return fmt.Errorf("attachment %q: %w", name, err)
	}
	return nil
}

// mediaType is the type that the part is to have.
func (a *Attachment) mediaType() string {
	typ, _, err := mime.ParseMediaType(a.Type)
	if err != nil || !strings.Contains(typ, "/") || len(typ) > 100 || strings.HasPrefix(typ, "multipart/") {
		return "application/octet-stream"
	}
	return typ
}

// messageEncoding reads a message that is to be attached: it is sent as it stands if it can go through any server, or
// one with 8BITMIME; else, or if it cannot be read twice, as a file.
func (a *Attachment) messageEncoding() (string, error) {
	if !a.Message {
		return "base64", nil
	}
	in, err := a.Open()
	if err != nil {
		return "", fmt.Errorf("attachment %q: %w", a.Name, err)
	}
	defer in.Close()
	encoding, line := "7bit", 0
	var last byte
	buf := bufio.NewReaderSize(in, 32<<10)
	for {
		chunk, err := buf.ReadSlice('\n')
		for _, c := range chunk {
			line++
			switch {
			case c == 0, last == '\r' && c != '\n':
				return "base64", nil
			case c > 0x7e:
				encoding = "8bit"
			case c == '\n':
				line = 0
			case line > 998 && c != '\r':
				return "base64", nil
			}
			last = c
		}
		switch err {
		case nil, bufio.ErrBufferFull:
		case io.EOF:
			return encoding, nil
		default:
			return "", fmt.Errorf("attachment %q: %w", a.Name, err)
		}
	}
}

// cleanName makes a file name without directories and without what can hide its end.
func cleanName(name string) string {
	name = strings.TrimSpace(message.Printable(strings.ToValidUTF8(name, "\ufffd")))
	name = strings.Map(func(r rune) rune {
		if r == '/' || r == '\\' {
			return '_'
		}
		return r
	}, name)
	for len(name) > maxName { // the end says what it is
		_, n := utf8.DecodeRuneInString(name)
		name = name[n:]
	}
	if name == "" || name == "." || name == ".." {
		return "attachment"
	}
	return name
}

// Outgoing gives a stored message as it is sent: without Bcc and what else is the sender's alone, with CRLF
// line ends; and its size.
func Outgoing(src io.ReaderAt, m *message.Message) (r io.Reader, size int64, err error) {
	head, _ := m.Section(nil, message.Header)
	fields, err := message.HeaderFields(src, m, head, private, true)
	if err != nil {
		return nil, 0, fmt.Errorf("reading a message to be sent: %w", err)
	}
	text, _ := m.Section(nil, message.Text)
	return io.MultiReader(bytes.NewReader(fields), message.NewReader(src, m, text)), int64(len(fields)) + text.Size, nil
}

// Needs tells what a server must be able to do for a message to be sent as it stands.
type Needs struct{ EightBit, UTF8 bool }

// NeedsOf reads a whole message to find that out.
func NeedsOf(r io.Reader, from string, to []string) (Needs, error) {
	var n Needs
	for _, a := range append([]string{from}, to...) {
		n.UTF8 = n.UTF8 || needsUTF8(a)
	}
	buf := make([]byte, 32<<10)
	header, last := true, byte('\n')
	for {
		k, err := r.Read(buf)
		for _, c := range buf[:k] {
			if c > 0x7f {
				n.EightBit = true
				n.UTF8 = n.UTF8 || header // RFC 6532
			}
			if c == '\r' {
				continue
			}
			header = header && !(c == '\n' && last == '\n')
			last = c
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}
