// Package pop3d serves users' INBOXes over POP3: RFC 1939 with the extensions
// of RFC 2449 (CAPA, TOP, UIDL, PIPELINING, RESP-CODES, EXPIRE, LOGIN-DELAY,
// IMPLEMENTATION), RFC 2595 (STLS), RFC 3206 (AUTH-RESP-CODE), RFC 5034 (AUTH)
// and RFC 6856 (UTF8, LANG).
//
// # What a session sees
//
// The maildrop is one snapshot of INBOX, taken at login and kept for the
// session's life: numbers, sizes and unique ids never change under a client,
// whatever IMAP sessions and other programs do meanwhile. A message that they
// removed keeps its number; retrieving it answers -ERR.
//
// The session only looks: it moves nothing from new/ to cur/ and sets no \Seen,
// so that a POP3 client that polls does not take the news from the others. The
// one thing it changes is what DELE marked, and that at QUIT only. A connection
// that ends in any other way, an idle one that is closed among them, removes
// nothing. There is no exclusive lock (RFC 1939 section 4 asks for one): the
// snapshot gives what the lock is for, and a user may be connected by POP3 and
// IMAP at the same time. Of two sessions that remove the same message, both
// succeed.
//
// # How a session goes
//
// One goroutine serves one connection and runs its commands in order. Input
// that is pipelined (RFC 2449 section 6.6) waits in the socket; answers are
// written together when no further command has arrived. Nothing is written
// while a lock is held. Every wait has an end: the time to log in, the time
// between two commands, the time in which a client must take in some of what
// it asked for.
package pop3d
