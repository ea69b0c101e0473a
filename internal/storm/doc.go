// Package storm lets real IMAP and POP3 sessions work on a served Maildir while
// everybody else does too: deliveries, mail programs that rename, move, copy and
// delete files, folders made, renamed and removed, notmuch and mbsync.
//
// An oracle judges what the sessions are told. It knows each message's content by an id
// and a sum inside it, and every actor says what it is about to do before it does
// it: how often a message may come to be in a folder, and how often it may go from there.
// From that follow the faults:
//
//	content     a message is not what was written
//	identity    a UID names two messages within one UIDVALIDITY
//	reassigned  a message had more UIDs in a folder than it was put there
//	vanished    EXPUNGE of a message that nobody removed
//	reappeared  a UID that had been told as expunged is there for a later SELECT
//	numbering   EXISTS, EXPUNGE, VANISHED or FETCH do not fit the session's sequence numbers
//	modseq      HIGHESTMODSEQ went down, or one MODSEQ names two states of a message
//	resync      QRESYNC from an earlier state gave another view than a full FETCH
//	validity    the UIDVALIDITY of a folder changed that nobody replaced
//	session     a session ended, or was refused what nothing stood against
//	lost        in the end a message that nobody removed is not on disk
//	end         in the end a session knows something else than what is on disk
//	log         the server logged an error
//
// In the end, with everything at rest, every session, a fresh one, the same after a
// restart, and the files must say the same. So must the copy that mbsync keeps, but for a message on
// which mbsync set \Deleted or saw it, and another client's STORE FLAGS took that back before mbsync's CLOSE:
// mbsync counts it as expunged and never looks at it again, whatever the server.
//
// -server dovecot puts Dovecot through the same storm; its faults are counted, and fail nothing.
package storm
