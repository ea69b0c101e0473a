// Package maildir is the store: Maildir++ trees that other programs read and
// write at the same time, with the exact history that IMAP asks for.
//
// # On disk
//
// INBOX is the root of a tree, folder a/b the directory ".a.b" in it; each has
// tmp/, new/ and cur/. A message is a file; its name up to ':' is its identity
// (name.go), what follows are its flags. Beside the messages lie, in Dovecot's
// formats, the uid list (uidlist.go), the names of keywords (keywords.go), the
// subscriptions, the ACL files (acl.go), which are octets here, the user's own files (ownfile.go) and the count of UIDVALIDITYs. Everything below a root is opened
// in fsys.go, by os.Root, without following links.
//
// # In memory
//
// A Folder is what all sessions of an open folder share. Its state is an
// immutable Snapshot, published through an atomic pointer: readers take no
// lock, and what is new to a session is the Diff of the snapshot it was told
// and the newest. The working state behind it is a builder (chunk.go), which
// copies the chunks it changes.
//
// # Races
//
// Neither a listing nor an event tells the truth by itself. The rules that
// together do stand at the head of reconcile.go; scan.go and watch.go are their
// other parts. Every change of a name or of the uid list is made holding
// dovecot-uidlist.lock, and every UID is on disk before anybody hears of it. That a
// message has come may be told before (subscribe.go). What happened gets its MODSEQs right before it is told, and
// nothing but such an announcement is published in between: see number.go.
//
// # Locks
//
// In this order: Tree.makeMu or Tree.subMu, or seenFile.mu with the dot lock of its file; Folder.mu of one
// folder, the dot lock of the same folder or tree, the flock on its postroom.modseq. Only a move (move.go) holds
// the first two of two folders, the one with the lower inode first. Store.mu, Folder.subMu, subscribers.mu, queue.mu and
// watcher.mu are leaves: nothing is waited for under them. A barrier is waited
// for under Folder.mu, which the watcher's goroutine never takes. The locks of dovecot-acl and of own files have no mutex before them: locker's
// table keeps this process's goroutines apart. ACLWatch has locks of its own, and itself takes none of these while it holds one.
//
// # Goroutines
//
// The watcher has one that drains events, ended by Store.Close; the Store one
// that polls and tidies, ended likewise; each loaded Folder one pump, ended when
// the folder is unloaded. An ACLWatch has one that drains its own watcher's events, a few that look at files and
// one that goes round; its Close ends them.
package maildir
