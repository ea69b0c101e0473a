// Package order keeps what sorting and threads need of a mailbox's messages: RFC 5256 for a list that people look at.
//
// An Index has some hundred octets a message: a UID, a date, a size, folded texts to sort by, and 64-bit hashes of the
// Message-IDs that it has and names. It is filled from the cache's records, follows the snapshots of its mailbox by what
// is new and gone, and keeps the last orders it was asked for. All sessions of a mailbox share one: what is in it depends
// on the messages alone, and who asks has selected the mailbox. A Book bounds how much there is of it.
//
// Files: index says what is kept and follows; book shares; sort orders; subject is the base subject of RFC 5256
// section 2.1; thread is REFERENCES of section 3.
package order
