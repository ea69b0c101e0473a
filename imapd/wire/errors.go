package wire

import (
	"errors"
	"fmt"
)

// SyntaxError says what in a command does not fit the grammar; the connection
// goes on after DiscardLine.
type SyntaxError struct{ Msg string }

func (e *SyntaxError) Error() string { return e.Msg }

// LiteralSizeError: a literal beyond the bound for where it stands.
type LiteralSizeError struct{ Size, Limit int64 }

func (e *LiteralSizeError) Error() string {
	return fmt.Sprintf("literal of %d octets exceeds the limit of %d", e.Size, e.Limit)
}

// ErrLineTooLong ends a connection: where the next command begins cannot be
// told without reading on for as long as the client likes.
var ErrLineTooLong = errors.New("command line too long")

// ErrDiscardTooLong ends a connection: a literal that nobody wants, sent
// without asking, and too long to be read away.
var ErrDiscardTooLong = errors.New("refused literal too long to skip")
