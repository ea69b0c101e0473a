// Package message knows how mail is built: it reads a message once and can
// then answer everything IMAP asks about its inside.
//
// # One pass
//
// Parse reads a message from its first octet to its last, in constant memory,
// and yields a Message: a tree of Parts with the raw file offsets of each
// part's header and body, their sizes in CRLF terms, their line counts, the
// fields that BODYSTRUCTURE tells of and the ENVELOPE of the message and of
// each message in it. Nothing of the file is held: a Message is plain data
// that can be kept, shared and written down. Sections are read later, straight
// from the file.
//
// # Two rulers
//
// Mail on disk mostly ends its lines in LF, IMAP counts in CRLF. So every
// place in a message has two offsets: raw, where it lies in the file, and
// virtual, where it would lie if each bare LF were CRLF. (A bare CR is an octet
// like any other, and a NUL becomes 0x80 on the wire, since a literal cannot
// carry it.) A Section holds both. A Reader converts while it reads; where a
// section holds no bare LF both rulers agree and it reads straight through.
// For partial fetches of large messages the parse leaves a Mark every 64 KiB,
// at which both offsets are known, so that no fetch counts more than that.
//
// # Malformed mail
//
// There is no message that cannot be parsed. Where standards are silent, or
// the mail breaks them, the answer is the one that Dovecot 2.3 gives, octet
// for octet: clients have seen it for twenty years, and a site that comes from
// Dovecot keeps its clients' caches. TestDifferentialDovecot serves generated
// and mutated mail by both and compares; what differs on purpose stands in a
// table there, with its reason. The rules that decide the structure:
//
//   - A header ends at an empty line, at a boundary of a part around it, or
//     with the message. A line without a colon is no field, and ends nothing.
//   - MIME fields count if the header has MIME-Version or Content-Type, and in
//     the parts of a multipart always.
//   - A boundary line is one that begins with "--" and a boundary that is open;
//     of several the innermost that is all of the line, else the longest. The
//     line end before it belongs to it, be it the one that ended a header.
//   - A boundary of an outer part ends all parts inside it.
//   - A multipart without a boundary, or whose boundary never comes, has no
//     parts. The grammar wants one, so an empty text/plain is told of.
//   - Of repeated MIME fields the first counts, of repeated fields of the
//     ENVELOPE the last; addresses add up.
//
// # Bounds
//
// Nesting is followed for 100 levels and a message may have 10,000 parts; what
// is deeper or beyond is the body of the part it lies in. Of a header field
// 256 KiB are kept, of all fields of a message 2 MiB. Memory in use during a
// parse is one buffer of 64 KiB and these.
//
// # Search
//
// A Needle is looked for in decoded text: encoded words, transfer encodings and
// charsets undone, letters without regard to case. The text streams through a
// window; no part is ever held whole.
package message
