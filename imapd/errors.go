package imapd

import (
	"context"
	"errors"

	"postroom/internal/account"
	"postroom/internal/auth"
	"postroom/internal/message"
)

// kinds maps what can go wrong below to response codes (RFC 5530, RFC 9051
// section 7.1), once for all commands. The texts name no path and nothing that
// a user without rights should not learn.
var kinds = []struct {
	err        error
	code, text string
}{
	{account.ErrNoFolder, "NONEXISTENT", "Mailbox does not exist"},
	{account.ErrExists, "ALREADYEXISTS", "Mailbox already exists"},
	{account.ErrBadName, "CANNOT", "Not a possible mailbox name"},
	{account.ErrCannot, "CANNOT", "That cannot be done with this mailbox"},
	{account.ErrReadOnly, "NOPERM", "Permission denied"},
	{account.ErrNoRight, "NOPERM", "Permission denied"},
	{account.ErrPolicy, "NOPERM", "Only an administrator may give rights to everybody"},
	{account.ErrBadACL, "CORRUPTION", "The mailbox's ACL file cannot be understood, and must be mended before it can be changed"},
	{account.ErrBusy, "INUSE", "Mailbox is in use by another program, try again later"},
	{account.ErrGone, "NONEXISTENT", "Mailbox was deleted or renamed"},
	{account.ErrExpunged, "EXPUNGEISSUED", "Some of the messages no longer exist"},
	{account.ErrNoSpace, "OVERQUOTA", "No space left"},
	{account.ErrDamaged, "CORRUPTION", "Mailbox is damaged"},
	{account.ErrTooBig, "TOOBIG", "Too big"},
	{account.ErrTooMany, "LIMIT", "A limit of the mailbox is reached"},
	{message.ErrUnknownCTE, "UNKNOWN-CTE", "Unknown content transfer encoding"},
	{auth.ErrFailed, "AUTHENTICATIONFAILED", "Authentication failed"},
	{auth.ErrPrivacyRequired, "PRIVACYREQUIRED", "Use TLS first"},
	{auth.ErrTemporary, "UNAVAILABLE", "Temporary failure, try again later"},
	{context.DeadlineExceeded, "UNAVAILABLE", "Took too long, try again later"},
}

// answerFor makes an error an answer. What is not foreseen goes to the log in
// full and to the client as nothing but its kind.
func (c *conn) answerFor(command string, err error) *answer {
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			c.log.Debug("imap command refused", "command", command, "error", err)
			return &answer{"NO", k.code, k.text}
		}
	}
	c.log.Error("imap command failed", "command", command, "error", err)
	return &answer{"NO", "SERVERBUG", "Internal error, see the server's log"}
}

// tryCreate marks a missing destination: the client may create it and try
// again (RFC 9051 section 7.1, TRYCREATE).
func tryCreate(err error) error {
	if errors.Is(err, account.ErrNoFolder) {
		return no("TRYCREATE", "Mailbox does not exist")
	}
	return err
}

// errBadName answers a name that is no name in the form in force.
var errBadName = no("CANNOT", "Mailbox name is not well-formed (modified UTF-7, or UTF-8 where enabled)")
