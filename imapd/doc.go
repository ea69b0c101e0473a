// Package imapd serves IMAP4rev1 (RFC 3501) and IMAP4rev2 (RFC 9051).
//
// One goroutine owns a connection: it reads a command, runs it, answers it,
// and then reads the next, so pipelined commands see each other's effects in
// order and an ambiguous pipeline (RFC 3501 section 5.5) has one meaning.
// What waits to be written is flushed when that goroutine is about to wait for
// the client, and not before: a pipeline is answered in few writes.
//
// commands.go is the table of commands; each row names a parser, which touches
// no store, and which returns the action to run once the whole line was read.
// APPEND alone reads on while it runs, because its literals stream to disk.
//
// A selected mailbox is a snapshot: the one last told to the client. Sequence
// numbers are positions in it. What is new is the difference between it and
// the mailbox's current snapshot, told by report (session.go) at the end of a
// command or during IDLE; where the protocol forbids EXPUNGE the session stays
// with its snapshot if that difference holds one. There is no queue.
//
// Who may do what is package account's to know. Before each command on the selected
// mailbox, before what is told of it otherwise, and while a FETCH waits for its client,
// the rights are looked at anew (rights.go); the commands of RFC 4314 are in cmd_acl.go.
//
// A session is served by one goroutine at a time. While it waits for its client
// it holds no buffer, after a second, and in IDLE at once, not even a goroutine
// (socket.Poller); in IDLE a new snapshot rings it, or, if there is more to do than to
// write a few lines, wakes it like the client's next octet. Beside a long
// command a timer may look whether the client is there (attended.go).
package imapd
