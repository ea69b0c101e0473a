package imapd

import (
	"sort"

	"postroom/imapd/wire"
)

// states of a connection, RFC 9051 section 3.
type states uint8

const (
	notAuthenticated states = 1 << iota
	authenticated
	isSelected

	loggedIn = authenticated | isSelected
	anyState = notAuthenticated | loggedIn
)

// parser is a command's arguments, and what bounds them. A parse function
// reads them and touches nothing else; the end of the line is the caller's.
type parser struct {
	*wire.Decoder
	lim *Limits
	uid bool // the UID form of the command
}

// action runs a parsed command. Its error is an *answer, or is made one by
// answerFor, or ends the connection if it is the connection's own.
type action func(c *conn) error

// command is a row of the table.
type command struct {
	name   string
	states states
	uid    bool // there is a UID form
	// numbers: the plain form speaks of sequence numbers, which must not move
	// under it: no EXPUNGE while it runs (RFC 9051 section 7.5.1; COPY is our
	// addition, for clients that send the STORE \Deleted right behind it).
	numbers bool
	stream  bool // the action reads the rest of the command itself
	long    bool // it may take long and say nothing, so the client is watched
	// extension is what CAPABILITY says because of this row, when logged in.
	extension string
	rfc       string
	parse     func(p *parser) action
}

var commands = []command{
	{name: "CAPABILITY", states: anyState, rfc: "9051 6.1.1", parse: just((*conn).capability)},
	{name: "NOOP", states: anyState, rfc: "9051 6.1.2", parse: just((*conn).noop)},
	{name: "LOGOUT", states: anyState, rfc: "9051 6.1.3", parse: just((*conn).logoutCommand)},
	{name: "ID", states: anyState, extension: "ID", rfc: "2971 3.1", parse: parseID},

	{name: "STARTTLS", states: notAuthenticated, rfc: "9051 6.2.1", parse: just((*conn).startTLSCommand)},
	{name: "AUTHENTICATE", states: notAuthenticated, rfc: "9051 6.2.2", parse: parseAuthenticate},
	{name: "LOGIN", states: notAuthenticated, rfc: "9051 6.2.3", parse: parseLogin},
	{name: "UNAUTHENTICATE", states: loggedIn, extension: "UNAUTHENTICATE", rfc: "8437 2", parse: just((*conn).unauthenticate)},

	{name: "ENABLE", states: loggedIn, extension: "ENABLE", rfc: "9051 6.3.1", parse: parseEnable},
	{name: "SELECT", states: loggedIn, rfc: "9051 6.3.2", parse: parseSelect},
	{name: "EXAMINE", states: loggedIn, rfc: "9051 6.3.3", parse: parseExamine},
	{name: "CREATE", states: loggedIn, extension: "CREATE-SPECIAL-USE", rfc: "9051 6.3.4", parse: parseCreate},
	{name: "DELETE", states: loggedIn, rfc: "9051 6.3.5", parse: parseDelete},
	{name: "RENAME", states: loggedIn, rfc: "9051 6.3.6", parse: parseRename},
	{name: "SUBSCRIBE", states: loggedIn, rfc: "9051 6.3.7", parse: parseSubscribe},
	{name: "UNSUBSCRIBE", states: loggedIn, rfc: "9051 6.3.8", parse: parseUnsubscribe},
	{name: "LIST", states: loggedIn, extension: "LIST-EXTENDED", rfc: "9051 6.3.9", parse: parseList},
	{name: "LSUB", states: loggedIn, rfc: "3501 6.3.9", parse: parseLsub},
	{name: "NAMESPACE", states: loggedIn, extension: "NAMESPACE", rfc: "9051 6.3.10", parse: just((*conn).namespace)},
	{name: "STATUS", states: loggedIn, rfc: "9051 6.3.11", parse: parseStatus},
	{name: "APPEND", states: loggedIn, stream: true, extension: "MULTIAPPEND", rfc: "9051 6.3.12", parse: parseAppend},
	{name: "GETACL", states: loggedIn, extension: "ACL", rfc: "4314 3.3", parse: oneMailbox((*conn).getACL)},
	{name: "SETACL", states: loggedIn, rfc: "4314 3.1", parse: parseSetACL},
	{name: "DELETEACL", states: loggedIn, rfc: "4314 3.2", parse: oneEntry((*conn).deleteACL)},
	{name: "LISTRIGHTS", states: loggedIn, rfc: "4314 3.4", parse: oneEntry((*conn).listRights)},
	{name: "MYRIGHTS", states: loggedIn, rfc: "4314 3.5", parse: oneMailbox((*conn).myRights)},
	{name: "IDLE", states: loggedIn, extension: "IDLE", rfc: "9051 6.3.13", parse: just((*conn).idle)},

	{name: "CHECK", states: isSelected, rfc: "3501 6.4.1", parse: just((*conn).noop)},
	{name: "CLOSE", states: isSelected, rfc: "9051 6.4.1", parse: just((*conn).closeCommand)},
	{name: "UNSELECT", states: isSelected, extension: "UNSELECT", rfc: "9051 6.4.2", parse: just((*conn).unselectCommand)},
	{name: "EXPUNGE", states: isSelected, uid: true, extension: "UIDPLUS", rfc: "9051 6.4.3", parse: parseExpunge},
	{name: "SEARCH", states: isSelected, uid: true, numbers: true, long: true, extension: "ESEARCH", rfc: "9051 6.4.4", parse: parseSearch},
	{name: "FETCH", states: isSelected, uid: true, numbers: true, extension: "BINARY", rfc: "9051 6.4.5", parse: parseFetch},
	{name: "STORE", states: isSelected, uid: true, numbers: true, extension: "CONDSTORE", rfc: "9051 6.4.6", parse: parseStore},
	{name: "COPY", states: isSelected, uid: true, numbers: true, long: true, rfc: "9051 6.4.7", parse: parseCopy},
	{name: "MOVE", states: isSelected, uid: true, extension: "MOVE", rfc: "9051 6.4.8", parse: parseMove},
}

var byName = func() map[string]*command {
	m := make(map[string]*command, len(commands))
	for i := range commands {
		m[commands[i].name] = &commands[i]
	}
	return m
}()

// just is the parser of a command without arguments.
func just(a action) func(*parser) action {
	return func(*parser) action { return a }
}

// extras are the extensions that widen commands of the table instead of
// adding one.
var extras = []string{
	"SASL-IR", "CHILDREN", "SPECIAL-USE", "LIST-STATUS", "LIST-MYRIGHTS", "STATUS=SIZE",
	"SEARCHRES", "QRESYNC", "UTF8=ACCEPT",
	"RIGHTS=texk", // those that RFC 2086 did not have, RFC 4314 section 2.2
}

// advertised is what the table and extras make CAPABILITY say, in a steady order.
func advertised() []string {
	list := append([]string(nil), extras...)
	for _, row := range commands {
		if row.extension != "" {
			list = append(list, row.extension)
		}
	}
	sort.Strings(list)
	return list
}

// state is the connection's place in the diagram at conn.
func (c *conn) state() states {
	switch {
	case c.user == nil:
		return notAuthenticated
	case c.sel == nil:
		return authenticated
	}
	return isSelected
}
