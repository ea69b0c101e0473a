package compose

import (
	"io"
	"strings"

	"postroom/internal/message"
)

// Read makes a Draft of a stored one, which may be another program's. Attachments read src when they are opened.
func Read(src io.ReaderAt, m *message.Message) (*Draft, error) {
	h, err := readHeader(src, m)
	if err != nil {
		return nil, err
	}
	d := &Draft{
		To: h.typed("To"), Cc: h.typed("Cc"), Bcc: h.typed("Bcc"),
		Subject:   strings.TrimSpace(message.Printable(message.DecodeText(h.first("Subject")))),
		InReplyTo: MessageIDs(h.first("In-Reply-To")), References: MessageIDs(h.first("References")),
		Original: decodeOriginal(strings.ReplaceAll(h.first(originalField), " ", "")),
	}
	if from := message.ParseAddresses(h.first("From")); len(from) > 0 {
		d.From = from[0]
	}
	if ids := MessageIDs(h.first("Message-Id")); len(ids) > 0 {
		d.MessageID = ids[0]
	}
	c := contentOf(src, m)
	d.Attachments, d.Formatted = c.attachments, c.html
	if d.Text, err = c.words(src, m, MaxText); err != nil {
		return nil, err
	}
	return d, nil
}

// header holds the fields of a message that matter here, of each the values in order.
type header map[string][]string

// maxValues bounds how many fields of one name count.
const maxValues = 20

func readHeader(src io.ReaderAt, m *message.Message) (header, error) {
	h := make(header)
	head, _ := m.Section(nil, message.Header)
	err := message.EachField(src, m, head, func(name, value string) bool {
		name = strings.ToLower(name)
		if wanted[name] && len(h[name]) < maxValues {
			h[name] = append(h[name], value)
		}
		return true
	})
	return h, err
}

var wanted = func() map[string]bool {
	w := make(map[string]bool)
	for _, name := range []string{
		"From", "To", "Cc", "Bcc", "Reply-To", "Mail-Followup-To", "Mail-Reply-To", "List-Post", "Subject", "Date", "Message-Id",
		"In-Reply-To", "References", "Delivered-To", "X-Original-To", originalField, typedPrefix + "To", typedPrefix + "Cc", typedPrefix + "Bcc",
	} {
		w[strings.ToLower(name)] = true
	}
	return w
}()

func (h header) first(name string) string {
	if v := h[strings.ToLower(name)]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// addresses gives those of all fields of a name.
func (h header) addresses(name string) []Address {
	var out []Address
	for _, v := range h[strings.ToLower(name)] {
		out = append(out, message.ParseAddresses(v)...)
	}
	if len(out) > MaxRecipients {
		out = out[:MaxRecipients]
	}
	return out
}

// typed is a list of addresses as it was typed.
func (h header) typed(name string) string {
	if v := h.first(typedPrefix + name); v != "" {
		return message.Printable(message.DecodeText(v))
	}
	return formatList(h.addresses(name))
}
