// Package wire is the grammar of IMAP: a Decoder for what clients send and an
// Encoder for what servers answer. It knows octets and numbers, no mailboxes.
//
// The Decoder's methods are named after the rules of RFC 9051 section 9. Each
// returns whether it matched; the first failure is latched, so that a handler
// reads like the grammar:
//
//	if !d.SP() || !d.Mailbox(&name) || !d.CRLF() {
//		return d.Err()
//	}
//
// It never looks beyond the octet it needs, never holds a literal that the
// caller wants to stream, and asks for a synchronizing literal only when the
// caller takes it: what is refused was never sent. DiscardLine finds the next
// command after a failure, whatever state the failed one was left in.
//
// The Encoder appends to a pooled buffer, writes it when it is full and gives
// it back when it is flushed, so a connection that waits holds none.
package wire
