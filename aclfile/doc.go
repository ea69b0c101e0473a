// Package aclfile is the grammar of per-folder ACL files, and what they mean:
// which rights (RFC 4314) somebody has in a folder. It opens no file and knows
// no folder.
//
// # The file
//
// The file is Dovecot's dovecot-acl, so that both servers may work on one tree:
//
//	file   = *( line LF ) [ line ]              ; CR LF is read, too
//	line   = "" / "#" comment / entry
//	entry  = ident [ SP *WSP letters *WSP [ ":" names ] ]
//	ident  = DQUOTE ["-"] id DQUOTE / ["-"] id  ; the latter without spaces
//	id     = "anyone" / "anonymous" / "authenticated" / "owner"
//	       / "group=" name / "user=" name / "group-override=" name
//	letters = *( "l" / "r" / "s" / "w" / "i" / "p" / "k" / "x" / "t" / "e" / "a" )
//	names  = *( name / "," / WSP )              ; rights by name, Dovecot's or private ones
//
// In quotes a backslash takes the next octet as it is. An entry with "-" takes
// rights away. One bad line makes the whole file bad: nobody can tell what its
// writer meant to give or to deny. Bounds that Dovecot does not have: a file is
// at most MaxSize octets and MaxLines lines, an identifier MaxIdentifier octets
// of UTF-8 without control characters, and a name is not empty.
//
// # What it means
//
// The kinds of identifiers are applied in the order anyone, authenticated,
// group, owner, user, group-override. Two sets are kept, of rights given and of
// rights taken away, and what is left of the first without the second counts:
//
//  1. All entries of one sign for one identifier are one; where there are several,
//     and none of the other sign, Dovecot's merging leaves an empty one of that
//     sign, which counts below. The owner begins with all rights and passes over
//     the kinds before owner; anybody else begins with none.
//  2. The first entry of a kind that concerns the user replaces a set, further
//     ones of the same kind (he is in several groups) add to it. An entry
//     with one sign only leaves the other set as it was.
//  3. Somebody whom no entry concerns has the default rights: the owner all,
//     others those that the caller says, usually none.
//
// The owner is the user whose tree it is. Trees without an owner are shared by
// everybody on the same terms: there, no entry for the owner concerns anybody.
//
// # Where Postroom is not Dovecot
//
//   - The owner always has l and a, whatever the file says, so that nobody locks
//     himself out (RFC 4314 section 2 leaves such rights to the server). With
//     Dovecot only SETACL takes care of a, an editor does not.
//   - A bad file gives nobody anything but the owner, who keeps all rights and can
//     mend it. With Dovecot every access fails.
//   - SETACL with an empty set makes an entry with no rights, as RFC 4314 section
//     3.1 has it; Dovecot makes none where there was none, and whoever is in
//     a group keeps what the group has.
//   - A new folder has its parent's entries without rights, too (RFC 4314 section
//     4 wants its ACL); Dovecot leaves out identifiers that have none of either sign.
//   - Adding to or removing from the owner's rights, where no entry says them,
//     begins with all, which is what he has and what GETACL tells.
//   - A client's SETACL keeps private rights that it cannot name; Dovecot drops them.
package aclfile
