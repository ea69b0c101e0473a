// Package compose makes messages that people write: it turns a Draft into a message (RFC 5322, MIME) and a stored
// draft, also one of another program, into a Draft again; and it begins replies and forwards. It knows no mailboxes and
// sends nothing.
//
// Attachments are streams from end to end: neither writing nor reading holds more of a message in memory than its text.
package compose

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"postroom/internal/message"
)

// Address is one address: Name is free text, Addr local-part@domain.
type Address = message.DisplayAddress

// What a message that is written here may have at most.
const (
	MaxText        = 1 << 20 // octets of text
	MaxSubject     = 2000    // octets
	MaxRecipients  = 500
	MaxAttachments = 100
	maxList        = 64 << 10 // octets of a list of addresses as it is typed
	maxReferences  = 40       // RFC 5537 section 3.4.4 keeps the first and the last ones
	maxName        = 200      // octets of an attachment's name
)

// ErrTooLarge: a Draft has more of something than the constants above allow.
var ErrTooLarge = errors.New("the message is too large")

// Draft is a message as it is written.
type Draft struct {
	From Address
	// To, Cc and Bcc are lists of addresses as they were typed, whole or not; see ParseList.
	To, Cc, Bcc string
	Subject     string
	Text        string // lines end in LF

	MessageID  string   // without < >; it stays when the draft is saved again
	InReplyTo  []string // message ids without < >
	References []string

	Attachments []Attachment
	// Next, unless it is nil, gives further attachments, one after the other as they come, and nil after the last.
	Next     func() (*Attachment, error)
	Original Original

	// Formatted tells that the draft that was read had text in HTML, of which only the words are in Text.
	Formatted bool
}

// Attachment is one file, or one message.
type Attachment struct {
	Name string
	Type string // media type without parameters; application/octet-stream if empty or none
	Size int64  // octets, -1 if that is not known
	Part string // its number in the message that it comes from, such as "2.1"; "" of a new one
	// Open gives its octets. It is called once, and twice for a message that can be attached as message/rfc822.
	Open func() (io.ReadCloser, error)
	// Message tells that Open gives a whole message, any number of times.
	Message bool
}

// Kind is what a message is an answer by.
type Kind string

// The kinds of answers.
const (
	Reply     Kind = "reply"
	ReplyAll  Kind = "replyall"
	ReplyList Kind = "replylist"
	Forward   Kind = "forward"  // the text is quoted, attachments are taken along
	ForwardAs Kind = "attached" // the message is attached whole
)

// Known tells whether there is such a kind.
func (k Kind) Known() bool {
	switch k {
	case Reply, ReplyAll, ReplyList, Forward, ForwardAs:
		return true
	}
	return false
}

// IsForward tells the forwards from the replies.
func (k Kind) IsForward() bool { return k == Forward || k == ForwardAs }

// Original names the message that a draft answers, which is to be marked when it has been sent.
type Original struct {
	Kind             Kind
	Box              string
	UIDValidity, UID uint32
}

// encode gives the form in which drafts keep it: ASCII, "" if there is none or it would be no line of a header.
func (o Original) encode() string {
	if !o.Kind.Known() {
		return ""
	}
	v := url.Values{
		"kind": {string(o.Kind)}, "box": {o.Box},
		"v": {strconv.FormatUint(uint64(o.UIDValidity), 10)}, "uid": {strconv.FormatUint(uint64(o.UID), 10)},
	}.Encode()
	if len(v) > 900 {
		return ""
	}
	return v
}

func decodeOriginal(s string) Original {
	v, err := url.ParseQuery(s)
	if err != nil {
		return Original{}
	}
	validity, err1 := strconv.ParseUint(v.Get("v"), 10, 32)
	uid, err2 := strconv.ParseUint(v.Get("uid"), 10, 32)
	o := Original{Kind: Kind(v.Get("kind")), Box: v.Get("box"), UIDValidity: uint32(validity), UID: uint32(uid)}
	if err1 != nil || err2 != nil || !o.Kind.Known() || uid == 0 {
		return Original{}
	}
	return o
}

// check holds a draft against the bounds.
func (d *Draft) check() error {
	switch {
	case len(d.Text) > MaxText:
		return fmt.Errorf("%w: its text has more than %d octets", ErrTooLarge, MaxText)
	case len(d.Subject) > MaxSubject:
		return fmt.Errorf("%w: its subject has more than %d octets", ErrTooLarge, MaxSubject)
	case len(d.Attachments) > MaxAttachments:
		return fmt.Errorf("%w: it has more than %d attachments", ErrTooLarge, MaxAttachments)
	case len(d.To) > maxList || len(d.Cc) > maxList || len(d.Bcc) > maxList:
		return fmt.Errorf("%w: a list of addresses has more than %d octets", ErrTooLarge, maxList)
	}
	return nil
}

// Recipients gives all addresses that the message is to be sent to, each once, in the order To, Cc, Bcc. An error names
// what was typed that is no address; it is a *BadAddress, ErrNoRecipients or ErrTooLarge.
func (d *Draft) Recipients() ([]string, error) {
	var all []string
	seen := make(map[string]bool)
	for _, typed := range []string{d.To, d.Cc, d.Bcc} {
		list, err := ParseList(typed)
		if err != nil {
			return nil, err
		}
		for _, a := range list {
			if key := foldAddr(a.Addr); !seen[key] {
				seen[key] = true
				all = append(all, a.Addr)
			}
		}
	}
	switch {
	case len(all) == 0:
		return nil, ErrNoRecipients
	case len(all) > MaxRecipients:
		return nil, fmt.Errorf("%w: it has more than %d recipients", ErrTooLarge, MaxRecipients)
	}
	return all, nil
}

// ErrNoRecipients: nobody is named to send the message to.
var ErrNoRecipients = errors.New("the message has no recipients")

// Identity is what makes one message differ from all others.
type Identity struct {
	Now  time.Time // with the zone that the Date field is to name
	Rand io.Reader // for message ids and boundaries; crypto/rand's
}
