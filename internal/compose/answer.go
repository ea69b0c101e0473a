package compose

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"postroom/internal/message"
)

// Asking says how an answer is begun.
type Asking struct {
	Kind Kind
	// Own are the user's addresses: an answer to all does not go to them, and comes from the one that was written to.
	Own []Address
	// Attribution is the line above a quoted text.
	Attribution func(from Address, sent time.Time) string
	// ForwardHead is what stands above a forwarded text.
	ForwardHead func(h ForwardHead) string
}

// ForwardHead is what a forwarded text tells of its message. Sent is zero if that is not known.
type ForwardHead struct {
	From, To, Cc, Subject string
	Sent                  time.Time
}

// ErrNoList: the message came by no mailing list that can be written to.
var ErrNoList = errors.New("the message came by no mailing list that takes answers")

// maxQuote bounds how much of a text is quoted.
const maxQuote = 256 << 10 // octets

// Answer begins a reply to a message, or its forward. Attachments read src when they are opened.
func Answer(src io.ReaderAt, m *message.Message, ask Asking) (*Draft, error) {
	h, err := readHeader(src, m)
	if err != nil {
		return nil, err
	}
	d := &Draft{From: h.identity(ask.Own)}
	subject := strings.TrimSpace(message.Printable(message.DecodeText(h.first("Subject"))))
	if len(subject) > MaxSubject/2 {
		subject = strings.ToValidUTF8(subject[:MaxSubject/2], "")
	}
	if ask.Kind == ForwardAs {
		d.Subject = "Fwd: " + baseSubject(subject)
		d.thread(h, false)
		d.Attachments = []Attachment{whole(src, m, subject)}
		return d, nil
	}
	c := contentOf(src, m)
	text, err := c.words(src, m, maxQuote)
	if err != nil {
		return nil, err
	}
	d.Formatted = c.html
	sent, _ := m.SentDate()
	if ask.Kind == Forward {
		d.Subject = "Fwd: " + baseSubject(subject)
		d.thread(h, false)
		d.Attachments = c.attachments
		d.Text = "\n\n" + ask.ForwardHead(ForwardHead{
			From: formatList(h.addresses("From")), To: formatList(h.addresses("To")), Cc: formatList(h.addresses("Cc")),
			Subject: subject, Sent: sent,
		}) + "\n\n" + text
		return d, nil
	}
	d.Subject = "Re: " + baseSubject(subject)
	d.thread(h, true)
	if err := d.answerTo(h, ask); err != nil {
		return nil, err
	}
	from := Address{}
	if list := h.addresses("From"); len(list) > 0 {
		from = list[0]
	}
	d.Text = "\n\n" + ask.Attribution(from, sent) + "\n" + quote(text)
	return d, nil
}

// prefixes are what programs put before the subject of an answer or a forward.
var prefixes = regexp.MustCompile(`(?i)^\s*(?:re|aw|antw|antwort|sv|vs|fwd?|wg|tr|rv|enc)\s*(?:\[\d+\])?\s*:\s*`)

func baseSubject(s string) string {
	for {
		at := prefixes.FindStringIndex(s)
		if at == nil {
			return strings.TrimSpace(s)
		}
		s = s[at[1]:]
	}
}

// thread makes the draft follow a message (RFC 5322 section 3.6.4).
func (d *Draft) thread(h header, reply bool) {
	ids := MessageIDs(h.first("Message-Id"))
	if len(ids) > 1 {
		ids = ids[:1]
	}
	refs := MessageIDs(h.first("References"))
	if len(refs) == 0 {
		if to := MessageIDs(h.first("In-Reply-To")); len(to) == 1 {
			refs = to
		}
	}
	d.References = trimIDs(append(refs, ids...))
	if reply {
		d.InReplyTo = ids
	}
}

// identity is the own address that a message was written to, or from; the first one if it is none.
func (h header) identity(own []Address) Address {
	for _, name := range []string{"From", "To", "Cc", "Delivered-To", "X-Original-To", "Bcc"} {
		for _, a := range h.addresses(name) {
			for _, o := range own {
				if foldAddr(a.Addr) == foldAddr(o.Addr) {
					return o
				}
			}
		}
	}
	if len(own) == 0 {
		return Address{}
	}
	return own[0]
}

