// Package addressbook keeps contacts: a user's own, which are vCard files that other programs may read and write too, and
// those of sources that all users may look into. It knows no protocol.
//
// A vCard is kept as the lines it was read as (card.go). Editing a contact (edit.go) writes the lines anew that it changes, and no
// others: photographs, keys and whatever else other programs put there stay octet for octet. That is why the lines are taken apart
// here (line.go) and by no library: those that there are decode all values and encode them again, by which escapes within
// lists are doubled, quoted parameters lose their quotes, and vCard 2.1, which phones and Outlook write, is not understood.
//
// What is read may be vCard 2.1, 3.0 (RFC 2426) or 4.0 (RFC 6350), in UTF-8, UTF-16 or what its CHARSET says, and as wrong as
// programs write it: what cannot be understood is kept and passed over. What is written anew is 3.0, which all programs
// read, unless the card was 4.0.
//
// A Source (source.go) is where contacts come from: a Book is one (book.go), a Directory of vCards is another (directory.go).
package addressbook
