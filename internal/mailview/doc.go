// Package mailview makes of a message what a page can show: which of its parts are its text, and in which order; what is
// attached, under names that are safe; plain text and HTML as HTML that does nothing.
//
// A mail is its sender's, and a sender may be anybody. Nothing here trusts it: HTML is written anew from what an allow
// list leaves (policy.go), style sheets token by token (css.go), and pictures that would have to be fetched are counted
// and left out until they are asked for. What comes out must be shown in a sandboxed frame under its own content policy
// all the same. Plain text and all else that a View holds is fit for a page of the application once it is escaped,
// which html/template does; Text's result is HTML already.
//
// # Bounds
//
// A message has at most 100 levels and 10,000 parts (package message). Of its text parts 50 are shown, of plain text
// 1 MiB each, of HTML 2 MiB; of attachments 1,000 are listed. Pictures that HTML shows inside itself are read while the
// page is written, up to 32 MiB of them. Where a bound cut something off, the result says so.
package mailview

import "errors"

// ErrNoPart says that a message has no such part.
var ErrNoPart = errors.New("mailview: no such part")

const (
	maxBlocks      = 50
	maxAttachments = 1000
)
