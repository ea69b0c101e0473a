package account

import "postroom/maildir"

// A user's own files are his alone: they lie in his own tree, no mailbox's rights concern them, and no other user's are to be had.

type (
	// OwnFiles are files of one kind: List, Read, Edit and EditAll. They may be used as long as the User is open, by
	// many at once.
	OwnFiles = maildir.OwnFiles
	// OwnFile is one file in a listing.
	OwnFile = maildir.OwnFile
	// OwnVersion differs when a file was changed. It may be compared.
	OwnVersion = maildir.OwnVersion
	// OwnKind is what files are for.
	OwnKind = maildir.OwnDir
)

// The kinds of own files, and how large one may be, in octets.
const (
	OwnWeb      = maildir.OwnWeb      // what the web mail keeps: settings, what is yet to be sent
	OwnContacts = maildir.OwnContacts // the address book, a vCard a file

	MaxOwnFile = maildir.MaxOwnFile
)

// OwnFiles gives the user's own files of one kind.
func (u *User) OwnFiles(kind OwnKind) *OwnFiles { return u.tree.OwnFiles(kind) }