// answerTo fills in whom an answer goes to.
func (d *Draft) answerTo(h header, ask Asking) error {
	isOwn := func(a Address) bool {
		return slices.ContainsFunc(ask.Own, func(o Address) bool { return foldAddr(o.Addr) == foldAddr(a.Addr) })
	}
	from, to, cc := h.addresses("From"), h.addresses("To"), h.addresses("Cc")
	sender := h.addresses("Reply-To")
	if ask.Kind == Reply && len(h.addresses("Mail-Reply-To")) > 0 {
		sender = h.addresses("Mail-Reply-To")
	}
	if len(sender) == 0 {
		sender = from
	}
	mine := len(from) > 0 && isOwn(from[0]) // one goes on writing to whom one wrote
	switch ask.Kind {
	case ReplyList:
		list, ok := listPost(h)
		if !ok {
			return ErrNoList
		}
		d.To = formatList([]Address{list})
		return nil
	case Reply:
		if mine && len(to) > 0 {
			sender = to
		}
		d.To = formatList(unique(sender, nil))
		return nil
	}
	if follow := h.addresses("Mail-Followup-To"); len(follow) > 0 {
		d.To = formatList(others(unique(follow, nil), isOwn))
		return nil
	}
	if mine {
		sender, to = to, nil
	}
	first := unique(sender, nil)
	if !mine {
		first = others(first, isOwn)
	}
	rest := others(unique(append(to, cc...), first), isOwn)
	if len(first) == 0 { // from oneself alone, to others
		first, rest = rest, nil
	}
	if len(first) == 0 {
		first = unique(sender, nil)
	}
	d.To, d.Cc = formatList(first), formatList(rest)
	return nil
}

// unique gives each address once, those that are in but not at all.
func unique(list, but []Address) []Address {
	seen := make(map[string]bool)
	for _, a := range but {
		seen[foldAddr(a.Addr)] = true
	}
	var out []Address
	for _, a := range list {
		if a.Addr != "" && !seen[foldAddr(a.Addr)] {
			seen[foldAddr(a.Addr)] = true
			out = append(out, a)
		}
	}
	return out
}

func others(list []Address, isOwn func(Address) bool) []Address {
	return slices.DeleteFunc(list, isOwn)
}

// listPost is the address of a mailing list (RFC 2369 section 3.4).
func listPost(h header) (Address, bool) {
	v := h.first("List-Post")
	for {
		_, rest, ok := strings.Cut(v, "<")
		if !ok {
			return Address{}, false
		}
		link, after, _ := strings.Cut(rest, ">")
		if scheme, addr, ok := strings.Cut(link, ":"); ok && strings.EqualFold(strings.TrimSpace(scheme), "mailto") {
			addr, _, _ = strings.Cut(addr, "?")
			if list, err := ParseList(addr); err == nil && len(list) == 1 {
				return list[0], true
			}
		}
		v = after
	}
}

// IsList tells whether a message came by a mailing list that takes answers.
func IsList(src io.ReaderAt, m *message.Message) (bool, error) {
	h, err := readHeader(src, m)
	if err != nil {
		return false, err
	}
	_, ok := listPost(h)
	return ok, nil
}

// quote puts > before each line; a signature at the end is left out.
func quote(text string) string {
	text = strings.TrimRight(text, "\n ")
	if at := strings.LastIndex("\n"+text, "\n-- \n"); at >= 0 && strings.Count(text[at:], "\n") < 12 {
		text = strings.TrimRight(text[:at], "\n ")
	}
	if text == "" {
		return ""
	}
	var out strings.Builder
	for line := range strings.SplitSeq(text, "\n") {
		out.WriteByte('>')
		if line != "" && line[0] != '>' {
			out.WriteByte(' ')
		}
		out.WriteString(line)
		out.WriteByte('\n')
	}
	return out.String()
}

// whole is a message as an attachment.
func whole(src io.ReaderAt, m *message.Message, subject string) Attachment {
	name := subject
	if name == "" {
		name = "message"
	}
	section, _ := m.Section(nil, message.Whole)
	return Attachment{
		Name: cleanName(name + ".eml"), Type: "message/rfc822", Size: section.Size, Part: WholeMessage, Message: true,
		Open: func() (io.ReadCloser, error) {
			if m.HasNUL { // which a Reader does not yield
				return io.NopCloser(io.NewSectionReader(src, 0, m.RawSize)), nil
			}
			return io.NopCloser(message.NewReader(src, m, section)), nil
		},
	}
}

// WholeMessage is the Part of an attachment that is the whole message it comes from.
const WholeMessage = "0"

// Attached gives an attachment of a stored message by its Part; false if there is none.
func Attached(src io.ReaderAt, m *message.Message, part string) (Attachment, bool, error) {
	if part == WholeMessage {
		h, err := readHeader(src, m)
		if err != nil {
			return Attachment{}, false, fmt.Errorf("reading what is to be attached: %w", err)
		}
		return whole(src, m, strings.TrimSpace(message.Printable(message.DecodeText(h.first("Subject"))))), true, nil
	}
	for _, a := range contentOf(src, m).attachments {
		if a.Part == part {
			return a, true, nil
		}
	}
	return Attachment{}, false, nil
}
