// Package crash holds the tests of what Postroom promises about accidents:
// nothing that was answered OK is lost, and no UID that a client has seen ever
// names another message. It has no other code; ARCHITECTURE.md, "What is
// promised", tells the results.
//
// A client works through a script over real sockets (script_test.go) and
// keeps a ledger of what it was told (ledger_test.go): what must be there, what
// may be there because a command was under way or was refused, and which
// content each UID ever named. Only a tagged OK makes a thing certain. There are two
// scripts: of a client who has his mail for himself, and of two users
// who share a mailbox, with its ACL and what each has seen of it (sharing_test.go).
//
// The server is the real binary, started under a supervisor of our own
// (trace_test.go) that sees every system call of any of its threads that
// writes below the mail root, numbers them over all threads, and at the k-th
//
//   - kills the process before the call is made, or after half of a write,
//   - lets the call fail, once or from then on, or
//   - copies the state of the disk that a power cut would leave.
//
// Then a server that has not seen the tree opens it, and the ledger is compared with all it tells.
//
// Of a power cut there are two: an image of an ext4 file system, copied
// while it is mounted and recovered by its journal; and, stricter than any file system in use, a tree in which a
// name is only there if its directory was synced after the name was made, and
// content only if the file was (durable_test.go).
package crash
