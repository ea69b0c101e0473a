// Package search tells which messages of a mailbox match: the keys of RFC 9051 section 6.4.4 without their grammar,
// for IMAP's SEARCH and for the language of the web mail's search box (internal/query).
//
// A Key is a test with its cost. And and Or try the cheap ones first, which changes no result; Run goes through a
// snapshot and reads of each message only what the keys that are left to try want: the flags stand in the snapshot,
// dates and sizes mostly in memory, header fields in the cache with a sketch that denies most of them, and only BODY and
// TEXT read files.
package search
