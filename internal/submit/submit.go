// Package submit hands one message to whoever carries mail on: a submission server (RFC 6409) or a sendmail command. It
// tells exactly what is known of the outcome, and above all when nothing is known. It keeps and retries nothing.
package submit

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"postroom/internal/message"
)

// Outcome is what became of a message, or of one of its recipients.
type Outcome string

// The outcomes.
const (
	Accepted Outcome = "accepted" // it is the server's now
	Refused  Outcome = "refused"  // for good: the same message will be refused again
	Again    Outcome = "again"    // not accepted, surely; to be tried again
	Unknown  Outcome = "unknown"  // all of it was sent, and no answer came: it may have been accepted
)

// Message is what is to be sent.
type Message struct {
	From string   // an address, checked
	To   []string // the same; at least one
	Size int64    // octets that Open's reader yields
	// Open gives the message with CRLF line ends. It may be called more than once.
	Open func() (io.ReadCloser, error)
	// EightBit: the message has octets beyond ASCII. UTF8: addresses or header fields have (RFC 6531).
	EightBit, UTF8 bool
}

// Result tells what became of each recipient, in the order of the message.
type Result struct{ Recipients []Recipient }

// Recipient is the outcome for one.
type Recipient struct {
	Addr    string
	Outcome Outcome
	Text    string // what the server said, or what happened: one line, for people
}

// Sender sends messages. It is safe for concurrent use. When ctx ends the attempt ends, with Again or Unknown.
type Sender interface {
	Send(ctx context.Context, m Message) Result
}

// All makes a Result that is the same for all recipients.
func All(m Message, o Outcome, err error) Result {
	var r Result
	for _, to := range m.To {
		r.Recipients = append(r.Recipients, Recipient{to, o, line(err)})
	}
	return r
}

// maxText bounds what is kept of an answer.
const maxText = 500 // octets

// line makes one line of bounded length of what a server said.
func line(err error) string {
	if err == nil {
		return ""
	}
	s := message.Printable(err.Error())
	if len(s) > maxText {
		s = s[:maxText]
	}
	return message.Printable(s)
}

// Worst gives the outcome that matters most: what is unknown, then what is to be tried again, then what was refused.
func (r Result) Worst() Outcome {
	rank := map[Outcome]int{Accepted: 0, Refused: 1, Again: 2, Unknown: 3}
	worst := Accepted
	for _, rc := range r.Recipients {
		if cmp.Less(rank[worst], rank[rc.Outcome]) {
			worst = rc.Outcome
		}
	}
	return worst
}

func (r Result) String() string {
	s := ""
	for i, rc := range r.Recipients {
		if i > 0 {
			s += "; "
		}
		s += fmt.Sprintf("%s %s: %s", rc.Addr, rc.Outcome, rc.Text)
	}
	return s
}
