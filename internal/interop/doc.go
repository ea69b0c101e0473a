// Package interop holds tests only: real mail programs, as Debian and npm ship
// them, against the real postroom binary on a real Maildir.
//
// They run when POSTROOM_INTEROP is set, as `make test` does, since they take
// minutes and want a dozen programs installed. Its values:
//
//	run      a test whose program is missing is skipped, and said so at the end
//	require  such a test fails; what CI uses
//
// With -server dovecot the same tests run against Debian's Dovecot instead of
// postroom. A client test is believed only once it has passed there: a script
// that fails on both servers is a fault of the script.
//
// The web mail is used in headless Chromium, by clicks and keys, and what was
// done is looked for over IMAP. What the browser complains of fails the test,
// and so does any request to another server. Pictures of the main views, light,
// dark and on a phone, are written into the folder POSTROOM_SCREENSHOTS.
//
// Started as root, both servers and every tool that touches the Maildir itself
// run as the user nobody; otherwise as whoever runs the tests, and the tests
// that need Dovecot are skipped, because it wants root to start.
package interop
